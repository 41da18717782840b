//! Why the demo stopped.

use std::error::Error as _;

/// A failure of what the demo runs on, or of what it shows.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A server, a program or a command.
    #[error(transparent)]
    Harness(#[from] scrobble_harness::Error),
    /// The simulator's scripting.
    #[error(transparent)]
    Simulator(#[from] scrobble_simulator::ClientError),
    /// What was seen is not what should be.
    #[error("{0}")]
    Story(String),
}

impl Failure {
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
