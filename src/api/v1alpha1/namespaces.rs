//! Which namespaces may use an object.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema;

/// Which namespaces may use a `SpotifyApp` or `ScrobbleTarget`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("(self.from == 'Selector') == has(self.selector)")
        .message("selector must be set when from is Selector, and only then: set it, or set from to Selector")
)]
pub struct AllowedNamespaces {
    /// Same: only the object's own namespace. All: every namespace. Selector: the own one and those that `selector`
    /// matches.
    #[serde(default)]
    pub from: NamespacesFrom,

    /// Label selector over namespaces; required when `from` is Selector, else forbidden. An empty one matches all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::namespace_selector")]
    pub selector: Option<LabelSelector>,
}

/// Where the accounts that may use an object live.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum NamespacesFrom {
    /// Only the object's own namespace.
    #[default]
    Same,
    /// Every namespace.
    All,
    /// The own namespace and those that the selector matches.
    Selector,
}

/// Which namespaces may use a `ScrobblePlan`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("(self.from == 'Selector') == has(self.selector)")
        .message("selector must be set when from is Selector, and only then: set it, or set from to Selector")
)]
pub struct PlanNamespaces {
    /// All: every namespace. Selector: those that `selector` matches.
    #[serde(default)]
    pub from: PlanNamespacesFrom,

    /// Label selector over namespaces; required when `from` is Selector, else forbidden. An empty one matches all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::namespace_selector")]
    pub selector: Option<LabelSelector>,
}

/// Where the accounts that may use a plan live; a plan has no namespace of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PlanNamespacesFrom {
    /// Every namespace.
    #[default]
    All,
    /// The namespaces that the selector matches.
    Selector,
}
