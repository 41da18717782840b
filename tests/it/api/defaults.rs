//! Static defaults are visible in the stored object.

use kube::api::PostParams;

use super::samples::{KINDS, full, minimal};
use super::{Cluster, object};

/// Nothing is stored: the server answers with what it would store.
fn dry_run() -> PostParams {
    PostParams { dry_run: true, field_manager: None }
}

#[tokio::test]
async fn what_is_not_given_is_stored_with_its_default() {
    let cluster = Cluster::new("defaults").await;
    for (kind, given, expected) in minimal() {
        let sent = object(kind, "minimal", &given);
        let stored = cluster.objects(kind).create(&dry_run(), &sent).await.unwrap();
        assert_eq!(stored.data["spec"], expected, "{kind}");
    }
}

#[tokio::test]
async fn what_is_given_is_stored_as_it_is() {
    let cluster = Cluster::new("given").await;
    for kind in KINDS {
        for given in full(kind) {
            let sent = object(kind, "full", &given);
            let stored = cluster.objects(kind).create(&dry_run(), &sent).await.unwrap();
            assert_eq!(stored.data["spec"], given, "{kind}");
        }
    }
}

#[tokio::test]
async fn an_explicit_null_counts_as_absent() {
    let cluster = Cluster::new("nulls").await;
    for (kind, given, expected) in minimal() {
        let mut nulls = given.clone();
        for optional in ["notifications", "plan", "seats", "fallback", "lastFm", "maloja", "quota", "sync"] {
            let known =
                super::schema::nodes().iter().any(|node| node.kind == kind && node.path == format!("spec.{optional}"));
            if known && nulls.get(optional).is_none() {
                nulls[optional] = serde_json::Value::Null;
            }
        }
        if kind == "SpotifyAccount" {
            nulls["targets"][0]["startTime"] = serde_json::Value::Null;
        }
        let stored = cluster.objects(kind).create(&dry_run(), &object(kind, "nulls", &nulls)).await.unwrap();
        assert_eq!(stored.data["spec"], expected, "{kind}");
    }
}
