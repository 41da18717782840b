//! Who is told that an account needs a human, when, and how often; and what is known of the webhook.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::accounts::{AccountSentence, StatusQuestion, account, hours, minutes, seconds, start};
use super::observations::{app, around, token};
use super::world::{Exchange, World};
use crate::api::condition::{ConditionType, Reason, set_condition};
use crate::api::v1alpha1::{
    FailureStatus, NotificationStatus, NotificationWebhookState, Notifications, SecretKeyReference, SpotifyAccount,
    SpotifyApp,
};
use crate::domain::answer::{ApiAnswer, Forbidden, Refusal, Trouble};
use crate::domain::listener::Listener;
use crate::domain::name::ObjectName;
use crate::domain::notice::{Notice, NoticeAnswer};
use crate::plan::client::Standing;
use crate::plan::notification::{Outcome, announcement, is_current, key_looked_at, next, pause_after, tried};
use crate::plan::step::{RefreshOutcome, SecretTrouble};
use crate::plan::{Lookup, TokenView};

const COMMAND: &str = "scrobble-operator connect --namespace music --account alice";

fn days(number: i64) -> SignedDuration {
    hours(24 * number)
}

/// The app with a webhook.
fn telling_app() -> SpotifyApp {
    let mut app = app();
    app.spec.notifications = Some(Notifications {
        url: "https://hooks.example.org/scrobble".to_owned(),
        signing_key_ref: Some(SecretKeyReference { name: "hooks".to_owned(), key: "hmac".to_owned() }),
    });
    app
}

fn refusing(expired: bool) -> Exchange {
    Exchange::Ends(RefreshOutcome::Refused { refusal: Refusal::InvalidGrant { expired }, interrupted: None })
}

/// An account that was read; its app has a webhook.
fn reading() -> World {
    let mut world = World::of(account().with_target("brainz"));
    world.surroundings.app = Lookup::Found(Arc::new(telling_app()));
    world.pass();
    world
}

/// Spotify refuses the token from now on.
fn revoke(world: &mut World) {
    world.exchanges.then = refusing(false);
    world.secret.then = Ok(token(world.now));
    world.surroundings.token = Some(token(world.now));
}

/// The listener has signed in again.
fn sign_in(world: &mut World, authorization: &str) {
    world.exchanges.then = Exchange::Succeeds { life: hours(1000) };
    world.secret.then = Ok(signed_in(authorization, world.now));
}

fn signed_in(authorization: &str, expires_at: Timestamp) -> TokenView {
    TokenView {
        authorization_id: authorization.to_owned(),
        token_id: format!("token of {authorization}"),
        ..token(expires_at)
    }
}

/// When notices were counted since the first of them, and their numbers.
fn schedule(world: &mut World) -> Vec<(SignedDuration, i32)> {
    let notices = std::mem::take(&mut world.notices);
    assert!(notices.iter().all(|(sent, notice)| sent.duration_since(notice.time) < seconds(1)), "{notices:?}");
    let first = notices.first().map_or(world.now, |(_, notice)| notice.time);
    notices.iter().map(|(_, notice)| (notice.time.duration_since(first), notice.number)).collect()
}

#[test]
fn a_human_is_asked_at_once_and_after_1_3_and_7_days_and_never_again() {
    let mut world = reading();
    assert!(world.notices.is_empty());
    revoke(&mut world);
    let revoked = world.now;
    world.run_for(days(14));
    let shown = world.status().history.iter().map(|entry| entry.first_time.0).max().unwrap();
    let (first, notice) = world.notices[0].clone();
    assert!(first >= revoked && first.duration_since(shown) < seconds(1), "with the write that says so");
    assert_eq!(notice.reason, "AuthorizationRevoked");
    assert_eq!(notice.app, ObjectName::new("music", "main"));
    assert_eq!((notice.account.clone(), notice.of), (ObjectName::new("music", "alice"), 4));
    assert!(notice.text.starts_with("SpotifyAccount music/alice: Spotify no longer accepts"), "{}", notice.text);
    assert_eq!(notice.text.matches(COMMAND).count(), 1, "{}", notice.text);
    assert_eq!(notice.command.as_deref(), Some(COMMAND));
    let ids: BTreeSet<&str> = world.notices.iter().map(|(_, notice)| notice.id.as_str()).collect();
    assert!(ids.len() == 4 && ids.iter().all(|id| id.len() == 32), "{ids:?}");
    let known = world.status().notifications.unwrap();
    assert_eq!(known.auth_notification_count, 4);
    assert_eq!(known.last_notification_time.unwrap().0, world.notices[3].1.time);
    let spread = schedule(&mut world);
    assert_eq!(spread, [(days(0), 1), (days(1), 2), (days(3), 3), (days(7), 4)]);
}

#[test]
fn restarts_repeat_none_and_one_that_is_late_moves_the_rest() {
    let mut world = reading();
    revoke(&mut world);
    world.run_for(minutes(65));
    for _ in 0..20 {
        world.restart_after(seconds(5));
        world.run_for(minutes(1));
    }
    assert_eq!(world.notices.len(), 1);
    world.restart_after(days(6));
    world.run_for(days(20));
    let times: Vec<SignedDuration> = schedule(&mut world).into_iter().map(|(time, _)| time).collect();
    assert_eq!(times.len(), 4);
    assert!(times[1] > days(6), "nobody was there before: {times:?}");
    assert_eq!((times[2] - times[1], times[3] - times[2]), (days(2), days(4)), "no two at once");
}

#[test]
fn recovery_ends_it_in_one_write_and_what_comes_after_begins_anew() {
    let mut world = reading();
    revoke(&mut world);
    world.run_for(days(2));
    assert_eq!(world.status().notifications.unwrap().auth_notification_count, 2);
    sign_in(&mut world, "authorization-2");
    for _ in 0..100 {
        world.pass();
        let status = world.status();
        let accepted = status.condition(ConditionType::Authorized).starts_with("True");
        assert_eq!(accepted, status.notifications.is_none(), "in the same write");
        world.now += seconds(10);
    }
    assert!(world.status().notifications.is_none());
    world.run_for(days(9));
    assert_eq!(world.notices.len(), 2, "whoever has just signed in is not asked to: {:?}", world.notices);
    world.notices.clear();
    world.exchanges.then = refusing(true);
    world.secret.then = Ok(signed_in("authorization-2", world.now));
    world.surroundings.token = Some(signed_in("authorization-2", world.now));
    world.run_for(days(8));
    assert_eq!(world.notices[0].1.reason, "AuthorizationExpired");
    assert_eq!(schedule(&mut world), [(days(0), 1), (days(1), 2), (days(3), 3), (days(7), 4)]);
}

#[test]
fn another_authorization_that_does_not_work_either_is_told_at_once() {
    let mut world = reading();
    revoke(&mut world);
    world.run_for(minutes(30));
    assert_eq!(world.notices.len(), 1);
    world.secret.then = Ok(signed_in("authorization-2", world.now));
    world.run_for(minutes(30));
    let numbers: Vec<i32> = world.notices.iter().map(|(_, notice)| notice.number).collect();
    assert_eq!(numbers, [1, 1], "somebody has acted, and it did not help");
    assert_ne!(world.notices[0].1.id, world.notices[1].1.id);
    // Only another reason of the same one is no news.
    world.exchanges.then = refusing(true);
    world.run_for(hours(20));
    assert_eq!(world.status().condition(ConditionType::Stalled), "True AuthorizationExpired");
    assert_eq!(world.notices.len(), 2);
}

#[test]
fn while_suspended_nobody_is_told_and_the_count_stays() {
    let mut world = reading();
    revoke(&mut world);
    world.run_for(minutes(30));
    world.account = world.account.clone().suspended().edited();
    world.run_for(days(10));
    assert_eq!((world.notices.len(), world.status().notifications.unwrap().auth_notification_count), (1, 1));
    world.account.spec.suspend = false;
    world.account = world.account.clone().edited();
    world.run_for(hours(1));
    let numbers: Vec<i32> = world.notices.iter().map(|(_, notice)| notice.number).collect();
    assert_eq!(numbers, [1, 2]);
}

#[test]
fn a_token_that_is_missing_and_a_listener_that_is_not_let_in_are_told() {
    let mut world = reading();
    let secret = ObjectName::new("music", "alice-spotify");
    world.secret.then = Err(SecretTrouble::NotFound { secret });
    world.surroundings.token = None;
    world.run_for(minutes(30));
    let notice = world.notices[0].1.clone();
    assert_eq!((notice.reason.as_str(), notice.command.as_deref()), ("SecretNotFound", Some(COMMAND)));

    let mut world = reading();
    world.pages.then = ApiAnswer::Forbidden(Forbidden::NotAllowlisted);
    world.run_for(days(8));
    let notice = world.notices[0].1.clone();
    assert_eq!((notice.reason.as_str(), notice.command), ("UserNotAllowlisted", None), "no command helps");
    assert!(notice.text.contains("User Management") && !notice.text.contains("Run:"), "{}", notice.text);
    assert_eq!(world.notices.len(), 4);
}

/// An account that is stalled for a reason, with a message.
fn stalled(reason: Reason, message: &str) -> SpotifyAccount {
    account().with_status(|status| {
        status.failures = Some(FailureStatus::default());
        set_condition(&mut status.conditions, ConditionType::Stalled, true.into(), reason, message, Some(1), start());
    })
}

fn is_told(account: &SpotifyAccount, app: Lookup<SpotifyApp>) -> bool {
    let mut observed = around(account);
    observed.app = app;
    next(&account.status(), account, &observed).is_some()
}

#[test]
fn what_is_told_is_what_the_listener_or_the_list_of_users_can_mend() {
    let with_command = format!("x, or have the listener sign in. Run: {COMMAND}");
    for &reason in Reason::ALL {
        let app = || Lookup::Found(Arc::new(telling_app()));
        let plain = is_told(&stalled(reason, "something is wrong"), app());
        let naming = is_told(&stalled(reason, &with_command), app());
        let expected = match reason {
            Reason::AuthorizationRequired
            | Reason::AuthorizationRevoked
            | Reason::AuthorizationExpired
            | Reason::RefreshInterrupted
            | Reason::ListenerMismatch
            | Reason::ScopeInsufficient
            | Reason::UserNotAllowlisted => (true, true),
            Reason::SecretNotFound | Reason::SecretKeyMissing | Reason::ConfigurationInvalid => (false, true),
            _ => (false, false),
        };
        assert_eq!((plain, naming), expected, "{reason}");
    }
}

#[test]
fn nobody_is_told_without_a_webhook_or_after_its_410_until_the_spec_changes() {
    let needy = stalled(Reason::AuthorizationRevoked, "dead");
    assert!(!is_told(&needy, Lookup::Found(Arc::new(app()))));
    assert!(!is_told(&needy, Lookup::Missing) && !is_told(&needy, Lookup::Unreadable));
    let mut gone = tried(&telling_app(), &Outcome::Answered(NoticeAnswer::Gone), start());
    assert!(!is_told(&needy, Lookup::Found(Arc::new(gone.clone()))));
    gone.metadata.generation = Some(2);
    assert!(is_told(&needy, Lookup::Found(Arc::new(gone))));
    let taken_up = needy.with_status(|status| status.failures = None);
    assert!(!is_told(&taken_up, Lookup::Found(Arc::new(telling_app()))), "not known yet to fail");
}

#[test]
fn whose_new_token_belongs_to_somebody_else_is_told_at_once() {
    let mut world = reading();
    revoke(&mut world);
    world.run_for(minutes(30));
    sign_in(&mut world, "authorization-2");
    world.listeners.then = ApiAnswer::Found(Listener { account_id: "somebody-else".to_owned() });
    world.run_for(minutes(30));
    let told: Vec<(i32, &str)> =
        world.notices.iter().map(|(_, notice)| (notice.number, notice.reason.as_str())).collect();
    assert_eq!(told, [(1, "AuthorizationRevoked"), (1, "ListenerMismatch")]);
}

#[test]
fn a_webhook_that_an_app_gets_later_is_told_at_once() {
    let mut world = reading();
    world.surroundings.app = Lookup::Found(Arc::new(app()));
    revoke(&mut world);
    world.run_for(days(5));
    assert!(world.notices.is_empty() && world.status().notifications.is_none(), "nothing is counted that is not sent");
    world.surroundings.app = Lookup::Found(Arc::new(telling_app()));
    world.pass();
    assert_eq!(world.notices.len(), 1);
}

fn a_notice() -> Notice {
    let mut world = reading();
    revoke(&mut world);
    world.run_for(minutes(30));
    world.notices.remove(0).1
}

#[test]
fn tries_end_when_the_account_says_something_else() {
    let notice = a_notice();
    let counted = |count, time| {
        let time = Some(crate::api::condition::whole_seconds(time));
        let known = NotificationStatus { auth_notification_count: count, last_notification_time: time };
        account().with_status(|status| status.notifications = Some(known)).status()
    };
    assert!(is_current(&counted(1, notice.time), &notice));
    assert!(!is_current(&counted(2, notice.time), &notice));
    assert!(!is_current(&counted(1, notice.time + seconds(1)), &notice));
    assert!(!is_current(&account().status(), &notice));
}

fn not_now(retry_after: Option<SignedDuration>) -> Outcome {
    Outcome::Answered(NoticeAnswer::NotNow { retry_after, trouble: Trouble::Status(503) })
}

#[test]
fn a_notice_is_tried_five_times_at_most() {
    let no_key = Outcome::NoKey(SecretTrouble::NotFound { secret: ObjectName::new("music", "hooks") });
    let pauses = [seconds(10), minutes(1), minutes(10), hours(1)].map(Some);
    for outcome in [not_now(None), no_key] {
        let found: Vec<Option<SignedDuration>> = (1..=6).map(|tries| pause_after(tries, &outcome)).collect();
        assert_eq!(found[..4], pauses, "{outcome:?}");
        assert_eq!(found[4..], [None, None], "{outcome:?}");
    }
    for answer in [NoticeAnswer::Taken, NoticeAnswer::Gone, NoticeAnswer::Refused(401)] {
        assert_eq!(pause_after(1, &Outcome::Answered(answer)), None);
    }
    for (asked, expected) in [
        (seconds(1), Some(seconds(10))),
        (minutes(5), Some(minutes(5))),
        (hours(12), Some(hours(12))),
        (hours(13), None),
    ] {
        assert_eq!(pause_after(1, &not_now(Some(asked))), expected, "{asked:#}");
    }
}

/// What an app says after a try: `Failing NetworkError`, and the Event that comes of it.
fn after(before: &SpotifyApp, outcome: &Outcome) -> (SpotifyApp, String, Option<String>) {
    let after = tried(before, outcome, start());
    let status = |app: &SpotifyApp| app.status.clone().unwrap_or_default();
    let said = announcement(&status(before), &status(&after));
    let said = said.map(|said| format!("{} {}", if said.warning { "Warning" } else { "Normal" }, said.reason));
    let known = status(&after).notifications;
    let shown = known.map_or_else(String::new, |known| format!("{:?} {}", known.state, known.reason));
    (after, shown, said)
}

#[test]
fn a_webhook_that_fails_is_said_once_for_each_change() {
    let trouble = |trouble| Outcome::Answered(NoticeAnswer::NotNow { retry_after: None, trouble });
    let mut app = telling_app();
    for (outcome, shown, said) in [
        (Outcome::Answered(NoticeAnswer::Taken), "", None),
        (trouble(Trouble::Timeout), "Failing NetworkError", Some("Warning NetworkError")),
        (trouble(Trouble::Unreachable), "Failing NetworkError", None),
        (trouble(Trouble::Status(500)), "Failing UpstreamUnavailable", Some("Warning UpstreamUnavailable")),
        (Outcome::Answered(NoticeAnswer::Refused(401)), "Failing UpstreamUnavailable", None),
        (trouble(Trouble::RateLimited), "Failing RateLimited", Some("Warning RateLimited")),
        (trouble(Trouble::AddressRefused), "Failing AddressRefused", Some("Warning AddressRefused")),
        (trouble(Trouble::UrlRefused("odd")), "Failing ConfigurationInvalid", Some("Warning ConfigurationInvalid")),
        (Outcome::NoKey(SecretTrouble::Cluster), "Failing ConfigurationInvalid", None),
        (Outcome::Answered(NoticeAnswer::Taken), "", Some("Normal Succeeded")),
        (Outcome::Answered(NoticeAnswer::Gone), "Gone TargetSuspended", Some("Warning TargetSuspended")),
    ] {
        let found = after(&app, &outcome);
        assert_eq!((found.1.as_str(), found.2.as_deref()), (shown, said), "{outcome:?}");
        app = found.0;
    }
    app.metadata.generation = Some(2);
    let seen = key_looked_at(&app, &Ok(()), start());
    assert!(seen.status.unwrap().notifications.is_none(), "another spec may name another webhook");
}

#[test]
fn a_signing_key_that_cannot_be_used_is_the_apps_word_and_stops_no_account() {
    let missing = || SecretTrouble::NotFound { secret: ObjectName::new("music", "hooks") };
    let settled = |app: &SpotifyApp| crate::plan::app::settle(app, &Ok(()), &Standing::default(), 1, None, start());
    let condition = |app: &SpotifyApp, kind| {
        let status = settled(app);
        let found = crate::api::condition::find_condition(&status.conditions, kind).cloned();
        found.map(|found| format!("{} {}", found.status, found.reason)).unwrap_or_default()
    };
    for app in [
        key_looked_at(&telling_app(), &Err(missing()), start()),
        tried(&telling_app(), &Outcome::NoKey(missing()), start()),
    ] {
        assert_eq!(condition(&app, ConditionType::Ready), "False SecretNotFound");
        assert_eq!(condition(&app, ConditionType::Stalled), "True SecretNotFound");
        let known = app.status.clone().unwrap().notifications.unwrap();
        assert_eq!(known.state, NotificationWebhookState::Failing);
        assert!(known.message.contains("music/hooks") && known.message.contains("Accounts are served"), "{known:?}");
        let silent = announcement(&SpotifyApp::new("", app.spec.clone()).status.unwrap_or_default(), &settled(&app));
        assert_eq!(silent, None, "Ready's own Event says it");
        let kept = key_looked_at(&app, &Err(SecretTrouble::Cluster), start());
        assert_eq!(kept.status, app.status, "no answer is no news");
        let mended = key_looked_at(&app, &Ok(()), start());
        assert_eq!(condition(&mended, ConditionType::Ready), "True Succeeded");

        let mut world = World::of(account().with_target("brainz"));
        world.surroundings.app = Lookup::Found(Arc::new(app));
        world.pass();
        assert_eq!(world.status().condition(ConditionType::Ready), "True Succeeded");
        revoke(&mut world);
        world.run_for(minutes(30));
        assert_eq!(world.notices.len(), 1, "it is counted, and tried until the key is there");
    }
    // A webhook's own trouble stays whatever the key is.
    let failing = tried(&telling_app(), &not_now(None), start());
    assert_eq!(key_looked_at(&failing, &Ok(()), start()).status, failing.status);
    assert_eq!(condition(&failing, ConditionType::Ready), "True Succeeded");
}
