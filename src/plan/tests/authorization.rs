//! `status.authorization` and `status.token`: whose token it is, and until when.

use jiff::Timestamp;

use super::accounts::{
    AUTHORIZATION, AccountSentence, LISTENER, StatusQuestion, account, hours, minutes, seconds, start,
};
use super::observations::{ObservedSentence, ProgressSentence, around, progress, token};
use super::plays::page;
use crate::api::condition::{ConditionType, whole_seconds};
use crate::api::v1alpha1::{AuthorizationFlow, FailureStatus, SpotifyAccount, SpotifyAccountStatus, TokenStatus};
use crate::domain::answer::{ApiAnswer, Refusal, Trouble};
use crate::domain::listener::Listener;
use crate::domain::token::Flow;
use crate::plan::step::RefreshOutcome;
use crate::plan::{Interruption, Progress, TokenView, settle};

fn days(number: i64) -> jiff::SignedDuration {
    hours(24 * number)
}

fn settled(account: &SpotifyAccount, token: &TokenView, progress: &Progress, now: Timestamp) -> SpotifyAccountStatus {
    settle(account, &around(account).with_token(token.clone()), progress, now).status
}

fn authorized(time: Timestamp) -> TokenView {
    TokenView { authorized_at: Some(time), ..token(start() + hours(1)) }
}

fn first_read() -> Progress {
    progress().with_listener(LISTENER).with_page(page([]), start())
}

fn dead(expired: bool) -> Progress {
    progress().with_refresh(RefreshOutcome::Refused { refusal: Refusal::InvalidGrant { expired }, interrupted: None })
}

#[test]
fn an_authorization_ends_180_days_after_it_was_given() {
    let view = TokenView { flow: Some(Flow::Confidential), ..authorized("2026-11-01T08:30:00Z".parse().unwrap()) };
    let known = settled(&account().with_target("brainz"), &view, &first_read(), start()).authorization.unwrap();
    assert_eq!(known.expiry_time.unwrap().0, "2027-04-30T08:30:00Z".parse().unwrap());
    assert_eq!(known.reauthorize_by.as_deref(), Some("2027-04-30"));
    assert!(!known.estimated);
    assert_eq!(known.flow, Some(AuthorizationFlow::Confidential));
    assert_eq!(known.scopes, ["user-read-recently-played"]);
    assert_eq!(known.spotify_account_id.as_deref(), Some(LISTENER));
    assert_eq!(known.authorization_id.as_deref(), Some(AUTHORIZATION));
}

#[test]
fn without_a_time_it_counts_from_the_first_sight_and_says_so() {
    let account = account().with_target("brainz");
    let view = token(start() + hours(1));
    let first = settled(&account, &view, &first_read(), start());
    let known = first.authorization.clone().unwrap();
    assert!(known.estimated);
    assert_eq!(known.reauthorize_by.as_deref(), Some("at the latest 2027-05-22"));
    assert_eq!(known.authorized_time, Some(whole_seconds(start())));

    let later = account.with_status(|status| *status = first);
    let again = settled(&later, &view, &progress().with_refreshed(start() + days(40)), start() + days(40));
    assert_eq!(again.authorization.unwrap(), known, "seeing it again is no new sight");
}

#[test]
fn a_time_that_is_told_later_replaces_the_estimate_and_is_not_forgotten() {
    let fresh = account().with_target("brainz");
    let estimated = settled(&fresh, &token(start() + hours(1)), &first_read(), start());
    let account = fresh.with_status(|status| *status = estimated);
    let told = settled(&account, &authorized(start() - days(30)), &progress(), start());
    let known = told.authorization.clone().unwrap();
    assert!(!known.estimated);
    assert_eq!(known.reauthorize_by.as_deref(), Some("2027-04-22"));

    let account = account.with_status(|status| *status = told);
    let wiped = settled(&account, &token(start() + hours(1)), &progress().with_refreshed(start()), start());
    assert_eq!(
        wiped.authorization.unwrap(),
        known,
        "a Secret that was replaced as a whole says less, not something else"
    );
}

#[test]
fn a_new_authorization_begins_anew() {
    let fresh = account().with_target("brainz");
    let first = settled(&fresh, &authorized(start() - days(170)), &first_read(), start());
    let account = fresh.with_status(|status| *status = first);
    let new = TokenView { authorization_id: "authorization-2".to_owned(), ..token(start() + hours(1)) };
    let unasked = settled(&account, &new, &progress().with_refreshed(start()), start());
    assert_eq!(unasked.authorization, account.status().authorization, "nobody has said yet whose it is");
    let known = settled(&account, &new, &first_read(), start()).authorization.unwrap();
    assert_eq!(known.authorization_id.as_deref(), Some("authorization-2"));
    assert!(known.estimated);
    assert_eq!(known.authorized_time, Some(whole_seconds(start())));
}

#[test]
fn the_last_thirty_days_are_warned_about_and_the_account_stays_ready() {
    for (age, reason) in [
        (149, "Succeeded"),
        (150, "AuthorizationExpiring"),
        (179, "AuthorizationExpiring"),
        (200, "AuthorizationExpiring"),
    ] {
        let view = authorized(start() - days(age));
        let status = settled(&account().with_target("brainz"), &view, &first_read(), start());
        assert_eq!(status.condition(ConditionType::Authorized), format!("True {reason}"), "after {age} days");
        assert_eq!(status.condition(ConditionType::Ready), "True Succeeded", "until Spotify says no");
        if reason == "AuthorizationExpiring" {
            let message = status.message(ConditionType::Authorized);
            assert!(message.contains("scrobble-operator connect") && message.contains("at the earliest"), "{message}");
        }
    }
}

#[test]
fn a_dead_token_is_expired_from_day_180_on_or_when_spotify_says_so() {
    for (age, expired, reason) in [
        (179, false, "AuthorizationRevoked"),
        (180, false, "AuthorizationExpired"),
        (400, false, "AuthorizationExpired"),
        (3, true, "AuthorizationExpired"),
        (3, false, "AuthorizationRevoked"),
    ] {
        let account = account().with_target("brainz").ready_since(start() - hours(1));
        let status = settled(&account, &authorized(start() - days(age)), &dead(expired), start());
        assert_eq!(status.condition(ConditionType::Stalled), format!("True {reason}"), "after {age} days");
        let message = status.message(ConditionType::Ready);
        assert!(message.contains("scrobble-operator connect --namespace music --account alice"), "{message}");
    }
}

#[test]
fn the_age_of_an_authorization_before_says_nothing_about_a_new_token() {
    let fresh = account().with_target("brainz");
    let old = settled(&fresh, &authorized(start() - days(200)), &first_read(), start());
    let account = fresh.with_status(|status| *status = old);
    let new = TokenView { authorization_id: "authorization-2".to_owned(), ..token(start()) };
    let status = settled(&account, &new, &dead(false), start());
    assert_eq!(status.condition(ConditionType::Stalled), "True AuthorizationRevoked");
}

#[test]
fn an_exchange_that_was_cut_off_is_told_with_its_time() {
    let account = account().with_target("brainz").ready_since(start() - hours(1));
    let outcome = RefreshOutcome::Refused {
        refusal: Refusal::InvalidGrant { expired: false },
        interrupted: Some(Interruption::Claimed { time: start() - minutes(3) }),
    };
    let status = settled(&account, &token(start()), &progress().with_refresh(outcome), start());
    assert_eq!(status.condition(ConditionType::Stalled), "True RefreshInterrupted");
    let message = status.message(ConditionType::Ready).clone();
    assert!(message.contains("2026-11-23T09:57:00Z"));

    // What was cut off has stored its token after all, and that one is dead, too: it is still the same story.
    let account = account.with_status(|known| *known = status);
    let stored = TokenView { token_id: "token-2".to_owned(), ..token(start()) };
    let status = settled(&account, &stored, &dead(false), start() + minutes(1));
    assert_eq!(status.condition(ConditionType::Stalled), "True RefreshInterrupted");
    assert_eq!(status.message(ConditionType::Ready), message);
    let new = TokenView { authorization_id: "authorization-2".to_owned(), ..stored };
    let status = settled(&account, &new, &dead(false), start() + minutes(1));
    assert_eq!(status.condition(ConditionType::Stalled), "True AuthorizationRevoked");
}

#[test]
fn an_exchange_that_nobody_can_tell_of_any_more_is_told_as_such() {
    let outcome = |expired| RefreshOutcome::Refused {
        refusal: Refusal::InvalidGrant { expired },
        interrupted: Some(Interruption::Wiped),
    };
    let account = account().with_target("brainz").ready_since(start() - hours(1)).with_status(|status| {
        let last_refresh_time = Some(whole_seconds(start() - hours(1)));
        status.token = Some(TokenStatus { last_refresh_time, ..TokenStatus::default() });
    });
    let status = settled(&account, &token(start()), &progress().with_refresh(outcome(false)), start());
    assert_eq!(status.condition(ConditionType::Stalled), "True RefreshInterrupted");
    let message = status.message(ConditionType::Ready);
    assert!(message.contains("after 2026-11-23T09:00:00Z may have been cut off"), "{message}");
    assert!(message.contains("scrobble-operator connect"), "{message}");
    // Spotify says more than the Secret does.
    let status = settled(&account, &token(start()), &progress().with_refresh(outcome(true)), start());
    assert_eq!(status.condition(ConditionType::Stalled), "True AuthorizationExpired");
}

#[test]
fn a_token_that_was_put_back_is_said_once_for_each_authorization() {
    let mut account = account().with_target("brainz").ready_since(start() - hours(1));
    let mut said = Vec::new();
    let tokens = [
        token(start()),
        TokenView { put_back: true, ..token(start()) },
        token(start()),
        TokenView { put_back: true, ..token(start()) },
        TokenView { authorization_id: "authorization-2".to_owned(), ..token(start()) },
        TokenView { authorization_id: "authorization-2".to_owned(), put_back: true, ..token(start()) },
    ];
    for (number, token) in tokens.into_iter().enumerate() {
        let now = start() + minutes(i64::try_from(number).unwrap());
        let known =
            progress().with_refresh(RefreshOutcome::Refreshed { token: token.clone(), time: now, rotated: true });
        let known =
            Progress { listener: Some(ApiAnswer::Found(Listener { account_id: LISTENER.to_owned() })), ..known };
        let settled = settle(&account, &around(&account).with_token(token), &known, now);
        said.push(settled.announcements.iter().filter(|event| event.note.contains("was put back")).count());
        let time = settled.status.authorization.as_ref().unwrap().put_back_time.clone();
        assert_eq!(time.is_some(), [1, 2, 3, 5].contains(&number), "{number}");
        account = account.with_status(|status| *status = settled.status);
    }
    assert_eq!(said, [0, 1, 0, 0, 0, 1]);
}

#[test]
fn a_new_token_leaves_what_failed_with_the_one_before_behind() {
    let account = account().with_target("brainz").ready_since(start() - hours(9)).with_status(|status| {
        let last_reason = Some("AuthorizationRevoked".to_owned());
        status.failures = Some(FailureStatus { consecutive: 7, last_reason, ..FailureStatus::default() });
    });
    let new = TokenView { authorization_id: "authorization-2".to_owned(), ..token(start() + hours(1)) };
    let refreshed = RefreshOutcome::Refreshed { token: new.clone(), time: start(), rotated: false };
    let trouble = Some(ApiAnswer::Failed(Trouble::Status(502)));
    let failing = Progress { listener: trouble.clone(), ..progress().with_refresh(refreshed) };
    let status = settled(&account, &new, &failing, start());
    assert_eq!(status.failures.as_ref().unwrap().consecutive, 1);
    assert_eq!(status.circuit_breaker, None);
    // It is new once: what fails from then on counts.
    let account = account.with_status(|known| *known = status);
    let status = settled(&account, &new, &Progress { listener: trouble, ..progress() }, start() + minutes(2));
    assert_eq!(status.failures.unwrap().consecutive, 2);
    let refused = RefreshOutcome::Refused { refusal: Refusal::InvalidGrant { expired: false }, interrupted: None };
    let next = TokenView { authorization_id: "authorization-3".to_owned(), ..new };
    let status = settled(&account, &next, &progress().with_refresh(refused), start() + minutes(4));
    assert_eq!(status.failures.unwrap().consecutive, 1);
}

#[test]
fn a_dead_token_is_probed_after_an_hour_then_after_a_day() {
    let mut account = account().with_target("brainz").ready_since(start() - hours(1));
    let mut now = start();
    for wait in [hours(1), hours(24), hours(24)] {
        let status = settled(&account, &token(start()), &dead(false), now);
        assert_eq!(status.failures.as_ref().unwrap().next_attempt_time.as_ref().unwrap().0, now + wait);
        account = account.with_status(|known| *known = status);
        now += wait;
    }
    for expired in [false, true] {
        let status = settled(&account, &token(start()), &dead(expired), now);
        assert_eq!(status.failures.unwrap().next_attempt_time.unwrap().0, now + hours(24), "whatever Spotify says now");
        let (authorization_id, token_id) = ("authorization-2".to_owned(), "token-2".to_owned());
        let other = TokenView { authorization_id, token_id, ..token(start()) };
        let status = settled(&account, &other, &dead(expired), now);
        assert_eq!(status.failures.unwrap().next_attempt_time.unwrap().0, now + hours(1), "another token begins anew");
    }
}

#[test]
fn a_token_is_described_when_it_was_refreshed() {
    let account = account().with_target("brainz").ready_since(start() - hours(1));
    let now = start() + hours(2);
    let refreshed = |life: i64, rotated| {
        let token = token(now + seconds(life));
        progress().with_refresh(RefreshOutcome::Refreshed { token, time: now, rotated })
    };
    let known = settled(&account, &token(now), &refreshed(3600, true), now).token.unwrap();
    assert_eq!(known.expiry_time, Some(whole_seconds(now + hours(1))));
    assert!(known.next_refresh_time.as_ref().unwrap().0 >= now + minutes(55) - crate::plan::refresh::LEAD);
    assert_eq!(known.last_refresh_time, Some(whole_seconds(now)));
    assert_eq!(known.last_rotation_time, Some(whole_seconds(now)));
    let kept = account.with_status(|status| status.token = Some(known));
    let later = settled(&kept, &token(now), &refreshed(3600, false), now);
    assert_eq!(later.token.unwrap().last_rotation_time, Some(whole_seconds(now)));
}

#[test]
fn somebody_elses_token_is_never_taken_for_known() {
    let account = account().with_target("brainz").ready_since(start() - hours(1));
    let other = TokenView { authorization_id: "authorization-2".to_owned(), ..token(start() + hours(1)) };
    let status = settled(&account, &other, &progress().with_listener("somebody-else"), start());
    assert_eq!(status.condition(ConditionType::Stalled), "True ListenerMismatch");
    let known = status.authorization.clone().unwrap();
    assert_eq!(known.spotify_account_id.as_deref(), Some(LISTENER), "whose plays the account carries");
    assert_ne!(known.authorization_id.as_deref(), Some("authorization-2"));

    let account = account.with_status(|known| *known = status);
    let refreshed = settled(&account, &other, &progress().with_refreshed(start()), start());
    assert_eq!(
        refreshed.condition(ConditionType::Authorized),
        "False ListenerMismatch",
        "a refresh proves nothing here"
    );
}
