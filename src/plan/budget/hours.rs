//! The calls of a quota group, hour by hour.
//!
//! Calls are reserved in blocks, written to the status of the app that makes them before the first of them is made. A
//! block lapses with its clock hour. What a process that ended had reserved counts as used, so that a kill counts at most
//! one block too many for each app, and never a call too few.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::COUNTED_HOURS;
use crate::api::v1alpha1::QuotaHour;

const HOUR_SECONDS: i64 = 3600;
/// A block is at most this part of `dailyCalls`.
const BLOCKS_A_DAY: i64 = 20;

/// What this process knows of the calls of one quota group.
///
/// Whoever takes a call holds a lock of the group over [`take`](Hours::take), the write of what it asks to be reserved,
/// and [`reserved`](Hours::reserved).
#[derive(Clone, Debug, Default)]
pub struct Hours {
    apps: BTreeMap<String, Book>,
}

/// The calls of one app; hours are numbered since 1970.
#[derive(Clone, Debug, Default)]
struct Book {
    /// What its status says.
    stored: BTreeMap<i64, i64>,
    /// What this process reserved, for the hours in which it did.
    own: BTreeMap<i64, Own>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Own {
    reserved: i64,
    used: i64,
    /// Whether the status says by now what was used.
    corrected: bool,
}

/// Whether a call may be made.
#[derive(Clone, Debug, PartialEq)]
pub enum Take {
    /// It may, and is counted.
    Granted,
    /// A block must be written to the app's status first, over the version that [`Hours`] was told; then ask again.
    Reserve(Reservation),
    /// It may not before this time, the start of a clock hour: `dailyCalls` are used up.
    Spent {
        /// When calls lapse.
        until: Timestamp,
    },
}

/// A block to be reserved, with the hours before it.
#[derive(Clone, Debug, PartialEq)]
pub struct Reservation {
    /// What `status.quota.hours` becomes.
    pub hours: Vec<QuotaHour>,
    /// What `status.quota.windowStartTime` becomes.
    pub window_start_time: Time,
    hour: i64,
    calls: i64,
}

impl Hours {
    /// Takes in what an app's status says. What this process wrote counts until the watch shows it.
    pub fn observe(&mut self, app_uid: &str, hours: &[QuotaHour]) {
        let book = self.apps.entry(app_uid.to_owned()).or_default();
        let mut seen: BTreeMap<i64, i64> = BTreeMap::new();
        for QuotaHour { time, calls } in hours {
            let known = seen.entry(hour_of(time.0)).or_default();
            *known = known.saturating_add((*calls).max(0));
        }
        for (hour, own) in &book.own {
            let stored = book.stored.get(hour).copied().unwrap_or(0);
            let said = seen.get(hour).copied().unwrap_or(0);
            seen.insert(*hour, if own.corrected { stored } else { stored.max(said) });
        }
        book.stored = seen;
    }

    /// Forgets an app that belongs to another group by now. One that was deleted made its calls all the same: keep it.
    pub fn forget(&mut self, app_uid: &str) {
        self.apps.remove(app_uid);
    }

    /// Whether a block of the app has a call left: it can be taken without a write, whatever is due.
    pub fn is_open(&self, app_uid: &str, now: Timestamp) -> bool {
        let own = self.apps.get(app_uid).and_then(|book| book.own.get(&hour_of(now)));
        own.is_some_and(|own| own.used < own.reserved)
    }

    /// Takes a call for an app. `limit` is the group's, `due` how many calls of this app fall due in the rest of the
    /// clock hour.
    pub fn take(&mut self, app_uid: &str, limit: i64, due: i64, now: Timestamp) -> Take {
        let hour = hour_of(now);
        self.apps.entry(app_uid.to_owned()).or_default();
        for book in self.apps.values_mut() {
            book.lapse(hour);
        }
        let Some(book) = self.apps.get_mut(app_uid) else { return Take::Spent { until: start_of(hour + 1) } };
        if let Some(own) = book.own.get_mut(&hour).filter(|own| own.used < own.reserved) {
            own.used += 1;
            return Take::Granted;
        }
        let mut hours = book.corrected(hour);
        let counted = self.counted(app_uid, &hours);
        let room = limit.saturating_sub(total(&counted));
        if room <= 0 {
            return Take::Spent { until: start_of(free_at(&counted, limit, hour)) };
        }
        let calls = (limit / BLOCKS_A_DAY).max(1).min(due.max(1)).min(room);
        let known = hours.entry(hour).or_default();
        *known = known.saturating_add(calls);
        let first = hours.keys().next().copied().unwrap_or(hour);
        let hours = hours.into_iter().map(|(hour, calls)| QuotaHour { time: Time(start_of(hour)), calls }).collect();
        Take::Reserve(Reservation { hours, window_start_time: Time(start_of(first)), hour, calls })
    }

    /// Notes that a block was written to an app's status.
    pub fn reserved(&mut self, app_uid: &str, reservation: &Reservation) {
        let book = self.apps.entry(app_uid.to_owned()).or_default();
        book.stored = reservation.hours.iter().map(|entry| (hour_of(entry.time.0), entry.calls)).collect();
        for (hour, own) in &mut book.own {
            own.corrected = *hour < reservation.hour;
        }
        let own = book.own.entry(reservation.hour).or_default();
        own.reserved = own.reserved.saturating_add(reservation.calls);
    }

    /// Calls of all apps as their statuses count them, by age in clock hours: first those of the hour that runs.
    pub fn by_age(&self, now: Timestamp) -> Vec<i64> {
        let hour = hour_of(now);
        let mut ages = vec![0_i64; usize::try_from(COUNTED_HOURS).unwrap_or(25)];
        for (stored, calls) in self.apps.values().flat_map(|book| &book.stored) {
            // An hour to come is told by a clock that went back.
            let age = usize::try_from(hour.saturating_sub(*stored).max(0)).unwrap_or(usize::MAX);
            if let Some(counted) = ages.get_mut(age) {
                *counted = counted.saturating_add(*calls);
            }
        }
        ages
    }

    /// What counts against the limit: for one app the hours given, for the others what their statuses say.
    fn counted(&self, app_uid: &str, hours: &BTreeMap<i64, i64>) -> BTreeMap<i64, i64> {
        let others = self.apps.iter().filter(|(uid, _)| *uid != app_uid).flat_map(|(_, book)| &book.stored);
        let mut counted = hours.clone();
        for (hour, calls) in others {
            let known = counted.entry(*hour).or_default();
            *known = known.saturating_add(*calls);
        }
        counted
    }
}

impl Book {
    /// Forgets hours that no longer count. Hours to come are told by a clock that went back: their calls were made before
    /// now, and count as if they had been made in the hour that runs.
    fn lapse(&mut self, hour: i64) {
        let counts = |known: &i64| *known > hour.saturating_sub(COUNTED_HOURS);
        self.stored.retain(|known, _| counts(known));
        self.own.retain(|known, _| counts(known) && *known <= hour);
        let to_come = self.stored.split_off(&hour.saturating_add(1));
        if !to_come.is_empty() {
            let known = self.stored.entry(hour).or_default();
            *known = known.saturating_add(total(&to_come));
        }
    }

    /// The hours with what was really used in those that have ended, as far as this process knows.
    fn corrected(&self, hour: i64) -> BTreeMap<i64, i64> {
        let unused = |known: &i64| match self.own.get(known) {
            Some(own) if *known < hour && !own.corrected => own.reserved.saturating_sub(own.used),
            _ => 0,
        };
        let corrected = self.stored.iter().map(|(known, calls)| (*known, calls.saturating_sub(unused(known))));
        corrected.filter(|(_, calls)| *calls > 0).collect()
    }
}

fn total(hours: &BTreeMap<i64, i64>) -> i64 {
    hours.values().fold(0, |total: i64, calls| total.saturating_add(*calls))
}

/// The first hour in which less than the limit counts.
fn free_at(counted: &BTreeMap<i64, i64>, limit: i64, hour: i64) -> i64 {
    let mut left = total(counted);
    for (known, calls) in counted {
        left = left.saturating_sub(*calls);
        if left < limit {
            return known.saturating_add(COUNTED_HOURS);
        }
    }
    hour.saturating_add(1)
}

fn hour_of(time: Timestamp) -> i64 {
    time.as_second().div_euclid(HOUR_SECONDS)
}

fn start_of(hour: i64) -> Timestamp {
    Timestamp::from_second(hour.saturating_mul(HOUR_SECONDS)).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
