//! What the API server refused.

use kube::core::Status;

/// A request to the API server failed. Messages hold no object content.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// The object is not there.
    #[error("could not {action}: it does not exist")]
    NotFound {
        /// What was attempted.
        action: &'static str,
    },
    /// Somebody wrote the object since it was read, or it exists already.
    #[error("could not {action}: somebody else wrote it")]
    Conflict {
        /// What was attempted.
        action: &'static str,
    },
    /// RBAC or an admission policy does not allow it.
    #[error("could not {action}: it is forbidden")]
    Forbidden {
        /// What was attempted.
        action: &'static str,
    },
    /// The API server finds the object invalid (an immutable Secret answers so).
    #[error("could not {action}: the API server finds it invalid")]
    Invalid {
        /// What was attempted.
        action: &'static str,
    },
    /// No answer within the deadline.
    #[error("could not {action}: no answer within the deadline")]
    Timeout {
        /// What was attempted.
        action: &'static str,
    },
    /// Anything else, such as an API server that is away.
    #[error("could not {action}")]
    Unavailable {
        /// What was attempted.
        action: &'static str,
        /// The client's error.
        #[source]
        source: Box<kube::Error>,
    },
}

impl ClusterError {
    /// One word, for logs.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "NotFound",
            Self::Conflict { .. } => "Conflict",
            Self::Forbidden { .. } => "Forbidden",
            Self::Invalid { .. } => "Invalid",
            Self::Timeout { .. } => "Timeout",
            Self::Unavailable { .. } => "Unavailable",
        }
    }

    pub(super) fn from_kube(action: &'static str, source: kube::Error) -> Self {
        match &source {
            kube::Error::Api(status) if status.is_not_found() => Self::NotFound { action },
            kube::Error::Api(status) if status.is_conflict() || status.is_already_exists() => Self::Conflict { action },
            kube::Error::Api(status) if status.is_forbidden() => Self::Forbidden { action },
            kube::Error::Api(status) if status.is_invalid() => Self::Invalid { action },
            _ => Self::Unavailable { action, source: Box::new(without_content(source)) },
        }
    }
}

/// What the API server, or a webhook behind it, says in its own words may repeat what it was sent, and what cannot be
/// parsed is quoted: code and reason are enough.
fn without_content(error: kube::Error) -> kube::Error {
    match error {
        kube::Error::Api(status) => {
            let Status { code, reason, .. } = *status;
            kube::Error::Api(Status { code, reason, ..Status::default() }.boxed())
        }
        kube::Error::SerdeError(_) | kube::Error::FromUtf8(_) => {
            kube::Error::Service("the answer cannot be read".into())
        }
        other => other,
    }
}
