//! What the operator tells about a `SpotifyAccount`.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    account_request_status::RequestStatus,
    account_target_status::AccountTargetStatus,
    breaker::{BreakerState, BreakerStatus},
    duration::GoDuration,
    schema,
};

/// What the operator knows about the account. Times and counts are as of the last write, which a read without a new
/// play does not cause.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SpotifyAccountStatus {
    /// The `metadata.generation` that this status speaks of.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub observed_generation: Option<i64>,

    /// The value of the annotation `scrobble-operator.io/reconcile-requested-at` that was handled last.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub last_handled_reconcile_at: Option<String>,

    /// The value of the annotation `scrobble-operator.io/retry-quarantined-at` that was handled last.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub last_handled_retry_at: Option<String>,

    /// How often a reconcile was asked for by that annotation, and granted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests: Option<RequestStatus>,

    /// Ready, Authorized and Synced; Reconciling, Stalled, CircuitOpen and Suspended only while True.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,

    /// What the listener has granted, and until when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorization: Option<AuthorizationStatus>,

    /// The life of the access token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<TokenStatus>,

    /// What was read and delivered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sync: Option<SyncStatus>,

    /// Each target by the name of its entry in `spec.targets`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub targets: Vec<AccountTargetStatus>,

    /// Failures in a row of refreshing and reading; deliveries are counted for each target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failures: Option<FailureStatus>,

    /// The account's own circuit breaker.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub circuit_breaker: Option<BreakerStatus>,

    /// What was sent to the app's notification webhook about this account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notifications: Option<NotificationStatus>,

    /// The account's place in a plan.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub membership: Option<MembershipStatus>,

    /// The last outcomes, newest first, at most 5; a repeated one is counted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 5), extend("x-kubernetes-list-type" = "atomic"))]
    pub history: Vec<HistoryEntry>,

    /// Which of the newest plays went where. Opaque: only the operator reads and writes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub ledger: Option<String>,
}

/// What the listener has granted, and until when.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AuthorizationStatus {
    /// When the listener authorized the app, as the token Secret says, or when the operator first saw the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorized_time: Option<Time>,

    /// `authorizedTime` plus 180 days: the earliest time at which Spotify may end the authorization.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expiry_time: Option<Time>,

    /// True when the token Secret does not say when the listener authorized the app, so that the end may come earlier.
    pub estimated: bool,

    /// The day of `expiryTime` for people: `2027-05-20`, or `at the latest 2027-05-20` when it is estimated.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub reauthorize_by: Option<String>,

    /// The newest warning of `expiryTime` that was given for this authorization, in days before it: 30, 7 or 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 30))]
    pub last_warning_days: Option<i32>,

    /// How the token was obtained: confidential (with a client secret) or pkce.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flow: Option<AuthorizationFlow>,

    /// The scopes that Spotify granted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 32),
        inner(length(max = 64)),
        extend("x-kubernetes-list-type" = "set")
    )]
    pub scopes: Vec<String>,

    /// The Spotify user id of the listener; another one than before is a `ListenerMismatch`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub spotify_account_id: Option<String>,

    /// When a refresh token that had been replaced was first found in the token Secret again, under this authorization:
    /// something puts it back, and the newest one stays in use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub put_back_time: Option<Time>,

    /// Names the authorization without telling the token: changes when a human gives a new one. Opaque.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub authorization_id: Option<String>,

    /// Names the refresh token that Spotify refused last, without telling it; another one is tried when it is seen. Opaque.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub refused_token_id: Option<String>,
}

/// How a token was obtained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AuthorizationFlow {
    /// By a client that has a secret (RFC 6749 section 2.1).
    Confidential,
    /// By a public client with a proof key (RFC 7636).
    Pkce,
}

impl AuthorizationFlow {
    /// The word as it stands in the token Secret.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Confidential => "confidential",
            Self::Pkce => "pkce",
        }
    }
}

/// The life of the access token.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct TokenStatus {
    /// When the access token ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expiry_time: Option<Time>,

    /// When the access token was last refreshed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_refresh_time: Option<Time>,

    /// When it is refreshed next if all goes well: a little ahead of the read that needs it, or just before that read.
    /// Absent while nothing is asked of Spotify.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_refresh_time: Option<Time>,

    /// When Spotify last replaced the refresh token; absent when it never did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_rotation_time: Option<Time>,
}

/// What was read and delivered.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SyncStatus {
    /// The last successful read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_sync_time: Option<Time>,

    /// When a target last accepted a play.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_successful_scrobble_time: Option<Time>,

    /// When the newest known play was heard.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_play_time: Option<Time>,

    /// The interval in force, after the plan, `--minimum-interval` and the budget.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::any_duration")]
    pub interval: Option<GoDuration>,

    /// Plays that wait, summed over all targets.
    #[schemars(range(min = 0))]
    pub pending_total: i64,

    /// Plays that targets have accepted, summed over all targets.
    #[schemars(range(min = 0))]
    pub scrobbled_total: i64,

    /// Plays that no target can take: no track, no title, no artist, or an episode.
    #[schemars(range(min = 0))]
    pub skipped_total: i64,

    /// How often more was heard between two reads than Spotify shows.
    #[schemars(range(min = 0))]
    pub gaps_total: i64,

    /// At most so many plays were lost in those gaps.
    #[schemars(range(min = 0))]
    pub lost_at_most_total: i64,

    /// When the last gap was found; `Synced` tells of it for 24 hours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_gap_time: Option<Time>,

    /// At most so many plays were lost in the last gap.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub last_gap_lost_at_most: Option<i64>,

    /// When the account was found suspended after its last successful read; the next one removes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspended_time: Option<Time>,

    /// At most so many plays heard while suspended were no longer shown afterwards.
    #[schemars(range(min = 0))]
    pub missed_while_suspended_at_most: i64,
}

/// Failures in a row of refreshing and reading.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct FailureStatus {
    /// Failures since the last success.
    #[schemars(range(min = 0))]
    pub consecutive: i32,

    /// What the last failure was about: Auth, Network, RateLimited, Upstream, Target, Configuration or Unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_type: Option<FailureType>,

    /// The reason of the last failure, a word of the documented table.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub last_reason: Option<String>,

    /// When the last failure happened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_time: Option<Time>,

    /// When it is tried again; absent while on schedule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_attempt_time: Option<Time>,
}

/// What a failure was about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum FailureType {
    /// The listener's authorization or the app's credentials.
    Auth,
    /// The connection.
    Network,
    /// Somebody asked to wait.
    RateLimited,
    /// Spotify's answer.
    Upstream,
    /// A target's answer.
    Target,
    /// What the objects say.
    Configuration,
    /// Something else.
    Unknown,
}

impl FailureType {
    /// The word as it stands in status and in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auth => "Auth",
            Self::Network => "Network",
            Self::RateLimited => "RateLimited",
            Self::Upstream => "Upstream",
            Self::Target => "Target",
            Self::Configuration => "Configuration",
            Self::Unknown => "Unknown",
        }
    }
}

/// What was sent to the app's notification webhook about this account.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct NotificationStatus {
    /// How often somebody was asked to authorize the app since the last authorization.
    #[schemars(range(min = 0))]
    pub auth_notification_count: i32,

    /// When the last notification was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_notification_time: Option<Time>,
}

/// The account's place in a plan.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct MembershipStatus {
    /// The plan in force: the one asked for, or its fallback.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub plan: Option<String>,

    /// The member's number, never used twice; absent unless the plan is numbered.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub number: Option<i64>,

    /// When the seat was granted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub granted_time: Option<Time>,
}

/// An outcome and how often it came.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HistoryEntry {
    /// Succeeded or Failed.
    pub outcome: HistoryOutcome,

    /// The reason, a word of the documented table.
    #[schemars(length(min = 1, max = 64))]
    pub reason: String,

    /// When the outcome came first.
    pub first_time: Time,

    /// When the outcome came last.
    pub last_time: Time,

    /// How often the outcome came in a row.
    #[schemars(range(min = 1))]
    pub count: i64,
}

/// How a pass ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum HistoryOutcome {
    /// As it should.
    Succeeded,
    /// With a failure; the reason says which.
    Failed,
}

impl SpotifyAccountStatus {
    /// The status of the target entry with this name.
    pub fn target(&self, name: &str) -> Option<&AccountTargetStatus> {
        self.targets.iter().find(|target| target.name == name)
    }

    /// State of the account's own breaker; closed when status does not tell.
    pub fn breaker_state(&self) -> BreakerState {
        self.circuit_breaker.as_ref().map_or(BreakerState::Closed, |breaker| breaker.state)
    }
}
