//! `status.failures`, the account's breaker and `status.history`.

use jiff::Timestamp;

use super::Verdict;
use crate::api::condition::{Reason, whole_seconds};
use crate::api::v1alpha1::{
    BreakerLimits, FailureStatus, HistoryEntry, HistoryOutcome, SpotifyAccount, SpotifyAccountStatus, SpotifyApp,
};
use crate::plan::breaker;
use crate::plan::failure::Counts;
use crate::plan::observed::{Observed, TokenView};
use crate::plan::pace::Rhythm;
use crate::plan::problem::Problem;
use crate::plan::schedule::Due;
use crate::plan::step::Progress;
use crate::plan::{reference, refresh};

const HISTORY: usize = 5;

pub(super) fn settle(
    status: &mut SpotifyAccountStatus,
    account: &SpotifyAccount,
    observed: &Observed,
    progress: &Progress,
    verdict: &Verdict,
    now: Timestamp,
) {
    match verdict {
        Verdict::Waiting | Verdict::Refreshed | Verdict::Delivered | Verdict::Suspended => {}
        Verdict::Read => {
            status.failures = None;
            status.circuit_breaker = None;
            remember(status, HistoryOutcome::Succeeded, Reason::Succeeded, now);
        }
        Verdict::Wrong(problem) if is_in_time(status, progress, problem) => put_off(status, problem, now),
        Verdict::Wrong(problem) => wrong(status, account, observed, problem, now),
    }
}

/// Whether a refresh ahead of time failed in a way that passes, and the token that is there lives beyond the read that
/// it was for: that read need not wait for the next attempt.
fn is_in_time(status: &SpotifyAccountStatus, progress: &Progress, problem: &Problem) -> bool {
    let Some(Due::Refresh(planned)) = progress.due else { return false };
    let stored = status.token.as_ref().and_then(|token| token.expiry_time.as_ref()).map(|end| end.0);
    let loaded = progress.token.as_ref().and_then(|token| token.as_ref().ok());
    let expires_at = loaded.map_or(stored, TokenView::usable_until);
    let passes = problem.attempted && !problem.stalled && problem.not_before.is_none();
    passes && expires_at.is_some_and(|end| end > refresh::read_after(planned))
}

/// The refresh is tried again later; reads stay on schedule. One failure before a read opens no breaker.
fn put_off(status: &mut SpotifyAccountStatus, problem: &Problem, now: Timestamp) {
    let consecutive = status.failures.as_ref().map_or(0, |failures| failures.consecutive).saturating_add(1);
    fail(status, problem, consecutive, None, now);
    if let Some(token) = &mut status.token {
        token.next_refresh_time = Some(round_up(now + breaker::FIRST_WAIT));
    }
}

fn wrong(
    status: &mut SpotifyAccountStatus,
    account: &SpotifyAccount,
    observed: &Observed,
    problem: &Problem,
    now: Timestamp,
) {
    let known = status.failures.clone().unwrap_or_default();
    let same = known.last_reason.as_deref() == Some(problem.reason.as_str());
    if !problem.attempted && same && known.next_attempt_time.is_none() {
        return;
    }
    // The app's fault counts against no account.
    let counts = problem.attempted && problem.counts != Counts::App;
    let consecutive = if counts { known.consecutive.saturating_add(1) } else { known.consecutive };
    let longest = Rhythm::of(account, observed, status).interval_at(now);
    // Trouble moves the account's own breaker; a wait that somebody asked for, and what only a human can mend, have times of
    // their own.
    let breaks = problem.counts == Counts::Account;
    let opened = breaks.then(|| {
        let limits = limits(observed);
        breaker::after_failure(status.circuit_breaker.as_ref(), consecutive, limits, now)
    });
    let opened = opened.flatten();
    let own = match &opened {
        Some(breaker) => breaker.next_probe_time.as_ref().map(|time| time.0),
        None => Some(now + breaker::wait_after(consecutive, longest)),
    };
    let next = match problem.not_before {
        _ if !problem.attempted => None,
        // Trouble with a time is left alone for at least as long as other trouble.
        Some(not_before) if breaks => own.max(Some(not_before)),
        Some(not_before) => Some(not_before),
        None => own,
    };
    if breaks {
        status.circuit_breaker = opened;
    } else if problem.stalled {
        // It waits for a human, not for a probe.
        status.circuit_breaker = None;
    }
    fail(status, problem, consecutive, next, now);
}

pub(super) fn fail(
    status: &mut SpotifyAccountStatus,
    problem: &Problem,
    consecutive: i32,
    next: Option<Timestamp>,
    now: Timestamp,
) {
    status.failures = Some(FailureStatus {
        consecutive,
        last_type: Some(problem.failure),
        last_reason: Some(problem.reason.as_str().to_owned()),
        last_time: Some(whole_seconds(now)),
        next_attempt_time: next.map(round_up),
    });
    remember(status, HistoryOutcome::Failed, problem.reason, now);
}

/// Upstream and network trouble are probed every 15 minutes at the latest.
fn limits(observed: &Observed) -> BreakerLimits {
    limits_by(reference::app(observed).ok())
}

/// The same by the app, if it is known.
pub(super) fn limits_by(app: Option<&SpotifyApp>) -> BreakerLimits {
    let limits = app.map(|app| BreakerLimits::from(&app.spec.circuit_breaker));
    let limits = limits.unwrap_or(BreakerLimits {
        failure_threshold: 5,
        probe_after: jiff::SignedDuration::from_mins(15),
        max_probe_after: jiff::SignedDuration::from_mins(15),
    });
    let longest = jiff::SignedDuration::from_mins(15);
    BreakerLimits {
        failure_threshold: limits.failure_threshold,
        probe_after: limits.probe_after.min(longest),
        max_probe_after: limits.probe_after.min(longest),
    }
}

/// The next attempt is never shown earlier than it is made.
pub(in crate::plan) fn round_up(time: Timestamp) -> k8s_openapi::apimachinery::pkg::apis::meta::v1::Time {
    whole_seconds(time.saturating_add(jiff::SignedDuration::from_millis(999)).unwrap_or(time))
}

fn remember(status: &mut SpotifyAccountStatus, outcome: HistoryOutcome, reason: Reason, now: Timestamp) {
    let now = whole_seconds(now);
    match status.history.first_mut() {
        Some(newest) if newest.outcome == outcome && newest.reason == reason.as_str() => {
            newest.last_time = now;
            newest.count = newest.count.saturating_add(1);
        }
        _ => {
            let entry = HistoryEntry {
                outcome,
                reason: reason.as_str().to_owned(),
                first_time: now.clone(),
                last_time: now,
                count: 1,
            };
            status.history.insert(0, entry);
            status.history.truncate(HISTORY);
        }
    }
}
