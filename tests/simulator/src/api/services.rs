//! The scrobble services: who may write, what they refuse, what they hold.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A user of ListenBrainz. Posting a name again replaces its token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListenBrainzUser {
    /// The user's name.
    pub name: String,
    /// The token that submits for this user.
    pub token: String,
}

/// How ListenBrainz behaves to everybody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ListenBrainzRules {
    /// Requests allowed in a window.
    pub rate_limit: u32,
    /// Length of a window in simulated seconds.
    pub rate_window_seconds: i64,
    /// A request with a listen whose title contains one of these is refused whole.
    pub refuse_titles: Vec<String>,
}

impl Default for ListenBrainzRules {
    fn default() -> Self {
        Self { rate_limit: 100_000, rate_window_seconds: 10, refuse_titles: Vec::new() }
    }
}

/// A listen that ListenBrainz holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Listen {
    /// The user's name.
    pub user: String,
    /// UTC seconds.
    pub listened_at: i64,
    /// Identity of the recording: title, artist and release in lower case, track number and duration.
    pub recording_msid: String,
    /// As it was sent first.
    pub track_metadata: Value,
    /// SHA-256 of each different text it was sent with; one if every repeat was identical.
    pub forms: Vec<String>,
    /// How often it was received.
    pub received: u32,
    /// When it was received first.
    pub first_time: Timestamp,
    /// When it was received last.
    pub last_time: Timestamp,
}

/// An application's keys at Last.fm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastfmApp {
    /// The API key.
    pub api_key: String,
    /// The secret that requests are signed with.
    pub shared_secret: String,
    /// True: requests with this key get error 26.
    #[serde(default)]
    pub suspended: bool,
    /// True: errors of the service's own logic come with HTTP 200, as some do.
    #[serde(default)]
    pub errors_with_200: bool,
}

/// A user of Last.fm. Posting a name again replaces the rest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastfmUser {
    /// The user's name.
    pub name: String,
    /// Session keys that are valid at once, beside those obtained by `auth.getSession`.
    #[serde(default)]
    pub session_keys: Vec<String>,
    /// Scrobbles ignored by rule.
    #[serde(default)]
    pub ignore: Vec<LastfmRule>,
    /// Scrobbles accepted on one UTC day; more are ignored with code 5.
    #[serde(default = "daily_limit")]
    pub daily_limit: u32,
    /// Age above which a scrobble is ignored as too old.
    #[serde(default = "two_weeks")]
    pub maximum_age_days: u32,
    /// The code for too old: 3 by the documentation, 1 as seen at times.
    #[serde(default = "too_old")]
    pub too_old_code: u32,
}

impl LastfmUser {
    /// A user with one valid session key.
    pub fn new(name: impl Into<String>, session_key: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            session_keys: vec![session_key.into()],
            ignore: Vec::new(),
            daily_limit: daily_limit(),
            maximum_age_days: two_weeks(),
            too_old_code: too_old(),
        }
    }
}

/// Scrobbles whose artist and track contain these texts are ignored with this code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastfmRule {
    /// Empty: any artist.
    #[serde(default)]
    pub artist_contains: String,
    /// Empty: any track.
    #[serde(default)]
    pub track_contains: String,
    /// `ignoredMessage` code.
    pub code: u32,
}

/// The user allows an application on Last.fm's page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastfmAuthorization {
    /// The token of `auth.getToken`.
    pub token: String,
    /// The user's name.
    pub user: String,
}

/// A scrobble that Last.fm holds, or ignored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scrobble {
    /// The user's name.
    pub user: String,
    /// Artist as sent.
    pub artist: String,
    /// Track as sent.
    pub track: String,
    /// UTC seconds.
    pub timestamp: i64,
    /// Album, album artist, duration, track number, … as sent first.
    pub other: BTreeMap<String, String>,
    /// 0: held; else the code it was last ignored with.
    pub ignored_code: u32,
    /// When it was accepted; absent while it is not.
    #[serde(default)]
    pub accepted_time: Option<Timestamp>,
    /// SHA-256 of each different form it was sent in; one if every repeat was identical.
    pub forms: Vec<String>,
    /// How often it was received.
    pub received: u32,
    /// When it was received first.
    pub first_time: Timestamp,
    /// When it was received last.
    pub last_time: Timestamp,
}

/// How a webhook's receiver answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookSettings {
    /// HTTP status of every answer. Deliveries answered other than 2xx count as received, not as accepted.
    pub status: u16,
}

impl Default for WebhookSettings {
    fn default() -> Self {
        Self { status: 204 }
    }
}

/// What a webhook received under one `Idempotency-Key` (without one: under the body's hash).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Delivery {
    /// The webhook's name.
    pub webhook: String,
    /// The `Idempotency-Key`, or `sha256:` and the body's hash.
    pub key: String,
    /// The body received first.
    pub body: String,
    /// The headers received first; `Authorization` only as a hash.
    pub headers: BTreeMap<String, String>,
    /// SHA-256 of each different body; one if every repeat was byte-identical.
    pub forms: Vec<String>,
    /// How often it was received.
    pub received: u32,
    /// How often it was answered 2xx.
    pub accepted: u32,
    /// When it was received first.
    pub first_time: Timestamp,
    /// When it was received last.
    pub last_time: Timestamp,
    /// The request that brought it first.
    pub first_seq: u64,
}

fn daily_limit() -> u32 {
    2_800
}

fn two_weeks() -> u32 {
    14
}

fn too_old() -> u32 {
    3
}
