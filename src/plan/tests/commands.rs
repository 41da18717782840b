//! Where signing in is what helps, the message names the command that does it, ready to be copied.

use super::accounts::{AccountSentence, StatusQuestion, account, hours, start};
use super::observations::{ObservedSentence, ProgressSentence, around, progress, token};
use crate::api::condition::ConditionType;
use crate::domain::answer::{ApiAnswer, Forbidden, Refusal, Trouble};
use crate::domain::name::ObjectName;
use crate::domain::token::Flow;
use crate::domain::token_secret::ContentProblem;
use crate::plan::settle;
use crate::plan::step::{RefreshOutcome, SecretTrouble};

const COMMAND: &str = "Run: scrobble-operator connect --namespace music --account alice";

fn secret() -> ObjectName {
    ObjectName::new("music", "alice-spotify")
}

fn no_key(key: &str) -> SecretTrouble {
    SecretTrouble::Content { secret: secret(), problem: ContentProblem::KeyMissing { key: key.to_owned() } }
}

#[test]
fn every_message_that_signing_in_would_answer_names_the_command_and_no_other_does() {
    let refused = |refusal| progress().with_refresh(RefreshOutcome::Refused { refusal, interrupted: None });
    let forbidden = |forbidden| progress().with_no_page(ApiAnswer::Forbidden(forbidden));
    let token_secret = |trouble| progress().with_refresh(RefreshOutcome::TokenSecret(trouble));
    let client_secret = |trouble| progress().with_refresh(RefreshOutcome::ClientSecret(trouble));
    let missing = || SecretTrouble::NotFound { secret: secret() };
    for (progress, reason, named) in [
        (refused(Refusal::InvalidGrant { expired: false }), "AuthorizationRevoked", true),
        (refused(Refusal::InvalidGrant { expired: true }), "AuthorizationExpired", true),
        (refused(Refusal::InvalidRequest), "ConfigurationInvalid", true),
        (progress().with_refresh(RefreshOutcome::FlowMismatch { flow: Flow::Pkce }), "ConfigurationInvalid", true),
        (forbidden(Forbidden::Scope), "ScopeInsufficient", true),
        (progress().with_listener("somebody-else"), "ListenerMismatch", true),
        (progress().with_loaded(Err(missing())), "SecretNotFound", true),
        (token_secret(missing()), "SecretNotFound", true),
        (progress().with_loaded(Err(no_key("refresh-token"))), "SecretKeyMissing", true),
        (token_secret(no_key("refresh-token")), "SecretKeyMissing", true),
        (client_secret(missing()), "SecretNotFound", false),
        (client_secret(no_key("refresh-token")), "SecretKeyMissing", false),
        (token_secret(SecretTrouble::Immutable { secret: secret() }), "SecretImmutable", false),
        (forbidden(Forbidden::NotAllowlisted), "UserNotAllowlisted", false),
        (forbidden(Forbidden::OwnerNotPremium), "AppOwnerNotPremium", false),
    ] {
        let account = account().with_target("brainz").ready_since(start() - hours(1));
        let observed = around(&account).with_token(token(start() + hours(1)));
        let status = settle(&account, &observed, &progress, start()).status;
        assert_eq!(status.condition(ConditionType::Ready), format!("False {reason}"));
        let message = status.message(ConditionType::Ready);
        assert_eq!(message.ends_with(COMMAND), named, "{reason}: {message}");
        assert_eq!(message.contains("connect"), named, "{reason}: {message}");
    }
    let passing = progress().with_refresh(RefreshOutcome::Failed(Trouble::Timeout));
    let account = account().with_target("brainz").ready_since(start() - hours(1));
    let observed = around(&account).with_token(token(start() + hours(1)));
    let status = settle(&account, &observed, &passing, start()).status;
    assert!(status.conditions.iter().all(|condition| !condition.message.contains("connect")));
}
