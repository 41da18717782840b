//! The main job: plays travel from Spotify to the services.

use scrobble_operator::api::condition::ConditionType;
use scrobble_simulator::api::{Endpoint, RecordFilter};

use crate::world::{World, condition};

#[tokio::test]
async fn plays_reach_both_services_once_and_status_tells() {
    let world = World::new("main-path").await;
    world.account("alice", "2s").await;
    let mut expected = world.play("alice", 3, 100).await;
    let _operator = world.start().await;

    let account = world
        .wait("alice", "six deliveries", |status| status.sync.as_ref().is_some_and(|sync| sync.scrobbled_total == 6))
        .await;
    let status = account.status.unwrap();
    assert_eq!(condition(&status, ConditionType::Ready), ("True", "Succeeded"));
    assert_eq!(condition(&status, ConditionType::Authorized), ("True", "Succeeded"));
    assert_eq!(condition(&status, ConditionType::Synced), ("True", "Succeeded"));
    for absent in [ConditionType::Reconciling, ConditionType::Stalled, ConditionType::Suspended] {
        assert_eq!(condition(&status, absent), ("", ""));
    }

    expected.extend(world.play("alice", 2, 0).await);
    expected.sort();
    world
        .wait("alice", "ten deliveries", |status| status.sync.as_ref().is_some_and(|sync| sync.scrobbled_total == 10))
        .await;
    assert_eq!(world.listens("alice").await, expected);
    let deliveries = world.script.deliveries("hook").await.unwrap();
    assert_eq!(deliveries.len(), 5);
    let reads = world.script.requests(&RecordFilter::at(Endpoint::RecentlyPlayed)).await.unwrap();
    assert!(reads.iter().all(|read| read.facts.limit.as_deref() == Some("50") && read.facts.after.is_none()));
    let refreshes = world.script.requests(&RecordFilter::at(Endpoint::Token)).await.unwrap();
    assert_eq!(refreshes.len(), 1, "one refresh serves the token's whole life");
}
