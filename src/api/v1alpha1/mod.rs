//! Version v1alpha1: four kinds, one a file, and the fields they share.

#![allow(
    clippy::doc_markdown,
    reason = "`kubectl explain` shows these texts, and words that stand in YAML need no marks"
)]
#![allow(clippy::duplicated_attributes, reason = "printer columns of one kind have types and priorities in common")]

mod account;
mod account_request_status;
mod account_status;
mod account_target_status;
mod app;
mod breaker;
mod duration;
mod namespaces;
mod plan;
mod references;
mod schema;
mod target;

pub use account::{AccountTarget, SpotifyAccount, SpotifyAccountSpec, SyncPolicy};
pub use account_request_status::RequestStatus;
pub use account_status::{
    AuthorizationFlow, AuthorizationStatus, FailureStatus, FailureType, HistoryEntry, HistoryOutcome, MembershipStatus,
    NotificationStatus, SpotifyAccountStatus, SyncStatus, TokenStatus,
};
pub use account_target_status::{AccountTargetStatus, BreakerOwner, ForeignScrobbler, TargetState};
pub use app::{
    NotificationWebhookState, NotificationWebhookStatus, Notifications, Quota, QuotaHour, QuotaStatus,
    RefusedClientStatus, SpotifyApp, SpotifyAppSpec, SpotifyAppStatus,
};
pub use breaker::{
    AppCircuitBreaker, BreakerLimits, BreakerState, BreakerStatus, RateLimitStatus, TargetCircuitBreaker,
};
pub use duration::{GoDuration, InvalidDuration};
pub use namespaces::{AllowedNamespaces, NamespacesFrom, PlanNamespaces, PlanNamespacesFrom};
pub use plan::{PlanMember, ScrobblePlan, ScrobblePlanSpec, ScrobblePlanStatus};
pub use references::{CredentialsReference, NamespacedReference, SecretKeyReference, SecretReference};
pub use target::{
    LastFm, ListenBrainz, Maloja, OnForeignScrobbler, PlayTimestamp, ScrobbleTarget, ScrobbleTargetSpec,
    ScrobbleTargetStatus, TargetType, Webhook,
};
