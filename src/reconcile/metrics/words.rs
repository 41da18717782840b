//! The closed sets of label values.

use http::StatusCode;

use crate::domain::answer::{ApiAnswer, Refusal, TokenAnswer, Trouble};
use crate::plan::step::RefreshOutcome;

macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$about:meta])* $variant:ident => $word:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[$about])* $variant,)*
        }

        impl $name {
            /// All of them, in the order of their numbers.
            pub const ALL: [Self; [$($word),*].len()] = [$(Self::$variant),*];

            /// The word as it stands in a label.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }
        }
    };
}

words! {
    /// A controller.
    Controller {
        /// That of `SpotifyAccount`.
        SpotifyAccount => "spotifyaccount",
        /// That of `SpotifyApp`.
        SpotifyApp => "spotifyapp",
        /// That of `ScrobbleTarget`.
        ScrobbleTarget => "scrobbletarget",
        /// That of `ScrobblePlan`.
        ScrobblePlan => "scrobbleplan",
    }
}

impl Controller {
    /// The kind that it looks after.
    pub const fn kind(self) -> &'static str {
        match self {
            Self::SpotifyAccount => "SpotifyAccount",
            Self::SpotifyApp => "SpotifyApp",
            Self::ScrobbleTarget => "ScrobbleTarget",
            Self::ScrobblePlan => "ScrobblePlan",
        }
    }
}

words! {
    /// How a pass ended.
    PassResult {
        /// Nothing but a change brings the next one.
        Success => "success",
        /// The next one comes by itself.
        RequeueAfter => "requeue_after",
        /// It failed on the cluster's side, panicked, or took too long.
        Error => "error",
    }
}

words! {
    /// What Spotify is asked for.
    SpotifyEndpoint {
        /// `POST /api/token`.
        Token => "token",
        /// `GET /v1/me`.
        Me => "me",
        /// `GET /v1/me/player/recently-played`.
        RecentlyPlayed => "recently_played",
    }
}

words! {
    /// What a scrobble service is asked for.
    TargetEndpoint {
        /// To take plays.
        Submit => "submit",
        /// Whether it accepts the credentials.
        Check => "check",
        /// What it has of the listener.
        Look => "look",
    }
}

words! {
    /// What an answer says.
    Class {
        /// What was asked for.
        Success => "success",
        /// 429.
        RateLimited => "rate_limited",
        /// 429 because the daily quota is used up.
        Quota => "quota",
        /// 401, or an app's credentials that are refused.
        Unauthorized => "unauthorized",
        /// 403.
        Forbidden => "forbidden",
        /// Any other 4xx.
        ClientError => "client_error",
        /// 5xx.
        ServerError => "server_error",
        /// No connection, or one that ended before the answer.
        Network => "network",
        /// No answer within the deadline.
        Timeout => "timeout",
        /// An answer in a form that nobody promised, or that is too large.
        Unreadable => "unreadable",
    }
}

impl Class {
    /// What a status says.
    pub fn of_status(status: StatusCode) -> Self {
        match status.as_u16() {
            200..=299 => Self::Success,
            401 => Self::Unauthorized,
            403 => Self::Forbidden,
            429 => Self::RateLimited,
            400..=499 => Self::ClientError,
            500..=599 => Self::ServerError,
            _ => Self::Unreadable,
        }
    }

    /// What a request without a usable answer says; none where it did not leave.
    pub fn of_trouble(trouble: &Trouble) -> Option<Self> {
        Some(match trouble {
            Trouble::AddressRefused | Trouble::UrlRefused(_) => return None,
            Trouble::Timeout => Self::Timeout,
            Trouble::Unreachable | Trouble::Cut => Self::Network,
            Trouble::Status(status) | Trouble::Busy { status, .. } => {
                StatusCode::from_u16(*status).map_or(Self::Unreadable, Self::of_status)
            }
            Trouble::Unreadable | Trouble::TooLarge => Self::Unreadable,
            Trouble::RateLimited => Self::RateLimited,
            Trouble::DailyLimit => Self::Quota,
            Trouble::OperationFailed | Trouble::Code(_) => Self::ServerError,
            Trouble::TooNew | Trouble::SecondTaken | Trouble::Ignored(_) => Self::ClientError,
        })
    }

    /// What an answer of the Web API says; none where the request did not leave.
    pub fn of_answer<T>(answer: &ApiAnswer<T>) -> Option<Self> {
        Some(match answer {
            ApiAnswer::Found(_) => Self::Success,
            ApiAnswer::Unauthorized => Self::Unauthorized,
            ApiAnswer::Forbidden(_) => Self::Forbidden,
            ApiAnswer::RateLimited { quota: true, .. } => Self::Quota,
            ApiAnswer::RateLimited { quota: false, .. } => Self::RateLimited,
            ApiAnswer::Failed(trouble) => return Self::of_trouble(trouble),
        })
    }

    /// What an answer of the token endpoint says; none where the request did not leave.
    pub fn of_token_answer(answer: &TokenAnswer) -> Option<Self> {
        Some(match answer {
            TokenAnswer::Granted(_) => Self::Success,
            TokenAnswer::Refused(Refusal::InvalidClient) => Self::Unauthorized,
            TokenAnswer::Refused(_) => Self::ClientError,
            TokenAnswer::RateLimited { .. } => Self::RateLimited,
            TokenAnswer::Failed(trouble) | TokenAnswer::Ambiguous(trouble) => return Self::of_trouble(trouble),
            TokenAnswer::NotSent => return None,
        })
    }
}

words! {
    /// How a refresh ended.
    RefreshWord {
        /// The new tokens are stored.
        Success => "success",
        /// The refresh token is dead.
        InvalidGrant => "invalid_grant",
        /// The app's id or secret is wrong.
        InvalidClient => "invalid_client",
        /// The request is wrong.
        InvalidRequest => "invalid_request",
        /// The app may not do this.
        UnauthorizedClient => "unauthorized_client",
        /// The server knows no refresh tokens.
        UnsupportedGrantType => "unsupported_grant_type",
        /// Spotify asks to wait.
        RateLimited => "rate_limited",
        /// No usable answer; the token is as it was.
        Failed => "failed",
        /// The answer was lost; Spotify may have acted.
        Ambiguous => "ambiguous",
        /// The new tokens were dropped: a human's newer one wins.
        Superseded => "superseded",
        /// Somebody else had the token or wrote the Secret; nothing was sent.
        Contended => "contended",
        /// The token Secret cannot be read or written; nothing was sent.
        SecretUnusable => "secret_unusable",
    }
}

impl RefreshWord {
    /// The word for how an exchange ended; none where it was not begun, or goes on.
    pub fn of(outcome: &RefreshOutcome) -> Option<Self> {
        Some(match outcome {
            RefreshOutcome::Refreshed { .. } => Self::Success,
            RefreshOutcome::Refused { refusal, .. } => match refusal {
                Refusal::InvalidGrant { .. } => Self::InvalidGrant,
                Refusal::InvalidClient => Self::InvalidClient,
                Refusal::InvalidRequest => Self::InvalidRequest,
                Refusal::UnauthorizedClient => Self::UnauthorizedClient,
                Refusal::UnsupportedGrantType => Self::UnsupportedGrantType,
            },
            RefreshOutcome::RateLimited { .. } => Self::RateLimited,
            RefreshOutcome::Failed(_) => Self::Failed,
            RefreshOutcome::Ambiguous(_) => Self::Ambiguous,
            RefreshOutcome::Superseded => Self::Superseded,
            RefreshOutcome::Claimed { .. } | RefreshOutcome::Conflict => Self::Contended,
            RefreshOutcome::TokenSecret(_) => Self::SecretUnusable,
            RefreshOutcome::ClientSecret(_)
            | RefreshOutcome::FlowMismatch { .. }
            | RefreshOutcome::ClientAsked
            | RefreshOutcome::CommitPending => return None,
        })
    }
}

words! {
    /// What an answer of the API server says.
    ApiClass {
        /// 2xx.
        Success => "success",
        /// 409.
        Conflict => "conflict",
        /// 403.
        Forbidden => "forbidden",
        /// 404.
        NotFound => "not_found",
        /// Any other 4xx.
        ClientError => "client_error",
        /// 5xx.
        ServerError => "server_error",
        /// No answer, or none in time.
        Network => "network",
    }
}

impl ApiClass {
    /// What a status says, or that there was none.
    pub fn of(status: Option<StatusCode>) -> Self {
        match status.map(|status| status.as_u16()) {
            None => Self::Network,
            Some(403) => Self::Forbidden,
            Some(404) => Self::NotFound,
            Some(409) => Self::Conflict,
            Some(400..=499) => Self::ClientError,
            Some(500..) => Self::ServerError,
            Some(_) => Self::Success,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::answer::Forbidden;

    #[test]
    fn answers_have_their_class() {
        let quota = |quota| ApiAnswer::<()>::RateLimited { retry_after: None, quota };
        for (answer, expected) in [
            (ApiAnswer::Found(()), Some("success")),
            (ApiAnswer::Unauthorized, Some("unauthorized")),
            (ApiAnswer::Forbidden(Forbidden::Scope), Some("forbidden")),
            (quota(false), Some("rate_limited")),
            (quota(true), Some("quota")),
            (ApiAnswer::Failed(Trouble::Status(404)), Some("client_error")),
            (ApiAnswer::Failed(Trouble::Status(302)), Some("unreadable")),
            (ApiAnswer::Failed(Trouble::Status(503)), Some("server_error")),
            (ApiAnswer::Failed(Trouble::Timeout), Some("timeout")),
            (ApiAnswer::Failed(Trouble::Cut), Some("network")),
            (ApiAnswer::Failed(Trouble::Unreachable), Some("network")),
            (ApiAnswer::Failed(Trouble::TooLarge), Some("unreadable")),
            (ApiAnswer::Failed(Trouble::UrlRefused("")), None),
        ] {
            assert_eq!(Class::of_answer(&answer).map(Class::as_str), expected, "{answer:?}");
        }
        for (answer, expected) in [
            (TokenAnswer::Refused(Refusal::InvalidClient), Some("unauthorized")),
            (TokenAnswer::Refused(Refusal::InvalidGrant { expired: false }), Some("client_error")),
            (TokenAnswer::RateLimited { retry_after: None }, Some("rate_limited")),
            (TokenAnswer::Ambiguous(Trouble::Cut), Some("network")),
            (TokenAnswer::NotSent, None),
        ] {
            assert_eq!(Class::of_token_answer(&answer).map(Class::as_str), expected, "{answer:?}");
        }
        let of = |code| ApiClass::of(StatusCode::from_u16(code).ok()).as_str();
        let classes = [200, 201, 403, 404, 409, 422, 500].map(of);
        assert_eq!(
            classes,
            ["success", "success", "forbidden", "not_found", "conflict", "client_error", "server_error"]
        );
        assert_eq!(ApiClass::of(None), ApiClass::Network);
    }

    #[test]
    fn words_are_numbered_in_their_order() {
        assert!(Class::ALL.iter().enumerate().all(|(number, class)| *class as usize == number));
        assert!(RefreshWord::ALL.iter().enumerate().all(|(number, word)| *word as usize == number));
    }
}
