//! Field selectors, short names and the category.

use kube::api::{ListParams, PostParams};
use kube::{Api, ResourceExt};
use scrobble_operator::api::v1alpha1::SpotifyAccount;
use serde_json::json;

use super::samples::minimal;
use super::{Cluster, object};

#[tokio::test]
async fn accounts_are_found_by_app_and_by_plan() {
    let cluster = Cluster::new("selectors").await;
    for (name, app, plan) in [("a", "main", Some("free")), ("b", "main", Some("founding")), ("c", "other", None)] {
        let (kind, mut spec, _) = minimal().remove(1);
        spec["appRef"] = json!({ "name": app });
        if let Some(plan) = plan {
            spec["plan"] = json!(plan);
        }
        cluster.objects(kind).create(&PostParams::default(), &object(kind, name, &spec)).await.unwrap();
    }
    let accounts: Api<SpotifyAccount> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
    for (selector, expected) in [
        ("spec.appRef.name=main", vec!["a", "b"]),
        ("spec.appRef.name=other", vec!["c"]),
        ("spec.plan=free", vec!["a"]),
        ("spec.appRef.name=main,spec.plan=founding", vec!["b"]),
        ("spec.plan=", vec!["c"]),
    ] {
        let found = accounts.list(&ListParams::default().fields(selector)).await.unwrap();
        let names: Vec<String> = found.iter().map(ResourceExt::name_any).collect();
        assert_eq!(names, expected, "{selector}");
    }
    let printed = cluster.kubectl(&["get", "spacct", "--field-selector=spec.plan=free", "-o=name"]).await;
    assert_eq!(printed.trim(), "spotifyaccount.scrobble-operator.io/a");
    let refused =
        cluster.plane.kubectl(&["get", "spacct", "--all-namespaces", "--field-selector=spec.suspend=true"]).await;
    assert!(refused.unwrap_err().to_string().contains("field label not supported"));
}

#[tokio::test]
async fn the_category_lists_all_kinds_and_all_lists_none() {
    let cluster = Cluster::new("category").await;
    let category = async |name: &str| {
        let printed = cluster
            .kubectl(&["api-resources", "--api-group=scrobble-operator.io", "--categories", name, "-o=name"])
            .await;
        let mut names: Vec<String> = printed.lines().map(ToOwned::to_owned).collect();
        names.sort();
        names
    };
    let expected = ["scrobbleplans", "scrobbletargets", "spotifyaccounts", "spotifyapps"];
    assert_eq!(category("scrobble").await, expected.map(|name| format!("{name}.scrobble-operator.io")));
    assert!(category("all").await.is_empty());
}
