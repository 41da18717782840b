//! Slots: the times at which an account is read while all is well.
//!
//! Each account has its own phase in the interval, so that many accounts spread evenly and a restart changes nothing.

use std::hash::Hasher as _;

use jiff::{SignedDuration, Timestamp};

use super::observed::Duty;
use super::pace::{Rhythm, SAFE_INTERVAL};
use crate::domain::play::SHORTEST_PLAY;

/// Spotify shows so many plays and no more.
const SHOWN_PLAYS: i32 = 50;
/// What is made up for somebody about whom nothing is known comes before so many plays at the fastest pace.
const PLAYS_BEFORE_MAKING_UP: i32 = 48;
/// No plays are promised to be kept through an absence of this length.
const LONG_ABSENCE: SignedDuration = SignedDuration::from_mins(5);

/// The next slot of an account.
///
/// A slot that fell while nobody was on duty is made up once: at once where 50 plays could have been heard since the
/// slot before it, else spread, so that together with the slots that go on as ever the rate stays within 1.5 times the
/// steady one. After a short absence it is made up before 50 plays could be heard at any pace, where the interval
/// promises that.
pub(super) fn next_slot(rhythm: &Rhythm, last_read: Option<Timestamp>, duty: &Duty) -> Timestamp {
    let begin = last_read.unwrap_or(duty.since).max(duty.since);
    // Slots that a budget admits by now, and did not when they fell, were not missed.
    let admitted = rhythm.admitted_since().filter(|since| *since > begin);
    let regular = rhythm.next_after(admitted.unwrap_or(begin));
    let (None, Some(before_until), None) = (last_read, duty.before_until, admitted) else { return regular };
    let missed = rhythm.next_after(before_until);
    if missed > duty.since {
        return regular;
    }
    let interval = rhythm.interval_at(before_until);
    let before = missed - interval;
    let away = duty.since.duration_since(before_until);
    let room = before.duration_since(duty.since) + SHORTEST_PLAY.saturating_mul(PLAYS_BEFORE_MAKING_UP);
    let is_promised = away < LONG_ABSENCE && interval <= SAFE_INTERVAL;
    let width = match away.min(interval).saturating_mul(2) {
        width if is_promised => width.min(room.max(SignedDuration::ZERO)),
        width => width,
    };
    let spread = (duty.since + rhythm.fraction(width)).min(regular);
    let overflow = rhythm.between_plays(before).saturating_mul(SHOWN_PLAYS);
    if spread.duration_since(before) >= overflow { duty.since } else { spread }
}

/// The first slot after a time: slots are `interval` apart and begin at the account's own phase.
pub fn slot_after(uid: &str, interval: SignedDuration, time: Timestamp) -> Timestamp {
    part_after(uid, interval, 1, time)
}

/// The first slot at a time or after it.
pub fn slot_from(uid: &str, interval: SignedDuration, time: Timestamp) -> Timestamp {
    slot_after(uid, interval, time.saturating_sub(SignedDuration::from_nanos(1)).unwrap_or(time))
}

/// The first slot after a time, where each interval is cut into parts of (about) equal length: the interval's own slots
/// are among them, and those of every number that divides `parts`.
pub(super) fn part_after(uid: &str, interval: SignedDuration, parts: i64, time: Timestamp) -> Timestamp {
    let place = Place::of(uid, interval, parts, time);
    place.time(place.number + 1)
}

/// The first slot after a time, where only one in `stretch` of the interval's own slots is used: those of every number
/// that `stretch` divides are among them.
pub(super) fn stretched_after(uid: &str, interval: SignedDuration, stretch: i64, time: Timestamp) -> Timestamp {
    let place = Place::stretched(uid, interval, stretch, time);
    place.time(place.number + 1)
}

/// The last slot at a time or before it, of the same slots.
pub(super) fn part_until(uid: &str, interval: SignedDuration, parts: i64, time: Timestamp) -> Timestamp {
    let place = Place::of(uid, interval, parts, time);
    place.time(place.number)
}

/// Where a time lies among slots, in milliseconds.
struct Place {
    /// The interval's own slot at the time or before it.
    begin: i64,
    interval: i64,
    parts: i64,
    /// The number of the part that the time lies in.
    number: i64,
}

impl Place {
    fn of(uid: &str, interval: SignedDuration, parts: i64, time: Timestamp) -> Self {
        let phase = i64::try_from(fraction(uid, interval).as_millis()).unwrap_or(0);
        let interval = i64::try_from(interval.as_millis()).unwrap_or(i64::MAX).max(1);
        Self::with_phase(phase, interval, parts, time)
    }

    fn stretched(uid: &str, interval: SignedDuration, stretch: i64, time: Timestamp) -> Self {
        let phase = i64::try_from(fraction(uid, interval).as_millis()).unwrap_or(0);
        let interval = i64::try_from(interval.as_millis()).unwrap_or(i64::MAX).max(1);
        // The phase is told by the hash's first bits, which of the slots are used by its last.
        let first = i64::try_from(hash(uid) & u64::from(u32::MAX)).unwrap_or(0).rem_euclid(stretch.max(1));
        let phase = phase.saturating_add(first.saturating_mul(interval));
        Self::with_phase(phase, interval.saturating_mul(stretch.max(1)), 1, time)
    }

    fn with_phase(phase: i64, interval: i64, parts: i64, time: Timestamp) -> Self {
        let into = (time.as_millisecond() - phase).rem_euclid(interval);
        let begin = time.as_millisecond() - into;
        let place = Self { begin, interval, parts, number: into.saturating_mul(parts) / interval };
        // A slot is rounded down to the millisecond, so that the next one may have begun.
        let next = place.number + 1;
        if place.offset(next) <= into { Self { number: next, ..place } } else { place }
    }

    fn offset(&self, number: i64) -> i64 {
        number.saturating_mul(self.interval) / self.parts
    }

    fn time(&self, number: i64) -> Timestamp {
        time_of(self.begin + self.offset(number))
    }
}

fn time_of(milliseconds: i64) -> Timestamp {
    Timestamp::from_millisecond(milliseconds).unwrap_or(Timestamp::MAX)
}

/// A part of a duration that is the account's own.
pub(super) fn fraction(uid: &str, whole: SignedDuration) -> SignedDuration {
    let milliseconds = u64::try_from(whole.as_millis()).unwrap_or(0);
    let part = (u128::from(hash(uid)) * u128::from(milliseconds)) >> 64;
    SignedDuration::from_millis(i64::try_from(part).unwrap_or(0))
}

/// A number that is the account's own.
pub(super) fn hash(uid: &str) -> u64 {
    let mut hasher = Fnv1a::default();
    hasher.write(uid.as_bytes());
    hasher.finish()
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
    use crate::plan::budget::Portion;
    use crate::plan::pace::Bounds;

    fn time(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_795_000_000 + seconds).unwrap()
    }

    fn seconds(seconds: i64) -> SignedDuration {
        SignedDuration::from_secs(seconds)
    }

    fn slot(uid: &str, last_read: Option<i64>, since: i64, before: Option<i64>) -> i64 {
        let duty = Duty { since: time(since), before_until: before.map(time) };
        next_slot(&resting(uid), last_read.map(time), &duty).duration_since(time(0)).as_secs()
    }

    /// Somebody with the usual interval, of whom no play is known.
    fn resting(uid: &str) -> Rhythm {
        Rhythm::within(uid, Bounds { longest: seconds(1200), shortest: seconds(300) }, Vec::new(), None)
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
        let plays = (0..20).map(|number| time(-31 * number).as_millisecond()).rev().collect();
        let bounds = Bounds { longest: seconds(1200), shortest: seconds(300) };
        assert_eq!(next_slot(&Rhythm::within("uid", bounds, plays, None), None, &duty), time(7200));
    }

    #[test]
    fn parts_hold_the_slots_of_what_divides_them() {
        for (interval, finer, coarser) in [(seconds(1200), 2, 1), (seconds(1201), 6, 3), (seconds(86_399), 128, 16)] {
            for step in 0..500 {
                let at = time(step * 173);
                let slot = part_after("uid", interval, coarser, at);
                assert_eq!(part_until("uid", interval, finer, slot), slot, "{interval:?} in {finer} parts");
                assert_eq!(part_until("uid", interval, coarser, slot), slot);
                let before = slot.saturating_sub(SignedDuration::from_nanos(1)).unwrap();
                assert_eq!(part_after("uid", interval, finer, before), slot);
                assert!(part_until("uid", interval, coarser, before) < slot);
            }
        }
    }

    #[test]
    fn stretched_slots_are_among_those_of_every_smaller_stretch_and_of_all_parts() {
        for uid in ["uid", "another", "a third"] {
            for (coarse, fine) in [(2, 1), (8, 4), (8, 1), (64, 2), (12, 4), (1024, 8)] {
                for step in 0..200 {
                    let slot = stretched_after(uid, seconds(1201), coarse, time(step * 17_377));
                    let before = slot.saturating_sub(SignedDuration::from_nanos(1)).unwrap();
                    assert_eq!(stretched_after(uid, seconds(1201), fine, before), slot, "{uid}: {coarse} and {fine}");
                    assert_eq!(part_after(uid, seconds(1201), 4, before), slot);
                    let next = stretched_after(uid, seconds(1201), coarse, slot);
                    assert_eq!(next.duration_since(slot), seconds(1201 * coarse));
                }
            }
        }
    }

    #[test]
    fn a_slot_that_a_budget_admits_later_was_not_missed() {
        let since = time(7000);
        let portion = Portion { level: None, since: Some(since) };
        let duty = Duty { since: time(100), before_until: Some(time(0)) };
        let rhythm = resting("uid").held_to(portion);
        for last_read in [None, Some(time(200)), Some(time(6000))] {
            assert_eq!(next_slot(&rhythm, last_read, &duty), slot_after("uid", seconds(1200), since), "{last_read:?}");
        }
        assert_eq!(next_slot(&rhythm, Some(time(9000)), &duty), slot_after("uid", seconds(1200), time(9000)));
    }

    #[test]
    fn after_a_short_absence_a_slot_is_made_up_before_fifty_plays_of_anybody() {
        for number in 0..400 {
            let uid = format!("uid-{number}");
            let first = slot_after(&uid, seconds(1200), time(0));
            for (early, away) in [(0, 1), (0, 290), (150, 299), (299, 299)] {
                let gone = first - seconds(early.min(away - 1));
                let duty =
                    Duty { since: gone + seconds(away), before_until: Some(gone - SignedDuration::from_millis(1)) };
                let next = next_slot(&resting(&uid), None, &duty);
                let since_the_last = next.duration_since(first - seconds(1200));
                assert!(since_the_last < seconds(1500), "{uid}, gone for {away} s: {since_the_last:?}");
            }
        }
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
