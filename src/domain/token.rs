//! OAuth 2.0 tokens (RFC 6749). Their values never print.

use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret as _, SecretString};

/// A refresh token (RFC 6749 section 1.5). `Debug` is redacted and the value is wiped when dropped.
#[derive(Clone, Debug)]
pub struct RefreshToken(SecretString);

/// An access token (RFC 6749 section 1.4). `Debug` is redacted and the value is wiped when dropped.
#[derive(Clone, Debug)]
pub struct AccessToken(SecretString);

macro_rules! secret_value {
    ($name:ident) => {
        impl $name {
            /// Wraps a value; the text it came in is owned from here on.
            pub fn new(value: String) -> Self {
                Self(SecretString::from(value))
            }

            /// The value, for the one place that sends or stores it.
            pub fn expose(&self) -> &str {
                self.0.expose_secret()
            }
        }

        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.expose() == other.expose()
            }
        }
    };
}
secret_value!(RefreshToken);
secret_value!(AccessToken);

/// How the refresh token was obtained, and so how it must be used (`flow` of the token Secret).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// Authorization code of a client with a secret: refreshes authenticate the client.
    Confidential,
    /// Authorization code with PKCE (RFC 7636): refreshes carry the client id alone.
    Pkce,
}

impl Flow {
    /// The word used in the token Secret.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Confidential => "confidential",
            Self::Pkce => "pkce",
        }
    }

    /// Reads the word of the token Secret.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "confidential" => Some(Self::Confidential),
            "pkce" => Some(Self::Pkce),
            _ => None,
        }
    }
}

/// An access token and when it ends.
#[derive(Clone, Debug, PartialEq)]
pub struct Access {
    /// The token.
    pub token: AccessToken,
    /// When it ends, in whole seconds.
    pub expires_at: Timestamp,
}

/// What the token endpoint granted (RFC 6749 section 5.1).
#[derive(Clone, Debug)]
pub struct Grant {
    /// The new access token.
    pub access_token: AccessToken,
    /// `expires_in`; 3600 seconds where the answer has none, which is Spotify's documented life.
    pub expires_in: SignedDuration,
    /// A new refresh token, if the server rotated it. Absent: the old one stays.
    pub refresh_token: Option<RefreshToken>,
    /// The granted scopes, separated by spaces, if the answer has them.
    pub scope: Option<String>,
}
