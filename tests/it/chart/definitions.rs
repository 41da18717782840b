//! The custom resource definitions through the life of a release: installed, upgraded, kept, taken up again.

use super::{RELEASE, path};
use kube::api::{Api, DynamicObject, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use scrobble_harness::{ControlPlane, Options};
use serde_json::json;

const DEFINITIONS: [&str; 4] = [
    "crd/scrobbleplans.scrobble-operator.io",
    "crd/scrobbletargets.scrobble-operator.io",
    "crd/spotifyaccounts.scrobble-operator.io",
    "crd/spotifyapps.scrobble-operator.io",
];

async fn helm(plane: &ControlPlane, arguments: &[&str]) -> Result<String, String> {
    plane.helm(arguments).await.map(|output| output.stdout).map_err(|error| error.to_string())
}

#[tokio::test]
async fn definitions_outlive_their_release_and_belong_to_one() {
    // CRDs are one for the whole cluster, so this test has its own.
    let plane = ControlPlane::start(Options::default()).await.unwrap();
    let chart = path();
    let in_first = ["--namespace", "first", "--create-namespace", "--wait=hookOnly"];
    let in_second = ["--namespace", "second", "--create-namespace", "--wait=hookOnly"];

    let notes = helm(&plane, &[&["install", RELEASE, &chart], &in_first[..]].concat()).await.unwrap();
    assert!(notes.contains("kubectl -n first rollout status deployment/scrobble-operator"), "{notes}");
    plane
        .kubectl(&[&["wait", "--for=condition=Established", "--timeout=60s"], &DEFINITIONS[..]].concat())
        .await
        .unwrap();

    let kind = GroupVersionKind::gvk("scrobble-operator.io", "v1alpha1", "ScrobblePlan");
    let stored: Api<DynamicObject> = Api::all_with(plane.client().unwrap(), &ApiResource::from_gvk(&kind));
    let plan =
        DynamicObject::new("founding", &ApiResource::from_gvk(&kind)).data(json!({"spec": {"minInterval": "5m"}}));
    let created = stored.create(&PostParams::default(), &plan).await.unwrap();

    // A second release may not bring them, and says whose they are; without them it installs.
    let refused = helm(&plane, &[&["install", RELEASE, &chart], &in_second[..]].concat()).await.unwrap_err();
    assert!(refused.contains("invalid ownership metadata"), "{refused}");
    let without = [&["install", RELEASE, &chart, "--set", "crds.install=false"], &in_second[..]].concat();
    let notes = helm(&plane, &without).await.unwrap();
    assert!(notes.contains("brought no CustomResourceDefinitions"), "{notes}");

    // Upgraded, turned off, uninstalled: they and what they define stay.
    let upgrade = ["upgrade", RELEASE, &chart, "--namespace", "first", "--wait=hookOnly"];
    helm(&plane, &upgrade).await.unwrap();
    helm(&plane, &["uninstall", RELEASE, "--namespace", "first"]).await.unwrap();
    plane.kubectl(&[&["get"], &DEFINITIONS[..]].concat()).await.unwrap();
    let kept = stored.get("founding").await.unwrap();
    assert_eq!(kept.metadata.uid, created.metadata.uid);

    // The same release takes them up again.
    helm(&plane, &[&["install", RELEASE, &chart], &in_first[..]].concat()).await.unwrap();
    helm(&plane, &[&upgrade[..], &["--set", "crds.install=false"]].concat()).await.unwrap();
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
