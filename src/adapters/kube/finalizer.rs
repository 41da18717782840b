//! The account's finalizer, which stands only while a state Secret exists.

use std::fmt::Debug;

use kube::api::{Patch, PatchParams};
use kube::core::NamespaceResourceScope;
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use serde_json::json;

use super::{Cluster, ClusterError, FIELD_MANAGER, within_deadline};
use crate::domain::name::ObjectName;

impl Cluster {
    /// Replaces an object's list of finalizers, if it is still at the version read.
    ///
    /// # Errors
    /// [`ClusterError::Conflict`] where somebody wrote in between.
    pub async fn set_finalizers<K>(
        &self,
        name: &ObjectName,
        resource_version: &str,
        finalizers: &[String],
    ) -> Result<K, ClusterError>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + DeserializeOwned + Debug,
    {
        let objects: Api<K> = Api::namespaced(self.client.clone(), &name.namespace);
        let patch =
            Patch::Merge(json!({"metadata": {"resourceVersion": resource_version, "finalizers": finalizers}}));
        let parameters = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        within_deadline("set the finalizer", objects.patch(&name.name, &parameters, &patch)).await
    }
}
