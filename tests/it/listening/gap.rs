//! More was played between two reads than Spotify shows: counted, told for a day, and not again.

use jiff::{SignedDuration, Timestamp};
use scrobble_operator::api::condition::{ConditionType, find_condition};
use scrobble_operator::api::v1alpha1::SpotifyAccountStatus;
use scrobble_simulator::api::{NewApp, NewGenerator, Play};

use super::{TRACK, accepted, bound, interval, length};
use crate::world::{CLIENT_ID, CLIENT_SECRET, World, condition};

const RATE: u32 = 120;
const HOUR: SignedDuration = SignedDuration::from_hours(1);

fn synced(status: &SpotifyAccountStatus) -> (&str, &str) {
    condition(status, ConditionType::Synced)
}

#[tokio::test]
async fn a_gap_is_counted_told_for_a_day_and_shortens_the_interval() {
    let world = World::at_rate("gap", NewApp::confidential(CLIENT_ID, CLIENT_SECRET), RATE).await;
    world.webhook().await;
    world.listener_with_hook("alice", "1h").await;
    world.play_fast("alice", 3, 3 * 3600).await;
    let mut operator = world.usual_operator().start().await.unwrap();
    world.wait("alice", "three deliveries", accepted(3)).await;

    // The music begins right after a read in its slot, and goes on for an hour after the next one.
    let seen = world.script.last_seq().await.unwrap();
    let read = world.wait_for_reads("alice", seen, 1).await[0].clone();
    let status = world.wait_ready("alice", "True", "Succeeded").await.status.unwrap();
    assert_eq!((synced(&status), interval(&status)), (("True", "Succeeded"), Some("1h")));
    let end = read.time + HOUR * 2;
    let music =
        NewGenerator { start_time: Some(read.time), end_time: Some(end), ..NewGenerator::steady(11, TRACK * 1000) };
    world.script.add_generator("alice", &music).await.unwrap();
    let seen = read.seq;
    let told = world
        .wait("alice", "a gap", |status| status.sync.as_ref().is_some_and(|sync| sync.gaps_total > 0))
        .await
        .status
        .unwrap();

    let shown = world.wait_for_reads("alice", seen, 1).await[0].facts.plays.clone();
    let plays = world.script.plays("alice").await.unwrap();
    let oldest_number = *shown.last().unwrap();
    let by_number = |number: u64| plays.iter().find(|play| play.number == number).unwrap();
    let lost = i64::try_from(oldest_number).unwrap() - 4;
    let most = bound(by_number(3), by_number(oldest_number));
    println!("lost {lost}, at most {most}");
    assert_eq!(shown.len(), 50);
    assert!(lost > 0 && most >= lost, "lost {lost}, at most {most}");
    let sync = told.sync.clone().unwrap();
    assert_eq!((sync.gaps_total, sync.lost_at_most_total, sync.last_gap_lost_at_most), (1, most, Some(most)));
    assert_eq!(sync.missed_while_suspended_at_most, 0);
    assert_eq!(interval(&told), Some("15m"), "read more often from now on");
    assert_eq!(
        (synced(&told), condition(&told, ConditionType::Ready)),
        (("True", "GapDetected"), ("True", "Succeeded"))
    );
    let message = find_condition(&told.conditions, ConditionType::Synced).unwrap().message.clone();
    assert!(message.contains(&format!("at most {most} plays were lost")), "{message}");

    // Whatever is played from then on arrives, and is no gap.
    world.wait_for_time(end).await;
    let plays = world.script.plays("alice").await.unwrap();
    let kept: Vec<Play> = plays.into_iter().filter(|play| play.number <= 3 || play.number >= oldest_number).collect();
    assert!(kept.len() > 3 + 50 + 50, "{}", kept.len());
    world.wait_for_deliveries("alice", &kept).await;
    world.wait("alice", "all deliveries in the status", accepted(length(&kept))).await;
    assert_eq!(world.events_of("alice", "GapDetected").await, [("Warning".to_owned(), message.clone())]);

    // Almost a day after the gap it is still told; after a day it is not.
    let found = sync.last_gap_time.unwrap().0;
    let leap = async |to: Timestamp, leapt: SignedDuration| {
        let by = to.duration_since(world.script.now().await.unwrap());
        world.script.advance_clock(by).await.unwrap();
        world.later_operator(leapt + by).start().await.map(|operator| (operator, leapt + by)).unwrap()
    };
    assert!(operator.terminate().await.unwrap().success());
    let seen = world.script.last_seq().await.unwrap();
    let (mut operator, leapt) = leap(found + HOUR * 22, SignedDuration::ZERO).await;
    // The first read is made up; then come slots.
    let reads = world.wait_for_reads("alice", seen, 3).await;
    let apart = reads[2].time.duration_since(reads[1].time);
    assert!(apart < HOUR / 2, "{apart:?}");
    let status = world.wait_ready("alice", "True", "Succeeded").await.status.unwrap();
    assert_eq!((synced(&status), interval(&status)), (("True", "GapDetected"), Some("15m")));
    assert!(operator.terminate().await.unwrap().success());
    let (_operator, _) = leap(found + HOUR * 24 + SignedDuration::from_secs(1), leapt).await;
    let status = world.wait("alice", "the gap is over", |status| synced(status) == ("True", "Succeeded")).await;
    assert_eq!(condition(&status.status.unwrap(), ConditionType::Ready), ("True", "Succeeded"));
    world.wait("alice", "the longest interval", |status| interval(status) == Some("1h")).await;
    let sync = world.sync_of("alice").await;
    assert_eq!((sync.gaps_total, sync.lost_at_most_total), (1, most), "what was counted stays");
    assert_eq!(world.events_of("alice", "GapDetected").await.len(), 1);
    world.wait_for_deliveries("alice", &kept).await;
}
