//! What keeps an account from working, and who has to act.

use jiff::Timestamp;

use super::observed::Observed;
use super::reference;
use super::step::SecretTrouble;
use crate::api::condition::{ConditionType, Reason};
use crate::api::secret::{USE_LABEL, is_operators_own};
use crate::api::v1alpha1::{FailureType, SpotifyAccount};
use crate::domain::token_secret::ContentProblem;

/// Something is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The reason shown.
    pub reason: Reason,
    /// What is wrong and what to do.
    pub message: String,
    /// What the failure is about.
    pub failure: FailureType,
    /// The condition that it shows on, besides `Ready`.
    pub condition: ConditionType,
    /// A human must act: nothing the operator does by itself will help.
    pub stalled: bool,
    /// Spotify or a service was asked: the failure counts, and there is a next attempt.
    pub attempted: bool,
    /// Whether it is a failure of the account's, which its count and its breaker tell; not where the app is to blame.
    pub counts: bool,
    /// Not to be tried before.
    pub not_before: Option<Timestamp>,
}

impl Problem {
    /// A problem of what objects and Secrets say, which a human must mend.
    pub fn configuration(reason: Reason, message: String) -> Self {
        Self {
            reason,
            message,
            failure: FailureType::Configuration,
            condition: ConditionType::Authorized,
            stalled: true,
            attempted: false,
            counts: true,
            not_before: None,
        }
    }

    /// The same on the target's side.
    pub fn target(reason: Reason, message: String) -> Self {
        Self { condition: ConditionType::Synced, ..Self::configuration(reason, message) }
    }

    /// Trouble that passes by itself.
    pub fn passing(reason: Reason, failure: FailureType, message: String) -> Self {
        Self {
            reason,
            message,
            failure,
            condition: ConditionType::Synced,
            stalled: false,
            attempted: true,
            counts: true,
            not_before: None,
        }
    }

    /// A Secret cannot be used. `what` says whose it is, such as `the token Secret`.
    pub fn secret(what: &str, trouble: &SecretTrouble) -> Self {
        let (reason, message) = match trouble {
            SecretTrouble::NotFound { secret } => (
                Reason::SecretNotFound,
                format!("{what} {secret} does not exist: create it with the label {USE_LABEL}"),
            ),
            SecretTrouble::NotLabelled { secret, .. } if is_operators_own(&secret.name) => (
                Reason::SecretNotLabelled,
                format!("{what} {secret} belongs to the operator itself: name another Secret"),
            ),
            SecretTrouble::NotLabelled { secret, wanted } => (
                Reason::SecretNotLabelled,
                format!("{what} {secret} may not be used for this: set its label {USE_LABEL}: {wanted}"),
            ),
            SecretTrouble::Content { secret, problem: ContentProblem::KeyMissing { key } } => {
                (Reason::SecretKeyMissing, format!("{what} {secret} has no key {key}: add it"))
            }
            SecretTrouble::Content { secret, problem: ContentProblem::Invalid { key, problem } } => {
                (Reason::SecretInvalid, format!("{what} {secret} cannot be used: {key}: {problem}"))
            }
            SecretTrouble::Immutable { secret } => (
                Reason::SecretImmutable,
                format!(
                    "{what} {secret} is immutable, so that a new token could not be stored: replace it with one that is not"
                ),
            ),
            SecretTrouble::ReadForbidden { secret } => (
                Reason::SecretWriteForbidden,
                format!(
                    "{what} {secret} may not be read: grant the operator get, create, patch and update on Secrets there"
                ),
            ),
            SecretTrouble::WriteForbidden { secret } => (
                Reason::SecretWriteForbidden,
                format!(
                    "{what} {secret} may not be written: grant the operator get, create, patch and update on Secrets there"
                ),
            ),
            SecretTrouble::NotOurs { secret } => (
                Reason::SecretInvalid,
                format!("Secret {secret} has a name that belongs to the operator but was not written by it: remove it"),
            ),
            SecretTrouble::Cluster => {
                let message = format!("{what} could not be read or written: the API server does not answer");
                return Self::passing(Reason::NetworkError, FailureType::Network, message);
            }
        };
        Self::configuration(reason, message)
    }
}

/// The problem, if there is one, that stops the account before anything is asked.
pub fn blocking(account: &SpotifyAccount, observed: &Observed) -> Option<Problem> {
    if let Some(holder) = &observed.token_secret_holder {
        let secret = &account.spec.token_secret_ref.name;
        return Some(Problem::configuration(
            Reason::SecretInUse,
            format!(
                "Secret {secret} is held by the older SpotifyAccount {holder}: give this account a token Secret of its own"
            ),
        ));
    }
    if let Some(name) = &account.spec.plan
        && let Err(problem) = reference::plan(observed, name)
    {
        return Some(problem);
    }
    reference::app(observed).err()
}
