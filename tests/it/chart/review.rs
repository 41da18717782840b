//! Asks the API server who may do what.

use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use kube::api::PostParams;
use kube::{Api, Client};
use std::collections::BTreeSet;

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
