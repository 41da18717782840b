//! What the chart renders, and which values it refuses.

use super::{definition_files, folder, of_kind, only, parse, path, plane, render, root};
use serde_json::{Value, json};
use std::process::Command;

fn deployment(documents: &[Value]) -> &Value {
    only(documents, "Deployment")
}

fn arguments(documents: &[Value]) -> Vec<String> {
    serde_json::from_value(deployment(documents)["spec"]["template"]["spec"]["containers"][0]["args"].clone()).unwrap()
}

#[tokio::test]
async fn helm_lints_it_without_complaint() {
    plane().await.helm(&["lint", "--strict", &path()]).await.unwrap();
    plane().await.helm(&["lint", "--strict", &path(), "--set", "rbac.mode=cluster"]).await.unwrap();
}

#[test]
fn it_carries_the_very_files_of_crds() {
    let generated = definition_files(&root().join("crds"));
    assert_eq!(generated.len(), 4);
    assert!(generated == definition_files(&folder().join("files/crds")), "they differ: run `make generate`");
}

#[tokio::test]
async fn definitions_are_rendered_as_they_are_and_kept() {
    let documents = render(&[]).await;
    let mut rendered: Vec<Value> = of_kind(&documents, "CustomResourceDefinition").into_iter().cloned().collect();
    for definition in &mut rendered {
        let metadata = definition["metadata"].as_object_mut().unwrap();
        assert_eq!(metadata.remove("annotations").unwrap(), json!({"helm.sh/resource-policy": "keep"}));
        assert_eq!(metadata.remove("labels").unwrap()["app.kubernetes.io/instance"], "demo");
    }
    let files: Vec<Value> = definition_files(&root().join("crds")).iter().flat_map(|(_, text)| parse(text)).collect();
    assert_eq!(rendered, files);

    let without = render(&["crds.install=false"]).await;
    assert_eq!(of_kind(&without, "CustomResourceDefinition").len(), 0);
}

#[tokio::test]
async fn the_operator_is_told_its_namespaces_and_its_lease() {
    let own = render(&[]).await;
    assert_eq!(
        arguments(&own),
        [
            "run",
            "--leader-elect",
            "--lease-namespace=music",
            "--lease-name=demo-scrobble-operator",
            "--namespaces=music",
            "--http-addr=0.0.0.0:8080",
            "--log-format=json",
        ]
    );
    let more = render(&[
        "rbac.namespaces={team-a,music,team-b}",
        "fullnameOverride=scrobbler",
        "http.port=9090",
        "log.format=text",
        "allowPrivateTargets={10.0.0.0/8,fd00::/8}",
        "metrics.accounts.enabled=false",
        "metrics.accounts.limit=1000000",
        "extraArgs={--minimum-interval=10m}",
    ])
    .await;
    assert_eq!(
        arguments(&more)[2..],
        [
            "--lease-namespace=music",
            "--lease-name=scrobbler",
            "--namespaces=music,team-a,team-b",
            "--http-addr=0.0.0.0:9090",
            "--log-format=text",
            "--allow-private-targets=10.0.0.0/8,fd00::/8",
            "--account-metrics=false",
            "--account-metrics-limit=1000000",
            "--minimum-interval=10m",
        ]
    );
    let everywhere = render(&["rbac.mode=cluster"]).await;
    assert!(!arguments(&everywhere).iter().any(|argument| argument.starts_with("--namespaces")));
}

#[tokio::test]
async fn the_program_knows_the_arguments_that_the_chart_gives_it() {
    // With `--help` at the end everything before it is parsed and nothing is started.
    let succeeds = |arguments: &[String]| {
        let mut program = Command::new(env!("CARGO_BIN_EXE_scrobble-operator"));
        program.args(arguments).arg("--help").output().unwrap().status.success()
    };
    assert!(!succeeds(&["run".to_owned(), "--no-such-flag".to_owned()]));
    for settings in [
        &["rbac.namespaces={team-a}", "allowPrivateTargets={10.0.0.0/8,fd00::/8}", "metrics.accounts.enabled=false"][..],
        &["rbac.mode=cluster", "log.format=text", "http.address=[::]", "extraArgs={--minimum-interval=10m}"],
    ] {
        let given = arguments(&render(settings).await);
        assert!(succeeds(&given), "{given:?}");
    }
}

#[tokio::test]
async fn the_pod_is_restricted_and_may_take_its_time_to_end() {
    let documents = render(&[]).await;
    let pod = &deployment(&documents)["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    assert_eq!(pod["terminationGracePeriodSeconds"], 300);
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
    assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
    assert_eq!(container["securityContext"]["allowPrivilegeEscalation"], false);
    assert_eq!(container["securityContext"]["capabilities"], json!({"drop": ["ALL"]}));
    assert_eq!(container["livenessProbe"]["httpGet"], json!({"path": "/livez", "port": "http"}));
    assert_eq!(container["readinessProbe"]["httpGet"], json!({"path": "/readyz", "port": "http"}));
    assert_eq!(
        container["image"],
        format!("ghcr.io/scrobble-operator/scrobble-operator:{}", env!("CARGO_PKG_VERSION"))
    );
}

#[tokio::test]
async fn a_digest_wins_over_a_tag() {
    let digest = format!("sha256:{}", "0123456789abcdef".repeat(4));
    let documents =
        render(&["image.repository=registry.example.org/x", "image.tag=v1", &format!("image.digest={digest}")]).await;
    let container = &deployment(&documents)["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["image"], format!("registry.example.org/x@{digest}"));
}

#[tokio::test]
async fn names_of_the_cluster_hold_release_and_namespace() {
    for mode in ["rbac.mode=namespaces", "rbac.mode=cluster"] {
        let documents = render(&[mode, "fullnameOverride=same"]).await;
        for kind in ["ClusterRole", "ClusterRoleBinding"] {
            for object in of_kind(&documents, kind) {
                let name = object["metadata"]["name"].as_str().unwrap();
                assert!(name.starts_with("scrobble-operator:music:demo"), "{kind} {name}");
            }
        }
    }
}

#[tokio::test]
async fn the_version_of_chart_and_package_are_one() {
    let output = plane().await.helm(&["show", "chart", &path()]).await.unwrap();
    let chart: Value = serde_yaml::from_str(&output.stdout).unwrap();
    assert_eq!(chart["appVersion"], env!("CARGO_PKG_VERSION"));
    assert_eq!(chart["kubeVersion"], ">=1.33.0-0");
}
