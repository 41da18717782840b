//! What a script sends and reads under `/_simulator/`: the same types on both sides of the wire.
//!
//! Times are RFC 3339. Token values never leave the simulator again once handed out: everything else speaks of their
//! SHA-256 in lower-case hexadecimal.

mod faults;
mod plays;
mod records;
mod services;
mod spotify;

pub use faults::{BodyForm, Effect, Endpoint, FaultReport, NewFault};
pub use plays::{ExternalIds, NewGenerator, NewPlay, Play, PlayKind};
pub use records::{Facts, Record, RecordFilter};
pub use services::{
    Delivery, LastfmApp, LastfmAuthorization, LastfmRule, LastfmUser, Listen, ListenBrainzRules, ListenBrainzUser,
    Scrobble, WebhookSettings,
};
pub(crate) use spotify::READ_PLAYS;
pub use spotify::{
    AccountChange, AccountReport, Flow, NewAccount, NewApp, RefreshTokenReport, Rotation, RotationReport, SignedIn,
    TokenChange, TokenReport, Tokens,
};

/// Simulated time now, and what was asked of it.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct ClockReport {
    /// Simulated time now.
    pub time: jiff::Timestamp,
}

/// Moves simulated time forwards. Only for tests that talk to the simulator alone: no other process's clock follows.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Advance {
    /// By how many seconds.
    pub seconds: i64,
}

fn yes() -> bool {
    true
}
