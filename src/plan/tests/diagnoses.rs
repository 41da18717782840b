//! What a look at an account asks, and what it tells.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::accounts::{AccountSentence, LISTENER, account, hours, minutes, seconds, start};
use super::observations::{ObservedSentence, app, around, refused_app, token};
use super::plays::{page, play, skipped};
use crate::api::condition::{ConditionType, Reason, set_condition, whole_seconds};
use crate::api::v1alpha1::{BreakerState, BreakerStatus, SpotifyAccount, TargetState};
use crate::domain::answer::{ApiAnswer, Forbidden, Refusal, Trouble};
use crate::domain::listener::Listener;
use crate::domain::name::ObjectName;
use crate::domain::play::Page;
use crate::plan::client::Standing;
use crate::plan::diagnosis::{Diagnosis, Next, Sight, TokenState, diagnose, next, table};
use crate::plan::gate::Gates;
use crate::plan::schedule::Due;
use crate::plan::seating::{Seating, recorded};
use crate::plan::settle::AUTHORIZATION_LIFE;
use crate::plan::step::{RefreshOutcome, SecretTrouble};
use crate::plan::{Lookup, Observed, Progress, Step, TokenView};

/// An account, its surroundings, and what is answered to a look.
struct Look {
    account: SpotifyAccount,
    observed: Observed,
    secret: Result<TokenView, SecretTrouble>,
    exchange: Option<RefreshOutcome>,
    pages: Vec<ApiAnswer<Arc<Page>>>,
    spent_until: Option<Timestamp>,
    held_until: Option<Timestamp>,
}

fn look(account: SpotifyAccount) -> Look {
    let entries = [play("new", start() - minutes(3)), play("newer", start() - seconds(1))];
    let mut shown = page(entries);
    shown.entries.push(skipped(start() - minutes(9)));
    Look {
        observed: around(&account),
        account,
        secret: Ok(token(start() + hours(1))),
        exchange: None,
        pages: vec![ApiAnswer::Found(Arc::new(shown))],
        spent_until: None,
        held_until: None,
    }
}

/// One that is read and delivers, and was read five minutes ago.
fn well() -> SpotifyAccount {
    account().with_target("brainz").ready_since(start() - minutes(5))
}

impl Look {
    fn around(self, change: impl FnOnce(Observed) -> Observed) -> Self {
        Self { observed: change(self.observed), ..self }
    }

    fn secret(self, secret: Result<TokenView, SecretTrouble>) -> Self {
        Self { secret, ..self }
    }

    fn expiring(self) -> Self {
        self.secret(Ok(token(start() + minutes(2))))
    }

    /// Goes through the look. Answers what was asked of Spotify and of Secrets, and what was found.
    fn take(self) -> (Vec<&'static str>, Diagnosis) {
        let Self { account, mut observed, secret, exchange, pages, spent_until, held_until } = self;
        let mut pages = pages.into_iter();
        let mut progress = Progress {
            due: Some(Due::Read(start())),
            calls_spent_until: spent_until,
            held_until,
            ..Progress::default()
        };
        let mut asked = Vec::new();
        let not_asked = loop {
            assert!(asked.len() < 9, "a look without end: {asked:?}");
            let steps = match next(&account, &observed, &progress, start()) {
                Next::Done(why) => break why,
                Next::Steps(steps) => steps,
            };
            for step in steps {
                asked.push(match step {
                    Step::LoadToken => {
                        observed.token = secret.clone().ok();
                        progress.token = Some(secret.clone());
                        "load"
                    }
                    Step::LoadJournal => {
                        progress.journal = Some(Ok(()));
                        "journal"
                    }
                    Step::Refresh { forced } => {
                        progress.forced |= forced;
                        progress.page.take_if(|_| forced);
                        let fresh = TokenView { expires_at: Some(start() + hours(1)), ..secret.clone().unwrap() };
                        let refreshed = RefreshOutcome::Refreshed { token: fresh, time: start(), rotated: false };
                        progress.refresh = Some(exchange.clone().unwrap_or(refreshed));
                        "refresh"
                    }
                    Step::Identify => {
                        let listener = Listener { account_id: LISTENER.to_owned() };
                        progress.listener = Some(ApiAnswer::Found(listener));
                        "identify"
                    }
                    Step::Read => {
                        let answer = pages.next().unwrap();
                        progress.read_time = matches!(answer, ApiAnswer::Found(_)).then(start);
                        progress.page = Some(answer);
                        "read"
                    }
                    other => panic!("{other:?}"),
                });
            }
        };
        let name = ObjectName::new("music", "alice");
        let sight = Sight { name: &name, account: &account, observed: &observed, progress: &progress, not_asked };
        (asked.into_iter().filter(|what| *what != "journal").collect(), diagnose(sight, start()))
    }
}

/// What is asked, `Ready` with its reason, why Spotify was not asked, what went wrong, and the token's state.
type Expected = (&'static [&'static str], &'static str, Option<Reason>, Option<Reason>, TokenState);

fn assert_tells(what: &str, look: Look, expected: Expected) -> Diagnosis {
    let (asked, found) = look.take();
    let reason = |reason: Option<&'static str>| reason.and_then(Reason::from_name);
    let ready = format!("{} {}", found.ready, found.reason);
    let why = reason(found.not_asked.as_ref().map(|why| why.reason));
    let problem = reason(found.problem.as_ref().map(|problem| problem.reason));
    assert_eq!((asked.as_slice(), ready.as_str(), why, problem, found.token.state), expected, "{what}: {found:#?}");
    assert_eq!(found.healthy, found.ready == "True" && found.plays.is_some(), "{what}");
    assert_eq!(found.plays.is_some(), asked.last() == Some(&"read") && problem.is_none(), "{what}");
    found
}

fn with_app(change: impl FnOnce(&mut Standing)) -> Lookup<crate::api::v1alpha1::SpotifyApp> {
    let mut app = app();
    let mut standing = Standing::default();
    change(&mut standing);
    standing.write_to(app.status.get_or_insert_default());
    Lookup::Found(Arc::new(app))
}

fn open(next_probe: Timestamp) -> BreakerStatus {
    BreakerStatus {
        state: BreakerState::Open,
        opened_time: Some(whole_seconds(start())),
        next_probe_time: Some(whole_seconds(next_probe)),
        trips: 1,
    }
}

fn broken() -> SpotifyAccount {
    well().with_status(|status| status.circuit_breaker = Some(open(start() + minutes(9))))
}

/// Spotify has refused this refresh token.
fn revoked(token: &str) -> SpotifyAccount {
    let account = well().stalled_by(Reason::AuthorizationRevoked, ConditionType::Authorized);
    account.trying_again_at(Reason::AuthorizationRevoked, start() + hours(1)).with_status(|status| {
        status.authorization.get_or_insert_default().refused_token_id = Some(token.to_owned());
    })
}

#[test]
fn an_account_that_is_well_is_read_once_and_refreshed_just_in_time() {
    let found =
        assert_tells("well", look(well()), (&["load", "read"], "True Succeeded", None, None, TokenState::Fresh));
    assert!(found.healthy);
    assert_eq!((found.token.expires_in_minutes, found.token.refreshed), (Some(60), false));
    let plays = found.plays.as_ref().unwrap();
    assert_eq!((plays.shown, plays.new, plays.skipped), (3, 2, 1));
    let titles: Vec<&str> = plays.samples.iter().map(|play| play.title.as_str()).collect();
    assert_eq!(titles, ["Title newer", "Title new"], "the newest first");
    assert_eq!((found.failures.consecutive, found.circuit_breaker.state), (0, BreakerState::Closed));
    assert_eq!(found.last_read_time, Some(start() - minutes(5)));
    let read = found.next_read_time.unwrap();
    assert!(read > start() && read <= start() + minutes(20), "as if nobody had asked: {read}");

    let found = assert_tells(
        "expiring",
        look(well()).expiring(),
        (&["load", "refresh", "read"], "True Succeeded", None, None, TokenState::Fresh),
    );
    assert!(found.healthy && found.token.refreshed);
    assert_eq!(found.token.expires_in_minutes, Some(60));

    // A token that the Web API refuses is exchanged once.
    let twice = Look { pages: vec![ApiAnswer::Unauthorized, ApiAnswer::Found(Arc::default())], ..look(well()) };
    assert_tells(
        "refused once",
        twice,
        (&["load", "read", "refresh", "read"], "True Succeeded", None, None, TokenState::Fresh),
    );
    let new = look(account());
    let asked = (&["load", "identify", "read"][..], "True Succeeded", None, None, TokenState::Fresh);
    let found = assert_tells("never read", new, asked);
    assert!(found.next_read_time.is_some_and(|next| next == start()), "its first read is due");
}

#[test]
fn what_keeps_a_pass_from_asking_keeps_a_look_from_it() {
    let until = start() + hours(3);
    let missing = SecretTrouble::NotFound { secret: ObjectName::new("music", "alice-spotify") };
    let gated = |standing: fn(&mut Standing, Timestamp)| {
        look(well()).around(|around| around.with_app(with_app(|app| standing(app, until))))
    };
    let refused = RefreshOutcome::Refused { refusal: Refusal::InvalidGrant { expired: false }, interrupted: None };
    for (what, look, expected) in [
        (
            "suspended",
            look(well().suspended()),
            (&[][..], "False Suspended", Some(Reason::Suspended), None, TokenState::Unknown),
        ),
        (
            "a 429",
            gated(|app, until| app.gates = Gates { rate_until: Some(until), quota_until: None }),
            (&["load"], "True Succeeded", Some(Reason::RateLimited), None, TokenState::Fresh),
        ),
        (
            "the quota",
            gated(|app, until| app.gates = Gates { rate_until: None, quota_until: Some(until) }),
            (&["load"], "True Succeeded", Some(Reason::QuotaExceeded), None, TokenState::Fresh),
        ),
        (
            "an outage",
            gated(|app, until| app.breaker = Some(open(until))),
            (&["load"], "True Succeeded", Some(Reason::UpstreamUnavailable), None, TokenState::Fresh),
        ),
        (
            "an outage whose probe is due",
            gated(|app, _| app.breaker = Some(open(start()))),
            (&["load"], "True Succeeded", Some(Reason::UpstreamUnavailable), None, TokenState::Fresh),
        ),
        (
            "invalid_client",
            look(well()).around(|around| around.with_app(refused_app(until))),
            (
                &["load"],
                "False ClientCredentialsInvalid",
                Some(Reason::ClientCredentialsInvalid),
                None,
                TokenState::Fresh,
            ),
        ),
        (
            "the budget",
            Look { spent_until: Some(until), ..look(well()) },
            (&["load"], "True Succeeded", Some(Reason::BudgetTooSmall), None, TokenState::Fresh),
        ),
        (
            "not its turn",
            Look { held_until: Some(until), ..look(well()) },
            (&["load"], "True Succeeded", Some(Reason::Progressing), None, TokenState::Fresh),
        ),
        (
            "its breaker",
            look(broken()).expiring(),
            (&["load"], "True Succeeded", Some(Reason::CircuitOpen), None, TokenState::Expiring),
        ),
        (
            "its breaker, and a human's new token",
            look(broken())
                .secret(Ok(TokenView { authorization_id: "another".to_owned(), ..token(start() + hours(1)) })),
            (&["load", "identify", "read"], "True Succeeded", None, None, TokenState::Fresh),
        ),
        (
            "revoked, as is known",
            look(revoked("token-1")).expiring(),
            (&["load"], "False AuthorizationRevoked", Some(Reason::AuthorizationRevoked), None, TokenState::Expiring),
        ),
        (
            "revoked, and another token since",
            look(revoked("token-0")).expiring(),
            (&["load", "refresh", "read"], "True Succeeded", None, None, TokenState::Fresh),
        ),
        (
            "revoked, as it turns out",
            Look { exchange: Some(refused), ..look(well()).expiring() },
            (
                &["load", "refresh"],
                "False AuthorizationRevoked",
                None,
                Some(Reason::AuthorizationRevoked),
                TokenState::Expiring,
            ),
        ),
        (
            "no Secret",
            look(well()).secret(Err(missing)),
            (&["load"], "False SecretNotFound", Some(Reason::SecretNotFound), None, TokenState::Unusable),
        ),
        (
            "no app",
            look(well()).around(|around| around.with_app(Lookup::Missing)),
            (&[], "False AppNotFound", Some(Reason::AppNotFound), None, TokenState::Unknown),
        ),
        (
            "an older account's Secret",
            look(well())
                .around(|around| Observed { token_secret_holder: Some(ObjectName::new("music", "bob")), ..around }),
            (&[], "False SecretInUse", Some(Reason::SecretInUse), None, TokenState::Unknown),
        ),
    ] {
        let found = assert_tells(what, look, expected);
        let text = table(&found);
        assert!(text.contains(&format!("Ready:          {} ({}): ", found.ready, found.reason)), "{what}: {text}");
        assert_eq!(text.contains("Not asked:"), found.not_asked.is_some(), "{what}: {text}");
    }
}

#[test]
fn a_gate_and_a_breaker_are_told_with_their_end() {
    let until = start() + hours(3);
    let limited = with_app(|app| app.gates = Gates { rate_until: Some(until), quota_until: None });
    let (_, found) = look(well()).around(|around| around.with_app(limited)).take();
    let json = serde_json::to_value(&found).unwrap();
    assert_eq!(json["gate"], serde_json::json!({"limit": "Rate", "until": "2026-11-23T13:00:00Z"}));
    assert_eq!(json["notAsked"]["until"], "2026-11-23T13:00:00Z");
    assert!(found.next_read_time.is_some_and(|next| next >= until), "{found:?}");
    assert!(table(&found).contains("Gate:           Rate, until 2026-11-23T13:00:00Z"), "{}", table(&found));

    let (_, found) = look(broken()).take();
    let json = serde_json::to_value(&found).unwrap();
    assert_eq!(json["circuitBreaker"]["state"], "Open");
    assert_eq!(json["notAsked"]["until"], "2026-11-23T10:09:00Z");
}

#[test]
fn the_end_of_an_authorization_is_told_in_days() {
    let days = |number: i64| SignedDuration::from_hours(24 * number);
    let expiring = well().with_status(|status| {
        let conditions = &mut status.conditions;
        let reason = Reason::AuthorizationExpiring;
        set_condition(conditions, ConditionType::Authorized, true.into(), reason, "", Some(1), start());
    });
    let authorized = start() - AUTHORIZATION_LIFE + days(6) + hours(5);
    let secret = Ok(TokenView { authorized_at: Some(authorized), ..token(start() + hours(1)) });
    let (asked, found) = look(expiring).secret(secret).take();
    assert_eq!(asked, ["load", "read"]);
    assert!(found.healthy, "Ready until Spotify says no");
    let known = &found.authorization;
    assert_eq!((known.authorized.as_str(), known.reason.as_str()), ("True", "AuthorizationExpiring"));
    assert_eq!((known.days_left, known.estimated), (Some(6), false));
    assert!(table(&found).contains("6 days until re-authorization (2026-11-29)"), "{}", table(&found));
}

#[test]
fn trouble_that_passes_is_told_and_counted_by_nobody() {
    let trouble = |answer| Look { pages: vec![answer], ..look(well()) };
    let read: &[&str] = &["load", "read"];
    let answered = |reason| (read, "True Succeeded", None, Some(reason), TokenState::Fresh);
    for (what, answer, expected) in [
        ("away", ApiAnswer::Failed(Trouble::Status(503)), answered(Reason::UpstreamUnavailable)),
        ("cut", ApiAnswer::Failed(Trouble::Cut), answered(Reason::NetworkError)),
        (
            "a 429",
            ApiAnswer::RateLimited { retry_after: Some(seconds(7)), quota: false },
            answered(Reason::RateLimited),
        ),
        (
            "no scope",
            ApiAnswer::Forbidden(Forbidden::Scope),
            (read, "False ScopeInsufficient", None, Some(Reason::ScopeInsufficient), TokenState::Fresh),
        ),
    ] {
        let found = assert_tells(what, trouble(answer), expected);
        assert_eq!((found.healthy, found.failures.consecutive), (false, 0), "{what}");
    }
    // The fifth in a row would open a breaker in a pass.
    let account = well().with_status(|status| {
        let failures = status.failures.get_or_insert_default();
        (failures.consecutive, failures.last_reason) = (4, Some(Reason::NetworkError.as_str().to_owned()));
    });
    let (_, found) = Look { pages: vec![ApiAnswer::Failed(Trouble::Cut)], ..look(account) }.take();
    assert_eq!((found.ready.as_str(), found.failures.consecutive), ("True", 4));
    assert_eq!(found.circuit_breaker.state, BreakerState::Closed);
}

#[test]
fn each_target_would_receive_what_a_pass_would_send_it() {
    let waiting = page([play("waits", start() - minutes(30))]);
    let account = account()
        .with_target("brainz")
        .with_target("late")
        .with_target_starting_at("late", start() - minutes(1))
        .with_target("other")
        .with_target("gone")
        .ready_since(start() - minutes(5))
        .with_status(|status| {
            let target_ref = crate::api::v1alpha1::NamespacedReference { name: "brainz".to_owned(), namespace: None };
            status.targets.push(crate::api::v1alpha1::AccountTargetStatus {
                name: "brainz".to_owned(),
                target_ref: Some(target_ref),
                pending: 1,
                ..Default::default()
            });
        });
    let look = look(account).around(|around| {
        let held = around.clone().with_waiting(waiting).with_journal_of("brainz");
        let mut around = Observed { journal: held.journal, ..around };
        around.targets[2].holder = Some(ObjectName::new("music", "elder"));
        around.with_target_found("gone", Lookup::Missing)
    });
    let (_, found) = look.take();
    let of = |name: &str| found.targets.iter().find(|target| target.name == name).unwrap();
    // Attached at the look, it would receive what is heard from now on; what waits is sent whatever its age.
    let brainz = of("brainz");
    assert_eq!((brainz.would_receive, brainz.pending), (1, 1), "{brainz:?}");
    assert_eq!(brainz.samples[0].title, "Title waits");
    let late = of("late");
    assert_eq!((late.would_receive, late.pending), (1, 0), "{late:?}");
    assert_eq!(late.samples[0].title, "Title newer");
    let other = of("other");
    assert_eq!((other.would_receive, other.state), (0, TargetState::Idle), "{other:?}");
    let gone = of("gone");
    assert_eq!((gone.state, gone.reason.as_deref()), (TargetState::Failing, Some("TargetNotFound")));
    assert_eq!(gone.target_type, None);
    let json = serde_json::to_value(brainz).unwrap();
    assert_eq!(
        (&json["type"], &json["target"], &json["wouldReceive"]),
        (&"ListenBrainz".into(), &"music/brainz".into(), &1.into())
    );
}

#[test]
fn nothing_that_a_title_holds_moves_a_terminal() {
    let titled = crate::domain::play::Play { title: "a\u{1b}[2Jb\u{202e}c\n".to_owned(), ..play("x", start()) };
    let (_, found) = Look { pages: vec![ApiAnswer::Found(Arc::new(page([titled])))], ..look(well()) }.take();
    let text = table(&found);
    assert!(text.contains("a\u{fffd}[2Jb\u{fffd}c\u{fffd}\n"), "{text}");
}

#[test]
fn a_place_is_known_from_status_where_plans_are_not_read() {
    let planned = || {
        let mut account = well();
        account.spec.plan = Some("founding".to_owned());
        account
    };
    assert_eq!(recorded(&well()), Some(Seating::Unplanned));
    assert_eq!(recorded(&planned()), None, "it has not asked yet");
    assert_eq!(recorded(&planned().suspended()), Some(Seating::Unasked));
    let seated = planned().with_status(|status| {
        status.membership.get_or_insert_default().plan = Some("free".to_owned());
    });
    assert_eq!(recorded(&seated).unwrap().in_force().unwrap().plan, "free");
    let full = planned().stalled_by(Reason::NoSeatLeft, ConditionType::Ready);
    assert_eq!(recorded(&full).unwrap().problem().unwrap().reason, Reason::NoSeatLeft);
}
