//! Objects of a newer version of the schema: they say so, are left alone, and hurt nobody else.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams, PostParams};
use kube::{Api, Resource};
use scrobble_harness::{ControlPlane, Options, wait_for_object, wait_until};
use scrobble_operator::api::condition::{ConditionType, find_condition};
use scrobble_operator::api::v1alpha1::{ScrobbleTarget, SpotifyAccount, SpotifyAccountStatus, SpotifyApp};
use scrobble_simulator::api::{NewApp, RecordFilter};
use serde_json::{Value, json};

use crate::world::{CLIENT_ID, DEADLINE, World, condition};

const UNREADABLE: &str = "ObjectUnreadable";

impl World {
    fn untyped<K: Resource<DynamicType = ()>>(&self) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), &self.namespace, &ApiResource::erase::<K>(&()))
    }

    async fn create_untyped<K: Resource<DynamicType = ()>>(&self, name: &str, spec: Value) -> kube::Result<()> {
        let kind = K::kind(&()).into_owned();
        let manifest = json!({
            "apiVersion": "scrobble-operator.io/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec,
        });
        let object = serde_json::from_value(manifest).unwrap();
        self.untyped::<K>().create(&PostParams::default(), &object).await.map(drop)
    }

    async fn patch_untyped<K: Resource<DynamicType = ()>>(&self, name: &str, spec: Value) -> kube::Result<()> {
        let patch = Patch::Merge(json!({"spec": spec}));
        self.untyped::<K>().patch(name, &PatchParams::default(), &patch).await.map(drop)
    }

    /// Waits until an object says that it cannot be read.
    async fn is_unreadable<K: Resource<DynamicType = ()>>(&self, name: &str) -> DynamicObject {
        let told = |object: &DynamicObject| {
            let conditions = object.data.pointer("/status/conditions").cloned().unwrap_or_default();
            let conditions: Vec<Condition> = serde_json::from_value(conditions).unwrap_or_default();
            let is = |kind, status: &str| {
                find_condition(&conditions, kind).is_some_and(|found| {
                    found.status == status
                        && found.reason == UNREADABLE
                        && found.message.contains("upgrade the operator or correct the object")
                        && found.observed_generation == object.metadata.generation
                })
            };
            is(ConditionType::Ready, "False") && is(ConditionType::Stalled, "True")
        };
        wait_for_object(&self.untyped::<K>(), name, UNREADABLE, DEADLINE, told).await.unwrap()
    }
}

/// As a newer release of the definitions would: anything is accepted from now on.
async fn loosen_schemas(world: &World) {
    let definitions: Api<CustomResourceDefinition> = Api::all(world.client.clone());
    for name in ["spotifyaccounts", "spotifyapps", "scrobbletargets"] {
        let name = format!("{name}.scrobble-operator.io");
        let mut definition = definitions.get(&name).await.unwrap();
        let anything = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
        for version in &mut definition.spec.versions {
            version.schema = Some(serde_json::from_value(json!({"openAPIV3Schema": anything})).unwrap());
            version.selectable_fields = None;
        }
        definitions.replace(&name, &PostParams::default(), &definition).await.unwrap();
    }
}

fn sent(count: i64) -> impl Fn(&SpotifyAccountStatus) -> bool {
    move |status| status.sync.as_ref().is_some_and(|sync| sync.scrobbled_total == count)
}

#[tokio::test]
async fn what_a_newer_schema_allows_is_reported_and_left_alone() {
    // Nobody else's definitions are touched.
    let plane: &'static ControlPlane = Box::leak(Box::new(ControlPlane::start(Options::default()).await.unwrap()));
    let app = NewApp::confidential(CLIENT_ID, "simulated-client-secret");
    let world = World::on(plane, "unreadable", app, scrobble_simulator::Options::default()).await;
    world.account("bystander", "1s").await;
    world.account("turned", "1s").await;
    let mut operator = world.start().await;
    world.wait_ready("turned", "True", "Succeeded").await;
    world.wait_ready("bystander", "True", "Succeeded").await;
    loosen_schemas(&world).await;

    let pigeon = json!({"type": "CarrierPigeon", "loft": {"name": "north"}});
    let newer_app = json!({"clientId": {"from": "elsewhere"}});
    wait_until("the looser schema of apps", DEADLINE, async || {
        world.create_untyped::<SpotifyApp>("newer", newer_app.clone()).await
    })
    .await
    .unwrap();
    wait_until("the looser schema of targets", DEADLINE, async || {
        world.create_untyped::<ScrobbleTarget>("newer", pigeon.clone()).await
    })
    .await
    .unwrap();
    wait_until("the looser schema of accounts", DEADLINE, async || {
        world.patch_untyped::<SpotifyAccount>("turned", json!({"sync": {"interval": {"every": "day"}}})).await
    })
    .await
    .unwrap();
    for name in ["by-app", "by-target", "new"] {
        world.listener(name).await;
        world.listenbrainz(name).await;
        world.play(name, 1, 30).await;
    }
    let mut by_app = world.spec("by-app", "1s");
    by_app["appRef"]["name"] = json!("newer");
    world.create_untyped::<SpotifyAccount>("by-app", by_app).await.unwrap();
    let mut by_target = world.spec("by-target", "1s");
    by_target["targets"][0]["targetRef"]["name"] = json!("newer");
    world.create_untyped::<SpotifyAccount>("by-target", by_target).await.unwrap();
    let mut new = world.spec("new", "1s");
    new["targets"] = json!({"everywhere": true});
    world.create_untyped::<SpotifyAccount>("new", new).await.unwrap();

    world.is_unreadable::<SpotifyAccount>("turned").await;
    world.is_unreadable::<SpotifyAccount>("new").await;
    world.is_unreadable::<SpotifyApp>("newer").await;
    world.is_unreadable::<ScrobbleTarget>("newer").await;
    let status = world.wait_ready("by-app", "False", UNREADABLE).await.status.unwrap();
    assert_eq!(condition(&status, ConditionType::Stalled), ("True", UNREADABLE));
    let status = world.wait("by-target", "the other target's delivery", sent(1)).await.status.unwrap();
    assert_eq!(condition(&status, ConditionType::Ready), ("False", UNREADABLE));
    assert_eq!(condition(&status, ConditionType::Stalled), ("True", UNREADABLE));
    assert_eq!(condition(&status, ConditionType::Synced), ("True", "Succeeded"));

    let seq = world.script.last_seq().await.unwrap();
    for number in 1..=3 {
        world.play("bystander", 1, 0).await;
        world.wait("bystander", "deliveries", sent(2 * number)).await;
    }
    let requests = world.script.requests(&RecordFilter::default().since(seq)).await.unwrap();
    let idle = ["turned", "new", "by-app"];
    assert!(requests.iter().all(|request| request.account.as_deref().is_none_or(|name| !idle.contains(&name))));

    // Another change that cannot be read either was seen, and is no new state of affairs.
    let since =
        |object: &DynamicObject| object.data.pointer("/status/conditions/0/lastTransitionTime").cloned().unwrap();
    let before = world.is_unreadable::<SpotifyAccount>("new").await;
    world.patch_untyped::<SpotifyAccount>("new", json!({"targets": {"nowhere": true}})).await.unwrap();
    let after = world.is_unreadable::<SpotifyAccount>("new").await;
    assert_ne!(before.metadata.generation, after.metadata.generation);
    assert_eq!(since(&before), since(&after));

    // Corrected, they go on.
    let spec = |name: &str| world.spec(name, "1s");
    world.play("turned", 1, 0).await;
    world.patch_untyped::<SpotifyAccount>("turned", json!({"sync": {"interval": "1s"}})).await.unwrap();
    world.patch_untyped::<SpotifyAccount>("new", json!({"targets": spec("new")["targets"]})).await.unwrap();
    let reference = json!({"name": "main-client", "key": "client-secret"});
    world
        .patch_untyped::<SpotifyApp>("newer", json!({"clientId": CLIENT_ID, "clientSecretRef": reference}))
        .await
        .unwrap();
    let listenbrainz = json!({"type": "ListenBrainz", "loft": null, "url": world.script.listenbrainz_url()});
    world.patch_untyped::<ScrobbleTarget>("newer", listenbrainz).await.unwrap();
    for name in ["turned", "new", "by-app", "by-target"] {
        world.wait(name, "two deliveries", sent(2)).await;
        let status = world.wait_ready(name, "True", "Succeeded").await.status.unwrap();
        assert_eq!(condition(&status, ConditionType::Stalled), ("", ""), "{name}");
    }
    assert!(!operator.log().contains("panicked"));
    operator.kill().unwrap();
    plane.stop_controller_manager().await.unwrap();
    plane.stop_api_server().await.unwrap();
    plane.stop_etcd().await.unwrap();
}
