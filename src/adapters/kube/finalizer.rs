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
        let patch = Patch::Merge(json!({"metadata": {"resourceVersion": resource_version, "finalizers": finalizers}}));
        let parameters = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        within_deadline("set the finalizer", objects.patch(&name.name, &parameters, &patch)).await
    }
}

#[cfg(test)]
mod tests {
    use wiremock::ResponseTemplate;

    use super::super::testing::{body, cluster, name, only_request, refusal, server};
    use super::*;
    use crate::api::v1alpha1::SpotifyAccount;

    fn stored() -> ResponseTemplate {
        ResponseTemplate::new(200).set_body_json(json!({
            "apiVersion": "scrobble-operator.io/v1alpha1", "kind": "SpotifyAccount",
            "metadata": {"name": "alice", "namespace": "music", "resourceVersion": "8"},
            "spec": {"appRef": {"name": "main"}, "tokenSecretRef": {"name": "alice-spotify"}, "targets": []}
        }))
    }

    #[tokio::test]
    async fn the_list_is_replaced_at_the_version_read_and_nothing_else_is_touched() {
        for finalizers in [vec![], vec!["scrobble-operator.io/state".to_owned(), "example.org/other".to_owned()]] {
            let server = server(stored()).await;
            let account: SpotifyAccount = cluster(&server).set_finalizers(&name(), "7", &finalizers).await.unwrap();
            assert_eq!(account.metadata.resource_version.as_deref(), Some("8"));
            let request = only_request(&server).await;
            assert_eq!(request.method, "PATCH");
            let path = "/apis/scrobble-operator.io/v1alpha1/namespaces/music/spotifyaccounts/alice";
            assert_eq!(request.url.path(), path);
            assert_eq!(request.headers["content-type"], "application/merge-patch+json");
            assert_eq!(body(&request), json!({"metadata": {"resourceVersion": "7", "finalizers": finalizers}}));
        }
    }

    #[tokio::test]
    async fn a_write_in_between_and_an_object_that_is_gone_are_told_apart() {
        let set = async |answer| {
            let server = server(answer).await;
            cluster(&server).set_finalizers::<SpotifyAccount>(&name(), "7", &[]).await
        };
        assert!(matches!(set(refusal(409, "Conflict")).await, Err(ClusterError::Conflict { .. })));
        assert!(matches!(set(refusal(404, "NotFound")).await, Err(ClusterError::NotFound { .. })));
        assert!(matches!(set(refusal(403, "Forbidden")).await, Err(ClusterError::Forbidden { .. })));
    }
}
