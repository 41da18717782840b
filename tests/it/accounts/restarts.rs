//! Restarts by SIGTERM: nothing is sent twice, nothing is asked for more often, nothing is left behind.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use kube::api::ListParams;
use scrobble_harness::wait_until;
use scrobble_simulator::api::{Effect, Endpoint, NewFault, Record, RecordFilter};

use crate::world::{DEADLINE, World};

const LISTENERS: [&str; 4] = ["alice", "bob", "carol", "dave"];
const INTERVAL: Duration = Duration::from_secs(4);
/// The contract's bound on the time from SIGTERM to the end.
const END: Duration = Duration::from_secs(25);

/// Who holds the operator's Lease.
async fn lease_holder(world: &World) -> Option<String> {
    let leases: Api<Lease> = Api::namespaced(world.client.clone(), &world.namespace);
    let leases = leases.list(&ListParams::default()).await.unwrap();
    let [lease] = leases.items.as_slice() else { return None };
    lease.spec.clone()?.holder_identity.filter(|holder| !holder.is_empty())
}

/// Titles that each service should hold of each listener, and waits until it does.
async fn wait_for_all(world: &World, titles: &BTreeMap<&str, Vec<String>>) {
    for (listener, titles) in titles {
        let mut expected = titles.clone();
        expected.sort();
        wait_until(&format!("all plays of {listener} at ListenBrainz"), DEADLINE, async || {
            let listens = world.listens(listener).await;
            if listens == expected { Ok(()) } else { Err(format!("{} of {}", listens.len(), expected.len())) }
        })
        .await
        .unwrap();
    }
    let total = titles.values().map(Vec::len).sum::<usize>();
    wait_until("all plays at the webhook", DEADLINE, async || {
        let deliveries = world.script.deliveries("hook").await.map_err(|error| error.to_string())?;
        if deliveries.len() == total { Ok(()) } else { Err(format!("{} of {total}", deliveries.len())) }
    })
    .await
    .unwrap();
}

/// How many reads an account's schedule has from its first to its last of these, both at about their slots.
fn slots(reads: &[Record]) -> usize {
    let span = reads[reads.len() - 1].real_time.duration_since(reads[0].real_time);
    (span.as_secs_f64() / INTERVAL.as_secs_f64()).round() as usize + 1
}

#[tokio::test]
async fn ten_restarts_send_no_play_twice_and_ask_for_nothing_more() {
    let world = World::new("restarts").await;
    let mut titles: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for listener in LISTENERS {
        world.account(listener, &format!("{}s", INTERVAL.as_secs())).await;
        titles.insert(listener, world.play(listener, 3, 600).await);
    }
    let mut operator = world.operator().argument("--leader-elect").start().await.unwrap();
    wait_for_all(&world, &titles).await;
    // The first read of an account comes when it is seen, the second one in its slot.
    for listener in LISTENERS {
        world.wait_for_reads(listener, 0, 2).await;
    }
    let mark = world.mark().await;

    let mut absences = Vec::new();
    let mut played = 0;
    for round in 0..10 {
        let listener = LISTENERS[round % LISTENERS.len()];
        match round % 3 {
            // At once, right after the start.
            0 => {}
            // After plays have arrived.
            1 => {
                titles.get_mut(listener).unwrap().extend(world.play(listener, 2, 0).await);
                played += 1;
                wait_for_all(&world, &titles).await;
            }
            // While a service has taken plays and its answer is under way.
            _ => {
                let slow = Effect::DelayAfter { milliseconds: 2_000 };
                let slow = NewFault::new(slow).at(Endpoint::ListenbrainzSubmit).of(listener).times(1);
                world.script.add_fault(&slow).await.unwrap();
                let seq = world.script.last_seq().await.unwrap();
                titles.get_mut(listener).unwrap().extend(world.play(listener, 2, 0).await);
                played += 1;
                let filter = RecordFilter::at(Endpoint::ListenbrainzSubmit).of(listener).since(seq);
                wait_until("plays to be under way", DEADLINE, async || {
                    (!world.script.requests(&filter).await.ok()?.is_empty()).then_some(())
                })
                .await
                .unwrap();
            }
        }
        let (asked, left) = (Instant::now(), Timestamp::now());
        let status = operator.terminate().await.unwrap();
        let ended = asked.elapsed();
        assert!(status.success(), "{status}: {}", operator.log());
        assert!(ended < END, "{ended:?}");
        assert_eq!(lease_holder(&world).await, None, "the Lease is given back");
        operator.restart().await.unwrap();
        wait_until("the operator to be on duty", DEADLINE, async || lease_holder(&world).await).await.unwrap();
        println!("round {round}: ended after {ended:?}, back after {:?}", asked.elapsed());
        absences.push((left, Timestamp::now()));
    }
    assert!(!operator.log().contains("did not end in time"), "{}", operator.log());
    wait_for_all(&world, &titles).await;
    let seq = world.script.last_seq().await.unwrap();
    for listener in LISTENERS {
        world.wait_for_reads(listener, seq, 3).await;
    }

    for listener in LISTENERS {
        let listens = world.script.listens(listener).await.unwrap();
        assert!(listens.iter().all(|listen| listen.received == 1 && listen.forms.len() == 1), "{listens:?}");
        let reads = world.script.requests(&RecordFilter::at(Endpoint::RecentlyPlayed).of(listener)).await.unwrap();
        let (reads, slots) = (&reads[1..], slots(&reads[1..]));
        println!("{listener}: {} reads in {slots} slots", reads.len());
        let times: Vec<Timestamp> = reads.iter().map(|read| read.real_time).collect();
        assert!(times.len() <= slots, "{times:?}");
        for pair in times.windows(2) {
            let gap = pair[1].duration_since(pair[0]).unsigned_abs();
            let disturbed = absences.iter().any(|(from, to)| *from < pair[1] && *to > pair[0]);
            assert!(disturbed || gap < INTERVAL * 3 / 2, "a slot was left out without an absence: {times:?}");
        }
    }
    let deliveries = world.script.deliveries("hook").await.unwrap();
    assert!(deliveries.iter().all(|delivery| delivery.received == 1 && delivery.accepted == 1), "{deliveries:?}");
    for endpoint in [Endpoint::Token, Endpoint::Me] {
        let requests = world.script.requests(&RecordFilter::at(endpoint)).await.unwrap();
        assert_eq!(requests.len(), LISTENERS.len(), "{requests:?}");
    }
    let writes = world.writes_with_events(mark).await;
    let told: Vec<String> = writes.iter().map(|write| format!("{} {}", write.verb, write.uri)).collect();
    assert_eq!(writes.len(), played, "a restart writes nothing: {told:?}");
    assert!(writes.iter().all(|write| write.is_about("spotifyaccounts/status")), "{told:?}");
}
