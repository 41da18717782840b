//! Plays that appear as the clock passes. What a play is depends on seed and number alone.

use jiff::{SignedDuration, Timestamp};

use super::plays::{add_known_since, identifier};
use crate::api::{ExternalIds, NewGenerator, NewPlay, PlayKind};
use crate::digest::{draw, mixed};
use crate::state::{Generator, World, numbered};

/// Each draw of a play has its own stream.
const STREAMS: u64 = 8;

/// Starts a generator and says its number.
pub(crate) fn add(world: &mut World, account: &str, rule: NewGenerator, now: Timestamp) -> u64 {
    let number = world.next("generators");
    let next_start = rule.start_time.unwrap_or(now);
    let generator = Generator { account: account.to_owned(), rule, made: 0, next_start };
    world.generators.put(format!("{account}/{}", numbered(number)), generator);
    number
}

/// Adds the plays that have ended by `now`.
pub(crate) fn advance(world: &mut World, account: &str, now: Timestamp) {
    let keys: Vec<String> = world.generators.of(account).map(|(key, _)| key.clone()).collect();
    for key in keys {
        let Some(mut generator) = world.generators.get(&key).cloned() else { continue };
        let before = generator.made;
        while let Some(play) = next(&mut generator, now) {
            let ended = play.played_time;
            add_known_since(world, account, play, ended);
        }
        if generator.made != before {
            world.generators.put(key, generator);
        }
    }
}

/// Stops a listener's generators.
pub(crate) fn stop(world: &mut World, account: &str) {
    let keys: Vec<String> = world.generators.of(account).map(|(key, _)| key.clone()).collect();
    for key in keys {
        world.generators.remove(&key);
    }
}

fn next(generator: &mut Generator, now: Timestamp) -> Option<NewPlay> {
    let rule = &generator.rule;
    let number = generator.made;
    if rule.plays.is_some_and(|most| number >= most) {
        return None;
    }
    let ended = plus_milliseconds(generator.next_start, rule.duration_ms.max(1));
    if ended > now || rule.end_time.is_some_and(|end| ended > end) {
        return None;
    }
    let play = play(rule, number, ended);
    let pause = scaled(rule.pause_ms, chance(rule, number, 0));
    generator.next_start = plus_milliseconds(ended, pause);
    generator.made += 1;
    Some(play)
}

fn play(rule: &NewGenerator, number: u64, ended: Timestamp) -> NewPlay {
    let track = mixed(rule.seed, number * STREAMS + 1) % rule.tracks.max(1);
    let title = format!("Song {} of {}", track + 1, rule.seed);
    let mut play = NewPlay::new(ended).titled(title.clone(), format!("Artist {}", track % 37));
    play.album = Some(format!("Album {}", track % 101));
    play.duration_ms = rule.duration_ms;
    play.context = Some(format!("spotify:playlist:{}", identifier(&format!("playlist {}", track % 7))));
    play.available_markets = if number.is_multiple_of(10) { 100 } else { 0 };
    if chance(rule, number, 2) < rule.late_share {
        let late = scaled(rule.late_seconds.saturating_mul(1_000), chance(rule, number, 3));
        play.visible_time = Some(plus_milliseconds(ended, late));
    }
    if chance(rule, number, 4) < rule.undeliverable_share {
        play.kind = if mixed(rule.seed, number * STREAMS + 5).is_multiple_of(2) {
            PlayKind::NullTrack
        } else {
            PlayKind::Episode
        };
    } else if chance(rule, number, 6) < rule.unusual_share {
        match mixed(rule.seed, number * STREAMS + 7) % 5 {
            0 => play.kind = PlayKind::Local,
            1 => play.context = None,
            2 => play.external_ids = ExternalIds::Empty,
            3 => play.external_ids = ExternalIds::Absent,
            _ => play.linked_from = Some(identifier(&format!("{title} as asked for"))),
        }
    }
    play
}

fn chance(rule: &NewGenerator, number: u64, stream: u64) -> f64 {
    draw(rule.seed, number * STREAMS + stream)
}

#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "milliseconds of days fit a double")]
fn scaled(most: i64, share: f64) -> i64 {
    (most as f64 * share) as i64
}

fn plus_milliseconds(time: Timestamp, milliseconds: i64) -> Timestamp {
    time.checked_add(SignedDuration::from_millis(milliseconds)).unwrap_or(Timestamp::MAX)
}
