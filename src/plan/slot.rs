//! Slots: the times at which an account is read while all is well.
//!
//! Each account has its own phase in the interval, so that many accounts spread evenly and a restart changes nothing.

use std::hash::Hasher as _;

use jiff::{SignedDuration, Timestamp};

use super::observed::Duty;

/// Spotify shows so many plays and no more.
const SHOWN_PLAYS: i64 = 50;

/// The next slot of an account.
///
/// A slot that fell while nobody was on duty is made up once: at once where 50 plays could have been heard since the
/// slot before it, else spread, so that together with the slots that go on as ever the rate stays within 1.5 times the
/// steady one.
pub(super) fn next_slot(
    uid: &str,
    interval: SignedDuration,
    last_read: Option<Timestamp>,
    duty: &Duty,
    pace: SignedDuration,
) -> Timestamp {
    let regular = slot_after(uid, interval, last_read.unwrap_or(duty.since).max(duty.since));
    let (None, Some(before_until)) = (last_read, duty.before_until) else { return regular };
    let missed = slot_after(uid, interval, before_until);
    if missed > duty.since {
        return regular;
    }
    let away = duty.since.duration_since(before_until).min(interval);
    let spread = duty.since + fraction(uid, away.saturating_mul(2));
    let before = missed - interval;
    let overflow = pace.saturating_mul(i32::try_from(SHOWN_PLAYS).unwrap_or(i32::MAX));
    let at_once = spread.min(regular).duration_since(before) >= overflow;
    if at_once { duty.since } else { spread.min(regular) }
}

/// The first slot after a time: slots are `interval` apart and begin at the account's own phase.
pub fn slot_after(uid: &str, interval: SignedDuration, time: Timestamp) -> Timestamp {
    let milliseconds = i64::try_from(interval.as_millis()).unwrap_or(i64::MAX).max(1);
    let phase = i64::try_from(fraction(uid, interval).as_millis()).unwrap_or(0);
    let into = (time.as_millisecond() - phase).rem_euclid(milliseconds);
    time_of(time.as_millisecond() - into + milliseconds)
}

/// The first slot at a time or after it.
pub fn slot_from(uid: &str, interval: SignedDuration, time: Timestamp) -> Timestamp {
    slot_after(uid, interval, time.saturating_sub(SignedDuration::from_nanos(1)).unwrap_or(time))
}

fn time_of(milliseconds: i64) -> Timestamp {
    Timestamp::from_millisecond(milliseconds).unwrap_or(Timestamp::MAX)
}

/// A part of a duration that is the account's own.
fn fraction(uid: &str, whole: SignedDuration) -> SignedDuration {
    let mut hasher = Fnv1a::default();
    hasher.write(uid.as_bytes());
    let milliseconds = u64::try_from(whole.as_millis()).unwrap_or(0);
    let part = (u128::from(hasher.finish()) * u128::from(milliseconds)) >> 64;
    SignedDuration::from_millis(i64::try_from(part).unwrap_or(0))
}

/// FNV-1a with 64 bits and a final mix: one value for one uid on every machine and in every version.
struct Fnv1a(u64);

impl Default for Fnv1a {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl std::hash::Hasher for Fnv1a {
    fn finish(&self) -> u64 {
        let mixed = (self.0 ^ (self.0 >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        mixed ^ (mixed >> 33)
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::random::config;

    fn time(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_795_000_000 + seconds).unwrap()
    }

    fn seconds(seconds: i64) -> SignedDuration {
        SignedDuration::from_secs(seconds)
    }

    fn slot(uid: &str, last_read: Option<i64>, since: i64, before: Option<i64>) -> i64 {
        let duty = Duty { since: time(since), before_until: before.map(time) };
        let slow = seconds(3600);
        let next = next_slot(uid, seconds(1200), last_read.map(time), &duty, slow);
        next.duration_since(time(0)).as_secs()
    }

    proptest! {
        #![proptest_config(config(256))]

        #[test]
        fn reads_are_never_further_apart_than_the_interval(uid in "[a-f0-9]{8}", interval in 1_i64..86_400, at in 0_i64..10_000_000) {
            let next = slot_after(&uid, seconds(interval), time(at));
            prop_assert!(next > time(at));
            prop_assert!(next.duration_since(time(at)) <= seconds(interval));
            prop_assert_eq!(slot_after(&uid, seconds(interval), next).duration_since(next), seconds(interval));
        }

        #[test]
        fn a_restart_between_two_slots_changes_nothing(uid in "[a-f0-9]{8}", read in 0_i64..100_000) {
            let next = slot(&uid, Some(read), 0, None);
            prop_assume!(next > read + 2);
            prop_assert_eq!(slot(&uid, None, read + 2, Some(read + 1)), next);
        }

        #[test]
        fn a_missed_slot_is_made_up_within_twice_the_absence(uid in "[a-f0-9]{8}", away in 1_i64..1_000) {
            let next = slot(&uid, None, away, Some(0));
            let missed = slot_after(&uid, seconds(1200), time(0)) <= time(away);
            if missed {
                prop_assert!(next <= away + 2 * away.min(1200));
            } else {
                prop_assert_eq!(time(next).as_second(), slot_after(&uid, seconds(1200), time(away)).as_second());
            }
        }
    }

    #[test]
    fn an_account_that_could_have_overflowed_is_read_at_once() {
        let duty = Duty { since: time(7200), before_until: Some(time(0)) };
        let fast = seconds(31);
        assert_eq!(next_slot("uid", seconds(1200), None, &duty, fast), time(7200));
    }

    #[test]
    fn accounts_spread_over_the_interval() {
        let mut quarters = [0; 4];
        for number in 0..400 {
            let part = fraction(&format!("account-{number}"), seconds(400)).as_secs();
            quarters[usize::try_from(part / 100).unwrap()] += 1;
        }
        assert!(quarters.iter().all(|count| (60..140).contains(count)), "{quarters:?}");
    }
}
