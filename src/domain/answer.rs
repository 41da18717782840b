//! What outside systems answer, in the words of the product. Bodies stay behind: only what is decided from is kept.

use std::fmt;

use jiff::SignedDuration;

use super::token::Grant;

/// A request brought no usable answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// No answer within the deadline.
    Timeout,
    /// No connection: the name does not resolve, nobody listens, TLS failed. Nothing was sent.
    Unreachable,
    /// The connection ended before the answer did.
    Cut,
    /// The address is loopback, link-local or private, and not allowed. Nothing was sent.
    AddressRefused,
    /// The URL itself cannot be used. Nothing was sent.
    UrlRefused(&'static str),
    /// An HTTP status that stands for trouble on the other side.
    Status(u16),
    /// An answer in a form that nobody promised.
    Unreadable,
    /// An answer larger than is read.
    TooLarge,
}

impl fmt::Display for Trouble {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout => formatter.write_str("no answer within the deadline"),
            Self::Unreachable => formatter.write_str("no connection could be made"),
            Self::Cut => formatter.write_str("the connection ended before the answer did"),
            Self::AddressRefused => formatter.write_str("the address is private and not allowed"),
            Self::UrlRefused(problem) => write!(formatter, "the URL cannot be used: {problem}"),
            Self::Status(status) => write!(formatter, "HTTP status {status}"),
            Self::Unreadable => formatter.write_str("an answer that cannot be read"),
            Self::TooLarge => formatter.write_str("an answer that is too large"),
        }
    }
}

impl Trouble {
    /// Whether the other side certainly did not act: nothing was sent.
    pub fn was_not_sent(&self) -> bool {
        matches!(self, Self::Unreachable | Self::AddressRefused | Self::UrlRefused(_))
    }

    /// Whether the network is to blame rather than the server.
    pub fn is_network(&self) -> bool {
        matches!(self, Self::Timeout | Self::Unreachable | Self::Cut)
    }
}

/// The token endpoint's answer to a refresh (RFC 6749 sections 5.1 and 5.2).
#[derive(Clone, Debug)]
pub enum TokenAnswer {
    /// Tokens.
    Granted(Grant),
    /// An OAuth error that says whose fault it is.
    Refused(Refusal),
    /// 429.
    RateLimited {
        /// `Retry-After`, if the answer has one.
        retry_after: Option<SignedDuration>,
    },
    /// The server certainly did not act, or says that it failed. Trying again later is safe.
    Failed(Trouble),
    /// The server may have acted: the answer was lost or cannot be read.
    Ambiguous(Trouble),
    /// It was too late to send.
    NotSent,
}

/// OAuth errors of the token endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// `invalid_grant` with HTTP 400: the refresh token is dead.
    InvalidGrant {
        /// Spotify said that it expired.
        expired: bool,
    },
    /// `invalid_client`: the app's id or secret is wrong.
    InvalidClient,
    /// `invalid_request`.
    InvalidRequest,
    /// `unauthorized_client`.
    UnauthorizedClient,
    /// `unsupported_grant_type`.
    UnsupportedGrantType,
}

/// A Web API answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApiAnswer<T> {
    /// What was asked for.
    Found(T),
    /// 401: the access token is not accepted.
    Unauthorized,
    /// 403.
    Forbidden(Forbidden),
    /// 429.
    RateLimited {
        /// `Retry-After`, if the answer has one.
        retry_after: Option<SignedDuration>,
        /// The developer account's quota is spent, not the 30-second rate.
        quota: bool,
    },
    /// No usable answer.
    Failed(Trouble),
}

/// Spotify's 403s, told apart by their text (spotify.com, "Quota modes"; the first two are plain text).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forbidden {
    /// The token lacks `user-read-recently-played`.
    Scope,
    /// The listener is not on the app's allow-list.
    NotAllowlisted,
    /// The app's owner has no Premium subscription.
    OwnerNotPremium,
    /// A text that is not known.
    Other,
}

/// What became of one play at a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// The service has it now.
    Accepted,
    /// The service had it before.
    AlreadyThere,
    /// The service will never accept it.
    Never {
        /// Why, in our words.
        reason: String,
    },
    /// The service cannot take it now.
    NotNow {
        /// How long it asks to be left alone, if it says.
        retry_after: Option<SignedDuration>,
        /// What is wrong.
        trouble: Trouble,
    },
    /// The service does not accept the credentials.
    CredentialsRefused,
    /// The service asks not to be sent to any more (a webhook's 410).
    Suspended,
    /// The answer was lost: it may have arrived.
    Unknown(Trouble),
}

/// What became of one request with one or more plays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Submission {
    /// An answer for each play, in their order.
    Each(Vec<Delivery>),
    /// The service refused the request because of a play in it, without saying which.
    BatchRefused,
}

impl Submission {
    /// The same answer for every play.
    pub fn all(count: usize, delivery: &Delivery) -> Self {
        Self::Each(vec![delivery.clone(); count])
    }
}
