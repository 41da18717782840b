//! Asking for something now (`scrobble-operator.io/reconcile-requested-at`): how often an account's people may.
//!
//! A request is granted at most once a minute, and at most so many times a day that all accounts of the quota group
//! together could spend half of the group's calls on them, but at least twice. The rest is acknowledged with an Event that
//! names when one is granted again; nothing is read for it.

use jiff::{SignedDuration, Timestamp};

use super::schedule;
use super::settle::Announcement;
use crate::api::condition::{Reason, whole_seconds};
use crate::api::v1alpha1::{RequestStatus, SpotifyAccount, SpotifyAccountStatus};

const DAY: SignedDuration = SignedDuration::from_hours(24);
/// However small the budget is.
const LEAST_A_DAY: i64 = 2;
/// Refusals are acknowledged no more often than this: whoever asks ten times a second costs no ten writes.
pub const REFUSALS_APART: SignedDuration = SignedDuration::from_secs(10);

/// How often one account may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The shortest time between two requests that are granted.
    pub interval: SignedDuration,
    /// The most that are granted in a day; none where calls are not limited.
    pub a_day: Option<i64>,
}

impl Limits {
    /// What a budget of calls a day (0: unlimited), shared by so many accounts, leaves for requests.
    pub fn of(interval: SignedDuration, daily_calls: i64, accounts: i64) -> Self {
        let share = daily_calls / (2 * accounts.max(1));
        Self { interval, a_day: (daily_calls > 0).then_some(share.max(LEAST_A_DAY)) }
    }
}

/// A request that is not granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// When one is granted again.
    pub until: Timestamp,
}

impl Refusal {
    /// What is said about it.
    pub fn announcement(&self) -> Announcement {
        let until = self.until;
        Announcement {
            warning: true,
            reason: Reason::RateLimited.as_str().to_owned(),
            note: format!("reconcile-requested-at was set too often and is not granted: set it again after {until:.0}"),
        }
    }
}

/// Whether an account's request, if there is one, is refused. While it is suspended, that is said instead.
pub fn refusal(account: &SpotifyAccount, limits: Limits, now: Timestamp) -> Option<Refusal> {
    schedule::requested(account).filter(|_| !account.spec.suspend)?;
    let known = account.status.as_ref()?.requests.as_ref()?;
    let last = known.last_time.as_ref().map_or(Timestamp::MIN, |last| last.0);
    let next = last.saturating_add(limits.interval).unwrap_or(now);
    let day_ends = day_of(known, now).map(|begin| begin + DAY);
    let spent = limits.a_day.is_some_and(|most| known.granted_in_day >= most);
    let until = next.max(day_ends.filter(|_| spent).unwrap_or(Timestamp::MIN));
    // Times in status are whole seconds; a clock that was set back refuses nobody for ever.
    (until > now && last <= now + SignedDuration::from_secs(1)).then_some(Refusal { until })
}

/// Counts a request that is granted.
pub(super) fn grant(status: &mut SpotifyAccountStatus, now: Timestamp) {
    let known = status.requests.clone().unwrap_or_default();
    let day = day_of(&known, now);
    status.requests = Some(RequestStatus {
        last_time: Some(whole_seconds(now)),
        day_start_time: Some(whole_seconds(day.unwrap_or(now))),
        granted_in_day: if day.is_some() { known.granted_in_day.saturating_add(1) } else { 1 },
    });
}

/// When the running day of an account's requests began; none where none runs.
fn day_of(known: &RequestStatus, now: Timestamp) -> Option<Timestamp> {
    let begin = known.day_start_time.as_ref()?.0;
    (now.duration_since(begin) < DAY && begin <= now + SignedDuration::from_secs(1)).then_some(begin)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::RECONCILE_REQUESTED_AT;
    use crate::plan::tests::accounts::account;

    fn start() -> Timestamp {
        "2026-11-23T10:00:00Z".parse().unwrap()
    }

    fn asked_at(seconds: i64, granted: &[i64], limits: Limits) -> Option<i64> {
        let mut status = SpotifyAccountStatus::default();
        for second in granted {
            grant(&mut status, start() + SignedDuration::from_secs(*second));
        }
        let mut account = account();
        account.status = Some(status);
        account.metadata.annotations =
            Some([(RECONCILE_REQUESTED_AT.to_owned(), "now".to_owned())].into_iter().collect());
        let refused = refusal(&account, limits, start() + SignedDuration::from_secs(seconds));
        refused.map(|refusal| refusal.until.duration_since(start()).as_secs())
    }

    #[test]
    fn one_a_minute_and_so_many_a_day() {
        let minute = SignedDuration::from_mins(1);
        let unlimited = Limits::of(minute, 0, 40);
        let twice = Limits::of(minute, 10, 40);
        assert_eq!(twice.a_day, Some(2));
        assert_eq!(Limits::of(minute, 400, 40).a_day, Some(5));
        for (at, granted, limits, refused_until) in [
            (0, vec![], unlimited, None),
            (30, vec![0], unlimited, Some(60)),
            (60, vec![0], unlimited, None),
            (6_000, (0..90).map(|minutes| 60 * minutes).collect(), unlimited, None),
            (120, vec![0, 60], twice, Some(86_400)),
            (86_400, vec![0, 60], twice, None),
            (86_460, vec![0, 60, 86_400], twice, None),
            (86_520, vec![0, 60, 86_400, 86_460], twice, Some(172_800)),
            // The clock was set back by a day.
            (0, vec![86_400], unlimited, None),
        ] {
            assert_eq!(asked_at(at, &granted, limits), refused_until, "at {at} after {granted:?}");
        }
    }
}
