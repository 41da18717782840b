//! Mixes of listeners.

use proptest::prelude::*;

use super::*;
use crate::domain::random::config;

/// Seconds that tracks last, from and to.
type Tracks = (i64, i64);
/// Hours after the beginning in which somebody plays.
type Session = (i64, i64);

const SKIPS: Tracks = (31, 31);
const SONGS: Tracks = (180, 240);
const HOURS: i64 = 36;
const LIMIT: i64 = 400;

/// Six in the morning.
fn begin() -> Timestamp {
    Timestamp::from_second(1_795_003_200 / 86_400 * 86_400 + 6 * 3600).unwrap()
}

/// Numbers that look like chance and are the same for a seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: i64) -> i64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        i64::try_from(self.0 >> 33).unwrap() % bound
    }
}

struct Mix {
    chance: Chance,
    listeners: Vec<Listener>,
}

impl Mix {
    fn new(seed: u64) -> Self {
        Self { chance: Chance(seed), listeners: Vec::new() }
    }

    fn with(mut self, count: usize, name: &str, tracks: Tracks, sessions: &[Session]) -> Self {
        for number in 0..count {
            let mut heard = Vec::new();
            for (from, until) in sessions {
                let mut time =
                    begin() + SignedDuration::from_hours(*from) + SignedDuration::from_mins(self.chance.below(20));
                while time < begin() + SignedDuration::from_hours(*until) {
                    heard.push(time.as_millisecond());
                    time += SignedDuration::from_secs(tracks.0 + self.chance.below(tracks.1 - tracks.0 + 1));
                }
            }
            let uid = format!("{name}-{number}-{}", self.chance.below(1_000_000));
            self.listeners.push(Listener::new(uid, bounds(20), heard, begin()));
        }
        self
    }

    /// Lives through it, with a restart now and then.
    fn live(mut self) -> World {
        let mut world = World::new(LIMIT, self.listeners, begin());
        for _ in 0..HOURS * 60 {
            world.pass();
            if self.chance.below(120) == 0 {
                world.restart();
            }
        }
        world
    }
}

/// 40 accounts: three skip for hours, some play in the evening, some all day, some now and then, the others never.
fn mixed(seed: u64, evening: usize, all_day: usize, rare: usize) -> Mix {
    let start = i64::try_from(seed % 30).unwrap();
    Mix::new(seed)
        .with(3, "skips", SKIPS, &[(-2, 4)])
        .with(evening, "evening", SONGS, &[(-12, -8), (12, 16)])
        .with(all_day, "all-day", SONGS, &[(-22, -10), (2, 14), (26, 36)])
        .with(rare, "rare", SONGS, &[(-60, -58), (start, start + 2)])
        .with(37 - evening - all_day - rare, "idle", SONGS, &[])
}

proptest! {
    #![proptest_config(config(2))]

    #[test]
    fn a_mix_that_400_calls_can_follow_loses_nothing(seed in any::<u64>()) {
        let world = mixed(seed, 6, 3, 4).live();
        prop_assert_eq!(world.lost(), 0);
        prop_assert!(!world.messages.is_empty(), "intervals of 20 minutes cannot be held");
        prop_assert!(world.turned_away < 5);
    }

    #[test]
    fn a_mix_at_the_edge_loses_next_to_nothing_and_never_unsaid(seed in any::<u64>()) {
        let world = mixed(seed, 12, 5, 8).live();
        prop_assert!(world.lost() * 40 <= world.heard(), "{} of {} plays", world.lost(), world.heard());
        prop_assert!(world.lost() == 0 || world.losses_told, "{:?}", world.messages);
    }

    #[test]
    fn a_mix_that_they_cannot_follow_loses_what_the_bound_says(seed in any::<u64>()) {
        let world = Mix::new(seed)
            .with(20, "skips", SKIPS, &[(0, HOURS)])
            .with(8, "evening", SONGS, &[(-12, -8), (12, 16)])
            .with(12, "idle", SONGS, &[])
            .live();
        // A call shows 50 plays; 25 clock hours have 400 calls, and a twentieth of them is kept back.
        let calls = usize::try_from(LIMIT * HOURS / 25).unwrap() * 95 / 100;
        prop_assert!(world.lost() + 50 * world.calls.len() >= world.heard(), "no call shows more than 50 plays");
        let kept = world.heard() - world.lost();
        prop_assert!(kept >= 50 * calls * 80 / 100, "{} of {} plays are kept with {} calls", kept, world.heard(), calls);
        prop_assert!(world.losses_told);
        prop_assert!(world.messages.len() < 40, "{:?}", world.messages);
    }

    #[test]
    fn few_accounts_read_as_they_wish(seed in any::<u64>()) {
        let world = Mix::new(seed).with(3, "skips", SKIPS, &[(1, 5)]).with(2, "all-day", SONGS, &[(2, 14), (26, 36)]).live();
        prop_assert_eq!((world.lost(), world.messages.len(), world.turned_away), (0, 0, 0));
    }
}
