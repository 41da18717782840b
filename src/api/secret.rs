//! Labels and names of the Secrets that the custom resources refer to.

use std::fmt;

/// The label that says what a Secret may be used for; without it a Secret is not read (`SecretNotLabelled`).
pub const USE_LABEL: &str = "scrobble-operator.io/use";

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
