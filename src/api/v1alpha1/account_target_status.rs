//! What the operator tells about one target of a `SpotifyAccount`.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{breaker::BreakerStatus, references::NamespacedReference};

/// One target of the account.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("required" = ["name"]))]
pub struct AccountTargetStatus {
    /// Name of the entry in `spec.targets`.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,

    /// The `ScrobbleTarget` that the entry named when it was attached; another one is a new attachment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_ref: Option<NamespacedReference>,

    /// Healthy: deliveries succeed. Failing: the last ones did not. CircuitOpen: too many failed; plays wait.
    /// Unauthorized: the service refuses the listener's key. Suspended: the service wants no more. Idle: another account
    /// serves this listener there.
    pub state: TargetState,

    /// The reason of a state other than Healthy.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub reason: Option<String>,

    /// When the target was attached; without a `startTime` it receives plays heard since.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attached_time: Option<Time>,

    /// When the service last accepted a play.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_delivery_time: Option<Time>,

    /// Plays that wait for this target.
    #[schemars(range(min = 0))]
    pub pending: i64,

    /// Plays that the service refused for good; the annotation `scrobble-operator.io/retry-quarantined-at` sends them
    /// again.
    #[schemars(range(min = 0))]
    pub quarantined: i64,

    /// Why the service refused the last of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub last_quarantine_reason: Option<String>,

    /// Whether somebody else scrobbles the same plays there; absent while that is not known or not asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub foreign_scrobbler: Option<ForeignScrobbler>,

    /// Names the credentials that the service was last asked about, without telling them. Opaque.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub credentials_id: Option<String>,

    /// What plays hold back whose second another track has taken at a Maloja, for all accounts of that server. Opaque.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 16)), extend("x-kubernetes-list-type" = "atomic"))]
    pub held_back: Vec<String>,

    /// Plays given up because too many waited.
    #[schemars(range(min = 0))]
    pub dropped_total: i64,

    /// When the oldest play that waits becomes too old for the service; told from four days before on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub too_old_time: Option<Time>,

    /// Failures in a row.
    #[schemars(range(min = 0))]
    pub consecutive_failures: i32,

    /// When a failed delivery is tried again; absent while there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_attempt_time: Option<Time>,

    /// The circuit breaker that this account's plays wait for at this target: its own, or the target's. Absent while it is
    /// closed, and while nothing waits for the target's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub circuit_breaker: Option<BreakerStatus>,

    /// Whose circuit breaker keeps plays from this target; absent while none does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub circuit_breaker_of: Option<BreakerOwner>,

    /// What happened last and what to do, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub message: Option<String>,
}

/// Whose circuit breaker it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum BreakerOwner {
    /// This account's own: deliveries of others may succeed.
    Account,
    /// The target's: nobody delivers there.
    Target,
}

/// Whether somebody else scrobbles the same plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum ForeignScrobbler {
    /// Nobody does, as far as recent plays tell.
    Absent,
    /// Three or more of the plays to be sent were there already, at other seconds.
    Found,
}

/// How a target fares for one account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum TargetState {
    /// Deliveries succeed, or there was none yet.
    #[default]
    Healthy,
    /// The last deliveries failed and will be tried again.
    Failing,
    /// Too many deliveries failed; plays wait for the next probe.
    CircuitOpen,
    /// The service refuses the listener's key.
    Unauthorized,
    /// The service wants no more plays.
    Suspended,
    /// Another account serves this listener there.
    Idle,
}
