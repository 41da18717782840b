//! Plays that nobody may have seen: when that is a gap, how many at most, and what is told of it.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::accounts::{AccountSentence, StatusQuestion, account, hours, minutes, seconds, start};
use super::observations::token;
use super::plays::{page, play, skipped};
use super::world::World;
use crate::api::condition::{ConditionType, whole_seconds};
use crate::api::v1alpha1::SyncStatus;
use crate::domain::answer::{ApiAnswer, Trouble};
use crate::domain::ledger::{Identity, Ledger};
use crate::domain::play::{Heard, Page};
use crate::plan::{delivery, gap};

/// So many plays, each a minute before the one above it; the oldest ended at a time.
fn shown(count: i64, oldest: Timestamp) -> Page {
    page((0..count).rev().map(|number| {
        let ended = oldest + minutes(number);
        play(&format!("at-{}", ended.as_second()), ended)
    }))
}

fn knowing(pages: &[&Page]) -> Ledger {
    let mut ledger = Ledger::default();
    for page in pages {
        crate::plan::open::absorb(&mut ledger, Some(page), &crate::domain::journal::Journal::default());
        ledger.prune();
    }
    ledger
}

#[test]
fn plays_may_have_been_lost_where_a_full_page_is_all_new() {
    let known = shown(50, start() - hours(1));
    // The newest of them.
    let newest = start() - minutes(11);
    let full = |wait: SignedDuration| shown(50, newest + wait);
    let overlapping = shown(50, newest);
    let mut shifted = full(seconds(300));
    shifted.entries.pop();
    let Some(Heard::Play(again)) = known.entries.first().cloned() else { panic!("a page of plays") };
    shifted.entries.push(Heard::Play(crate::domain::play::Play { played_at: newest + seconds(29), ..again }));
    let mut with_an_episode = full(seconds(300));
    with_an_episode.entries.pop();
    with_an_episode.entries.push(skipped(newest + seconds(300)));
    let long_ago = shown(50, start() - hours(9));
    let newer = [shown(50, start() - hours(5)), shown(50, start() - hours(3)), known.clone()];
    let after_newer = knowing(&[&long_ago, &newer[0], &newer[1], &newer[2]]);
    let ledger = knowing(&[&known]);
    let none = Ledger::default();
    let no_start = None;
    let from = |wait: SignedDuration| Some(newest + wait);
    for (what, ledger, page, start_time, expected) in [
        ("the first read", &none, full(hours(1)), no_start, None),
        ("a page that is not full", &ledger, shown(49, newest + hours(1)), no_start, None),
        ("nothing shown", &ledger, Page::default(), no_start, None),
        ("one play is known", &ledger, overlapping, no_start, None),
        ("one play is known, shown with a shifted time", &ledger, shifted, no_start, None),
        ("the same page again", &ledger, known.clone(), no_start, None),
        ("a page of long ago, forgotten by now", &after_newer, long_ago, no_start, None),
        ("30 s: nothing fits between", &ledger, full(seconds(30)), no_start, None),
        ("59.999 s", &ledger, full(SignedDuration::from_millis(59_999)), no_start, None),
        ("a minute: one fits", &ledger, full(seconds(60)), no_start, Some(1)),
        ("89 s", &ledger, full(seconds(89)), no_start, Some(1)),
        ("five minutes", &ledger, full(seconds(300)), no_start, Some(9)),
        ("entries that cannot be scrobbled are shown in a play's place", &ledger, with_an_episode, no_start, Some(9)),
        ("an hour", &ledger, full(hours(1)), no_start, Some(119)),
        ("an hour, wanted from before", &ledger, full(hours(1)), from(-hours(1)), Some(119)),
        ("an hour, wanted from its middle", &ledger, full(hours(1)), from(minutes(30)), Some(59)),
        ("an hour, wanted from its end", &ledger, full(hours(1)), from(hours(1)), None),
        ("an hour, wanted from later", &ledger, full(hours(1)), from(hours(2)), None),
    ] {
        assert_eq!(gap::lost_at_most(ledger, &page, None, start_time), expected, "{what}");
    }
}

/// A reader of a full page, whose next page tells of something missed.
fn reading() -> World {
    let mut world = World::of(account().with_target("brainz"));
    world.secret.then = Ok(token(start() + hours(900)));
    world.pages.then = ApiAnswer::Found(Arc::new(shown(50, start() - hours(1))));
    world.pass();
    assert_eq!(sync(&world).gaps_total, 0, "nothing is known of what was before the first read");
    world.forget();
    world
}

fn sync(world: &World) -> SyncStatus {
    world.status().sync.unwrap()
}

/// Spotify shows a page whose oldest play ended so long after the newest known.
fn misses(world: &mut World, missed: SignedDuration) {
    let newest = delivery::ledger(&world.status()).newest_ms().unwrap();
    let oldest = Timestamp::from_millisecond(newest).unwrap() + missed;
    world.pages.then = ApiAnswer::Found(Arc::new(shown(50, oldest)));
}

fn read_once(world: &mut World) {
    let reads = world.reads();
    while world.reads() == reads {
        world.run_for(minutes(1));
    }
}

fn said(world: &World) -> Vec<&str> {
    world.said.iter().map(|said| said.reason.as_str()).collect()
}

#[test]
fn a_gap_is_counted_told_for_a_day_and_ends_with_one_write() {
    let mut world = reading();
    misses(&mut world, minutes(10));
    read_once(&mut world);
    let found = sync(&world).last_sync_time.unwrap();
    let told = sync(&world);
    assert_eq!((told.gaps_total, told.lost_at_most_total, told.last_gap_lost_at_most), (1, 19, Some(19)));
    assert_eq!(told.last_gap_time, Some(found.clone()));
    assert_eq!(told.interval.unwrap().as_str(), "10m", "read more often for a day");
    let status = world.status();
    assert_eq!(status.condition(ConditionType::Ready), "True Succeeded");
    assert_eq!(status.condition(ConditionType::Synced), "True GapDetected");
    let message = status.message(ConditionType::Synced);
    assert!(message.contains("at most 19 plays") && message.contains(&format!("{:.0}", found.0)), "{message}");
    assert_eq!(said(&world), ["GapDetected"]);
    assert!(world.said[0].warning && world.said[0].note == message);
    assert_eq!(world.writes, 1);

    world.forget();
    let end = found.0 + hours(24);
    world.run_for(end.duration_since(world.now) - seconds(1));
    assert_eq!(world.status().condition(ConditionType::Synced), "True GapDetected");
    assert_eq!(world.status().message(ConditionType::Synced), message);
    assert!((140..=145).contains(&world.reads()), "{} reads in a day", world.reads());
    assert_eq!(world.writes, 0, "nothing changes meanwhile");
    world.run_for(seconds(1) + SignedDuration::from_millis(1));
    assert_eq!(world.status().condition(ConditionType::Synced), "True Succeeded");
    assert_eq!(world.writes, 1, "its end is told when it comes");
    world.run_for(hours(3));
    assert_eq!(world.writes, 2, "the next read tells the interval that is in force again");
    assert_eq!(sync(&world).interval.unwrap().as_str(), "20m");
    assert_eq!(said(&world), Vec::<&str>::new());
    assert_eq!((sync(&world).gaps_total, sync(&world).lost_at_most_total), (1, 19));
}

#[test]
fn each_gap_is_said_once_and_adds_up() {
    let mut world = reading();
    misses(&mut world, minutes(10));
    read_once(&mut world);
    misses(&mut world, minutes(1));
    read_once(&mut world);
    assert_eq!(said(&world), ["GapDetected", "GapDetected"]);
    assert!(world.said[1].note.contains("at most 1 play was lost"), "{}", world.said[1].note);
    assert_eq!((sync(&world).gaps_total, sync(&world).lost_at_most_total), (2, 20));
    assert_eq!(sync(&world).last_gap_lost_at_most, Some(1));
    world.pages.then = ApiAnswer::Found(Arc::new(shown(50, start() - hours(1))));
    read_once(&mut world);
    world.pages.then = ApiAnswer::Found(Arc::default());
    read_once(&mut world);
    assert_eq!(sync(&world).gaps_total, 2, "an older page and an empty one tell nothing");
    assert_eq!(said(&world).len(), 2);
}

#[test]
fn a_gap_is_still_told_after_trouble_that_showed() {
    let mut world = reading();
    misses(&mut world, minutes(10));
    read_once(&mut world);
    let message = world.status().message(ConditionType::Synced);
    let shown = world.pages.then.clone();
    world.pages.then = ApiAnswer::Failed(Trouble::Status(503));
    world.run_for(hours(2));
    assert!(world.status().condition(ConditionType::Synced).starts_with("False"));
    world.pages.then = shown;
    world.run_for(hours(2));
    assert_eq!(world.status().condition(ConditionType::Synced), "True GapDetected");
    assert_eq!(world.status().message(ConditionType::Synced), message);
    assert_eq!(said(&world).iter().filter(|reason| **reason == "GapDetected").count(), 1);
}

#[test]
fn a_gap_ends_in_time_although_spotify_fails_and_nobody_was_on_duty() {
    let mut world = reading();
    misses(&mut world, minutes(10));
    read_once(&mut world);
    let end = sync(&world).last_gap_time.unwrap().0 + hours(24);
    world.run_for(end.duration_since(world.now) - minutes(2));
    world.restart_after(minutes(4));
    world.forget();
    world.pass();
    assert_eq!(world.status().condition(ConditionType::Synced), "True Succeeded");
    assert_eq!(world.writes, 1);
}

#[test]
fn what_was_missed_while_suspended_is_no_gap() {
    let mut world = reading();
    world.account = world.account.clone().suspended().edited();
    world.pass();
    let suspended = whole_seconds(world.now);
    world.run_for(hours(5));
    assert_eq!(world.writes, 1, "what is remembered of it rides on the write that tells of it");
    assert_eq!(sync(&world).suspended_time, Some(suspended.clone()));
    // Spotify fails at first, so that the suspension is over before the read.
    world.account.spec.suspend = false;
    world.account = world.account.clone().edited();
    world.pages.then = ApiAnswer::Failed(Trouble::Status(503));
    world.pass();
    assert_eq!(sync(&world).suspended_time, Some(suspended));
    misses(&mut world, hours(2));
    world.forget();
    read_once(&mut world);
    assert_eq!(world.writes, 1);
    let told = sync(&world);
    assert_eq!((told.gaps_total, told.lost_at_most_total, told.missed_while_suspended_at_most), (0, 0, 239));
    assert_eq!((told.suspended_time, told.last_gap_time), (None, None));
    assert_eq!(world.status().condition(ConditionType::Synced), "True Succeeded");
    assert!(!said(&world).contains(&"GapDetected"));
    misses(&mut world, minutes(10));
    read_once(&mut world);
    assert_eq!((sync(&world).gaps_total, sync(&world).lost_at_most_total), (1, 19), "the suspension is over");
}

#[test]
fn an_account_that_was_never_read_remembers_no_suspension() {
    let mut world = World::of(account().with_target("brainz").suspended());
    world.run_for(hours(1));
    assert_eq!(world.status().sync, None);
}

#[test]
fn where_no_play_is_known_a_gap_begins_at_the_last_read() {
    for (oldest, gaps, lost) in [(start() - hours(9), 0, 0), (start(), 0, 0), (start() + minutes(5), 1, 9)] {
        let mut world = World::of(account().with_target("brainz"));
        world.pass();
        world.pages.then = ApiAnswer::Found(Arc::new(shown(50, oldest)));
        read_once(&mut world);
        assert_eq!((sync(&world).gaps_total, sync(&world).lost_at_most_total), (gaps, lost), "{oldest}");
    }
}

#[test]
fn what_was_played_before_the_start_is_not_missed() {
    let mut world = reading();
    world.account = world.account.clone().starting_at(start() + hours(9));
    misses(&mut world, hours(2));
    read_once(&mut world);
    assert_eq!((sync(&world).gaps_total, sync(&world).last_gap_time), (0, None));
}

#[test]
fn a_play_counts_by_its_identity() {
    let heard = Heard::Play(play("a", start()));
    let mut ledger = Ledger::default();
    ledger.insert(Identity::of(&heard));
    let relinked = |number: i64| {
        let mut other = play(&format!("other-{number}"), start() + hours(1) + minutes(number));
        if number == 0 {
            other = crate::domain::play::Play { uri: "spotify:track:z".to_owned(), ..play("a", start()) };
        }
        other
    };
    assert_eq!(
        gap::lost_at_most(&ledger, &page((0..50).map(relinked)), None, None),
        None,
        "relinked for another market"
    );
}
