//! The custom resource definitions through the life of a release: installed, upgraded, kept, taken up again.

use super::{RELEASE, folder, path, root};
use kube::api::{Api, DeleteParams, DynamicObject, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use scrobble_harness::{ControlPlane, Options, wait_until};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::time::Duration;

const DEFINITIONS: [&str; 4] = [
    "crd/scrobbleplans.scrobble-operator.io",
    "crd/scrobbletargets.scrobble-operator.io",
    "crd/spotifyaccounts.scrobble-operator.io",
    "crd/spotifyapps.scrobble-operator.io",
];

async fn helm(plane: &ControlPlane, arguments: &[&str]) -> Result<String, String> {
    plane.helm(arguments).await.map(|output| output.stdout).map_err(|error| error.to_string())
}

/// The chart as it was at version 0.1.0, packaged by `helm package` before 0.2.0 was begun.
fn previous() -> String {
    root().join("tests/it/chart/previous/scrobble-operator-0.1.0.tgz").display().to_string()
}

/// The chart with one more field in a definition, as a later version might have it.
fn next(plane: &ControlPlane) -> String {
    let copy = plane.folder().join("next-chart");
    copy_folder(&folder(), &copy);
    let file = copy.join("files/crds/scrobbleplans.scrobble-operator.io.yaml");
    let text = fs::read_to_string(&file).unwrap();
    let before = "\n              minInterval:\n";
    assert_eq!(text.matches(before).count(), 1);
    fs::write(&file, text.replace(before, &format!("\n              colour: {{type: string}}{before}"))).unwrap();
    copy.display().to_string()
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

async fn print(plane: &ControlPlane, arguments: &[&str]) -> String {
    plane.kubectl(arguments).await.unwrap().stdout
}

#[tokio::test]
async fn definitions_are_upgraded_outlive_their_release_and_belong_to_one() {
    // CRDs are one for the whole cluster, so this test has its own.
    let plane = ControlPlane::start(Options::default()).await.unwrap();
    let (chart, previous) = (path(), previous());
    let in_first = ["--namespace", "first", "--create-namespace", "--wait=hookOnly"];
    let in_second = ["--namespace", "second", "--create-namespace", "--wait=hookOnly"];
    let upgrade = ["upgrade", RELEASE, &chart, "--namespace", "first", "--wait=hookOnly"];
    plane.kubectl(&["create", "namespace", "team-a"]).await.unwrap();

    let set = ["--set", "rbac.namespaces={team-a}", "--set", "podLabels.tier=backend"];
    helm(&plane, &[&["install", RELEASE, &previous], &in_first[..], &set[..]].concat()).await.unwrap();
    plane
        .kubectl(&[&["wait", "--for=condition=Established", "--timeout=60s"], &DEFINITIONS[..]].concat())
        .await
        .unwrap();
    let kind = GroupVersionKind::gvk("scrobble-operator.io", "v1alpha1", "ScrobblePlan");
    let stored: Api<DynamicObject> = Api::all_with(plane.client().unwrap(), &ApiResource::from_gvk(&kind));
    let plan =
        |name: &str, spec: Value| DynamicObject::new(name, &ApiResource::from_gvk(&kind)).data(json!({"spec": spec}));
    let created = stored.create(&PostParams::default(), &plan("founding", json!({"minInterval": "5m"}))).await.unwrap();

    // From the chart before this one, with what was set then. What the new one brings is off until its defaults are taken.
    let service = ["get", "services", "--namespace", "first", "-o", "name"];
    let roles = ["get", "roles", "--namespace", "team-a", "-o", "name"];
    let tier =
        ["get", "deployment", RELEASE, "--namespace", "first", "-o", "jsonpath={.spec.template.metadata.labels.tier}"];
    helm(&plane, &[&upgrade[..], &["--reuse-values"]].concat()).await.unwrap();
    assert_eq!(print(&plane, &service).await, "");
    helm(&plane, &[&upgrade[..], &["--reset-then-reuse-values"]].concat()).await.unwrap();
    assert_eq!(print(&plane, &service).await, "service/scrobble-operator\n");
    assert_eq!(
        print(&plane, &roles).await,
        "role.rbac.authorization.k8s.io/scrobble-operator:first:scrobble-operator\n"
    );
    assert_eq!(print(&plane, &tier).await, "backend");
    let versions = "jsonpath={.items[*].metadata.labels.helm\\.sh/chart}";
    let versions = print(&plane, &["get", "crd", "-o", versions]).await;
    let shown = helm(&plane, &["show", "chart", &chart]).await.unwrap();
    let version = shown.lines().find_map(|line| line.strip_prefix("version: ")).unwrap();
    assert_eq!(versions, [format!("scrobble-operator-{version}").as_str(); 4].join(" "));

    // A field of a later chart's definition is stored once that chart is there, and not before.
    let coloured = json!({"minInterval": "5m", "colour": "red"});
    let pruned = stored.create(&PostParams::default(), &plan("pruned", coloured.clone())).await.unwrap();
    assert_eq!(pruned.data["spec"].get("colour"), None);
    let next = next(&plane);
    helm(&plane, &["upgrade", RELEASE, &next, "--namespace", "first", "--wait=hookOnly"]).await.unwrap();
    wait_until("the new definition to be served", Duration::from_secs(30), async || {
        stored.delete("kept", &DeleteParams::default()).await.ok();
        let kept = stored
            .create(&PostParams::default(), &plan("kept", coloured.clone()))
            .await
            .map_err(|error| error.to_string())?;
        if kept.data["spec"]["colour"] == "red" { Ok(()) } else { Err(kept.data.to_string()) }
    })
    .await
    .unwrap();

    // A second release may not bring them, and says whose they are; without them it installs.
    let refused = helm(&plane, &[&["install", RELEASE, &chart], &in_second[..]].concat()).await.unwrap_err();
    assert!(refused.contains("invalid ownership metadata"), "{refused}");
    let without = [&["install", RELEASE, &chart, "--set", "crds.install=false"], &in_second[..]].concat();
    let notes = helm(&plane, &without).await.unwrap();
    assert!(notes.contains("brought no CustomResourceDefinitions"), "{notes}");

    // Turned off, uninstalled: they and what they define stay.
    helm(&plane, &[&upgrade[..], &["--set", "crds.install=false"]].concat()).await.unwrap();
    plane.kubectl(&[&["get"], &DEFINITIONS[..]].concat()).await.unwrap();
    helm(&plane, &upgrade).await.unwrap();
    helm(&plane, &["uninstall", RELEASE, "--namespace", "first"]).await.unwrap();
    plane.kubectl(&[&["get"], &DEFINITIONS[..]].concat()).await.unwrap();
    let kept = stored.get("founding").await.unwrap();
    assert_eq!(kept.metadata.uid, created.metadata.uid);

    // The same release takes them up again.
    let notes = helm(&plane, &[&["install", RELEASE, &chart], &in_first[..]].concat()).await.unwrap();
    assert!(notes.contains("kubectl -n first rollout status deployment/scrobble-operator"), "{notes}");
    plane.kubectl(&[&["get"], &DEFINITIONS[..]].concat()).await.unwrap();
    let kept = stored.get("founding").await.unwrap();
    assert_eq!(kept.metadata.uid, created.metadata.uid);
}

#[tokio::test]
async fn the_cluster_mode_says_what_it_means() {
    let plane = ControlPlane::shared().await.unwrap();
    let arguments =
        ["install", "demo", &path(), "--namespace", "music", "--dry-run=client", "--set", "rbac.mode=cluster"];
    let notes = helm(plane, &arguments).await.unwrap();
    assert!(notes.contains("It works in EVERY namespace"), "{notes}");
    assert!(notes.contains("any Secret of this"), "{notes}");
}
