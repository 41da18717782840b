//! Secrets, one at a time and by name: the operator can neither list nor watch them.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::Api;
use kube::api::{ObjectMeta, Patch, PatchParams, PostParams};
use secrecy::zeroize::Zeroize as _;
use serde_json::{Map, Value, json};

use super::{Cluster, ClusterError, FIELD_MANAGER, within_deadline};
use crate::domain::name::ObjectName;

/// A Secret as read. Its values are wiped when it is dropped.
#[derive(Clone)]
pub struct SecretContent {
    /// Its uid: another one where it was deleted and made anew.
    pub uid: String,
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

impl Drop for SecretContent {
    fn drop(&mut self) {
        for value in self.data.values_mut() {
            value.0.zeroize();
        }
    }
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
        let data: Map<String, Value> =
            change.iter().map(|(key, value)| ((*key).to_owned(), encoded(value.as_ref()))).collect();
        let patch = Patch::Merge(json!({"metadata": {"resourceVersion": resource_version}, "data": data}));
        let parameters = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let secrets = self.secrets(name);
        within_deadline("write the Secret", secrets.patch(&name.name, &parameters, &patch))
            .await
            .map(SecretContent::from)
    }

    /// Whether a change of a Secret would be taken: the same request as the change itself, which the server tries and
    /// forgets.
    ///
    /// # Errors
    /// Those of the change.
    pub async fn try_change_secret(&self, name: &ObjectName, resource_version: &str) -> Result<(), ClusterError> {
        let patch = Patch::Merge(json!({"metadata": {"resourceVersion": resource_version}}));
        let parameters =
            PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), dry_run: true, ..PatchParams::default() };
        let secrets = self.secrets(name);
        within_deadline("write the Secret", secrets.patch(&name.name, &parameters, &patch)).await.map(|_| ())
    }

    /// Creates a Secret that belongs to people and stays when everything else goes; or, where it is to be tried only,
    /// asks whether it could be.
    ///
    /// # Errors
    /// [`ClusterError::Conflict`] where one of this name exists.
    pub async fn create_secret(&self, secret: &Secret, dry_run: bool) -> Result<(), ClusterError> {
        let namespace = secret.metadata.namespace.as_deref().unwrap_or_default();
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), namespace);
        let parameters = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), dry_run };
        within_deadline("create the Secret", secrets.create(&parameters, secret)).await.map(|_| ())
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
        within_deadline("create the Secret", self.secrets(name).create(&parameters, &secret))
            .await
            .map(SecretContent::from)
    }

    fn secrets(&self, name: &ObjectName) -> Api<Secret> {
        Api::namespaced(self.client.clone(), &name.namespace)
    }
}

impl From<Secret> for SecretContent {
    fn from(secret: Secret) -> Self {
        let metadata = secret.metadata;
        Self {
            uid: metadata.uid.unwrap_or_default(),
            data: secret.data.unwrap_or_default(),
            labels: metadata.labels.unwrap_or_default(),
            owner_uids: metadata.owner_references.unwrap_or_default().into_iter().map(|owner| owner.uid).collect(),
            resource_version: metadata.resource_version.unwrap_or_default(),
            immutable: secret.immutable.unwrap_or(false),
        }
    }
}

fn encoded(value: Option<&Vec<u8>>) -> Value {
    value.map_or(Value::Null, |bytes| serde_json::to_value(ByteString(bytes.clone())).unwrap_or(Value::Null))
}

#[cfg(test)]
mod tests {
    use wiremock::ResponseTemplate;

    use super::super::testing::{body, cluster, name, only_request, refusal, server};
    use super::*;

    fn stored() -> ResponseTemplate {
        ResponseTemplate::new(200).set_body_json(json!({
            "apiVersion": "v1", "kind": "Secret", "immutable": true, "data": {"token": "dGhlLXZhbHVl"},
            "metadata": {
                "name": "alice", "namespace": "music", "resourceVersion": "8",
                "labels": {"scrobble-operator.io/use": "token"},
                "ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": "uid-1"}]
            }
        }))
    }

    fn change() -> DataChange {
        DataChange::from([("token", Some(b"the-value".to_vec())), ("old", None)])
    }

    async fn changed(answer: ResponseTemplate) -> Result<SecretContent, ClusterError> {
        cluster(&server(answer).await).change_secret(&name(), "7", &change()).await
    }

    async fn created(answer: ResponseTemplate) -> (Result<SecretContent, ClusterError>, Value) {
        let server = server(answer).await;
        let owner = OwnerReference {
            api_version: "scrobble-operator.io/v1alpha1".to_owned(),
            kind: "SpotifyAccount".to_owned(),
            name: "alice".to_owned(),
            uid: "uid-1".to_owned(),
            ..OwnerReference::default()
        };
        let labels = BTreeMap::from([("scrobble-operator.io/use".to_owned(), "state".to_owned())]);
        let data = BTreeMap::from([("token".to_owned(), ByteString(b"the-value".to_vec()))]);
        let result = cluster(&server).create_owned_secret(&name(), owner, labels, data).await;
        let request = only_request(&server).await;
        assert_eq!(request.method, "POST");
        assert_eq!(request.url.path(), "/api/v1/namespaces/music/secrets");
        assert_eq!(request.url.query(), Some("&fieldManager=scrobble-operator"));
        (result, body(&request))
    }

    #[tokio::test]
    async fn a_secret_is_read_by_name() {
        let server = server(stored()).await;
        let content = cluster(&server).secret(&name()).await.unwrap().unwrap();
        let request = only_request(&server).await;
        assert_eq!(request.method, "GET");
        assert_eq!(request.url.path(), "/api/v1/namespaces/music/secrets/alice");
        assert_eq!(content.data["token"].0, b"the-value");
        assert_eq!(content.labels["scrobble-operator.io/use"], "token");
        assert_eq!(content.owner_uids, ["uid-1"]);
        assert_eq!(content.resource_version, "8");
        assert!(content.immutable);
    }

    #[tokio::test]
    async fn a_secret_that_is_not_there_is_no_error_and_one_that_is_forbidden_is() {
        let read = async |answer| cluster(&server(answer).await).secret(&name()).await;
        assert!(read(refusal(404, "NotFound")).await.unwrap().is_none());
        assert!(matches!(read(refusal(403, "Forbidden")).await, Err(ClusterError::Forbidden { .. })));
        assert!(matches!(read(refusal(500, "InternalError")).await, Err(ClusterError::Unavailable { .. })));
    }

    #[tokio::test]
    async fn a_change_names_its_keys_and_the_version_it_is_based_on_and_nothing_else() {
        let server = server(stored()).await;
        cluster(&server).change_secret(&name(), "7", &change()).await.unwrap();
        let request = only_request(&server).await;
        assert_eq!(request.method, "PATCH");
        assert_eq!(request.url.path(), "/api/v1/namespaces/music/secrets/alice");
        assert_eq!(request.url.query(), Some("&fieldManager=scrobble-operator"));
        assert_eq!(request.headers["content-type"], "application/merge-patch+json");
        let expected = json!({"metadata": {"resourceVersion": "7"}, "data": {"old": null, "token": "dGhlLXZhbHVl"}});
        assert_eq!(body(&request), expected);
    }

    #[tokio::test]
    async fn what_the_api_server_says_in_its_own_words_goes_no_further() {
        let mut said = Vec::new();
        for body in [
            json!({"kind": "Status", "status": "Failure", "code": 500, "reason": "InternalError", "message": "no to hunter2"}),
            json!({"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "alice"}, "data": "hunter2"}),
        ] {
            let status = if body["kind"] == "Status" { 500 } else { 200 };
            let error = changed(ResponseTemplate::new(status).set_body_json(body)).await.err().unwrap();
            let mut cause: Option<&dyn std::error::Error> = Some(&error);
            while let Some(inner) = cause {
                said.push(format!("{inner} {inner:?}"));
                cause = inner.source();
            }
        }
        let said = said.join("\n");
        assert!(said.contains("InternalError") && said.contains("cannot be read"), "{said}");
        assert!(!said.contains("hunter"), "{said}");
    }

    #[tokio::test]
    async fn a_refused_change_tells_why_and_nothing_of_the_content() {
        assert_eq!(changed(stored()).await.map_err(|error| error.to_string()).unwrap().resource_version, "8");
        for (answer, expected) in [
            (refusal(409, "Conflict"), "could not write the Secret: somebody else wrote it"),
            (refusal(422, "Invalid"), "could not write the Secret: the API server finds it invalid"),
            (refusal(403, "Forbidden"), "could not write the Secret: it is forbidden"),
            (refusal(404, "NotFound"), "could not write the Secret: it does not exist"),
            (refusal(500, "InternalError"), "could not write the Secret"),
        ] {
            let error = changed(answer).await.map(|content| content.resource_version.clone()).unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
    }

    #[tokio::test]
    async fn the_operators_own_secret_goes_with_its_owner() {
        let (result, sent) = created(stored()).await;
        assert_eq!(result.map_err(|error| error.to_string()).unwrap().resource_version, "8");
        assert_eq!(sent["metadata"]["ownerReferences"][0]["uid"], "uid-1");
        assert_eq!(sent["metadata"]["labels"], json!({"scrobble-operator.io/use": "state"}));
        assert_eq!(sent["data"], json!({"token": "dGhlLXZhbHVl"}));
        assert_eq!(sent["type"], "Opaque");
        let (taken, _) = created(refusal(409, "AlreadyExists")).await;
        assert!(matches!(taken, Err(ClusterError::Conflict { .. })));
    }
}
