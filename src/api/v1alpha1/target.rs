//! `ScrobbleTarget`: a service that receives plays.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    breaker::{BreakerStatus, RateLimitStatus, TargetCircuitBreaker},
    namespaces::AllowedNamespaces,
    references::SecretKeyReference,
    schema,
};

/// A service that receives plays: its type, where it is, and who may use it.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "scrobble-operator.io",
    version = "v1alpha1",
    kind = "ScrobbleTarget",
    namespaced,
    doc = "A scrobble service or webhook that receives plays, and the namespaces that may use it.",
    status = "ScrobbleTargetStatus",
    derive = "PartialEq",
    shortname = "starget",
    category = "scrobble",
    printcolumn(
        name = "Ready",
        type_ = "string",
        description = "Whether accounts can use the target",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#
    ),
    printcolumn(
        name = "Status",
        type_ = "string",
        description = "The reason of Ready",
        json_path = r#".status.conditions[?(@.type=="Ready")].reason"#
    ),
    printcolumn(name = "Type", type_ = "string", description = "The kind of service", json_path = ".spec.type"),
    printcolumn(
        name = "Accounts",
        type_ = "integer",
        description = "Accounts that use the target",
        json_path = ".status.accounts"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        description = "How long ago the object was created",
        json_path = ".metadata.creationTimestamp"
    ),
    printcolumn(
        name = "URL",
        type_ = "string",
        description = "The URL in use",
        json_path = ".status.url",
        priority = 1
    ),
    printcolumn(
        name = "Blocked Until",
        type_ = "string",
        description = "When the service's rate limit ends; empty while there is none",
        json_path = ".status.rateLimit.untilTime",
        priority = 1
    ),
    printcolumn(
        name = "Circuit",
        type_ = "string",
        description = "State of the target's circuit breaker",
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
#[x_kube(
    validation = Rule::new("self.type != 'LastFm' || has(self.lastFm)")
        .message("lastFm is required when type is LastFm: set lastFm.apiKeyRef and lastFm.sharedSecretRef"),
    validation = Rule::new("self.type == 'LastFm' || !has(self.lastFm)")
        .message("lastFm must not be set unless type is LastFm: remove it"),
    validation = Rule::new("self.type == 'ListenBrainz' || !has(self.listenBrainz)")
        .message("listenBrainz must not be set unless type is ListenBrainz: remove it"),
    validation = Rule::new("self.type == 'Maloja' || !has(self.maloja)")
        .message("maloja must not be set unless type is Maloja: remove it"),
    validation = Rule::new("self.type != 'Webhook' || has(self.webhook)")
        .message("webhook is required when type is Webhook: set webhook.signingKeyRef"),
    validation = Rule::new("self.type == 'Webhook' || !has(self.webhook)")
        .message("webhook must not be set unless type is Webhook: remove it"),
    validation = Rule::new("!(self.type in ['Maloja', 'Webhook']) || has(self.url)")
        .message("url is required when type is Maloja or Webhook: set it to the address of your server"),
    validation = Rule::new("self.type == 'Webhook' || !has(self.url) || !self.url.contains('?')")
        .message("url must not have a query unless type is Webhook: remove '?' and what follows")
)]
pub struct ScrobbleTargetSpec {
    /// The kind of service: LastFm (and what speaks its protocol), ListenBrainz (the same), Maloja or Webhook.
    /// Immutable: what was delivered is remembered for it.
    #[serde(rename = "type")]
    #[x_kube(
        validation = Rule::new("self == oldSelf")
            .message("type is immutable: create another ScrobbleTarget and refer to that one")
    )]
    pub target_type: TargetType,

    /// Where the service is. Required for Maloja and Webhook. Absent for LastFm or ListenBrainz: the service's own;
    /// `status.url` tells the one in use. https, or http to an address that `--allow-private-targets` names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::url")]
    pub url: Option<String>,

    /// The time a play is given. PlayedAt: the second that Spotify reports, about the end of the play. EstimatedStart:
    /// that minus the track's duration, a guess. Immutable: services recognise repeats by the time.
    #[serde(default)]
    #[x_kube(
        validation = Rule::new("self == oldSelf")
            .message("timestamp is immutable because services recognise repeats by it: create another ScrobbleTarget")
    )]
    pub timestamp: PlayTimestamp,

    /// Settings of a LastFm target; required for that type, else forbidden.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_fm: Option<LastFm>,

    /// Settings of a ListenBrainz target; forbidden for other types.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listen_brainz: Option<ListenBrainz>,

    /// Settings of a Maloja target; forbidden for other types.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maloja: Option<Maloja>,

    /// Settings of a Webhook target; required for that type, else forbidden.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<Webhook>,

    /// Which namespaces' accounts may use the target.
    #[serde(default)]
    pub allowed_namespaces: AllowedNamespaces,

    /// When the operator stops calling the service after failures, and how it probes.
    #[serde(default)]
    pub circuit_breaker: TargetCircuitBreaker,
}

/// The kind of service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum TargetType {
    /// Last.fm's API 2.0.
    LastFm,
    /// The API of ListenBrainz.
    ListenBrainz,
    /// Maloja's native API.
    Maloja,
    /// A signed POST.
    Webhook,
}

impl TargetType {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::LastFm, Self::ListenBrainz, Self::Maloja, Self::Webhook];

    /// The word as it stands in `spec.type`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LastFm => "LastFm",
            Self::ListenBrainz => "ListenBrainz",
            Self::Maloja => "Maloja",
            Self::Webhook => "Webhook",
        }
    }

    /// The key that `credentialsRef` means when it names none; none for a Webhook, which has no listener's key.
    pub const fn credentials_key(self) -> Option<&'static str> {
        match self {
            Self::LastFm => Some("session-key"),
            Self::ListenBrainz => Some("token"),
            Self::Maloja => Some("api-key"),
            Self::Webhook => None,
        }
    }

    /// The service's own URL, where there is one service of the type.
    pub const fn own_url(self) -> Option<&'static str> {
        match self {
            Self::LastFm => Some("https://ws.audioscrobbler.com/2.0/"),
            Self::ListenBrainz => Some("https://api.listenbrainz.org"),
            Self::Maloja | Self::Webhook => None,
        }
    }
}

impl ScrobbleTargetSpec {
    /// The most plays of one request: Last.fm's own bound (last.fm/api, "track.scrobble"), what `listenBrainz` says, or one.
    pub fn batch_size(&self) -> usize {
        match self.target_type {
            TargetType::LastFm => 50,
            TargetType::ListenBrainz => {
                let size = self.listen_brainz.as_ref().map_or(ListenBrainz::default().batch_size, |it| it.batch_size);
                usize::try_from(size).unwrap_or(1).max(1)
            }
            TargetType::Maloja | TargetType::Webhook => 1,
        }
    }

    /// The keys of the target's own, which are the same for all listeners.
    pub fn own_keys(&self) -> Vec<&SecretKeyReference> {
        let last_fm = self.last_fm.iter().flat_map(|settings| [&settings.api_key_ref, &settings.shared_secret_ref]);
        last_fm.chain(self.webhook.iter().map(|settings| &settings.signing_key_ref)).collect()
    }
}

/// The time a play is given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum PlayTimestamp {
    /// What Spotify reports, in whole seconds, rounded down.
    #[default]
    PlayedAt,
    /// What Spotify reports minus the track's duration.
    EstimatedStart,
}

/// Settings of a LastFm target.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LastFm {
    /// The API key of the application registered at the service, in a Secret of the target's namespace labelled
    /// `scrobble-operator.io/use: target`.
    pub api_key_ref: SecretKeyReference,

    /// The shared secret that signs requests, in a Secret of the target's namespace labelled
    /// `scrobble-operator.io/use: target`.
    pub shared_secret_ref: SecretKeyReference,

    /// What to do where somebody else scrobbles the same plays there, such as Last.fm's own link to Spotify. Hold: wait,
    /// with reason `ForeignScrobbler`, until the link is removed and a read is requested, or this is set to Send. Send:
    /// deliver all the same.
    #[serde(default)]
    pub on_foreign_scrobbler: OnForeignScrobbler,
}

/// What to do where somebody else scrobbles the same plays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum OnForeignScrobbler {
    /// Wait for a human.
    #[default]
    Hold,
    /// Deliver all the same.
    Send,
}

/// Settings of a ListenBrainz target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ListenBrainz {
    /// The most plays in one request, 1 to 100.
    #[schemars(range(min = 1, max = 100))]
    pub batch_size: i32,
}

impl Default for ListenBrainz {
    fn default() -> Self {
        Self { batch_size: 100 }
    }
}

/// Settings of a Maloja target: none yet.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Maloja {}

/// Settings of a Webhook target.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Webhook {
    /// The key that signs requests (HMAC-SHA256), in a Secret of the target's namespace labelled
    /// `scrobble-operator.io/use: target`.
    pub signing_key_ref: SecretKeyReference,
}

/// What the operator knows about the target.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ScrobbleTargetStatus {
    /// The `metadata.generation` that this status speaks of.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub observed_generation: Option<i64>,

    /// Ready; Reconciling, Stalled and CircuitOpen only while True.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,

    /// The URL in use: `spec.url`, or the service's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub url: Option<String>,

    /// How many accounts use the target.
    #[schemars(range(min = 0))]
    pub accounts: i32,

    /// The service's rate limit, shared by all accounts of the target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<RateLimitStatus>,

    /// The target's circuit breaker; absent while it is closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub circuit_breaker: Option<BreakerStatus>,

    /// Names the spec and the versions of the target's own Secrets with which the breaker opened: with others, one request
    /// probes at once. Opaque.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub failing_version: Option<String>,
}
