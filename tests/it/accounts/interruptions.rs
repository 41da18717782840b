//! What interrupts a process in the middle of refreshes, short of a kill: no token is lost under any policy.

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, ListParams, ObjectMeta, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt as _};
use scrobble_harness::{OperatorProcess, wait_until};
use scrobble_operator::api::v1alpha1::SpotifyAccount;
use scrobble_simulator::api::Rotation;
use serde_json::json;

use super::election::{SHORT, elected, wait_on_duty};
use super::stages::{Member, OUT_AFTER, OUT_BEFORE, Stages};
use super::tokens::{app, held, operator, report, state_name};
use crate::world::{DEADLINE, World};

/// Every step between the claim and the end of the commit.
const STEPS: [&str; 7] = ["claimed", "sending", OUT_BEFORE, OUT_AFTER, "exchanged", "state-stored", "committed"];

async fn wait_for_log(operator: &OperatorProcess, text: &str) {
    wait_until(&format!("{text:?} in the log"), DEADLINE, async || operator.log().contains(text).then_some(()))
        .await
        .unwrap();
}

#[tokio::test]
async fn asked_to_end_while_a_neighbour_panics_the_process_stores_every_token_first() {
    let world = World::with_app("sigterm", app(Rotation::Never, 3600)).await;
    let stages = Stages::create(&world, &STEPS, 3600).await;
    world.account("neighbour", "1h").await;
    let configured = stages.hold(&world, operator(&world), &["panic:begun@neighbour"]).await;
    let mut process = configured.start().await.unwrap();
    stages.wait(&world, &process).await;
    wait_for_log(&process, "a pass panicked").await;
    process.ask_to_end().unwrap();
    wait_for_log(&process, "asked to stop").await;
    stages.open();
    let ended = process.wait(DEADLINE).await.unwrap();
    assert!(ended.success(), "{ended}");
    stages.assert_nothing_lost(&world).await;

    process.restart().await.unwrap();
    stages.assert_all_well(&world).await;
    for member in &stages.members {
        let tokens = report(&world, &member.name).await;
        assert!(tokens.refresh_tokens.iter().all(|token| token.uses <= 1), "{tokens:?}");
    }
}

#[tokio::test]
async fn a_lease_taken_away_stores_every_token_first() {
    let world = World::with_app("lease-taken", app(Rotation::Never, 3600)).await;
    let stages = Stages::create(&world, &STEPS, 3600).await;
    // Long enough to reach every step on a machine that is busy.
    let mut first = stages.hold(&world, elected(&world, ["15s", "10s", "500ms"]), &[]).await.start().await.unwrap();
    wait_on_duty(&first).await;
    stages.wait(&world, &first).await;
    let leases: Api<Lease> = Api::namespaced(world.client.clone(), &world.namespace);
    let name = leases.list(&ListParams::default()).await.unwrap().items[0].name_any();
    let taken = Patch::Merge(json!({"spec": {"holderIdentity": "somebody else", "leaseDurationSeconds": 3}}));
    leases.patch(&name, &PatchParams::default(), &taken).await.unwrap();
    wait_until("the operator to know", DEADLINE, async || {
        first.get("/readyz").await.is_ok_and(|(status, _)| status != 200).then_some(())
    })
    .await
    .unwrap();
    assert_eq!(first.exit_status().unwrap(), None, "it stays for its tokens");
    stages.open();
    let ended = first.wait(DEADLINE).await.unwrap();
    assert!(!ended.success(), "{ended}");
    assert!(first.log().contains("Lease was lost"));
    stages.assert_nothing_lost(&world).await;
    // What had not left by then was not sent.
    for member in stages.members.iter().filter(|member| member.is_at(&["claimed", "sending"])) {
        let sent = report(&world, &member.name).await.refresh_tokens[0].uses;
        assert_eq!(sent, u32::from(member.step == "sending"), "{}", member.name);
    }

    let second = elected(&world, SHORT).start().await.unwrap();
    wait_on_duty(&second).await;
    stages.assert_all_well(&world).await;
}

#[tokio::test]
async fn a_secret_that_is_deleted_and_created_again_meanwhile_holds_the_newest_token_in_the_end() {
    let world = World::with_app("recreated", app(Rotation::Never, 3600)).await;
    let stages = Stages::create(&world, &STEPS, 3600).await;
    let process = stages.hold(&world, operator(&world), &[]).await.start().await.unwrap();
    stages.wait(&world, &process).await;
    for Member { name, .. } in &stages.members {
        let name = format!("{name}-spotify");
        let mut secret: Secret = world.secrets().get(&name).await.unwrap();
        secret.metadata =
            ObjectMeta { name: Some(name.clone()), labels: secret.metadata.labels, ..ObjectMeta::default() };
        // As a repository holds it: without what the operator has added.
        secret.data.as_mut().unwrap().retain(|key, _| key == "refresh-token");
        world.secrets().delete(&name, &DeleteParams::default()).await.unwrap();
        world.secrets().create(&PostParams::default(), &secret).await.unwrap();
    }
    stages.open();
    stages.assert_all_well(&world).await;
}

#[tokio::test]
async fn an_account_that_is_changed_or_deleted_meanwhile_loses_no_token() {
    let world = World::with_app("changed", app(Rotation::Never, 3600)).await;
    let stages = Stages::create(&world, &[OUT_AFTER, "exchanged", "state-stored", "committed"], 3600).await;
    let process = stages.hold(&world, operator(&world), &[]).await.start().await.unwrap();
    stages.wait(&world, &process).await;
    let (suspended, deleted): (Vec<&Member>, Vec<&Member>) =
        stages.members.iter().partition(|member| member.step == OUT_AFTER);
    let mut states = Vec::new();
    for Member { name, .. } in &suspended {
        world.patch::<SpotifyAccount>(name, json!({"spec": {"suspend": true}})).await;
    }
    for Member { name, .. } in &deleted {
        states.push(state_name(&world, name).await);
        world.delete::<SpotifyAccount>(name).await;
        assert!(world.api::<SpotifyAccount>().get_opt(name).await.unwrap().is_none(), "{name} goes at once");
    }
    stages.open();
    for Member { name, .. } in &suspended {
        world.wait_ready(name, "False", "Suspended").await;
    }
    for Member { name, .. } in &stages.members {
        wait_until(&format!("the token of {name} to be stored"), DEADLINE, async || {
            let (held, newest) = (held(&world, name).await, report(&world, name).await.current);
            if held == newest { Ok(()) } else { Err(format!("{held:?}, {newest:?}")) }
        })
        .await
        .unwrap();
        let tokens = report(&world, name).await;
        assert_eq!(tokens.refresh_tokens[0].uses, 1, "{name}");
    }
    wait_until("what belongs to the operator to go with its accounts", DEADLINE, async || {
        for state in &states {
            if world.secrets().get_opt(state).await.unwrap().is_some() {
                return Err(format!("{state} is there"));
            }
        }
        Ok(())
    })
    .await
    .unwrap();
}
