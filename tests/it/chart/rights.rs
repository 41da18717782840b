//! What a release may do, in each mode: everything it needs, and nothing else.

use super::review::{Rights, allowed, rights};
use super::{RELEASE, plane};
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::api::rbac::v1::{ClusterRole, PolicyRule, Role, RoleBinding, RoleRef, Subject};
use kube::api::{ListParams, ObjectMeta, PostParams};
use kube::{Api, Client, ResourceExt as _};
use scrobble_harness::{Chart, Installation, TestNamespace, wait_until};
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;

/// In a namespace it works in.
const NAMESPACE: &[(&str, &str)] = &[
    ("scrobble-operator.io/spotifyapps", "get list watch"),
    ("scrobble-operator.io/spotifyapps/status", "patch update"),
    ("scrobble-operator.io/spotifyaccounts", "get list watch patch update"),
    ("scrobble-operator.io/spotifyaccounts/status", "patch update"),
    ("scrobble-operator.io/spotifyaccounts/finalizers", "update"),
    ("scrobble-operator.io/scrobbletargets", "get list watch"),
    ("scrobble-operator.io/scrobbletargets/status", "patch update"),
    ("secrets", "get create patch update"),
    ("events.k8s.io/events", "create patch"),
];

/// Everywhere, in both modes.
const CLUSTER: &[(&str, &str)] = &[
    ("scrobble-operator.io/scrobbleplans", "get list watch"),
    ("scrobble-operator.io/scrobbleplans/status", "get patch update"),
    ("namespaces", "get list watch"),
    ("authentication.k8s.io/tokenreviews", "create"),
    ("authorization.k8s.io/subjectaccessreviews", "create"),
];

/// In the release's own namespace.
const LEASE: &[(&str, &str)] = &[("coordination.k8s.io/leases", "get create update patch")];

async fn of_operator(client: &Client, release: &Installation, namespace: Option<&str>) -> Rights {
    let own = format!("system:serviceaccounts:{}", release.namespace);
    let groups = ["system:serviceaccounts", own.as_str(), "system:authenticated"];
    allowed(client, &release.user(), &groups, namespace).await
}

/// The rules of a role, one line for each resource.
fn lines(rules: Option<Vec<PolicyRule>>) -> Rights {
    let mut verbs: BTreeMap<String, String> = BTreeMap::new();
    for rule in rules.unwrap_or_default() {
        assert!(rule.resource_names.is_none() && rule.non_resource_urls.is_none());
        for group in rule.api_groups.iter().flatten() {
            for resource in rule.resources.iter().flatten() {
                let name = if group.is_empty() { resource.clone() } else { format!("{group}/{resource}") };
                let known = verbs.entry(name).or_default();
                *known = format!("{known} {}", rule.verbs.join(" "));
            }
        }
    }
    rights(&verbs.iter().map(|(resource, verbs)| (resource.as_str(), verbs.as_str())).collect::<Vec<_>>())
}

async fn cluster_role(client: &Client, name: &str) -> Rights {
    let roles: Api<ClusterRole> = Api::all(client.clone());
    lines(roles.get(name).await.unwrap().rules)
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
        assert_eq!(lines(roles.get(&name).await.unwrap().rules), rights(NAMESPACE));
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

    let name = format!("scrobble-operator:{own}:{RELEASE}");
    assert_eq!(cluster_role(&client, &name).await, rights(CLUSTER));
    assert_eq!(cluster_role(&client, &format!("{name}:everywhere")).await, rights(NAMESPACE));
    assert!(!release.arguments.iter().any(|argument| argument.starts_with("--namespaces")), "{:?}", release.arguments);
}

#[tokio::test]
async fn secrets_are_read_by_name_and_never_listed() {
    let plane = plane().await;
    let client = plane.client().unwrap();
    let own = TestNamespace::create(&client, "chart-secrets").await.unwrap().name;
    let other = TestNamespace::create(&client, "chart-secrets-other").await.unwrap().name;
    let release = Chart::new(&own).install(plane).await.unwrap();

    let operator = plane.client_for_service_account(&own, &release.service_account).await.unwrap();
    let secrets: Api<Secret> = Api::namespaced(operator.clone(), &own);
    let secret =
        Secret { metadata: ObjectMeta { name: Some("one".to_owned()), ..ObjectMeta::default() }, ..Secret::default() };
    secrets.create(&PostParams::default(), &secret).await.unwrap();
    let read = secrets.get("one").await.unwrap();
    secrets.replace("one", &PostParams::default(), &read).await.unwrap();

    let elsewhere: Api<Secret> = Api::namespaced(operator.clone(), &other);
    let refused = [
        ("list", secrets.list(&ListParams::default()).await.err()),
        ("list of all namespaces", Api::<Secret>::all(operator).list(&ListParams::default()).await.err()),
        ("watch", secrets.watch(&kube::api::WatchParams::default(), "0").await.err()),
        ("delete", secrets.delete("one", &kube::api::DeleteParams::default()).await.err()),
        ("get elsewhere", elsewhere.get("one").await.err()),
        ("create elsewhere", elsewhere.create(&PostParams::default(), &secret).await.err()),
    ];
    for (what, error) in refused {
        match error {
            Some(kube::Error::Api(status)) if status.is_forbidden() => {}
            answer => panic!("{what}: {answer:?}"),
        }
    }
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
