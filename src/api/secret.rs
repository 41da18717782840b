//! Labels and keys of the Secrets that the custom resources refer to.

use std::fmt;

/// The label that says what a Secret may be used for; without it a Secret is not read (`SecretNotLabelled`).
pub const USE_LABEL: &str = "scrobble-operator.io/use";

/// Key of a token Secret: the OAuth refresh token, the only key a human must give.
pub const REFRESH_TOKEN_KEY: &str = "refresh-token";

/// Key of a token Secret: the access token of the newest exchange.
pub const ACCESS_TOKEN_KEY: &str = "access-token";

/// Key of a token Secret: when the access token ends, RFC 3339.
pub const EXPIRES_AT_KEY: &str = "expires-at";

/// Key of a token Secret: the granted scopes, separated by spaces (RFC 6749 section 3.3).
pub const SCOPE_KEY: &str = "scope";

/// Key of a token Secret: when the listener authorized the app, RFC 3339.
pub const AUTHORIZED_AT_KEY: &str = "authorized-at";

/// Key of a token Secret: `confidential` or `pkce`, how the token was obtained.
pub const FLOW_KEY: &str = "flow";

/// Prefix of the data keys that the operator adds to a token Secret for its own use.
pub const OPERATOR_KEY_PREFIX: &str = "scrobble-operator.";

/// Name prefix of the operator's own Secret of an account that holds the newest refresh token; the account's uid follows.
pub const STATE_SECRET_PREFIX: &str = "scrobble-operator-state-";

/// Name prefix of the operator's own Secret of an account that holds the plays that wait; the account's uid follows.
pub const JOURNAL_SECRET_PREFIX: &str = "scrobble-operator-journal-";

/// Whether a Secret of this name is the operator's own: no reference may name it.
pub fn is_operators_own(name: &str) -> bool {
    name.starts_with(STATE_SECRET_PREFIX) || name.starts_with(JOURNAL_SECRET_PREFIX)
}

/// The values of [`USE_LABEL`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SecretUse {
    /// A Secret that a `SpotifyApp` refers to.
    Client,
    /// A Secret that a `ScrobbleTarget` refers to.
    Target,
    /// A listener's Spotify token: `tokenSecretRef` of a `SpotifyAccount`.
    Token,
    /// A listener's key at a scrobble service: `credentialsRef` of a `SpotifyAccount`.
    Credentials,
    /// Written by the operator alone; no reference may name it.
    State,
}

impl SecretUse {
    /// The label's value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Target => "target",
            Self::Token => "token",
            Self::Credentials => "credentials",
            Self::State => "state",
        }
    }
}

impl fmt::Display for SecretUse {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}
