//! What the people of a namespace may do, by the roles that every cluster has.

use super::plane;
use super::review::{allowed, rights};
use k8s_openapi::api::rbac::v1::{RoleBinding, RoleRef, Subject};
use kube::api::{DeleteParams, ListParams, ObjectMeta, Patch, PatchParams, PostParams};
use kube::{Api, Client, Error};
use scrobble_harness::{Chart, TestNamespace, wait_until};
use scrobble_operator::api::v1alpha1::{ScrobblePlan, ScrobbleTarget, SpotifyAccount, SpotifyApp};
use serde_json::{Value, json};
use std::time::Duration;

/// Binds a built-in role to a user of this name in a namespace.
async fn bind(client: &Client, namespace: &str, role: &str) {
    let binding = RoleBinding {
        metadata: ObjectMeta { name: Some(format!("somebody-{role}")), ..ObjectMeta::default() },
        role_ref: RoleRef {
            api_group: "rbac.authorization.k8s.io".to_owned(),
            kind: "ClusterRole".to_owned(),
            name: role.to_owned(),
        },
        subjects: Some(vec![Subject {
            api_group: Some("rbac.authorization.k8s.io".to_owned()),
            kind: "User".to_owned(),
            name: format!("somebody-{role}"),
            namespace: None,
        }]),
    };
    let bindings: Api<RoleBinding> = Api::namespaced(client.clone(), namespace);
    bindings.create(&PostParams::default(), &binding).await.unwrap();
}

#[tokio::test]
async fn built_in_roles_read_everything_and_write_accounts_only() {
    const READ: &str = "get list watch";
    let plane = plane().await;
    let client = plane.client().unwrap();
    let namespace = TestNamespace::create(&client, "chart-users").await.unwrap().name;
    Chart::new(&namespace).install(plane).await.unwrap();
    for role in ["view", "edit", "admin"] {
        bind(&client, &namespace, role).await;
    }

    let kinds = |accounts| {
        rights(&[
            ("scrobble-operator.io/spotifyapps", READ),
            ("scrobble-operator.io/spotifyaccounts", accounts),
            ("scrobble-operator.io/scrobbletargets", READ),
            ("scrobble-operator.io/scrobbleplans", READ),
        ])
    };
    let writes = "get list watch create update patch delete deletecollection";
    for (role, expected) in [("view", kinds(READ)), ("edit", kinds(writes)), ("admin", kinds(writes))] {
        let user = format!("somebody-{role}");
        // The built-in roles are put together by a controller, a moment later.
        wait_until(&format!("the rights of {role}"), Duration::from_secs(30), async || {
            let mut found = allowed(&client, &user, &["system:authenticated"], Some(&namespace)).await;
            found.retain(|line| line.starts_with("scrobble-operator.io/"));
            if found == expected { Ok(()) } else { Err(format!("{found:#?}")) }
        })
        .await
        .unwrap();
    }
}

/// The answer was 403.
fn assert_forbidden<K>(what: &str, answer: Result<K, Error>) {
    match answer {
        Err(Error::Api(status)) if status.is_forbidden() => {}
        Err(error) => panic!("{what}: {error}"),
        Ok(_) => panic!("{what}: it was done"),
    }
}

fn manifest<K: serde::de::DeserializeOwned>(kind: &str, name: &str, spec: &Value) -> K {
    let object = json!({
        "apiVersion": "scrobble-operator.io/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec,
    });
    serde_json::from_value(object).unwrap()
}

#[tokio::test]
async fn an_editor_writes_accounts_not_their_status_nor_other_kinds() {
    let plane = plane().await;
    let admin = plane.client().unwrap();
    let namespace = TestNamespace::create(&admin, "chart-editor").await.unwrap().name;
    Chart::new(&namespace).install(plane).await.unwrap();
    bind(&admin, &namespace, "edit").await;
    let editor = plane.client_as("somebody-edit", &["system:authenticated"]).unwrap();
    let accounts: Api<SpotifyAccount> = Api::namespaced(editor.clone(), &namespace);
    // The built-in roles are put together by a controller, a moment later.
    wait_until("the rights of the editor", Duration::from_secs(30), async || {
        accounts.list(&ListParams::default()).await
    })
    .await
    .unwrap();

    let (create, change) = (PostParams::default(), PatchParams::default());
    let spec = json!({
        "appRef": {"name": "main"}, "tokenSecretRef": {"name": "alice-spotify"},
        "targets": [{"name": "listens", "targetRef": {"name": "listens"}, "credentialsRef": {"name": "alice-listens"}}],
    });
    let account = accounts.create(&create, &manifest("SpotifyAccount", "alice", &spec)).await.unwrap();
    accounts.replace("alice", &create, &account).await.unwrap();
    let suspend = Patch::Merge(json!({"spec": {"suspend": true}}));
    accounts.patch("alice", &change, &suspend).await.unwrap();

    let status = Patch::Merge(json!({"status": {"observedGeneration": 7}}));
    assert_forbidden("patch the status", accounts.patch_status("alice", &change, &status).await);
    assert_forbidden("replace the status", accounts.replace_status("alice", &create, &account).await);
    let finalizers = accounts.patch_subresource("finalizers", "alice", &change, &suspend).await;
    assert_forbidden("patch the finalizers", finalizers);

    let apps: Api<SpotifyApp> = Api::namespaced(editor.clone(), &namespace);
    let app = manifest("SpotifyApp", "main", &json!({"clientId": "0123456789abcdef0123456789abcdef"}));
    assert_forbidden("create an app", apps.create(&create, &app).await);
    let targets: Api<ScrobbleTarget> = Api::namespaced(editor.clone(), &namespace);
    let target = manifest("ScrobbleTarget", "listens", &json!({"type": "ListenBrainz"}));
    assert_forbidden("create a target", targets.create(&create, &target).await);
    let plans: Api<ScrobblePlan> = Api::all(editor);
    let plan = manifest("ScrobblePlan", &namespace, &json!({"minInterval": "5m"}));
    assert_forbidden("create a plan", plans.create(&create, &plan).await);

    // Nor does it help that they are there.
    Api::<SpotifyApp>::namespaced(admin.clone(), &namespace).create(&create, &app).await.unwrap();
    Api::<ScrobbleTarget>::namespaced(admin, &namespace).create(&create, &target).await.unwrap();
    let labels = Patch::Merge(json!({"metadata": {"labels": {"mine": "yes"}}}));
    assert_forbidden("label an app", apps.patch("main", &change, &labels).await);
    assert_forbidden("label a target", targets.patch("listens", &change, &labels).await);
    assert_forbidden("patch a target's status", targets.patch_status("listens", &change, &status).await);
    assert_forbidden("delete a target", targets.delete("listens", &DeleteParams::default()).await);

    accounts.delete("alice", &DeleteParams::default()).await.unwrap();
}
