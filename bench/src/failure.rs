//! Why there is no table.

use std::error::Error as _;

/// A failure of what is measured, or of what it runs on.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A server, a program or a command.
    #[error(transparent)]
    Harness(#[from] scrobble_harness::Error),
    /// The simulator's scripting.
    #[error(transparent)]
    Simulator(#[from] scrobble_simulator::ClientError),
    /// A request to the API server.
    #[error("could not {action}")]
    Cluster {
        /// What was attempted.
        action: &'static str,
        /// Why not.
        #[source]
        source: Box<kube::Error>,
    },
    /// Something is not as it has to be.
    #[error("{0}")]
    Broken(String),
}

impl Failure {
    /// For `map_err`.
    pub fn cluster(action: &'static str) -> impl FnOnce(kube::Error) -> Self {
        move |source| Self::Cluster { action, source: Box::new(source) }
    }

    /// The sentence with its causes.
    pub fn text(&self) -> String {
        let mut text = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        text
    }
}
