//! `SpotifyAccount`: one listener.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    account_status::SpotifyAccountStatus,
    duration::GoDuration,
    references::{CredentialsReference, NamespacedReference, SecretReference},
    schema,
};

/// One listener: where the Spotify token is, how often to read, and which services receive the plays.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "scrobble-operator.io",
    version = "v1alpha1",
    kind = "SpotifyAccount",
    namespaced,
    doc = "One Spotify listener whose plays are carried to scrobble services.",
    status = "SpotifyAccountStatus",
    derive = "PartialEq",
    shortname = "spacct",
    category = "scrobble",
    selectable = ".spec.appRef.name",
    selectable = ".spec.plan",
    printcolumn(
        name = "Ready",
        type_ = "string",
        description = "Whether plays are flowing",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#
    ),
    printcolumn(
        name = "Status",
        type_ = "string",
        description = "The reason of Ready",
        json_path = r#".status.conditions[?(@.type=="Ready")].reason"#
    ),
    printcolumn(
        name = "Last Play",
        type_ = "date",
        description = "How long ago the newest known play was heard",
        json_path = ".status.sync.lastPlayTime"
    ),
    printcolumn(
        name = "Pending",
        type_ = "integer",
        description = "Plays that wait for a target",
        json_path = ".status.sync.pendingTotal"
    ),
    printcolumn(
        name = "Reauthorize By",
        type_ = "string",
        description = "When the listener has to authorize the app again",
        json_path = ".status.authorization.reauthorizeBy"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        description = "How long ago the object was created",
        json_path = ".metadata.creationTimestamp"
    ),
    printcolumn(
        name = "App",
        type_ = "string",
        description = "The SpotifyApp in use",
        json_path = ".spec.appRef.name",
        priority = 1
    ),
    printcolumn(
        name = "Next Attempt",
        type_ = "string",
        description = "When a failed read is tried again; empty while on schedule",
        json_path = ".status.failures.nextAttemptTime",
        priority = 1
    ),
    printcolumn(
        name = "Failures",
        type_ = "integer",
        description = "Failures in a row",
        json_path = ".status.failures.consecutive",
        priority = 1
    ),
    printcolumn(
        name = "Circuit",
        type_ = "string",
        description = "State of the account's circuit breaker",
        json_path = ".status.circuitBreaker.state",
        priority = 1
    ),
    printcolumn(
        name = "Plan",
        type_ = "string",
        description = "The ScrobblePlan asked for",
        json_path = ".spec.plan",
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
pub struct SpotifyAccountSpec {
    /// The `SpotifyApp` that the listener has authorized.
    pub app_ref: NamespacedReference,

    /// The Secret with the listener's Spotify token, in the account's namespace and labelled
    /// `scrobble-operator.io/use: token`. A human gives it the key `refresh-token`; the operator keeps it up to date.
    pub token_secret_ref: SecretReference,

    /// How plays are read.
    #[serde(default)]
    pub sync: SyncPolicy,

    /// The services that receive the plays, 1 to 16, each under a name of its own.
    #[schemars(
        length(min = 1, max = 16),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub targets: Vec<AccountTarget>,

    /// Name of the `ScrobblePlan` that says what the account is entitled to. Absent: none, and the operator's own
    /// bounds hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::object_name")]
    pub plan: Option<String>,

    /// True stops reading and delivering; plays heard meanwhile are delivered afterwards if Spotify still shows them.
    #[serde(default)]
    pub suspend: bool,
}

/// How plays are read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SyncPolicy {
    /// The longest time between two reads, 1s to 24h; someone who listens fast is read more often. The operator's
    /// `--minimum-interval` and the plan's `minInterval` raise shorter ones; a budget, rate limit or circuit breaker may
    /// stretch it. `status.sync.interval` is the one in force.
    pub interval: GoDuration,

    /// Plays heard before this time are not delivered. Absent: everything that Spotify still shows at the first read.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::timestamp")]
    pub start_time: Option<Time>,
}

impl Default for SyncPolicy {
    fn default() -> Self {
        Self { interval: GoDuration::from_mins(20), start_time: None }
    }
}

/// One service that receives the plays.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccountTarget {
    /// Name of the entry, unique in the list; status and metrics speak of the target by it.
    #[schemars(schema_with = "schema::label_name")]
    pub name: String,

    /// The `ScrobbleTarget`.
    pub target_ref: NamespacedReference,

    /// The listener's key at the service; forbidden for a Webhook, required for the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_ref: Option<CredentialsReference>,

    /// Plays heard before this time are not delivered to this target. Absent: `sync.startTime` for a target that was
    /// there at the first read, else the time when the target was attached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::timestamp")]
    pub start_time: Option<Time>,
}
