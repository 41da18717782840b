//! A service is asked about credentials once when a target is attached, and on every change of the Secret.

use kube::api::{Patch, PatchParams};
use scrobble_operator::api::v1alpha1::{AccountTargetStatus, ScrobbleTarget, TargetState};
use scrobble_simulator::api::{Endpoint, RecordFilter};
use serde_json::json;

use super::stage::{fast, keyed, target, tells, totals};
use crate::world::World;

fn checks() -> RecordFilter {
    RecordFilter::at(Endpoint::ListenbrainzValidate)
}

fn submissions() -> RecordFilter {
    RecordFilter::at(Endpoint::ListenbrainzSubmit)
}

async fn alice(world: &World, interval: &str) {
    world.listenbrainz("alice").await;
    world.listening("alice", interval, json!([keyed("brainz", "listenbrainz", "alice-listenbrainz")])).await;
}

async fn put(world: &World, token: &str) {
    let data = json!({"stringData": {"token": token}});
    world.secrets().patch("alice-listenbrainz", &PatchParams::default(), &Patch::Merge(&data)).await.unwrap();
}

fn is_well(known: &AccountTargetStatus) -> bool {
    known.state == TargetState::Healthy && known.reason.is_none()
}

const GOOD: &str = "listenbrainz-token-of-alice";

#[tokio::test]
async fn they_are_asked_about_once() {
    let world = fast("checks-once").await;
    alice(&world, "1m").await;
    world.play("alice", 2, 60).await;
    let mut operator = world.start().await;
    world.wait("alice", "two plays", totals(2, 0)).await;
    let seq = world.script.last_seq().await.unwrap();
    world.wait_for_reads("alice", seq, 3).await;
    assert!(operator.terminate().await.unwrap().success());
    operator.restart().await.unwrap();
    world.play("alice", 1, 0).await;
    world.wait("alice", "three plays", totals(3, 0)).await;
    let seq = world.script.last_seq().await.unwrap();
    world.wait_for_reads("alice", seq, 3).await;
    assert_eq!(world.count(&checks()).await, 1);
}

#[tokio::test]
async fn a_key_that_is_wrong_is_told_before_any_play_and_another_one_is_taken_up_unasked() {
    let world = fast("checks-wrong").await;
    alice(&world, "24h").await;
    put(&world, "wrong").await;
    let titles = world.play("alice", 2, 60).await;
    let _operator = world.start().await;
    let status = world.wait("alice", "the wrong key", tells("brainz", "TargetUnauthorized")).await.status.unwrap();
    let message = status.target("brainz").unwrap().message.clone().unwrap();
    assert!(
        message.contains("the listener's credentials") && message.contains("replace key token of Secret "),
        "{message}"
    );
    world.wait_ready("alice", "False", "TargetUnauthorized").await;
    assert_eq!((world.count(&checks()).await, world.count(&submissions()).await), (1, 0), "before any play");

    // Another wrong one is asked about once, and refused as well.
    put(&world, "wrong, too").await;
    world.wait_for_requests("a second check", &checks(), 2).await;
    put(&world, GOOD).await;
    world.wait("alice", "two plays", totals(2, 0)).await;
    world.wait("alice", "a target that is well", target("brainz", is_well)).await;
    assert_eq!(world.count(&checks()).await, 3);
    world.wait_ready("alice", "True", "Succeeded").await;
    world.assert_listens("alice", &titles).await;
}

#[tokio::test]
async fn a_second_key_that_is_wrong_is_not_taken_for_a_good_one() {
    let world = fast("checks-wrong-again").await;
    alice(&world, "24h").await;
    put(&world, "wrong").await;
    // Nothing to be sent: only the check can tell.
    let mut operator = world.start().await;
    world.wait("alice", "the wrong key", tells("brainz", "TargetUnauthorized")).await;
    let mark = world.mark().await;
    put(&world, "wrong, too").await;
    world.wait_for_requests("a second check", &checks(), 2).await;
    // Whatever the pass with the check comes to is written before the pass of a request.
    world.request("alice", "look").await;
    let handled = |status: &scrobble_operator::api::v1alpha1::SpotifyAccountStatus| {
        status.last_handled_reconcile_at.as_deref() == Some("look")
    };
    world.wait("alice", "the request acknowledged", handled).await;
    for status in world.statuses(mark, "alice").await {
        assert!(tells("brainz", "TargetUnauthorized")(&status), "{:?}", status.targets);
    }

    // Corrected while no operator runs: the next one sees it without a read being due.
    assert!(operator.terminate().await.unwrap().success());
    put(&world, GOOD).await;
    operator.restart().await.unwrap();
    world.wait("alice", "a target that is well", target("brainz", is_well)).await;
    world.wait_ready("alice", "True", "Succeeded").await;
}

#[tokio::test]
async fn a_maloja_is_not_taken_for_a_listenbrainz() {
    let world = fast("checks-maloja").await;
    alice(&world, "2m").await;
    world.script.put_listenbrainz_user("Generic Maloja User", "a key of Maloja").await.unwrap();
    put(&world, "a key of Maloja").await;
    world.play("alice", 1, 60).await;
    let _operator = world.start().await;
    let status = world.wait("alice", "the refusal", tells("brainz", "ConfigurationInvalid")).await.status.unwrap();
    let message = status.target("brainz").unwrap().message.clone().unwrap();
    assert!(message.contains("use type Maloja"), "{message}");
    world.wait_ready("alice", "False", "ConfigurationInvalid").await;
    let seq = world.script.last_seq().await.unwrap();
    world.wait_for_reads("alice", seq, 2).await;
    assert_eq!(world.count(&submissions()).await, 0);
}

#[tokio::test]
async fn a_target_that_was_changed_is_looked_at_again_at_once() {
    // In real time, where no wait ends within a test.
    let world = World::new("checks-target").await;
    alice(&world, "24h").await;
    let titles = world.play("alice", 1, 60).await;
    put(&world, "a key of Maloja").await;
    world.script.put_listenbrainz_user("Generic Maloja User", "a key of Maloja").await.unwrap();
    let _operator = world.start().await;
    world.wait_ready("alice", "False", "ConfigurationInvalid").await;
    world.script.put_listenbrainz_user("alice", "a key of Maloja").await.unwrap();
    let url = format!("{}/", world.script.listenbrainz_url());
    world.patch::<ScrobbleTarget>("listenbrainz", json!({"spec": {"url": url}})).await;
    world.wait("alice", "the play", totals(1, 0)).await;
    world.wait_ready("alice", "True", "Succeeded").await;
    world.assert_listens("alice", &titles).await;
}
