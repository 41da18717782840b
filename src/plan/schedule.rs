//! When an account is read next.
//!
//! Due times are a pure function of the account's uid, the interval, the stored play times and token life, and now: a
//! restart changes nothing, for whoever is on duty computes the same times. How the interval follows from the play times
//! is in [`super::pace`].

use jiff::{SignedDuration, Timestamp};

use super::observed::{Observed, TargetEntry};
use super::pace::Rhythm;
use super::settle::expiry::is_warning_due;
use super::slot::next_slot;
use super::{client, delivery, failure, gate, problem, reference, refresh};
use crate::api::condition::{ConditionType, Reason, find_condition, is_condition_true};
use crate::api::v1alpha1::{FailureType, SpotifyAccount, SpotifyAccountStatus};
use crate::api::{RECONCILE_REQUESTED_AT, RETRY_QUARANTINED_AT};

/// How long an account that waits for a Secret is left before the Secret is looked at again: a change is seen within
/// a minute.
pub const SECRET_POLL: SignedDuration = SignedDuration::from_secs(45);

/// The schema of `status.lastHandled…` allows so many characters.
const LONGEST_HANDLED: usize = 256;

/// What an account is due for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Nothing: it is suspended, or an object that it refers to keeps it from working. The watches tell of a change.
    Never,
    /// A look at its Secrets: a human has to change one.
    Poll,
    /// A read.
    Read(Timestamp),
    /// A refresh, a little ahead of the read that needs it.
    Refresh(Timestamp),
    /// A look at the token Secret: the listener is to be warned, unless it tells of another authorization by now.
    Look,
    /// A delivery of plays that were read before and wait for a target.
    Deliver(Timestamp),
}

/// What an account is due for, and when.
pub fn due(account: &SpotifyAccount, observed: &Observed, now: Timestamp) -> Due {
    if is_at_rest(account, observed) {
        return Due::Never;
    }
    let status = account.status.clone().unwrap_or_default();
    Upcoming::of(account, observed, &status, now).due(&status, observed, now)
}

/// When to look at an account again, if nothing happens before; none where nothing but a change can help.
pub fn wake(account: &SpotifyAccount, observed: &Observed, now: Timestamp) -> Option<Timestamp> {
    if is_at_rest(account, observed) {
        return None;
    }
    let status = account.status.clone().unwrap_or_default();
    let upcoming = Upcoming::of(account, observed, &status, now);
    match upcoming.due(&status, observed, now) {
        Due::Never => None,
        Due::Look => Some(now),
        Due::Poll => Some(upcoming.first().min(now + SECRET_POLL)),
        Due::Read(time) | Due::Refresh(time) | Due::Deliver(time) => Some(time),
    }
}

/// Whether nothing is done for an account until it or an object that it refers to is changed.
fn is_at_rest(account: &SpotifyAccount, observed: &Observed) -> bool {
    account.spec.suspend || problem::blocking(account, observed).is_some()
}

/// What comes next of each kind.
struct Upcoming {
    read: Timestamp,
    refresh: Option<Timestamp>,
    delivery: Option<Timestamp>,
}

impl Upcoming {
    fn of(account: &SpotifyAccount, observed: &Observed, status: &SpotifyAccountStatus, now: Timestamp) -> Self {
        let read = next_question(account, observed, status, now);
        let refresh = refresh_ahead(read, account, observed, status, now);
        Self { read, refresh, delivery: delivery::next(account, status, observed, now) }
    }

    fn first(&self) -> Timestamp {
        self.refresh.into_iter().chain(self.delivery).fold(self.read, Timestamp::min)
    }

    fn due(&self, status: &SpotifyAccountStatus, observed: &Observed, now: Timestamp) -> Due {
        let Self { read, refresh, delivery } = *self;
        match (refresh, delivery) {
            _ if read <= now => Due::Read(read),
            // It ends before its read; a delivery may not.
            (Some(refresh), _) if refresh <= now => Due::Refresh(refresh),
            (_, Some(delivery)) if delivery <= now => Due::Deliver(delivery),
            _ if is_warning_due(status, observed.token.as_ref(), now) => Due::Look,
            _ if waits_for_secret(status) => Due::Poll,
            (Some(refresh), delivery) if refresh < delivery.unwrap_or(read).min(read) => Due::Refresh(refresh),
            (_, Some(delivery)) if delivery < read => Due::Deliver(delivery),
            _ => Due::Read(read),
        }
    }
}

/// When the token is refreshed ahead of the next read; none while another account's exchange is on its way that will tell
/// whether Spotify accepts the app's credentials, and none while a gate is closed.
fn refresh_ahead(
    read: Timestamp,
    account: &SpotifyAccount,
    observed: &Observed,
    status: &SpotifyAccountStatus,
    now: Timestamp,
) -> Option<Timestamp> {
    refresh::ahead_of(read, account, observed, status)
        .filter(|_| !observed.client.asked && !gate::is_closed(observed, now))
}

/// When Spotify is asked next; the end of time where only a change of a Secret or an object can help.
pub(super) fn next_question(
    account: &SpotifyAccount,
    observed: &Observed,
    status: &SpotifyAccountStatus,
    now: Timestamp,
) -> Timestamp {
    gate::passed(account, observed, own_question(account, observed, status, now), now)
}

/// The same as far as it is up to the account: its app's gates may be closed.
pub(super) fn own_question(
    account: &SpotifyAccount,
    observed: &Observed,
    status: &SpotifyAccountStatus,
    now: Timestamp,
) -> Timestamp {
    if let Some(next) = client::next_probe(account, observed, status, now) {
        return next;
    }
    if client::is_said(status) {
        // Spotify accepts the app's credentials again.
        return now;
    }
    let attempt = status.failures.as_ref().and_then(|failures| failures.next_attempt_time.as_ref()).map(|next| next.0);
    if let Some(until) = attempt.filter(|until| *until > now && is_asked_to_wait(status)) {
        return until;
    }
    if requested(account).is_some() || is_changed(account) || reference_resolved(status, observed) {
        return now;
    }
    if let Some(attempt) = attempt {
        return attempt;
    }
    let stalled = is_condition_true(&status.conditions, ConditionType::Stalled);
    if stalled && !is_condition_true(&status.conditions, ConditionType::Synced) {
        return Timestamp::MAX;
    }
    if status.sync.as_ref().is_none_or(|sync| sync.last_sync_time.is_none()) {
        return now;
    }
    next_read(account, observed, status)
}

/// Whether the account's spec is another one than the status speaks of.
pub fn is_changed(account: &SpotifyAccount) -> bool {
    let seen = account.status.as_ref().and_then(|status| status.observed_generation);
    seen != account.metadata.generation
}

/// Whether the last failure is a wait that Spotify asked for: nothing but time ends it.
pub fn is_asked_to_wait(status: &SpotifyAccountStatus) -> bool {
    let Some(failures) = &status.failures else { return false };
    let reason = failures.last_reason.as_deref().and_then(Reason::from_name);
    failures.last_type == Some(FailureType::RateLimited) || reason.is_some_and(failure::asks_to_wait)
}

/// The value of `reconcile-requested-at` that was not acknowledged yet.
pub fn requested(account: &SpotifyAccount) -> Option<&str> {
    let handled = account.status.as_ref().and_then(|status| status.last_handled_reconcile_at.as_deref());
    unhandled(account, RECONCILE_REQUESTED_AT, handled)
}

/// The value of `retry-quarantined-at` that was not acknowledged yet.
pub fn retry_requested(account: &SpotifyAccount) -> Option<&str> {
    let handled = account.status.as_ref().and_then(|status| status.last_handled_retry_at.as_deref());
    unhandled(account, RETRY_QUARANTINED_AT, handled)
}

/// The value of an annotation, as far as a status can acknowledge it, where it is not the one that was handled.
fn unhandled<'a>(account: &'a SpotifyAccount, annotation: &str, handled: Option<&str>) -> Option<&'a str> {
    let value = account.metadata.annotations.as_ref()?.get(annotation)?;
    let end = value.char_indices().nth(LONGEST_HANDLED).map_or(value.len(), |(end, _)| end);
    let value = &value[..end];
    (handled != Some(value)).then_some(value)
}

/// An object that was missing or not shared is there now. The watches tell.
fn reference_resolved(status: &SpotifyAccountStatus, observed: &Observed) -> bool {
    let ready = find_condition(&status.conditions, ConditionType::Ready);
    let reads = is_condition_true(&status.conditions, ConditionType::Synced);
    // What kept the account itself from working is gone: the caller has looked.
    let account = !reads && ready.is_some_and(|ready| is_by_reference(Some(&ready.reason)));
    let waits =
        |entry: &TargetEntry| status.target(&entry.entry).is_some_and(|known| is_by_reference(known.reason.as_deref()));
    account || observed.targets.iter().any(|entry| waits(entry) && reference::target(entry, observed).is_ok())
}

/// Whether a reason speaks of an object that is missing, not shared, unreadable, taken or full.
pub fn is_by_reference(reason: Option<&str>) -> bool {
    reason.and_then(Reason::from_name).is_some_and(failure::is_mended_by_reference)
}

/// Whether a change of a Secret would help, which no watch tells.
pub fn waits_for_secret(status: &SpotifyAccountStatus) -> bool {
    if is_condition_true(&status.conditions, ConditionType::Synced)
        && status.targets.iter().any(delivery::waits_for_secret)
    {
        return true;
    }
    let stalled = find_condition(&status.conditions, ConditionType::Stalled);
    let reason = stalled.filter(|stalled| stalled.status == "True").and_then(|told| Reason::from_name(&told.reason));
    reason.is_some_and(failure::may_be_mended_by_secret)
}

/// When the account is read next, all being well.
pub fn next_read(account: &SpotifyAccount, observed: &Observed, status: &SpotifyAccountStatus) -> Timestamp {
    next_slot(&Rhythm::of(account, observed, status), observed.last_read, &observed.duty)
}
