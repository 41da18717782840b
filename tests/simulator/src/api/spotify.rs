//! Clients, listeners and their tokens.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::yes;

/// The only scope that reading plays needs (Spotify's `OpenAPI` description, `get-recently-played`).
pub(crate) const READ_PLAYS: &str = "user-read-recently-played";

/// What a refresh does to the refresh token that was presented.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rotation {
    /// No new token is issued; the old one stays (Spotify since mid-2026).
    #[default]
    Never,
    /// A new token each time; the old one lives on for the app's `grace_seconds`.
    Grace,
    /// A new token each time; the old one is dead at once.
    SingleUse,
    /// As `single-use`, and a dead one presented again revokes the whole authorization.
    Strict,
}

/// How a token was obtained, which decides how it must be refreshed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Flow {
    /// With the client secret.
    Confidential,
    /// With PKCE and no secret.
    Pkce,
}

/// An OAuth client. Posting one again replaces its settings and touches no token.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NewApp {
    /// The client id.
    pub client_id: String,
    /// Absent: a public client, PKCE only.
    #[serde(default)]
    pub client_secret: Option<String>,
    /// Registered redirect URIs, compared exactly (a loopback literal without port matches any port). Empty: any URI
    /// that Spotify's rules allow.
    #[serde(default)]
    pub redirect_uris: Vec<String>,
    /// What refreshing does to refresh tokens.
    #[serde(default)]
    pub rotation: Rotation,
    /// Seconds that a replaced token lives on under [`Rotation::Grace`].
    #[serde(default = "sixty")]
    pub grace_seconds: i64,
    /// Life of an access token in seconds; Spotify's is 3600.
    #[serde(default = "one_hour")]
    pub access_token_seconds: i64,
    /// Days after the listener's authorization when its refresh tokens die, whatever was done with them. Absent: never.
    #[serde(default)]
    pub authorization_lifetime_days: Option<u32>,
    /// False: every Web API call is refused because the app's owner has no Premium.
    #[serde(default = "yes")]
    pub owner_premium: bool,
    /// Web API calls allowed in any 30 s; more are answered 429 with `Retry-After`. Absent: no limit.
    #[serde(default)]
    pub requests_per_30_seconds: Option<u32>,
    /// Web API calls allowed in any 24 h to all apps of `developer`; more are answered 429 `QUOTA_EXCEEDED`.
    #[serde(default)]
    pub daily_quota: Option<u32>,
    /// The developer account that quota is counted for. Absent: the app alone.
    #[serde(default)]
    pub developer: Option<String>,
}

impl NewApp {
    /// A confidential client with Spotify's behaviour of today.
    pub fn confidential(client_id: impl Into<String>, client_secret: impl Into<String>) -> Self {
        Self { client_secret: Some(client_secret.into()), ..Self::public(client_id) }
    }

    /// A public client with Spotify's behaviour of today.
    pub fn public(client_id: impl Into<String>) -> Self {
        Self {
            client_id: client_id.into(),
            client_secret: None,
            redirect_uris: Vec::new(),
            rotation: Rotation::Never,
            grace_seconds: sixty(),
            access_token_seconds: one_hour(),
            authorization_lifetime_days: None,
            owner_premium: true,
            requests_per_30_seconds: None,
            daily_quota: None,
            developer: None,
        }
    }
}

/// A listener. Posting a name that exists is refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NewAccount {
    /// The name that scripts and records use.
    pub name: String,
    /// The app that the first tokens are for.
    pub client_id: String,
    /// `id` of `/v1/me`. Absent: the name.
    #[serde(default)]
    pub spotify_id: Option<String>,
    /// `account_id` of `/v1/me`. Absent: made from the name.
    #[serde(default)]
    pub account_id: Option<String>,
    /// `display_name` of `/v1/me`. Absent: the name.
    #[serde(default)]
    pub display_name: Option<String>,
    /// Scope of the tokens, separated by spaces.
    #[serde(default = "read_plays")]
    pub scope: String,
    /// Overrides the app's.
    #[serde(default)]
    pub rotation: Option<Rotation>,
    /// Overrides the app's.
    #[serde(default)]
    pub grace_seconds: Option<i64>,
    /// Overrides the app's.
    #[serde(default)]
    pub access_token_seconds: Option<i64>,
    /// False: the listener can sign in and get tokens, but the Web API refuses them.
    #[serde(default = "yes")]
    pub allow_listed: bool,
    /// How the first tokens were obtained. Absent: with the secret if the app has one.
    #[serde(default)]
    pub flow: Option<Flow>,
    /// When the listener authorized the app. Absent: now.
    #[serde(default)]
    pub authorized_time: Option<Timestamp>,
}

impl NewAccount {
    /// A listener of an app, who authorized it just now.
    pub fn new(name: impl Into<String>, client_id: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            client_id: client_id.into(),
            spotify_id: None,
            account_id: None,
            display_name: None,
            scope: read_plays(),
            rotation: None,
            grace_seconds: None,
            access_token_seconds: None,
            allow_listed: true,
            flow: None,
            authorized_time: None,
        }
    }
}

/// Changes what is given, leaves the rest.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct AccountChange {
    /// See [`NewAccount::spotify_id`].
    #[serde(default)]
    pub spotify_id: Option<String>,
    /// See [`NewAccount::rotation`].
    #[serde(default)]
    pub rotation: Option<Rotation>,
    /// See [`NewAccount::grace_seconds`].
    #[serde(default)]
    pub grace_seconds: Option<i64>,
    /// See [`NewAccount::access_token_seconds`].
    #[serde(default)]
    pub access_token_seconds: Option<i64>,
    /// See [`NewAccount::allow_listed`].
    #[serde(default)]
    pub allow_listed: Option<bool>,
}

/// A listener as the simulator holds it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AccountReport {
    /// The name that scripts and records use.
    pub name: String,
    /// The app that the first tokens were for.
    pub client_id: String,
    /// `id` of `/v1/me`.
    pub spotify_id: String,
    /// `account_id` of `/v1/me`.
    pub account_id: String,
    /// `display_name` of `/v1/me`.
    pub display_name: String,
    /// Overrides the app's.
    pub rotation: Option<Rotation>,
    /// Overrides the app's.
    pub grace_seconds: Option<i64>,
    /// Overrides the app's.
    pub access_token_seconds: Option<i64>,
    /// See [`NewAccount::allow_listed`].
    pub allow_listed: bool,
}

/// Tokens just issued, to be put into a Secret.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Tokens {
    /// The listener.
    pub account: String,
    /// The app.
    pub client_id: String,
    /// The refresh token itself.
    pub refresh_token: String,
    /// SHA-256 of the refresh token.
    pub refresh_token_sha256: String,
    /// The access token itself.
    pub access_token: String,
    /// SHA-256 of the access token.
    pub access_token_sha256: String,
    /// When the access token expires.
    pub expiry_time: Timestamp,
    /// The granted scope.
    pub scope: String,
    /// When the listener authorized the app.
    pub authorized_time: Timestamp,
    /// How the tokens were obtained.
    pub flow: Flow,
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Tokens")
            .field("account", &self.account)
            .field("refresh_token_sha256", &self.refresh_token_sha256)
            .field("access_token_sha256", &self.access_token_sha256)
            .field("expiry_time", &self.expiry_time)
            .finish_non_exhaustive()
    }
}

/// Something that happens to a listener's tokens outside the OAuth protocol.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "kebab-case")]
pub enum TokenChange {
    /// The listener authorizes an app (again): a new authorization beside older ones, which stay as they are.
    Mint {
        /// Absent: the listener's app.
        #[serde(default)]
        client_id: Option<String>,
        /// Absent: `user-read-recently-played` alone.
        #[serde(default)]
        scope: Option<String>,
        /// Absent: with the secret if the app has one.
        #[serde(default)]
        flow: Option<Flow>,
        /// Absent: now.
        #[serde(default)]
        authorized_time: Option<Timestamp>,
    },
    /// The listener removes the apps: every token is dead at once.
    Revoke,
    /// Every refresh token is refused as expired; access tokens live out their life.
    ExpireRefreshTokens,
    /// Every access token is expired; refresh tokens stay.
    ExpireAccessTokens,
    /// Every access token is unknown from now on, though its expiry has not come; refresh tokens stay.
    RevokeAccessTokens,
}

impl TokenChange {
    /// The listener authorizes its app again, now.
    pub fn mint() -> Self {
        Self::Mint { client_id: None, scope: None, flow: None, authorized_time: None }
    }
}

/// Which listener the browser is signed in as when an app sends it to `/authorize`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedIn {
    /// The app.
    pub client_id: String,
    /// The listener.
    pub account: String,
}

/// What the simulator knows of a listener's refresh tokens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TokenReport {
    /// The newest refresh token that would be accepted now (hash).
    pub current: Option<String>,
    /// Every refresh token that would be accepted now (hashes), oldest first.
    pub valid: Vec<String>,
    /// Every refresh token ever issued, oldest first.
    pub refresh_tokens: Vec<RefreshTokenReport>,
    /// Every time one was replaced, oldest first.
    pub rotations: Vec<RotationReport>,
    /// Tokens presented again after they had been replaced (hashes).
    pub reused: Vec<String>,
}

/// One refresh token.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RefreshTokenReport {
    /// Its hash.
    pub sha256: String,
    /// The app.
    pub client_id: String,
    /// When it was issued.
    pub issued_time: Timestamp,
    /// Whether it would be accepted now.
    pub valid: bool,
    /// How often it reached the token endpoint's logic.
    pub uses: u32,
    /// How often an access token was issued for it.
    pub exchanges: u32,
    /// How often it was presented after it had been replaced.
    pub uses_after_replacement: u32,
    /// When a new one was issued for it first.
    pub replaced_time: Option<Timestamp>,
}

/// One replacement of a refresh token.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RotationReport {
    /// The request that did it.
    pub seq: u64,
    /// Simulated time.
    pub time: Timestamp,
    /// Real time.
    pub real_time: Timestamp,
    /// Hash of the token presented.
    pub old: String,
    /// Hash of the token issued.
    pub new: String,
    /// Whether an answer with the new token left whole.
    pub answered: bool,
}

fn sixty() -> i64 {
    60
}

fn one_hour() -> i64 {
    3_600
}

fn read_plays() -> String {
    READ_PLAYS.to_owned()
}
