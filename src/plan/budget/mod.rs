//! The daily call budget of a quota group: how calls are counted, who may read how often, and when it cannot suffice.
//!
//! Three decisions, each a function of what is stored and the time. [`Hours`] lets a call go, or not: no rolling 24 hours
//! ever see more than `dailyCalls`. [`share`](share()) says ahead of that how far apart each account's reads are, so that
//! who would lose plays is read first and nobody is turned away by the hour. [`Shortfall`] says what cannot be had.
//!
//! A group is (namespace, `quota.group`), or an app alone where it names none.

mod allowance;
mod hours;
mod need;
mod portion;
mod share;
mod shortfall;
#[cfg(test)]
mod simulation;

pub use allowance::Allowance;
pub use hours::{Hours, Reservation, Take};
pub use portion::{Level, Portion};
pub use share::{Division, Member, Shares, share};
pub use shortfall::Shortfall;

/// Any 24 hours touch at most so many clock hours: what is counted over them is counted over any 24 hours.
pub const COUNTED_HOURS: i64 = 25;

/// Whether so few calls were used, a tenth of the limit, that nobody is held back yet: whoever begins with one account and
/// a short interval sees it at work before the budget has its way. `by_age` is that of [`Hours::by_age`].
pub fn is_fresh(limit: i64, by_age: &[i64]) -> bool {
    by_age.iter().fold(0, |sum: i64, calls| sum.saturating_add(*calls)) < limit / 10
}

/// The limit of a group, from `quota.dailyCalls` of its apps: the smallest that is one. Zero sets no limit, and takes none
/// away that another app of the group sets.
pub fn limit(daily_calls: impl IntoIterator<Item = i32>) -> Option<i64> {
    daily_calls.into_iter().filter(|calls| *calls > 0).min().map(i64::from)
}
