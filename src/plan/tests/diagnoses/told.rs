//! What is told.

use std::sync::Arc;

use jiff::SignedDuration;

use super::super::accounts::{AccountSentence, account, hours, minutes, seconds, start};
use super::super::observations::{ObservedSentence, token};
use super::super::plays::{page, play};
use super::{Look, assert_tells, broken, look, well, with_app};
use crate::api::condition::{ConditionType, Reason, set_condition};
use crate::api::v1alpha1::{AccountTargetStatus, BreakerState, NamespacedReference, TargetState};
use crate::domain::answer::{ApiAnswer, Forbidden, Trouble};
use crate::domain::name::ObjectName;
use crate::domain::play::Play;
use crate::plan::diagnosis::{TokenState, table};
use crate::plan::gate::Gates;
use crate::plan::seating::{Seating, recorded};
use crate::plan::settle::AUTHORIZATION_LIFE;
use crate::plan::{Lookup, Observed, TokenView};

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
            let target_ref = NamespacedReference { name: "brainz".to_owned(), namespace: None };
            status.targets.push(AccountTargetStatus {
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
    let titled = Play { title: "a\u{1b}[2Jb\u{202e}c\n".to_owned(), ..play("x", start()) };
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
