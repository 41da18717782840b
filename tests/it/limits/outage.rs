//! Spotify is away for two hours: one breaker opens, not each account's, and everybody is well soon after.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use scrobble_harness::wait_until;
use scrobble_operator::api::condition::ConditionType;
use scrobble_simulator::api::{BodyForm, Effect, Endpoint, NewApp, NewFault};

use super::LONG;
use crate::world::{CLIENT_ID, CLIENT_SECRET, DEADLINE, World, condition, ready, told};

const ACCOUNTS: usize = 40;
/// An hour takes half a minute.
const RATE: u32 = 120;
const INTERVAL: SignedDuration = SignedDuration::from_mins(20);
/// Requests that find out, at most three tries each, and probes at least 13.5 minutes apart.
const BOUND: usize = 3 * (5 + 32) + 120 / 13 + 1;

async fn wait_for_time(world: &World, time: Timestamp) {
    wait_until(&format!("{time}"), LONG, async || {
        let now = world.script.now().await.map_err(|error| error.to_string())?;
        if now >= time { Ok(()) } else { Err(now.to_string()) }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn an_outage_of_two_hours_opens_one_breaker_and_is_over_within_a_quarter_of_an_hour() {
    let app = NewApp { access_token_seconds: 1_000_000, ..NewApp::confidential(CLIENT_ID, CLIENT_SECRET) };
    let world = World::at_rate("outage", app, RATE).await;
    world.webhook().await;
    let names = world.crowd("listener", ACCOUNTS, "main", "20m").await;
    let operator = || world.operator().minimum_interval("5m");
    let first = operator().start().await.unwrap();
    world.wait_until_all("True", "Succeeded").await;

    let before = world.script.last_seq().await.unwrap();
    let status = Effect::Status { status: 503, body: BodyForm::default(), text: None, retry_after_seconds: None };
    world.script.add_fault(&NewFault::new(status).at(Endpoint::Token)).await.unwrap();
    let hang = NewFault::new(Effect::CutBefore).at(Endpoint::RecentlyPlayed);
    world.script.add_fault(&hang).await.unwrap();
    let begin = world.script.now().await.unwrap();
    let status = world
        .wait_app("main", "known to be away", DEADLINE * 2, |status| {
            told(&status.conditions, ConditionType::Ready) == ("False", "UpstreamUnavailable")
        })
        .await;
    assert_eq!(told(&status.conditions, ConditionType::CircuitOpen), ("True", "CircuitOpen"));
    assert_eq!(told(&status.conditions, ConditionType::Stalled), ("", ""), "nobody has to act");
    // Another process knows it, too.
    drop(first);
    let _second = operator().start().await.unwrap();
    for name in &names {
        world.play(name, 3, 1).await;
    }
    wait_for_time(&world, begin + SignedDuration::from_hours(1)).await;
    let mut counted = 0;
    for account in world.everybody().await {
        let status = account.status.unwrap();
        assert_eq!(ready(&status), ("False", "UpstreamUnavailable"), "no read for longer than anybody passes over");
        assert_eq!(condition(&status, ConditionType::CircuitOpen), ("", ""), "its own breaker is closed");
        assert_eq!(status.circuit_breaker, None);
        counted += status.failures.unwrap().consecutive;
    }
    // Those that found out, and those that were on their way then.
    assert!(counted <= 5 + 32, "{counted} failures were counted: the app's are not the accounts'");
    wait_for_time(&world, begin + SignedDuration::from_hours(2)).await;
    let asked = world.asked_of_spotify(before).await.len();
    assert!(asked <= BOUND, "{asked} requests in two hours");

    world.script.clear_faults().await.unwrap();
    let back = world.script.now().await.unwrap();
    let seq = world.script.last_seq().await.unwrap();
    let reads = wait_until("everybody to be read", LONG, async || {
        let asked = world.asked_of_spotify(seq).await;
        let reads: Vec<_> = asked.into_iter().filter(|record| record.endpoint == Endpoint::RecentlyPlayed).collect();
        let read: BTreeSet<_> = reads.iter().filter_map(|record| record.account.clone()).collect();
        if read.len() == ACCOUNTS { Ok(reads) } else { Err(format!("{} read", read.len())) }
    })
    .await
    .unwrap();
    let firsts = names.iter().filter_map(|name| reads.iter().find(|record| record.account.as_ref() == Some(name)));
    let last = firsts.map(|record| record.time).max().unwrap();
    println!(
        "away for two hours: {asked} requests ({BOUND} are allowed); everybody read {} s after it was back",
        last.duration_since(back).as_secs()
    );
    // A minute of the test clock is half a second.
    let bound = SignedDuration::from_mins(15) + INTERVAL + SignedDuration::from_mins(5);
    assert!(last.duration_since(back) <= bound, "{last} after {back}");
    for account in world.wait_until_all("True", "Succeeded").await {
        let status = account.status.unwrap();
        assert_eq!(status.failures, None);
        assert_eq!(condition(&status, ConditionType::CircuitOpen), ("", ""));
    }
    let deliveries = wait_until("all plays to arrive", LONG, async || {
        let got = world.script.deliveries("hook").await.map_err(|error| error.to_string())?;
        if got.len() >= 3 * ACCOUNTS { Ok(got.len()) } else { Err(format!("{} plays", got.len())) }
    });
    assert_eq!(deliveries.await.unwrap(), 3 * ACCOUNTS, "each once");
    let status = world
        .wait_app("main", "well again", DEADLINE * 2, |status| {
            told(&status.conditions, ConditionType::Ready) == ("True", "Succeeded")
        })
        .await;
    assert_eq!(status.circuit_breaker, None);
}
