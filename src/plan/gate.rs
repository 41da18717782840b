//! Gates: times before which nothing is sent to Spotify, because Spotify asked to wait.
//!
//! Spotify has two limits, and both answer 429: the calls of an app in 30 seconds, and the calls of a developer account in
//! about a day. Whichever account meets one, all accounts of the app, or of the quota group, wait together. What is known
//! is kept in the app's status, so that a restart sends nothing early. When a gate opens, those that waited come one after
//! the other ([`spread`]).

use jiff::{SignedDuration, Timestamp};

use super::client::Standing;
use super::failure::Failure;
use super::observed::{Lookup, Observed};
use super::pacing;
use super::premium;
use super::problem::Problem;
use super::schedule;
use super::slot::fraction;
use super::step::{Progress, RefreshOutcome};
use crate::api::condition::{Reason, whole_seconds};
use crate::api::v1alpha1::{RateLimitStatus, SpotifyAccount, SpotifyAppStatus};
use crate::domain::answer::{ApiAnswer, Trouble};

/// How long nothing is sent after a 429 that does not say: the window of Spotify's rate limit
/// (developer.spotify.com, "Rate Limits").
const RATE_WINDOW: SignedDuration = SignedDuration::from_secs(30);
/// The same where the day's quota is spent.
const QUOTA_PAUSE: SignedDuration = SignedDuration::from_hours(1);
/// No 30-second limit asks to wait for so long: it is the quota, whether or not the answer says so.
const NO_RATE_LIMIT: SignedDuration = SignedDuration::from_mins(10);

/// What Spotify limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Calls of one app in 30 seconds.
    Rate,
    /// Calls of a developer account in a day.
    Quota,
}

impl Limit {
    /// The failure that it is.
    pub fn failure(self) -> Failure {
        match self {
            Self::Rate => Failure::ApiLimited,
            Self::Quota => Failure::QuotaExceeded,
        }
    }
}

/// A 429.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Which limit was met.
    pub limit: Limit,
    /// How long nothing is to be sent.
    pub wait: SignedDuration,
}

/// What a 429 asks for: `retry_after` is its `Retry-After`, `quota` whether its body names the quota.
pub fn asked(retry_after: Option<SignedDuration>, quota: bool) -> Asked {
    let limit = if quota || retry_after.is_some_and(|wait| wait >= NO_RATE_LIMIT) { Limit::Quota } else { Limit::Rate };
    let unknown = match limit {
        Limit::Rate => RATE_WINDOW,
        Limit::Quota => QUOTA_PAUSE,
    };
    Asked { limit, wait: retry_after.unwrap_or(unknown).max(SignedDuration::from_secs(1)) }
}

/// What the end of an exchange asks for, if it asks to wait.
pub fn asked_by_exchange(outcome: &RefreshOutcome) -> Option<Asked> {
    match outcome {
        RefreshOutcome::RateLimited { retry_after } => Some(asked(*retry_after, false)),
        RefreshOutcome::Failed(trouble) => asked_by_trouble(trouble),
        _ => None,
    }
}

/// What an answer of the Web API asks for, if it asks to wait.
pub fn asked_by_answer<T>(answer: &ApiAnswer<T>) -> Option<Asked> {
    match answer {
        ApiAnswer::RateLimited { retry_after, quota } => Some(asked(*retry_after, *quota)),
        ApiAnswer::Failed(trouble) => asked_by_trouble(trouble),
        ApiAnswer::Found(_) | ApiAnswer::Unauthorized | ApiAnswer::Forbidden(_) => None,
    }
}

/// An error with `Retry-After` speaks of no quota, however long it asks to wait.
fn asked_by_trouble(trouble: &Trouble) -> Option<Asked> {
    match trouble {
        Trouble::Busy { retry_after, .. } => Some(Asked { limit: Limit::Rate, wait: *retry_after }),
        _ => None,
    }
}

/// An app's gates. Times are whole seconds, as status tells them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gates {
    /// Nothing is sent for the app before.
    pub rate_until: Option<Timestamp>,
    /// Nothing is sent for the quota group before.
    pub quota_until: Option<Timestamp>,
}

impl Gates {
    /// As an app's status tells them.
    pub fn of(status: &SpotifyAppStatus) -> Self {
        let rate = status.rate_limit.as_ref().and_then(|limit| limit.until_time.as_ref());
        let quota = status.quota.as_ref().and_then(|quota| quota.until_time.as_ref());
        Self { rate_until: rate.map(|until| until.0), quota_until: quota.map(|until| until.0) }
    }

    /// Tells them in an app's status.
    pub fn write_to(self, status: &mut SpotifyAppStatus) {
        status.rate_limit = self.rate_until.map(|until| RateLimitStatus { until_time: Some(whole_seconds(until)) });
        if self.quota_until.is_some() || status.quota.is_some() {
            let quota = status.quota.get_or_insert_default();
            quota.until_time = self.quota_until.map(whole_seconds);
        }
        status.quota.take_if(|quota| *quota == crate::api::v1alpha1::QuotaStatus::default());
    }

    /// The gate that is closed for longest, and until when; none where both are open.
    pub fn closed(self, now: Timestamp) -> Option<(Limit, Timestamp)> {
        let rate = self.rate_until.map(|until| (Limit::Rate, until));
        let quota = self.quota_until.map(|until| (Limit::Quota, until));
        rate.into_iter().chain(quota).filter(|(_, until)| *until > now).max_by_key(|(_, until)| *until)
    }

    /// After a 429. A gate that is closed for longer already stays so.
    #[must_use]
    pub fn after(self, asked: Asked, now: Timestamp) -> Self {
        let until = whole_second_after(now.saturating_add(asked.wait).unwrap_or(Timestamp::MAX));
        match asked.limit {
            Limit::Rate => Self { rate_until: self.rate_until.max(Some(until)), ..self },
            Limit::Quota => Self { quota_until: self.quota_until.max(Some(until)), ..self },
        }
    }

    /// Without those that are open.
    #[must_use]
    pub fn lifted(self, now: Timestamp) -> Self {
        let closed = |until: &Timestamp| *until > now;
        Self { rate_until: self.rate_until.filter(closed), quota_until: self.quota_until.filter(closed) }
    }
}

/// Never earlier than it was asked for.
fn whole_second_after(time: Timestamp) -> Timestamp {
    whole_seconds(time.saturating_add(SignedDuration::from_millis(999)).unwrap_or(time)).0
}

/// For how long those that waited for the same thing come one after the other: as long as their first calls take at the
/// steady rate.
pub fn spread(accounts: i32, requests_per_30s: u32) -> SignedDuration {
    pacing::level_spacing(requests_per_30s).saturating_mul((accounts - 1).clamp(0, 1_000_000))
}

/// When an account that waits until a time has its turn: everybody has a time of their own in the [`spread`].
pub fn opening(account: &SpotifyAccount, observed: &Observed, until: Timestamp) -> Timestamp {
    let Lookup::Found(app) = &observed.app else { return until };
    let accounts = app.status.as_ref().map_or(0, |status| status.accounts);
    let uid = account.metadata.uid.as_deref().unwrap_or_default();
    let own = fraction(uid, spread(accounts, observed.settings.app_requests_per_30s));
    whole_second_after(until.saturating_add(own).unwrap_or(until))
}

/// Why nothing is sent for an account's app now, though its credentials are not refused, and until when.
fn closed(observed: &Observed, now: Timestamp) -> Option<(Why, Timestamp)> {
    let Lookup::Found(app) = &observed.app else { return None };
    why_closed(&Standing::of(app), now)
}

/// Until when nothing is sent for an app, though its credentials are not refused; none where something may be.
pub fn closed_until(standing: &Standing, now: Timestamp) -> Option<Timestamp> {
    why_closed(standing, now).map(|(_, until)| until)
}

fn why_closed(standing: &Standing, now: Timestamp) -> Option<(Why, Timestamp)> {
    let why = if standing.unpaid { Why::Unpaid } else { Why::Outage };
    let outage = standing.outage_until().filter(|until| *until > now).map(|until| (why, until));
    let gate = standing.gates.closed(now).map(|(limit, until)| (Why::Limit(limit), until));
    // A limit that Spotify names is more than a guess about when it may be back.
    gate.into_iter().chain(outage).reduce(|gate, outage| if outage.1 > gate.1 { outage } else { gate })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    Limit(Limit),
    Outage,
    /// The app's owner has no Premium.
    Unpaid,
}

/// When an account whose turn would come at a time may ask Spotify: then, or when its app's gate has opened.
pub(super) fn passed(account: &SpotifyAccount, observed: &Observed, own: Timestamp, now: Timestamp) -> Timestamp {
    match closed(observed, now) {
        Some((_, until)) if own != Timestamp::MAX => own.max(opening(account, observed, until)),
        _ => own,
    }
}

/// Whether a gate of the account's app is closed.
pub(super) fn is_closed(observed: &Observed, now: Timestamp) -> bool {
    closed(observed, now).is_some()
}

/// What an account says that would ask Spotify now and may not; none where it says so already.
pub(super) fn to_be_said(
    account: &SpotifyAccount,
    observed: &Observed,
    progress: &Progress,
    now: Timestamp,
) -> Option<Problem> {
    let (why, until) = closed(observed, now)?;
    let status = account.status.clone().unwrap_or_default();
    if progress.held_until.is_none() && schedule::own_question(account, observed, &status, now) > now {
        return None;
    }
    let problem = problem(account, observed, why, until);
    let failures = status.failures.unwrap_or_default();
    let said = failures.last_reason.as_deref() == Some(problem.reason.as_str())
        && failures.next_attempt_time.map(|next| next.0) == problem.not_before;
    (!said || schedule::is_changed(account)).then_some(problem)
}

/// What keeps the account's app from asking Spotify now, if anything does.
pub(super) fn in_force(account: &SpotifyAccount, observed: &Observed, now: Timestamp) -> Option<Problem> {
    closed(observed, now).map(|(why, until)| problem(account, observed, why, until))
}

fn problem(account: &SpotifyAccount, observed: &Observed, why: Why, until: Timestamp) -> Problem {
    let app = &observed.app_name;
    let (failure, message) = match why {
        Why::Limit(Limit::Rate) => (
            Failure::ApiLimited,
            format!("Spotify asks SpotifyApp {app} to wait until {until:.0}; its accounts follow one after the other"),
        ),
        Why::Limit(Limit::Quota) => (
            Failure::QuotaExceeded,
            format!(
                "the daily quota of the Spotify developer account behind SpotifyApp {app} is spent until {until:.0}; the accounts follow one after the other"
            ),
        ),
        Why::Unpaid => premium::told(&format!("SpotifyApp {app}"), until),
        Why::Outage => (
            Failure::AppAway,
            format!(
                "Spotify gives no usable answer to any account of SpotifyApp {app}: one request probes at {until:.0}, and if it is answered the accounts follow one after the other"
            ),
        ),
    };
    Problem::of(failure, message).until(opening(account, observed, until))
}

/// What an account says whose own request met a limit, or made it plain that Spotify is away: that is the app's problem,
/// not the account's.
pub(super) fn shared(
    own: Problem,
    account: &SpotifyAccount,
    observed: &Observed,
    progress: &Progress,
    now: Timestamp,
) -> Problem {
    let waits = |answer: &ApiAnswer<()>| matches!(answer, ApiAnswer::RateLimited { .. } | ApiAnswer::Failed(_));
    let page = progress.page.as_ref().is_some_and(|page| waits(&page.clone().map(|_| ())));
    let listener = progress.listener.as_ref().is_some_and(|listener| waits(&listener.clone().map(|_| ())));
    let exchange = matches!(
        progress.refresh,
        Some(RefreshOutcome::RateLimited { .. } | RefreshOutcome::Failed(_) | RefreshOutcome::Ambiguous(_))
    );
    let met = closed(observed, now).filter(|(why, _)| match why {
        Why::Unpaid => own.reason == Reason::AppOwnerNotPremium,
        Why::Limit(_) | Why::Outage => !own.stalled && (page || listener || exchange),
    });
    met.map_or(own, |(why, until)| problem(account, observed, why, until))
}

/// What the app itself says while a gate is closed or Spotify is away.
pub(super) fn problem_of_app(standing: &Standing, now: Timestamp) -> Option<Problem> {
    let (failure, message) = match (standing.gates.closed(now), standing.outage_until()) {
        (Some((Limit::Rate, until)), _) => (
            Failure::ApiLimited,
            format!(
                "Spotify asks to wait until {until:.0}: nothing is sent for the app's accounts before; nobody has to act"
            ),
        ),
        (Some((Limit::Quota, until)), _) => (
            Failure::QuotaExceeded,
            format!(
                "the daily quota of the Spotify developer account is spent until {until:.0}: nothing is sent for its apps before; if this recurs, lower spec.quota.dailyCalls"
            ),
        ),
        (None, Some(until)) => (
            Failure::AppAway,
            format!("Spotify gives no usable answer to any of the app's accounts: one request probes at {until:.0}"),
        ),
        (None, None) => return None,
    };
    Some(Problem::of(failure, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(second: i64) -> Timestamp {
        Timestamp::from_second(1_795_000_000 + second).unwrap()
    }

    fn seconds(seconds: i64) -> SignedDuration {
        SignedDuration::from_secs(seconds)
    }

    #[test]
    fn a_429_is_the_quota_if_it_says_so_or_asks_for_longer_than_a_rate_limit_does() {
        for (retry_after, quota, limit, wait) in [
            (None, false, Limit::Rate, 30),
            (Some(0), false, Limit::Rate, 1),
            (Some(11), false, Limit::Rate, 11),
            (Some(599), false, Limit::Rate, 599),
            (Some(600), false, Limit::Quota, 600),
            (Some(52_531), false, Limit::Quota, 52_531),
            (None, true, Limit::Quota, 3600),
            (Some(5), true, Limit::Quota, 5),
        ] {
            let expected = Asked { limit, wait: seconds(wait) };
            assert_eq!(asked(retry_after.map(seconds), quota), expected, "{retry_after:?} {quota}");
        }
    }

    #[test]
    fn gates_close_to_the_second_after_and_stay_closed_as_long_as_anybody_was_told() {
        let now = time(0) + SignedDuration::from_millis(10);
        let gates = Gates::default().after(asked(Some(seconds(30)), false), now);
        assert_eq!(gates, Gates { rate_until: Some(time(31)), quota_until: None });
        assert_eq!(gates.after(asked(Some(seconds(5)), false), now), gates);
        let both = gates.after(asked(Some(seconds(3600)), true), now);
        assert_eq!(both.closed(now), Some((Limit::Quota, time(3601))));
        assert_eq!(both.closed(time(3601)), None);
        assert_eq!(both.lifted(time(31)), Gates { rate_until: None, quota_until: Some(time(3601)) });
    }

    #[test]
    fn status_holds_gates_and_keeps_what_else_it_tells_of_the_quota() {
        let mut status = SpotifyAppStatus::default();
        let gates = Gates { rate_until: Some(time(1)), quota_until: Some(time(2)) };
        gates.write_to(&mut status);
        assert_eq!(Gates::of(&status), gates);
        status.quota.as_mut().unwrap().window_start_time = Some(whole_seconds(time(-5)));
        Gates::default().write_to(&mut status);
        assert_eq!(Gates::of(&status), Gates::default());
        assert_eq!(status.rate_limit, None);
        assert_eq!(status.quota.as_ref().unwrap().window_start_time, Some(whole_seconds(time(-5))));
    }
}
