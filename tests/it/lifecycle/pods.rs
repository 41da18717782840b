//! Pods of the release's Deployment, as processes: started with the arguments, the environment and the ServiceAccount that
//! the Deployment names at that moment.

use k8s_openapi::api::apps::v1::Deployment;
use kube::Api;
use kube::api::{Patch, PatchParams};
use scrobble_harness::{ControlPlane, Installation, Operator, OperatorProcess, wait_until};
use scrobble_simulator::client::Client as Script;
use serde_json::json;

use crate::world::{DEADLINE, World};

/// The name of releases and of their Deployments.
pub const RELEASE: &str = "scrobble-operator";

/// A pod as the Deployment has it now, not started. Spotify is the simulator, and is read as often as once a second.
pub async fn pod(world: &World) -> Operator {
    let installation = installed(world.plane, &world.namespace).await;
    template(&installation)
        .simulator(world.script.base_url())
        .minimum_interval("1s")
        .flag("app-requests-per-30s", "1000000")
        .flag("minimum-request-interval", "0s")
}

/// The release as it is now.
pub async fn installed(plane: &ControlPlane, namespace: &str) -> Installation {
    Installation::find(plane, namespace.to_owned(), RELEASE.to_owned()).await.unwrap()
}

/// A pod with nothing but what the Deployment says; loopback is allowed, where the simulator is.
pub fn template(installation: &Installation) -> Operator {
    Operator::installed(env!("CARGO_BIN_EXE_scrobble-operator"), installation)
}

/// The Deployment as it is now.
pub async fn deployment(world: &World) -> Deployment {
    deployments(world).get(RELEASE).await.unwrap()
}

/// What the Deployment's controller writes once its only pod is ready.
pub async fn tell_available(world: &World) {
    let generation = deployment(world).await.metadata.generation;
    let status = json!({"status": {
        "observedGeneration": generation, "replicas": 1, "updatedReplicas": 1, "readyReplicas": 1, "availableReplicas": 1,
    }});
    let patch = Patch::Merge(status);
    deployments(world).patch_status(RELEASE, &PatchParams::default(), &patch).await.unwrap();
}

fn deployments(world: &World) -> Api<Deployment> {
    Api::namespaced(world.client.clone(), &world.namespace)
}

/// Waits until a probe answers so, with a text that holds all of these parts; answers the text.
pub async fn wait_for_answer(pod: &OperatorProcess, path: &str, code: u16, parts: &[&str]) -> String {
    wait_until(&format!("{path} to answer {code} with {parts:?}"), DEADLINE, async || {
        let (status, text) = pod.get(path).await.map_err(|error| error.to_string())?;
        let fits = status == code && parts.iter().all(|part| text.contains(part));
        if fits { Ok(text) } else { Err(format!("{status}: {text}")) }
    })
    .await
    .unwrap()
}

/// Waits until a pod has taken the Lease.
pub async fn wait_on_duty(pod: &OperatorProcess) {
    wait_until("the pod to be on duty", DEADLINE, async || is_on_duty(pod)).await.unwrap();
}

/// Whether a pod has ever taken the Lease.
pub fn is_on_duty(pod: &OperatorProcess) -> bool {
    pod.log().contains("\"on duty\"")
}

/// A world on a control plane whose release is there already.
pub async fn world(
    plane: &'static ControlPlane,
    namespace: &str,
    simulator: scrobble_simulator::Simulator,
    script: Script,
) -> World {
    let installation = installed(plane, namespace).await;
    let (client, namespace) = (plane.client().unwrap(), namespace.to_owned());
    World { plane, client, namespace, installation, simulator, script, clock: None }
}
