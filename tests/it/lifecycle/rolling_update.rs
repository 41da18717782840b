//! Two replicas are replaced, one after the other: duty is handed over at once, and nothing is left out or done twice.

use std::time::Duration;

use jiff::Timestamp;
use scrobble_harness::wait_until;
use scrobble_simulator::api::{Endpoint, Record, RecordFilter, Rotation};

use super::duty::{HandOver, hand_overs, tenures};
use super::pods::{deployment, is_on_duty, pod, wait_for_answer, wait_on_duty};
use crate::accounts::tokens::{self, assert_stored, assert_used_once, report, wait_until_settled};
use crate::world::{DEADLINE, World};

const LISTENERS: [&str; 3] = ["alice", "bob", "carol"];
const INTERVAL: Duration = Duration::from_secs(4);

/// Titles that ListenBrainz should hold, and waits until it does.
async fn wait_for_all(world: &World, titles: &[Vec<String>]) {
    for (listener, titles) in LISTENERS.iter().zip(titles) {
        let mut expected = titles.clone();
        expected.sort();
        wait_until(&format!("all plays of {listener}"), DEADLINE, async || {
            let listens = world.listens(listener).await;
            if listens == expected { Ok(()) } else { Err(format!("{} of {}", listens.len(), expected.len())) }
        })
        .await
        .unwrap();
    }
}

async fn play(world: &World, titles: &mut [Vec<String>]) {
    for (listener, titles) in LISTENERS.iter().zip(titles) {
        titles.extend(world.play(listener, 1, 0).await);
    }
}

/// Each slot has its read, and no slot has two.
fn assert_in_slots(listener: &str, reads: &[Record], hand_overs: &[HandOver]) {
    // The first read comes when the account is seen, the second one in its slot.
    let times: Vec<Timestamp> = reads.iter().skip(1).map(|read| read.real_time).collect();
    let span = times[times.len() - 1].duration_since(times[0]);
    let slots = (span.as_secs_f64() / INTERVAL.as_secs_f64()).round() as usize + 1;
    println!("{listener}: {} reads in {slots} slots", times.len());
    assert!(times.len() <= slots, "{listener}: a slot has two reads: {times:?}");
    for pair in times.windows(2) {
        let gap = pair[1].duration_since(pair[0]).unsigned_abs();
        let disturbed = hand_overs.iter().any(|over| over.off_duty < pair[1] && over.acquired > pair[0]);
        // A read may be late where this machine is busy; the next one is in its own slot all the same.
        assert!(disturbed || gap < INTERVAL * 2, "{listener}: a slot was left out: {times:?}");
    }
    // What fell into a hand-over is made up, also where two hand-overs meet.
    assert!(times.len() + hand_overs.len() >= slots, "{listener}: slots were left out: {times:?}");
    for over in hand_overs {
        assert!(!times.iter().any(|time| over.is_at(*time)), "{listener}: read while nobody was on duty: {over:?}");
    }
}

#[tokio::test]
async fn a_rolling_update_of_two_replicas_leaves_nothing_out_and_does_nothing_twice() {
    let world = tokens::world("rolling-update", Rotation::Strict, 6).await;
    let mark = world.mark().await;
    let mut titles = Vec::new();
    for listener in LISTENERS {
        world.account(listener, &format!("{}s", INTERVAL.as_secs())).await;
        titles.push(world.play(listener, 2, 600).await);
    }
    let strategy = deployment(&world).await.spec.unwrap().strategy.unwrap().rolling_update.unwrap();
    assert_eq!(serde_json::to_value(strategy).unwrap(), serde_json::json!({"maxSurge": 1, "maxUnavailable": 0}));
    // A Lease that lasts for ten minutes: what is not given back stops the test.
    let start = async || {
        let pod = pod(&world).await.flag("refresh-buffer", "1s");
        let pod = pod.flag("leader-elect-lease-duration", "10m").flag("leader-elect-renew-deadline", "9m");
        pod.start().await.unwrap()
    };
    let leader = start().await;
    wait_on_duty(&leader).await;
    let standby = start().await;
    wait_for_all(&world, &titles).await;
    for listener in LISTENERS {
        world.wait_for_reads(listener, 0, 3).await;
    }
    assert!(!is_on_duty(&standby), "one works");
    wait_for_answer(&standby, "/readyz", 200, &["ok"]).await;

    // As the strategy says: one more, ready, then one less. The leader first: that is the worst.
    let mut replacing = Vec::new();
    for mut old in [leader, standby] {
        let new = start().await;
        old.ask_to_end().unwrap();
        play(&world, &mut titles).await;
        let ended = old.wait(DEADLINE).await.unwrap();
        assert!(ended.success(), "{ended}: {}", old.log());
        replacing.push(new);
        // Whoever is on duty now, somebody is.
        wait_for_all(&world, &titles).await;
    }
    wait_until("a new one to be on duty", DEADLINE, async || replacing.iter().any(is_on_duty)).await.unwrap();
    let seq = world.script.last_seq().await.unwrap();
    play(&world, &mut titles).await;
    wait_for_all(&world, &titles).await;
    for listener in LISTENERS {
        world.wait_for_reads(listener, seq, 3).await;
        wait_until_settled(&world, listener).await;
    }
    for mut pod in replacing {
        assert!(pod.terminate().await.unwrap().success());
    }

    let tenures = tenures(&world, mark).await;
    // At the end all are asked to end, so that one may take over for a moment.
    assert!(tenures.len() >= 2, "{tenures:#?}");
    let hand_overs = hand_overs(&tenures);
    for over in &hand_overs {
        println!("{}", over.line());
    }
    for listener in LISTENERS {
        let reads = world.script.requests(&RecordFilter::at(Endpoint::RecentlyPlayed).of(listener)).await.unwrap();
        assert_in_slots(listener, &reads, &hand_overs);
        let listens = world.script.listens(listener).await.unwrap();
        assert!(listens.iter().all(|listen| listen.received == 1 && listen.forms.len() == 1), "{listens:?}");
        assert_stored(&world, listener).await;
        assert_used_once(&report(&world, listener).await);
    }
    let deliveries = world.script.deliveries("hook").await.unwrap();
    assert_eq!(deliveries.len(), titles.iter().map(Vec::len).sum::<usize>());
    assert!(deliveries.iter().all(|delivery| delivery.received == 1 && delivery.accepted == 1), "{deliveries:?}");
}
