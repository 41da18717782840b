//! Somebody who listens, and what the operator knows of it.

use super::*;

/// Somebody who listens.
#[derive(Clone, Debug)]
pub(super) struct Listener {
    pub(super) uid: String,
    pub(super) bounds: Bounds,
    /// When plays end, in milliseconds, oldest first.
    heard: Vec<i64>,
    /// Of how many plays it is decided whether they were seen.
    decided: usize,
    /// The ledger's times.
    pub(super) known: Vec<i64>,
    pub(super) hurried_until: Option<Timestamp>,
    pub(super) last_read: Option<Timestamp>,
    pub(super) turned_away_until: Option<Timestamp>,
    pub(super) due: Timestamp,
    lost: usize,
}

impl Listener {
    /// Plays end at these times; what was before `now` is known.
    pub(super) fn new(uid: String, bounds: Bounds, heard: Vec<i64>, now: Timestamp) -> Self {
        let decided = heard.partition_point(|played| *played <= now.as_millisecond());
        let known = heard[decided.saturating_sub(100)..decided].to_vec();
        let (hurried_until, last_read, turned_away_until) = (None, None, None);
        Self { uid, bounds, heard, decided, known, hurried_until, last_read, turned_away_until, due: now, lost: 0 }
    }

    pub(super) fn member(&self) -> Member<'_> {
        let Self { uid, bounds, known, hurried_until, .. } = self;
        Member { uid, bounds: *bounds, plays: known, hurried_until: *hurried_until, reads: true }
    }

    pub(super) fn heard_until(&self, now: Timestamp) -> usize {
        self.heard.partition_point(|played| *played <= now.as_millisecond())
    }

    /// Plays that are lost by a time, whenever the next read comes.
    pub(super) fn lost_by(&self, now: Timestamp) -> usize {
        self.lost + (self.heard_until(now) - self.decided).saturating_sub(50)
    }

    /// Spotify shows the newest 50. Answers whether any of them is new.
    pub(super) fn read(&mut self, now: Timestamp) -> bool {
        let heard = self.heard_until(now);
        let new = heard - self.decided;
        self.lost += new.saturating_sub(50);
        if new >= 50 {
            self.hurried_until = Some(now + SignedDuration::from_hours(24));
        }
        self.known.extend(&self.heard[heard - new.min(50)..heard]);
        let surplus = self.known.len().saturating_sub(100);
        self.known.drain(..surplus);
        self.decided = heard;
        self.last_read = Some(now);
        self.turned_away_until = None;
        new > 0
    }
}
