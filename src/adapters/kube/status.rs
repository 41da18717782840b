//! Status writes: a merge patch of what changed, against the version that was read.

use std::fmt::Debug;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams};
use kube::core::NamespaceResourceScope;
use kube::{Api, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::{Cluster, ClusterError, FIELD_MANAGER, within_deadline};
use crate::domain::name::ObjectName;

/// The JSON merge patch (RFC 7386) that turns one value into another; none where they are equal.
pub fn merge_patch(from: &Value, to: &Value) -> Option<Value> {
    match (from, to) {
        (Value::Object(from), Value::Object(to)) => {
            let mut patch = Map::new();
            for (key, value) in to {
                match from.get(key) {
                    None if value.is_null() => {}
                    None => {
                        patch.insert(key.clone(), value.clone());
                    }
                    Some(before) => {
                        if let Some(change) = merge_patch(before, value) {
                            patch.insert(key.clone(), change);
                        }
                    }
                }
            }
            for key in from.keys().filter(|key| !to.contains_key(*key)) {
                patch.insert(key.clone(), Value::Null);
            }
            (!patch.is_empty()).then_some(Value::Object(patch))
        }
        _ if from == to => None,
        _ => Some(to.clone()),
    }
}

impl Cluster {
    /// Writes what changed between two statuses of an object, if it is still at the version read. Nothing is sent
    /// where nothing changed. Answers the object as written.
    ///
    /// # Errors
    /// [`ClusterError::Conflict`] where somebody wrote in between.
    pub async fn change_status<K, S>(
        &self,
        name: &ObjectName,
        resource_version: &str,
        from: Option<&S>,
        to: &S,
    ) -> Result<Option<K>, ClusterError>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + DeserializeOwned + Debug,
        S: Serialize,
    {
        self.change_status_of(Api::namespaced(self.client.clone(), &name.namespace), name, resource_version, from, to)
            .await
    }

    /// The same for a cluster-scoped kind.
    ///
    /// # Errors
    /// [`ClusterError::Conflict`] where somebody wrote in between.
    pub async fn change_cluster_status<K, S>(
        &self,
        name: &ObjectName,
        resource_version: &str,
        from: Option<&S>,
        to: &S,
    ) -> Result<Option<K>, ClusterError>
    where
        K: Resource<Scope = kube::core::ClusterResourceScope, DynamicType = ()> + Clone + DeserializeOwned + Debug,
        S: Serialize,
    {
        self.change_status_of(Api::all(self.client.clone()), name, resource_version, from, to).await
    }

    async fn change_status_of<K, S>(
        &self,
        objects: Api<K>,
        name: &ObjectName,
        resource_version: &str,
        from: Option<&S>,
        to: &S,
    ) -> Result<Option<K>, ClusterError>
    where
        K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug,
        S: Serialize,
    {
        let value = |status: &S| serde_json::to_value(status).unwrap_or(Value::Null);
        let from = from.map_or_else(|| Value::Object(Map::new()), value);
        let Some(change) = merge_patch(&from, &value(to)) else { return Ok(None) };
        let patch = Patch::Merge(json!({"metadata": {"resourceVersion": resource_version}, "status": change}));
        let parameters = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        within_deadline("write the status", objects.patch_status(&name.name, &parameters, &patch)).await.map(Some)
    }

    /// Shows conditions on an object, be it one that cannot be read: the rest of its status is not touched. Nothing is
    /// sent where they stand there already.
    ///
    /// # Errors
    /// The API server does not answer, or forbids it.
    pub async fn show_conditions<K: Resource<DynamicType = ()>>(
        &self,
        name: &ObjectName,
        conditions: &[Condition],
        generation: Option<i64>,
    ) -> Result<(), ClusterError> {
        let resource = ApiResource::erase::<K>(&());
        let objects: Api<DynamicObject> = if name.namespace.is_empty() {
            Api::all_with(self.client.clone(), &resource)
        } else {
            Api::namespaced_with(self.client.clone(), &name.namespace, &resource)
        };
        let Some(found) = within_deadline("read the object", objects.get_opt(&name.name)).await? else { return Ok(()) };
        let shown = found.data.pointer("/status/conditions").cloned().unwrap_or(Value::Null);
        let shown: Vec<Condition> = serde_json::from_value(shown).unwrap_or_default();
        let earlier = |condition: &Condition| shown.iter().find(|other| other.type_ == condition.type_);
        let mut conditions = conditions.to_vec();
        for condition in &mut conditions {
            if let Some(earlier) = earlier(condition).filter(|earlier| earlier.status == condition.status) {
                condition.last_transition_time = earlier.last_transition_time.clone();
            }
        }
        if conditions.iter().all(|condition| earlier(condition) == Some(condition)) {
            return Ok(());
        }
        let status = json!({"observedGeneration": generation, "conditions": conditions});
        let version = found.metadata.resource_version;
        let patch = Patch::Merge(json!({"metadata": {"resourceVersion": version}, "status": status}));
        let parameters = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        within_deadline("write the status", objects.patch_status(&name.name, &parameters, &patch)).await.map(|_| ())
    }

    /// Reads an object anew, after a conflict.
    ///
    /// # Errors
    /// The API server does not answer, or forbids it.
    pub async fn read_again<K>(&self, name: &ObjectName) -> Result<Option<K>, ClusterError>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + DeserializeOwned + Debug,
    {
        let objects: Api<K> = Api::namespaced(self.client.clone(), &name.namespace);
        within_deadline("read the object", objects.get_opt(&name.name)).await
    }

    /// The same for a cluster-scoped kind.
    ///
    /// # Errors
    /// The API server does not answer, or forbids it.
    pub async fn read_cluster_object_again<K>(&self, name: &ObjectName) -> Result<Option<K>, ClusterError>
    where
        K: Resource<Scope = kube::core::ClusterResourceScope, DynamicType = ()> + Clone + DeserializeOwned + Debug,
    {
        let objects: Api<K> = Api::all(self.client.clone());
        within_deadline("read the object", objects.get_opt(&name.name)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_merge_patch_holds_what_changed_and_nothing_else() {
        for (from, to, expected) in [
            (json!({"a": 1}), json!({"a": 1}), None),
            (json!({"a": 1}), json!({"a": 2}), Some(json!({"a": 2}))),
            (json!({"a": 1, "b": 2}), json!({"b": 2}), Some(json!({"a": null}))),
            (json!({"a": {"b": 1, "c": 2}}), json!({"a": {"b": 1, "c": 3}}), Some(json!({"a": {"c": 3}}))),
            (json!({"a": [1]}), json!({"a": [1, 2]}), Some(json!({"a": [1, 2]}))),
            (json!({}), json!({"a": null}), None),
            (json!({"a": {"b": 1}}), json!({"a": 7}), Some(json!({"a": 7}))),
        ] {
            assert_eq!(merge_patch(&from, &to), expected, "{from} -> {to}");
        }
    }
}
