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
    /// The same, with `Retry-After`.
    Busy {
        /// The status.
        status: u16,
        /// How long the other side asks to be left alone.
        retry_after: SignedDuration,
    },
    /// An answer in a form that nobody promised.
    Unreadable,
    /// An answer larger than is read.
    TooLarge,
    /// The service asks everybody who calls from here to wait.
    RateLimited,
    /// The service takes no more plays of this listener today.
    DailyLimit,
    /// The service could not do it and does not say which play is to blame, if one is.
    OperationFailed,
    /// The play lies in the future by the service's clock.
    TooNew,
    /// Another track stands at the second that was sent.
    SecondTaken,
    /// The service says so by a number of its own.
    Code(u32),
    /// The service ignores the play, with a number that is not documented.
    Ignored(u32),
}

impl fmt::Display for Trouble {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout => formatter.write_str("no answer within the deadline"),
            Self::Unreachable => formatter.write_str("no connection could be made"),
            Self::Cut => formatter.write_str("the connection ended before the answer did"),
            Self::AddressRefused => formatter.write_str("the address is private and not allowed"),
            Self::UrlRefused(problem) => write!(formatter, "the URL cannot be used: {problem}"),
            Self::Status(status) | Self::Busy { status, .. } => write!(formatter, "HTTP status {status}"),
            Self::Unreadable => formatter.write_str("an answer that cannot be read"),
            Self::TooLarge => formatter.write_str("an answer that is too large"),
            Self::RateLimited => formatter.write_str("the service asks to wait"),
            Self::DailyLimit => formatter.write_str("the service takes no more plays of this listener today"),
            Self::OperationFailed => formatter.write_str("the service says that it could not do it"),
            Self::TooNew => formatter.write_str("the play lies in the future by the service's clock"),
            Self::SecondTaken => formatter.write_str("another track stands at the play's second"),
            Self::Code(code) => write!(formatter, "the service's error {code}"),
            Self::Ignored(code) => {
                write!(formatter, "the service ignores the play with code {code}, which is not documented")
            }
        }
    }
}

impl Trouble {
    /// An HTTP status that stands for trouble, with the wait that the answer asks for, if it does.
    pub fn of_status(status: u16, retry_after: Option<SignedDuration>) -> Self {
        retry_after.map_or(Self::Status(status), |retry_after| Self::Busy { status, retry_after })
    }

    /// One word of a closed set, for metrics and traces.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Unreachable => "unreachable",
            Self::Cut => "cut",
            Self::AddressRefused => "address_refused",
            Self::UrlRefused(_) => "url_refused",
            Self::Status(_) | Self::Busy { .. } => "status",
            Self::Unreadable => "unreadable",
            Self::TooLarge => "too_large",
            Self::RateLimited => "rate_limited",
            Self::DailyLimit => "daily_limit",
            Self::OperationFailed => "operation_failed",
            Self::TooNew => "too_new",
            Self::SecondTaken => "second_taken",
            Self::Code(_) => "code",
            Self::Ignored(_) => "ignored",
        }
    }

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

impl<T> ApiAnswer<T> {
    /// The same answer with what was found made into something else.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> ApiAnswer<U> {
        match self {
            Self::Found(found) => ApiAnswer::Found(change(found)),
            Self::Unauthorized => ApiAnswer::Unauthorized,
            Self::Forbidden(forbidden) => ApiAnswer::Forbidden(forbidden),
            Self::RateLimited { retry_after, quota } => ApiAnswer::RateLimited { retry_after, quota },
            Self::Failed(trouble) => ApiAnswer::Failed(trouble),
        }
    }
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
    /// The service does not accept the listener's credentials.
    CredentialsRefused,
    /// The service does not accept the target's own keys: no listener is to blame.
    ClientRefused {
        /// Why, in our words.
        reason: String,
    },
    /// The service asks not to be sent to any more (a webhook's 410).
    Suspended,
    /// The answer was lost: it may have arrived.
    Unknown(Trouble),
}

/// The answer to one request with plays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submitted {
    /// What became of the plays.
    pub submission: Submission,
    /// How long nobody is to call the service's host, if it says so, whatever became of the plays.
    pub pause: Option<SignedDuration>,
}

/// A scrobble that a service shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The second at which it stands.
    pub second: i64,
    /// The title, as the service has it.
    pub title: String,
    /// The artists, as the service has them.
    pub artists: Vec<String>,
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
