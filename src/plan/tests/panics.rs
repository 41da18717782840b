//! What a panic leaves on its account, and when it is tried again.

use jiff::{SignedDuration, Timestamp};

use super::accounts::{AccountSentence, StatusQuestion, account, minutes, start};
use super::observations::{ProgressSentence, around, progress};
use super::plays::page;
use crate::api::condition::{ConditionType, Reason, find_condition};
use crate::api::v1alpha1::{BreakerState, FailureType, SpotifyAccount, SpotifyAccountStatus};
use crate::plan::schedule::Due;
use crate::plan::settle::CutOff;
use crate::plan::{schedule, settle};

const PLACE: &str = "src/plan/open.rs:7";

fn at() -> CutOff {
    CutOff::Panicked { place: PLACE.to_owned() }
}

fn after(account: &SpotifyAccount, now: Timestamp) -> SpotifyAccount {
    let status = settle::cut_off(account, None, &at(), now).status;
    SpotifyAccount { status: Some(status), ..account.clone() }
}

fn next(status: &SpotifyAccountStatus) -> SignedDuration {
    status.failures.as_ref().unwrap().next_attempt_time.as_ref().unwrap().0.duration_since(start())
}

#[test]
fn a_panic_is_told_with_its_place_and_asks_nobody_to_act() {
    for (what, account) in
        [("new", account()), ("ready", account().ready_since(start())), ("suspended before", account().suspended())]
    {
        let settled = settle::cut_off(&account, None, &at(), start());
        let status = &settled.status;
        for kind in [ConditionType::Ready, ConditionType::Synced] {
            assert_eq!(status.condition(kind), "False InternalError", "{what}");
        }
        for absent in [ConditionType::Stalled, ConditionType::Reconciling, ConditionType::CircuitOpen] {
            assert_eq!(status.condition(absent), "", "{what}");
        }
        assert_ne!(status.condition(ConditionType::Authorized), "", "{what}");
        let message = &find_condition(&status.conditions, ConditionType::Ready).unwrap().message;
        let expected = format!(
            "a fault of the operator at {PLACE}; the operator tries again at {:.0}; please report it",
            start() + minutes(1)
        );
        assert_eq!(*message, expected, "{what}");
        let failures = status.failures.as_ref().unwrap();
        assert_eq!((failures.consecutive, failures.last_type), (1, Some(FailureType::Unknown)), "{what}");
        assert_eq!(failures.last_reason.as_deref(), Some("InternalError"), "{what}");
        assert_eq!((next(status), settled.requeue), (minutes(1), minutes(1)), "{what}");
        let said: Vec<_> = settled.announcements.iter().map(|said| (said.warning, said.reason.as_str())).collect();
        assert_eq!(said, [(true, "InternalError")], "{what}");
    }
}

#[test]
fn a_pass_that_took_too_long_is_told_as_that() {
    let account = account().ready_since(start());
    let status = settle::cut_off(&account, None, &CutOff::TooLong, start()).status;
    assert_eq!(status.condition(ConditionType::Ready), "False InternalError");
    assert!(status.message(ConditionType::Ready).starts_with("a pass took longer than it may"));
    assert_eq!(next(&status), minutes(1));
}

#[test]
fn panics_in_a_row_wait_longer_and_open_the_breaker() {
    let mut known = account().ready_since(start());
    let mut waits = Vec::new();
    for _ in 0..6 {
        known = after(&known, start());
        waits.push(next(known.status.as_ref().unwrap()).as_secs() / 60);
    }
    assert_eq!(waits, [1, 2, 4, 8, 15, 15], "doubling, then as the breaker says");
    let status = known.status.as_ref().unwrap();
    assert_eq!(status.breaker_state(), BreakerState::Open);
    assert_eq!(status.condition(ConditionType::Ready), "False CircuitOpen");
    assert_eq!(status.condition(ConditionType::Synced), "False InternalError");
    assert_eq!(status.condition(ConditionType::CircuitOpen), "True CircuitOpen");
    assert_eq!(status.failures.as_ref().unwrap().consecutive, 6);
}

#[test]
fn the_account_is_left_alone_until_then_but_for_one_try_when_somebody_asks() {
    let panicked = after(&account().ready_since(start()), start());
    assert_eq!(settle::rest(&panicked, start()), Some(minutes(1)));
    assert_eq!(settle::rest(&panicked, start() + minutes(1)), None);
    assert_eq!(settle::rest(&account(), start()), None);
    let other = account().trying_again_at(Reason::NetworkError, start() + minutes(1));
    assert_eq!(settle::rest(&other, start()), None, "only after panics");
    for asking in [panicked.clone().requesting("now"), panicked.clone().edited()] {
        assert_eq!(settle::rest(&asking, start()), None);
        assert_eq!(settle::rest(&after(&asking, start()), start()), Some(minutes(2)), "that was the one");
    }
    let observed = around(&panicked);
    assert_eq!(schedule::due(&panicked, &observed, start() + minutes(1)), Due::Read(start() + minutes(1)));
}

#[test]
fn a_read_clears_all_in_one_write() {
    let panicked = after(&account().ready_since(start()), start());
    let now = start() + minutes(1);
    let settled = settle(&panicked, &around(&panicked), &progress().with_page(page([]), now), now);
    assert!(settled.worth_writing);
    assert_eq!(settled.status.failures, None);
    for kind in [ConditionType::Ready, ConditionType::Synced, ConditionType::Authorized] {
        assert_eq!(settled.status.condition(kind), "True Succeeded");
    }
}

#[test]
fn a_request_longer_than_a_status_can_hold_is_acknowledged() {
    let asking = account().ready_since(start()).requesting(&"é".repeat(100_000));
    let handled = schedule::requested(&asking).unwrap().to_owned();
    assert_eq!(handled.chars().count(), 256);
    let acknowledged = asking.with_status(|status| status.last_handled_reconcile_at = Some(handled.clone()));
    assert_eq!(schedule::requested(&acknowledged), None);
}
