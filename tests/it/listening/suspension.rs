//! What nobody promised to see is no gap: what was before the first read, and what was heard while suspended.

use jiff::SignedDuration;
use scrobble_operator::api::condition::ConditionType;
use scrobble_operator::api::v1alpha1::{SpotifyAccount, SpotifyAccountStatus};
use serde_json::json;

use super::{accepted, bound, length};
use crate::world::{World, condition};

/// Spotify shows so many plays.
const SHOWN: usize = 50;

fn synced(status: &SpotifyAccountStatus) -> (&str, &str) {
    condition(status, ConditionType::Synced)
}

impl World {
    async fn suspend(&self, name: &str, suspend: bool) {
        self.patch::<SpotifyAccount>(name, json!({"spec": {"suspend": suspend}})).await;
    }
}

#[tokio::test]
async fn what_is_heard_while_suspended_arrives_as_far_as_shown_and_is_no_gap() {
    let world = World::new("heard-suspended").await;
    world.webhook().await;
    for name in ["alice", "bob"] {
        world.listener_with_hook(name, "24h").await;
        world.play_fast(name, 3, 60).await;
    }
    let mut operator = world.usual_operator().start().await.unwrap();
    for name in ["alice", "bob"] {
        world.wait(name, "three deliveries", accepted(3)).await;
        world.suspend(name, true).await;
        let status = world.wait_ready(name, "False", "Suspended").await.status.unwrap();
        assert!(status.sync.unwrap().suspended_time.is_some());
    }

    // Two hours later, after a restart: alice has heard a few plays, bob more than Spotify shows.
    assert!(operator.terminate().await.unwrap().success());
    let later = SignedDuration::from_hours(2);
    world.script.advance_clock(later).await.unwrap();
    world.play_fast("alice", 20, 0).await;
    world.play_fast("bob", 150, 0).await;
    let mut operator = world.later_operator(later).start().await.unwrap();
    let (alice, bob) = (world.script.plays("alice").await.unwrap(), world.script.plays("bob").await.unwrap());
    let oldest = bob.len() - SHOWN;
    let missed = bound(&bob[2], &bob[oldest]);
    let kept = [&bob[..3], &bob[oldest..]].concat();
    for (name, plays, missed) in [("alice", &alice, 0), ("bob", &kept, missed)] {
        world.suspend(name, false).await;
        world.wait(name, "all deliveries", accepted(length(plays))).await;
        let status = world.wait_ready(name, "True", "Succeeded").await.status.unwrap();
        assert_eq!(synced(&status), ("True", "Succeeded"));
        let sync = status.sync.unwrap();
        assert_eq!((sync.gaps_total, sync.lost_at_most_total), (0, 0), "{name}");
        assert_eq!((sync.missed_while_suspended_at_most, sync.suspended_time), (missed, None), "{name}");
        world.wait_for_deliveries(name, plays).await;
        assert_eq!(world.events_of(name, "GapDetected").await, []);
    }
    println!("bob has missed {}, at most {missed}", oldest - 3);
    assert!(missed >= length(&bob[3..oldest]));

    // The suspension is over: what is missed from now on is a gap.
    assert!(operator.terminate().await.unwrap().success());
    world.script.advance_clock(later).await.unwrap();
    world.play_fast("bob", 150, 0).await;
    let _operator = world.later_operator(later * 2).start().await.unwrap();
    world.request("bob", "now").await;
    let gap = |status: &SpotifyAccountStatus| synced(status) == ("True", "GapDetected");
    let sync = world.wait("bob", "a gap", gap).await.status.unwrap().sync.unwrap();
    let plays = world.script.plays("bob").await.unwrap();
    let lost = bound(&bob[bob.len() - 1], &plays[plays.len() - SHOWN]);
    assert_eq!((sync.gaps_total, sync.lost_at_most_total, sync.missed_while_suspended_at_most), (1, lost, missed));
}

#[tokio::test]
async fn the_first_read_of_a_full_page_is_no_gap() {
    let world = World::new("first-page").await;
    world.webhook().await;
    world.listener_with_hook("alice", "24h").await;
    world.play_fast("alice", 80, 0).await;
    let mut operator = world.usual_operator().start().await.unwrap();
    let plays = world.script.plays("alice").await.unwrap();
    let shown = &plays[plays.len() - SHOWN..];
    world.wait("alice", "what is shown", accepted(length(shown))).await;
    // The same page again, also by another process, is none either.
    for request in ["again", "by another process"] {
        world.request("alice", request).await;
        let handled = |status: &SpotifyAccountStatus| status.last_handled_reconcile_at.as_deref() == Some(request);
        let status = world.wait("alice", "the request handled", handled).await.status.unwrap();
        assert_eq!(condition(&status, ConditionType::Ready), ("True", "Succeeded"));
        assert_eq!(synced(&status), ("True", "Succeeded"));
        let sync = status.sync.unwrap();
        assert_eq!((sync.gaps_total, sync.lost_at_most_total, sync.missed_while_suspended_at_most), (0, 0, 0));
        assert!(operator.terminate().await.unwrap().success());
        operator.restart().await.unwrap();
    }
    world.wait_for_deliveries("alice", shown).await;
    assert_eq!(world.events_of("alice", "GapDetected").await, []);
}
