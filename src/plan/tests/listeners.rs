//! Listeners for days: whatever they play, nothing overflows where that is promised, and rest costs next to nothing.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use proptest::collection::vec;
use proptest::prelude::*;

use super::accounts::{AccountSentence, account, hours, minutes, seconds, start};
use super::observations::token;
use super::plays::{page, play};
use super::world::World;
use crate::domain::answer::ApiAnswer;
use crate::domain::random::config;

/// One listener, read by one operator after another.
struct Listener {
    world: World,
    /// When plays end, oldest first.
    plays: Vec<Timestamp>,
    /// How many of them Spotify has listed.
    listed: usize,
    seen: BTreeSet<Timestamp>,
}

impl Listener {
    fn of(uid: &str, interval: SignedDuration, plays: Vec<Timestamp>) -> Self {
        let mut account = account().reading_every(interval);
        account.metadata.uid = Some(uid.to_owned());
        let mut world = World::of(account);
        world.secret.then = Ok(token(start() + hours(900)));
        let mut listener = Self { world, plays, listed: 0, seen: BTreeSet::new() };
        listener.pass();
        listener.world.forget();
        listener
    }

    /// One pass, in which Spotify shows the newest 50 plays.
    fn pass(&mut self) -> SignedDuration {
        let now = self.world.now;
        let until = self.plays.partition_point(|played| *played <= now);
        let shown = &self.plays[until.saturating_sub(50)..until];
        if until != self.listed {
            let plays = shown.iter().rev().map(|played| play(&played.as_millisecond().to_string(), *played));
            self.world.pages.then = ApiAnswer::Found(Arc::new(page(plays)));
            self.listed = until;
        }
        let reads = self.world.reads();
        let wait = self.world.pass().requeue;
        if self.world.reads() > reads {
            self.seen.extend(shown);
        }
        wait
    }

    fn run_for(&mut self, time: SignedDuration) {
        let end = self.world.now + time;
        while self.world.now < end {
            let wait = self.pass();
            self.world.now = (self.world.now + wait).min(end);
        }
    }

    /// Plays that no read has shown, of those that ended between the first read and the last.
    fn missed(&self) -> usize {
        let (first, last) = (start(), self.seen.last().copied().unwrap_or(start()));
        self.plays.iter().filter(|played| **played > first && **played < last && !self.seen.contains(played)).count()
    }

    fn gaps(&self) -> i64 {
        self.world.status().sync.unwrap().gaps_total
    }
}

/// Plays of so many seconds one after another, after a rest, again and again.
fn life(sessions: &[(i64, i64, i64)]) -> Vec<Timestamp> {
    let mut now = start() - hours(1);
    let mut plays = Vec::new();
    for (rest, length, count) in sessions {
        now += seconds(*rest);
        for _ in 0..*count {
            now += SignedDuration::from_millis(length * 1000 + 7);
            plays.push(now);
        }
    }
    plays
}

fn sessions() -> impl Strategy<Value = Vec<(i64, i64, i64)>> {
    let length = prop_oneof![3 => 30_i64..33, 1 => 33_i64..60, 1 => 60_i64..400];
    let rest = prop_oneof![2 => 0_i64..1800, 1 => 1800_i64..20_000];
    vec((rest, length, 1_i64..200), 1..12)
}

proptest! {
    #![proptest_config(config(12))]

    #[test]
    fn nothing_overflows_an_interval_of_twenty_minutes_through_short_absences(
        uid in "[a-f0-9]{8}",
        interval in 5_i64..=20,
        sessions in sessions(),
        absences in vec((20_i64..200, 1_i64..299), 0..12),
    ) {
        let mut listener = Listener::of(&uid, minutes(interval), life(&sessions));
        for (on_duty, away) in absences {
            listener.run_for(minutes(on_duty));
            listener.world.restart_after(seconds(away));
        }
        listener.run_for(hours(8));
        prop_assert_eq!((listener.missed(), listener.gaps()), (0, 0));
    }

    #[test]
    fn what_a_longer_interval_loses_is_bounded_by_what_is_told(
        uid in "[a-f0-9]{8}",
        interval in 21_i64..1440,
        sessions in sessions(),
    ) {
        let mut listener = Listener::of(&uid, minutes(interval), life(&sessions));
        listener.run_for(hours(48));
        let told = listener.world.status().sync.unwrap().lost_at_most_total;
        let missed = i64::try_from(listener.missed()).unwrap();
        prop_assert!(missed <= told, "{} of at most {}", missed, told);
        prop_assert!(missed == 0 || listener.gaps() > 0);
    }

    #[test]
    fn whoever_rests_costs_one_read_in_the_longest_interval(
        uid in "[a-f0-9]{8}",
        interval in 5_i64..1440,
        sessions in vec((0_i64..600, 31_i64..300, 1_i64..30), 0..4),
        restarts in 0_i64..20,
    ) {
        let mut listener = Listener::of(&uid, minutes(interval), life(&sessions));
        // Whatever was played is over, told and forgotten.
        listener.run_for(hours(72));
        let (reads, writes) = (listener.world.reads(), listener.world.writes);
        for _ in 0..restarts {
            listener.run_for(hours(96) / i32::try_from(restarts).unwrap());
            let uptime = listener.world.now;
            listener.world.restart_after(SignedDuration::ZERO);
            prop_assert_eq!(listener.world.now, uptime);
        }
        if restarts == 0 {
            listener.run_for(hours(96));
        }
        let spent = i64::try_from(listener.world.reads() - reads).unwrap();
        prop_assert!(spent <= 96 * 60 / interval + 1, "{} reads in four days", spent);
        prop_assert_eq!(listener.world.writes, writes);
    }
}

/// Somebody who begins to play short tracks just after a read.
fn starting_after_a_read(interval: SignedDuration) -> Listener {
    let mut listener = Listener::of("uid-1", interval, Vec::new());
    listener.run_for(hours(48));
    let reads = listener.world.reads();
    while listener.world.reads() == reads {
        listener.run_for(seconds(10));
    }
    let mut played = listener.world.now;
    let plays = std::iter::repeat_with(|| {
        played += SignedDuration::from_millis(31_000);
        played
    });
    listener.plays = plays.take(24 * 3600 / 31).collect();
    listener.run_for(hours(23));
    listener
}

#[test]
fn the_worst_case_of_a_long_interval_is_one_gap_and_of_a_short_one_none() {
    let safe = starting_after_a_read(minutes(20));
    assert_eq!((safe.missed(), safe.gaps()), (0, 0));
    let long = starting_after_a_read(hours(1));
    assert_eq!(long.gaps(), 1, "the first read after the start comes too late, no other");
    assert!((60..=70).contains(&long.missed()), "{}", long.missed());
    let lost = long.world.status().sync.unwrap().lost_at_most_total;
    assert!(lost >= i64::try_from(long.missed()).unwrap() && lost <= 72, "{lost}");
}

#[test]
fn whoever_stops_to_play_fast_is_read_as_seldom_as_before_within_hours() {
    let mut listener = Listener::of("uid-1", minutes(20), life(&[(3600, 31, 300)]));
    listener.run_for(hours(2));
    assert_eq!(listener.world.status().sync.unwrap().interval.unwrap().as_str(), "10m");
    listener.run_for(hours(3));
    assert_eq!(listener.world.status().sync.unwrap().interval.unwrap().as_str(), "20m");
    listener.world.forget();
    listener.run_for(hours(24));
    assert!((71..=73).contains(&listener.world.reads()), "{}", listener.world.reads());
    assert_eq!(listener.world.writes, 0);
}
