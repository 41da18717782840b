//! Leases (coordination.k8s.io/v1): who is on duty, and until when somebody was.

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::Api;
use kube::api::{ObjectMeta, PostParams};

use super::{Cluster, ClusterError, FIELD_MANAGER, within_deadline};
use crate::domain::name::ObjectName;

/// A Lease as read or to be written. All times are real time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseRecord {
    /// Who holds it; nobody where it was given back.
    pub holder: Option<String>,
    /// When the holder got it.
    pub acquire_time: Option<Timestamp>,
    /// When the holder last renewed it.
    pub renew_time: Option<Timestamp>,
    /// For how long after a renewal it is held, in seconds.
    pub duration_seconds: i32,
    /// How often it changed hands.
    pub transitions: i32,
    /// The version read; empty for one that does not exist yet.
    pub resource_version: String,
}

impl Cluster {
    /// Reads a Lease; none where it does not exist.
    ///
    /// # Errors
    /// The API server does not answer, or forbids it.
    pub async fn lease(&self, name: &ObjectName) -> Result<Option<LeaseRecord>, ClusterError> {
        let found = within_deadline("read the Lease", self.leases(name).get_opt(&name.name)).await?;
        Ok(found.map(LeaseRecord::from))
    }

    /// Writes a Lease if it is still at the version read, or creates it.
    ///
    /// # Errors
    /// [`ClusterError::Conflict`] where somebody wrote in between.
    pub async fn write_lease(&self, name: &ObjectName, record: &LeaseRecord) -> Result<LeaseRecord, ClusterError> {
        let lease = Lease {
            metadata: ObjectMeta {
                name: Some(name.name.clone()),
                namespace: Some(name.namespace.clone()),
                resource_version: Some(record.resource_version.clone()).filter(|version| !version.is_empty()),
                ..ObjectMeta::default()
            },
            spec: Some(LeaseSpec {
                holder_identity: record.holder.clone(),
                acquire_time: record.acquire_time.map(MicroTime),
                renew_time: record.renew_time.map(MicroTime),
                lease_duration_seconds: Some(record.duration_seconds),
                lease_transitions: Some(record.transitions),
                ..LeaseSpec::default()
            }),
        };
        let parameters = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        let leases = self.leases(name);
        let written = if record.resource_version.is_empty() {
            within_deadline("create the Lease", leases.create(&parameters, &lease)).await?
        } else {
            within_deadline("write the Lease", leases.replace(&name.name, &parameters, &lease)).await?
        };
        Ok(LeaseRecord::from(written))
    }

    fn leases(&self, name: &ObjectName) -> Api<Lease> {
        Api::namespaced(self.client.clone(), &name.namespace)
    }
}

impl From<Lease> for LeaseRecord {
    fn from(lease: Lease) -> Self {
        let spec = lease.spec.unwrap_or_default();
        Self {
            holder: spec.holder_identity.filter(|holder| !holder.is_empty()),
            acquire_time: spec.acquire_time.map(|time| time.0),
            renew_time: spec.renew_time.map(|time| time.0),
            duration_seconds: spec.lease_duration_seconds.unwrap_or_default(),
            transitions: spec.lease_transitions.unwrap_or_default(),
            resource_version: lease.metadata.resource_version.unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use wiremock::ResponseTemplate;

    use super::super::testing::{body, cluster, name, only_request, refusal, server};
    use super::*;

    fn spec() -> Value {
        json!({
            "holderIdentity": "one", "acquireTime": "2026-11-23T09:00:00.000001Z",
            "renewTime": "2026-11-23T10:00:00.250000Z", "leaseDurationSeconds": 35, "leaseTransitions": 3
        })
    }

    fn stored(spec: &Value) -> ResponseTemplate {
        let metadata = json!({"name": "alice", "namespace": "music", "resourceVersion": "8"});
        let lease =
            json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec});
        ResponseTemplate::new(200).set_body_json(lease)
    }

    fn record(version: &str) -> LeaseRecord {
        LeaseRecord {
            holder: Some("one".to_owned()),
            acquire_time: Some("2026-11-23T09:00:00.000001Z".parse().unwrap()),
            renew_time: Some("2026-11-23T10:00:00.25Z".parse().unwrap()),
            duration_seconds: 35,
            transitions: 3,
            resource_version: version.to_owned(),
        }
    }

    #[tokio::test]
    async fn a_lease_is_read_to_the_microsecond() {
        let server = server(stored(&spec())).await;
        assert_eq!(cluster(&server).lease(&name()).await.unwrap(), Some(record("8")));
        let path = "/apis/coordination.k8s.io/v1/namespaces/music/leases/alice";
        assert_eq!(only_request(&server).await.url.path(), path);
    }

    #[tokio::test]
    async fn a_lease_that_was_given_back_or_is_empty_has_no_holder() {
        let read = async |answer| cluster(&server(answer).await).lease(&name()).await;
        let empty = LeaseRecord {
            holder: None,
            acquire_time: None,
            renew_time: None,
            duration_seconds: 0,
            transitions: 0,
            resource_version: "8".to_owned(),
        };
        for spec in [json!({}), json!({"holderIdentity": ""}), json!({"holderIdentity": null})] {
            assert_eq!(read(stored(&spec)).await.unwrap().as_ref(), Some(&empty), "{spec}");
        }
        assert_eq!(read(refusal(404, "NotFound")).await.unwrap(), None);
        assert!(matches!(read(refusal(403, "Forbidden")).await, Err(ClusterError::Forbidden { .. })));
    }

    #[tokio::test]
    async fn a_new_lease_is_created_and_a_known_one_replaced_at_the_version_read() {
        for (version, method, path) in [
            ("", "POST", "/apis/coordination.k8s.io/v1/namespaces/music/leases"),
            ("7", "PUT", "/apis/coordination.k8s.io/v1/namespaces/music/leases/alice"),
        ] {
            let server = server(stored(&spec())).await;
            assert_eq!(cluster(&server).write_lease(&name(), &record(version)).await.unwrap(), record("8"));
            let request = only_request(&server).await;
            assert_eq!((request.method.as_str(), request.url.path()), (method, path));
            let sent = body(&request);
            assert_eq!(sent["spec"], spec());
            let based_on = sent["metadata"].get("resourceVersion").and_then(Value::as_str);
            assert_eq!(based_on, Some(version).filter(|version| !version.is_empty()));
        }
    }

    #[tokio::test]
    async fn whoever_comes_second_gets_a_conflict() {
        for (version, reason) in [("", "AlreadyExists"), ("7", "Conflict")] {
            let server = server(refusal(409, reason)).await;
            let written = cluster(&server).write_lease(&name(), &record(version)).await;
            assert!(matches!(written, Err(ClusterError::Conflict { .. })), "{reason}");
            only_request(&server).await;
        }
    }

    #[tokio::test]
    async fn giving_back_names_nobody() {
        let server = server(stored(&json!({}))).await;
        cluster(&server).write_lease(&name(), &LeaseRecord { holder: None, ..record("7") }).await.unwrap();
        assert_eq!(body(&only_request(&server).await)["spec"].get("holderIdentity"), None);
    }
}
