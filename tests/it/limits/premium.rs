//! The app's owner has no Premium: one answer opens the app's breaker, and one request an hour probes.

use jiff::SignedDuration;
use scrobble_operator::api::condition::ConditionType;
use scrobble_simulator::api::{Effect, Endpoint, NewApp, NewFault};

use crate::world::{CLIENT_ID, CLIENT_SECRET, DEADLINE, World, condition, told};

const ACCOUNTS: usize = 12;
/// What may be on its way when the answer comes.
const CONCURRENCY: usize = 4;

#[tokio::test]
async fn an_owner_without_premium_costs_one_request_an_hour_and_is_told_on_app_and_accounts() {
    // An hour is fifteen seconds.
    let app = NewApp { access_token_seconds: 1_000_000, ..NewApp::confidential(CLIENT_ID, CLIENT_SECRET) };
    let world = World::at_rate("premium", app, 240).await;
    world.webhook().await;
    let names = world.crowd("listener", ACCOUNTS, "main", "20m").await;
    let operator = || world.operator().minimum_interval("5m").flag("concurrency", &CONCURRENCY.to_string());
    let first = operator().start().await.unwrap();
    world.wait_until_all("True", "Succeeded").await;
    let before = world.script.last_seq().await.unwrap();
    let refuses = NewFault::new(Effect::OwnerNotPremium).at(Endpoint::RecentlyPlayed);
    world.script.add_fault(&refuses).await.unwrap();
    let status = world
        .wait_app("main", "its owner has to act", DEADLINE, |status| {
            told(&status.conditions, ConditionType::Ready) == ("False", "AppOwnerNotPremium")
        })
        .await;
    assert_eq!(told(&status.conditions, ConditionType::Stalled), ("True", "AppOwnerNotPremium"));
    assert_eq!(told(&status.conditions, ConditionType::CircuitOpen), ("True", "CircuitOpen"));
    // Another process knows it, too.
    drop(first);
    let _second = operator().start().await.unwrap();
    for account in world.wait_until_all("False", "AppOwnerNotPremium").await {
        let status = account.status.unwrap();
        assert_eq!(condition(&status, ConditionType::Stalled), ("True", "AppOwnerNotPremium"));
        assert_eq!(condition(&status, ConditionType::CircuitOpen), ("", ""), "its own breaker is closed");
        assert_eq!(status.failures.unwrap().consecutive, 0, "no account is to blame");
    }
    world
        .wait_app("main", "a second probe", DEADLINE, |status| {
            status.circuit_breaker.as_ref().is_some_and(|breaker| breaker.trips >= 3)
        })
        .await;
    let asked = world.asked_of_spotify(before).await;
    assert!(asked.len() <= CONCURRENCY + 2, "{} requests in two hours", asked.len());
    for pair in asked[asked.len() - 3..].windows(2) {
        let apart = pair[1].time.duration_since(pair[0].time);
        assert!(apart >= SignedDuration::from_mins(59), "{apart:?} between two probes");
    }
    println!("{} requests for {ACCOUNTS} accounts in two hours", asked.len());

    world.script.clear_faults().await.unwrap();
    for name in &names {
        world.play(name, 1, 1).await;
    }
    for account in world.wait_until_all("True", "Succeeded").await {
        let status = account.status.unwrap();
        assert_eq!(condition(&status, ConditionType::Stalled), ("", ""));
        assert_eq!(status.failures, None);
    }
    world
        .wait_app("main", "well again", DEADLINE, |status| {
            told(&status.conditions, ConditionType::Ready) == ("True", "Succeeded")
                && told(&status.conditions, ConditionType::CircuitOpen) == ("", "")
                && status.circuit_breaker.is_none()
        })
        .await;
}
