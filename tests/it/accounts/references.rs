//! What accounts refer to: in other namespaces only where that is allowed, and seen at once when it comes, goes or changes.

use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use scrobble_harness::{Chart, TestNamespace, wait_for_object};
use scrobble_operator::api::condition::{ConditionType, find_condition};
use scrobble_operator::api::v1alpha1::{ScrobblePlan, ScrobbleTarget, SpotifyAccount, SpotifyApp, TargetState};
use scrobble_simulator::api::RecordFilter;
use serde_json::{Value, json};

use crate::world::{CLIENT_ID, DEADLINE, Kind, World, condition, object};

const REFUSED: &str = "ReferenceNotAllowed";

/// A namespace of the platform team, which the world's namespace refers to.
struct Platform<'a> {
    world: &'a World,
    namespace: String,
}

impl<'a> Platform<'a> {
    /// A namespace with a client Secret and an operator that works there too.
    async fn new(world: &'a mut World) -> Self {
        let TestNamespace { name } = TestNamespace::create(&world.client, "platform").await.unwrap();
        let values = json!({"rbac": {"namespaces": [name], "aggregateRoles": false}});
        let chart = Chart::new(&world.namespace).release("wide").values(values);
        world.installation = chart.create(world.plane).await.unwrap();
        let secret = json!({
            "metadata": {"name": "client", "labels": {"scrobble-operator.io/use": "client"}},
            "stringData": {"client-secret": "simulated-client-secret"},
        });
        let secrets: Api<Secret> = Api::namespaced(world.client.clone(), &name);
        secrets.create(&PostParams::default(), &serde_json::from_value(secret).unwrap()).await.unwrap();
        Self { world, namespace: name }
    }

    async fn create<K: Kind>(&self, kind: &str, name: &str, spec: &Value) {
        let objects: Api<K> = Api::namespaced(self.world.client.clone(), &self.namespace);
        objects.create(&PostParams::default(), &object(kind, name, spec)).await.unwrap();
    }

    async fn app(&self, name: &str) {
        let reference = json!({"name": "client", "key": "client-secret"});
        let spec = json!({"clientId": CLIENT_ID, "clientSecretRef": reference});
        self.create::<SpotifyApp>("SpotifyApp", name, &spec).await;
    }

    async fn listenbrainz(&self, name: &str) {
        let spec = json!({"type": "ListenBrainz", "url": self.world.script.listenbrainz_url()});
        self.create::<ScrobbleTarget>("ScrobbleTarget", name, &spec).await;
    }

    async fn allow<K: Kind>(&self, name: &str, allowed: Value) {
        let objects: Api<K> = Api::namespaced(self.world.client.clone(), &self.namespace);
        let patch = json!({"spec": {"allowedNamespaces": allowed}});
        objects.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    }

    fn reference(&self, name: &str) -> Value {
        json!({"name": name, "namespace": self.namespace})
    }
}

impl World {
    /// An account of its own listener that reads once a day and delivers to ListenBrainz; one play waits for it.
    async fn daily(&self, name: &str, app: Value, target: Value) {
        self.listener(name).await;
        self.listenbrainz(name).await;
        self.play(name, 1, 30).await;
        let mut spec = self.spec(name, "24h");
        spec["appRef"] = app;
        spec["targets"] = json!([spec["targets"][0]]);
        spec["targets"][0]["targetRef"] = target;
        self.create::<SpotifyAccount>("SpotifyAccount", name, &spec).await;
    }

    async fn label(&self, labels: Value) {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        let patch = Patch::Merge(json!({"metadata": {"labels": labels}}));
        namespaces.patch(&self.namespace, &PatchParams::default(), &patch).await.unwrap();
    }

    async fn message(&self, name: &str, reason: &str) -> String {
        let status = self.wait_ready(name, "False", reason).await.status.unwrap();
        assert_eq!(condition(&status, ConditionType::Stalled), ("True", reason));
        find_condition(&status.conditions, ConditionType::Ready).unwrap().message.clone()
    }

    async fn flows(&self, name: &str) {
        let account = self.wait_ready(name, "True", "Succeeded").await.status.unwrap();
        assert_eq!(condition(&account, ConditionType::Stalled), ("", ""));
        assert_eq!(account.failures, None);
        assert!(account.targets.iter().all(|target| target.state == TargetState::Healthy && target.message.is_none()));
    }
}

#[tokio::test]
async fn what_another_namespace_does_not_share_might_as_well_not_exist() {
    let mut world = World::new("references").await;
    let platform = Platform::new(&mut world).await;
    let world = platform.world;
    platform.app("shared").await;
    platform.listenbrainz("shared").await;
    let (own_app, own_target) = (json!({"name": "main"}), json!({"name": "listenbrainz"}));
    world.daily("app", platform.reference("shared"), own_target.clone()).await;
    world.daily("no-app", platform.reference("nothing"), own_target).await;
    world.daily("target", own_app.clone(), platform.reference("shared")).await;
    world.daily("no-target", own_app, platform.reference("nothing")).await;
    let _operator = world.start().await;

    for (shared, missing) in [("app", "no-app"), ("target", "no-target")] {
        let refused = world.message(shared, REFUSED).await;
        assert!(refused.contains("does not exist or is not shared with this namespace"), "{refused}");
        assert!(refused.contains(&format!("{}/shared", platform.namespace)), "{refused}");
        assert!(refused.contains("ask its owner to allow it"), "{refused}");
        let unknown = world.message(missing, REFUSED).await;
        assert_eq!(unknown.replace("/nothing", "/shared"), refused, "nobody learns what another namespace holds");
    }
    assert_eq!(world.listens("app").await.len() + world.listens("target").await.len(), 0);
    let asked = world.script.requests(&RecordFilter::default().of("app")).await.unwrap();
    assert!(asked.is_empty(), "a refused app's account asks nobody anything");

    // Shared with everybody.
    platform.allow::<SpotifyApp>("shared", json!({"from": "All"})).await;
    platform.allow::<ScrobbleTarget>("shared", json!({"from": "All"})).await;
    for name in ["app", "target"] {
        world.flows(name).await;
        assert_eq!(world.listens(name).await.len(), 1);
    }
    // Shared by a label that this namespace has not, then has, then has no more.
    let selector = json!({"from": "Selector", "selector": {"matchLabels": {"scrobbles": "yes"}}});
    platform.allow::<SpotifyApp>("shared", selector.clone()).await;
    platform.allow::<ScrobbleTarget>("shared", selector).await;
    for labels in [json!({"scrobbles": "yes"}), json!({"scrobbles": "no"}), json!({"scrobbles": "yes"}), json!({})] {
        for name in ["app", "target"] {
            world.message(name, REFUSED).await;
        }
        world.label(labels.clone()).await;
        if labels["scrobbles"] == "yes" {
            for name in ["app", "target"] {
                world.flows(name).await;
            }
            world.label(json!({"scrobbles": null})).await;
        }
    }
}

#[tokio::test]
async fn a_plan_is_there_and_shared_or_the_account_waits_for_it() {
    let world = World::new("plans").await;
    let (plan, fallback) = (format!("{}-plan", world.namespace), format!("{}-fallback", world.namespace));
    world.daily("alice", json!({"name": "main"}), json!({"name": "listenbrainz"})).await;
    world.patch::<SpotifyAccount>("alice", json!({"spec": {"plan": plan}})).await;
    let _operator = world.start().await;
    let missing = world.message("alice", REFUSED).await;
    assert!(missing.contains(&format!("ScrobblePlan {plan} does not exist or is not shared")), "{missing}");
    assert!(missing.contains("spec.plan"), "{missing}");

    let plans: Api<ScrobblePlan> = Api::all(world.client.clone());
    let create = async |name: &str, spec: Value| {
        let manifest = json!({
            "apiVersion": "scrobble-operator.io/v1alpha1", "kind": "ScrobblePlan",
            "metadata": {"name": name}, "spec": spec,
        });
        plans.create(&PostParams::default(), &serde_json::from_value(manifest).unwrap()).await.unwrap();
    };
    let selector = json!({"from": "Selector", "selector": {"matchLabels": {"paid": "yes"}}});
    create(&plan, json!({"allowedNamespaces": selector, "fallback": fallback})).await;
    let wanted = async |status: &str, reason: &str| {
        let ready = |plan: &ScrobblePlan| {
            let conditions = plan.status.as_ref().map_or(&[][..], |status| &status.conditions);
            find_condition(conditions, ConditionType::Ready)
                .is_some_and(|ready| ready.status == status && ready.reason == reason)
        };
        wait_for_object(&plans, &plan, &format!("Ready={status}/{reason}"), DEADLINE, ready).await.unwrap();
    };
    wanted("False", "PlanNotFound").await;
    assert_eq!(world.message("alice", REFUSED).await, missing, "one message for missing and not shared");
    world.label(json!({"paid": "yes"})).await;
    world.flows("alice").await;
    create(&fallback, json!({})).await;
    wanted("True", "Succeeded").await;

    plans.delete(&fallback, &DeleteParams::default()).await.unwrap();
    wanted("False", "PlanNotFound").await;
    plans.delete(&plan, &DeleteParams::default()).await.unwrap();
    assert_eq!(world.message("alice", REFUSED).await, missing, "a plan that goes is missed at once");
}

#[tokio::test]
async fn an_app_or_target_that_goes_is_missed_at_once_and_welcome_back() {
    let world = World::new("deleted").await;
    world.account("alice", "24h").await;
    world.play("alice", 1, 30).await;
    let _operator = world.start().await;
    world.flows("alice").await;

    let app = world.api::<SpotifyApp>().get("main").await.unwrap();
    world.delete::<SpotifyApp>("main").await;
    let gone = world.message("alice", "AppNotFound").await;
    assert!(gone.contains("create it or name another in spec.appRef"), "{gone}");
    let asked = world.script.last_seq().await.unwrap();
    world.request("alice", "please").await;
    world.wait("alice", "the request acknowledged", |status| status.last_handled_reconcile_at.is_some()).await;
    assert_eq!(world.script.last_seq().await.unwrap(), asked, "without its app an account asks nobody");
    let reference = json!({"name": "main-client", "key": "client-secret"});
    let spec = json!({"clientId": app.spec.client_id, "clientSecretRef": reference});
    world.create::<SpotifyApp>("SpotifyApp", "main", &spec).await;
    world.flows("alice").await;

    world.delete::<ScrobbleTarget>("listenbrainz").await;
    let gone = world.message("alice", "TargetNotFound").await;
    assert!(gone.contains("create it or name another in the targetRef of entry listenbrainz"), "{gone}");
    let expected = world.play("alice", 1, 0).await;
    world.request("alice", "now").await;
    let hook = |status: &scrobble_operator::api::v1alpha1::SpotifyAccountStatus| {
        status.sync.as_ref().is_some_and(|sync| sync.scrobbled_total == 3)
    };
    let status = world.wait("alice", "the other target's delivery", hook).await.status.unwrap();
    assert_eq!(condition(&status, ConditionType::Synced), ("True", "Succeeded"));
    world.listenbrainz_target().await;
    world.flows("alice").await;
    let arrived = world.listens("alice").await;
    assert!(arrived.contains(&expected[0]), "what was heard meanwhile is delivered too");
}
