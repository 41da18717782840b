//! How many calls an hour a group may plan for: from what was used, before anybody is turned away.

use super::COUNTED_HOURS;

/// Rates are in millionths of a call an hour, so that sums are the same on every machine.
pub(super) const CALL: i64 = 1_000_000;
/// A twentieth of the limit is not planned for: new authorizations are asked about, reads are requested or repeated.
const RESERVE: i64 = 20;
/// Who plays now may use what is left within so many hours; caution, together with them, within so many.
const HOURS_FOR_NEED: usize = 4;
const HOURS_FOR_CAUTION: usize = 6;
/// By itself, caution takes at most so many hundredths of what can be kept up for a day, and wishes are granted while all
/// takes no more than so many. What they leave is there for an evening on which many play.
const CAUTION_PERCENT: i64 = 85;
const WISH_PERCENT: i64 = 70;
const DAY_HOURS: usize = 24;

/// What may be planned for the clock hour that runs. It changes with the hour and no sooner, so that what is planned on
/// it holds for that long. Rates are in millionths of a call an hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// The group's `dailyCalls`.
    pub daily_calls: i64,
    /// What can be kept up day after day.
    pub(super) steady: i64,
    /// What those who play may use now.
    pub(super) need: i64,
    /// What reads out of caution may use.
    pub(super) caution: i64,
    /// What those and need may use together.
    pub(super) caution_and_need: i64,
    /// What may be used in all while there are reads that are only wished for.
    pub(super) wish: i64,
}

impl Allowance {
    /// The allowance of a group with a limit, from its calls by age ([`Hours::by_age`](super::Hours::by_age)).
    pub fn new(daily_calls: i64, by_age: &[i64]) -> Self {
        let planned = planned(daily_calls);
        let steady = planned.saturating_mul(CALL) / COUNTED_HOURS;
        let within = |hours: usize| sustained(planned, by_age, hours);
        let need = within(HOURS_FOR_NEED);
        let day = within(DAY_HOURS).min(steady);
        let caution = day / 100 * CAUTION_PERCENT;
        let wish = day / 100 * WISH_PERCENT;
        Self { daily_calls, steady, need, caution, caution_and_need: within(HOURS_FOR_CAUTION), wish }
    }

    /// The `dailyCalls` that a rate takes, with the reserve.
    pub(super) fn daily_calls_for(rate: i64) -> i64 {
        let planned = rate.saturating_mul(COUNTED_HOURS);
        let calls = planned / CALL + i64::from(planned % CALL > 0);
        calls.saturating_add(calls / (RESERVE - 1) + i64::from(calls % (RESERVE - 1) > 0))
    }
}

/// So many calls of a limit are planned for.
pub(super) fn planned(daily_calls: i64) -> i64 {
    daily_calls.saturating_sub(daily_calls / RESERVE).max(0)
}

/// The largest rate that can be kept up from the beginning of the hour that runs for so many hours, if what is used by
/// then lapses as it is due to.
fn sustained(planned: i64, by_age: &[i64], hours: usize) -> i64 {
    let before: i64 = by_age.iter().skip(1).fold(0, |sum: i64, calls| sum.saturating_add(*calls));
    let mut left = planned.saturating_sub(before);
    let mut rate = i64::MAX;
    let mut oldest = by_age.iter().skip(1).rev();
    for hour in 1..=hours {
        rate = rate.min(left.max(0).saturating_mul(CALL) / i64::try_from(hour).unwrap_or(i64::MAX));
        left = left.saturating_add(oldest.next().copied().unwrap_or(0));
    }
    rate
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowance(daily_calls: i64, hours: [(usize, i64); 2]) -> [i64; 4] {
        let mut by_age = vec![0; 25];
        for (age, calls) in hours {
            by_age[age] += calls;
        }
        let allowance = Allowance::new(daily_calls, &by_age);
        [allowance.need, allowance.caution_and_need, allowance.caution, allowance.wish].map(|rate| rate / CALL)
    }

    #[test]
    fn what_was_used_and_when_it_lapses_say_what_may_be_planned() {
        // 380 of 400 are planned for: 15.2 an hour, day after day.
        for (what, hours, expected) in [
            ("a fresh group", [(0, 0), (1, 0)], [95, 63, 12, 10]),
            ("the hour that runs does not count", [(0, 300), (1, 0)], [95, 63, 12, 10]),
            ("half is used", [(2, 190), (1, 0)], [47, 31, 7, 5]),
            ("half is used, and lapses in an hour", [(24, 190), (1, 0)], [95, 63, 12, 10]),
            ("all is used, and lapses in an hour", [(24, 380), (1, 0)], [0, 0, 0, 0]),
            ("all is used, and half of it lapses in two hours", [(23, 190), (1, 190)], [0, 0, 0, 0]),
            ("more is used than there is", [(3, 1000), (9, i64::MAX)], [0, 0, 0, 0]),
        ] {
            assert_eq!(allowance(400, hours), expected, "{what}");
        }
        assert_eq!(allowance(0, [(0, 0), (1, 0)]), [0, 0, 0, 0]);
    }

    #[test]
    fn the_steady_rate_can_be_kept_up() {
        let allowance = Allowance::new(400, &[15; 25]);
        assert!(allowance.need >= 15 * CALL && allowance.caution_and_need >= 15 * CALL, "{allowance:?}");
    }

    #[test]
    fn a_limit_that_is_asked_for_suffices() {
        for rate in [1, CALL / 7, CALL, 20 * CALL, 123 * CALL / 2, 9_999 * CALL] {
            let calls = Allowance::daily_calls_for(rate);
            assert!(Allowance::new(calls, &[0; 25]).steady >= rate, "{rate}");
            assert!(Allowance::new(calls - 2, &[0; 25]).steady < rate, "{rate}");
        }
    }
}
