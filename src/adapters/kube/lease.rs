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
