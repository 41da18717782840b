//! Releases of every set of values in `ci/`, on a real API server: tried, installed, removed, installed again.

use super::{RELEASE, only, parse, path, plane, values_file};
use k8s_openapi::api::core::v1::Pod;
use kube::api::PostParams;
use kube::{Api, Client};
use scrobble_harness::{ControlPlane, Installation, TestNamespace};
use serde_json::{Value, json};

/// Every kind that the chart knows, for `kubectl get`.
const KINDS: &str = "deployments,services,serviceaccounts,roles,rolebindings,poddisruptionbudgets,networkpolicies,\
                     ingresses,configmaps,clusterroles,clusterrolebindings";

/// What a release has in the cluster, as `kind/name`.
async fn objects(plane: &ControlPlane, namespace: &str) -> Vec<String> {
    let selector = format!("app.kubernetes.io/instance={RELEASE}");
    let get = ["get", KINDS, "--namespace", namespace, "--selector", &selector, "-o", "name"];
    let found = plane.kubectl(&get).await.unwrap().stdout;
    let own = |name: &&str| !name.contains("clusterrole") || name.contains(namespace);
    let mut found: Vec<String> = found.lines().filter(own).map(str::to_owned).collect();
    found.sort();
    found
}

/// The pod of a Deployment, as the API server takes it or refuses it; nothing is stored.
async fn admit(
    client: &Client,
    namespace: &str,
    deployment: &Value,
    change: impl Fn(&mut Value),
) -> Result<(), String> {
    let template = &deployment["spec"]["template"];
    let mut pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "tried", "labels": template["metadata"]["labels"]}, "spec": template["spec"],
    });
    change(&mut pod["spec"]);
    let pod: Pod = serde_json::from_value(pod).unwrap();
    let dry = PostParams { dry_run: true, ..PostParams::default() };
    let answer = Api::namespaced(client.clone(), namespace).create(&dry, &pod).await;
    answer.map(|_: Pod| ()).map_err(|error| error.to_string())
}

/// Goes through the life of a release with the values of a file, in a namespace that takes nothing but restricted pods.
async fn live(test: &str, file: Option<&str>) {
    let plane = plane().await;
    plane.install_definitions().await.unwrap();
    let client = plane.client().unwrap();
    let labels = ["enforce", "warn"].map(|mode| format!("pod-security.kubernetes.io/{mode}"));
    let labels = labels.each_ref().map(|label| (label.as_str(), "restricted"));
    let namespace = TestNamespace::create_with_labels(&client, test, &labels).await.unwrap().name;
    let listed = TestNamespace::create(&client, "chart-listed").await.unwrap().name;
    let (chart, namespaces) = (path(), format!("rbac.namespaces={{{listed}}},crds.install=false"));
    let mut common = vec![RELEASE, &chart, "--namespace", &namespace, "--set", &namespaces];
    let file = file.map(values_file);
    if let Some(file) = &file {
        common.extend(["--values", file]);
    }
    let with = |command: &'static str, further: &[&'static str]| {
        let mut arguments = vec![command];
        arguments.extend(common.iter().copied());
        arguments.extend(further);
        arguments.into_iter().map(str::to_owned).collect::<Vec<String>>()
    };
    let helm = async |arguments: Vec<String>| {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        plane.helm(&arguments).await.unwrap().stdout
    };

    helm(with("install", &["--dry-run=server"])).await;
    let rendered = helm(with("template", &["--no-hooks"])).await;
    let apply = ["apply", "--dry-run=server", "--validate=strict", "-f", "-"];
    let applied = plane.kubectl_with_input(&apply, &rendered).await.unwrap();
    // Among others, that a pod of the Deployment would be refused.
    assert_eq!(applied.stderr, "");
    assert_eq!(objects(plane, &namespace).await, Vec::<String>::new());

    helm(with("install", &["--wait=hookOnly"])).await;
    let installed = objects(plane, &namespace).await;
    // One Role and binding more is in the listed namespace, where there is one.
    let elsewhere = objects(plane, &listed).await.len();
    assert_eq!(installed.len() + elsewhere, parse(&rendered).len(), "{installed:#?}");
    Installation::find(plane, namespace.clone(), RELEASE.to_owned()).await.unwrap();
    let rendered = parse(&rendered);
    let deployment = only(&rendered, "Deployment");
    admit(&client, &namespace, deployment, |_| ()).await.unwrap();
    let refused = admit(&client, &namespace, deployment, |spec| {
        spec["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = json!(true);
    });
    let refused = refused.await.unwrap_err();
    assert!(refused.contains("violates PodSecurity"), "{refused}");

    // An upgrade that changes nothing starts no pod anew.
    let generation = ["get", "deployment", "--namespace", &namespace, "-o", "jsonpath={.items[*].metadata.generation}"];
    helm(with("upgrade", &["--wait=hookOnly"])).await;
    assert_eq!(plane.kubectl(&generation).await.unwrap().stdout, "1");
    assert_eq!(objects(plane, &namespace).await, installed);

    plane.helm(&["uninstall", RELEASE, "--namespace", &namespace]).await.unwrap();
    assert_eq!(objects(plane, &namespace).await, Vec::<String>::new());
    assert_eq!(objects(plane, &listed).await, Vec::<String>::new());
    helm(with("install", &["--wait=hookOnly"])).await;
    assert_eq!(objects(plane, &namespace).await, installed);
}

#[tokio::test]
async fn with_the_default_values() {
    live("chart-default", None).await;
}

#[tokio::test]
async fn with_rights_on_the_cluster() {
    live("chart-everywhere", Some("cluster-values.yaml")).await;
}

#[tokio::test]
async fn with_everything_that_can_be_set() {
    live("chart-full", Some("full-values.yaml")).await;
}

/// A CRD that takes anything, in the place of the Prometheus operator's.
fn monitor_definition(kind: &str) -> Value {
    let singular = kind.to_lowercase();
    let open = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{singular}s.monitoring.coreos.com")},
        "spec": {
            "group": "monitoring.coreos.com", "scope": "Namespaced",
            "names": {"kind": kind, "plural": format!("{singular}s"), "singular": singular},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": open}}],
        },
    })
}

#[tokio::test]
async fn monitors_need_their_definitions() {
    let plane = plane().await;
    plane.install_definitions().await.unwrap();
    let namespace = TestNamespace::create(&plane.client().unwrap(), "chart-monitors").await.unwrap().name;
    let chart = path();
    let command = |command: &'static str, kind: &str| {
        let values = format!("crds.install=false,metrics.{kind}.enabled=true");
        [command, RELEASE, &chart, "--namespace", &namespace, "--wait=hookOnly", "--set", &values].map(str::to_owned)
    };
    let helm = async |arguments: [String; 8]| plane.helm(&arguments.each_ref().map(String::as_str)).await;

    let refused = helm(command("install", "serviceMonitor")).await.unwrap_err().to_string();
    assert!(refused.contains("no matches for kind \"ServiceMonitor\""), "{refused}");
    for kind in ["ServiceMonitor", "PodMonitor"] {
        let definition = monitor_definition(kind).to_string();
        plane.kubectl_with_input(&["apply", "-f", "-"], &definition).await.unwrap();
    }
    let names = ["servicemonitors", "podmonitors"].map(|plural| format!("crd/{plural}.monitoring.coreos.com"));
    let wait = ["wait", "--for=condition=Established", "--timeout=60s", &names[0], &names[1]];
    plane.kubectl(&wait).await.unwrap();

    let get = ["get", "servicemonitors,podmonitors", "--namespace", &namespace, "-o", "name"];
    helm(command("install", "serviceMonitor")).await.unwrap();
    assert_eq!(
        plane.kubectl(&get).await.unwrap().stdout.trim(),
        "servicemonitor.monitoring.coreos.com/scrobble-operator"
    );
    helm(command("upgrade", "podMonitor")).await.unwrap();
    assert_eq!(plane.kubectl(&get).await.unwrap().stdout.trim(), "podmonitor.monitoring.coreos.com/scrobble-operator");
}
