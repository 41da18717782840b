//! A day and a half of a group, minute by minute: real rhythms, shares and blocks against listeners that are made up.

mod cases;
mod listener;

use jiff::{SignedDuration, Timestamp};

use self::listener::Listener;
use super::*;
use crate::api::v1alpha1::QuotaHour;
use crate::plan::observed::Duty;
use crate::plan::pace::{Bounds, Rhythm};
use crate::plan::slot::next_slot;

const APP: &str = "app";
/// Shares change with the clock hour, and as what is known of listeners grows old; and at once when plays are read.
const SHARED_EVERY: i64 = 900;

/// The operator, its app's status, and those who listen.
struct World {
    limit: i64,
    listeners: Vec<Listener>,
    now: Timestamp,
    /// What the app's status says.
    status: Vec<QuotaHour>,
    hours: Hours,
    shares: Shares,
    duty: Duty,
    /// The minutes at which a call was made.
    calls: Vec<Timestamp>,
    turned_away: usize,
    messages: Vec<String>,
    losses_told: bool,
}

impl World {
    fn new(limit: i64, listeners: Vec<Listener>, now: Timestamp) -> Self {
        let mut world = Self {
            limit,
            listeners,
            now,
            status: Vec::new(),
            hours: Hours::default(),
            shares: Shares::default(),
            duty: Duty { since: now, before_until: None },
            calls: Vec::new(),
            turned_away: 0,
            messages: Vec::new(),
            losses_told: false,
        };
        world.share();
        world
    }

    fn share(&mut self) {
        let allowance = Allowance::new(self.limit, &self.hours.by_age(self.now));
        let members: Vec<Member> = self.listeners.iter().map(Listener::member).collect();
        self.shares.update(&members, Some(&allowance), self.now);
        if let Some(found) = self.shares.shortfall() {
            self.losses_told |= found.loses();
            self.messages.push(found.message());
            self.messages.dedup();
        }
        for index in 0..self.listeners.len() {
            self.plan(index);
        }
    }

    /// What a pass leaves: when to come back.
    fn plan(&mut self, index: usize) {
        self.listeners[index].due = self.due(&self.listeners[index]);
    }

    fn rhythm(&self, listener: &Listener) -> Rhythm {
        let Listener { uid, bounds, known, hurried_until, .. } = listener;
        Rhythm::within(uid, *bounds, known.clone(), *hurried_until).held_to(self.shares.portion(uid))
    }

    fn due(&self, listener: &Listener) -> Timestamp {
        let due = next_slot(&self.rhythm(listener), listener.last_read, &self.duty);
        due.max(listener.turned_away_until.unwrap_or(due))
    }

    /// Whether a call may be made, after the writes that it takes.
    fn take(&mut self) -> Result<(), Timestamp> {
        let due = |world: &Self| {
            let members: Vec<Member> = world.listeners.iter().map(Listener::member).collect();
            world.shares.due(&members, world.now)
        };
        loop {
            let asked = if self.hours.is_open(APP, self.now) { 1 } else { due(self) };
            match self.hours.take(APP, self.limit, asked, self.now) {
                Take::Granted => return Ok(()),
                Take::Spent { until } => return Err(until),
                Take::Reserve(reservation) => {
                    self.status.clone_from(&reservation.hours);
                    self.hours.reserved(APP, &reservation);
                }
            }
        }
    }

    /// A minute goes by.
    fn pass(&mut self) {
        self.now += SignedDuration::from_mins(1);
        if self.now.as_second() % SHARED_EVERY == 0 {
            self.share();
        }
        let mut news = false;
        for index in 0..self.listeners.len() {
            if self.listeners[index].due > self.now {
                continue;
            }
            match self.take() {
                Ok(()) => {
                    self.calls.push(self.now);
                    news |= self.listeners[index].read(self.now);
                }
                Err(until) => {
                    let next = self.rhythm(&self.listeners[index]).next_from(until);
                    self.listeners[index].turned_away_until = Some(next);
                    self.turned_away += 1;
                }
            }
            self.plan(index);
        }
        if news {
            self.share();
        }
        let day = self.now - SignedDuration::from_hours(24);
        let since = self.calls.len() - self.calls.partition_point(|call| *call <= day);
        assert!(since <= usize::try_from(self.limit).unwrap(), "{since} calls in 24 hours, at {}", self.now);
    }

    /// Another process takes over, and knows what is stored.
    fn restart(&mut self) {
        self.share();
        let before: Vec<Timestamp> = self.listeners.iter().map(|listener| self.due(listener)).collect();
        self.hours = Hours::default();
        self.hours.observe(APP, &self.status);
        self.shares = Shares::default();
        self.duty = Duty { since: self.now, before_until: Some(self.now) };
        for listener in &mut self.listeners {
            listener.last_read = None;
            listener.turned_away_until = None;
        }
        self.share();
        for (listener, before) in self.listeners.iter().zip(before) {
            let after = self.due(listener);
            assert!(after > self.now, "{}: a restart brings a read", listener.uid);
            assert!(after <= before, "{}: a restart delays a read", listener.uid);
        }
    }

    fn heard(&self) -> usize {
        self.listeners.iter().map(|listener| listener.heard_until(self.now)).sum()
    }

    fn lost(&self) -> usize {
        self.listeners.iter().map(|listener| listener.lost_by(self.now)).sum()
    }
}

fn bounds(minutes: i64) -> Bounds {
    Bounds { longest: SignedDuration::from_mins(minutes), shortest: SignedDuration::from_mins(5) }
}
