//! Whether an account needs a human, when the app's notification webhook is told so, and what is known of that webhook.
//!
//! A notice is counted in the very write that says what is wrong, and sent after it: a process that ends in between loses
//! that one notice, and no restart repeats any. docs/notifications.md tells people.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::observed::{Lookup, Observed};
use super::problem::Problem;
use super::settle::Announcement;
use super::step::SecretTrouble;
use super::{failure, sign_in, token};
use crate::api::condition::{ConditionType, Reason, find_condition, is_condition_true, whole_seconds};
use crate::api::v1alpha1::{
    NotificationStatus, NotificationWebhookState, NotificationWebhookStatus, SpotifyAccount, SpotifyAccountStatus,
    SpotifyApp, SpotifyAppStatus,
};
use crate::domain::answer::Trouble;
use crate::domain::digest::{hexadecimal, keyed_hash};
use crate::domain::name::ObjectName;
use crate::domain::notice::{Notice, NoticeAnswer};

/// The time between each notice and the next: 1, 3 and 7 days after the first. Counted from notice to notice, so that
/// none that was late is followed at once by the next one.
const SPACING: [SignedDuration; 3] =
    [SignedDuration::from_hours(24), SignedDuration::from_hours(2 * 24), SignedDuration::from_hours(4 * 24)];
/// So many notices are sent at most.
const LAST: i32 = 4;
/// The waits between the tries to send one notice.
const PAUSES: [SignedDuration; 4] = [
    SignedDuration::from_secs(10),
    SignedDuration::from_mins(1),
    SignedDuration::from_mins(10),
    SignedDuration::from_hours(1),
];
/// A webhook that asks to wait longer than this gets the next notice, not this one.
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_hours(12);
/// The most characters of a notice's text.
const TEXT_MAXIMUM: usize = 2000;
/// Sets the hash behind a notice's id apart from other hashes.
const ID_DOMAIN: &[u8] = b"scrobble-operator.io/notification-id";

/// What one try to send a notice came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The webhook's answer.
    Answered(NoticeAnswer),
    /// There is no key to sign with, so that nothing was sent.
    NoKey(SecretTrouble),
}

/// What an account needs a human for.
struct Need<'a> {
    condition: &'a Condition,
    command: Option<String>,
}

/// The listener has to sign in, or the app's owner has to let the listener in. What concerns a target or the app itself is
/// told where it belongs: by conditions and Events. A token that was taken up since ends what is known of failures, before
/// a read proves that it works: until then nobody is asked to do what somebody has just done.
fn need<'a>(status: &'a SpotifyAccountStatus, account: &ObjectName) -> Option<Need<'a>> {
    status.failures.as_ref()?;
    let condition =
        find_condition(&status.conditions, ConditionType::Stalled).filter(|found| found.status == "True")?;
    let command = sign_in::command(account);
    let helps = match Reason::from_name(&condition.reason)? {
        Reason::AuthorizationRequired
        | Reason::AuthorizationRevoked
        | Reason::AuthorizationExpired
        | Reason::RefreshInterrupted
        | Reason::ListenerMismatch
        | Reason::ScopeInsufficient => true,
        Reason::UserNotAllowlisted => false,
        // Another Secret or field may be meant: what is said tells whether signing in helps.
        Reason::SecretNotFound | Reason::SecretKeyMissing | Reason::ConfigurationInvalid
            if condition.message.contains(&command) =>
        {
            true
        }
        _ => return None,
    };
    Some(Need { condition, command: helps.then_some(command) })
}

/// Writes `status.notifications`. Answers the notice to send once the status is written.
pub(super) fn settle(
    status: &mut SpotifyAccountStatus,
    before: &SpotifyAccountStatus,
    account: &SpotifyAccount,
    observed: &Observed,
    now: Timestamp,
) -> Option<Notice> {
    // One that was taken up before this pass has left no failures.
    let is_other =
        before.failures.is_none() || token::known_authorization(status) != token::known_authorization(before);
    let fails = status.failures.is_some();
    if (is_other && fails) || is_condition_true(&status.conditions, ConditionType::Authorized) {
        status.notifications = None;
    }
    next(status, account, observed).filter(|due| *due <= now)?;
    let name = name_of(account, observed);
    let known = status.notifications.as_ref().map_or(0, |known| known.auth_notification_count);
    let (number, time) = (known.saturating_add(1), whole_seconds(now));
    let notice = notice(&need(status, &name)?, account, observed, name, number, time.0);
    status.notifications =
        Some(NotificationStatus { auth_notification_count: number, last_notification_time: Some(time) });
    Some(notice)
}

/// When the next notice is due; none where nobody has to be told, any more or at all.
pub(super) fn next(status: &SpotifyAccountStatus, account: &SpotifyAccount, observed: &Observed) -> Option<Timestamp> {
    let Lookup::Found(app) = &observed.app else { return None };
    need(status, &name_of(account, observed)).filter(|_| takes_notices(app))?;
    let Some(known) = &status.notifications else { return Some(Timestamp::MIN) };
    let number = known.auth_notification_count;
    let Some(sent) = known.last_notification_time.as_ref().filter(|_| number > 0) else { return Some(Timestamp::MIN) };
    let spacing = SPACING.get(usize::try_from(number - 1).ok()?)?;
    Some(sent.0.saturating_add(*spacing).unwrap_or(Timestamp::MAX))
}

/// Whether a notice is still what there is to be told, before it is tried again: nobody has signed in meanwhile.
pub fn is_current(status: &SpotifyAccountStatus, notice: &Notice) -> bool {
    status.notifications.as_ref().is_some_and(|known| {
        known.auth_notification_count == notice.number
            && known.last_notification_time.as_ref().is_some_and(|time| time.0 == notice.time)
    })
}

fn name_of(account: &SpotifyAccount, observed: &Observed) -> ObjectName {
    ObjectName::new(&observed.namespace, account.metadata.name.as_deref().unwrap_or_default())
}

fn notice(
    need: &Need<'_>,
    account: &SpotifyAccount,
    observed: &Observed,
    name: ObjectName,
    number: i32,
    time: Timestamp,
) -> Notice {
    let Condition { reason, message, .. } = need.condition;
    let uid = account.metadata.uid.clone().unwrap_or_default();
    let mut text: String = format!("SpotifyAccount {name}: {message}").chars().take(TEXT_MAXIMUM).collect();
    if let Some(command) = need.command.as_ref().filter(|command| !text.contains(command.as_str())) {
        text = format!("{text}. Run: {command}");
    }
    let (app, count, second) = (&observed.app_name, number.to_string(), time.as_second().to_string());
    let parts = [app.namespace.as_str(), &app.name, &uid, reason, &count, &second];
    Notice {
        id: hexadecimal(&keyed_hash(ID_DOMAIN, &parts.map(str::as_bytes))[..16]),
        app: app.clone(),
        account: name,
        account_uid: uid,
        reason: reason.clone(),
        text,
        command: need.command.clone(),
        number,
        of: LAST,
        time,
    }
}

/// How long to wait after so many tries to send a notice; none where it is not tried again.
pub fn pause_after(tries: usize, outcome: &Outcome) -> Option<SignedDuration> {
    let pause = *PAUSES.get(tries.checked_sub(1)?)?;
    match outcome {
        Outcome::Answered(NoticeAnswer::Taken | NoticeAnswer::Gone | NoticeAnswer::Refused(_)) => None,
        Outcome::Answered(NoticeAnswer::NotNow { retry_after, .. }) => {
            retry_after.is_none_or(|asked| asked <= LONGEST_PAUSE).then(|| retry_after.unwrap_or_default().max(pause))
        }
        Outcome::NoKey(_) => Some(pause),
    }
}

/// What a URL that cannot be parsed comes to; the schema lets none through.
pub fn unusable_url() -> NoticeAnswer {
    NoticeAnswer::NotNow { retry_after: None, trouble: Trouble::UrlRefused("it cannot be parsed") }
}

/// Whether an app has a webhook that did not ask to be told nothing any more.
pub fn takes_notices(app: &SpotifyApp) -> bool {
    let gone = known_webhook(app).is_some_and(|known| known.state == NotificationWebhookState::Gone);
    app.spec.notifications.is_some() && !gone
}

/// What is known of an app's webhook, unless another spec names another one.
fn known_webhook(app: &SpotifyApp) -> Option<&NotificationWebhookStatus> {
    let known = app.status.as_ref()?.notifications.as_ref()?;
    (app.spec.notifications.is_some() && known.observed_generation == app.metadata.generation).then_some(known)
}

/// The app with what a try has shown of its webhook.
#[must_use]
pub fn tried(app: &SpotifyApp, outcome: &Outcome, now: Timestamp) -> SpotifyApp {
    const WEBHOOK: &str = "the notification webhook";
    let (state, reason, message) = match outcome {
        Outcome::NoKey(trouble) => return key_looked_at(app, &Err(trouble.clone()), now),
        Outcome::Answered(NoticeAnswer::Taken) => return with_webhook(app, None),
        Outcome::Answered(NoticeAnswer::Gone) => (
            NotificationWebhookState::Gone,
            Reason::TargetSuspended,
            format!(
                "{WEBHOOK} answers 410 Gone: it is told nothing until spec.notifications or another field of the spec changes"
            ),
        ),
        Outcome::Answered(NoticeAnswer::Refused(status)) => (
            NotificationWebhookState::Failing,
            Reason::UpstreamUnavailable,
            format!("{WEBHOOK} refuses a notice with HTTP status {status}: check its signing key and what it expects"),
        ),
        Outcome::Answered(NoticeAnswer::NotNow { trouble, .. }) => {
            let reason = match trouble {
                Trouble::AddressRefused => Reason::AddressRefused,
                Trouble::UrlRefused(_) => Reason::ConfigurationInvalid,
                Trouble::RateLimited => Reason::RateLimited,
                trouble if trouble.is_network() => Reason::NetworkError,
                _ => Reason::UpstreamUnavailable,
            };
            (NotificationWebhookState::Failing, reason, format!("{WEBHOOK} gives no usable answer: {trouble}"))
        }
    };
    with_webhook(app, Some(described(app, state, reason, message, now)))
}

/// The app with what a look at its webhook's signing key has shown; what is known of another spec's webhook goes.
#[must_use]
pub fn key_looked_at(app: &SpotifyApp, key: &Result<(), SecretTrouble>, now: Timestamp) -> SpotifyApp {
    let known = known_webhook(app).cloned();
    let webhook = match key {
        Ok(()) => known.filter(|known| !is_about_the_key(known)),
        Err(SecretTrouble::Cluster) => known,
        Err(trouble) => {
            let Problem { reason, message, .. } = Problem::secret("the signing key of notifications, Secret", trouble);
            let message = format!("{message}. Accounts are served all the same; notices wait for it");
            Some(described(app, NotificationWebhookState::Failing, reason, message, now))
        }
    };
    with_webhook(app, webhook.filter(|_| app.spec.notifications.is_some()))
}

fn with_webhook(app: &SpotifyApp, webhook: Option<NotificationWebhookStatus>) -> SpotifyApp {
    let mut app = app.clone();
    app.status.get_or_insert_default().notifications = webhook;
    app
}

fn described(
    app: &SpotifyApp,
    state: NotificationWebhookState,
    reason: Reason,
    message: String,
    now: Timestamp,
) -> NotificationWebhookStatus {
    let known = known_webhook(app).filter(|known| known.state == state);
    let since = known.and_then(|known| known.since_time.clone()).unwrap_or_else(|| whole_seconds(now));
    NotificationWebhookStatus {
        state,
        reason: reason.as_str().to_owned(),
        message,
        since_time: Some(since),
        observed_generation: app.metadata.generation,
    }
}

fn is_about_the_key(known: &NotificationWebhookStatus) -> bool {
    Reason::from_name(&known.reason).is_some_and(failure::is_about_secret)
}

/// The signing key that a human must mend: the app says so, and its accounts go on.
pub(super) fn problem(app: &SpotifyApp) -> Option<Problem> {
    let known = known_webhook(app).filter(|known| is_about_the_key(known))?;
    Some(Problem::configuration(Reason::from_name(&known.reason)?, known.message.clone()))
}

/// The webhook fails, in another way than before, or works again. What `Ready` says of the key is said by its own Event.
pub fn announcement(before: &SpotifyAppStatus, after: &SpotifyAppStatus) -> Option<Announcement> {
    let known = before.notifications.as_ref();
    match &after.notifications {
        None => known.filter(|known| !is_about_the_key(known)).map(|_| Announcement {
            warning: false,
            reason: Reason::Succeeded.as_str().to_owned(),
            note: "the notification webhook is no longer known to fail".to_owned(),
        }),
        Some(now) if is_about_the_key(now) => None,
        Some(now) => {
            let changed = known.is_none_or(|known| known.state != now.state || known.reason != now.reason);
            let (reason, note) = (now.reason.clone(), now.message.clone());
            changed.then_some(Announcement { warning: true, reason, note })
        }
    }
}
