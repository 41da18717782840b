//! An app's client credentials: whom `invalid_client` speaks of, and what it costs until somebody corrects them.

use std::sync::Arc;

use super::accounts::{AccountSentence, StatusQuestion, account, hours, minutes, seconds, start};
use super::observations::{app, refused_app, token};
use super::world::{Exchange, World};
use crate::api::condition::{ConditionType, Reason, find_condition, whole_seconds};
use crate::api::v1alpha1::{BreakerLimits, BreakerState, SpotifyApp};
use crate::domain::answer::{Refusal, Trouble};
use crate::domain::name::ObjectName;
use crate::domain::token::Flow;
use crate::plan::client::{ClientVersion, Evidence, Standing, Word, may_exchange, width_after, word};
use crate::plan::observed::ClientView;
use crate::plan::step::{RefreshOutcome, SecretTrouble};
use crate::plan::{Lookup, app as apps};

fn refused(refusal: Refusal) -> RefreshOutcome {
    RefreshOutcome::Refused { refusal, interrupted: None }
}

fn limits() -> BreakerLimits {
    BreakerLimits::from(&app().spec.circuit_breaker)
}

fn version(number: u32) -> ClientVersion {
    ClientVersion { generation: Some(1), secret: Some(("uid".to_owned(), number.to_string())) }
}

fn due_world() -> World {
    let mut world = World::of(account().with_target("brainz"));
    world.secret.then = Ok(token(world.now));
    world
}

#[test]
fn whom_invalid_client_speaks_of() {
    let nothing = Evidence::default();
    let public = Evidence { public: true, ..nothing };
    for (what, evidence, expected) in [
        ("a secret was sent", nothing, Word::Refused),
        (
            "a secret was sent, and the token says so",
            Evidence { flow: Some(Flow::Confidential), ..nothing },
            Word::Refused,
        ),
        ("others are accepted, this token never was", Evidence { proven: true, ..nothing }, Word::Odd),
        (
            "others are accepted, and this token was",
            Evidence { proven: true, accepted_before: true, ..nothing },
            Word::Refused,
        ),
        ("nothing was proven, and the token may need a secret", public, Word::Odd),
        ("nothing was proven, and another account's neither", Evidence { repeated: true, ..public }, Word::Refused),
        ("the token needs no secret", Evidence { flow: Some(Flow::Pkce), ..public }, Word::Refused),
        ("the token worked without a secret", Evidence { accepted_before: true, ..public }, Word::Refused),
        (
            "others work without a secret, whatever this token says",
            Evidence { proven: true, flow: Some(Flow::Pkce), ..public },
            Word::Odd,
        ),
    ] {
        assert_eq!(word(&refused(Refusal::InvalidClient), evidence), expected, "{what}");
    }
}

#[test]
fn what_the_end_of_an_exchange_says_about_the_client() {
    let nothing = Word::Nothing { retry_after: None };
    let secret = || ObjectName::new("music", "alice-spotify");
    for (outcome, expected) in [
        (RefreshOutcome::Refreshed { token: token(start()), time: start(), rotated: false }, Word::Accepted),
        (RefreshOutcome::CommitPending, Word::Accepted),
        (RefreshOutcome::Superseded, Word::Accepted),
        (refused(Refusal::InvalidGrant { expired: false }), Word::Accepted),
        (refused(Refusal::UnauthorizedClient), Word::Accepted),
        (refused(Refusal::InvalidRequest), nothing),
        (refused(Refusal::UnsupportedGrantType), nothing),
        (RefreshOutcome::Failed(Trouble::Status(503)), nothing),
        (RefreshOutcome::Ambiguous(Trouble::Timeout), nothing),
        (
            RefreshOutcome::RateLimited { retry_after: Some(seconds(7)) },
            Word::Nothing { retry_after: Some(seconds(7)) },
        ),
        (RefreshOutcome::Conflict, Word::Unsent),
        (RefreshOutcome::Claimed { until: start() }, Word::Unsent),
        (RefreshOutcome::TokenSecret(SecretTrouble::NotFound { secret: secret() }), Word::Unsent),
        (RefreshOutcome::ClientSecret(SecretTrouble::NotFound { secret: secret() }), Word::Unsent),
        (RefreshOutcome::FlowMismatch { flow: Flow::Pkce }, Word::Unsent),
    ] {
        assert_eq!(word(&outcome, Evidence::default()), expected, "{outcome:?}");
    }
}

#[test]
fn the_first_exchange_goes_alone_and_proven_credentials_hold_nobody_back() {
    let open = Standing::default();
    assert!(may_exchange(&open, false, 0, 1, start()));
    assert!(!may_exchange(&open, false, 1, 1, start()));
    assert!(may_exchange(&open, true, 99, 1, start()));
    let mut width = 0;
    for expected in [2, 4, 8] {
        width = width_after(width, Word::Nothing { retry_after: None });
        assert_eq!(width, expected, "an upstream that is away does not make accounts wait for one another");
        assert!(may_exchange(&open, false, width - 1, width, start()));
        assert!(!may_exchange(&open, false, width, width, start()));
    }
    assert_eq!(width_after(width, Word::Unsent), 8);
    assert_eq!(width_after(width, Word::Refused), 1);
    let closed = open.after(Word::Refused, &version(1), limits(), start());
    let probe = start() + minutes(15);
    assert!(!may_exchange(&closed, true, 0, 8, probe - seconds(1)));
    assert!(may_exchange(&closed, false, 0, 8, probe));
    assert!(!may_exchange(&closed, false, 1, 8, probe), "one probe at a time");
}

#[test]
fn probes_wait_longer_each_time_up_to_a_day_and_begin_anew_with_other_credentials() {
    let mut standing = Standing::default();
    let mut now = start();
    for wait in [15, 30, 60, 120, 240, 480, 960, 1440, 1440] {
        standing = standing.after(Word::Refused, &version(1), limits(), now);
        let breaker = standing.breaker.clone().unwrap();
        assert_eq!(breaker.state, BreakerState::Open);
        assert_eq!(breaker.opened_time, Some(whole_seconds(start())));
        assert_eq!(standing.closed_until(), Some(now + minutes(wait)));
        let again = standing.after(Word::Refused, &version(1), limits(), now + seconds(1));
        assert_eq!(again, standing, "an answer that was on its way changes nothing");
        now += minutes(wait);
    }
    let trouble = standing.after(Word::Nothing { retry_after: None }, &version(1), limits(), now);
    assert_eq!(trouble.closed_until(), Some(now + minutes(15)), "trouble is not waited out for days");
    assert_eq!(trouble.breaker.as_ref().unwrap().trips, 9);
    let asked = Word::Nothing { retry_after: Some(hours(14)) };
    assert_eq!(standing.after(asked, &version(1), limits(), now).closed_until(), Some(now + hours(14)));
    assert_eq!(trouble.after(Word::Unsent, &version(1), limits(), now), trouble);

    assert_eq!(trouble.seen(&version(1), now), trouble, "the same credentials");
    let corrected = trouble.seen(&version(2), now);
    assert_eq!(corrected.closed_until(), Some(now), "one probe at once");
    assert_eq!(corrected.seen(&version(2), now + seconds(9)), corrected, "once");
    let wrong_again = corrected.after(Word::Refused, &version(2), limits(), now);
    assert_eq!(wrong_again.closed_until(), Some(now + minutes(15)));
    assert_eq!(wrong_again.after(Word::Accepted, &version(2), limits(), now), Standing::default());
}

#[test]
fn a_spec_that_changed_is_other_credentials() {
    let refused = Standing::default().after(Word::Refused, &version(1), limits(), start());
    let edited = ClientVersion { generation: Some(2), ..version(1) };
    assert_eq!(refused.seen(&edited, start()).closed_until(), Some(start()));
}

#[test]
fn what_the_app_says() {
    let refused = Standing::default().after(Word::Refused, &version(1), limits(), start());
    let status = apps::settle(&app(), &Ok(()), &refused, 7, None, start());
    let says = |app: &SpotifyApp, kind| {
        let conditions = &app.status.as_ref().unwrap().conditions;
        find_condition(conditions, kind).map_or_else(String::new, |found| format!("{} {}", found.status, found.reason))
    };
    let closed = SpotifyApp { status: Some(status.clone()), ..app() };
    assert_eq!(says(&closed, ConditionType::Ready), "False ClientCredentialsInvalid");
    assert_eq!(says(&closed, ConditionType::Stalled), "True ClientCredentialsInvalid");
    assert_eq!(says(&closed, ConditionType::CircuitOpen), "True CircuitOpen");
    assert_eq!((Standing::of(&closed), status.accounts), (refused.clone(), 7));
    let told = apps::announcement(&[], &status.conditions).unwrap();
    assert!(told.warning && told.note.contains("key client-secret of Secret spotify-app"), "{told:?}");

    let gone = SecretTrouble::NotFound { secret: ObjectName::new("music", "spotify-app") };
    let missing = SpotifyApp { status: Some(apps::settle(&closed, &Err(gone), &refused, 7, None, start())), ..app() };
    assert_eq!(says(&missing, ConditionType::Ready), "False SecretNotFound");
    assert_eq!(says(&missing, ConditionType::CircuitOpen), "True CircuitOpen");
    let silent = apps::settle(&closed, &Err(SecretTrouble::Cluster), &refused, 7, None, start());
    assert_eq!(silent, status, "the API server's silence changes nothing");

    let open =
        SpotifyApp { status: Some(apps::settle(&closed, &Ok(()), &Standing::default(), 7, None, start())), ..app() };
    assert_eq!(says(&open, ConditionType::Ready), "True Succeeded");
    assert_eq!(says(&open, ConditionType::Stalled) + &says(&open, ConditionType::CircuitOpen), "");
    assert!(!apps::announcement(&status.conditions, &open.status.unwrap().conditions).unwrap().warning);
}

#[test]
fn refused_credentials_are_probed_ever_less_often_and_count_against_nobody() {
    let mut world = due_world();
    world.exchanges.then = Exchange::Ends(refused(Refusal::InvalidClient));
    world.run_for(hours(8));
    assert_eq!(world.status().condition(ConditionType::Ready), "False ClientCredentialsInvalid");
    assert_eq!(world.status().condition(ConditionType::Stalled), "True ClientCredentialsInvalid");
    assert!(world.status().message(ConditionType::Ready).contains("SpotifyApp music/main"));
    assert_eq!(world.questions(), 6, "at 0, 15, 45, 105, 225 and 465 minutes: {:?}", world.passes);
    let failures = world.status().failures.unwrap();
    assert_eq!(failures.consecutive, 0);
    assert!(failures.next_attempt_time.unwrap().0 > world.now);
    assert_eq!(world.writes, 7, "the first visit, and one a probe");
}

#[test]
fn an_account_whose_app_is_refused_says_so_and_sends_nothing_whatever_is_asked() {
    let mut world = World::of(account().with_target("brainz"));
    world.run_for(hours(1));
    world.forget();
    world.surroundings.app = refused_app(world.now + hours(3));
    world.pass();
    assert_eq!(world.status().condition(ConditionType::Ready), "False ClientCredentialsInvalid");
    assert_eq!(world.status().condition(ConditionType::Authorized), "False ClientCredentialsInvalid");
    assert_eq!(world.writes, 1);
    world.account = world.account.clone().requesting("now").edited();
    world.run_for(hours(2));
    assert_eq!(world.questions(), 0, "{:?}", world.passes);
    assert_eq!(world.status().last_handled_reconcile_at.as_deref(), Some("now"));
    assert_eq!(world.status().observed_generation, world.account.metadata.generation);
    assert_eq!(world.writes, 2);
    world.restart_after(minutes(2));
    world.run_for(minutes(50));
    assert_eq!(world.questions(), 0, "a restart sends nothing early");

    world.surroundings.app = Lookup::Found(Arc::new(app()));
    world.pass();
    assert_eq!(world.status().condition(ConditionType::Ready), "True Succeeded");
    assert_eq!(world.status().condition(ConditionType::Stalled), "");
    assert_eq!(world.status().failures, None);
}

#[test]
fn a_probe_is_an_exchange_also_where_the_access_token_is_good() {
    let mut world = World::of(account().with_target("brainz"));
    world.run_for(minutes(10));
    world.forget();
    world.surroundings.app = refused_app(world.now);
    world.exchanges.next.push_back(Exchange::Ends(RefreshOutcome::Failed(Trouble::Status(503))));
    world.pass();
    assert_eq!(world.questions(), 1);
    assert_eq!(world.status().condition(ConditionType::Ready), "False ClientCredentialsInvalid");
    assert_eq!(world.status().failures.unwrap().consecutive, 0, "a probe that tells nothing counts against nobody");
    world.run_for(minutes(14));
    assert_eq!(world.questions(), 1);
    world.run_for(minutes(2));
    assert_eq!(world.status().condition(ConditionType::Ready), "True Succeeded");
}

#[test]
fn whoever_waits_for_anothers_probe_asks_nothing_and_comes_back() {
    let mut world = World::of(account().with_target("brainz"));
    world.surroundings.app = refused_app(world.now);
    world.surroundings.client = ClientView { asked: true, refused_last: false };
    let passes = world.run_for(minutes(30));
    assert!(passes <= 31, "{passes} passes in half an hour");
    assert_eq!(world.passes.iter().flatten().count(), 0, "not even a Secret is read: {:?}", world.passes);
    world.surroundings.client = ClientView::default();
    world.run_for(minutes(2));
    assert_eq!(world.status().condition(ConditionType::Ready), "True Succeeded");
}

#[test]
fn whoever_was_refused_last_lets_others_probe_first() {
    for (accounts, wait) in [(1, 0), (2, 30)] {
        let mut world = World::of(account().with_target("brainz"));
        let Lookup::Found(app) = refused_app(world.now + minutes(5)) else { unreachable!() };
        let mut app = app.as_ref().clone();
        app.status.get_or_insert_default().accounts = accounts;
        world.surroundings.app = Lookup::Found(Arc::new(app));
        world.surroundings.client.refused_last = true;
        world.pass();
        world.run_for(minutes(5) + seconds(wait) - seconds(1));
        assert_eq!(world.questions(), 0, "{accounts} accounts");
        world.run_for(seconds(3));
        assert!(world.questions() > 0, "{accounts} accounts");
    }
}

#[test]
fn what_is_wrong_with_an_account_itself_stays_said_while_its_app_is_refused() {
    let mut world = due_world();
    world.exchanges.then = Exchange::Ends(refused(Refusal::InvalidGrant { expired: false }));
    world.pass();
    assert_eq!(world.status().condition(ConditionType::Ready), "False AuthorizationRevoked");
    world.surroundings.app = refused_app(world.now + hours(20));
    world.forget();
    world.run_for(minutes(50));
    assert_eq!(world.status().condition(ConditionType::Ready), "False AuthorizationRevoked");
    world.run_for(hours(1));
    assert_eq!(
        world.status().condition(ConditionType::Ready),
        "False ClientCredentialsInvalid",
        "its probe is kept back"
    );
    assert_eq!(world.questions(), 0);
    world.surroundings.app = Lookup::Found(Arc::new(app()));
    world.run_for(minutes(2));
    assert_eq!(world.status().condition(ConditionType::Ready), "False AuthorizationRevoked");

    let mut world = World::of(account().with_target("brainz"));
    let secret = ObjectName::new("music", "alice-spotify");
    world.secret.then = Err(SecretTrouble::NotFound { secret });
    world.surroundings.app = refused_app(world.now + hours(20));
    world.run_for(minutes(5));
    assert_eq!(
        world.status().condition(ConditionType::Ready),
        "False ClientCredentialsInvalid",
        "nothing is looked at"
    );
    let reason = Reason::from_name(&world.status().failures.unwrap().last_reason.unwrap());
    assert_eq!(reason, Some(Reason::ClientCredentialsInvalid));
}

#[test]
fn a_secret_that_is_mended_while_the_app_is_refused_sends_nothing() {
    let mut world = World::of(account().with_target("brainz"));
    let secret = ObjectName::new("music", "alice-spotify");
    world.secret.then = Err(SecretTrouble::NotFound { secret });
    world.pass();
    assert_eq!(world.status().condition(ConditionType::Ready), "False SecretNotFound");
    world.surroundings.app = refused_app(world.now + hours(20));
    world.run_for(minutes(5));
    assert_eq!(world.status().condition(ConditionType::Ready), "False SecretNotFound", "the Secret is looked for");
    world.secret.then = Ok(token(world.now + hours(1)));
    world.run_for(minutes(1));
    assert_eq!(world.status().condition(ConditionType::Ready), "False ClientCredentialsInvalid");
    assert_eq!(world.questions(), 0);
}

#[test]
fn a_probe_that_finds_no_api_server_is_no_loop() {
    let mut world = due_world();
    world.exchanges.next.push_back(Exchange::Ends(refused(Refusal::InvalidClient)));
    world.pass();
    world.secret.then = Err(SecretTrouble::Cluster);
    world.surroundings.token = None;
    let passes = world.run_for(hours(3));
    assert!(passes <= 60, "{passes} passes in three hours");
    assert_eq!(world.questions(), 1);
}
