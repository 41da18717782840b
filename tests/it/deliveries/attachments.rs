//! Which plays a target is for: since it was attached, since its start time; and what a removed one leaves behind.

use jiff::SignedDuration;
use scrobble_operator::api::v1alpha1::SpotifyAccount;
use scrobble_simulator::api::NewPlay;
use serde_json::json;

use super::stage::{fast, hook, target, title, totals};
use crate::world::{World, play};

async fn entries(world: &World, targets: serde_json::Value) {
    world.patch::<SpotifyAccount>("alice", json!({"spec": {"targets": targets}})).await;
}

#[tokio::test]
async fn a_removed_target_leaves_nothing_behind_and_begins_anew() {
    let world = fast("attachments").await;
    world.hook_target("stays").await;
    world.hook_target("goes").await;
    world.hook_answers("goes", 503).await;
    world.listener("alice").await;
    let mut titles = world.play("alice", 3, 600).await;
    let both = json!([hook("stays", "stays"), hook("goes", "goes")]);
    let account = world.account_of("alice", "alice", "2m", both.clone()).await;
    let _operator = world.start().await;
    let status = world.wait("alice", "three plays that wait", totals(3, 3)).await.status.unwrap();
    let first = status.target("goes").unwrap().attached_time.clone().unwrap();
    world.wait_for_journal(&account, 3).await;

    entries(&world, json!([hook("stays", "stays")])).await;
    let status = world.wait("alice", "nothing that waits", totals(3, 0)).await.status.unwrap();
    assert!(!serde_json::to_string(&status.targets).unwrap().contains("goes"), "{:?}", status.targets);
    assert_eq!(status.targets.len(), 1);
    world.wait_for_journal(&account, 0).await;
    let ledger = scrobble_operator::domain::ledger_codec::decode(&status.ledger.unwrap()).unwrap();
    assert_eq!((ledger.attachments.len(), ledger.settled.len()), (1, 0), "{ledger:?}");

    // Attached again, it is for what is heard from then on.
    world.hook_answers("goes", 204).await;
    entries(&world, both).await;
    let attached = |status: &scrobble_operator::api::v1alpha1::SpotifyAccountStatus| {
        status.target("goes").is_some_and(|known| known.attached_time.as_ref().is_some_and(|time| time.0 > first.0))
    };
    world.wait("alice", "the target attached anew", attached).await;
    let after = world.play("alice", 1, 0).await;
    titles.extend(after.clone());
    world.wait("alice", "the new play at both", totals(5, 0)).await;
    assert_eq!(world.accepted("goes").await.iter().map(title).collect::<Vec<_>>(), after);
    assert_eq!(world.accepted("stays").await.len(), 4);
}

#[tokio::test]
async fn late_plays_and_a_start_time_that_is_moved_back_are_judged_by_when_they_were_heard() {
    let world = fast("late-plays").await;
    world.hook_target("first").await;
    world.hook_target("second").await;
    world.listener("alice").await;
    let before = world.play("alice", 3, 3_600).await;
    let account = world.account_of("alice", "alice", "2m", json!([hook("first", "first")])).await;
    let _operator = world.start().await;
    world.wait("alice", "three plays", totals(3, 0)).await;
    entries(&world, json!([hook("first", "first"), hook("second", "second")])).await;
    let attached = target("second", |known| known.attached_time.is_some());
    world.wait("alice", "the second target", attached).await;

    // One that was heard before the second target came, and surfaces after newer ones; one that comes out of order.
    let now = world.script.now().await.unwrap();
    let newest = world.play("alice", 1, 0).await;
    world.wait("alice", "the newest play at both", totals(5, 0)).await;
    let late: Vec<NewPlay> = vec![play("alice", now, 1_800)];
    let titles: Vec<String> = late.iter().filter_map(|play| play.title.clone()).collect();
    world.script.add_plays("alice", &late).await.unwrap();
    world.wait("alice", "the late play at the first target only", totals(6, 0)).await;
    assert_eq!(world.accepted("second").await.iter().map(title).collect::<Vec<_>>(), newest);

    // The start is moved back: what is still shown and was not delivered is admitted, and nothing twice.
    let mut second = hook("second", "second");
    second["startTime"] = json!(now - SignedDuration::from_mins(45));
    entries(&world, json!([hook("first", "first"), second])).await;
    world.wait("alice", "the late play at the second target", totals(7, 0)).await;
    let mut second = hook("second", "second");
    second["startTime"] = json!(now - SignedDuration::from_hours(24));
    entries(&world, json!([hook("first", "first"), second])).await;
    world.wait("alice", "everything at both", totals(10, 0)).await;
    for name in ["first", "second"] {
        let mut held: Vec<String> = world.accepted(name).await.iter().map(title).collect();
        held.sort();
        let mut expected = [before.clone(), titles.clone(), newest.clone()].concat();
        expected.sort();
        assert_eq!(held, expected, "{name}");
    }

    // Moved forward, it takes nothing from the journal.
    world.hook_answers("second", 503).await;
    world.play("alice", 1, 0).await;
    world.wait("alice", "a play that waits", totals(11, 1)).await;
    world.wait_for_journal(&account, 1).await;
    let mut second = hook("second", "second");
    second["startTime"] = json!(now + SignedDuration::from_hours(24));
    entries(&world, json!([hook("first", "first"), second])).await;
    world.hook_answers("second", 204).await;
    world.wait("alice", "the play that waited", totals(12, 0)).await;
}
