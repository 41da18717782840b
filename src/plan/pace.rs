//! How often an account is read: as seldom as `sync.interval` says, more often while its listener plays fast.
//!
//! Spotify shows 50 plays and no more. Reads come after about [`PLAYS_BETWEEN_READS`] of them at the listener's pace, and
//! never more often than the plan and the operator allow. An interval of [`SAFE_INTERVAL`] or less cannot overflow
//! whatever is played; a longer one can, once, when somebody who rests starts to play fast just after a read.
//!
//! Shorter intervals are whole parts of the longest: their slots are those of the longest and more between them, so that
//! a change of the pace never brings two reads close to one another. Which part is in force is a function of stored
//! play times and the slot that began it, not of when it is asked: a restart between two slots changes nothing.

use jiff::{SignedDuration, Timestamp};

use super::budget::Portion;
use super::observed::Observed;
use super::{delivery, gap, slot};
use crate::api::v1alpha1::{SpotifyAccount, SpotifyAccountStatus};
use crate::domain::ledger::Ledger;
use crate::domain::play::SHORTEST_PLAY;

/// With reads at most this far apart, and nobody away for five minutes, 50 plays cannot overflow: they last 25 minutes.
pub const SAFE_INTERVAL: SignedDuration = SHORTEST_PLAY.saturating_mul(40);
/// Reads come after so many plays at the listener's pace: the rest of the 50 is room for a late read, an absence, and
/// for speeding up.
pub const PLAYS_BETWEEN_READS: i32 = 35;
/// No pace needs reads more often than this.
const QUICKEST: SignedDuration = SHORTEST_PLAY.saturating_mul(PLAYS_BETWEEN_READS);
/// Reads this far apart still leave room for two plays at the fastest pace.
const LAST_RESORT: SignedDuration = SHORTEST_PLAY.saturating_mul(48);
/// So many plays in a row tell how fast somebody listens, for as long as they are remembered.
const PACE_PLAYS: usize = 10;
/// The newest few plays tell it at once, for [`LATELY`]: somebody begins to play fast.
const NEWEST_PLAYS: usize = 4;
const LATELY: SignedDuration = SignedDuration::from_hours(1);
/// Plays of the last two intervals are remembered, within these bounds: whoever plays every evening is not met anew
/// each time, and whoever has stopped is left alone.
const SHORTEST_MEMORY: SignedDuration = SignedDuration::from_hours(2);
const LONGEST_MEMORY: SignedDuration = SignedDuration::from_hours(24);
/// What is said of somebody who does not play: a play a day.
const AT_REST: SignedDuration = SignedDuration::from_hours(24);

/// Between what the time from one read to the next lies, all being well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The longest: what the account asks for, unless that is shorter than the shortest.
    pub longest: SignedDuration,
    /// The shortest: what the plan in force and the operator allow.
    pub shortest: SignedDuration,
}

impl Bounds {
    /// The bounds of an account. A budget that stretches the time between reads does so with these slots ([`Portion`]).
    pub fn of(account: &SpotifyAccount, observed: &Observed) -> Self {
        let plan = observed.seating.in_force().map_or(SignedDuration::ZERO, |plan| plan.min_interval);
        Self::within(account, observed.settings.minimum_interval, plan)
    }

    /// The bounds of an account by what the operator and the plan in force allow.
    pub fn within(account: &SpotifyAccount, operator: SignedDuration, plan: SignedDuration) -> Self {
        let shortest = operator.max(plan).max(SignedDuration::from_secs(1));
        Self { longest: account.spec.sync.interval.duration().max(shortest), shortest }
    }

    /// Into how many parts the longest may be cut: each number divides the next, the first is one.
    pub(super) fn parts(self) -> Vec<i64> {
        let longest = milliseconds(self.longest);
        let most = (longest / milliseconds(self.shortest)).max(1);
        // After a gap even the quickest are read at twice their rate, where that is allowed.
        let needed = divide_up(longest, milliseconds(QUICKEST)).max(2);
        let mut power = 1;
        while power < needed {
            power *= 2;
        }
        let mut part = match power {
            power if power <= most => power,
            power if power / 2 <= most && longest / (power / 2) <= milliseconds(LAST_RESORT) => power / 2,
            _ => needed.min(most),
        };
        let mut parts = vec![part];
        while part > 1 {
            part /= smallest_factor(part);
            parts.push(part);
        }
        parts.reverse();
        parts
    }
}

/// When an account is read, all being well.
#[derive(Clone, Debug)]
pub struct Rhythm {
    /// The account's uid: its slots are its own.
    uid: String,
    longest: SignedDuration,
    parts: Vec<i64>,
    /// When the known plays ended, in milliseconds, oldest first.
    plays: Vec<i64>,
    /// Until when a gap shortens the interval.
    hurried_until: Option<Timestamp>,
    /// What a call budget leaves.
    portion: Portion,
}

impl Rhythm {
    /// The rhythm of an account as its status tells.
    pub fn of(account: &SpotifyAccount, observed: &Observed, status: &SpotifyAccountStatus) -> Self {
        let hurried_until = status.sync.as_ref().and_then(gap::told_until);
        Self::new(account, observed, &delivery::ledger(status), hurried_until)
    }

    /// The rhythm that the plays of a ledger make, and a gap that shortens the interval until a time.
    pub fn new(
        account: &SpotifyAccount,
        observed: &Observed,
        ledger: &Ledger,
        hurried_until: Option<Timestamp>,
    ) -> Self {
        let uid = account.metadata.uid.as_deref().unwrap_or_default();
        let plays = ledger.rows.iter().map(|row| row.played_ms).collect();
        Self::within(uid, Bounds::of(account, observed), plays, hurried_until).held_to(observed.portion)
    }

    /// The rhythm within bounds; play times are in milliseconds, oldest first.
    pub(super) fn within(uid: &str, bounds: Bounds, plays: Vec<i64>, hurried_until: Option<Timestamp>) -> Self {
        let portion = Portion::default();
        Self { uid: uid.to_owned(), longest: bounds.longest, parts: bounds.parts(), plays, hurried_until, portion }
    }

    /// The rhythm that a call budget leaves of this one.
    pub(super) fn held_to(self, portion: Portion) -> Self {
        Self { portion, ..self }
    }

    /// Since when the budget admits the slots that it does; none where it always has.
    pub(super) fn admitted_since(&self) -> Option<Timestamp> {
        self.portion.since
    }

    /// The interval in force at a time, which is that of the last read, or any time between it and the next.
    pub fn interval_at(&self, time: Timestamp) -> SignedDuration {
        match self.portion.level {
            Some(level) => level.interval(self.longest),
            None => SignedDuration::from_millis(milliseconds(self.longest) / self.part_at(time)),
        }
    }

    /// The first slot after a time.
    pub fn next_after(&self, time: Timestamp) -> Timestamp {
        match self.portion.level {
            Some(level) => level.next_after(&self.uid, self.longest, time),
            None => slot::part_after(&self.uid, self.longest, self.part_at(time), time),
        }
    }

    /// The first slot at a time or after it.
    pub fn next_from(&self, time: Timestamp) -> Timestamp {
        self.next_after(time.saturating_sub(SignedDuration::from_nanos(1)).unwrap_or(time))
    }

    /// The account's own part of a duration.
    pub(super) fn fraction(&self, whole: SignedDuration) -> SignedDuration {
        slot::fraction(&self.uid, whole)
    }

    /// Part of the longest interval that is in force at a time: the finest whose last slot chose it, or a finer one.
    ///
    /// With what is stored, the pace only slows down as time passes. So a slot's choice holds until the next slot, and
    /// whoever asks in between finds the same one.
    pub(super) fn part_at(&self, time: Timestamp) -> i64 {
        let chose_it = |part: &&i64| {
            let slot = slot::part_until(&self.uid, self.longest, **part, time);
            self.chosen_at(slot) >= **part
        };
        self.parts.iter().rev().find(chose_it).copied().unwrap_or(1)
    }

    /// What a read at a slot would choose: the coarsest part that is short enough.
    fn chosen_at(&self, slot: Timestamp) -> i64 {
        let hurried = self.hurried_until.is_some_and(|until| slot < until);
        let (least, wanted) =
            if hurried { (2, QUICKEST) } else { (1, self.between_plays(slot).saturating_mul(PLAYS_BETWEEN_READS)) };
        let is_enough = |part: &&i64| **part >= least && milliseconds(self.longest) / **part <= milliseconds(wanted);
        self.parts.iter().find(is_enough).or(self.parts.last()).copied().unwrap_or(1)
    }

    /// How fast the listener plays at a time: the shortest time from one play to the next, on average, over ten plays
    /// that are remembered, or over the newest four of the last hour. Never less than 30 s.
    pub(super) fn between_plays(&self, time: Timestamp) -> SignedDuration {
        let since = |ago: SignedDuration| {
            let begin = time.as_millisecond().saturating_sub(milliseconds(ago));
            &self.plays[self.plays.partition_point(|played| *played < begin)..]
        };
        let memory = self.longest.saturating_mul(2).clamp(SHORTEST_MEMORY, LONGEST_MEMORY);
        let lately = since(LATELY);
        let newest = &lately[lately.len().saturating_sub(NEWEST_PLAYS)..];
        let fastest = [(since(memory), PACE_PLAYS), (newest, NEWEST_PLAYS)]
            .into_iter()
            .flat_map(|(plays, size)| plays.windows(size))
            .filter_map(|plays| Some((plays.last()? - plays.first()?) / i64::try_from(plays.len() - 1).ok()?))
            .min();
        fastest.map_or(AT_REST, SignedDuration::from_millis).max(SHORTEST_PLAY)
    }
}

fn milliseconds(duration: SignedDuration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX).max(1)
}

/// Division of positive numbers, rounded up.
fn divide_up(number: i64, divisor: i64) -> i64 {
    number / divisor + i64::from(number % divisor > 0)
}

/// The smallest number above one that divides a number without rest.
fn smallest_factor(number: i64) -> i64 {
    (2..number).find(|factor| number % factor == 0).unwrap_or(number)
}
