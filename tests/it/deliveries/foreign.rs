//! Somebody else scrobbles the same plays to Last.fm: nothing is sent until a human has decided.

use scrobble_harness::wait_until;
use scrobble_operator::api::v1alpha1::{ForeignScrobbler, ScrobbleTarget, SpotifyAccount, TargetState};
use scrobble_simulator::api::{Endpoint, RecordFilter};
use serde_json::{Value, json};

use super::stage::{fast, keyed, target, tells, totals};
use crate::world::{DEADLINE, World, condition};

fn surveys() -> RecordFilter {
    RecordFilter::at(Endpoint::LastfmRecentTracks)
}

/// The second entry, which is to have every play of the last day.
fn second() -> Value {
    let mut entry = keyed("fm", "fm", "alice-lastfm");
    entry["startTime"] = json!("2020-01-01T00:00:00Z");
    entry
}

/// A listener whose first plays stand at Last.fm at the second of their start: an entry of its own did it, as Last.fm's
/// own link would. The second entry tells the second of their end.
async fn linked(world: &World, plays: i64) -> Vec<String> {
    world.lastfm_user("alice").await;
    world.lastfm_target("link", "EstimatedStart", json!({"onForeignScrobbler": "Send"})).await;
    world.lastfm_target("fm", "PlayedAt", json!({})).await;
    world.listener("alice").await;
    let titles = world.play("alice", plays, 600).await;
    world.account_of("alice", "alice", "2m", json!([keyed("link", "link", "alice-lastfm")])).await;
    titles
}

async fn scrobbles(world: &World) -> usize {
    world.script.scrobbles("alice").await.unwrap().len()
}

#[tokio::test]
async fn three_plays_that_are_there_already_hold_everything_until_a_human_decides() {
    let world = fast("foreign").await;
    linked(&world, 3).await;
    let mut operator = world.start().await;
    world.wait("alice", "three plays of somebody else", totals(3, 0)).await;
    assert_eq!(world.count(&surveys()).await, 0, "it is told to send");

    world.patch::<SpotifyAccount>("alice", json!({"spec": {"targets": [second()]}})).await;
    let account = world.wait("alice", "the finding", tells("fm", "ForeignScrobbler")).await;
    let known = account.status.as_ref().unwrap().target("fm").unwrap().clone();
    assert_eq!((known.state, known.pending), (TargetState::Suspended, 3));
    assert_eq!(known.foreign_scrobbler, Some(ForeignScrobbler::Found));
    assert!(known.message.unwrap().contains("onForeignScrobbler"));
    let status = world.wait_ready("alice", "False", "ForeignScrobbler").await.status.unwrap();
    assert_eq!(condition(&status, scrobble_operator::api::condition::ConditionType::Synced), ("True", "Succeeded"));
    world.wait_for_journal(&account, 3).await;
    assert_eq!(world.count(&surveys()).await, 1);

    // Neither reads nor a restart nor a new play ask again or send anything.
    world.play("alice", 1, 0).await;
    world.wait("alice", "four plays that wait", totals(3, 4)).await;
    assert!(operator.terminate().await.unwrap().success());
    operator.restart().await.unwrap();
    let seq = world.script.last_seq().await.unwrap();
    world.wait_for_reads("alice", seq, 2).await;
    assert_eq!((world.count(&surveys()).await, scrobbles(&world).await), (1, 3));
    world.wait("alice", "four plays that still wait", totals(3, 4)).await;

    let send = json!({"spec": {"lastFm": {"onForeignScrobbler": "Send"}}});
    world.patch::<ScrobbleTarget>("fm", send).await;
    world.wait("alice", "all four", totals(7, 0)).await;
    world.wait_ready("alice", "True", "Succeeded").await;
    assert_eq!((world.count(&surveys()).await, scrobbles(&world).await), (1, 7));
    world.wait_for_journal(&account, 0).await;
}

#[tokio::test]
async fn fewer_than_three_hold_nothing_and_are_asked_about_once() {
    let world = fast("foreign-few").await;
    linked(&world, 2).await;
    let _operator = world.start().await;
    world.wait("alice", "two plays of somebody else", totals(2, 0)).await;
    // A pass between the new plays and the change of the entries would send them to the first one.
    let suspended = world.patch::<SpotifyAccount>("alice", json!({"spec": {"suspend": true}})).await;
    assert!(suspended.spec.suspend);
    world.wait_ready("alice", "False", "Suspended").await;
    world.play("alice", 2, 60).await;
    world.patch::<SpotifyAccount>("alice", json!({"spec": {"suspend": false, "targets": [second()]}})).await;
    world.wait("alice", "four plays", totals(6, 0)).await;
    world
        .wait("alice", "nobody found", target("fm", |fm| fm.foreign_scrobbler == Some(ForeignScrobbler::Absent)))
        .await;
    world.play("alice", 4, 0).await;
    world.wait("alice", "eight plays", totals(10, 0)).await;
    wait_until("ten scrobbles", DEADLINE, async || scrobbles(&world).await == 10).await.unwrap();
    assert_eq!(world.count(&surveys()).await, 1);
    world.wait_ready("alice", "True", "Succeeded").await;
}
