//! How fast an app's accounts may ask Spotify's Web API: a bucket with room for a third of what 30 seconds may hold,
//! filled with the other two thirds over 30 seconds. So no 30 seconds hold more than `--app-requests-per-30s`.
//!
//! After a gate opened, and for a while after those that waited have come, nobody may go ahead of the rest: requests are
//! evenly spaced then, at half of what the window may hold.
//!
//! Whoever finds it empty has a time of its own from then on and comes back at it: nobody waits in line with a hand up.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};

const WINDOW: SignedDuration = SignedDuration::from_secs(30);
/// Whoever does not come back so long after its time has lost it.
const COURTESY: SignedDuration = SignedDuration::from_mins(2);
/// How long requests stay evenly spaced after those that waited at a gate have come: as long as most others take to come in
/// their own slots.
const AFTERMATH: SignedDuration = SignedDuration::from_mins(5);

/// The time between two calls at the steady rate.
pub fn spacing(requests_per_30s: u32) -> SignedDuration {
    let steady = requests_per_30s.saturating_sub(requests_per_30s / 3).max(1);
    WINDOW / i32::try_from(steady).unwrap_or(i32::MAX)
}

/// How far the calls that were let through may be ahead of the steady rate.
/// The time between two requests while a gate has just opened.
pub fn level_spacing(requests_per_30s: u32) -> SignedDuration {
    WINDOW / i32::try_from((requests_per_30s / 2).max(1)).unwrap_or(i32::MAX)
}

fn room(requests_per_30s: u32) -> SignedDuration {
    let at_once = i32::try_from(requests_per_30s / 3).unwrap_or(i32::MAX).saturating_sub(1).max(0);
    spacing(requests_per_30s).saturating_mul(at_once)
}

/// One app's pace.
#[derive(Clone, Debug, Default)]
pub struct Pacer {
    /// When the bucket is full again, all that were let through taken at the steady rate.
    full_at: Option<Timestamp>,
    /// Until when nobody is ahead of the steady rate: a gate has just opened.
    level_until: Option<Timestamp>,
    /// Who comes when.
    times: HashMap<String, Timestamp>,
}

impl Pacer {
    /// Lets an account through, or says when it has its turn.
    ///
    /// # Errors
    /// The time, which is the account's own from now on.
    pub fn enter(&mut self, account: &str, requests_per_30s: u32, now: Timestamp) -> Result<(), Timestamp> {
        self.times.retain(|_, time| now.duration_since(*time) <= COURTESY);
        match self.times.get(account).copied() {
            Some(time) if time > now => return Err(time),
            Some(_) => {
                self.times.remove(account);
                return Ok(());
            }
            None => {}
        }
        let full_at = self.full_at.map_or(now, |full_at| full_at.max(now));
        let (step, room) = match self.level_until {
            Some(until) if now < until => (level_spacing(requests_per_30s), SignedDuration::ZERO),
            // Whoever still waits is not overtaken.
            Some(_) if full_at > now => (spacing(requests_per_30s), SignedDuration::ZERO),
            _ => {
                self.level_until = None;
                (spacing(requests_per_30s), room(requests_per_30s))
            }
        };
        self.full_at = full_at.checked_add(step).ok();
        let turn = full_at.checked_sub(room).map_or(now, |turn| turn.max(now));
        if turn <= now {
            return Ok(());
        }
        self.times.insert(account.to_owned(), turn);
        Err(turn)
    }

    /// One more call of somebody who was let through.
    pub fn charge(&mut self, requests_per_30s: u32, now: Timestamp) {
        let full_at = self.full_at.map_or(now, |full_at| full_at.max(now));
        self.full_at = full_at.checked_add(spacing(requests_per_30s)).ok();
    }

    /// For a time nobody is ahead of the steady rate: those that waited come now.
    pub fn level(&mut self, now: Timestamp, spread: SignedDuration) {
        self.full_at = self.full_at.max(Some(now));
        self.level_until = self.level_until.max(level_end(now, spread));
    }

    /// A gate is closed until a time, and `spread` is how long those that waited take after it: nobody keeps a time
    /// that was given before.
    pub fn close(&mut self, until: Timestamp, spread: SignedDuration) {
        self.times.clear();
        self.full_at = self.full_at.max(Some(until));
        self.level_until = self.level_until.max(level_end(until, spread));
    }
}

fn level_end(opens: Timestamp, spread: SignedDuration) -> Option<Timestamp> {
    opens.checked_add(spread.saturating_add(AFTERMATH)).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::random::config;

    fn time(milliseconds: i64) -> Timestamp {
        Timestamp::from_millisecond(1_795_000_000_000 + milliseconds).unwrap()
    }

    /// Accounts that all want to go at once, and come back when they are told.
    fn calls(pacer: &mut Pacer, accounts: usize, rate: u32, begin: i64) -> Vec<i64> {
        let mut waiting: Vec<(i64, usize)> = (0..accounts).map(|number| (begin, number)).collect();
        let mut calls = Vec::new();
        while let Some(place) = (0..waiting.len()).min_by_key(|place| waiting[*place].0) {
            let (at, account) = waiting.swap_remove(place);
            match pacer.enter(&format!("account-{account}"), rate, time(at)) {
                Ok(()) => calls.push(at),
                Err(turn) => {
                    assert!(turn > time(at));
                    waiting.push((turn.as_millisecond() - time(0).as_millisecond() + 1, account));
                }
            }
        }
        calls.sort_unstable();
        calls
    }

    #[test]
    fn a_third_goes_at_once_and_the_rest_evenly() {
        let calls = calls(&mut Pacer::default(), 100, 60, 0);
        assert_eq!(calls.iter().filter(|at| **at == 0).count(), 20);
        assert!(calls[20..].windows(2).all(|pair| (749..=751).contains(&(pair[1] - pair[0]))), "{calls:?}");
    }

    #[test]
    fn after_a_gate_nobody_is_ahead_of_the_rate() {
        let mut pacer = Pacer::default();
        pacer.close(time(30_000), SignedDuration::from_secs(200));
        let calls = calls(&mut pacer, 200, 60, 30_001);
        assert!(calls[0] >= 30_000);
        assert!(calls.windows(2).all(|pair| pair[1] - pair[0] >= 999), "{calls:?}");
        let last = *calls.last().unwrap();
        assert!(last <= 30_000 + 200_500, "{last}");
    }

    #[test]
    fn whoever_comes_later_overtakes_nobody_who_waits_since_a_gate() {
        let mut pacer = Pacer::default();
        pacer.close(time(0), SignedDuration::ZERO);
        let end = 300_000;
        let waiting = calls(&mut pacer, 400, 60, 1);
        assert!(waiting.windows(2).all(|pair| pair[1] - pair[0] >= 749));
        assert!(*waiting.last().unwrap() > end);
        let mut pacer = Pacer::default();
        pacer.close(time(0), SignedDuration::ZERO);
        for number in 0..400 {
            let _ = pacer.enter(&number.to_string(), 60, time(1));
        }
        let turn = pacer.enter("later", 60, time(end + 1)).unwrap_err();
        assert!(turn >= time(400_000), "{turn}");
        // Once nobody waits any more, some may go at once again.
        let calls = calls(&mut pacer, 30, 60, 500_000);
        assert_eq!(calls.iter().filter(|at| **at == 500_000).count(), 20);
    }

    #[test]
    fn a_turn_is_kept_for_whoever_has_it_and_lost_at_a_gate() {
        let mut pacer = Pacer::default();
        for number in 0..20 {
            assert_eq!(pacer.enter(&number.to_string(), 60, time(0)), Ok(()));
        }
        let turn = pacer.enter("late", 60, time(0)).unwrap_err();
        assert_eq!(pacer.enter("late", 60, time(0)), Err(turn), "asking again does not cost another turn");
        assert!(pacer.enter("later", 60, time(0)).unwrap_err() > turn);
        assert_eq!(pacer.enter("late", 60, turn), Ok(()));
        pacer.close(time(60_000), SignedDuration::ZERO);
        assert!(pacer.enter("later", 60, time(10_000)).unwrap_err() >= time(60_000) - room(60));
    }

    proptest! {
        #![proptest_config(config(128))]

        #[test]
        fn no_thirty_seconds_hold_more_than_allowed(
            rate in 1_u32..200,
            pauses in proptest::collection::vec(0_i64..3_000, 1..300),
        ) {
            let mut pacer = Pacer::default();
            let (mut calls, mut at) = (Vec::new(), 0);
            let mut waiting: Vec<(i64, String)> = Vec::new();
            for (number, pause) in pauses.iter().enumerate() {
                at += pause;
                waiting.push((at, number.to_string()));
            }
            while let Some(place) = (0..waiting.len()).min_by_key(|place| waiting[*place].0) {
                let (at, account) = waiting.swap_remove(place);
                match pacer.enter(&account, rate, time(at)) {
                    Ok(()) => calls.push(at),
                    Err(turn) => waiting.push((turn.as_millisecond() - time(0).as_millisecond() + 1, account)),
                }
            }
            calls.sort_unstable();
            prop_assert_eq!(calls.len(), pauses.len());
            for (number, at) in calls.iter().enumerate() {
                let within = calls[number..].iter().take_while(|other| **other - at < 30_000).count();
                prop_assert!(within <= usize::try_from(rate).unwrap().max(1), "{} calls where {} are allowed", within, rate);
            }
        }
    }
}
