//! Secrets, one at a time and by name: the operator can neither list nor watch them.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::Api;
use kube::api::{ObjectMeta, Patch, PatchParams, PostParams};
use serde_json::{Map, Value, json};

use super::{Cluster, ClusterError, FIELD_MANAGER, within_deadline};
use crate::domain::name::ObjectName;

/// A Secret as read.
#[derive(Clone)]
pub struct SecretContent {
    /// Its data.
    pub data: BTreeMap<String, ByteString>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// The uids of its owners.
    pub owner_uids: Vec<String>,
    /// The version read; a write carries it and fails where somebody wrote in between.
    pub resource_version: String,
    /// `immutable: true`.
    pub immutable: bool,
}

/// What a write changes: keys with their new values, or none where a key goes.
pub type DataChange = BTreeMap<&'static str, Option<Vec<u8>>>;

impl Cluster {
    /// Reads a Secret; none where it does not exist.
    ///
    /// # Errors
    /// The API server does not answer, or forbids it.
    pub async fn secret(&self, name: &ObjectName) -> Result<Option<SecretContent>, ClusterError> {
        let found = within_deadline("read the Secret", self.secrets(name).get_opt(&name.name)).await?;
        Ok(found.map(SecretContent::from))
    }

    /// Changes keys of a Secret if it is still at the version read (compare-and-swap). One verb and one field manager
    /// for every such write, so that a write that went through proves that the next one will be allowed.
    ///
    /// # Errors
    /// [`ClusterError::Conflict`] where somebody wrote in between, [`ClusterError::Invalid`] where it is immutable.
    pub async fn change_secret(
        &self,
        name: &ObjectName,
        resource_version: &str,
        change: &DataChange,
    ) -> Result<SecretContent, ClusterError> {
        let data: Map<String, Value> = change.iter().map(|(key, value)| ((*key).to_owned(), encoded(value))).collect();
        let patch = Patch::Merge(json!({"metadata": {"resourceVersion": resource_version}, "data": data}));
        let parameters = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let secrets = self.secrets(name);
        within_deadline("write the Secret", secrets.patch(&name.name, &parameters, &patch)).await.map(SecretContent::from)
    }

    /// Creates a Secret of the operator's own, which goes with its owner.
    ///
    /// # Errors
    /// [`ClusterError::Conflict`] where one of this name exists.
    pub async fn create_owned_secret(
        &self,
        name: &ObjectName,
        owner: OwnerReference,
        labels: BTreeMap<String, String>,
        data: BTreeMap<String, ByteString>,
    ) -> Result<SecretContent, ClusterError> {
        let secret = Secret {
            metadata: ObjectMeta {
                name: Some(name.name.clone()),
                namespace: Some(name.namespace.clone()),
                labels: Some(labels),
                owner_references: Some(vec![owner]),
                ..ObjectMeta::default()
            },
            data: Some(data),
            type_: Some("Opaque".to_owned()),
            ..Secret::default()
        };
        let parameters = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        within_deadline("create the Secret", self.secrets(name).create(&parameters, &secret)).await.map(SecretContent::from)
    }

    fn secrets(&self, name: &ObjectName) -> Api<Secret> {
        Api::namespaced(self.client.clone(), &name.namespace)
    }
}

impl From<Secret> for SecretContent {
    fn from(secret: Secret) -> Self {
        let metadata = secret.metadata;
        Self {
            data: secret.data.unwrap_or_default(),
            labels: metadata.labels.unwrap_or_default(),
            owner_uids: metadata.owner_references.unwrap_or_default().into_iter().map(|owner| owner.uid).collect(),
            resource_version: metadata.resource_version.unwrap_or_default(),
            immutable: secret.immutable.unwrap_or(false),
        }
    }
}

fn encoded(value: &Option<Vec<u8>>) -> Value {
    value.as_ref().map_or(Value::Null, |bytes| serde_json::to_value(ByteString(bytes.clone())).unwrap_or(Value::Null))
}
