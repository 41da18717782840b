//! What a budget cannot give, in words that stay the same while nothing of weight changes.

use super::COUNTED_HOURS;
use super::allowance::{Allowance, planned};

/// What the accounts of a group want, in millionths of a call an hour.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wanted {
    /// Accounts that are read.
    pub(super) accounts: i64,
    /// Whether one of them had a gap within a day.
    pub(super) gaps: bool,
    /// To read everybody at the interval that was asked for.
    pub(super) wishes: i64,
    /// To lose nothing, should everybody begin to play as fast as is known of them.
    pub(super) caution: i64,
    /// To lose nothing of what is played now.
    pub(super) listening: i64,
}

/// By how much a group's `dailyCalls` is too small.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shortfall {
    /// The group's `dailyCalls`.
    pub daily_calls: i64,
    /// Accounts that are read.
    pub accounts: i64,
    /// The `dailyCalls` with which everybody is read at the interval that was asked for.
    pub for_intervals: i64,
    /// The `dailyCalls` with which nothing is lost, whoever begins to play as fast as is known.
    pub for_caution: i64,
    /// The `dailyCalls` that present listening takes; none where it has them.
    pub for_listening: Option<i64>,
    /// To so many minutes `sync.interval` may be lengthened, for all, to be held.
    pub interval_minutes: i64,
}

impl Shortfall {
    /// None while everybody can be read as ever. `refused`: of what listeners need now, something could not be granted.
    pub(super) fn of(wanted: &Wanted, refused: bool, allowance: &Allowance) -> Option<Self> {
        let Allowance { daily_calls, steady, .. } = *allowance;
        let held = wanted.wishes <= steady;
        if held && !refused {
            return None;
        }
        let loses = refused || wanted.gaps;
        // An average day may have the calls, and this one not.
        let for_listening = Allowance::daily_calls_for(wanted.listening).max(daily_calls.saturating_add(1));
        let minutes = wanted.accounts.saturating_mul(COUNTED_HOURS * 60);
        Some(Self {
            daily_calls,
            accounts: wanted.accounts,
            for_intervals: rounded_up(Allowance::daily_calls_for(wanted.wishes)),
            for_caution: rounded_up(Allowance::daily_calls_for(wanted.caution)),
            for_listening: loses.then(|| rounded_up(for_listening)),
            interval_minutes: divided_up(divided_up(minutes, planned(daily_calls).max(1)), 5).saturating_mul(5),
        })
    }

    /// Whether plays are lost by it: a human must act.
    pub fn loses(&self) -> bool {
        self.for_listening.is_some()
    }

    /// What is wrong and what would mend it.
    pub fn message(&self) -> String {
        let Self { daily_calls, accounts, for_intervals, for_caution, interval_minutes, .. } = self;
        let accounts = match accounts {
            1 => "1 account takes".to_owned(),
            accounts => format!("{accounts} accounts take"),
        };
        let interval = spelled(*interval_minutes);
        let mend = |calls: &i64| {
            format!("raise spec.quota.dailyCalls to {calls}, or move accounts to an app of another developer account")
        };
        let Some(for_listening) = self.for_listening else {
            let caution = if for_caution > daily_calls {
                format!(
                    "; whoever begins to play fast may lose plays before the next read, which {for_caution} a day would prevent"
                )
            } else {
                "; at the paces that are known no play is lost".to_owned()
            };
            // No interval is longer than a day.
            let lengthen = match interval_minutes {
                ..=1440 => format!("; or lengthen sync.interval to {interval}"),
                _ => String::new(),
            };
            return format!(
                "{accounts} {for_intervals} calls a day to be read at their intervals, and {daily_calls} are allowed: reads are further apart, {interval} on average{caution}. To have the intervals, {}{lengthen}",
                mend(for_intervals)
            );
        };
        format!(
            "listening as at present takes about {for_listening} calls a day, and {daily_calls} are allowed: plays are lost. At least {}",
            mend(&for_listening)
        )
    }
}

/// Rounded up to 1, 1.5, 2, 3, 4, 5, 6 or 8 times a power of ten: small changes do not show.
fn rounded_up(number: i64) -> i64 {
    let mut power: i64 = 1;
    while number > power.saturating_mul(10) {
        power = power.saturating_mul(10);
    }
    let steps = [10, 15, 20, 30, 40, 50, 60, 80, 100];
    let fits = |calls: &i64| *calls >= number;
    steps.map(|tenths: i64| power.saturating_mul(tenths) / 10).into_iter().find(fits).unwrap_or(number)
}

fn divided_up(number: i64, divisor: i64) -> i64 {
    number / divisor + i64::from(number % divisor > 0)
}

/// A duration as `sync.interval` takes it.
fn spelled(minutes: i64) -> String {
    match (minutes / 60, minutes % 60) {
        (0, minutes) => format!("{minutes}m"),
        (hours, 0) => format!("{hours}h"),
        (hours, minutes) => format!("{hours}h{minutes}m"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::budget::allowance::CALL;

    fn wanted(accounts: i64, rates: [i64; 3]) -> Wanted {
        let [wishes, caution, listening] = rates.map(|rate| rate * CALL);
        Wanted { accounts, gaps: false, wishes, caution, listening }
    }

    fn fresh(daily_calls: i64) -> Allowance {
        Allowance::new(daily_calls, &[0; 25])
    }

    #[test]
    fn it_says_what_is_wrong_and_what_would_mend_it() {
        let message = |wanted: &Wanted, loses| Shortfall::of(wanted, loses, &fresh(400)).unwrap().message();
        for (what, wanted, loses, expected) in [
            (
                "intervals alone",
                wanted(40, [120, 15, 2]),
                false,
                "40 accounts take 4000 calls a day to be read at their intervals, and 400 are allowed: reads are further apart, 2h40m on average; at the paces that are known no play is lost. To have the intervals, raise spec.quota.dailyCalls to 4000, or move accounts to an app of another developer account; or lengthen sync.interval to 2h40m",
            ),
            (
                "who begins to play fast",
                wanted(40, [120, 24, 2]),
                false,
                "40 accounts take 4000 calls a day to be read at their intervals, and 400 are allowed: reads are further apart, 2h40m on average; whoever begins to play fast may lose plays before the next read, which 800 a day would prevent. To have the intervals, raise spec.quota.dailyCalls to 4000, or move accounts to an app of another developer account; or lengthen sync.interval to 2h40m",
            ),
            (
                "listening",
                wanted(40, [120, 100, 60]),
                true,
                "listening as at present takes about 2000 calls a day, and 400 are allowed: plays are lost. At least raise spec.quota.dailyCalls to 2000, or move accounts to an app of another developer account",
            ),
        ] {
            assert_eq!(message(&wanted, loses), expected, "{what}");
        }
    }

    #[test]
    fn there_is_none_while_intervals_can_be_held() {
        assert_eq!(Shortfall::of(&wanted(5, [15, 5, 1]), false, &fresh(400)), None);
        assert!(Shortfall::of(&wanted(6, [18, 5, 1]), false, &fresh(400)).is_some_and(|found| !found.loses()));
        assert!(Shortfall::of(&wanted(5, [15, 5, 1]), true, &fresh(400)).is_some_and(|found| found.loses()));
    }

    #[test]
    fn a_gap_within_a_day_says_that_plays_are_lost_where_reads_are_further_apart() {
        let gaps = |wishes| Wanted { gaps: true, ..wanted(6, [wishes, 5, 60]) };
        let found = Shortfall::of(&gaps(18), false, &fresh(400)).unwrap();
        assert_eq!((found.loses(), found.for_listening), (true, Some(2000)));
        assert_eq!(Shortfall::of(&gaps(15), false, &fresh(400)), None, "the budget is not to blame");
    }

    #[test]
    fn numbers_are_rounded_up_and_durations_can_be_copied() {
        let rounded =
            [(0, 1), (7, 8), (10, 10), (11, 15), (99, 100), (101, 150), (161, 200), (999, 1000), (3158, 4000)];
        for (number, expected) in rounded {
            assert_eq!(rounded_up(number), expected);
        }
        for (minutes, expected) in [(5, "5m"), (60, "1h"), (145, "2h25m"), (1500, "25h")] {
            assert_eq!(spelled(minutes), expected);
        }
    }
}
