//! What a budget leaves of an account's reads.

use jiff::{SignedDuration, Timestamp};

use crate::plan::slot;

/// How far apart reads are: a whole number of intervals, or a whole part of one. One of the two numbers is one.
///
/// The slots of a level are among those of every finer one, as far as numbers divide one another. So two reads are
/// never further apart than the coarsest level that was in force between them, and a level that becomes coarser brings
/// no read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    stretch: i64,
    parts: i64,
}

impl Level {
    /// Every so many slots of the account's own interval.
    pub fn stretched(stretch: i64) -> Self {
        Self { stretch: stretch.max(1), parts: 1 }
    }

    /// The interval cut into so many parts.
    pub fn cut(parts: i64) -> Self {
        Self { stretch: 1, parts: parts.max(1) }
    }

    /// The time from one read to the next, for an account with this longest interval.
    pub fn interval(self, longest: SignedDuration) -> SignedDuration {
        let longest = i64::try_from(longest.as_millis()).unwrap_or(i64::MAX).max(1);
        SignedDuration::from_millis((longest.saturating_mul(self.stretch) / self.parts).max(1))
    }

    /// The level's first slot after a time.
    pub(in crate::plan) fn next_after(self, uid: &str, longest: SignedDuration, time: Timestamp) -> Timestamp {
        if self.stretch > 1 {
            slot::stretched_after(uid, longest, self.stretch, time)
        } else {
            slot::part_after(uid, longest, self.parts, time)
        }
    }
}

/// What a budget leaves of an account's reads: nothing is taken from the default one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Portion {
    /// How far apart reads are; none where the account's own rhythm holds, as interval and listener want it.
    pub level: Option<Level>,
    /// Since when this process admits the slots: those between the last read and this time were not, and are not due.
    pub since: Option<Timestamp>,
}
