//! What the operator remembers of requests for a `SpotifyAccount`.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Requests by `reconcile-requested-at`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RequestStatus {
    /// When the last one was granted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_time: Option<Time>,

    /// When the first one of the running 24 hours was granted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub day_start_time: Option<Time>,

    /// How many were granted since.
    #[schemars(range(min = 0))]
    pub granted_in_day: i64,
}
