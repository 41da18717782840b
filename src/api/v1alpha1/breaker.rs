//! Circuit breakers and rate limits: what users set and what status tells.

use jiff::SignedDuration;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{duration::GoDuration, schema};

/// When the circuit breaker of a `SpotifyApp` opens and how it probes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new(schema::probe_order())
        .message("maxProbeAfter must not be shorter than probeAfter: raise maxProbeAfter or lower probeAfter")
)]
pub struct AppCircuitBreaker {
    /// Failures in a row that open the breaker.
    #[serde(default = "failure_threshold")]
    #[schemars(range(min = 1, max = 100))]
    pub failure_threshold: i32,

    /// How long an open breaker waits before it lets one request through.
    #[serde(default = "probe_after")]
    pub probe_after: GoDuration,

    /// The longest wait; a wait doubles up to it only where a human must act.
    #[serde(default = "app_max_probe_after")]
    pub max_probe_after: GoDuration,
}

impl Default for AppCircuitBreaker {
    fn default() -> Self {
        Self {
            failure_threshold: failure_threshold(),
            probe_after: probe_after(),
            max_probe_after: app_max_probe_after(),
        }
    }
}

/// When the circuit breaker of a `ScrobbleTarget` opens and how it probes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new(schema::probe_order())
        .message("maxProbeAfter must not be shorter than probeAfter: raise maxProbeAfter or lower probeAfter")
)]
pub struct TargetCircuitBreaker {
    /// Failures in a row that open the breaker.
    #[serde(default = "failure_threshold")]
    #[schemars(range(min = 1, max = 100))]
    pub failure_threshold: i32,

    /// How long an open breaker waits before it lets one request through.
    #[serde(default = "probe_after")]
    pub probe_after: GoDuration,

    /// The longest wait that doubling leads to.
    #[serde(default = "target_max_probe_after")]
    pub max_probe_after: GoDuration,
}

impl Default for TargetCircuitBreaker {
    fn default() -> Self {
        Self {
            failure_threshold: failure_threshold(),
            probe_after: probe_after(),
            max_probe_after: target_max_probe_after(),
        }
    }
}

fn failure_threshold() -> i32 {
    5
}

fn probe_after() -> GoDuration {
    GoDuration::from_mins(15)
}

fn app_max_probe_after() -> GoDuration {
    GoDuration::from_hours(24)
}

fn target_max_probe_after() -> GoDuration {
    GoDuration::from_hours(1)
}

/// What decides about a breaker, whatever it guards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerLimits {
    /// Failures in a row that open the breaker.
    pub failure_threshold: i32,
    /// The first wait.
    pub probe_after: SignedDuration,
    /// The longest wait.
    pub max_probe_after: SignedDuration,
}

impl From<&AppCircuitBreaker> for BreakerLimits {
    fn from(breaker: &AppCircuitBreaker) -> Self {
        Self {
            failure_threshold: breaker.failure_threshold,
            probe_after: breaker.probe_after.duration(),
            max_probe_after: breaker.max_probe_after.duration(),
        }
    }
}

impl From<&TargetCircuitBreaker> for BreakerLimits {
    fn from(breaker: &TargetCircuitBreaker) -> Self {
        Self {
            failure_threshold: breaker.failure_threshold,
            probe_after: breaker.probe_after.duration(),
            max_probe_after: breaker.max_probe_after.duration(),
        }
    }
}

/// State of a circuit breaker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum BreakerState {
    /// Requests pass.
    #[default]
    Closed,
    /// No request passes until the next probe.
    Open,
    /// One request is on its way; its outcome closes or opens the breaker.
    HalfOpen,
}

/// A circuit breaker as it stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct BreakerStatus {
    /// Closed: requests pass. Open: none passes until `nextProbeTime`. HalfOpen: one request is on its way.
    pub state: BreakerState,

    /// When the breaker opened; absent while it is closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opened_time: Option<Time>,

    /// When one request will be let through; absent while the breaker is closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_probe_time: Option<Time>,

    /// How often the breaker opened since it was last closed; decides how long it waits.
    #[schemars(range(min = 0))]
    pub trips: i32,
}

/// A wait that an upstream asked for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RateLimitStatus {
    /// No request is sent before this time, because the upstream answered 429 with `Retry-After`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until_time: Option<Time>,
}
