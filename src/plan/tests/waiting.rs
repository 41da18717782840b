//! Plays that wait: what the journal keeps, what it has no room for, and what is told of it.

use std::sync::Arc;

use super::accounts::{AccountSentence, StatusQuestion, account, hours, minutes, seconds, start};
use super::observations::target;
use super::plays::{evening, page, play};
use super::world::{Deed, Script, World};
use crate::api::RETRY_QUARANTINED_AT;
use crate::api::condition::ConditionType::{Ready, Stalled, Synced};
use crate::api::condition::whole_seconds;
use crate::api::v1alpha1::{TargetState, TargetType};
use crate::domain::answer::{ApiAnswer, Delivery, Submission, Trouble};
use crate::domain::journal::{CAPACITY, Journal, Standing};
use crate::domain::ledger::Attachment;
use crate::domain::name::ObjectName;
use crate::plan::Lookup;
use crate::plan::observed::JournalView;
use crate::plan::step::SecretTrouble;

fn down(world: &mut World) {
    let away = Delivery::NotNow { retry_after: None, trouble: Trouble::Status(503) };
    world.targets = Box::new(move |_, plays| Submission::all(plays.len(), &away));
}

fn up(world: &mut World) {
    world.targets = Box::new(|_, plays| Submission::all(plays.len(), &Delivery::Accepted));
}

/// A journal with so many plays, long before the tests begin.
fn filled(count: usize) -> Journal {
    let id = Attachment::id_of("brainz", "music", "brainz");
    let mut journal = Journal::default();
    for number in 0..i64::try_from(count).unwrap() {
        let play = play(&format!("long ago {number}"), start() - hours(2000) + minutes(number));
        journal.set(&Arc::new(play), id, Standing::WAITING);
    }
    journal
}

#[test]
fn what_a_target_cannot_take_outlives_spotifys_list_and_a_restart_and_comes_oldest_first() {
    let mut world = World::of(account().with_target("brainz"));
    down(&mut world);
    let mut heard = Vec::new();
    for hour in 0..12 {
        let shown = evening(20, start() + hours(hour));
        heard.extend(shown.entries.iter().rev().map(|entry| entry.uri().to_owned()));
        world.pages.then = ApiAnswer::Found(Arc::new(shown));
        world.run_for(hours(1));
        world.restart_after(seconds(5));
    }
    assert_eq!(world.journal.entries.len(), heard.len());
    assert_eq!(world.status().sync.unwrap().pending_total, 240);
    world.shows([]);
    up(&mut world);
    world.forget();
    world.run_for(hours(2));
    let sent: Vec<String> = world.sent("brainz").iter().map(|play| play.uri.clone()).collect();
    assert_eq!(sent, heard);
    let sync = world.status().sync.unwrap();
    assert_eq!((sync.pending_total, sync.scrobbled_total, sync.lost_at_most_total), (0, 240, 0));
    assert!(world.journal.entries.is_empty(), "emptied");
}

#[test]
fn a_journal_that_is_nearly_full_says_so_and_what_has_no_room_is_counted_once_it_is_gone() {
    let mut world = World::of(account().with_target("brainz"));
    down(&mut world);
    world.journal = Arc::new(filled(CAPACITY - 10));
    world.surroundings.journal = JournalView::default();
    world.shows([play("first", start())]);
    world.run_for(minutes(1));
    assert_eq!(world.status().condition(Synced), "True JournalFull");
    let target = world.status().target("brainz").unwrap().clone();
    assert_eq!(
        (target.pending, target.dropped_total),
        (i64::try_from(CAPACITY).unwrap() - 9, 0),
        "nothing is lost yet"
    );

    let evening_of =
        |first: i64| page((0..50).map(|number| play(&format!("{number}"), start() + minutes(first + number))));
    world.pages.then = ApiAnswer::Found(Arc::new(evening_of(0)));
    world.run_for(hours(1));
    let target = world.status().target("brainz").unwrap().clone();
    assert_eq!(world.journal.entries.len(), CAPACITY, "the oldest stay");
    assert_eq!(
        (target.pending, target.dropped_total),
        (i64::try_from(CAPACITY).unwrap() + 41, 0),
        "Spotify shows them"
    );

    world.pages.then = ApiAnswer::Found(Arc::new(evening_of(30)));
    world.run_for(hours(1));
    assert_eq!(world.status().target("brainz").unwrap().dropped_total, 21, "21 of the 41 are shown no more");

    up(&mut world);
    world.run_for(hours(4));
    let target = world.status().target("brainz").unwrap().clone();
    assert_eq!((target.state, target.pending, target.dropped_total), (TargetState::Healthy, 0, 21));
    assert_eq!(world.status().condition(Synced), "True Succeeded");
}

#[test]
fn what_was_refused_for_good_is_sent_again_on_request_and_at_no_other_time() {
    let mut world = World::of(account().with_target("brainz").with_hook("hook"));
    world.targets = Box::new(|_, plays| match plays.len() {
        1 if plays[0].title == "Title bad" => Submission::all(1, &Delivery::Never { reason: "bad".to_owned() }),
        _ if plays.iter().any(|play| play.title == "Title bad") => Submission::BatchRefused,
        _ => Submission::all(plays.len(), &Delivery::Accepted),
    });
    world.shows([play("good", start()), play("bad", start() - minutes(9)), play("fine", start() - minutes(18))]);
    world.run_for(hours(2));
    for name in ["brainz", "hook"] {
        let target = world.status().target(name).unwrap().clone();
        assert_eq!((target.state, target.pending, target.quarantined), (TargetState::Healthy, 0, 1), "{name}");
        assert_eq!(target.last_quarantine_reason.as_deref(), Some("bad"));
    }
    world.restart_after(seconds(5));
    world.forget();
    world.run_for(hours(5));
    assert_eq!(world.count(|deed| matches!(deed, Deed::Sent { .. })), 0);
    up(&mut world);
    let annotations = world.account.metadata.annotations.get_or_insert_default();
    annotations.insert(RETRY_QUARANTINED_AT.to_owned(), "now".to_owned());
    world.run_for(minutes(1));
    assert_eq!((world.sent("brainz").len(), world.sent("hook").len()), (1, 1));
    let status = world.status();
    assert_eq!(status.last_handled_retry_at.as_deref(), Some("now"));
    assert!(status.targets.iter().all(|target| target.quarantined == 0 && target.last_quarantine_reason.is_none()));
    assert!(world.journal.entries.is_empty());
}

#[test]
fn a_service_that_fails_over_a_batch_gets_its_plays_alone_after_three_times() {
    let mut world = World::of(account().with_target("brainz"));
    world.targets = Box::new(|_, plays| {
        let fails = plays.iter().any(|play| play.title == "Title bad");
        let failed = Delivery::NotNow { retry_after: None, trouble: Trouble::OperationFailed };
        Submission::all(plays.len(), if fails { &failed } else { &Delivery::Accepted })
    });
    world.shows([play("a", start()), play("bad", start() - minutes(9)), play("c", start() - minutes(18))]);
    world.run_for(hours(1));
    let sizes: Vec<usize> = world
        .passes
        .iter()
        .flatten()
        .filter_map(|deed| match deed {
            Deed::Sent { plays, .. } => Some(plays.len()),
            _ => None,
        })
        .collect();
    assert_eq!(sizes, [3, 3, 3, 1, 1, 1]);
    let target = world.status().target("brainz").unwrap().clone();
    assert_eq!((target.quarantined, target.pending, target.state), (1, 0, TargetState::Healthy));
}

#[test]
fn a_journal_secret_that_is_not_the_operators_stops_nothing_and_is_told() {
    let mut world = World::of(account().with_target("brainz").with_hook("hook"));
    let trouble = SecretTrouble::NotOurs { secret: ObjectName::new("music", "scrobble-operator-journal-uid") };
    world.journal_reads = Script::of(Err(trouble));
    world.surroundings.journal = JournalView::default();
    let away = Delivery::NotNow { retry_after: None, trouble: Trouble::Status(503) };
    world.targets = Box::new(move |entry, plays| {
        Submission::all(plays.len(), if entry == "hook" { &away } else { &Delivery::Accepted })
    });
    world.shows([play("a", start())]);
    world.run_for(minutes(25));
    let status = world.status();
    assert_eq!(world.sent("brainz").len(), 1);
    assert_eq!(status.target("hook").unwrap().pending, 1, "it waits for as long as Spotify shows it");
    assert_eq!(
        (status.condition(Ready), status.condition(Stalled)),
        ("False SecretInvalid".into(), "True SecretInvalid".into())
    );
    assert_eq!(status.condition(Synced), "True Succeeded");
    assert_eq!(world.journal_writes, 0);
    world.restart_after(seconds(5));
    world.run_for(seconds(20));
    assert_eq!(world.status().condition(Ready), "False SecretInvalid", "a restart takes nothing back");
    world.journal_reads = Script::of(Ok(()));
    up(&mut world);
    world.run_for(minutes(25));
    assert_eq!(world.status().condition(Ready), "True Succeeded");
}

#[test]
fn a_journal_that_cannot_be_read_just_now_delays_deliveries_and_no_read() {
    let mut world = World::of(account().with_target("brainz"));
    world.journal_reads = Script::of(Err(SecretTrouble::Cluster));
    world.surroundings.journal = JournalView::default();
    world.shows([play("a", start())]);
    let passes = world.run_for(hours(1));
    assert!(passes < 100, "{passes} passes in an hour");
    assert_eq!((world.sent("brainz").len(), world.reads() >= 3), (0, true));
    world.journal_reads = Script::of(Ok(()));
    world.run_for(minutes(25));
    assert_eq!(world.sent("brainz").len(), 1);
    assert_eq!(world.status().condition(Ready), "True Succeeded");
}

#[test]
fn plays_that_become_too_old_for_last_fm_are_warned_of_once_and_then_set_aside() {
    let mut world = World::of(account().with_target("fm"));
    world.surroundings.targets[0].target = Lookup::Found(Arc::new(target("fm", TargetType::LastFm)));
    down(&mut world);
    world.shows([play("old", start())]);
    world.run_for(hours(24 * 9));
    assert_eq!(world.status().target("fm").unwrap().too_old_time, None);
    world.said.clear();
    world.run_for(hours(24 * 2));
    let end = start() + hours(24 * 14);
    assert_eq!(world.status().target("fm").unwrap().too_old_time, Some(whole_seconds(end)));
    let told = world.said.iter().filter(|said| said.note.contains("2026-12-07T10:00:00Z")).count();
    assert_eq!(told, 1, "{:?}", world.said);
    world.run_for(hours(24 * 4));
    let target = world.status().target("fm").unwrap().clone();
    assert_eq!((target.pending, target.quarantined, target.too_old_time), (0, 1, None));
    assert!(target.last_quarantine_reason.unwrap().contains("too old"));
}

#[test]
fn a_request_to_send_refused_plays_again_does_not_loop_while_the_journal_cannot_be_read() {
    let mut world = World::of(account().with_target("brainz"));
    world.targets = Box::new(|_, plays| Submission::all(plays.len(), &Delivery::Never { reason: "bad".to_owned() }));
    world.shows([play("bad", start())]);
    world.run_for(minutes(1));
    world.restart_after(seconds(5));
    world.journal_reads = Script::of(Err(SecretTrouble::Cluster));
    let annotations = world.account.metadata.annotations.get_or_insert_default();
    annotations.insert(RETRY_QUARANTINED_AT.to_owned(), "now".to_owned());
    let passes = world.run_for(minutes(10));
    assert!(passes < 20, "{passes} passes in ten minutes");
    world.journal_reads = Script::of(Ok(()));
    up(&mut world);
    world.run_for(minutes(2));
    assert_eq!(world.status().target("brainz").unwrap().quarantined, 0);
}
