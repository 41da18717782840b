//! Who may read how often: the calls that a group may plan for, shared by what each of them keeps.
//!
//! Everybody begins with reads far apart. Then the call that keeps most plays is granted, and the next: first for those
//! who play, then for those who may begin to, at last to read as often as `sync.interval` wishes. Who gets what is a
//! function of what is stored and of the clock hour, so that a restart finds the same.

use std::cmp::Reverse;
use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};

use super::allowance::{Allowance, CALL};
use super::need::{Need, Worth, milliseconds};
use super::portion::{Level, Portion};
use super::shortfall::{Shortfall, Wanted};
use crate::plan::pace::{Bounds, Rhythm};
use crate::plan::slot;

const HOUR: i64 = 3_600_000;
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// An account of a quota group.
#[derive(Clone, Debug)]
pub struct Member<'a> {
    /// Its `metadata.uid`.
    pub uid: &'a str,
    /// What plan, operator and spec say of its reads.
    pub bounds: Bounds,
    /// When the plays of its ledger ended, in milliseconds, oldest first.
    pub plays: &'a [i64],
    /// Until when a gap shortens its interval.
    pub hurried_until: Option<Timestamp>,
    /// Whether it is read at all: one that is suspended, or waits for a human, costs nothing.
    pub reads: bool,
}

/// What the accounts of a group may read.
#[derive(Clone, Debug, PartialEq)]
pub struct Division {
    /// How far apart the reads of each member are, in their order; none where its own rhythm holds.
    pub levels: Vec<Option<Level>>,
    /// What cannot be had; none where everybody reads as ever.
    pub shortfall: Option<Shortfall>,
}

/// One call more for a member: from one level to the next finer one.
struct Offer {
    worth: Worth,
    value: i64,
    /// Plays between reads before it: of those that keep as much, whoever would lose first comes first.
    plays: i64,
    tie: u64,
    member: usize,
    level: usize,
    /// What it costs, in millionths of a call an hour.
    cost: i64,
}

/// A member with the levels it may have, the coarsest first; the last is what its own rhythm wants.
struct Account {
    levels: Vec<(Level, SignedDuration)>,
    need: Need,
    granted: usize,
    longest: SignedDuration,
    hurried_until: Option<Timestamp>,
}

impl Account {
    fn new(member: &Member, floor: SignedDuration, now: Timestamp) -> Self {
        let Member { uid, bounds, plays, hurried_until, .. } = member;
        let longest = bounds.longest;
        let own = Rhythm::within(uid, *bounds, plays.to_vec(), *hurried_until).part_at(now);
        let mut levels: Vec<Level> =
            bounds.parts().into_iter().rev().skip_while(|part| *part > own).map(Level::cut).collect();
        let mut stretch = 1;
        while Level::stretched(stretch).interval(longest) < floor {
            stretch *= 2;
            levels.push(Level::stretched(stretch));
        }
        levels.reverse();
        let levels = levels.into_iter().map(|level| (level, level.interval(longest))).collect();
        Self { levels, need: Need::of(plays, now), granted: 0, longest, hurried_until: *hurried_until }
    }

    fn interval(&self, level: usize) -> SignedDuration {
        self.levels.get(level).map_or(self.longest, |(_, interval)| *interval)
    }

    /// The rate of the coarsest level that suffices, or of the finest.
    fn rate_where(&self, suffices: impl Fn(SignedDuration) -> bool) -> i64 {
        let level = (0..self.levels.len()).find(|level| suffices(self.interval(*level)));
        rate(self.interval(level.unwrap_or(self.levels.len().saturating_sub(1))))
    }

    /// What each finer level keeps.
    fn offers(&self, member: usize, tie: u64) -> Vec<Offer> {
        let mut before = (Worth::Need, i64::MAX);
        let mut offers = Vec::new();
        for level in 1..self.levels.len() {
            let (longer, shorter) = (self.interval(level - 1), self.interval(level));
            let (worth, value) = match self.need.worth(longer, shorter) {
                // All come near to their own interval together.
                (Worth::Wish, _) => {
                    (Worth::Wish, milliseconds(longer).saturating_mul(1000) / milliseconds(self.longest))
                }
                kept => kept,
            };
            // A level is not granted before the coarser ones.
            before = before.min((worth, value));
            let cost = rate(shorter).saturating_sub(rate(longer));
            let plays = self.need.between(longer);
            offers.push(Offer { worth: before.0, value: before.1, plays, tie, member, level, cost });
        }
        offers
    }
}

/// Shares what a group may use among its accounts.
pub fn share(members: &[Member], allowance: &Allowance, now: Timestamp) -> Division {
    let readers = members.iter().filter(|member| member.reads).count();
    let floor = floor(readers, allowance);
    let mut accounts: Vec<Option<Account>> =
        members.iter().map(|member| member.reads.then(|| Account::new(member, floor, now))).collect();
    let wanted = wanted(&accounts, now);
    let mut offers: Vec<Offer> = Vec::new();
    for (member, account) in accounts.iter().enumerate() {
        if let Some(account) = account {
            offers.extend(account.offers(member, slot::hash(members[member].uid)));
        }
    }
    offers.sort_unstable_by_key(|offer| {
        (Reverse((offer.worth, offer.value, offer.plays)), offer.tie, offer.member, offer.level)
    });
    let refused = grant(&mut accounts, offers, &wanted, allowance);
    let levels = accounts.iter().map(|account| {
        let account = account.as_ref()?;
        let own = account.granted + 1 == account.levels.len();
        if own { None } else { account.levels.get(account.granted).map(|(level, _)| *level) }
    });
    let levels = levels.collect();
    Division { levels, shortfall: Shortfall::of(&wanted, refused == Some(Worth::Need), allowance) }
}

/// Grants what is worth most, until something does not fit: with less to share, nobody gets more. Answers why that was
/// asked for.
fn grant(
    accounts: &mut [Option<Account>],
    offers: Vec<Offer>,
    wanted: &Wanted,
    allowance: &Allowance,
) -> Option<Worth> {
    // Whatever is wished for every day, if every day has room for it, is not saved on.
    let is_affordable = wanted.wishes <= allowance.steady;
    let mut used: i64 = accounts.iter().flatten().map(|account| rate(account.interval(0))).sum();
    let mut needed = 0_i64;
    for offer in offers {
        used = used.saturating_add(offer.cost);
        let fits = match offer.worth {
            Worth::Need => {
                needed = needed.saturating_add(offer.cost);
                used <= allowance.need
            }
            _ if is_affordable => used <= allowance.need,
            Worth::Caution => used - needed <= allowance.caution && used <= allowance.caution_and_need,
            Worth::Wish => used <= allowance.wish,
        };
        if !fits {
            return Some(offer.worth);
        }
        if let Some(account) = accounts.get_mut(offer.member).and_then(Option::as_mut) {
            account.granted = offer.level;
        }
    }
    None
}

/// Reads of everybody so far apart take at most half of the limit.
fn floor(readers: usize, allowance: &Allowance) -> SignedDuration {
    let readers = i64::try_from(readers).unwrap_or(i64::MAX);
    let days = readers.saturating_mul(2) / allowance.daily_calls.max(1) + 1;
    DAY.saturating_mul(i32::try_from(days).unwrap_or(i32::MAX))
}

fn wanted(accounts: &[Option<Account>], now: Timestamp) -> Wanted {
    let mut wanted = Wanted::default();
    for account in accounts.iter().flatten() {
        let playing = account.need.plays().then(|| account.rate_where(|interval| account.need.is_held_by(interval)));
        let caution = account.rate_where(|interval| account.need.is_safe_with(interval));
        // Who had a gap listens as is known by now, whether the next read comes soon or not.
        let had_gap = account.hurried_until.is_some_and(|until| now < until);
        wanted.gaps |= had_gap;
        wanted.accounts += 1;
        wanted.listening += playing.max(had_gap.then_some(caution)).unwrap_or_else(|| rate(account.interval(0)));
        wanted.caution += caution;
        wanted.wishes += rate(account.longest);
    }
    wanted
}

/// Calls an hour, in millionths.
fn rate(interval: SignedDuration) -> i64 {
    CALL.saturating_mul(HOUR) / milliseconds(interval)
}

/// The shares of a group as this process knows them.
#[derive(Clone, Debug, Default)]
pub struct Shares {
    portions: HashMap<String, Portion>,
    shortfall: Option<Shortfall>,
}

impl Shares {
    /// What an account may read. Nothing is taken from one that has not been seen.
    pub fn portion(&self, uid: &str) -> Portion {
        self.portions.get(uid).copied().unwrap_or_default()
    }

    /// What cannot be had.
    pub fn shortfall(&self) -> Option<&Shortfall> {
        self.shortfall.as_ref()
    }

    /// How many calls fall due for accounts of an app in the rest of the clock hour, all being well.
    pub fn due<'a>(&self, members: impl IntoIterator<Item = &'a Member<'a>>, now: Timestamp) -> i64 {
        let end = now.as_millisecond().div_euclid(HOUR).saturating_add(1).saturating_mul(HOUR);
        let mut due: i64 = 0;
        for member in members.into_iter().filter(|member| member.reads) {
            let rhythm = Rhythm::within(member.uid, member.bounds, member.plays.to_vec(), member.hurried_until);
            let rhythm = rhythm.held_to(self.portion(member.uid));
            let left = end.saturating_sub(rhythm.next_from(now).as_millisecond());
            if left > 0 {
                due = due.saturating_add(1 + (left - 1) / milliseconds(rhythm.interval_at(now)));
            }
        }
        due
    }

    /// Shares anew; without an allowance there is no limit. Answers the uids of those whose next read may come sooner.
    pub fn update(&mut self, members: &[Member], allowance: Option<&Allowance>, now: Timestamp) -> Vec<String> {
        let division = match allowance {
            Some(allowance) => share(members, allowance, now),
            None => Division { levels: vec![None; members.len()], shortfall: None },
        };
        let mut sooner = Vec::new();
        let mut portions = HashMap::with_capacity(members.len());
        for (member, level) in members.iter().zip(division.levels) {
            let before = self.portions.get(member.uid).copied();
            let longest = member.bounds.longest;
            // A rhythm of its own is at least as quick as any level that is granted.
            let wait = |level: Option<Level>| level.map_or(SignedDuration::ZERO, |level| level.interval(longest));
            let since = match before {
                Some(before) if wait(level) < wait(before.level) => {
                    sooner.push(member.uid.to_owned());
                    Some(now)
                }
                before => before.and_then(|before| before.since),
            };
            portions.insert(member.uid.to_owned(), Portion { level, since });
        }
        self.portions = portions;
        self.shortfall = division.shortfall;
        sooner
    }
}

#[cfg(test)]
mod tests;
