//! Which play goes to which target, once.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::accounts::{AccountSentence, account, hours, minutes, seconds, start};
use super::plays::{evening, page, play, skipped};
use super::world::World;
use crate::api::v1alpha1::{SpotifyAccount, TargetState, TargetType};
use crate::domain::answer::{ApiAnswer, Delivery, Submission, Trouble};
use crate::domain::ledger::CAPACITY;
use crate::domain::play::{Page, Play};

fn titles(world: &World, target: &str) -> Vec<String> {
    world.sent(target).iter().map(|play| play.uri.trim_start_matches("spotify:track:").to_owned()).collect()
}

/// Reads once, because a human asks.
fn read(world: &mut World) {
    world.now += seconds(1);
    let request = world.now.to_string();
    world.account = world.account.clone().requesting(&request);
    world.pass();
}

fn shows(world: &mut World, shown: Page) {
    world.pages.then = ApiAnswer::Found(Arc::new(shown));
}

/// Something was changed in the spec.
fn edit(world: &mut World, change: impl FnOnce(SpotifyAccount) -> SpotifyAccount) {
    world.account = change(world.account.clone()).edited();
    let before = world.surroundings.clone();
    world.surroundings = super::observations::around(&world.account);
    world.surroundings.token = before.token;
    world.surroundings.last_read = before.last_read;
    world.surroundings.waiting_page = before.waiting_page;
    world.surroundings.duty = before.duty;
}

fn ago(wait: SignedDuration) -> Timestamp {
    start() - wait
}

#[test]
fn targets_that_are_there_at_the_first_read_receive_all_that_is_shown_or_what_is_after_start_time() {
    let heard = || page([play("new", ago(minutes(1))), play("edge", ago(hours(1))), play("old", ago(hours(2)))]);
    let mut world = World::of(account().with_target("brainz"));
    shows(&mut world, heard());
    read(&mut world);
    assert_eq!(titles(&world, "brainz"), ["old", "edge", "new"], "oldest first");

    let mut world = World::of(account().with_target("brainz").starting_at(ago(hours(1))));
    shows(&mut world, heard());
    read(&mut world);
    assert_eq!(titles(&world, "brainz"), ["edge", "new"]);

    let own = account().with_target("brainz").with_hook("hook").starting_at(ago(hours(1)));
    let mut world = World::of(own.with_target_starting_at("brainz", ago(minutes(5))));
    shows(&mut world, heard());
    read(&mut world);
    assert_eq!(titles(&world, "brainz"), ["new"], "its own start");
    assert_eq!(titles(&world, "hook"), ["edge", "new"]);
}

#[test]
fn a_first_read_that_shows_nothing_is_a_first_read() {
    let mut world = World::of(account().with_target("brainz"));
    read(&mut world);
    shows(&mut world, page([play("old", ago(hours(2)))]));
    read(&mut world);
    assert_eq!(titles(&world, "brainz"), ["old"], "pages are empty at times although plays exist");
}

#[test]
fn a_target_that_is_attached_later_receives_from_then_on_or_from_its_own_start() {
    let mut world = World::of(account().with_target("brainz").starting_at(ago(hours(9))));
    shows(&mut world, page([play("old", ago(hours(2)))]));
    read(&mut world);
    edit(&mut world, |account| {
        account.with_hook("hook").with_hook("own").with_target_starting_at("own", ago(hours(3)))
    });
    world.now += minutes(1);
    world.pass();
    assert_eq!(titles(&world, "hook"), Vec::<String>::new());
    assert_eq!(titles(&world, "own"), ["old"]);
    let attached = world.status().target("hook").unwrap().attached_time.clone().unwrap().0;
    assert_eq!(attached, world.now);
    world.now += hours(1);
    shows(
        &mut world,
        page([play("after", attached), play("before", attached - seconds(1)), play("old", ago(hours(2)))]),
    );
    read(&mut world);
    assert_eq!(titles(&world, "hook"), ["after"]);
    assert_eq!(titles(&world, "brainz"), ["old", "before", "after"], "a late play is judged by when it was heard");
    let first = world.status().target("brainz").unwrap().attached_time.clone().unwrap().0;
    assert!(first < attached);
}

#[test]
fn start_time_moved_back_admits_what_is_still_shown_and_moved_forward_takes_nothing_twice() {
    let mut world = World::of(account().with_target("brainz").starting_at(ago(hours(1))));
    shows(&mut world, page([play("c", ago(minutes(1))), play("b", ago(hours(2))), play("a", ago(hours(4)))]));
    read(&mut world);
    assert_eq!(titles(&world, "brainz"), ["c"]);
    edit(&mut world, |account| account.starting_at(ago(hours(3))));
    world.pass();
    assert_eq!(titles(&world, "brainz"), ["c", "b"]);
    edit(&mut world, |account| account.starting_at(start() + hours(1)));
    world.pass();
    edit(&mut world, |account| account.starting_at(ago(hours(9))));
    world.pass();
    assert_eq!(titles(&world, "brainz"), ["c", "b", "a"]);
}

#[test]
fn late_and_disordered_plays_are_sent_once() {
    let mut world = World::of(account().with_target("brainz"));
    shows(&mut world, page([play("a", ago(minutes(30))), play("c", ago(minutes(10)))]));
    read(&mut world);
    shows(&mut world, page([play("b", ago(minutes(20))), play("c", ago(minutes(10))), play("a", ago(minutes(30)))]));
    read(&mut world);
    shows(&mut world, page([play("a", ago(minutes(30)))]));
    read(&mut world);
    shows(&mut world, evening(0, start()));
    read(&mut world);
    shows(&mut world, page([play("a", ago(minutes(30))), play("b", ago(minutes(20))), play("c", ago(minutes(10)))]));
    read(&mut world);
    assert_eq!(titles(&world, "brainz"), ["a", "c", "b"]);
    assert_eq!(world.status().sync.unwrap().scrobbled_total, 3);
}

#[test]
fn a_play_whose_time_shifts_or_whose_track_is_relinked_is_the_same_play() {
    let mut world = World::of(account().with_target("brainz"));
    let first = play("a", ago(minutes(30)));
    shows(&mut world, page([first.clone()]));
    read(&mut world);
    let shifted = play("a", ago(minutes(30)) + SignedDuration::from_millis(29_999));
    shows(&mut world, page([shifted.clone(), shifted]));
    read(&mut world);
    let relinked = Play { uri: "spotify:track:other".to_owned(), ..first.clone() };
    shows(&mut world, page([relinked]));
    read(&mut world);
    assert_eq!(titles(&world, "brainz"), ["a"]);
    shows(&mut world, page([play("a", first.played_at + seconds(30))]));
    read(&mut world);
    assert_eq!(titles(&world, "brainz"), ["a", "a"], "half a minute later it is another play");
    let namesake = Play { title: "Another".to_owned(), uri: "spotify:track:b".to_owned(), ..first };
    shows(&mut world, page([namesake]));
    read(&mut world);
    assert_eq!(titles(&world, "brainz"), ["a", "a", "b"], "another song at the same moment is another play");
}

#[test]
fn a_play_that_a_page_shows_twice_is_sent_once() {
    let mut world = World::of(account().with_target("brainz"));
    let heard = play("a", ago(minutes(30)));
    shows(&mut world, page([heard.clone(), heard.clone(), Play { uri: "spotify:track:z".to_owned(), ..heard }]));
    read(&mut world);
    assert_eq!(world.sent("brainz").len(), 1);
}

#[test]
fn what_cannot_be_scrobbled_is_counted_once_and_never_sent() {
    let mut world = World::of(account().with_target("brainz"));
    let mut shown = page([play("a", ago(minutes(30)))]);
    shown.entries.extend([skipped(ago(minutes(20))), skipped(ago(minutes(10)))]);
    shows(&mut world, shown);
    for _ in 0..3 {
        read(&mut world);
    }
    let sync = world.status().sync.unwrap();
    assert_eq!((sync.skipped_total, sync.scrobbled_total, sync.pending_total), (2, 1, 0));
}

#[test]
fn plays_older_than_all_that_is_remembered_are_counted_as_lost_once_and_not_sent() {
    let mut world = World::of(account().with_target("brainz"));
    let many = i64::try_from(CAPACITY).unwrap() + 20;
    shows(&mut world, evening(many, start()));
    read(&mut world);
    world.forget();
    let mut shown = page((0..60).map(|number| play(&format!("late-{number}"), ago(hours(100)) + minutes(number))));
    shown.entries.push(skipped(ago(hours(101))));
    shows(&mut world, shown);
    for _ in 0..4 {
        read(&mut world);
    }
    let sync = world.status().sync.unwrap();
    assert_eq!(sync.lost_at_most_total, 60, "each once, and what is no play not at all");
    assert_eq!(world.sent("brainz").len(), 0);
    assert_eq!(sync.pending_total, 0);
}

#[test]
fn a_page_that_no_longer_shows_a_play_forgets_nothing() {
    let mut world = World::of(account().with_target("brainz"));
    shows(&mut world, evening(30, start()));
    read(&mut world);
    shows(&mut world, page([]));
    read(&mut world);
    world.restart_after(seconds(5));
    shows(&mut world, evening(50, start() + minutes(60)));
    read(&mut world);
    assert_eq!(world.sent("brainz").len(), 50);
}

#[test]
fn a_target_that_is_removed_and_comes_back_is_a_new_one() {
    let mut world = World::of(account().with_target("brainz").with_hook("hook"));
    shows(&mut world, page([play("a", ago(hours(1)))]));
    read(&mut world);
    edit(&mut world, |account| account.without_target("hook"));
    world.pass();
    assert_eq!(world.status().targets.len(), 1);
    edit(&mut world, |account| account.with_hook("hook"));
    world.now += minutes(1);
    world.pass();
    assert_eq!(titles(&world, "hook"), ["a"], "what it got before, and nothing again");
    assert_eq!(world.status().target("hook").unwrap().attached_time.clone().unwrap().0, world.now);
    assert_eq!(titles(&world, "brainz"), ["a"], "the other one's marks stay its own");
}

#[test]
fn other_credentials_are_no_new_attachment_and_another_service_is() {
    let mut world = World::of(account().with_target("brainz"));
    shows(&mut world, page([play("a", ago(hours(1)))]));
    read(&mut world);
    let attached = world.status().targets[0].attached_time.clone();
    edit(&mut world, |mut account| {
        account.spec.targets[0].credentials_ref.as_mut().unwrap().name = "another".to_owned();
        account
    });
    world.now += minutes(1);
    world.pass();
    assert_eq!(world.status().targets[0].attached_time, attached);
    assert_eq!(titles(&world, "brainz"), ["a"]);

    edit(&mut world, |mut account| {
        account.spec.targets[0].target_ref.name = "elsewhere".to_owned();
        account
    });
    world.now += minutes(1);
    let soon = world.now + seconds(1);
    shows(&mut world, page([play("b", soon), play("a", ago(hours(1)))]));
    world.pass();
    let state = world.status().targets[0].clone();
    assert_eq!(state.attached_time, Some(Time(world.now)));
    assert_eq!(titles(&world, "brainz"), ["a", "b"]);
    assert_eq!(state.target_ref.unwrap().name, "elsewhere");
}

#[test]
fn one_targets_trouble_is_its_own_and_its_plays_come_later() {
    let mut world = World::of(account().with_target("brainz").with_hook("hook"));
    shows(&mut world, evening(5, start()));
    let busy = Delivery::NotNow { retry_after: Some(hours(3)), trouble: Trouble::Status(503) };
    world.targets = Box::new(move |entry, plays| match entry {
        "hook" => Submission::all(plays.len(), &busy),
        _ => Submission::all(plays.len(), &Delivery::Accepted),
    });
    read(&mut world);
    let until = world.now + hours(3);
    let status = world.status();
    assert_eq!((status.target("brainz").unwrap().pending, status.target("hook").unwrap().pending), (0, 5));
    assert_eq!(status.sync.as_ref().unwrap().pending_total, 5);
    assert!(status.target("hook").unwrap().next_attempt_time.as_ref().unwrap().0 >= until, "Retry-After always wins");
    world.targets = Box::new(|_, plays| Submission::all(plays.len(), &Delivery::Accepted));
    world.forget();
    while world.now < until {
        let wait = world.pass().requeue;
        assert_eq!(world.sent("hook").len(), 0);
        world.now = (world.now + wait).min(until);
    }
    world.run_for(minutes(1));
    assert_eq!(world.sent("hook").len(), 5);
    assert_eq!(world.status().sync.unwrap().pending_total, 0);
    assert_eq!(world.status().target("hook").unwrap().state, TargetState::Healthy);
    assert_eq!(world.sent("brainz").len(), 0);
}

#[test]
fn only_the_plays_that_were_taken_are_marked() {
    let mut world = World::of(account().with_target("brainz"));
    shows(&mut world, evening(4, start()));
    world.targets = Box::new(|_, plays| {
        let mut each = vec![Delivery::Accepted, Delivery::AlreadyThere, Delivery::Never { reason: "no".to_owned() }];
        each.extend((3..plays.len()).map(|_| Delivery::Unknown(Trouble::Cut)));
        each.truncate(plays.len());
        Submission::Each(each)
    });
    read(&mut world);
    let hook = world.status().targets[0].clone();
    assert_eq!((hook.pending, hook.quarantined, hook.consecutive_failures), (1, 1, 1));
    assert_eq!(world.status().sync.unwrap().scrobbled_total, 2);
    let newest = world.sent("brainz").last().unwrap().uri.clone();
    world.targets = Box::new(|_, plays| Submission::all(plays.len(), &Delivery::AlreadyThere));
    world.forget();
    world.run_for(minutes(2));
    assert_eq!(world.sent("brainz").iter().map(|play| play.uri.clone()).collect::<Vec<_>>(), [newest]);
}

#[test]
fn batches_are_as_large_as_the_service_takes() {
    let mut world = World::of(account().with_target("brainz"));
    let mut target = super::observations::target("brainz", TargetType::ListenBrainz);
    target.spec.listen_brainz = Some(crate::api::v1alpha1::ListenBrainz { batch_size: 7 });
    world.surroundings.targets[0].target = crate::plan::Lookup::Found(Arc::new(target));
    shows(&mut world, evening(20, start()));
    let sizes = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
    let seen = std::rc::Rc::clone(&sizes);
    world.targets = Box::new(move |_, plays| {
        seen.borrow_mut().push(plays.len());
        Submission::all(plays.len(), &Delivery::Accepted)
    });
    read(&mut world);
    assert_eq!(*sizes.borrow(), [7, 7, 6]);
    let sent = world.sent("brainz");
    assert!(sent.windows(2).all(|pair| pair[0].played_at < pair[1].played_at), "oldest first");
}

#[test]
fn a_ledger_of_another_version_doubles_nothing() {
    let mut world = World::of(account().with_target("brainz"));
    shows(&mut world, evening(10, start()));
    read(&mut world);
    world.forget();
    world.account = world.account.clone().with_status(|status| status.ledger = Some("Zm9vYmFy".to_owned()));
    read(&mut world);
    assert_eq!(world.sent("brainz").len(), 0);
    world.now += minutes(5);
    let heard = evening(1, world.now);
    shows(&mut world, heard);
    read(&mut world);
    assert_eq!(world.sent("brainz").len(), 1);
}
