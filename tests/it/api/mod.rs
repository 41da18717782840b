//! The API on a real API server: what is accepted, what is refused and how, what `kubectl` shows.

pub mod columns;
mod defaults;
mod definitions;
mod examples;
mod explain;
mod immutable;
mod rejected;
mod samples;
mod schema;
mod selectors;

use kube::api::{ApiResource, DynamicObject, TypeMeta};
use kube::{Api, Client, Resource};
use scrobble_harness::{ControlPlane, TestNamespace};
use scrobble_operator::api::v1alpha1::{ScrobblePlan, ScrobbleTarget, SpotifyAccount, SpotifyApp};
use serde_json::{Value, json};

/// A control plane with the definitions, a client of this test's runtime and a namespace.
struct Cluster {
    plane: &'static ControlPlane,
    client: Client,
    namespace: String,
}

impl Cluster {
    async fn new(test: &str) -> Self {
        let plane = ControlPlane::shared().await.unwrap();
        plane.install_definitions().await.unwrap();
        let client = plane.client().unwrap();
        let namespace = TestNamespace::create(&client, test).await.unwrap().name;
        Self { plane, client, namespace }
    }

    /// Runs kubectl in the namespace and returns what it printed.
    async fn kubectl(&self, arguments: &[&str]) -> String {
        let mut all = vec!["--namespace", &self.namespace];
        all.extend(arguments);
        self.plane.kubectl(&all).await.unwrap().stdout
    }

    /// The objects of one kind; those of the namespace where the kind has namespaces.
    fn objects(&self, kind: &str) -> Api<DynamicObject> {
        let resource = resource(kind);
        if kind == "ScrobblePlan" {
            Api::all_with(self.client.clone(), &resource)
        } else {
            Api::namespaced_with(self.client.clone(), &self.namespace, &resource)
        }
    }
}

fn resource(kind: &str) -> ApiResource {
    match kind {
        "SpotifyApp" => ApiResource::erase::<SpotifyApp>(&()),
        "SpotifyAccount" => ApiResource::erase::<SpotifyAccount>(&()),
        "ScrobbleTarget" => ApiResource::erase::<ScrobbleTarget>(&()),
        "ScrobblePlan" => ApiResource::erase::<ScrobblePlan>(&()),
        _ => panic!("{kind} is no kind of the API"),
    }
}

/// An object as a user would send it.
fn object(kind: &str, name: &str, spec: &Value) -> DynamicObject {
    DynamicObject {
        types: Some(TypeMeta { api_version: resource(kind).api_version, kind: kind.to_owned() }),
        metadata: kube::api::ObjectMeta { name: Some(name.to_owned()), ..Default::default() },
        data: json!({ "spec": spec }),
    }
}

#[test]
fn the_group_and_version_are_those_of_the_constants() {
    use scrobble_operator::api::{GROUP, VERSION};
    assert_eq!(SpotifyAccount::group(&()), GROUP);
    assert_eq!(SpotifyAccount::version(&()), VERSION);
    for kind in samples::KINDS {
        assert_eq!(resource(kind).api_version, format!("{GROUP}/{VERSION}"));
    }
}
