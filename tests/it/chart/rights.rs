//! What a release may do, in each mode: everything it needs, and nothing else.

use super::review::{Rights, allowed, granted, lines, rights};
use super::{RELEASE, plane};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::api::rbac::v1::{ClusterRole, PolicyRule, Role};
use kube::api::{DeleteParams, ListParams, ObjectMeta, PostParams, WatchParams};
use kube::{Api, Client, ResourceExt as _};
use scrobble_harness::{Chart, ControlPlane, Installation, TestNamespace};
use scrobble_operator::api::v1alpha1::{ScrobblePlan, SpotifyAccount};
use serde_json::json;

/// In a namespace it works in.
const NAMESPACE: &[(&str, &str)] = &[
    ("scrobble-operator.io/spotifyapps", "get list watch"),
    ("scrobble-operator.io/spotifyapps/status", "patch update"),
    ("scrobble-operator.io/spotifyaccounts", "get list watch patch"),
    ("scrobble-operator.io/spotifyaccounts/status", "patch update"),
    ("scrobble-operator.io/scrobbletargets", "get list watch"),
    ("scrobble-operator.io/scrobbletargets/status", "patch update"),
    ("secrets", "get create patch update"),
    ("events.k8s.io/events", "create patch"),
];

/// Everywhere, in both modes.
const CLUSTER: &[(&str, &str)] = &[
    ("scrobble-operator.io/scrobbleplans", "get list watch"),
    ("scrobble-operator.io/scrobbleplans/status", "patch update"),
    ("namespaces", "get list watch"),
    ("authentication.k8s.io/tokenreviews", "create"),
    ("authorization.k8s.io/subjectaccessreviews", "create"),
];

/// In the release's own namespace.
const LEASE: &[(&str, &str)] = &[("coordination.k8s.io/leases", "get create update")];

async fn of_operator(client: &Client, release: &Installation, namespace: Option<&str>) -> Rights {
    let own = format!("system:serviceaccounts:{}", release.namespace);
    let groups = ["system:serviceaccounts", own.as_str(), "system:authenticated"];
    allowed(client, &release.user(), &groups, namespace).await
}

fn of_rules(rules: Option<Vec<PolicyRule>>) -> Rights {
    lines(rules.unwrap_or_default().into_iter().map(|rule| {
        assert!(rule.resource_names.is_none() && rule.non_resource_urls.is_none());
        (rule.api_groups.unwrap_or_default(), rule.resources.unwrap_or_default(), rule.verbs)
    }))
}

/// All that the release's ServiceAccount was granted in its namespace, named above or not.
async fn all_of_operator(plane: &ControlPlane, release: &Installation) -> Rights {
    let own = &release.namespace;
    let operator = plane.client_for_service_account(own, &release.service_account).await.unwrap();
    granted(plane, &operator, own).await
}

async fn cluster_role(client: &Client, name: &str) -> Rights {
    let roles: Api<ClusterRole> = Api::all(client.clone());
    of_rules(roles.get(name).await.unwrap().rules)
}

#[tokio::test]
async fn in_namespaces_mode_it_works_where_it_was_told_and_nowhere_else() {
    let plane = plane().await;
    let client = plane.client().unwrap();
    let [own, listed, other] =
        ["chart-own", "chart-listed", "chart-other"].map(|name| TestNamespace::create(&client, name));
    let (own, listed, other) = (own.await.unwrap().name, listed.await.unwrap().name, other.await.unwrap().name);
    let release = Chart::new(&own).values(json!({"rbac": {"namespaces": [listed]}})).install(plane).await.unwrap();

    assert_eq!(of_operator(&client, &release, Some(&own)).await, rights(&[NAMESPACE, CLUSTER, LEASE].concat()));
    assert_eq!(all_of_operator(plane, &release).await, rights(&[NAMESPACE, CLUSTER, LEASE].concat()));
    assert_eq!(of_operator(&client, &release, Some(&listed)).await, rights(&[NAMESPACE, CLUSTER].concat()));
    assert_eq!(of_operator(&client, &release, Some(&other)).await, rights(CLUSTER));
    assert_eq!(of_operator(&client, &release, None).await, rights(CLUSTER));
    assert!(release.arguments.contains(&format!("--namespaces={own},{listed}")), "{:?}", release.arguments);

    let name = format!("scrobble-operator:{own}:{RELEASE}");
    assert_eq!(cluster_role(&client, &name).await, rights(CLUSTER));
    let own_cluster_roles = ListParams::default().labels(&format!("app.kubernetes.io/instance={RELEASE}"));
    let found = Api::<ClusterRole>::all(client.clone()).list(&own_cluster_roles).await.unwrap();
    let mut found: Vec<String> =
        found.into_iter().map(|role| role.name_any()).filter(|found| found.starts_with(&name)).collect();
    found.sort();
    assert_eq!(found, [name.clone(), format!("{name}:edit"), format!("{name}:view")]);
    for namespace in [&own, &listed] {
        let roles: Api<Role> = Api::namespaced(client.clone(), namespace);
        assert_eq!(of_rules(roles.get(&name).await.unwrap().rules), rights(NAMESPACE));
    }
}

#[tokio::test]
async fn in_cluster_mode_it_has_the_same_rights_everywhere() {
    let plane = plane().await;
    let client = plane.client().unwrap();
    let own = TestNamespace::create(&client, "chart-cluster").await.unwrap().name;
    let release = Chart::new(&own).values(json!({"rbac": {"mode": "cluster"}})).install(plane).await.unwrap();

    assert_eq!(of_operator(&client, &release, None).await, rights(&[NAMESPACE, CLUSTER].concat()));
    assert_eq!(of_operator(&client, &release, Some("default")).await, rights(&[NAMESPACE, CLUSTER].concat()));
    assert_eq!(of_operator(&client, &release, Some(&own)).await, rights(&[NAMESPACE, CLUSTER, LEASE].concat()));
    assert_eq!(all_of_operator(plane, &release).await, rights(&[NAMESPACE, CLUSTER, LEASE].concat()));

    let name = format!("scrobble-operator:{own}:{RELEASE}");
    assert_eq!(cluster_role(&client, &name).await, rights(CLUSTER));
    assert_eq!(cluster_role(&client, &format!("{name}:everywhere")).await, rights(NAMESPACE));
    assert!(!release.arguments.iter().any(|argument| argument.starts_with("--namespaces")), "{:?}", release.arguments);
}

/// Asks for what a mode denies, with the release's own token: every answer is 403.
async fn denied(plane: &ControlPlane, mode: &str) {
    let client = plane.client().unwrap();
    let own = TestNamespace::create(&client, "chart-denied").await.unwrap().name;
    let other = TestNamespace::create(&client, "chart-denied-other").await.unwrap().name;
    let release = Chart::new(&own).values(json!({"rbac": {"mode": mode}})).install(plane).await.unwrap();

    let operator = plane.client_for_service_account(&own, &release.service_account).await.unwrap();
    let secrets: Api<Secret> = Api::namespaced(operator.clone(), &own);
    let secret =
        Secret { metadata: ObjectMeta { name: Some("one".to_owned()), ..ObjectMeta::default() }, ..Secret::default() };
    secrets.create(&PostParams::default(), &secret).await.unwrap();
    let read = secrets.get("one").await.unwrap();
    secrets.replace("one", &PostParams::default(), &read).await.unwrap();

    let elsewhere: Api<Secret> = Api::namespaced(operator.clone(), &other);
    let accounts: Api<SpotifyAccount> = Api::namespaced(operator.clone(), &own);
    let plans: Api<ScrobblePlan> = Api::all(operator.clone());
    let roles: Api<Role> = Api::namespaced(operator.clone(), &own);
    let (all, by_name, delete) =
        (ListParams::default(), WatchParams::default().fields("metadata.name=one"), DeleteParams::default());
    let mut refused = vec![
        ("list", secrets.list(&all).await.err()),
        ("list one", secrets.list(&all.clone().fields("metadata.name=one")).await.err()),
        ("list of all namespaces", Api::<Secret>::all(operator.clone()).list(&all).await.err()),
        ("metadata of all", secrets.list_metadata(&all).await.err()),
        ("watch", secrets.watch(&WatchParams::default(), "0").await.err()),
        ("watch one", secrets.watch(&by_name, "0").await.err()),
        ("delete", secrets.delete("one", &delete).await.err()),
        ("delete all", secrets.delete_collection(&delete, &all).await.err()),
        ("delete an account", accounts.delete("one", &delete).await.err()),
        ("delete a plan", plans.delete("one", &delete).await.err()),
        ("read roles", roles.list(&all).await.err()),
        ("read ConfigMaps", Api::<ConfigMap>::namespaced(operator, &own).get("one").await.err()),
        ("list elsewhere", elsewhere.list(&all).await.err()),
    ];
    if mode == "namespaces" {
        refused.push(("get elsewhere", elsewhere.get("one").await.err()));
        refused.push(("create elsewhere", elsewhere.create(&PostParams::default(), &secret).await.err()));
    } else {
        elsewhere.create(&PostParams::default(), &secret).await.unwrap();
        elsewhere.get("one").await.unwrap();
    }
    for (what, error) in refused {
        match error {
            Some(kube::Error::Api(status)) if status.is_forbidden() => {}
            answer => panic!("{mode}: {what}: {answer:?}"),
        }
    }
}

#[tokio::test]
async fn what_a_mode_denies_is_forbidden() {
    let plane = plane().await;
    tokio::join!(denied(plane, "namespaces"), denied(plane, "cluster"));
}

#[tokio::test]
async fn two_releases_of_one_name_live_side_by_side() {
    let plane = plane().await;
    let client = plane.client().unwrap();
    let first = TestNamespace::create(&client, "chart-first").await.unwrap().name;
    let second = TestNamespace::create(&client, "chart-second").await.unwrap().name;
    let shared = TestNamespace::create(&client, "chart-shared").await.unwrap().name;
    let values = json!({"rbac": {"namespaces": [shared]}});
    let one = Chart::new(&first).values(values.clone()).install(plane).await.unwrap();
    let two = Chart::new(&second).values(values).install(plane).await.unwrap();

    for release in [&one, &two] {
        assert_eq!(of_operator(&client, release, Some(&shared)).await, rights(&[NAMESPACE, CLUSTER].concat()));
    }
    assert_eq!(of_operator(&client, &one, Some(&second)).await, rights(CLUSTER));

    // One that goes takes nothing from the other.
    plane.helm(&["uninstall", RELEASE, "--namespace", &first]).await.unwrap();
    assert_eq!(of_operator(&client, &one, Some(&shared)).await, Rights::new());
    assert_eq!(of_operator(&client, &two, Some(&shared)).await, rights(&[NAMESPACE, CLUSTER].concat()));
}
