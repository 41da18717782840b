//! References: whether what an account names exists and may be used.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::core::{Selector, SelectorExt as _};

use super::failure::Failure;
use super::observed::{Lookup, Observed, TargetEntry};
use super::problem::Problem;
use crate::api::v1alpha1::{
    AccountTarget, AllowedNamespaces, NamespacesFrom, PlanNamespaces, PlanNamespacesFrom, ScrobblePlan, ScrobbleTarget,
    SpotifyAccount, SpotifyApp, TargetType,
};
use crate::domain::name::ObjectName;

/// The app, if it may be used.
pub fn app(observed: &Observed) -> Result<&SpotifyApp, Problem> {
    shared_app(&observed.app, &observed.app_name, &observed.namespace, observed.namespace_labels.as_ref())
}

/// An app, if accounts of a namespace with these labels may use it.
pub fn shared_app<'a>(
    app: &'a Lookup<SpotifyApp>,
    name: &ObjectName,
    namespace: &str,
    labels: Option<&BTreeMap<String, String>>,
) -> Result<&'a SpotifyApp, Problem> {
    let own = name.namespace == namespace;
    match app {
        Lookup::Found(app) if own || allows(&app.spec.allowed_namespaces, labels) => Ok(app),
        Lookup::Unreadable if own => Err(Problem::of(
            Failure::ObjectUnreadable,
            format!(
                "SpotifyApp {name} was written for another version of the schema: upgrade the operator or correct it"
            ),
        )),
        Lookup::Missing if own => Err(Problem::of(
            Failure::AppNotFound,
            format!("SpotifyApp {name} does not exist: create it or name another in spec.appRef"),
        )),
        _ => Err(not_allowed(&format!("SpotifyApp {name}"), "spec.appRef")),
    }
}

/// Whether another account of the namespace names the same token Secret and is older: the oldest one holds it, by
/// creation and then by name.
pub fn is_older_holder(other: &SpotifyAccount, account: &SpotifyAccount, namespace: &str) -> bool {
    other.metadata.namespace.as_deref() == Some(namespace)
        && other.spec.token_secret_ref.name == account.spec.token_secret_ref.name
        && other.metadata.uid != account.metadata.uid
        && other.metadata.deletion_timestamp.is_none()
        && age(other) < age(account)
}

/// What accounts are ordered by where they name the same token Secret; the least is the oldest.
pub fn age(account: &SpotifyAccount) -> (Option<Timestamp>, &str) {
    let created = account.metadata.creation_timestamp.as_ref().map(|time| time.0);
    (created, account.metadata.name.as_deref().unwrap_or_default())
}

/// What accounts of all namespaces are ordered by; the least is the oldest.
pub fn seniority(account: &SpotifyAccount) -> (Option<Timestamp>, &str, &str) {
    let (created, name) = age(account);
    (created, account.metadata.namespace.as_deref().unwrap_or_default(), name)
}

/// The target of an entry, if it may be used.
pub fn target<'a>(entry: &'a TargetEntry, observed: &Observed) -> Result<&'a ScrobbleTarget, Problem> {
    let name = &entry.name;
    let own = name.namespace == observed.namespace;
    match &entry.target {
        Lookup::Found(target) if own || allows(&target.spec.allowed_namespaces, observed.namespace_labels.as_ref()) => {
            Ok(target)
        }
        Lookup::Unreadable if own => Err(Problem::of(
            Failure::ObjectUnreadable,
            format!(
                "ScrobbleTarget {name} was written for another version of the schema: upgrade the operator or correct it"
            ),
        )),
        Lookup::Missing if own => Err(Problem::of(
            Failure::TargetNotFound,
            format!(
                "ScrobbleTarget {name} does not exist: create it or name another in the targetRef of entry {}",
                entry.entry
            ),
        )),
        _ => Err(not_allowed(&format!("ScrobbleTarget {name}"), &format!("the targetRef of entry {}", entry.entry))),
    }
}

/// The target of an entry, if it may be used and the entry fits it.
pub fn deliverable<'a>(
    target: &AccountTarget,
    entry: &'a TargetEntry,
    observed: &Observed,
) -> Result<&'a ScrobbleTarget, Problem> {
    let found = self::target(entry, observed)?;
    match contradiction(target, found.spec.target_type) {
        None => Ok(found),
        Some(message) => Err(Problem::of(Failure::EntryContradictory, message)),
    }
}

/// What the schema cannot see: a credential where the type has none, none where it needs one, .
fn contradiction(target: &AccountTarget, kind: TargetType) -> Option<String> {
    let (entry, word) = (&target.name, kind.as_str());
    match (kind, kind.credentials_key(), &target.credentials_ref) {
        (_, None, Some(_)) => {
            Some(format!("target {entry} is a {word}, which has no listener's key: remove credentialsRef"))
        }
        (_, Some(_), None) => {
            Some(format!("target {entry} is of type {word}: name the listener's key in credentialsRef"))
        }
        _ => None,
    }
}

/// A plan, if accounts of a namespace with these labels may use it.
pub fn shared_plan<'a>(
    plan: &'a Lookup<ScrobblePlan>,
    labels: Option<&BTreeMap<String, String>>,
) -> Option<&'a Arc<ScrobblePlan>> {
    match plan {
        Lookup::Found(plan) if plan_allows(&plan.spec.allowed_namespaces, labels) => Some(plan),
        _ => None,
    }
}

/// The plan that an account names may not be used.
pub fn plan_not_allowed(name: &str) -> Problem {
    not_allowed(&format!("ScrobblePlan {name}"), "spec.plan")
}

/// One message whether the object is missing or not shared: nobody learns what other namespaces hold.
fn not_allowed(object: &str, field: &str) -> Problem {
    Problem::of(
        Failure::ReferenceNotAllowed,
        format!(
            "{object} does not exist or is not shared with this namespace: ask its owner to allow it, or change {field}"
        ),
    )
}

fn allows(allowed: &AllowedNamespaces, labels: Option<&BTreeMap<String, String>>) -> bool {
    match allowed.from {
        NamespacesFrom::Same => false,
        NamespacesFrom::All => true,
        NamespacesFrom::Selector => matches(allowed.selector.as_ref(), labels),
    }
}

fn plan_allows(allowed: &PlanNamespaces, labels: Option<&BTreeMap<String, String>>) -> bool {
    match allowed.from {
        PlanNamespacesFrom::All => true,
        PlanNamespacesFrom::Selector => matches(allowed.selector.as_ref(), labels),
    }
}

/// An unknown namespace, or a selector that cannot be read, allows nothing.
fn matches(selector: Option<&LabelSelector>, labels: Option<&BTreeMap<String, String>>) -> bool {
    let (Some(selector), Some(labels)) = (selector, labels) else { return false };
    Selector::try_from(selector.clone()).is_ok_and(|selector| selector.matches(labels))
}
