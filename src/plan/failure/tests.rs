//! The table is complete and does not contradict itself.

use std::collections::BTreeSet;

use super::*;
use crate::domain::answer::{ApiAnswer, Delivery, Forbidden, Trouble};
use crate::domain::name::ObjectName;
use crate::domain::token_secret::ContentProblem;
use crate::plan::problem::Problem;
use crate::plan::step::SecretTrouble;
use jiff::SignedDuration;

/// What no failure shows: what is wanted, what is told ahead of time, what follows from failures in a row, and the word
/// for a token that nobody can say more about.
const NO_FAILURE: [Reason; 8] = [
    Reason::Succeeded,
    Reason::Progressing,
    Reason::Suspended,
    Reason::AuthorizationRequired,
    Reason::AuthorizationExpiring,
    Reason::CircuitOpen,
    Reason::GapDetected,
    Reason::JournalFull,
];

#[test]
fn every_reason_belongs_to_a_failure_or_is_none() {
    for &reason in Reason::ALL {
        let shown = Failure::with_reason(reason).next().is_some();
        assert_eq!(shown, !NO_FAILURE.contains(&reason), "{reason}");
    }
    let names: BTreeSet<&str> = Failure::ALL.iter().map(|failure| failure.as_str()).collect();
    assert_eq!(names.len(), Failure::ALL.len());
}

#[test]
fn the_table_does_not_contradict_itself() {
    for &failure in Failure::ALL {
        let (facts, name) = (failure.facts(), failure.as_str());
        let helps_itself = facts.remedy.starts_with("nothing");
        assert_eq!(facts.stalled, !helps_itself, "{name}: Stalled is where a human must act, and nowhere else");
        assert!(!facts.remedy.is_empty() && !facts.remedy.ends_with('.'), "{name}");
        assert!(failure.seen().ends_with('.'), "{name}");
        if facts.retry == Retry::OnChange {
            assert!(facts.stalled, "{name}: only a human changes something");
            assert_eq!(facts.counts, Counts::Nowhere, "{name}: nothing is sent, so that nothing counts");
        }
        assert_eq!(facts.mended_by == MendedBy::Time, !facts.stalled, "{name}");
        if facts.retry == Retry::Now {
            assert!(matches!(facts.reason, Reason::UpstreamUnavailable | Reason::NetworkError), "{name}");
        }
        if facts.counts == Counts::Account {
            assert!(!facts.stalled, "{name}: what only a human can mend opens no breaker of the account");
        }
        let asks = facts.failure_type == FailureType::RateLimited;
        assert!(!asks || facts.retry == Retry::AtItsTime, "{name}: whoever asks to wait is left alone for so long");
        assert!(!facts.stalled || facts.event == EventType::Warning, "{name}");
        assert_eq!(
            facts.counts == Counts::Target,
            name.starts_with("Target") && facts.retry == Retry::Later && failure != Failure::TargetSecretUnread,
            "{name}"
        );
    }
}

/// The sets that this table has taken the place of.
#[test]
fn what_follows_from_a_reason_follows_from_its_failures() {
    let by_reference = [
        Reason::AppNotFound,
        Reason::TargetNotFound,
        Reason::PlanNotFound,
        Reason::ReferenceNotAllowed,
        Reason::SecretInUse,
        Reason::ObjectUnreadable,
        Reason::NoSeatLeft,
    ];
    let about_secret = [
        Reason::SecretNotFound,
        Reason::SecretKeyMissing,
        Reason::SecretInvalid,
        Reason::SecretNotLabelled,
        Reason::SecretImmutable,
        Reason::SecretWriteForbidden,
    ];
    let by_secret = [
        Reason::AuthorizationRevoked,
        Reason::AuthorizationExpired,
        Reason::RefreshInterrupted,
        Reason::ListenerMismatch,
        Reason::ScopeInsufficient,
        Reason::ConfigurationInvalid,
        Reason::TargetUnauthorized,
    ];
    let pass = [Reason::RateLimited, Reason::QuotaExceeded, Reason::UpstreamUnavailable, Reason::NetworkError];
    for &reason in Reason::ALL {
        assert_eq!(is_mended_by_reference(reason), by_reference.contains(&reason), "{reason}");
        assert_eq!(is_about_secret(reason), about_secret.contains(&reason), "{reason}");
        let secret = about_secret.contains(&reason) || by_secret.contains(&reason);
        assert_eq!(may_be_mended_by_secret(reason), secret, "{reason}");
        let passing = pass.contains(&reason) || matches!(reason, Reason::TargetFailing | Reason::InternalError);
        assert_eq!(passes(reason), passing, "{reason}");
        assert_eq!(warns(reason), reason != Reason::RateLimited, "{reason}");
        let asks = matches!(reason, Reason::RateLimited | Reason::QuotaExceeded);
        assert_eq!(asks_to_wait(reason), asks, "{reason}");
    }
}

#[test]
fn answers_of_the_web_api_are_told_apart() {
    let retry_after = SignedDuration::from_secs(5);
    for (answer, expected) in [
        (ApiAnswer::Found(()), None),
        (ApiAnswer::Unauthorized, Some(Failure::AccessTokenRefused)),
        (ApiAnswer::Forbidden(Forbidden::Scope), Some(Failure::ScopeInsufficient)),
        (ApiAnswer::Forbidden(Forbidden::NotAllowlisted), Some(Failure::UserNotAllowlisted)),
        (ApiAnswer::Forbidden(Forbidden::OwnerNotPremium), Some(Failure::AppOwnerNotPremium)),
        (ApiAnswer::Forbidden(Forbidden::Other), Some(Failure::ForbiddenOtherwise)),
        (ApiAnswer::RateLimited { retry_after: None, quota: false }, Some(Failure::ApiLimited)),
        (ApiAnswer::RateLimited { retry_after: None, quota: true }, Some(Failure::QuotaExceeded)),
        (ApiAnswer::Failed(Trouble::Busy { status: 503, retry_after }), Some(Failure::ApiBusy)),
        (ApiAnswer::Failed(Trouble::Status(500)), Some(Failure::ApiTrouble)),
        (ApiAnswer::Failed(Trouble::Status(599)), Some(Failure::ApiTrouble)),
        (ApiAnswer::Failed(Trouble::Status(499)), Some(Failure::ApiUnusable)),
        (ApiAnswer::Failed(Trouble::Status(302)), Some(Failure::ApiUnusable)),
        (ApiAnswer::Failed(Trouble::Unreadable), Some(Failure::ApiUnusable)),
        (ApiAnswer::Failed(Trouble::TooLarge), Some(Failure::ApiUnusable)),
        (ApiAnswer::Failed(Trouble::Timeout), Some(Failure::ApiNetwork)),
        (ApiAnswer::Failed(Trouble::Unreachable), Some(Failure::ApiNetwork)),
        (ApiAnswer::Failed(Trouble::Cut), Some(Failure::ApiNetwork)),
    ] {
        assert_eq!(Failure::of_api(&answer), expected, "{answer:?}");
    }
}

#[test]
fn answers_of_targets_are_told_apart() {
    let not_now = |trouble| Delivery::NotNow { retry_after: None, trouble };
    for (answer, expected) in [
        (Delivery::Accepted, None),
        (Delivery::AlreadyThere, None),
        (Delivery::Never { reason: "its artist is ignored".to_owned() }, None),
        (Delivery::CredentialsRefused, Some(Failure::TargetCredentialsRefused)),
        (Delivery::ClientRefused { reason: "the API key is invalid".to_owned() }, Some(Failure::TargetKeysRefused)),
        (Delivery::Suspended, Some(Failure::TargetGone)),
        (not_now(Trouble::RateLimited), Some(Failure::TargetLimited)),
        (not_now(Trouble::DailyLimit), Some(Failure::TargetDayFull)),
        (not_now(Trouble::TooNew), None),
        (not_now(Trouble::SecondTaken), None),
        (not_now(Trouble::AddressRefused), Some(Failure::TargetAddressRefused)),
        (not_now(Trouble::UrlRefused("it has no host")), Some(Failure::TargetAddressRefused)),
        (not_now(Trouble::Status(503)), Some(Failure::TargetTrouble)),
        (not_now(Trouble::OperationFailed), Some(Failure::TargetTrouble)),
        (not_now(Trouble::Unreachable), Some(Failure::TargetNetwork)),
        (Delivery::Unknown(Trouble::Cut), Some(Failure::TargetNetwork)),
        (Delivery::Unknown(Trouble::Unreadable), Some(Failure::TargetTrouble)),
    ] {
        assert_eq!(Failure::of_delivery(&answer), expected, "{answer:?}");
    }
}

#[test]
fn what_is_wrong_with_a_secret_is_told_with_its_reason() {
    let secret = || ObjectName::new("music", "alice-spotify");
    let missing = ContentProblem::KeyMissing { key: "refresh-token".to_owned() };
    for (trouble, reason, says) in [
        (SecretTrouble::NotFound { secret: secret() }, Reason::SecretNotFound, "create it"),
        (SecretTrouble::NotLabelled { secret: secret(), wanted: "token" }, Reason::SecretNotLabelled, "set its label"),
        (SecretTrouble::Content { secret: secret(), problem: missing }, Reason::SecretKeyMissing, "add it"),
        (SecretTrouble::Immutable { secret: secret() }, Reason::SecretImmutable, "replace it"),
        (SecretTrouble::ReadForbidden { secret: secret() }, Reason::SecretWriteForbidden, "grant the operator"),
        (SecretTrouble::WriteForbidden { secret: secret() }, Reason::SecretWriteForbidden, "grant the operator"),
        (SecretTrouble::NotOurs { secret: secret() }, Reason::SecretInvalid, "remove it"),
    ] {
        let problem = Problem::secret("the token Secret", &trouble);
        assert_eq!((problem.reason, problem.stalled, problem.attempted), (reason, true, false), "{trouble:?}");
        assert!(problem.message.contains(says) && problem.message.contains("alice-spotify"), "{}", problem.message);
    }
    let away = Problem::secret("the token Secret", &SecretTrouble::Cluster);
    assert_eq!((away.reason, away.stalled, away.attempted), (Reason::NetworkError, false, true));
}
