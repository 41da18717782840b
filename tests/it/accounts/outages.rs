//! An API server that is away, and an etcd that is, while accounts of every policy are at every step of a refresh.

use std::time::Duration;

use scrobble_harness::{ControlPlane, OperatorProcess, Options, wait_until};
use scrobble_simulator::api::{AccountChange, Effect, Endpoint, NewFault, Rotation};

use super::stages::{OUT_AFTER, Stages};
use super::tokens::{app, exchanges, operator, report};
use crate::world::{DEADLINE, World};

async fn world_of_its_own(test: &str) -> World {
    let plane: &'static ControlPlane = Box::leak(Box::new(ControlPlane::start(Options::default()).await.unwrap()));
    World::on(plane, test, app(Rotation::Never, 3600), scrobble_simulator::Options::default()).await
}

async fn wait_for_log(operator: &OperatorProcess, from: usize, text: &str) {
    let deadline = DEADLINE * 2;
    wait_until(&format!("{text:?} in the log"), deadline, async || operator.log()[from..].contains(text).then_some(()))
        .await
        .unwrap();
}

#[tokio::test]
async fn an_api_server_that_is_away_for_a_minute_costs_no_token_also_when_the_process_is_asked_to_end() {
    const STEPS: [&str; 7] = ["loaded", "claimed", "sending", OUT_AFTER, "exchanged", "state-stored", "committed"];
    let world = world_of_its_own("api-server-away").await;
    let stages = Stages::create(&world, &STEPS, 3600).await;
    let mut process = stages.hold(&world, operator(&world), &[]).await.start().await.unwrap();
    stages.wait(&world, &process).await;
    world.plane.kill_api_server().await.unwrap();
    stages.open();
    // The length of the outage is what is promised: nothing is waited for.
    tokio::time::sleep(Duration::from_mins(1)).await;
    for member in stages.members.iter().filter(|member| member.step == "loaded") {
        let uses = report(&world, &member.name).await.refresh_tokens[0].uses;
        assert_eq!(uses, 0, "{}: nothing is sent without a claim", member.name);
    }
    assert!(process.log().contains("new tokens are not stored yet"), "it says so");
    assert_eq!(process.exit_status().unwrap(), None);
    world.plane.start_api_server().await.unwrap();
    ask_for_those_that_failed(&world, &stages).await;
    stages.assert_all_well(&world).await;
    for member in &stages.members {
        let tokens = report(&world, &member.name).await;
        assert!(tokens.refresh_tokens.iter().all(|token| token.uses <= 1), "{tokens:?}");
    }

    // The same at the next refresh of all, and the process is asked to end meanwhile: it stays until all is stored.
    let seq = world.script.last_seq().await.unwrap();
    let slow = NewFault::new(Effect::DelayAfter { milliseconds: 5_000 }).at(Endpoint::Token);
    world.script.add_fault(&slow).await.unwrap();
    for member in &stages.members {
        let change = AccountChange { access_token_seconds: Some(1), ..AccountChange::default() };
        world.script.change_account(&member.name, &change).await.unwrap();
        super::tokens::put(&world, &member.name, serde_json::json!({"expires-at": "2026-01-01T00:00:00Z"})).await;
        world.request(&member.name, "refresh").await;
    }
    wait_until("every request to be on the wire", DEADLINE, async || {
        let sent = exchanges(&world, seq).await.len();
        if sent == stages.members.len() { Ok(()) } else { Err(format!("{sent} requests")) }
    })
    .await
    .unwrap();
    world.plane.kill_api_server().await.unwrap();
    process.ask_to_end().unwrap();
    wait_for_log(&process, 0, "staying until they are").await;
    assert_eq!(process.exit_status().unwrap(), None, "it stays");
    world.script.clear_faults().await.unwrap();
    world.plane.start_api_server().await.unwrap();
    let ended = process.wait(DEADLINE).await.unwrap();
    assert!(ended.success(), "{ended}");
    stages.assert_nothing_lost(&world).await;
    assert_eq!(exchanges(&world, seq).await.len(), stages.members.len());
}

/// What could not be claimed is a failure, whose next attempt is a minute away.
async fn ask_for_those_that_failed(world: &World, stages: &Stages) {
    for member in stages.members.iter().filter(|member| member.step == "loaded") {
        world.request(&member.name, "now").await;
    }
}

#[tokio::test]
async fn an_etcd_that_is_away_at_the_claim_or_between_exchange_and_commit_costs_no_token() {
    const STEPS: [&str; 5] = ["loaded", "claimed", "exchanged", "state-stored", "committed"];
    let world = world_of_its_own("etcd-away").await;
    let stages = Stages::create(&world, &STEPS, 3600).await;
    let process = stages.hold(&world, operator(&world), &[]).await.start().await.unwrap();
    stages.wait(&world, &process).await;
    let seq = world.script.last_seq().await.unwrap();
    world.plane.kill_etcd().await.unwrap();
    stages.open();
    wait_for_log(&process, 0, "new tokens are not stored yet").await;
    for record in exchanges(&world, seq).await {
        let account = record.account.unwrap_or_default();
        assert!(account.starts_with("claimed"), "{account} sends nothing without a claim");
    }
    world.plane.start_etcd().await.unwrap();
    ask_for_those_that_failed(&world, &stages).await;
    stages.assert_all_well(&world).await;
    for member in &stages.members {
        let tokens = report(&world, &member.name).await;
        assert!(tokens.refresh_tokens.iter().all(|token| token.uses <= 1), "{tokens:?}");
    }
}
