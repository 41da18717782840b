//! What failures of one class have in common.

use super::{Counts, EventType, Facts, MendedBy, Owner, Retry};
use crate::api::condition::{ConditionType, Reason};
use crate::api::v1alpha1::FailureType;

/// What objects and Secrets say, which a human must change. Nothing is sent.
pub(super) const CONFIGURED: Facts = Facts {
    owner: Owner::Account,
    counts: Counts::Nowhere,
    retry: Retry::OnChange,
    mended_by: MendedBy::Reference,
    reason: Reason::ConfigurationInvalid,
    failure_type: FailureType::Configuration,
    event: EventType::Warning,
    stalled: true,
    condition: ConditionType::Authorized,
    remedy: "",
};
/// A Secret that cannot be used.
pub(super) const SECRET: Facts = Facts { mended_by: MendedBy::Secret, ..CONFIGURED };
/// Spotify says no, and a slow probe asks again.
pub(super) const REFUSED: Facts = Facts { retry: Retry::AtItsTime, failure_type: FailureType::Auth, ..SECRET };
/// Trouble of Spotify's that passes by itself.
pub(super) const PASSING: Facts = Facts {
    owner: Owner::App,
    counts: Counts::Account,
    retry: Retry::Later,
    mended_by: MendedBy::Time,
    reason: Reason::UpstreamUnavailable,
    failure_type: FailureType::Upstream,
    event: EventType::Warning,
    stalled: false,
    condition: ConditionType::Synced,
    remedy: "nothing: the operator tries again; see https://status.spotify.dev if it lasts",
};
/// The way to Spotify.
pub(super) const NETWORK: Facts = Facts {
    owner: Owner::Operator,
    reason: Reason::NetworkError,
    failure_type: FailureType::Network,
    remedy: "nothing: the operator tries again; if it lasts, check the cluster's way out and its name server",
    ..PASSING
};
/// The cluster does not do what is asked; its word for it is that of the network.
pub(super) const CLUSTER: Facts =
    Facts { remedy: "nothing: the operator tries again; if it lasts, check the API server", ..NETWORK };
/// Spotify asks to be left alone.
pub(super) const ASKED: Facts = Facts {
    owner: Owner::App,
    counts: Counts::App,
    retry: Retry::AtItsTime,
    reason: Reason::RateLimited,
    failure_type: FailureType::RateLimited,
    event: EventType::Normal,
    remedy: "nothing: the operator waits for as long as it was asked to, then goes on",
    ..PASSING
};
/// An error that says when to come back.
pub(super) const BUSY: Facts =
    Facts { reason: Reason::UpstreamUnavailable, counts: Counts::Account, event: EventType::Warning, ..ASKED };
/// A target's own trouble that passes by itself.
pub(super) const AT_TARGET: Facts = Facts {
    owner: Owner::Target,
    counts: Counts::Target,
    reason: Reason::TargetFailing,
    failure_type: FailureType::Target,
    condition: ConditionType::Ready,
    remedy: "nothing: plays wait and are tried again; if it lasts, the target's owner looks after the service",
    ..PASSING
};
/// A target that says no, and a slow probe asks again.
pub(super) const STOPPED: Facts = Facts {
    counts: Counts::Nowhere,
    retry: Retry::AtItsTime,
    mended_by: MendedBy::Outside,
    stalled: true,
    ..AT_TARGET
};
/// A target that asks to be left alone.
pub(super) const TARGET_ASKS: Facts = Facts {
    owner: Owner::Target,
    failure_type: FailureType::Target,
    condition: ConditionType::Ready,
    remedy: "nothing: plays wait for as long as the service asks, then are sent",
    ..ASKED
};
/// A fault of the operator.
pub(super) const INTERNAL: Facts = Facts {
    owner: Owner::Operator,
    reason: Reason::InternalError,
    failure_type: FailureType::Unknown,
    remedy: "nothing: the operator tries again; if it lasts, report it with the lines of the log that name this account",
    ..PASSING
};
