//! A client id, a target's type and a target's timestamp are immutable; nothing else is.

use kube::api::{Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use super::samples::full;
use super::{Cluster, object};

fn dry_run() -> PatchParams {
    PatchParams { dry_run: true, ..PatchParams::default() }
}

#[tokio::test]
async fn immutable_fields_say_what_to_do_instead() {
    let cluster = Cluster::new("immutable").await;
    let webhook = full("ScrobbleTarget").remove(3);
    for (kind, spec, change, field, message) in [
        (
            "SpotifyApp",
            full("SpotifyApp").remove(0),
            json!({ "clientId": "ffffffffffffffffffffffffffffffff" }),
            "spec.clientId",
            "clientId is immutable because tokens belong to it: create another SpotifyApp and refer to that one",
        ),
        (
            "ScrobbleTarget",
            webhook.clone(),
            json!({ "type": "Maloja", "webhook": null }),
            "spec.type",
            "type is immutable: create another ScrobbleTarget and refer to that one",
        ),
        (
            "ScrobbleTarget",
            webhook,
            json!({ "timestamp": "PlayedAt" }),
            "spec.timestamp",
            "timestamp is immutable because services recognise repeats by it: create another ScrobbleTarget",
        ),
    ] {
        let name = field.replace("spec.", "of-").to_lowercase();
        let objects = cluster.objects(kind);
        objects.create(&PostParams::default(), &object(kind, &name, &spec)).await.unwrap();
        let patch = Patch::Merge(json!({ "spec": change }));
        let Err(kube::Error::Api(refused)) = objects.patch(&name, &dry_run(), &patch).await else {
            panic!("{field} was changed");
        };
        let causes = refused.details.as_ref().unwrap().causes.clone();
        assert!(
            causes.iter().any(|cause| cause.field == field && cause.message.ends_with(message)),
            "{field}: {}",
            refused.message
        );
    }
}

#[tokio::test]
async fn everything_else_may_change() {
    let cluster = Cluster::new("mutable").await;
    let changes: [(&str, usize, Vec<Value>); 3] = [
        (
            "SpotifyApp",
            0,
            vec![
                json!({ "clientSecretRef": null }),
                json!({ "clientSecretRef": { "name": "other", "key": "other" } }),
                json!({ "quota": { "group": "other", "dailyCalls": 1 } }),
                json!({ "allowedNamespaces": { "from": "All", "selector": null } }),
                json!({ "notifications": null }),
                json!({ "circuitBreaker": { "failureThreshold": 1 } }),
            ],
        ),
        (
            "ScrobbleTarget",
            3,
            vec![
                json!({ "url": "https://elsewhere.example.org" }),
                json!({ "webhook": { "signingKeyRef": { "name": "other", "key": "other" } } }),
                json!({ "allowedNamespaces": { "from": "Same", "selector": null } }),
                json!({ "circuitBreaker": { "probeAfter": "1m" } }),
            ],
        ),
        (
            "SpotifyAccount",
            0,
            vec![
                json!({ "appRef": { "name": "other", "namespace": null } }),
                json!({ "tokenSecretRef": { "name": "other" } }),
                json!({ "sync": { "interval": "1s", "startTime": "2020-01-01T00:00:00Z" } }),
                json!({ "targets": [{ "name": "other", "targetRef": { "name": "other" } }] }),
                json!({ "plan": null }),
                json!({ "suspend": false }),
            ],
        ),
    ];
    for (kind, sample, changes) in changes {
        let objects = cluster.objects(kind);
        let spec = full(kind).remove(sample);
        objects.create(&PostParams::default(), &object(kind, "changing", &spec)).await.unwrap();
        for change in changes {
            let patch = Patch::Merge(json!({ "spec": change }));
            if let Err(error) = objects.patch("changing", &dry_run(), &patch).await {
                panic!("{kind} {change}: {error}");
            }
        }
    }
}
