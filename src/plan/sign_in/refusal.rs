//! Why a sign-in was refused, and what to do about it.

use jiff::SignedDuration;

use super::SIGN_IN_LIFE;
use crate::api::secret::{SecretUse, USE_LABEL};
use crate::domain::answer::{ApiAnswer, Forbidden, Refusal as Oauth, TokenAnswer, Trouble};
use crate::domain::name::ObjectName;
use crate::domain::sign_in::SCOPE;
use crate::domain::token::Grant;
use crate::domain::token_secret::ContentProblem;

/// A sign-in cannot begin, or did not lead to tokens that may be kept. Nothing was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The account does not exist.
    #[error("SpotifyAccount {0} does not exist: create it first, or correct --namespace and --account")]
    AccountMissing(ObjectName),
    /// The account is on its way out.
    #[error("SpotifyAccount {0} is being deleted: nothing would use the token")]
    AccountLeaving(ObjectName),
    /// The account's app cannot be used; in the words that its status has.
    #[error("{0}")]
    App(String),
    /// The app's client Secret cannot be used; in the words that the status has.
    #[error("{0}")]
    ClientSecret(String),
    /// The token Secret belongs to another account.
    #[error(
        "Secret {secret} is held by the older SpotifyAccount {holder}: name a Secret of its own in spec.tokenSecretRef"
    )]
    SecretInUse {
        /// The Secret.
        secret: ObjectName,
        /// Who holds it.
        holder: ObjectName,
    },
    /// The account names a Secret that is the operator's own.
    #[error("Secret {0} belongs to the operator itself: name another one in spec.tokenSecretRef")]
    OperatorsOwn(ObjectName),
    /// The token Secret exists, and has no label.
    #[error(
        "Secret {0} exists and is not labelled: if it is meant for this listener's token, run kubectl --namespace {ns} label secret {name} {USE_LABEL}={usage}, else name another one in spec.tokenSecretRef",
        ns = .0.namespace, name = .0.name, usage = SecretUse::Token.as_str()
    )]
    NotLabelled(ObjectName),
    /// The token Secret exists, and is meant for something else.
    #[error(
        "Secret {secret} has the label {USE_LABEL}={label} and is meant for something else than a token: name another one in spec.tokenSecretRef"
    )]
    OtherUse {
        /// The Secret.
        secret: ObjectName,
        /// What its label says.
        label: String,
    },
    /// The token Secret can never be written.
    #[error(
        "Secret {0} is immutable: delete it and run this command again, or name another one in spec.tokenSecretRef"
    )]
    Immutable(ObjectName),
    /// The answer's state is not this sign-in's.
    #[error("this answer belongs to another sign-in: use the newest link, or run the command again")]
    ForeignState,
    /// The answer came already.
    #[error("this sign-in was answered already: run the command again for another one")]
    AlreadyAnswered,
    /// The answer came late, or not at all.
    #[error("nobody signed in within {} minutes: run the command again", SIGN_IN_LIFE.as_mins())]
    TooLate,
    /// The listener said no.
    #[error("the listener did not allow the access: run the command again to be asked again")]
    Denied,
    /// Spotify answered with an error.
    #[error("{0}")]
    Spotify(SpotifyError),
    /// Spotify answered with neither code nor error.
    #[error("Spotify sent the listener back without a code: run the command again")]
    NoCode,
    /// The code was refused.
    #[error("Spotify does not accept the code that it has just issued: run the command again")]
    CodeRefused,
    /// The app's keys are wrong.
    #[error("Spotify refuses the client id or secret of SpotifyApp {0} (invalid_client): its owner must correct them")]
    ClientRefused(ObjectName),
    /// The app is set up otherwise than Spotify knows it.
    #[error(
        "Spotify answers {word}: SpotifyApp {app} is set up otherwise than Spotify knows it. One that has a client secret names it in spec.clientSecretRef, one that has none does not"
    )]
    ExchangeRefused {
        /// The app.
        app: ObjectName,
        /// The OAuth error.
        word: &'static str,
    },
    /// Spotify asks to wait.
    #[error("Spotify asks to wait{}: run the command again then", wait(*.0))]
    RateLimited(Option<SignedDuration>),
    /// No usable answer.
    #[error("Spotify gave no usable answer ({what}): {trouble}. Run the command again")]
    NoAnswer {
        /// What was asked.
        what: &'static str,
        /// What is wrong.
        trouble: Trouble,
    },
    /// An access token without a refresh token.
    #[error("Spotify issued no refresh token: run the command again")]
    NoRefreshToken,
    /// The scope was not granted.
    #[error("Spotify did not grant the scope {SCOPE}: run the command again and allow the access")]
    ScopeMissing,
    /// Tokens that the operator could not use.
    #[error("Spotify issued tokens that cannot be used: {}", problem(.0))]
    Unusable(ContentProblem),
    /// Somebody else signed in.
    #[error(
        "another Spotify user signed in than the one whose plays SpotifyAccount {0} carries: sign out at https://accounts.spotify.com and run the command again as the right user, or create another SpotifyAccount for this one"
    )]
    OtherListener(ObjectName),
    /// The app does not list the listener.
    #[error(
        "the Spotify app does not list this user: its owner must add the listener's name and e-mail address under User Management in Spotify's developer dashboard; then run the command again"
    )]
    NotAllowlisted,
    /// The app's owner has no Premium.
    #[error(
        "Spotify asks that the owner of the app has Premium: the owner must subscribe; run the command again some hours later"
    )]
    OwnerNotPremium,
    /// Spotify does not tell who signed in.
    #[error("Spotify does not tell who signed in (HTTP status {0}): run the command again later")]
    Unknown(u16),
    /// The account or its app is another one than at the beginning.
    #[error("SpotifyAccount {0} or its app was changed during the sign-in: run the command again")]
    Changed(ObjectName),
    /// Whoever runs the command may not do this.
    #[error("you may not {action} {object}: ask for that right{remedy}")]
    Forbidden {
        /// What is forbidden, such as `write`.
        action: &'static str,
        /// What it is forbidden on.
        object: String,
        /// Another way, as the end of the sentence.
        remedy: &'static str,
    },
}

/// Errors of the authorization endpoint (RFC 6749 section 4.1.2.1), `access_denied` apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpotifyError {
    /// `invalid_request`, `unauthorized_client` or `unsupported_response_type`.
    #[error(
        "Spotify does not let this app sign anybody in: its owner must look at it in Spotify's developer dashboard, and at spec.clientSecretRef of the SpotifyApp"
    )]
    Client,
    /// `invalid_scope`.
    #[error("Spotify does not know the scope {SCOPE}: this is a fault of the operator")]
    Scope,
    /// `server_error` or `temporarily_unavailable`.
    #[error("Spotify cannot sign anybody in at the moment: run the command again later")]
    ServerError,
    /// A word that is not known.
    #[error("Spotify sent the listener back with an error that is not known: run the command again")]
    Other,
}

impl SpotifyError {
    /// Reads the word of the answer.
    pub fn from_word(word: &str) -> Self {
        match word {
            "invalid_request" | "unauthorized_client" | "unsupported_response_type" => Self::Client,
            "invalid_scope" => Self::Scope,
            "server_error" | "temporarily_unavailable" => Self::ServerError,
            _ => Self::Other,
        }
    }
}

impl Refusal {
    /// The tokens in an answer of the token endpoint.
    ///
    /// # Errors
    /// What the answer means if there are none.
    pub fn of_exchange(answer: TokenAnswer, app: &ObjectName) -> Result<Grant, Self> {
        let word = |word| Self::ExchangeRefused { app: app.clone(), word };
        Err(match answer {
            TokenAnswer::Granted(grant) => return Ok(grant),
            TokenAnswer::Refused(Oauth::InvalidGrant { .. }) => Self::CodeRefused,
            TokenAnswer::Refused(Oauth::InvalidClient) => Self::ClientRefused(app.clone()),
            TokenAnswer::Refused(Oauth::InvalidRequest) => word("invalid_request"),
            TokenAnswer::Refused(Oauth::UnauthorizedClient) => word("unauthorized_client"),
            TokenAnswer::Refused(Oauth::UnsupportedGrantType) => word("unsupported_grant_type"),
            TokenAnswer::RateLimited { retry_after } => Self::RateLimited(retry_after),
            TokenAnswer::Failed(trouble) | TokenAnswer::Ambiguous(trouble) => {
                Self::NoAnswer { what: "exchange of the code", trouble }
            }
            TokenAnswer::NotSent => Self::NoAnswer { what: "exchange of the code", trouble: Trouble::Timeout },
        })
    }

    /// Who signed in.
    ///
    /// # Errors
    /// What the answer means if it does not tell.
    pub fn of_identity<T>(answer: ApiAnswer<T>) -> Result<T, Self> {
        Err(match answer {
            ApiAnswer::Found(listener) => return Ok(listener),
            ApiAnswer::Unauthorized => Self::Unknown(401),
            ApiAnswer::Forbidden(Forbidden::Scope) => Self::ScopeMissing,
            ApiAnswer::Forbidden(Forbidden::NotAllowlisted) => Self::NotAllowlisted,
            ApiAnswer::Forbidden(Forbidden::OwnerNotPremium) => Self::OwnerNotPremium,
            ApiAnswer::Forbidden(Forbidden::Other) => Self::Unknown(403),
            ApiAnswer::RateLimited { retry_after, .. } => Self::RateLimited(retry_after),
            ApiAnswer::Failed(trouble) => Self::NoAnswer { what: "who signed in", trouble },
        })
    }
}

fn wait(retry_after: Option<SignedDuration>) -> String {
    retry_after.map_or_else(String::new, |wait| format!(" for {} s", wait.as_secs().max(1)))
}

fn problem(problem: &ContentProblem) -> String {
    match problem {
        ContentProblem::KeyMissing { key } => format!("no {key}"),
        ContentProblem::Invalid { key, problem } => format!("{key}: {problem}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::answer::Refusal::{
        InvalidClient, InvalidGrant, InvalidRequest, UnauthorizedClient, UnsupportedGrantType,
    };

    fn app() -> ObjectName {
        ObjectName::new("music", "main")
    }

    #[test]
    fn every_answer_of_the_token_endpoint_says_who_must_act() {
        for (answer, says) in [
            (TokenAnswer::Refused(InvalidGrant { expired: false }), "does not accept the code"),
            (TokenAnswer::Refused(InvalidClient), "client id or secret of SpotifyApp music/main"),
            (TokenAnswer::Refused(InvalidRequest), "invalid_request: SpotifyApp music/main"),
            (TokenAnswer::Refused(UnauthorizedClient), "unauthorized_client: SpotifyApp music/main"),
            (TokenAnswer::Refused(UnsupportedGrantType), "unsupported_grant_type"),
            (TokenAnswer::RateLimited { retry_after: Some(SignedDuration::from_secs(17)) }, "wait for 17 s: run"),
            (TokenAnswer::RateLimited { retry_after: None }, "asks to wait: run the command again then"),
            (
                TokenAnswer::Failed(Trouble::Status(503)),
                "(exchange of the code): HTTP status 503. Run the command again",
            ),
            (TokenAnswer::Ambiguous(Trouble::Cut), "the connection ended before the answer did"),
            (TokenAnswer::NotSent, "no answer within the deadline"),
        ] {
            let message = Refusal::of_exchange(answer, &app()).unwrap_err().to_string();
            assert!(message.contains(says), "{says}: {message}");
        }
    }

    #[test]
    fn every_answer_about_the_listener_says_who_must_act() {
        for (answer, says) in [
            (ApiAnswer::<()>::Unauthorized, "HTTP status 401"),
            (ApiAnswer::Forbidden(Forbidden::Scope), "did not grant the scope"),
            (ApiAnswer::Forbidden(Forbidden::NotAllowlisted), "User Management"),
            (ApiAnswer::Forbidden(Forbidden::OwnerNotPremium), "Premium"),
            (ApiAnswer::Forbidden(Forbidden::Other), "HTTP status 403"),
            (ApiAnswer::RateLimited { retry_after: None, quota: true }, "asks to wait"),
            (ApiAnswer::Failed(Trouble::Timeout), "(who signed in): no answer within the deadline"),
        ] {
            let message = Refusal::of_identity(answer).unwrap_err().to_string();
            assert!(message.contains(says), "{says}: {message}");
        }
        assert_eq!(Refusal::of_identity(ApiAnswer::Found(7)), Ok(7));
    }

    #[test]
    fn errors_of_the_authorization_endpoint_are_told_in_our_own_words() {
        for (word, expected) in [
            ("invalid_request", SpotifyError::Client),
            ("unauthorized_client", SpotifyError::Client),
            ("unsupported_response_type", SpotifyError::Client),
            ("invalid_scope", SpotifyError::Scope),
            ("server_error", SpotifyError::ServerError),
            ("temporarily_unavailable", SpotifyError::ServerError),
            ("<script>", SpotifyError::Other),
        ] {
            assert_eq!(SpotifyError::from_word(word), expected);
            assert!(!expected.to_string().contains("script"));
        }
    }

    #[test]
    fn remedies_are_commands_that_can_be_copied() {
        let message = Refusal::NotLabelled(ObjectName::new("music", "alice-spotify")).to_string();
        assert!(
            message.contains("kubectl --namespace music label secret alice-spotify scrobble-operator.io/use=token"),
            "{message}"
        );
        assert!(Refusal::TooLate.to_string().contains("within 5 minutes"));
    }
}
