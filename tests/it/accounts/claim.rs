//! Claim, exchange, commit: what is asked of Spotify when the Secret cannot be written, and what is left when the
//! process, the API server or a writer comes in between.

use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::rbac::v1::Role;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt as _};
use scrobble_harness::{AuditEntry, wait_until};
use scrobble_operator::api::condition::{ConditionType, find_condition};
use scrobble_operator::api::v1alpha1::SpotifyAccount;
use scrobble_simulator::api::{Effect, Endpoint, NewFault, Rotation};
use serde_json::json;

use super::tokens::{
    assert_stored, assert_used_once, exchanges, held, operator, report, state_name, text, wait_for_exchanges,
    wait_until_settled, world,
};
use crate::world::{DEADLINE, World};

#[tokio::test]
async fn nothing_is_exchanged_for_an_immutable_secret() {
    let world = world("immutable", Rotation::Strict, 2).await;
    world.account("alice", "1s").await;
    let _operator = operator(&world).start().await.unwrap();
    world.wait_ready("alice", "True", "Succeeded").await;
    let patch = Patch::Merge(json!({"immutable": true}));
    world.secrets().patch("alice-spotify", &PatchParams::default(), &patch).await.unwrap();
    world.wait_ready("alice", "False", "SecretImmutable").await;
    let refused = world.script.last_seq().await.unwrap();
    let found: Secret = world.secrets().get("alice-spotify").await.unwrap();

    // A new Secret with the old content, as a human makes it: whatever was exchanged in the end is not lost.
    world.request("alice", "still immutable").await;
    let handled = |status: &scrobble_operator::api::v1alpha1::SpotifyAccountStatus| {
        status.last_handled_reconcile_at.as_deref() == Some("still immutable")
    };
    world.wait("alice", "the request", handled).await;
    assert_eq!(exchanges(&world, refused).await.len(), 0);
    let mut secret: Secret = world.secrets().get("alice-spotify").await.unwrap();
    assert_eq!(secret, found, "nothing about it has changed");
    is_told(&world, "SecretImmutable", "is immutable").await;
    secret.immutable = None;
    secret.metadata.resource_version = None;
    secret.metadata.uid = None;
    world.secrets().delete("alice-spotify", &DeleteParams::default()).await.unwrap();
    world.secrets().create(&PostParams::default(), &secret).await.unwrap();
    world.request("alice", "mended").await;
    world.wait_ready("alice", "True", "Succeeded").await;
    wait_until_settled(&world, "alice").await;
    assert_used_once(&report(&world, "alice").await);
}

#[tokio::test]
async fn nothing_is_exchanged_without_the_right_to_write() {
    let world = world("forbidden", Rotation::Strict, 2).await;
    world.account("alice", "1s").await;
    allow(&world, &["get", "create", "update"]).await;
    let found: Secret = world.secrets().get("alice-spotify").await.unwrap();
    let _operator = operator(&world).start().await.unwrap();
    world.wait_ready("alice", "False", "SecretWriteForbidden").await;
    assert_eq!(exchanges(&world, 0).await.len(), 0);
    assert_eq!(world.secrets().get("alice-spotify").await.unwrap(), found, "nothing about it has changed");
    assert_eq!(text(&world, &state_name(&world, "alice").await, "refresh-token").await, None);
    is_told(&world, "SecretWriteForbidden", "may not be written").await;

    allow(&world, &["get", "create", "update", "patch"]).await;
    world.request("alice", "mended").await;
    world.wait_ready("alice", "True", "Succeeded").await;
}

/// A human has to act on the token Secret, and nothing was asked: nothing is counted, and there is no next attempt.
async fn is_told(world: &World, reason: &str, what: &str) {
    let status = world.api::<SpotifyAccount>().get("alice").await.unwrap().status.unwrap();
    for (kind, expected) in [(ConditionType::Authorized, "False"), (ConditionType::Stalled, "True")] {
        let condition = find_condition(&status.conditions, kind).unwrap();
        assert_eq!((condition.status.as_str(), condition.reason.as_str()), (expected, reason));
        assert!(
            condition.message.contains("alice-spotify") && condition.message.contains(what),
            "{}",
            condition.message
        );
    }
    let failures = status.failures.unwrap();
    assert_eq!(failures.last_reason.as_deref(), Some(reason));
    assert_eq!((failures.consecutive, failures.next_attempt_time), (0, None));
}

#[tokio::test]
async fn a_refusal_that_passes_in_a_moment_is_not_told() {
    let world = world("refused-for-a-moment", Rotation::Strict, 3600).await;
    world.account("alice", "1h").await;
    allow(&world, &["get", "create", "update"]).await;
    let mark = world.mark().await;
    let _operator = operator(&world).start().await.unwrap();
    wait_until("a claim to be refused", DEADLINE, async || {
        let entries = world.plane.audit().entries_since(mark).map_err(|error| error.to_string())?;
        let refused = |entry: &AuditEntry| entry.verb == "patch" && entry.is_about("secrets") && entry.code == 403;
        let found = entries.iter().any(|entry| entry.is_in(&world.namespace) && refused(entry));
        if found { Ok(()) } else { Err(format!("{} entries", entries.len())) }
    })
    .await
    .unwrap();
    allow(&world, &["get", "create", "update", "patch"]).await;
    let status = world.wait_ready("alice", "True", "Succeeded").await.status.unwrap();
    let reasons: Vec<&str> = status.history.iter().map(|entry| entry.reason.as_str()).collect();
    assert_eq!(reasons, ["Succeeded"], "{:?}", status.history);
    wait_until_settled(&world, "alice").await;
    assert_used_once(&report(&world, "alice").await);
}

#[tokio::test]
async fn without_the_right_to_create_the_newest_token_is_in_the_token_secret() {
    let world = world("no-create", Rotation::Strict, 12).await;
    world.account("alice", "1s").await;
    allow(&world, &["get", "update", "patch"]).await;
    let _operator = operator(&world).start().await.unwrap();
    world.wait_ready("alice", "True", "Succeeded").await;
    wait_for_exchanges(&world, 2).await;
    wait_until_settled(&world, "alice").await;
    assert_eq!(text(&world, &state_name(&world, "alice").await, "refresh-token").await, None);

    allow(&world, &["get", "create", "update", "patch"]).await;
    wait_for_exchanges(&world, 2).await;
    wait_until_settled(&world, "alice").await;
    assert!(text(&world, &state_name(&world, "alice").await, "refresh-token").await.is_some());
    assert_used_once(&report(&world, "alice").await);
}

/// Gives the operator these verbs on Secrets and no others, and waits until the API server knows.
pub async fn allow(world: &World, verbs: &[&str]) {
    let roles: Api<Role> = Api::namespaced(world.client.clone(), &world.namespace);
    for mut role in roles.list(&ListParams::default()).await.unwrap() {
        for rule in role.rules.iter_mut().flatten() {
            if rule.resources.as_deref().is_some_and(|resources| resources.iter().any(|name| name == "secrets")) {
                rule.verbs = verbs.iter().map(|verb| (*verb).to_owned()).collect();
            }
        }
        let name = role.metadata.name.clone().unwrap();
        roles.replace(&name, &PostParams::default(), &role).await.unwrap();
    }
    let user = format!("--as={}", world.installation.user());
    for verb in ["create", "patch"] {
        wait_until("the new rights", DEADLINE, async || {
            let arguments = ["auth", "can-i", verb, "secrets", "--namespace", &world.namespace, &user];
            let allowed = world.plane.kubectl(&arguments).await.is_ok();
            (allowed == verbs.contains(&verb)).then_some(())
        })
        .await
        .unwrap();
    }
}

#[tokio::test]
async fn a_writer_that_is_always_in_between_loses_no_token() {
    // Long enough for a token to be stored and used while every write is in somebody's way.
    let world = world("busy-writer", Rotation::Strict, 5).await;
    world.account("alice", "1s").await;
    let stop = tokio_util::sync::CancellationToken::new();
    let writer = {
        let (secrets, stop) = (world.secrets(), stop.clone());
        tokio::spawn(async move {
            let mut number = 0_u32;
            while !stop.is_cancelled() {
                number += 1;
                let patch = Patch::Merge(json!({"metadata": {"annotations": {"writer": number.to_string()}}}));
                secrets.patch("alice-spotify", &PatchParams::default(), &patch).await.unwrap();
                // Far more often than anything in a cluster writes a Secret, and still a chance for others.
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            number
        })
    };
    let _operator = operator(&world).start().await.unwrap();
    world.wait_ready("alice", "True", "Succeeded").await;
    // Each waits longer than the one before while somebody is in between.
    wait_for_exchanges(&world, 2).await;
    wait_until_settled(&world, "alice").await;
    stop.cancel();
    println!("{} writes in between", writer.await.unwrap());
    assert_used_once(&report(&world, "alice").await);
    let status = world.wait_ready("alice", "True", "Succeeded").await.status.unwrap();
    assert_eq!(status.failures, None);
}

#[tokio::test]
async fn a_secret_deleted_during_an_exchange_loses_no_token() {
    let world = world("deleted", Rotation::Strict, 3600).await;
    world.account("alice", "1s").await;
    let manifest: Secret = world.secrets().get("alice-spotify").await.unwrap();
    let slow = NewFault::new(Effect::DelayAfter { milliseconds: 1500 }).at(Endpoint::Token).times(1);
    world.script.add_fault(&slow).await.unwrap();
    let _operator = operator(&world).start().await.unwrap();
    answered(&world, 0).await;
    world.secrets().delete("alice-spotify", &DeleteParams::default()).await.unwrap();
    world.wait_ready("alice", "False", "SecretNotFound").await;

    let mut again = manifest.clone();
    again.metadata.resource_version = None;
    again.metadata.uid = None;
    world.secrets().create(&PostParams::default(), &again).await.unwrap();
    world.request("alice", "restored").await;
    world.wait_ready("alice", "True", "Succeeded").await;
    assert_stored(&world, "alice").await;
    assert_used_once(&report(&world, "alice").await);
}

/// Waits until the token endpoint has acted on a request after this one.
pub async fn answered(world: &World, since: u64) -> u64 {
    wait_until("an exchange", DEADLINE, async || exchanges(world, since).await.last().map(|record| record.seq))
        .await
        .unwrap()
}

#[tokio::test]
async fn killed_at_any_point_the_next_start_goes_on_under_grace() {
    killed_at_every_point("killed-grace", Rotation::Grace).await;
}

#[tokio::test]
async fn killed_with_single_use_tokens_only_an_exchange_without_commit_is_lost_and_said() {
    killed_at_every_point("killed-single-use", Rotation::SingleUse).await;
}

async fn killed_at_every_point(test: &str, rotation: Rotation) {
    const POINTS: [&str; 4] = ["claimed", "exchanged", "state-stored", "committed"];
    let world = world(test, rotation, 3600).await;
    for point in POINTS {
        world.account(point, "1s").await;
        let mut process = operator(&world).environment("SCROBBLE_OPERATOR_FAILPOINT", point).start_unready().unwrap();
        assert!(!process.wait(DEADLINE).await.unwrap().success(), "it was killed when {point}");
        // The others are not in the way of the next one.
        world.patch::<SpotifyAccount>(point, json!({"spec": {"suspend": true}})).await;
    }
    let _operator = operator(&world).start().await.unwrap();
    for point in POINTS {
        world.patch::<SpotifyAccount>(point, json!({"spec": {"suspend": false}})).await;
    }
    for point in POINTS {
        if rotation == Rotation::SingleUse && point == "exchanged" {
            is_reported_lost(&world, point).await;
            continue;
        }
        world.wait_ready(point, "True", "Succeeded").await;
        wait_until_settled(&world, point).await;
        assert_stored(&world, point).await;
        if point != "exchanged" {
            assert_used_once(&report(&world, point).await);
        }
        assert_eq!(world.events(point).await.iter().filter(|(_, note)| note.contains("was put back")).count(), 0);
        // Also where the kill came between the state Secret and the finalizer.
        let account = world.api::<SpotifyAccount>().get(point).await.unwrap();
        assert_eq!(account.finalizers(), ["scrobble-operator.io/token-handback"], "{point}");
    }
}

async fn is_reported_lost(world: &World, listener: &str) {
    let account = world.wait_ready(listener, "False", "RefreshInterrupted").await;
    let conditions = &account.status.as_ref().unwrap().conditions;
    let authorized = find_condition(conditions, ConditionType::Authorized).unwrap();
    let command = format!("scrobble-operator connect --namespace {} --account {listener}", world.namespace);
    assert!(authorized.message.contains(&command), "{}", authorized.message);
    assert!(authorized.message.contains("cut off at 20"), "{}", authorized.message);
    assert_eq!(find_condition(conditions, ConditionType::Stalled).unwrap().status, "True");
    let rotations = report(world, listener).await.rotations;
    assert_eq!(rotations.len(), 1);
    assert_eq!(held(world, listener).await.as_ref(), Some(&rotations[0].old), "nothing deletes a token");
}
