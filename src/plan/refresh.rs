//! When a token is refreshed next: ahead of the read that needs it, so that the read need not wait.
//!
//! A refresh ahead of time takes the place of the one that would come just before the read; there are never more of
//! them. Like the slots it is a pure function of what is stored, so a restart neither repeats nor skips it.

use jiff::{SignedDuration, Timestamp};

use super::breaker::FIRST_WAIT;
use super::observed::{Observed, TokenView};
use super::pace::Rhythm;
use super::schedule::next_question;
use super::step::{Progress, Step};
use super::token::{contradicting_flow, is_fresh_at};
use super::{client, problem};
use crate::api::condition::{ConditionType, is_condition_true};
use crate::api::v1alpha1::{SpotifyAccount, SpotifyAccountStatus};

/// A refresh ahead of time comes so long before the read that needs it: longer than claim, exchange and commit usually
/// take, and shorter than the first wait after a failure, so that one which failed is not in the way of that read.
pub const LEAD: SignedDuration = SignedDuration::from_secs(30);
const _: () = assert!(LEAD.as_secs() < FIRST_WAIT.as_secs());

/// The next refresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Planned {
    /// The first read that the token does not live long enough for.
    read: Timestamp,
    /// Whether refreshing ahead of it lasts for as many reads as refreshing just before it.
    ahead: bool,
}

impl Planned {
    /// When it comes, if it is ahead of the read.
    fn ahead_of_read(&self) -> Option<Timestamp> {
        self.ahead.then(|| self.read.saturating_sub(LEAD).unwrap_or(self.read))
    }
}

/// The read that a refresh ahead of time is for.
pub fn read_after(refresh: Timestamp) -> Timestamp {
    refresh.saturating_add(LEAD).unwrap_or(Timestamp::MAX)
}

/// When the token is refreshed ahead of a read, `question` being the next time that Spotify is asked; none where it is
/// refreshed just in time.
pub(super) fn ahead_of(
    question: Timestamp,
    account: &SpotifyAccount,
    observed: &Observed,
    status: &SpotifyAccountStatus,
) -> Option<Timestamp> {
    planned(question, account, observed, status)?.ahead_of_read()
}

/// When the token is refreshed next, ahead of a read or just before it; none where nothing is asked of Spotify.
pub fn next(
    account: &SpotifyAccount,
    observed: &Observed,
    status: &SpotifyAccountStatus,
    now: Timestamp,
) -> Option<Timestamp> {
    if account.spec.suspend || problem::blocking(account, observed).is_some() {
        return None;
    }
    let question = next_question(account, observed, status, now);
    let planned = planned(question, account, observed, status)?;
    Some(planned.ahead_of_read().unwrap_or(planned.read))
}

/// What to do when it is time to refresh ahead of a read.
pub(super) fn steps(observed: &Observed, progress: &Progress, read: Timestamp) -> Vec<Step> {
    match &progress.token {
        _ if progress.refresh.is_some() => Vec::new(),
        // A restart, or another process, may have left a newer token in the Secret than this process holds.
        None => vec![Step::LoadToken],
        Some(Ok(token)) if !is_fresh_at(read, token.usable_until(), observed) => {
            match contradicting_flow(observed, progress) {
                None => vec![Step::Refresh { forced: token.refused }],
                Some(_) => Vec::new(),
            }
        }
        Some(_) => Vec::new(),
    }
}

/// Whether a refresh ahead of time has failed and its next time has not come: until then the token is used as long as
/// it lives.
pub(super) fn is_put_off(status: &SpotifyAccountStatus, usable_until: Option<Timestamp>, now: Timestamp) -> bool {
    let failed = status.failures.as_ref().is_some_and(|failures| failures.next_attempt_time.is_none());
    let stalled = is_condition_true(&status.conditions, ConditionType::Stalled);
    let next = status.token.as_ref().and_then(|token| token.next_refresh_time.as_ref());
    let alive = usable_until.is_some_and(|end| end > now);
    failed && !stalled && alive && next.is_some_and(|next| next.0 > now)
}

fn planned(
    question: Timestamp,
    account: &SpotifyAccount,
    observed: &Observed,
    status: &SpotifyAccountStatus,
) -> Option<Planned> {
    if question == Timestamp::MAX {
        return None;
    }
    let rhythm = Rhythm::of(account, observed, status);
    let stored = status.token.as_ref().and_then(|token| token.expiry_time.as_ref()).map(|time| time.0);
    let usable_until = observed.token.as_ref().map_or(stored, TokenView::usable_until);
    let stale_from = usable_until.and_then(|end| end.checked_sub(observed.settings.refresh_buffer).ok());
    let read = match stale_from {
        Some(stale_from) if is_fresh_at(question, usable_until, observed) => rhythm.next_from(stale_from),
        _ => question,
    };
    let on_schedule = status.failures.is_none()
        && client::closed_until(observed).is_none()
        && !is_condition_true(&status.conditions, ConditionType::Stalled)
        && status.sync.as_ref().is_some_and(|sync| sync.last_sync_time.is_some());
    let ahead = on_schedule && lasts_as_long(&rhythm, read, observed.settings.refresh_buffer, status);
    Some(Planned { read, ahead })
}

/// Whether a token obtained [`LEAD`] before a read is fresh for as many reads as one obtained at that read, or as late
/// after it as an exchange may take: so the number of refreshes does not grow.
fn lasts_as_long(rhythm: &Rhythm, read: Timestamp, buffer: SignedDuration, status: &SpotifyAccountStatus) -> bool {
    let Some(token) = &status.token else { return false };
    let (Some(end), Some(begin)) = (&token.expiry_time, &token.last_refresh_time) else { return false };
    let fresh_for = end.0.duration_since(begin.0).saturating_sub(buffer);
    let next_after = |late| {
        let stale_from = read.checked_add(fresh_for).and_then(|time| time.checked_add(late)).ok();
        stale_from.map(|stale_from| rhythm.next_from(stale_from))
    };
    fresh_for > LEAD && next_after(-LEAD) == next_after(LEAD)
}
