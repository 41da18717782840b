//! What the probes say while something is missing, and that nobody has to start the process anew once it is there.

use std::fs;
use std::time::{Duration, Instant};

use kube::Api;
use kube::api::PostParams;
use scrobble_harness::{ControlPlane, Installation, Operator, Options, wait_for_object};
use scrobble_operator::api::v1alpha1::{ScrobblePlan, SpotifyAccount};
use serde_json::{Value, json};

use super::pods::{RELEASE, installed, template, wait_for_answer, wait_on_duty};
use crate::world::{DEADLINE, object};

const NAMESPACE: &str = "music";
/// The contract's bound on the time from SIGTERM to the end.
const END: Duration = Duration::from_secs(25);
const DEFINITIONS: [&str; 4] = [
    "scrobbleplans.scrobble-operator.io",
    "scrobbletargets.scrobble-operator.io",
    "spotifyaccounts.scrobble-operator.io",
    "spotifyapps.scrobble-operator.io",
];
const INSTALL_THEM: &str = "install those of this version of the operator, which its chart brings";

/// The chart of this repository.
async fn helm(plane: &ControlPlane, command: &str, definitions: bool) {
    let chart = concat!(env!("CARGO_MANIFEST_DIR"), "/charts/scrobble-operator");
    let install = format!("crds.install={definitions}");
    let common = [command, RELEASE, chart, "--namespace", NAMESPACE, "--set", &install, "--wait=hookOnly"];
    plane.helm(&common).await.unwrap();
}

/// A pod that works without election, and one that would have to win the Lease of the same name.
fn on_duty(installation: &Installation) -> Operator {
    quick(template(installation).without("leader-elect"))
}

fn standby(installation: &Installation) -> Operator {
    quick(template(installation))
}

fn quick(pod: Operator) -> Operator {
    let pod = pod.flag("leader-elect-lease-duration", "3s").flag("leader-elect-renew-deadline", "2s");
    pod.flag("leader-elect-retry-period", "500ms")
}

#[tokio::test]
async fn what_hinders_is_named_and_over_by_itself() {
    let plane = ControlPlane::start(Options::default()).await.unwrap();
    plane.kubectl(&["create", "namespace", NAMESPACE]).await.unwrap();
    helm(&plane, "install", false).await;
    let installation = installed(&plane, NAMESPACE).await;

    // No definitions: neither the one at work nor the one that stands by is ready, and both live.
    let mut worker = on_duty(&installation).start_unready().unwrap();
    wait_for_answer(&worker, "/readyz", 503, &[&DEFINITIONS[..], &[INSTALL_THEM]].concat()).await;
    let standby = standby(&installation).start_unready().unwrap();
    wait_for_answer(&standby, "/readyz", 503, &[&DEFINITIONS[..], &[INSTALL_THEM]].concat()).await;
    for pod in [&worker, &standby] {
        assert_eq!(pod.get("/livez").await.unwrap(), (200, "ok".to_owned()));
    }
    helm(&plane, "upgrade", true).await;
    for pod in [&worker, &standby] {
        assert_eq!(wait_for_answer(pod, "/readyz", 200, &[]).await, "ok");
    }
    let client = plane.client().unwrap();
    let accounts: Api<SpotifyAccount> = Api::namespaced(client.clone(), NAMESPACE);
    let spec = json!({
        "appRef": {"name": "main"}, "tokenSecretRef": {"name": "alice"}, "suspend": true,
        "targets": [{"name": "hook", "targetRef": {"name": "hook"}}],
    });
    accounts.create(&PostParams::default(), &object("SpotifyAccount", "alice", &spec)).await.unwrap();
    let is_seen =
        |account: &SpotifyAccount| account.status.as_ref().is_some_and(|status| !status.conditions.is_empty());
    wait_for_object(&accounts, "alice", "a status", DEADLINE, is_seen).await.unwrap();

    // One definition goes while it works, and comes back.
    plane.kubectl(&["delete", "crd", DEFINITIONS[0]]).await.unwrap();
    let said = wait_for_answer(&worker, "/readyz", 503, &[DEFINITIONS[0], INSTALL_THEM]).await;
    assert!(!said.contains(DEFINITIONS[1]), "{said}");
    let file = format!("{}/crds/{}.yaml", env!("CARGO_MANIFEST_DIR"), DEFINITIONS[0]);
    assert!(fs::exists(&file).unwrap(), "{file}");
    plane.kubectl(&["apply", "--server-side", "--force-conflicts", "-f", &file]).await.unwrap();
    wait_for_answer(&worker, "/readyz", 200, &[]).await;
    let plans: Api<ScrobblePlan> = Api::all(client);
    let plan = json!({
        "apiVersion": "scrobble-operator.io/v1alpha1", "kind": "ScrobblePlan", "metadata": {"name": "founding"},
        "spec": {"minInterval": "5m"},
    });
    plans.create(&PostParams::default(), &serde_json::from_value(plan).unwrap()).await.unwrap();
    let is_seen = |plan: &ScrobblePlan| plan.status.as_ref().is_some_and(|status| !status.conditions.is_empty());
    wait_for_object(&plans, "founding", "a status", DEADLINE, is_seen).await.unwrap();

    // The API server goes and comes back. Whoever has no Lease to lose stays.
    drop(standby);
    plane.kill_api_server().await.unwrap();
    wait_for_answer(&worker, "/readyz", 503, &["the API server has not answered for more than 2 s"]).await;
    assert_eq!(worker.get("/livez").await.unwrap(), (200, "ok".to_owned()));
    let unreached = quick(template(&installation)).start_unready().unwrap();
    wait_for_answer(&unreached, "/readyz", 503, &["the API server has not answered yet"]).await;
    plane.start_api_server().await.unwrap();
    for pod in [&worker, &unreached] {
        wait_for_answer(pod, "/readyz", 200, &[]).await;
    }
    assert!(worker.log().contains("\"not ready\"") && worker.log().contains("\"ready\""), "a change is logged");
    drop(unreached);

    // Nothing is outstanding, so that an API server that hangs does not keep the process from its end.
    plane.pause_api_server().await.unwrap();
    let asked = Instant::now();
    let ended = worker.terminate().await.unwrap();
    assert!(ended.success() && asked.elapsed() < END, "{ended} after {:?}", asked.elapsed());
    plane.resume_api_server().await.unwrap();

    missing_rights(&plane, &installation).await;
}

/// Rights that are missing are named, first those on the Lease.
async fn missing_rights(plane: &ControlPlane, installation: &Installation) {
    let names = [format!("{RELEASE}-lease"), format!("{RELEASE}:{NAMESPACE}:{RELEASE}")];
    let mut bindings = Vec::new();
    for name in &names {
        let get = ["get", "rolebinding", name, "--namespace", NAMESPACE, "-o", "json"];
        let mut binding: Value = serde_json::from_str(&plane.kubectl(&get).await.unwrap().stdout).unwrap();
        for own in ["uid", "resourceVersion", "creationTimestamp", "managedFields"] {
            binding["metadata"].as_object_mut().unwrap().remove(own);
        }
        bindings.push(binding.to_string());
        plane.kubectl(&["delete", "rolebinding", name, "--namespace", NAMESPACE]).await.unwrap();
    }
    let create = ["create", "-f", "-"];
    let mut pod = quick(template(installation)).start_unready().unwrap();
    let no_lease = "RBAC does not allow to get leases.coordination.k8s.io in namespace music";
    wait_for_answer(&pod, "/readyz", 503, &[no_lease]).await;
    plane.kubectl_with_input(&create, &bindings[0]).await.unwrap();
    wait_on_duty(&pod).await;
    let no_list = format!("list {} in namespace {NAMESPACE}", DEFINITIONS[3]);
    let said = wait_for_answer(&pod, "/readyz", 503, &["RBAC does not allow to", &no_list, "rbac.namespaces"]).await;
    assert!(!said.contains("leases") && !said.contains(DEFINITIONS[0]), "{said}");
    plane.kubectl_with_input(&create, &bindings[1]).await.unwrap();
    wait_for_answer(&pod, "/readyz", 200, &[]).await;
    assert!(pod.terminate().await.unwrap().success());
}
