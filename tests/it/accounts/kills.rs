//! SIGKILL at random moments while plays are flowing: repeats are the same bytes, nothing is lost, nothing is doubled.

use std::time::Duration;

use jiff::Timestamp;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use scrobble_harness::{OperatorProcess, wait_until};
use scrobble_operator::api::v1alpha1::SpotifyAccountStatus;
use scrobble_simulator::api::{Delivery, Effect, Endpoint, Listen, NewFault, NewGenerator, RecordFilter};

use crate::chaos::seed;
use crate::world::{DEADLINE, World};

const LISTENERS: [&str; 3] = ["alice", "bob", "carol"];
const INTERVAL: Duration = Duration::from_secs(2);
/// A life of the operator ends within this, the time until it works included.
const LONGEST_LIFE: u64 = 4_000;

/// Waits until a service has taken plays and keeps its answer to itself; the moment when a kill leads to a repeat.
async fn wait_until_taken(world: &World, endpoint: Endpoint) {
    let seq = world.script.last_seq().await.unwrap();
    let hang = NewFault::new(Effect::HangAfter).at(endpoint).times(1);
    world.script.add_fault(&hang).await.unwrap();
    wait_until("plays to be taken without an answer", DEADLINE, async || {
        let requests = world.script.requests(&RecordFilter::at(endpoint).since(seq)).await.ok()?;
        requests.iter().any(|request| request.fault.is_some()).then_some(())
    })
    .await
    .unwrap();
}

/// Starts an operator, kills it, and answers when it lived.
async fn live_and_die(world: &World, round: usize, random: &mut StdRng) -> (Timestamp, Timestamp) {
    let born = Timestamp::now();
    let mut operator: OperatorProcess = world.operator().start_unready().unwrap();
    match round {
        3 => wait_until_taken(world, Endpoint::ListenbrainzSubmit).await,
        6 => wait_until_taken(world, Endpoint::Webhook).await,
        // The moment of a kill is what this test varies: nothing is waited for.
        _ => tokio::time::sleep(Duration::from_millis(random.random_range(0..LONGEST_LIFE))).await,
    }
    operator.kill().unwrap();
    (born, Timestamp::now())
}

async fn wait_for_all(world: &World) -> usize {
    let mut total = 0;
    for listener in LISTENERS {
        let plays = world.script.plays(listener).await.unwrap();
        let mut expected: Vec<String> = plays.into_iter().map(|play| play.title).collect();
        expected.sort();
        total += expected.len();
        wait_until(&format!("all plays of {listener} at ListenBrainz"), DEADLINE, async || {
            let listens = world.listens(listener).await;
            if listens == expected { Ok(()) } else { Err(format!("{} of {}", listens.len(), expected.len())) }
        })
        .await
        .unwrap();
    }
    wait_until("all plays at the webhook", DEADLINE, async || {
        let deliveries = world.script.deliveries("hook").await.map_err(|error| error.to_string())?;
        let accepted = deliveries.iter().filter(|delivery| delivery.accepted > 0).count();
        if accepted >= total { Ok(()) } else { Err(format!("{accepted} of {total}")) }
    })
    .await
    .unwrap();
    total
}

#[tokio::test]
async fn ten_kills_lose_no_play_and_double_none() {
    let seed = seed();
    println!("seed {seed}: repeat with SCROBBLE_TEST_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let world = World::new("kills").await;
    for (number, listener) in LISTENERS.iter().enumerate() {
        world.account(listener, &format!("{}s", INTERVAL.as_secs())).await;
        world.play(listener, 3, 600).await;
        // A track a second, no title twice: more news than any listener has.
        let plays = NewGenerator { tracks: 1 << 40, ..NewGenerator::steady(number as u64, 1_000) };
        world.script.add_generator(listener, &plays).await.unwrap();
    }
    // The first kill comes before anything of the first read is recorded.
    let mut first = world.operator().start_unready().unwrap();
    wait_until_taken(&world, Endpoint::ListenbrainzSubmit).await;
    first.kill().unwrap();
    let mut second = world.start().await;
    for listener in LISTENERS {
        let received = |status: &SpotifyAccountStatus| {
            status.sync.as_ref().is_some_and(|sync| sync.last_successful_scrobble_time.is_some())
        };
        world.wait(listener, "the first deliveries", received).await;
    }
    second.kill().unwrap();
    let settled = world.script.last_seq().await.unwrap();

    let mut lives = Vec::new();
    for round in 0..10 {
        let life = live_and_die(&world, round, &mut random).await;
        println!("round {round}: lived for {:#}", life.1.duration_since(life.0));
        lives.push(life);
    }
    for listener in LISTENERS {
        world.script.stop_generators(listener).await.unwrap();
    }
    let (born, _operator) = (Timestamp::now(), world.start().await);
    let total = wait_for_all(&world).await;
    let seq = world.script.last_seq().await.unwrap();
    for listener in LISTENERS {
        world.wait_for_reads(listener, seq, 2).await;
    }
    lives.push((born, Timestamp::now()));

    let mut repeats = 0;
    for listener in LISTENERS {
        let listens: Vec<Listen> = world.script.listens(listener).await.unwrap();
        assert!(listens.iter().all(|listen| listen.forms.len() == 1), "{listens:?}");
        repeats += listens.iter().filter(|listen| listen.received > 1).count();
        let reads = world.script.requests(&RecordFilter::at(Endpoint::RecentlyPlayed).of(listener)).await.unwrap();
        for (born, died) in &lives {
            let reads = reads.iter().filter(|read| read.real_time >= *born && read.real_time <= *died).count();
            let life = died.duration_since(*born).as_secs_f64();
            let slots = (life / INTERVAL.as_secs_f64()) as usize + 1;
            assert!(reads <= slots + 1, "{listener}: {reads} reads in a life of {life} s");
        }
    }
    assert!(repeats > 0, "a kill after a service has taken plays leads to a repeat");
    let deliveries: Vec<Delivery> = world.script.deliveries("hook").await.unwrap();
    assert_eq!(deliveries.len(), total, "one Idempotency-Key a play");
    assert!(deliveries.iter().all(|delivery| delivery.forms.len() == 1), "{deliveries:?}");
    let repeated = deliveries.iter().filter(|delivery| delivery.received > 1).count();
    assert!(repeated > 0, "a kill after a service has taken plays leads to a repeat");
    println!("{total} plays; {repeats} repeated at ListenBrainz, {repeated} at the webhook, all byte for byte");
    for endpoint in [Endpoint::Token, Endpoint::Me] {
        let requests = world.script.requests(&RecordFilter::at(endpoint).since(settled)).await.unwrap();
        assert!(requests.is_empty(), "{requests:?}");
    }
}
