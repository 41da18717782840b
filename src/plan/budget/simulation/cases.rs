use proptest::prelude::*;
use proptest::test_runner::TestRng;
use proptest::test_runner::TestRunner;

use super::*;
use crate::domain::random::config;

const SECOND: i64 = 1000;

fn begin() -> Timestamp {
    // Six in the morning.
    Timestamp::from_second(1_795_003_200 / 86_400 * 86_400 + 6 * 3600).unwrap()
}

/// Plays in sessions of (from, until), hours after the beginning, each so many seconds long.
fn plays(rng: &mut TestRng, sessions: &[(f64, f64)], seconds: (i64, i64)) -> Vec<i64> {
    let mut heard = Vec::new();
    for (from, until) in sessions {
        let hour = |hours: f64| begin().as_millisecond() + (hours * 3_600_000.0) as i64;
        let mut time = hour(*from);
        while time < hour(*until) {
            time += rng.random_range(seconds.0 * SECOND..=seconds.1 * SECOND);
            heard.push(time);
        }
    }
    heard
}

fn print(world: &World, what: &str) {
    eprintln!(
        "{what}: calls {} heard {} lost {} turned away {} shortfalls {}",
        world.calls.len(), world.heard(), world.lost(), world.turned_away, world.shortfalls.len()
    );
    for listener in &world.listeners {
        if listener.lost > 0 { eprintln!("  {} lost {}", listener.uid, listener.lost); }
    }
    for shortfall in &world.shortfalls { eprintln!("  {}", shortfall.message()); }
}

fn run(world: &mut World, hours: i64, rng: &mut TestRng) {
    for _ in 0..hours * 60 {
        world.pass();
        if rng.random_ratio(1, 120) {
            world.restart();
        }
    }
}

fn rng(seed: u8) -> TestRng {
    TestRng::from_seed(proptest::test_runner::RngAlgorithm::ChaCha, &[seed; 32])
}

fn mixed(rng: &mut TestRng) -> Vec<Listener> {
    let mut listeners = Vec::new();
    let mut add = |name: String, heard: Vec<i64>| listeners.push(Listener::new(name, bounds(20), heard, begin()));
    for number in 0..3 {
        add(format!("skips-{number}"), plays(rng, &[(-2.0, 4.0)], (31, 31)));
    }
    for number in 0..12 {
        add(format!("evening-{number}"), plays(rng, &[(-12.0, -8.0), (12.0, 16.0)], (180, 240)));
    }
    for number in 0..5 {
        add(format!("all-day-{number}"), plays(rng, &[(-22.0, -10.0), (2.0, 14.0), (26.0, 36.0)], (180, 240)));
    }
    for number in 0..8 {
        let start = f64::from(rng.random_range(0..34_u32));
        add(format!("rare-{number}"), plays(rng, &[(-60.0, -58.0), (start, start + 1.0)], (180, 240)));
    }
    for number in 0..12 {
        add(format!("idle-{number}"), Vec::new());
    }
    listeners
}

#[test]
fn look() {
    for seed in 0..4 {
        let mut rng = rng(seed);
        let mut world = World::new(400, mixed(&mut rng), begin());
        run(&mut world, 36, &mut rng);
        print(&world, "mixed");
    }
    for seed in 0..2 {
        let mut rng = rng(seed);
        let mut listeners = mixed(&mut rng);
        for number in 0..20 {
            listeners[number + 3] = Listener::new(format!("fast-{number}"), bounds(20), plays(&mut rng, &[(0.0, 36.0)], (31, 31)), begin());
        }
        let mut world = World::new(400, listeners, begin());
        run(&mut world, 36, &mut rng);
        print(&world, "overloaded");
    }
}
