//! What the simulator remembers of every request.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Effect, Endpoint};

/// One request to a simulated service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Number, from 1, without gaps.
    pub seq: u64,
    /// Simulated time when the service looked at it.
    pub time: Timestamp,
    /// Real time then.
    pub real_time: Timestamp,
    /// Where.
    pub endpoint: Endpoint,
    /// HTTP method.
    pub method: String,
    /// Path, without the query.
    pub path: String,
    /// The listener: the account's name, the user's name at ListenBrainz or Last.fm, the webhook's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Client id, or Last.fm's API key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// The status answered; absent if the client got none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Whether the service's own logic ran.
    pub acted: bool,
    /// What went wrong by script.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<Effect>,
    /// The rule that made it so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault_id: Option<u64>,
    /// Length of the request's body in bytes.
    pub body_bytes: u64,
    /// SHA-256 of the request's body, unless it is empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_sha256: Option<String>,
    /// What else matters.
    #[serde(flatten)]
    pub facts: Facts,
}

/// Facts of a request, as far as they apply. Tokens only as SHA-256.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Facts {
    /// `grant_type` sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant_type: Option<String>,
    /// `basic`, `body`, `basic+body` or `none`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_authentication: Option<String>,
    /// Refresh token presented.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_token_sent: Option<String>,
    /// Refresh token issued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_token_issued: Option<String>,
    /// Access token presented.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_token_sent: Option<String>,
    /// Access token issued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_token_issued: Option<String>,
    /// Whether the service replaced the refresh token.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rotated: bool,
    /// The error answered by the service's own logic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// `limit` sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<String>,
    /// `before` sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// `after` sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// Numbers of the plays answered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub plays: Vec<u64>,
    /// `Idempotency-Key` sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// Listens, scrobbles or deliveries in the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<u64>,
    /// How many of them were new to the service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items_new: Option<u64>,
    /// How many of them were ignored by the service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items_ignored: Option<u64>,
    /// `listen_type` sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listen_type: Option<String>,
    /// Last.fm's `method`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lastfm_method: Option<String>,
}

/// Which records to answer.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RecordFilter {
    /// Only those with a greater number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<u64>,
    /// Only those there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<Endpoint>,
    /// Only those of this listener.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Only those of this app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// At most so many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

impl RecordFilter {
    /// Everything at one endpoint.
    pub fn at(endpoint: Endpoint) -> Self {
        Self { endpoint: Some(endpoint), ..Self::default() }
    }

    /// The same, of one listener only.
    #[must_use]
    pub fn of(mut self, account: impl Into<String>) -> Self {
        self.account = Some(account.into());
        self
    }

    /// The same, only what came after this number.
    #[must_use]
    pub fn since(mut self, seq: u64) -> Self {
        self.since = Some(seq);
        self
    }
}
