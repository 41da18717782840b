//! What a pass costs: nothing when nothing is new, one write when plays were delivered.

use std::sync::Arc;

use super::accounts::{AccountSentence, account, hours, minutes, seconds, start};
use super::observations::{ObservedSentence, ProgressSentence, around, progress, token};
use super::plays::{evening, play};
use super::world::{Exchange, World};
use crate::domain::answer::{ApiAnswer, Delivery, Submission, Trouble};
use crate::plan::settle;
use crate::plan::step::TargetProgress;

fn reading(shown: i64) -> World {
    let mut world = World::of(account().with_target("brainz").with_hook("hook"));
    world.pages.then = ApiAnswer::Found(Arc::new(evening(shown, start())));
    world.secret.then = Ok(token(start() + hours(900)));
    world.pass();
    world.forget();
    world
}

#[test]
fn twenty_reads_with_nothing_new_write_nothing() {
    for shown in [0, 1, 50] {
        let mut world = reading(shown);
        while world.reads() < 20 {
            world.run_for(minutes(20));
        }
        assert_eq!(world.writes, 0, "{shown} plays shown");
        let history = world.status().history;
        assert_eq!(
            (history.len(), history[0].count),
            (1, 1 + i64::try_from(world.reads()).unwrap()),
            "counted all the same"
        );
        assert!(world.status().sync.unwrap().last_sync_time.unwrap().0 > start() + hours(6));
    }
}

#[test]
fn new_plays_that_every_target_takes_are_one_write() {
    let mut world = reading(10);
    for number in 1..=5 {
        world.pages.then = ApiAnswer::Found(Arc::new(evening(10 + number, start() + minutes(3 * number))));
        let reads = world.reads();
        while world.reads() == reads {
            world.run_for(minutes(5));
        }
        assert_eq!(world.writes, usize::try_from(number).unwrap());
        assert_eq!(world.said.len(), 0, "a play is no event");
    }
    assert_eq!(world.status().sync.unwrap().scrobbled_total, 2 * 15);
}

#[test]
fn a_refresh_is_at_most_one_write_and_a_request_is_one() {
    let mut world = reading(10);
    world.secret.then = Ok(token(start()));
    world.surroundings.token = Some(token(start()));
    world.exchanges.then = Exchange::Succeeds { life: seconds(3600) };
    world.run_for(minutes(20));
    assert_eq!(world.writes, 1);
    world.forget();
    world.account = world.account.clone().requesting("now");
    world.pass();
    assert_eq!(world.writes, 1);
    world.pass();
    assert_eq!(world.writes, 1, "asked for once");
}

#[test]
fn a_stopped_or_suspended_account_is_written_once() {
    let mut world = reading(3);
    world.account = world.account.clone().suspended().edited();
    world.run_for(hours(3));
    assert_eq!(world.writes, 1);

    let mut world = reading(3);
    world.surroundings.app = crate::plan::Lookup::Missing;
    world.run_for(hours(3));
    assert_eq!(world.writes, 1);
}

#[test]
fn a_target_that_is_left_alone_is_not_written_about() {
    let mut world = reading(0);
    world.shows([play("a", world.now)]);
    let busy = Delivery::NotNow { retry_after: Some(hours(5)), trouble: Trouble::Status(503) };
    world.targets = Box::new(move |_, plays| Submission::all(plays.len(), &busy));
    world.run_for(minutes(20));
    assert_eq!(world.writes, 1);
    world.run_for(hours(4));
    assert_eq!(world.writes, 1);
}

#[test]
fn settling_the_same_pass_again_changes_nothing() {
    let account = account().with_target("brainz").with_hook("hook").ready_since(start() - hours(1));
    let account = account
        .with_target_starting_at("brainz", start() - hours(9))
        .with_target_starting_at("hook", start() - hours(9));
    let observed = around(&account).with_token_expiring_in(hours(1)).holding_credentials();
    let shown = evening(6, start());
    let plays: Vec<_> = shown
        .entries
        .iter()
        .map(|heard| match heard {
            crate::domain::play::Heard::Play(play) => Arc::new(play.clone()),
            crate::domain::play::Heard::Skipped(_) => unreachable!("an evening has plays alone"),
        })
        .collect();
    let answers = [Delivery::Accepted, Delivery::AlreadyThere, Delivery::Never { reason: "no".to_owned() }];
    let each = (0..6).map(|number| answers[number % 3].clone()).collect();
    let mut done =
        progress().with_listener(super::accounts::LISTENER).with_page(shown, start()).with_refreshed(start());
    for entry in ["brainz", "hook"] {
        let submissions = vec![(plays.clone(), Submission::Each(Vec::clone(&each)))];
        done.deliveries.insert(entry.to_owned(), TargetProgress { submissions, ..TargetProgress::default() });
    }
    let first = settle(&account, &observed, &done, start());
    assert!(first.worth_writing);
    assert_eq!(first.status.sync.as_ref().unwrap().scrobbled_total, 8);
    let settled = account.with_status(|status| *status = first.status.clone());
    let second = settle(&settled, &observed, &done, start());
    assert!(!second.worth_writing);
    assert_eq!(second.announcements, []);
    assert_eq!(second.status.sync, first.status.sync);
    assert_eq!(second.status.ledger, first.status.ledger);
}

#[test]
fn a_quiet_pass_asks_for_the_next_slot_and_sleeps_ten_minutes_at_most() {
    let mut world = reading(3);
    for _ in 0..20 {
        let settled = world.pass();
        assert!(settled.requeue > seconds(0) && settled.requeue <= minutes(10));
        assert!(!settled.plays_wait);
        world.now += settled.requeue;
    }
}

#[test]
fn the_interval_in_force_is_shown_in_round_units() {
    for (asked, shown) in
        [(seconds(1), "5m"), (minutes(20), "20m"), (seconds(330), "5m30s"), (hours(24), "24h"), (minutes(90), "1h30m")]
    {
        let mut world = World::of(account().with_target("brainz").reading_every(asked));
        world.pass();
        let interval = world.status().sync.unwrap().interval.unwrap();
        assert_eq!(interval.duration(), asked.max(minutes(5)));
        assert_eq!(interval.as_str(), shown);
    }
}
