//! `helm test`. There is no kubelet: the test starts the hook's command itself, as the hook's ServiceAccount, and tells the
//! API server how it ended.

use super::{RELEASE, plane};
use k8s_openapi::api::core::v1::{Pod, ServiceAccount};
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use scrobble_harness::{Chart, ControlPlane, TestNamespace, wait_until};
use serde_json::json;
use std::time::Duration;

const DEADLINE: Duration = Duration::from_mins(1);
const HOOK: &str = "scrobble-operator-test";

/// What the kubelet would do with the hook's pod: run its command to the end, and say how it ended.
async fn run_pod(plane: &ControlPlane, namespace: &str) -> bool {
    let pods: Api<Pod> = Api::namespaced(plane.client().unwrap(), namespace);
    let pod = wait_until("the pod of the test", DEADLINE, async || match pods.get_opt(HOOK).await {
        // One that a test before left behind has ended.
        Ok(Some(pod)) if pod.status.as_ref().is_none_or(|status| status.phase.as_deref() == Some("Pending")) => Ok(pod),
        Ok(Some(_)) => Err("the pod of the last test".to_owned()),
        Ok(None) => Err("no pod".to_owned()),
        Err(error) => Err(error.to_string()),
    });
    let spec = pod.await.unwrap().spec.unwrap();
    let container = spec.containers.first().unwrap();
    let command = container.command.as_ref().unwrap();
    assert_eq!(command[0], "kubectl");
    let file =
        plane.kubeconfig_for_service_account(namespace, spec.service_account_name.as_ref().unwrap()).await.unwrap();
    let file = file.display().to_string();
    let mut arguments = vec!["--kubeconfig", &file];
    arguments.extend(command[1..].iter().map(String::as_str));
    let succeeded = plane.kubectl(&arguments).await.is_ok();
    let phase = if succeeded { "Succeeded" } else { "Failed" };
    let status = Patch::Merge(json!({"status": {"phase": phase}}));
    pods.patch_status(HOOK, &PatchParams::default(), &status).await.unwrap();
    succeeded
}

/// Runs `helm test` beside the pod: whether each succeeded.
async fn helm_test(plane: &ControlPlane, namespace: &str) -> (bool, bool) {
    let arguments = ["test", RELEASE, "--namespace", namespace, "--timeout", "60s"];
    let (helm, pod) = tokio::join!(plane.helm(&arguments), run_pod(plane, namespace));
    (helm.is_ok(), pod)
}

/// What is left of the hook: pod, ServiceAccount, Role, RoleBinding.
async fn left(client: &Client, namespace: &str) -> [bool; 4] {
    let here = |found: Result<bool, kube::Error>| found.unwrap();
    [
        here(Api::<Pod>::namespaced(client.clone(), namespace).get_opt(HOOK).await.map(|found| found.is_some())),
        here(
            Api::<ServiceAccount>::namespaced(client.clone(), namespace)
                .get_opt(HOOK)
                .await
                .map(|found| found.is_some()),
        ),
        here(Api::<Role>::namespaced(client.clone(), namespace).get_opt(HOOK).await.map(|found| found.is_some())),
        here(
            Api::<RoleBinding>::namespaced(client.clone(), namespace).get_opt(HOOK).await.map(|found| found.is_some()),
        ),
    ]
}

#[tokio::test]
async fn it_fails_until_the_pods_are_ready_and_leaves_nothing() {
    let plane = plane().await;
    let client = plane.client().unwrap();
    let labels = [("pod-security.kubernetes.io/enforce", "restricted")];
    let namespace = TestNamespace::create_with_labels(&client, "chart-hook", &labels).await.unwrap().name;
    Chart::new(&namespace).values(json!({"helmTest": {"timeout": "2s"}})).install(plane).await.unwrap();
    assert_eq!(left(&client, &namespace).await, [false; 4]);

    assert_eq!(helm_test(plane, &namespace).await, (false, false));
    // Its rights are gone; the pod stays to be looked at.
    assert_eq!(left(&client, &namespace).await, [true, false, false, false]);

    let available = json!({"status": {
        "observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "readyReplicas": 1, "availableReplicas": 1,
    }});
    let deployment = ["-n", &namespace, "patch", "deployment", RELEASE, "--subresource=status", "--type=merge"];
    plane.kubectl(&[&deployment[..], &["-p", &available.to_string()]].concat()).await.unwrap();
    assert_eq!(helm_test(plane, &namespace).await, (true, true));
    assert_eq!(left(&client, &namespace).await, [false; 4]);
}
