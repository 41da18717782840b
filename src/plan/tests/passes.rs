//! Whole passes: which steps follow one another, outcome by outcome.

use std::sync::Arc;

use super::accounts::{AUTHORIZATION, AccountSentence, StatusQuestion, account, hours, minutes, seconds, start};
use super::observations::{ObservedSentence, ProgressSentence, around, progress, token};
use super::plays::{evening, page, play};
use super::world::{Deed, Exchange, Script, World};
use crate::api::condition::{ConditionType, Reason, whole_seconds};
use crate::api::v1alpha1::TargetState;
use crate::domain::answer::{ApiAnswer, Delivery, Refusal, Submission, Trouble};
use crate::domain::listener::Listener;
use crate::domain::name::ObjectName;
use crate::domain::play::Play;
use crate::plan::step::{Credentials, RefreshOutcome, SecretTrouble};
use crate::plan::{Step, TokenView, next_steps};

/// Ready, due now, the token loaded and good for an hour, the credentials held.
fn world() -> World {
    let mut world = World::of(account().with_target("brainz").with_hook("hook"));
    world.pass();
    world.forget();
    world.account = world.account.clone().requesting("now");
    world
}

fn deeds(world: &World) -> Vec<&Deed> {
    world.passes.last().unwrap().iter().collect()
}

fn prepared(entry: &str) -> Deed {
    Deed::Prepared(entry.to_owned())
}

const REFRESHED: Deed = Deed::Refreshed { forced: false };
const FORCED: Deed = Deed::Refreshed { forced: true };

fn sent(entry: &str, plays: &[Play]) -> Deed {
    Deed::Sent { entry: entry.to_owned(), plays: plays.iter().cloned().map(Arc::new).collect() }
}

#[test]
fn a_first_pass_asks_whose_token_it_is_reads_and_delivers() {
    let mut world = World::of(account().with_target("brainz").with_hook("hook"));
    let heard = play("a", start() - minutes(5));
    world.shows([heard.clone()]);
    world.pass();
    assert_eq!(
        deeds(&world),
        [
            &Deed::LoadedToken,
            &Deed::Identified,
            &Deed::Read,
            &prepared("brainz"),
            &prepared("hook"),
            &sent("brainz", std::slice::from_ref(&heard)),
            &sent("hook", &[heard]),
        ]
    );
    assert_eq!(world.writes, 2, "that it was seen, and what came of it");
    assert_eq!(world.status().authorization.unwrap().authorization_id.as_deref(), Some(AUTHORIZATION));
}

#[test]
fn a_later_pass_with_a_good_token_only_reads() {
    let mut world = World::of(account().with_target("brainz"));
    world.pass();
    world.run_for(minutes(20));
    assert_eq!(deeds(&world), [&Deed::Read]);
}

#[test]
fn a_stale_token_is_looked_at_in_the_secret_before_it_is_refreshed() {
    let mut world = World::of(account().with_target("brainz"));
    world.pass();
    world.secret.then = Ok(token(start() + minutes(4)));
    world.surroundings.token = Some(token(start() + minutes(4)));
    world.run_for(minutes(20));
    assert_eq!(deeds(&world), [&Deed::LoadedToken, &REFRESHED, &Deed::Read, &prepared("brainz")]);

    let mut world = World::of(account().with_target("brainz"));
    world.pass();
    world.surroundings.token = Some(token(start()));
    world.run_for(minutes(20));
    assert_eq!(deeds(&world), [&Deed::LoadedToken, &Deed::Read], "another process has refreshed it");
}

#[test]
fn less_than_the_buffer_is_stale_and_no_access_token_is_too() {
    for (expires_at, refreshes) in [
        (Some(start() + minutes(5)), 1),
        (Some(start() + minutes(5) + seconds(1)), 0),
        (Some(start() - hours(1)), 1),
        (None, 1),
    ] {
        let mut world = World::of(account().with_target("brainz"));
        world.secret.then = Ok(TokenView { expires_at, ..token(start()) });
        world.pass();
        assert_eq!(world.count(|deed| *deed == REFRESHED), refreshes, "{expires_at:?}");
        assert_eq!(world.reads(), 1);
    }
}

#[test]
fn a_token_whose_whole_life_is_shorter_than_the_buffer_is_used() {
    let mut world = World::of(account().with_target("brainz"));
    world.secret.then = Ok(token(start()));
    world.exchanges.then = Exchange::Succeeds { life: seconds(60) };
    world.pass();
    assert_eq!(deeds(&world), [&Deed::LoadedToken, &REFRESHED, &Deed::Identified, &Deed::Read, &prepared("brainz")]);
    assert_eq!(world.status().condition(ConditionType::Ready), "True Succeeded");
}

#[test]
fn every_refresh_that_fails_ends_the_pass_and_leaves_spotify_and_targets_alone() {
    let secret = || ObjectName::new("music", "alice-spotify");
    let revoked = Refusal::InvalidGrant { expired: false };
    for (outcome, reason, stalled) in [
        (RefreshOutcome::TokenSecret(SecretTrouble::NotFound { secret: secret() }), Reason::SecretNotFound, true),
        (
            RefreshOutcome::TokenSecret(SecretTrouble::WriteForbidden { secret: secret() }),
            Reason::SecretWriteForbidden,
            true,
        ),
        (RefreshOutcome::TokenSecret(SecretTrouble::Immutable { secret: secret() }), Reason::SecretImmutable, true),
        (RefreshOutcome::TokenSecret(SecretTrouble::Cluster), Reason::NetworkError, false),
        (RefreshOutcome::ClientSecret(SecretTrouble::NotFound { secret: secret() }), Reason::SecretNotFound, true),
        (
            RefreshOutcome::ClientSecret(SecretTrouble::NotLabelled { secret: secret(), wanted: "client" }),
            Reason::SecretNotLabelled,
            true,
        ),
        (RefreshOutcome::FlowMismatch { flow: crate::domain::token::Flow::Pkce }, Reason::ConfigurationInvalid, true),
        (RefreshOutcome::Refused { refusal: revoked, interrupted: None }, Reason::AuthorizationRevoked, true),
        (
            RefreshOutcome::Refused {
                refusal: revoked,
                interrupted: Some(crate::plan::Interruption::Claimed { time: start() }),
            },
            Reason::RefreshInterrupted,
            true,
        ),
        (
            RefreshOutcome::Refused { refusal: Refusal::InvalidClient, interrupted: None },
            Reason::ClientCredentialsInvalid,
            true,
        ),
        (RefreshOutcome::RateLimited { retry_after: None }, Reason::RateLimited, false),
        (RefreshOutcome::Failed(Trouble::Status(503)), Reason::UpstreamUnavailable, false),
        (RefreshOutcome::Failed(Trouble::Unreachable), Reason::NetworkError, false),
        (RefreshOutcome::Ambiguous(Trouble::Timeout), Reason::NetworkError, false),
        (RefreshOutcome::Ambiguous(Trouble::Unreadable), Reason::UpstreamUnavailable, false),
        (RefreshOutcome::CommitPending, Reason::NetworkError, false),
    ] {
        let mut world = World::of(account().with_target("brainz"));
        world.secret.then = Ok(token(start()));
        world.exchanges.then = Exchange::Ends(outcome.clone());
        world.pass();
        assert_eq!(deeds(&world), [&Deed::LoadedToken, &REFRESHED], "{outcome:?}");
        assert_eq!(world.status().condition(ConditionType::Ready), format!("False {reason}"), "{outcome:?}");
        let expected = if stalled { format!("True {reason}") } else { String::new() };
        assert_eq!(world.status().condition(ConditionType::Stalled), expected, "{outcome:?}");
        assert_eq!(world.status().condition(ConditionType::Reconciling), "", "{outcome:?}");
    }
}

#[test]
fn somebody_elses_claim_or_write_is_waited_for_without_a_word() {
    for outcome in
        [RefreshOutcome::Claimed { until: start() + seconds(10) }, RefreshOutcome::Conflict, RefreshOutcome::Superseded]
    {
        let mut world = world();
        let before = world.status();
        world.secret.then = Ok(token(start()));
        world.exchanges.next.extend((0..4).map(|_| Exchange::Ends(outcome.clone())));
        let settled = world.pass();
        assert_eq!(deeds(&world), [&Deed::LoadedToken, &REFRESHED], "{outcome:?}");
        assert_eq!(world.status(), before, "{outcome:?}");
        assert!(settled.requeue <= seconds(1) && !settled.worth_writing);
        world.run_for(seconds(10));
        assert_eq!(world.status().condition(ConditionType::Ready), "True Succeeded");
        assert_eq!(world.status().last_handled_reconcile_at.as_deref(), Some("now"), "{outcome:?}");
    }
}

#[test]
fn a_401_is_met_with_one_forced_refresh() {
    let mut world = world();
    world.pages.next.push_back(ApiAnswer::Unauthorized);
    world.pass();
    assert_eq!(
        deeds(&world),
        [&Deed::LoadedToken, &Deed::Read, &prepared("brainz"), &prepared("hook"), &FORCED, &Deed::Read]
    );
    assert_eq!(world.status().condition(ConditionType::Ready), "True Succeeded");

    let mut world = world_with_twice_401();
    world.pass();
    assert_eq!(
        deeds(&world),
        [&Deed::LoadedToken, &Deed::Read, &prepared("brainz"), &prepared("hook"), &FORCED, &Deed::Read]
    );
    let failures = world.status().failures.unwrap();
    assert_eq!(failures.last_reason.as_deref(), Some("UpstreamUnavailable"));
    assert_eq!(failures.consecutive, 1);
}

fn world_with_twice_401() -> World {
    let mut world = world();
    world.pages.then = ApiAnswer::Unauthorized;
    world
}

#[test]
fn a_401_when_asked_whose_token_it_is_is_met_in_the_same_way() {
    let mut world = World::of(account().with_target("brainz"));
    world.listeners.next.push_back(ApiAnswer::Unauthorized);
    world.pass();
    let expected =
        [&Deed::LoadedToken, &Deed::Identified, &FORCED, &Deed::Identified, &Deed::Read, &prepared("brainz")];
    assert_eq!(deeds(&world), expected);

    let mut world = World::of(account().with_target("brainz"));
    world.listeners.then = ApiAnswer::Unauthorized;
    world.pass();
    assert_eq!(deeds(&world), [&Deed::LoadedToken, &Deed::Identified, &FORCED, &Deed::Identified]);
}

#[test]
fn a_new_authorization_is_asked_about_once_and_an_old_one_never() {
    let mut world = world();
    world.secret.then = Ok(TokenView { authorization_id: "authorization-2".to_owned(), ..token(start() + hours(9)) });
    world.pass();
    assert_eq!(world.count(|deed| *deed == Deed::Identified), 1);
    world.run_for(hours(3));
    assert_eq!(world.count(|deed| *deed == Deed::Identified), 1);
    world.restart_after(seconds(20));
    world.run_for(hours(3));
    assert_eq!(world.count(|deed| *deed == Deed::Identified), 1, "nor after a restart");
}

#[test]
fn somebody_elses_token_reads_and_delivers_nothing_whatever_happens_in_between() {
    let mut world = world();
    let other = TokenView { authorization_id: "authorization-2".to_owned(), ..token(start() + hours(90)) };
    world.secret.then = Ok(other.clone());
    world.listeners.then = ApiAnswer::Found(Listener { account_id: "somebody-else".to_owned() });
    world.shows([play("a", start())]);
    world.pass();
    assert_eq!(deeds(&world), [&Deed::LoadedToken, &Deed::Identified]);
    assert_eq!(world.status().condition(ConditionType::Stalled), "True ListenerMismatch");

    world.secret.then = Err(SecretTrouble::NotFound { secret: ObjectName::new("music", "alice-spotify") });
    world.run_for(minutes(5));
    assert_eq!(world.status().condition(ConditionType::Stalled), "True SecretNotFound");
    world.secret.then = Ok(other);
    world.run_for(hours(30));
    assert_eq!(world.status().condition(ConditionType::Stalled), "True ListenerMismatch");
    assert_eq!(world.reads(), 0);
    assert!(world.count(|deed| *deed == Deed::Identified) <= 4);
    let mismatches = world.said.iter().filter(|said| said.reason == "ListenerMismatch").count();
    assert_eq!(mismatches, 2, "once each time it was found: {:?}", world.said);
}

#[test]
fn one_bad_play_among_a_hundred_is_found_in_few_requests_and_hurts_no_other() {
    let newest = start() - minutes(1);
    for bad in [0_usize, 1, 37, 50, 98, 99] {
        let mut world = World::of(account().with_target("brainz"));
        let shown = evening(100, newest);
        let poison = shown.entries[bad].uri().to_owned();
        world.pages.then = ApiAnswer::Found(Arc::new(shown));
        world.targets = Box::new(move |_, plays| match plays {
            [one] if one.uri == poison => Submission::all(1, &Delivery::Never { reason: "too long".to_owned() }),
            plays if plays.iter().any(|play| play.uri == poison) => Submission::BatchRefused,
            plays => Submission::all(plays.len(), &Delivery::Accepted),
        });
        world.pass();
        let requests = world.count(|deed| matches!(deed, Deed::Sent { .. }));
        assert!(requests <= 15, "play {bad}: {requests} requests, 2 * log2(100) + 2 are allowed");
        let status = world.status();
        assert_eq!(status.sync.as_ref().unwrap().scrobbled_total, 99, "play {bad}");
        assert_eq!((status.targets[0].quarantined, status.targets[0].pending), (1, 0), "play {bad}");
        assert_eq!(status.condition(ConditionType::Ready), "True Succeeded", "a quarantined play blocks nothing");
        world.forget();
        world.run_for(hours(2));
        assert_eq!(world.sent("brainz").len(), 0, "neither a delivered nor a quarantined play is sent again");
    }
}

#[test]
fn a_target_is_left_alone_until_its_next_attempt_while_the_other_delivers() {
    let mut world = world();
    world.shows([play("a", start())]);
    let next = whole_seconds(start() + hours(1));
    world.account =
        world.account.clone().with_target_state("brainz", TargetState::CircuitOpen, Reason::TargetFailing).with_status(
            |status| {
                status.targets.iter_mut().find(|target| target.name == "brainz").unwrap().next_attempt_time =
                    Some(next.clone());
            },
        );
    world.pass();
    assert_eq!(world.sent("brainz").len(), 0, "a request does not pass a target's breaker");
    assert_eq!(world.sent("hook").len(), 1);
    assert_eq!(world.status().condition(ConditionType::Ready), "False TargetFailing");
    assert_eq!(world.status().condition(ConditionType::Stalled), "");
    assert_eq!(world.status().target("brainz").unwrap().pending, 1);
    world.run_for(minutes(61));
    assert_eq!(world.sent("brainz").len(), 1);
    assert_eq!(world.status().condition(ConditionType::Ready), "True Succeeded");
}

#[test]
fn a_target_without_its_secret_does_not_keep_the_other_from_delivering() {
    let mut world = World::of(account().with_target("brainz").with_target("other"));
    let missing = SecretTrouble::NotFound { secret: ObjectName::new("music", "alice-brainz") };
    world.keys.insert("brainz".to_owned(), Script::of(Err(missing)));
    world.shows([play("a", start())]);
    world.pass();
    assert_eq!(world.sent("other").len(), 1);
    assert_eq!(world.sent("brainz").len(), 0);
    assert_eq!(world.status().condition(ConditionType::Ready), "False SecretNotFound");
    assert_eq!(world.status().condition(ConditionType::Synced), "True Succeeded");
    world.keys.clear();
    world.run_for(minutes(1));
    assert_eq!(world.sent("brainz").len(), 1, "its Secret was seen within a minute");
    assert_eq!(world.sent("other").len(), 1);
    assert_eq!(world.status().condition(ConditionType::Ready), "True Succeeded");
}

#[test]
fn other_credentials_in_the_spec_are_loaded_at_once() {
    let mut world = World::of(account().with_target("brainz"));
    world.pass();
    world.account.spec.targets[0].credentials_ref.as_mut().unwrap().name = "another".to_owned();
    world.account = world.account.clone().edited();
    world.pass();
    assert_eq!(deeds(&world), [&Deed::Read, &prepared("brainz")]);
}

#[test]
fn nothing_is_begun_while_the_process_stops() {
    let mut world = world();
    world.stopping = true;
    let settled = world.pass();
    assert_eq!(deeds(&world), Vec::<&Deed>::new());
    assert!(!settled.worth_writing);
    assert_eq!(world.status().last_handled_reconcile_at, None, "what was asked for is still to be done");
}

#[test]
fn nothing_is_begun_for_a_suspended_account() {
    let mut world = world();
    world.account = world.account.clone().suspended();
    world.pass();
    assert_eq!(deeds(&world), Vec::<&Deed>::new());
}

#[test]
fn plays_are_delivered_although_the_token_went_stale_while_others_were() {
    let account = account().with_target("brainz").with_target_starting_at("brainz", start() - hours(1));
    let account = account.ready_since(start() - hours(1)).requesting("now");
    let observed = around(&account).with_token(token(start() + minutes(6)));
    let progress = progress()
        .with_loaded(Ok(token(start() + minutes(6))))
        .with_page(page([play("a", start())]), start())
        .with_credentials("brainz", Ok(Credentials { renewed: false }));
    let steps = next_steps(&account, &observed, &progress, start() + minutes(2));
    assert!(matches!(steps[..], [Step::Deliver { .. }]), "{steps:?}");
}

#[test]
fn a_search_for_a_bad_play_ends_where_the_target_is_busy() {
    let mut world = World::of(account().with_target("brainz"));
    world.pages.then = ApiAnswer::Found(Arc::new(evening(40, start())));
    world.targets = Box::new(|_, plays| {
        let busy = Delivery::NotNow { retry_after: None, trouble: Trouble::Status(503) };
        if plays.len() > 20 { Submission::BatchRefused } else { Submission::all(plays.len(), &busy) }
    });
    world.pass();
    assert_eq!(world.sent("brainz").len(), 40 + 20, "the other half waits as well");
    assert_eq!(world.status().targets[0].pending, 40);
}
