//! `SpotifyApp`: an OAuth client at Spotify.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    breaker::{AppCircuitBreaker, BreakerStatus, RateLimitStatus},
    namespaces::AllowedNamespaces,
    references::SecretKeyReference,
    schema,
};

/// An OAuth client at Spotify: its credentials, its call budget and who may use it.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "scrobble-operator.io",
    version = "v1alpha1",
    kind = "SpotifyApp",
    namespaced,
    doc = "An OAuth client at Spotify, with its call budget and the namespaces that may use it.",
    status = "SpotifyAppStatus",
    derive = "PartialEq",
    shortname = "spapp",
    category = "scrobble",
    printcolumn(
        name = "Ready",
        type_ = "string",
        description = "Whether accounts can use the app",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#
    ),
    printcolumn(
        name = "Status",
        type_ = "string",
        description = "The reason of Ready",
        json_path = r#".status.conditions[?(@.type=="Ready")].reason"#
    ),
    printcolumn(
        name = "Accounts",
        type_ = "integer",
        description = "Accounts that use the app",
        json_path = ".status.accounts"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        description = "How long ago the object was created",
        json_path = ".metadata.creationTimestamp"
    ),
    printcolumn(
        name = "Quota Group",
        type_ = "string",
        description = "The Spotify developer account whose quota the app shares",
        json_path = ".spec.quota.group",
        priority = 1
    ),
    printcolumn(
        name = "Daily Calls",
        type_ = "integer",
        description = "Calls allowed in any 24 hours; 0 is unlimited",
        json_path = ".spec.quota.dailyCalls",
        priority = 1
    ),
    printcolumn(
        name = "Blocked Until",
        type_ = "string",
        description = "When Spotify's rate limit ends; empty while there is none",
        json_path = ".status.rateLimit.untilTime",
        priority = 1
    ),
    printcolumn(
        name = "Circuit",
        type_ = "string",
        description = "State of the app's circuit breaker",
        json_path = ".status.circuitBreaker.state",
        priority = 1
    ),
    printcolumn(
        name = "Message",
        type_ = "string",
        description = "The message of Ready",
        json_path = r#".status.conditions[?(@.type=="Ready")].message"#,
        priority = 1
    )
)]
#[serde(rename_all = "camelCase")]
pub struct SpotifyAppSpec {
    /// The client id that Spotify's developer dashboard shows: 32 hexadecimal digits. Immutable: tokens belong to it.
    #[schemars(length(max = 64), regex(pattern = "^[0-9a-f]{32}$"))]
    #[x_kube(
        validation = Rule::new("self.matches('^[0-9a-f]{32}$')")
            .message("clientId must be the 32 hexadecimal digits that Spotify's developer dashboard shows"),
        validation = Rule::new("self == oldSelf")
            .message("clientId is immutable because tokens belong to it: create another SpotifyApp and refer to that one")
    )]
    pub client_id: String,

    /// The client secret, in a Secret of the app's namespace labelled `scrobble-operator.io/use: client`. Absent: a
    /// public client, whose listeners authorize it with PKCE.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret_ref: Option<SecretKeyReference>,

    /// How many calls may be sent to Spotify's Web API.
    #[serde(default)]
    pub quota: Quota,

    /// Which namespaces' accounts may use the app.
    #[serde(default)]
    pub allowed_namespaces: AllowedNamespaces,

    /// A webhook that is told when an account needs a human. Absent: nobody is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notifications: Option<Notifications>,

    /// When the operator stops calling Spotify for the app after failures, and how it probes.
    #[serde(default)]
    pub circuit_breaker: AppCircuitBreaker,
}

/// How many calls may be sent to Spotify's Web API.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Quota {
    /// Names the Spotify developer account: apps of the namespace with the same group share one budget, as Spotify
    /// counts it. Absent: the app has a budget of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::label_name")]
    pub group: Option<String>,

    /// Calls allowed in any 24 hours, token refreshes not counted; 0 is unlimited. The smallest of a group holds.
    #[schemars(range(min = 0, max = 10_000_000))]
    pub daily_calls: i32,
}

impl Default for Quota {
    fn default() -> Self {
        Self { group: None, daily_calls: 400 }
    }
}

/// A webhook that is told when an account needs a human.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Notifications {
    /// Where notifications are sent with POST. https, or http to an address that `--allow-private-targets` names.
    #[schemars(schema_with = "schema::url")]
    pub url: String,

    /// The key that signs notifications (HMAC-SHA256), in a Secret of the app's namespace labelled
    /// `scrobble-operator.io/use: client`. Absent: they are not signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signing_key_ref: Option<SecretKeyReference>,
}

/// What the operator knows about the app.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SpotifyAppStatus {
    /// The `metadata.generation` that this status speaks of.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub observed_generation: Option<i64>,

    /// Ready; Reconciling, Stalled and CircuitOpen only while True.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,

    /// How many accounts use the app.
    #[schemars(range(min = 0))]
    pub accounts: i32,

    /// Spotify's 30-second rate limit, shared by all accounts of the app.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<RateLimitStatus>,

    /// Spotify's daily quota and the calls already reserved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quota: Option<QuotaStatus>,

    /// The app's circuit breaker.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub circuit_breaker: Option<BreakerStatus>,

    /// The client credentials that Spotify refuses (`invalid_client`): which they are, not what. Absent while it refuses none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused_client: Option<RefusedClientStatus>,

    /// What is wrong with the notification webhook, as the last notice showed. Absent while nothing is known to be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notifications: Option<NotificationWebhookStatus>,
}

/// What is wrong with the notification webhook. Accounts are served all the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NotificationWebhookStatus {
    /// Failing or Gone.
    pub state: NotificationWebhookState,

    /// Why, a word of the documented table.
    #[schemars(length(min = 1, max = 64))]
    pub reason: String,

    /// What is wrong and what to do.
    #[schemars(length(max = 1024))]
    pub message: String,

    /// Since when it is in this state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since_time: Option<Time>,

    /// The app's `metadata.generation` that this speaks of: with another spec the webhook is told again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub observed_generation: Option<i64>,
}

/// What becomes of notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum NotificationWebhookState {
    /// The last one did not arrive; each is tried a few times.
    Failing,
    /// The webhook answered 410 and is told nothing until the spec changes.
    Gone,
}

/// Which client credentials Spotify refuses; other ones are tried as soon as they are seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RefusedClientStatus {
    /// The app's `metadata.generation` at that time.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub generation: Option<i64>,

    /// The client Secret's `metadata.uid`; absent for a public client.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub secret_uid: Option<String>,

    /// The client Secret's `metadata.resourceVersion`; absent for a public client.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub secret_resource_version: Option<String>,
}

/// Spotify's daily quota and the calls already reserved.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct QuotaStatus {
    /// No call is sent before this time, because Spotify said that the daily quota is used up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until_time: Option<Time>,

    /// Start of the rolling 24 hours that `hours` covers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window_start_time: Option<Time>,

    /// Calls that this app reserved, hour by hour, the newest 25.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 25),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["time"])
    )]
    pub hours: Vec<QuotaHour>,
}

/// The calls reserved in one clock hour.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct QuotaHour {
    /// Start of the clock hour, UTC.
    pub time: Time,

    /// Calls reserved in it.
    #[schemars(range(min = 0))]
    pub calls: i64,
}
