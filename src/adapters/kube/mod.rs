//! The cluster: Secrets by name, status, finalizers, Events, Leases, and which kinds there are.

mod client;
mod error;
pub mod events;
pub mod finalizer;
pub mod lease;
pub mod objects;
pub mod requests;
pub mod reviews;
pub mod secrets;
pub mod served;
pub mod status;
#[cfg(test)]
mod testing;

use std::time::Duration;

pub use client::{SpanLayer, build_client};
pub use error::ClusterError;

/// The name under which every field is written.
pub const FIELD_MANAGER: &str = "scrobble-operator";
/// The longest wait for one answer of the API server, the client's own retries included.
const REQUEST_DEADLINE: Duration = Duration::from_secs(15);

/// Access to the cluster.
#[derive(Clone)]
pub struct Cluster {
    client: kube::Client,
    recorders: events::Recorders,
}

impl Cluster {
    /// Wraps a client; `reporter` is the process's name in Events.
    pub fn new(client: kube::Client, reporter: String) -> Self {
        let reporter = kube::runtime::events::Reporter { controller: FIELD_MANAGER.into(), instance: Some(reporter) };
        Self { recorders: events::Recorders::new(client.clone(), reporter), client }
    }

    /// The client, for the watches.
    pub fn client(&self) -> kube::Client {
        self.client.clone()
    }
}

/// Runs one request within [`REQUEST_DEADLINE`].
async fn within_deadline<T>(
    action: &'static str,
    request: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, ClusterError> {
    match tokio::time::timeout(REQUEST_DEADLINE, request).await {
        Ok(answer) => answer.map_err(|source| ClusterError::from_kube(action, source)),
        Err(_) => Err(ClusterError::Timeout { action }),
    }
}
