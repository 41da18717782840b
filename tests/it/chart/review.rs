//! Asks the API server who may do what.

use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectRulesReview, SelfSubjectRulesReviewSpec, SubjectAccessReview,
    SubjectAccessReviewSpec,
};
use kube::api::PostParams;
use kube::{Api, Client};
use scrobble_harness::{ControlPlane, wait_until};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Every verb that a resource knows.
pub const VERBS: [&str; 8] = ["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"];

/// Every resource that the operator could want, and some that it must never have: group, resource, subresource.
pub const RESOURCES: [(&str, &str, &str); 32] = [
    ("scrobble-operator.io", "spotifyapps", ""),
    ("scrobble-operator.io", "spotifyapps", "status"),
    ("scrobble-operator.io", "spotifyapps", "finalizers"),
    ("scrobble-operator.io", "spotifyaccounts", ""),
    ("scrobble-operator.io", "spotifyaccounts", "status"),
    ("scrobble-operator.io", "spotifyaccounts", "finalizers"),
    ("scrobble-operator.io", "scrobbletargets", ""),
    ("scrobble-operator.io", "scrobbletargets", "status"),
    ("scrobble-operator.io", "scrobbletargets", "finalizers"),
    ("scrobble-operator.io", "scrobbleplans", ""),
    ("scrobble-operator.io", "scrobbleplans", "status"),
    ("scrobble-operator.io", "scrobbleplans", "finalizers"),
    ("", "secrets", ""),
    ("", "configmaps", ""),
    ("", "events", ""),
    ("", "namespaces", ""),
    ("", "namespaces", "status"),
    ("", "pods", ""),
    ("", "pods", "exec"),
    ("", "serviceaccounts", ""),
    ("", "serviceaccounts", "token"),
    ("", "nodes", ""),
    ("apps", "deployments", ""),
    ("apiextensions.k8s.io", "customresourcedefinitions", ""),
    ("authentication.k8s.io", "tokenreviews", ""),
    ("authorization.k8s.io", "subjectaccessreviews", ""),
    ("authorization.k8s.io", "localsubjectaccessreviews", ""),
    ("coordination.k8s.io", "leases", ""),
    ("events.k8s.io", "events", ""),
    ("rbac.authorization.k8s.io", "roles", ""),
    ("rbac.authorization.k8s.io", "rolebindings", ""),
    ("rbac.authorization.k8s.io", "clusterroles", ""),
];

/// A resource and the verbs allowed on it, as `group/resource/subresource: verbs`.
pub type Rights = BTreeSet<String>;

/// Writes rights as [`allowed`] gives them.
pub fn rights(resources: &[(&str, &str)]) -> Rights {
    let sorted =
        |verbs: &str| VERBS.into_iter().filter(|verb| verbs.split(' ').any(|one| one == *verb)).collect::<Vec<_>>();
    resources.iter().map(|(resource, verbs)| format!("{resource}: {}", sorted(verbs).join(" "))).collect()
}

/// The same from rules: groups, resources, verbs.
pub fn lines(rules: impl Iterator<Item = (Vec<String>, Vec<String>, Vec<String>)>) -> Rights {
    let mut verbs: BTreeMap<String, String> = BTreeMap::new();
    for (groups, resources, allowed) in rules {
        for group in &groups {
            for resource in &resources {
                let name = if group.is_empty() { resource.clone() } else { format!("{group}/{resource}") };
                let known = verbs.entry(name).or_default();
                *known = format!("{known} {}", allowed.join(" "));
            }
        }
    }
    rights(&verbs.iter().map(|(resource, verbs)| (resource.as_str(), verbs.as_str())).collect::<Vec<_>>())
}

/// All rules that hold for a client in a namespace, as the API server lists them.
async fn all_rules(client: &Client, namespace: &str) -> Rights {
    let review = SelfSubjectRulesReview {
        spec: SelfSubjectRulesReviewSpec { namespace: Some(namespace.to_owned()) },
        ..SelfSubjectRulesReview::default()
    };
    let answered = Api::all(client.clone()).create(&PostParams::default(), &review).await.unwrap().status.unwrap();
    assert!(!answered.incomplete, "{:?}", answered.evaluation_error);
    lines(answered.resource_rules.into_iter().map(|rule| {
        assert!(rule.resource_names.is_none(), "{rule:?}");
        (rule.api_groups.unwrap_or_default(), rule.resources.unwrap_or_default(), rule.verbs)
    }))
}

/// All that a client was granted in a namespace, beyond what every ServiceAccount may.
pub async fn granted(plane: &ControlPlane, client: &Client, namespace: &str) -> Rights {
    let anybody = wait_until("the default ServiceAccount", Duration::from_secs(30), async || {
        plane.client_for_service_account(namespace, "default").await.map_err(|error| format!("{error:?}"))
    });
    let anybody = all_rules(&anybody.await.unwrap(), namespace).await;
    all_rules(client, namespace).await.difference(&anybody).cloned().collect()
}

/// What the user may do with any object of [`RESOURCES`] in a namespace, or in all of them (`None`).
pub async fn allowed(client: &Client, user: &str, groups: &[&str], namespace: Option<&str>) -> Rights {
    let mut found = Rights::new();
    for (group, resource, subresource) in RESOURCES {
        let mut verbs = Vec::new();
        for verb in VERBS {
            let attributes = ResourceAttributes {
                group: Some(group.to_owned()),
                resource: Some(resource.to_owned()),
                subresource: Some(subresource.to_owned()),
                namespace: namespace.map(str::to_owned),
                verb: Some(verb.to_owned()),
                ..ResourceAttributes::default()
            };
            if is_allowed(client, user, groups, attributes).await {
                verbs.push(verb);
            }
        }
        if !verbs.is_empty() {
            found.insert(format!("{}: {}", name(group, resource, subresource), verbs.join(" ")));
        }
    }
    found
}

fn name(group: &str, resource: &str, subresource: &str) -> String {
    [group, resource, subresource].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/")
}

async fn is_allowed(client: &Client, user: &str, groups: &[&str], attributes: ResourceAttributes) -> bool {
    let review = SubjectAccessReview {
        spec: SubjectAccessReviewSpec {
            user: Some(user.to_owned()),
            groups: Some(groups.iter().map(|group| (*group).to_owned()).collect()),
            resource_attributes: Some(attributes),
            ..SubjectAccessReviewSpec::default()
        },
        ..SubjectAccessReview::default()
    };
    let answered = Api::all(client.clone()).create(&PostParams::default(), &review).await.unwrap();
    answered.status.unwrap().allowed
}
