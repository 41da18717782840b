//! References to other objects.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema;
use crate::domain::name::ObjectName;

/// A Secret of the same namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretReference {
    /// Name of the Secret, in the same namespace.
    #[schemars(schema_with = "schema::object_name")]
    pub name: String,
}

/// One key of a Secret of the same namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretKeyReference {
    /// Name of the Secret, in the same namespace.
    #[schemars(schema_with = "schema::object_name")]
    pub name: String,

    /// Key of the Secret that holds the value.
    #[schemars(schema_with = "schema::secret_key")]
    pub key: String,
}

/// A listener's key at a scrobble service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CredentialsReference {
    /// Name of the Secret, in the account's namespace. It carries the label `scrobble-operator.io/use: credentials`.
    #[schemars(schema_with = "schema::object_name")]
    pub name: String,

    /// Key of the Secret that holds the value. Absent: `session-key` for a LastFm target, `token` for ListenBrainz,
    /// `api-key` for Maloja.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::secret_key")]
    pub key: Option<String>,
}

/// An object of this or of another namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NamespacedReference {
    /// Name of the object.
    #[schemars(schema_with = "schema::object_name")]
    pub name: String,

    /// Namespace of the object. Absent: the account's own. In another one the object must allow the account's
    /// namespace in its `allowedNamespaces`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::label_name")]
    pub namespace: Option<String>,
}

impl NamespacedReference {
    /// The namespace that is meant, given the one that the reference stands in.
    pub fn namespace_or<'a>(&'a self, own: &'a str) -> &'a str {
        self.namespace.as_deref().unwrap_or(own)
    }

    /// The object that is meant, given the namespace that the reference stands in.
    pub fn object(&self, own: &str) -> ObjectName {
        ObjectName::new(self.namespace_or(own), &self.name)
    }
}
