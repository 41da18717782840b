//! `status.failures`, `status.history` and the account's breaker.

use std::sync::Arc;

use super::accounts::{AccountSentence, StatusQuestion, account, hours, minutes, start};
use super::observations::{ObservedSentence, ProgressSentence, around, progress, refused_app};
use super::plays::page;
use crate::api::condition::{ConditionType, whole_seconds};
use crate::api::v1alpha1::{
    BreakerState, FailureStatus, FailureType, HistoryOutcome, SpotifyAccount, SpotifyAccountStatus,
};
use crate::domain::answer::{ApiAnswer, Forbidden, Refusal, Trouble};
use crate::domain::name::ObjectName;
use crate::plan::schedule::{Due, due};
use crate::plan::step::{RefreshOutcome, SecretTrouble};
use crate::plan::{Lookup, Observed, Progress, settle};
use jiff::{SignedDuration, Timestamp};

fn after(account: &SpotifyAccount, observed: &Observed, progress: &Progress, now: Timestamp) -> SpotifyAccount {
    let status = settle(account, observed, progress, now).status;
    SpotifyAccount { status: Some(status), ..account.clone() }
}

fn ready() -> SpotifyAccount {
    account().with_target("brainz").ready_since(start())
}

fn busy() -> Progress {
    progress().with_no_page(ApiAnswer::Failed(Trouble::Status(503)))
}

fn fine() -> Progress {
    progress().with_page(page([]), start())
}

fn history(status: &SpotifyAccountStatus) -> Vec<(HistoryOutcome, &str, i64)> {
    status.history.iter().map(|entry| (entry.outcome, entry.reason.as_str(), entry.count)).collect()
}

#[test]
fn every_failure_has_its_type_and_its_next_attempt() {
    let refused = |refusal| RefreshOutcome::Refused { refusal, interrupted: None };
    let secret = ObjectName::new("music", "alice-spotify");
    let second = SignedDuration::from_secs(1);
    for (what, progress, kind, wait) in [
        ("503", busy(), FailureType::Upstream, Some(minutes(1))),
        (
            "a timeout",
            progress().with_no_page(ApiAnswer::Failed(Trouble::Timeout)),
            FailureType::Network,
            Some(minutes(1)),
        ),
        (
            "nonsense",
            progress().with_no_page(ApiAnswer::Failed(Trouble::Unreadable)),
            FailureType::Upstream,
            Some(minutes(1)),
        ),
        (
            "a strange 403",
            progress().with_no_page(ApiAnswer::Forbidden(Forbidden::Other)),
            FailureType::Upstream,
            Some(minutes(1)),
        ),
        ("twice 401", progress().with_no_page(ApiAnswer::Unauthorized), FailureType::Auth, Some(minutes(1))),
        (
            "429",
            progress().with_no_page(ApiAnswer::RateLimited { retry_after: Some(minutes(7)), quota: false }),
            FailureType::RateLimited,
            Some(minutes(7)),
        ),
        (
            "429 without a time",
            progress().with_no_page(ApiAnswer::RateLimited { retry_after: None, quota: false }),
            FailureType::RateLimited,
            Some(second * 30),
        ),
        (
            "429 with no wait at all",
            progress().with_no_page(ApiAnswer::RateLimited { retry_after: Some(SignedDuration::ZERO), quota: false }),
            FailureType::RateLimited,
            Some(second),
        ),
        (
            "the quota",
            progress().with_no_page(ApiAnswer::RateLimited { retry_after: None, quota: true }),
            FailureType::RateLimited,
            Some(hours(1)),
        ),
        (
            "an endless wait",
            progress().with_no_page(ApiAnswer::RateLimited { retry_after: Some(SignedDuration::MAX), quota: true }),
            FailureType::RateLimited,
            None,
        ),
        (
            "the scope",
            progress().with_no_page(ApiAnswer::Forbidden(Forbidden::Scope)),
            FailureType::Auth,
            Some(hours(1)),
        ),
        (
            "the allow-list",
            progress().with_no_page(ApiAnswer::Forbidden(Forbidden::NotAllowlisted)),
            FailureType::Auth,
            Some(hours(1)),
        ),
        (
            "a dead token",
            progress().with_refresh(refused(Refusal::InvalidGrant { expired: false })),
            FailureType::Auth,
            Some(hours(1)),
        ),
        (
            "the app's keys, for this token alone",
            progress().with_refresh(refused(Refusal::InvalidClient)),
            FailureType::Configuration,
            Some(minutes(15)),
        ),
        (
            "a wrong flow",
            progress().with_refresh(refused(Refusal::InvalidRequest)),
            FailureType::Configuration,
            Some(hours(1)),
        ),
    ] {
        let settled = after(&ready(), &around(&ready()), &progress, start());
        let failures = settled.status().failures.unwrap();
        assert_eq!(failures.last_type, Some(kind), "{what}");
        assert_eq!(failures.last_time, Some(whole_seconds(start())), "{what}");
        let next = failures.next_attempt_time.unwrap().0;
        assert!(next > start(), "{what}");
        if let Some(wait) = wait {
            assert_eq!(next, start() + wait, "{what}");
        }
    }
    let missing = progress().with_loaded(Err(SecretTrouble::NotFound { secret }));
    let failures = after(&ready(), &around(&ready()), &missing, start()).status().failures.unwrap();
    assert_eq!((failures.consecutive, failures.next_attempt_time), (0, None), "a change is waited for, not a time");
}

#[test]
fn trouble_with_a_time_waits_for_at_least_as_long_as_other_trouble_and_no_request_passes() {
    let busy = |retry_after| Trouble::Busy { status: 503, retry_after };
    for (asked, failures, wait) in [
        (SignedDuration::ZERO, 0, minutes(1)),
        (minutes(7), 0, minutes(7)),
        (hours(14), 0, hours(14)),
        (minutes(7), 4, minutes(15)),
        (hours(2), 4, hours(2)),
    ] {
        let read = progress().with_no_page(ApiAnswer::Failed(busy(asked)));
        let exchange = progress().with_refresh(RefreshOutcome::Failed(busy(asked)));
        for progress in [read, exchange] {
            let account = ready().with_status(|status| {
                let known = FailureStatus { consecutive: failures, ..FailureStatus::default() };
                status.failures = (failures > 0).then_some(known);
            });
            let account = after(&account, &around(&account), &progress, start());
            let failures = account.status().failures.unwrap();
            assert_eq!(failures.last_reason.as_deref(), Some("UpstreamUnavailable"));
            assert_eq!(failures.last_type, Some(FailureType::RateLimited));
            assert_eq!(failures.next_attempt_time, Some(whole_seconds(start() + wait)), "{asked} {failures:?}");
            let account = account.requesting("now");
            assert_eq!(due(&account, &around(&account), start()), Due::Read(start() + wait), "{asked}");
        }
    }
}

#[test]
fn the_next_attempt_is_never_shown_earlier_than_it_is_made() {
    let now = start() + SignedDuration::from_millis(700);
    let failures = after(&ready(), &around(&ready()), &busy(), now).status().failures.unwrap();
    let next = failures.next_attempt_time.unwrap().0;
    assert!(next >= now + minutes(1) && next < now + minutes(1) + SignedDuration::from_secs(1));
}

#[test]
fn waits_double_up_to_the_interval_and_the_breaker_probes_every_quarter_of_an_hour() {
    let mut account = ready().reading_every(minutes(6));
    let observed = around(&account);
    let mut now = start();
    let mut waits = Vec::new();
    for _ in 0..8 {
        account = after(&account, &observed, &busy(), now);
        let next = account.status().failures.unwrap().next_attempt_time.unwrap().0;
        waits.push(next.duration_since(now).as_secs() / 60);
        now = next;
    }
    assert_eq!(waits, [1, 2, 4, 6, 15, 15, 15, 15]);
    let status = account.status();
    let breaker = status.circuit_breaker.as_ref().unwrap();
    assert_eq!((breaker.state, breaker.trips), (BreakerState::Open, 4));
    assert_eq!(breaker.opened_time, Some(whole_seconds(start() + minutes(13))), "since the fifth failure");
    assert_eq!(status.failures.as_ref().unwrap().consecutive, 8);
    assert_eq!(status.condition(ConditionType::CircuitOpen), "True CircuitOpen");

    let clean = after(&account, &observed, &fine(), now).status();
    assert_eq!((clean.failures.clone(), clean.circuit_breaker.clone()), (None, None));
    assert_eq!(clean.condition(ConditionType::CircuitOpen), "");
}

#[test]
fn the_apps_own_threshold_counts() {
    let mut app = super::observations::app();
    app.spec.circuit_breaker.failure_threshold = 2;
    let mut account = ready();
    let mut observed = around(&account);
    observed.app = Lookup::Found(Arc::new(app));
    account = after(&account, &observed, &busy(), start());
    assert_eq!(account.status().condition(ConditionType::Ready), "True Succeeded");
    account = after(&account, &observed, &busy(), start() + minutes(1));
    assert_eq!(account.status().condition(ConditionType::Ready), "False CircuitOpen");
}

#[test]
fn a_breaker_closes_when_a_human_is_asked_to_act() {
    let mut account = ready();
    let observed = around(&account);
    for _ in 0..5 {
        account = after(&account, &observed, &busy(), start());
    }
    assert_eq!(account.status().condition(ConditionType::CircuitOpen), "True CircuitOpen");
    let dead = RefreshOutcome::Refused { refusal: Refusal::InvalidGrant { expired: false }, interrupted: None };
    let account = after(&account, &observed, &progress().with_refresh(dead), start() + minutes(15));
    assert_eq!(account.status().condition(ConditionType::Stalled), "True AuthorizationRevoked");
    assert_eq!(account.status().condition(ConditionType::CircuitOpen), "");
    assert_eq!(account.status().circuit_breaker, None);
}

#[test]
fn the_apps_fault_counts_against_no_account() {
    let mut account = ready();
    let observed = around(&account).with_app(refused_app(start() + minutes(15)));
    let refused = RefreshOutcome::Refused { refusal: Refusal::InvalidClient, interrupted: None };
    for _ in 0..9 {
        account = after(&account, &observed, &progress().with_refresh(refused.clone()), start());
    }
    assert_eq!(account.status().failures.unwrap().consecutive, 0);
    assert_eq!(account.status().circuit_breaker, None);
    assert_eq!(account.status().condition(ConditionType::Ready), "False ClientCredentialsInvalid");
    assert!(account.status().message(ConditionType::Ready).contains("SpotifyApp music/main"));
}

#[test]
fn what_is_wrong_in_an_object_is_no_attempt() {
    let account = ready();
    let mut observed = around(&account);
    observed.app = Lookup::Missing;
    let once = after(&account, &observed, &progress(), start());
    let failures = once.status().failures.unwrap();
    assert_eq!((failures.consecutive, failures.next_attempt_time.clone()), (0, None));
    assert_eq!(failures.last_reason.as_deref(), Some("AppNotFound"));
    let again = settle(&once, &observed, &progress(), start() + hours(1));
    assert_eq!(again.status.failures, Some(failures), "looking again is no news");
    assert!(!again.worth_writing);
}

#[test]
fn a_probe_that_waits_gives_way_to_what_was_found_without_asking() {
    let account = ready();
    let observed = around(&account);
    let refused = RefreshOutcome::Refused { refusal: Refusal::InvalidRequest, interrupted: None };
    let account = after(&account, &observed, &progress().with_refresh(refused), start());
    assert!(account.status().failures.unwrap().next_attempt_time.is_some());
    let flow = RefreshOutcome::FlowMismatch { flow: crate::domain::token::Flow::Pkce };
    let account = after(&account, &observed, &progress().with_refresh(flow), start() + hours(1));
    assert_eq!(account.status().failures.unwrap().next_attempt_time, None);
}

#[test]
fn history_joins_what_repeats_and_keeps_five() {
    let mut account = ready();
    let observed = around(&account);
    let timeout = || progress().with_no_page(ApiAnswer::Failed(Trouble::Timeout));
    let script = [fine(), fine(), busy(), busy(), busy(), timeout(), fine(), busy(), fine(), timeout()];
    for (number, progress) in script.iter().enumerate() {
        account = after(&account, &observed, progress, start() + minutes(i64::try_from(number).unwrap()));
    }
    let status = account.status();
    assert_eq!(
        history(&status),
        [
            (HistoryOutcome::Failed, "NetworkError", 1),
            (HistoryOutcome::Succeeded, "Succeeded", 1),
            (HistoryOutcome::Failed, "UpstreamUnavailable", 1),
            (HistoryOutcome::Succeeded, "Succeeded", 1),
            (HistoryOutcome::Failed, "NetworkError", 1),
        ]
    );
    let mut account = ready();
    for number in 0..3 {
        account = after(&account, &observed, &busy(), start() + minutes(number));
    }
    let entry = account.status().history.remove(0);
    assert_eq!(
        (entry.first_time, entry.last_time, entry.count),
        (whole_seconds(start()), whole_seconds(start() + minutes(2)), 3)
    );
}
