//! The answer: one type for `/diagnostics` and `scrobble-operator check`. Its JSON is described in `docs/diagnostics.md`.

use jiff::Timestamp;
use serde::Serialize;

use crate::api::condition::Reason;
use crate::api::v1alpha1::{BreakerStatus, FailureStatus, TargetState, TargetType};
use crate::plan::gate::Limit;
use crate::plan::problem::Problem;

/// What an account is like at this moment. Times are RFC 3339, whole seconds but for those of plays.
///
/// It holds no token, no key and nothing that an upstream answered but titles and artists of plays.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Diagnosis {
    /// `namespace/name`.
    pub account: String,
    /// When this was looked at.
    pub time: Timestamp,
    /// Ready is True, and plays were read just now.
    pub healthy: bool,
    /// The status of `Ready`, as of this look: True, False or Unknown.
    pub ready: String,
    /// Its reason.
    pub reason: String,
    /// What it says.
    pub message: String,
    /// Why Spotify was not asked; absent where it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_asked: Option<NotAsked>,
    /// What went wrong in this look.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<Finding>,
    /// The access token.
    pub token: TokenDiagnosis,
    /// What the listener has granted, and until when.
    pub authorization: AuthorizationDiagnosis,
    /// What Spotify shows; absent where it was not read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plays: Option<PlaysDiagnosis>,
    /// Each target, in the order of the spec.
    pub targets: Vec<TargetDiagnosis>,
    /// Failures in a row of refreshing and reading, as recorded; this look adds none.
    pub failures: FailureStatus,
    /// The account's own circuit breaker, as recorded.
    pub circuit_breaker: BreakerStatus,
    /// When a target last accepted a play.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_scrobble_time: Option<Timestamp>,
    /// The operator's last successful read; this look is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_read_time: Option<Timestamp>,
    /// When the operator asks Spotify next; absent where only a change of an object or a Secret can help.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_read_time: Option<Timestamp>,
    /// The gate of the app or its quota group that is closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gate: Option<GateDiagnosis>,
}

/// Why Spotify was not asked.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NotAsked {
    /// A word of the documented table of reasons.
    pub reason: &'static str,
    /// The same for people.
    pub message: String,
    /// Until when, if time ends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

impl NotAsked {
    pub(super) fn new(reason: Reason, message: impl Into<String>, until: Option<Timestamp>) -> Self {
        Self { reason: reason.as_str(), message: message.into(), until }
    }

    /// The account's plan has a seat for it that it has not taken: its first pass does.
    pub fn unseated() -> Self {
        Self::new(Reason::Progressing, "the account is about to take its place in the plan that it names", None)
    }

    /// Its first pass finds out how its token stands.
    pub fn unvisited() -> Self {
        Self::new(Reason::Progressing, "the account's first pass is about to come: ask again in a moment", None)
    }

    /// It was deleted meanwhile.
    pub fn gone() -> Self {
        Self::new(Reason::Progressing, "the account is being deleted", None)
    }

    /// People have looked at it so often that the calls of the day are kept for reads.
    pub fn looked_at_too_often(until: Timestamp) -> Self {
        let message = "the account was looked at too often today: the calls that are left are for reads";
        Self::new(Reason::RateLimited, message, Some(until))
    }

    /// Another process exchanges the token, or may, for longer than is waited.
    pub fn contended() -> Self {
        Self::new(Reason::Progressing, "an exchange is on its way, or may be, that comes first: ask again later", None)
    }

    /// The process stops, or the look has taken too long.
    pub fn cut_short() -> Self {
        Self::new(Reason::Progressing, "there was no time left to ask: ask again in a moment", None)
    }
}

impl From<Problem> for NotAsked {
    fn from(problem: Problem) -> Self {
        Self::new(problem.reason, problem.message, problem.not_before)
    }
}

/// Something that went wrong.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// A word of the documented table of reasons.
    pub reason: &'static str,
    /// What is wrong and what to do.
    pub message: String,
}

/// The access token.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TokenDiagnosis {
    /// How it stands.
    pub state: TokenState,
    /// When it ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expiry_time: Option<Timestamp>,
    /// Whole minutes until then, rounded down; zero once it has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_in_minutes: Option<i64>,
    /// This look has refreshed it.
    pub refreshed: bool,
}

/// How an access token stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum TokenState {
    /// It lives for longer than `--refresh-buffer`.
    Fresh,
    /// It lives, and is refreshed before it is used.
    Expiring,
    /// It has ended.
    Expired,
    /// Spotify refuses it although it should live.
    Refused,
    /// There is none yet.
    Absent,
    /// The token Secret cannot be used.
    Unusable,
    /// Nothing is known.
    Unknown,
}

/// What the listener has granted, and until when.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuthorizationDiagnosis {
    /// The status of `Authorized`: True, False or Unknown.
    pub authorized: String,
    /// Its reason.
    pub reason: String,
    /// The earliest time at which Spotify may end the authorization.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expiry_time: Option<Timestamp>,
    /// True where the token Secret does not say when the listener authorized the app: the end may come earlier.
    pub estimated: bool,
    /// Whole days until then, rounded down; negative once that day has passed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub days_left: Option<i64>,
}

/// What Spotify shows.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlaysDiagnosis {
    /// Entries of the page.
    pub shown: usize,
    /// Plays among them that the operator has not seen yet.
    pub new: usize,
    /// Entries that cannot be scrobbled.
    pub skipped: usize,
    /// The newest plays, at most three.
    pub samples: Vec<PlaySample>,
}

/// One play.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlaySample {
    /// When it ended, about.
    pub played_at: Timestamp,
    /// The artists' names, joined.
    pub artist: String,
    /// The title.
    pub title: String,
}

/// One target.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TargetDiagnosis {
    /// The entry's name.
    pub name: String,
    /// The `ScrobbleTarget`, as `namespace/name`.
    pub target: String,
    /// Its type, where it is known.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub target_type: Option<TargetType>,
    /// How it fares for this account.
    pub state: TargetState,
    /// The reason of a state other than Healthy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What happened last and what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Plays that it should have and has not: what waits, and what this look has found.
    pub would_receive: i64,
    /// The oldest of them, at most three.
    pub samples: Vec<PlaySample>,
    /// Those of them that were known to wait before this look.
    pub pending: i64,
    /// Plays that the service refused for good, this look's included.
    pub quarantined: i64,
    /// When a delivery is tried next; absent where nothing is in its way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_attempt_time: Option<Timestamp>,
    /// The circuit breaker that plays wait for there.
    pub circuit_breaker: BreakerStatus,
}

/// A closed gate.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GateDiagnosis {
    /// `Rate`: calls of the app in 30 seconds. `Quota`: those of the developer account in a day.
    pub limit: &'static str,
    /// Until when.
    pub until: Timestamp,
}

impl GateDiagnosis {
    pub(super) fn new(limit: Limit, until: Timestamp) -> Self {
        let limit = match limit {
            Limit::Rate => "Rate",
            Limit::Quota => "Quota",
        };
        Self { limit, until }
    }
}
