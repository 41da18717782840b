//! Objects of ours, read and annotated on behalf of somebody who runs a command.

use std::collections::BTreeMap;
use std::fmt::Debug;

use k8s_openapi::api::core::v1::Namespace;
use kube::api::{ListParams, Patch, PatchParams};
use kube::core::NamespaceResourceScope;
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use serde_json::json;

use super::{Cluster, ClusterError, FIELD_MANAGER, within_deadline};
use crate::domain::name::ObjectName;

impl Cluster {
    /// Reads an object; none where it does not exist.
    ///
    /// # Errors
    /// The API server does not answer, or forbids it, or the object was written for another version.
    pub async fn object<K>(&self, name: &ObjectName) -> Result<Option<K>, ClusterError>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + DeserializeOwned + Debug,
    {
        let objects: Api<K> = Api::namespaced(self.client.clone(), &name.namespace);
        within_deadline("read the object", objects.get_opt(&name.name)).await
    }

    /// Reads all objects of a kind in a namespace.
    ///
    /// # Errors
    /// The API server does not answer, or forbids it.
    pub async fn objects<K>(&self, namespace: &str) -> Result<Vec<K>, ClusterError>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + DeserializeOwned + Debug,
    {
        let objects: Api<K> = Api::namespaced(self.client.clone(), namespace);
        Ok(within_deadline("list the objects", objects.list(&ListParams::default())).await?.items)
    }

    /// Reads the labels of a namespace.
    ///
    /// # Errors
    /// The API server does not answer, or forbids it.
    pub async fn namespace_labels(&self, namespace: &str) -> Result<BTreeMap<String, String>, ClusterError> {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        let found = within_deadline("read the namespace", namespaces.get(namespace)).await?;
        Ok(found.metadata.labels.unwrap_or_default())
    }

    /// Sets one annotation of an object, whatever else changes in it meanwhile.
    ///
    /// # Errors
    /// The API server does not answer, or forbids it, or the object is not there.
    pub async fn annotate<K>(&self, name: &ObjectName, key: &str, value: &str) -> Result<(), ClusterError>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + DeserializeOwned + Debug,
    {
        let objects: Api<K> = Api::namespaced(self.client.clone(), &name.namespace);
        let patch = Patch::Merge(json!({"metadata": {"annotations": {key: value}}}));
        let parameters = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        within_deadline("annotate the object", objects.patch(&name.name, &parameters, &patch)).await.map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use wiremock::ResponseTemplate;

    use super::super::testing::{body, cluster, name, only_request, refusal, server};
    use super::*;
    use crate::api::v1alpha1::SpotifyApp;

    fn app() -> serde_json::Value {
        json!({
            "apiVersion": "scrobble-operator.io/v1alpha1", "kind": "SpotifyApp",
            "metadata": {"name": "alice", "namespace": "music"}, "spec": {"clientId": "c"},
        })
    }

    #[tokio::test]
    async fn an_object_that_is_not_there_is_no_error_and_one_that_is_forbidden_is() {
        let read = async |answer| cluster(&server(answer).await).object::<SpotifyApp>(&name()).await;
        assert_eq!(read(ResponseTemplate::new(200).set_body_json(app())).await.unwrap().unwrap().spec.client_id, "c");
        assert!(read(refusal(404, "NotFound")).await.unwrap().is_none());
        assert!(matches!(read(refusal(403, "Forbidden")).await, Err(ClusterError::Forbidden { .. })));
    }

    #[tokio::test]
    async fn an_annotation_is_set_and_nothing_else() {
        let server = server(ResponseTemplate::new(200).set_body_json(app())).await;
        cluster(&server).annotate::<SpotifyApp>(&name(), "example.org/a", "now").await.unwrap();
        let request = only_request(&server).await;
        assert_eq!(request.method, "PATCH");
        assert_eq!(body(&request), json!({"metadata": {"annotations": {"example.org/a": "now"}}}));
    }
}
