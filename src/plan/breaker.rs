//! Circuit breakers: after failures in a row nothing is sent until one request probes.

use jiff::{SignedDuration, Timestamp};

use crate::api::condition::whole_seconds;
use crate::api::v1alpha1::{BreakerLimits, BreakerState, BreakerStatus};

/// Waits between the first failures: one minute, doubling.
pub const FIRST_WAIT: SignedDuration = SignedDuration::from_mins(1);

/// How long to wait after so many failures in a row, the breaker still closed: 1 min doubling, at most `longest`.
pub fn wait_after(failures: i32, longest: SignedDuration) -> SignedDuration {
    doubled(FIRST_WAIT, u32::try_from(failures).unwrap_or(0), longest)
}

/// The wait after so many times: `first`, doubling each time, at most `longest` and never less than `first`.
pub fn doubled(first: SignedDuration, times: u32, longest: SignedDuration) -> SignedDuration {
    let doublings = times.saturating_sub(1).min(16);
    (first * 2_i32.saturating_pow(doublings)).min(longest.max(first))
}

/// The breaker after one more failure, `failures` in a row by now; none while it stays closed.
pub fn after_failure(
    before: Option<&BreakerStatus>,
    failures: i32,
    limits: BreakerLimits,
    now: Timestamp,
) -> Option<BreakerStatus> {
    (failures >= limits.failure_threshold).then(|| opened(before, limits, now))
}

/// The breaker opened once more.
pub fn opened(before: Option<&BreakerStatus>, limits: BreakerLimits, now: Timestamp) -> BreakerStatus {
    let trips = before.map_or(0, |breaker| breaker.trips).saturating_add(1);
    let wait = doubled(limits.probe_after, u32::try_from(trips).unwrap_or(0), limits.max_probe_after);
    let opened_time = before.and_then(|breaker| breaker.opened_time.clone()).unwrap_or_else(|| whole_seconds(now));
    BreakerStatus {
        state: BreakerState::Open,
        opened_time: Some(opened_time),
        next_probe_time: Some(whole_seconds(now + wait)),
        trips,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> BreakerLimits {
        BreakerLimits {
            failure_threshold: 5,
            probe_after: SignedDuration::from_mins(15),
            max_probe_after: SignedDuration::from_hours(1),
        }
    }

    #[test]
    fn waits_double_from_a_minute_up_to_the_longest() {
        let longest = SignedDuration::from_mins(5);
        for (failures, minutes) in [(0, 1), (1, 1), (2, 2), (3, 4), (4, 5), (1000, 5), (i32::MAX, 5)] {
            assert_eq!(wait_after(failures, longest), SignedDuration::from_mins(minutes), "{failures}");
        }
        assert_eq!(wait_after(3, SignedDuration::from_secs(1)), SignedDuration::from_mins(1));
    }

    #[test]
    fn a_breaker_opens_at_its_threshold_and_waits_longer_each_time() {
        let now: Timestamp = "2026-11-23T10:00:00Z".parse().unwrap();
        assert_eq!(after_failure(None, 4, limits(), now), None);
        let first = after_failure(None, 5, limits(), now).unwrap();
        assert_eq!(first.next_probe_time, Some(whole_seconds(now + SignedDuration::from_mins(15))));
        let later = now + SignedDuration::from_mins(15);
        let second = after_failure(Some(&first), 6, limits(), later).unwrap();
        assert_eq!(second.opened_time, Some(whole_seconds(now)));
        assert_eq!(second.trips, 2);
        assert_eq!(second.next_probe_time, Some(whole_seconds(later + SignedDuration::from_mins(30))));
        let many = BreakerStatus { trips: 40, ..first };
        let wait = after_failure(Some(&many), 45, limits(), now).unwrap().next_probe_time;
        assert_eq!(wait, Some(whole_seconds(now + SignedDuration::from_hours(1))));
    }
}
