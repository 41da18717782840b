//! How often an account is read: as seldom as it asks for, more often while its listener plays fast.

use jiff::{SignedDuration, Timestamp};
use proptest::collection::vec;
use proptest::prelude::*;

use super::accounts::{AccountSentence, account, hours, minutes, seconds, start};
use super::observations::{ObservedSentence, around};
use crate::domain::ledger::{Identity, Ledger};
use crate::domain::random::config;
use crate::plan::pace::{Bounds, Rhythm};

/// Plays that follow one another by so many seconds; the newest ended at `start()`.
fn playing(count: u32, gap: i64) -> Ledger {
    let mut ledger = Ledger::default();
    for number in 0..count {
        let played = start() - seconds(gap * i64::from(number));
        ledger.insert(Identity { played_ms: played.as_millisecond(), uri: number + 1, title: 0 });
    }
    ledger
}

/// The interval that a read chooses so long after the newest play.
fn interval(
    asked: SignedDuration,
    shortest: Option<SignedDuration>,
    plays: &Ledger,
    after: SignedDuration,
) -> SignedDuration {
    let account = account().reading_every(asked);
    let observed = match shortest {
        Some(shortest) => around(&account).with_plan_in_force(shortest),
        None => around(&account),
    };
    let rhythm = Rhythm::new(&account, &observed, plays, None);
    let slot = rhythm.next_from(start() + after);
    rhythm.interval_at(slot)
}

#[test]
fn the_interval_in_force_lies_between_what_is_asked_for_and_what_is_allowed() {
    let none = Ledger::default();
    let quarter = seconds(24 * 3600 / 128);
    for (what, asked, shortest, plays, expected) in [
        ("the default", minutes(20), None, &none, minutes(20)),
        ("shorter than the operator allows", seconds(1), None, &none, minutes(5)),
        ("shorter than the plan allows", minutes(6), Some(minutes(10)), &none, minutes(10)),
        ("a plan that allows more than the operator", seconds(1), Some(seconds(1)), &none, minutes(5)),
        ("a day", hours(24), None, &none, hours(24)),
        (
            "a day, a song in three minutes: 35 of them take 105 minutes",
            hours(24),
            None,
            &playing(12, 180),
            minutes(90),
        ),
        ("a day, for somebody who skips", hours(24), None, &playing(12, 31), quarter),
        ("the default, for somebody who skips: room for an absence", minutes(20), None, &playing(12, 31), minutes(10)),
        ("the default, a song in a minute", minutes(20), None, &playing(12, 60), minutes(20)),
        ("short enough for anybody", minutes(15), None, &playing(12, 31), minutes(15)),
        ("an hour, at a song in a minute", hours(1), None, &playing(12, 60), minutes(30)),
        ("the plan wins over haste", hours(24), Some(hours(3)), &playing(12, 31), hours(3)),
        ("a third where a quarter is not allowed", hours(1), Some(minutes(20)), &playing(12, 31), minutes(20)),
        ("no whole part is allowed", minutes(30), Some(minutes(20)), &playing(12, 31), minutes(30)),
        ("the newest four count at once", hours(1), None, &playing(4, 31), minutes(15)),
        ("three do not", hours(1), None, &playing(3, 31), hours(1)),
    ] {
        assert_eq!(interval(asked, shortest, plays, seconds(5)), expected, "{what}");
    }
}

#[test]
fn a_pace_is_forgotten_after_two_intervals_and_within_a_day() {
    // The slots of each part lapse one after another: within one interval all have.
    for (asked, forgotten) in [(minutes(20), hours(2)), (hours(3), hours(6)), (hours(24), hours(24))] {
        let fast = playing(12, 31);
        assert!(interval(asked, None, &fast, forgotten - minutes(30)) < asked, "{asked:?}: remembered");
        assert_eq!(interval(asked, None, &fast, forgotten + asked), asked, "{asked:?}: forgotten");
    }
}

#[test]
fn haste_of_four_plays_is_forgotten_after_an_hour() {
    assert_eq!(interval(minutes(20), None, &playing(4, 31), minutes(30)), minutes(10));
    assert_eq!(interval(minutes(20), None, &playing(4, 31), minutes(80)), minutes(20));
}

#[test]
fn a_gap_shortens_every_interval_for_a_day_where_that_is_allowed() {
    for (asked, shortened) in [
        (minutes(20), minutes(10)),
        (minutes(10), minutes(5)),
        (minutes(5), minutes(5)),
        (hours(1), minutes(15)),
        (hours(24), seconds(675)),
    ] {
        let account = account().reading_every(asked);
        let until = start() + hours(24);
        let rhythm = Rhythm::new(&account, &around(&account), &Ledger::default(), Some(until));
        assert_eq!(rhythm.interval_at(start()), shortened, "{asked:?}");
        assert_eq!(rhythm.interval_at(until + asked), asked, "{asked:?}, a day later");
    }
}

#[test]
fn fifty_plays_at_a_known_pace_never_overflow() {
    for asked in [minutes(20), minutes(47), hours(1), hours(5), hours(24)] {
        for gap in [30, 31, 45, 60, 120, 180, 240, 600] {
            let found = interval(asked, None, &playing(100, gap), seconds(5));
            assert!(seconds(48 * gap) >= found, "{asked:?}, a play every {gap} s, a read every {found:?}");
        }
    }
}

#[derive(Debug)]
struct Case {
    rhythm: Rhythm,
    bounds: Bounds,
    hurried: bool,
}

fn case() -> impl Strategy<Value = Case> {
    let bounds = (1_i64..1440, 1_i64..40).prop_map(|(longest, shortest)| Bounds {
        longest: minutes(longest.max(shortest)),
        shortest: minutes(shortest),
    });
    let plays = vec(prop_oneof![3 => 31_i64..240, 1 => 240_i64..40_000], 0..100);
    (bounds, plays, "[a-f0-9]{8}", proptest::option::of(0_i64..1440)).prop_map(|(bounds, gaps, uid, gap)| {
        let mut played = start();
        let mut plays: Vec<i64> = Vec::new();
        for gap in gaps {
            plays.push(played.as_millisecond());
            played -= seconds(gap);
        }
        plays.reverse();
        let until = gap.map(|ago| start() + hours(24) - minutes(ago));
        Case { rhythm: Rhythm::within(&uid, bounds, plays, until), bounds, hurried: until.is_some() }
    })
}

/// The slots of two days, from one read to the next.
fn slots(rhythm: &Rhythm, from: Timestamp) -> Vec<Timestamp> {
    let next = |slot: &Timestamp| Some(rhythm.next_after(*slot));
    std::iter::successors(next(&from), next).take_while(|slot| *slot < start() + hours(96)).collect()
}

proptest! {
    #![proptest_config(config(300))]

    #[test]
    fn a_restart_between_two_slots_changes_nothing(case in case(), percents in vec(0_i32..100, 40)) {
        let slots = slots(&case.rhythm, start());
        for (pair, percent) in slots.windows(2).zip(percents.iter().cycle()) {
            let wait = pair[1].duration_since(pair[0]);
            let between = pair[0] + wait / 100 * *percent;
            prop_assert_eq!(case.rhythm.next_after(between), pair[1]);
            prop_assert_eq!(case.rhythm.interval_at(between), case.rhythm.interval_at(pair[0]));
        }
    }

    #[test]
    fn reads_keep_within_their_bounds_and_come_no_later_than_the_interval_in_force(case in case()) {
        let slots = slots(&case.rhythm, start());
        for pair in slots.windows(2) {
            let wait = pair[1].duration_since(pair[0]);
            let rounding = SignedDuration::from_millis(1);
            prop_assert!(wait <= case.rhythm.interval_at(pair[0]) + rounding, "{:?}", wait);
            prop_assert!(wait <= case.bounds.longest && wait + rounding >= case.bounds.shortest, "{:?}", wait);
        }
        let resting = slots.iter().filter(|slot| **slot > start() + hours(49));
        let resting: Vec<&Timestamp> = resting.collect();
        for pair in resting.windows(2) {
            prop_assert_eq!(pair[1].duration_since(*pair[0]), case.bounds.longest, "whoever rests is read as seldom as can be");
        }
        prop_assert!(case.hurried || case.bounds.longest >= case.bounds.shortest);
    }

    #[test]
    fn reads_follow_a_pace_that_is_known(longest in 20_i64..1440, gap in 31_i64..300, uid in "[a-f0-9]{8}") {
        let plays = (0..60).rev().map(|number| (start() - seconds(gap * number)).as_millisecond()).collect();
        let bounds = Bounds { longest: minutes(longest), shortest: minutes(5) };
        let rhythm = Rhythm::within(&uid, bounds, plays, None);
        let slot = rhythm.next_after(start());
        prop_assert!(slot.duration_since(start()) <= seconds(48 * gap).max(minutes(20)));
    }
}
