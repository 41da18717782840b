//! What keeps an account from working, and who has to act.

use jiff::Timestamp;

use super::failure::{Counts, Failure, Retry};
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
    /// Whose breaker it moves.
    pub counts: Counts,
    /// Not to be tried before.
    pub not_before: Option<Timestamp>,
}

impl Problem {
    /// A failure, with what follows from it. The message says what is wrong and what to do.
    pub fn of(failure: Failure, message: String) -> Self {
        let facts = failure.facts();
        Self {
            reason: facts.reason,
            message,
            failure: facts.failure_type,
            condition: facts.condition,
            stalled: facts.stalled,
            attempted: facts.retry != Retry::OnChange,
            counts: facts.counts,
            not_before: None,
        }
    }

    /// The same, where what is to be done is the same for everybody.
    pub fn told(failure: Failure, what: &str) -> Self {
        Self::of(failure, format!("{what}: {}", failure.facts().remedy))
    }

    /// The same problem, not to be tried before a time.
    #[must_use]
    pub fn until(self, time: Timestamp) -> Self {
        Self { not_before: Some(time), ..self }
    }

    /// A problem of what objects and Secrets say, which a human must mend.
    pub fn configuration(reason: Reason, message: String) -> Self {
        Self {
            reason,
            message,
            failure: FailureType::Configuration,
            condition: ConditionType::Authorized,
            stalled: true,
            attempted: false,
            counts: Counts::Nowhere,
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
            counts: if failure == FailureType::RateLimited { Counts::Nowhere } else { Counts::Account },
            not_before: None,
        }
    }

    /// A Secret cannot be used. `what` says whose it is, such as `the token Secret`.
    pub fn secret(what: &str, trouble: &SecretTrouble) -> Self {
        let message = match trouble {
            SecretTrouble::NotFound { secret } => {
                format!("{what} {secret} does not exist: create it with the label {USE_LABEL}")
            }
            SecretTrouble::NotLabelled { secret, .. } if is_operators_own(&secret.name) => {
                format!("{what} {secret} belongs to the operator itself: name another Secret")
            }
            SecretTrouble::NotLabelled { secret, wanted } => {
                format!("{what} {secret} may not be used for this: set its label {USE_LABEL}: {wanted}")
            }
            SecretTrouble::Content { secret, problem: ContentProblem::KeyMissing { key } } => {
                format!("{what} {secret} has no key {key}: add it")
            }
            SecretTrouble::Content { secret, problem: ContentProblem::Invalid { key, problem } } => {
                format!("{what} {secret} cannot be used: {key}: {problem}")
            }
            SecretTrouble::Immutable { secret } => format!(
                "{what} {secret} is immutable, so that a new token could not be stored: replace it with one that is not"
            ),
            SecretTrouble::ReadForbidden { secret } => format!("{what} {secret} may not be read: {}", remedy(trouble)),
            SecretTrouble::WriteForbidden { secret } => {
                format!("{what} {secret} may not be written: {}", remedy(trouble))
            }
            SecretTrouble::NotOurs { secret } => {
                format!("Secret {secret} has a name that belongs to the operator but was not written by it: remove it")
            }
            SecretTrouble::Cluster => {
                format!("{what} could not be read or written: the API server does not answer")
            }
        };
        Self::of(Failure::of_secret(trouble), message)
    }
}

fn remedy(trouble: &SecretTrouble) -> &'static str {
    Failure::of_secret(trouble).facts().remedy
}

/// The problem, if there is one, that stops the account before anything is asked.
pub fn blocking(account: &SpotifyAccount, observed: &Observed) -> Option<Problem> {
    if let Some(holder) = &observed.token_secret_holder {
        let secret = &account.spec.token_secret_ref.name;
        return Some(Problem::told(
            Failure::SecretInUse,
            &format!("Secret {secret} is held by the older SpotifyAccount {holder}"),
        ));
    }
    observed.seating.problem().or_else(|| reference::app(observed).err())
}
