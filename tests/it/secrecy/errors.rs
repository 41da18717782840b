//! Errors with their causes: what somebody else says in its own words may repeat what it was sent.

use base64::Engine as _;
use k8s_openapi::api::admissionregistration::v1::{ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding};
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use scrobble_harness::{Operator, wait_until};
use scrobble_simulator::api::{NewApp, Rotation};
use serde_json::json;

use super::{Planted, own_token};
use crate::accounts::tokens::{assert_stored, wait_until_settled};
use crate::world::{CLIENT_ID, CLIENT_SECRET, DEADLINE, World};

/// A policy of the cluster that lets nobody take a claim away, and repeats the token in its refusal.
async fn refuse_commits(world: &World) {
    let policy = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": world.namespace},
        "spec": {
            "matchConstraints": {"resourceRules": [
                {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["UPDATE"], "resources": ["secrets"]},
            ]},
            "validations": [{
                "expression": "'scrobble-operator.claim' in object.data",
                "messageExpression": "'refused: ' + string(object.data['refresh-token'])",
                "reason": "RequestEntityTooLarge",
            }],
        },
    });
    let binding = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": world.namespace},
        "spec": {
            "policyName": world.namespace, "validationActions": ["Deny"],
            "matchResources": {
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": world.namespace}},
                "objectSelector": {"matchLabels": {"scrobble-operator.io/use": "token"}},
            },
        },
    });
    let policies: Api<ValidatingAdmissionPolicy> = Api::all(world.client.clone());
    let bindings: Api<ValidatingAdmissionPolicyBinding> = Api::all(world.client.clone());
    policies.create(&PostParams::default(), &serde_json::from_value(policy).unwrap()).await.unwrap();
    bindings.create(&PostParams::default(), &serde_json::from_value(binding).unwrap()).await.unwrap();
}

async fn allow_commits(world: &World) {
    let bindings: Api<ValidatingAdmissionPolicyBinding> = Api::all(world.client.clone());
    let policies: Api<ValidatingAdmissionPolicy> = Api::all(world.client.clone());
    bindings.delete(&world.namespace, &DeleteParams::default()).await.unwrap();
    policies.delete(&world.namespace, &DeleteParams::default()).await.unwrap();
}

#[tokio::test]
async fn a_refusal_that_repeats_the_token_is_not_repeated_and_the_token_is_stored_in_the_end() {
    let app = NewApp { rotation: Rotation::Strict, ..NewApp::confidential(CLIENT_ID, CLIENT_SECRET) };
    let world = World::with_app("secrecy-errors", app).await;
    world.account("alice", "1h").await;
    let mut planted = Planted::default();
    planted.plant_secrets(&world).await;
    refuse_commits(&world).await;
    let touch = Patch::Merge(json!({"metadata": {"annotations": {"touched": "once"}}}));
    let dry = PatchParams { dry_run: true, ..PatchParams::default() };
    let said = wait_until("the policy to be in force", DEADLINE, async || {
        world.secrets().patch("alice-spotify", &dry, &touch).await.err().map(|error| error.to_string())
    })
    .await
    .unwrap();
    let token = crate::accounts::tokens::text(&world, "alice-spotify", "refresh-token").await.unwrap();
    let encoded = base64::engine::general_purpose::STANDARD.encode(token);
    assert!(said.contains(&encoded), "the API server repeats the token: {said}");

    let operator = world.operator().flag("log-format", "text").flag("log-level", "trace").start().await.unwrap();
    wait_until("the commit to be refused", DEADLINE, async || {
        (operator.log().matches("new tokens are not stored yet in the token Secret").count() >= 3).then_some(())
    })
    .await
    .unwrap();
    planted.plant_secrets(&world).await;
    allow_commits(&world).await;
    world.wait_ready("alice", "True", "Succeeded").await;
    wait_until_settled(&world, "alice").await;
    assert_stored(&world, "alice").await;
    planted.plant_secrets(&world).await;
    let log = operator.log();
    assert!(log.contains("RequestEntityTooLarge"), "its reason is told");
    planted.assert_absent("the log", &log);
}

#[tokio::test]
async fn a_kubeconfig_that_cannot_be_parsed_is_not_quoted() {
    let world = World::new("secrecy-kubeconfig").await;
    let text = std::fs::read_to_string(&world.installation.kubeconfig).unwrap();
    let mut kubeconfig: serde_json::Value = serde_json::from_str(&text).unwrap();
    kubeconfig["users"][0]["user"] = json!(own_token(&world));
    let path = world.plane.folder().join(format!("{}.kubeconfig", world.namespace));
    std::fs::write(&path, kubeconfig.to_string()).unwrap();
    let mut planted = Planted::default();
    planted.plant("the operator's own token", &own_token(&world));

    let mut operator = Operator::new(env!("CARGO_BIN_EXE_scrobble-operator"), &path).start_unready().unwrap();
    assert!(!operator.wait(DEADLINE).await.unwrap().success());
    let log = operator.log();
    assert!(log.contains("kubeconfig"), "it says what is wrong: {log}");
    planted.assert_absent("the log", &log);
}
