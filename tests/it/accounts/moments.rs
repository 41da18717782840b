//! Somebody writes the token Secret in the middle of its very first exchange: a tool wipes it, a human gives a new token.

use scrobble_harness::{OperatorProcess, wait_until};
use scrobble_operator::api::condition::{ConditionType, find_condition};
use scrobble_simulator::api::Rotation;
use serde_json::json;

use super::repository::{Manifest, Way};
use super::stages::{Member, OUT_AFTER, Stages};
use super::tokens::{app, assert_stored, exchanges, held, operator, put, report, state_name, text, wait_until_settled};
use crate::world::{DEADLINE, World};

/// Between claim and answer, between answer and commit, between the commit's two writes, after the commit.
const MOMENTS: [&str; 5] = ["claimed", OUT_AFTER, "exchanged", "state-stored", "committed"];

/// Holds every account at its moment, and wipes its Secret there.
async fn wiped(world: &World) -> (Stages, OperatorProcess) {
    let stages = Stages::create(world, &MOMENTS, 3600).await;
    let mut manifests = Vec::new();
    for Member { name, .. } in &stages.members {
        manifests.push(Manifest::of(world, name).await);
    }
    let process = stages.hold(world, operator(world), &[]).await.start().await.unwrap();
    stages.wait(world, &process).await;
    for manifest in manifests {
        manifest.apply(&world.secrets(), Way::Replace).await;
    }
    (stages, process)
}

#[tokio::test]
async fn a_secret_that_is_wiped_at_any_moment_holds_the_newest_token_in_the_end() {
    let world = World::with_app("wiped", app(Rotation::Never, 3600)).await;
    let (stages, _process) = wiped(&world).await;
    stages.open();
    for member in stages.members.iter().filter(|member| member.step == "committed") {
        // What was wiped after the commit is seen when somebody looks.
        world.request(&member.name, "look").await;
    }
    for member in stages.members.iter().filter(|member| member.step != "committed") {
        world.wait_ready(&member.name, "True", "Succeeded").await;
        wait_until_settled(&world, &member.name).await;
        assert_stored(&world, &member.name).await;
    }
    stages.assert_all_well(&world).await;
}

#[tokio::test]
async fn what_was_wiped_before_a_kill_is_saved_or_told() {
    let world = World::with_app("wiped-killed", app(Rotation::Never, 3600)).await;
    let (stages, mut process) = wiped(&world).await;
    process.kill().unwrap();
    stages.open();
    let _next = operator(&world).start().await.unwrap();
    for Member { name, step, policy } in &stages.members {
        // The server has replaced the token, honours it no longer, and nobody has stored the new one.
        let is_lost =
            matches!(policy, Rotation::SingleUse | Rotation::Strict) && [OUT_AFTER, "exchanged"].contains(step);
        if !is_lost {
            world.wait_ready(name, "True", "Succeeded").await;
            wait_until_settled(&world, name).await;
            assert_stored(&world, name).await;
            continue;
        }
        let first = report(&world, name).await.refresh_tokens[0].sha256.clone();
        let status = world.wait_ready(name, "False", "RefreshInterrupted").await.status.unwrap();
        let authorized = find_condition(&status.conditions, ConditionType::Authorized).unwrap();
        assert_eq!((authorized.status.as_str(), authorized.reason.as_str()), ("False", "RefreshInterrupted"), "{name}");
        assert!(authorized.message.contains("may have been cut off"), "{name}: {}", authorized.message);
        assert!(authorized.message.contains("scrobble-operator connect"), "{name}: {}", authorized.message);
        assert_eq!(find_condition(&status.conditions, ConditionType::Stalled).unwrap().status, "True", "{name}");
        assert_eq!(held(&world, name).await, Some(first), "{name}: nothing deletes a token");
        assert_eq!(text(&world, &state_name(&world, name).await, "refresh-token").await, None, "{name}");
    }
}

#[tokio::test]
async fn a_humans_token_wins_at_any_moment() {
    let world = World::with_app("human-moments", app(Rotation::Never, 3600)).await;
    let stages = Stages::create(&world, &MOMENTS, 3600).await;
    let process = stages.hold(&world, operator(&world), &[]).await.start().await.unwrap();
    stages.wait(&world, &process).await;
    let mut given = Vec::new();
    for Member { name, .. } in &stages.members {
        let minted = world.script.mint_tokens(name).await.unwrap();
        put(&world, name, json!({"refresh-token": minted.refresh_token})).await;
        given.push(minted.refresh_token_sha256);
    }
    stages.open();
    for (Member { name, .. }, given) in stages.members.iter().zip(given) {
        world.request(name, "look").await;
        wait_until(&format!("the new token of {name} to be used"), DEADLINE, async || {
            let sent = exchanges(&world, 0).await;
            sent.iter().any(|record| record.facts.refresh_token_sent.as_ref() == Some(&given)).then_some(())
        })
        .await
        .unwrap();
        world.wait_ready(name, "True", "Succeeded").await;
        wait_until_settled(&world, name).await;
        assert_stored(&world, name).await;
    }
}
