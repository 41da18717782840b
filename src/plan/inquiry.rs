//! How often somebody may ask this process something that costs calls.

use std::collections::HashMap;
use std::hash::Hash;

use jiff::{SignedDuration, Timestamp};

/// So much is remembered of those who asked. Whoever asks beyond that waits until somebody is forgotten.
const MOST: usize = 4096;

const DAY: SignedDuration = SignedDuration::from_hours(24);

/// Each may ask again after a pause.
#[derive(Clone, Debug)]
pub struct Pauses<K> {
    pause: SignedDuration,
    until: HashMap<K, Timestamp>,
}

impl<K: Eq + Hash + Clone> Pauses<K> {
    /// With a pause of this length.
    pub fn of(pause: SignedDuration) -> Self {
        Self { pause, until: HashMap::new() }
    }

    /// Lets somebody ask, and begins the pause.
    ///
    /// # Errors
    /// How long it is still to wait.
    pub fn enter(&mut self, who: &K, now: Timestamp) -> Result<(), SignedDuration> {
        // A clock that was set back makes nobody wait for longer than a pause.
        self.until.retain(|_, until| *until > now && until.duration_since(now) <= self.pause);
        match self.until.get(who) {
            Some(until) => Err(until.duration_since(now)),
            None if self.until.len() >= MOST => Err(self.pause),
            None => {
                self.until.insert(who.clone(), now.saturating_add(self.pause).unwrap_or(Timestamp::MAX));
                Ok(())
            }
        }
    }
}

/// How often in a day something was asked: the day begins with the first time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Daily {
    began: Option<Timestamp>,
    count: i64,
}

impl Daily {
    /// Until when nothing more is asked, where so many times a day are too many.
    pub fn spent_until(&self, most: Option<i64>, now: Timestamp) -> Option<Timestamp> {
        let began = self.runs_since(now)?;
        most.is_some_and(|most| self.count >= most).then(|| began.saturating_add(DAY).unwrap_or(now))
    }

    /// It was asked once more.
    pub fn note(&mut self, now: Timestamp) {
        *self = match self.runs_since(now) {
            Some(began) => Self { began: Some(began), count: self.count.saturating_add(1) },
            None => Self { began: Some(now), count: 1 },
        };
    }

    /// A clock that was set back begins a new day.
    fn runs_since(&self, now: Timestamp) -> Option<Timestamp> {
        self.began.filter(|began| *began <= now && now.duration_since(*began) < DAY)
    }
}

/// A bucket that holds so many requests and is filled evenly.
#[derive(Clone, Debug)]
pub struct Bucket {
    room: i32,
    spacing: SignedDuration,
    /// When it is full again.
    full_at: Option<Timestamp>,
}

impl Bucket {
    /// So many at once, and one more after each `spacing`.
    pub fn of(room: i32, spacing: SignedDuration) -> Self {
        Self { room: room.max(1), spacing, full_at: None }
    }

    /// Takes one.
    ///
    /// # Errors
    /// How long it takes until there is one.
    pub fn take(&mut self, now: Timestamp) -> Result<(), SignedDuration> {
        let longest = self.spacing.saturating_mul(self.room);
        // A clock that was set back empties it at most.
        let debt = self.full_at.map_or(SignedDuration::ZERO, |full| full.duration_since(now));
        let debt = debt.clamp(SignedDuration::ZERO, longest);
        let after = debt.saturating_add(self.spacing);
        let taken = after <= longest;
        self.full_at = now.saturating_add(if taken { after } else { debt }).ok();
        if taken { Ok(()) } else { Err(after.saturating_sub(longest)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: i64) -> Timestamp {
        Timestamp::from_millisecond(1_795_000_000_000 + milliseconds).unwrap()
    }

    #[test]
    fn so_many_times_a_day_and_no_more() {
        let hour = 3_600_000;
        let asked = |times: &[i64]| {
            let mut daily = Daily::default();
            for time in times {
                daily.note(at(*time));
            }
            daily
        };
        for (times, most, now, until) in [
            (vec![], Some(2), 0, None),
            (vec![0], Some(2), hour, None),
            (vec![0, hour], Some(2), 2 * hour, Some(24 * hour)),
            (vec![0, hour], None, 2 * hour, None),
            (vec![0, hour], Some(2), 24 * hour, None),
            (vec![0, hour, 24 * hour], Some(2), 25 * hour, None),
            // The clock was set back.
            (vec![0, hour], Some(2), -hour, None),
        ] {
            assert_eq!(asked(&times).spent_until(most, at(now)), until.map(at), "{times:?} of {most:?} at {now}");
        }
    }

    #[test]
    fn each_waits_for_its_own_pause() {
        let mut pauses = Pauses::of(SignedDuration::from_secs(10));
        for (who, time, expected) in [
            ("alice", 0, None),
            ("bob", 1000, None),
            ("alice", 4000, Some(6000)),
            ("alice", 9999, Some(1)),
            ("alice", 10_000, None),
            ("bob", 10_999, Some(1)),
            // The clock was set back.
            ("alice", -60_000, None),
        ] {
            let left = pauses.enter(&who, at(time)).err();
            assert_eq!(left, expected.map(SignedDuration::from_millis), "{who} at {time}");
        }
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut pauses = Pauses::of(SignedDuration::from_secs(10));
        for who in 0..MOST {
            assert!(pauses.enter(&who, at(0)).is_ok());
        }
        assert!(pauses.enter(&MOST, at(1)).is_err());
        assert!(pauses.enter(&MOST, at(10_000)).is_ok());
        assert_eq!(pauses.until.len(), 1);
    }

    #[test]
    fn a_bucket_holds_so_many_and_is_filled_evenly() {
        let mut bucket = Bucket::of(3, SignedDuration::from_millis(100));
        for (time, expected) in [
            (0, None),
            (0, None),
            (0, None),
            (0, Some(100)),
            (60, Some(40)),
            (100, None),
            (100, Some(100)),
            (1000, None),
            (1000, None),
            (1000, None),
            (1000, Some(100)),
            // The clock was set back: nobody waits for longer than the bucket takes.
            (-60_000, Some(100)),
            (-59_900, None),
        ] {
            assert_eq!(bucket.take(at(time)).err(), expected.map(SignedDuration::from_millis), "at {time}");
        }
    }
}
