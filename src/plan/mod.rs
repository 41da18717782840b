//! Decisions. State in, steps out: nothing here waits, asks anybody or reads a clock; `now` is an argument.
//!
//! One pass over an account alternates [`next_steps`] and the driver until no step is left; then [`settle()`] says what
//! the status becomes, what is announced and when to look again.

pub mod acceptance;
pub mod app;
pub mod attempt;
pub mod batch;
pub mod breaker;
pub mod budget;
pub mod claim;
pub mod client;
pub mod delivery;
pub mod diagnosis;
pub mod duplicate;
pub mod failure;
pub mod fairness;
pub mod foreign;
pub mod gap;
pub mod gate;
pub mod inquiry;
pub mod journal;
pub mod lineage;
pub mod maloja;
pub mod notification;
pub mod observed;
pub mod open;
pub mod outage;
pub mod pace;
pub mod pacing;
pub mod premium;
pub mod problem;
pub mod readiness;
pub mod reference;
pub mod refresh;
pub mod request;
pub mod schedule;
pub mod scrobble_plan;
pub mod seat;
pub mod seating;
pub mod settle;
pub mod sign_in;
pub mod slot;
pub mod step;
pub mod target;
pub mod target_hold;
pub mod target_standing;
pub mod token;
pub mod trace;

pub use observed::{Interruption, Lookup, Observed, Settings, TokenView};
pub use settle::{Announcement, Settled, settle};
pub use step::{Progress, Step};

use jiff::Timestamp;

use crate::api::condition::{ConditionType, is_condition_true};
use crate::api::v1alpha1::SpotifyAccount;
use crate::domain::answer::ApiAnswer;
use schedule::Due;

/// What to do next for an account; nothing when the pass is over.
pub fn next_steps(account: &SpotifyAccount, observed: &Observed, progress: &Progress, now: Timestamp) -> Vec<Step> {
    if progress.stopping || account.spec.suspend || problem::blocking(account, observed).is_some() {
        return Vec::new();
    }
    let due = progress.due.unwrap_or_else(|| schedule::due(account, observed, now));
    if progress.held_until.is_some() && !matches!(due, Due::Deliver(_)) && progress.page.is_none() {
        // Spotify may not be asked: what waits for its answer waits.
        return Vec::new();
    }
    match due {
        Due::Poll => poll(account, observed, progress, now),
        Due::Read(time) | Due::Refresh(time) | Due::Deliver(time) if time > now => Vec::new(),
        Due::Refresh(time) => refresh::steps(observed, progress, refresh::read_after(time)),
        Due::Look if progress.token.is_none() => vec![Step::LoadToken],
        Due::Never | Due::Look => Vec::new(),
        Due::Deliver(_) => deliver(account, observed, progress, now),
        Due::Read(_) => sync(account, observed, progress, now),
    }
}

/// A Secret was missing, wrong or somebody else's, or Spotify or a target refused what is in it: look whether the
/// Secrets say anything else by now, and go on if they do.
fn poll(account: &SpotifyAccount, observed: &Observed, progress: &Progress, now: Timestamp) -> Vec<Step> {
    if progress.token.is_none() {
        let journal = delivery::needs_journal(observed, progress).then_some(Step::LoadJournal);
        let own = std::iter::once(Step::LoadToken).chain(journal);
        return own.chain(prepare(account, observed, progress, true)).collect();
    }
    let conditions = account.status.as_ref().map_or(&[][..], |status| &status.conditions);
    let go_on = if is_condition_true(conditions, ConditionType::Synced) {
        // Plays are read as ever: a target's Secret is to blame.
        delivery::is_mended(account, progress)
    } else {
        !token::still_refused(account, progress)
    };
    if go_on { sync(account, observed, progress, now) } else { Vec::new() }
}

fn sync(account: &SpotifyAccount, observed: &Observed, progress: &Progress, now: Timestamp) -> Vec<Step> {
    if let Some(ApiAnswer::Found(_)) = &progress.page {
        // Spotify has told what it was asked: whether the token is still fresh no longer matters.
        return deliver(account, observed, progress, now);
    }
    if let Some(steps) = token::steps(account, observed, progress, now) {
        return steps;
    }
    match &progress.page {
        None => std::iter::once(Step::Read).chain(prepare(account, observed, progress, false)).collect(),
        Some(ApiAnswer::Unauthorized) if !progress.forced => vec![Step::Refresh { forced: true }],
        Some(_) => Vec::new(),
    }
}

/// Loads the credentials of targets that this process does not hold yet; all of them where that is asked for, or where
/// the spec may name others.
fn prepare<'a>(
    account: &'a SpotifyAccount,
    observed: &'a Observed,
    progress: &'a Progress,
    anew: bool,
) -> impl Iterator<Item = Step> + 'a {
    let anew = anew || schedule::is_changed(account);
    account
        .spec
        .targets
        .iter()
        .zip(&observed.targets)
        .filter(move |(_, entry)| (anew || !entry.prepared) && !progress.credentials.contains_key(&entry.entry))
        .filter(|(target, entry)| reference::deliverable(target, entry, observed).is_ok())
        .map(|(_, entry)| Step::Prepare { entry: entry.entry.clone() })
}

fn deliver(account: &SpotifyAccount, observed: &Observed, progress: &Progress, now: Timestamp) -> Vec<Step> {
    let journal = delivery::needs_journal(observed, progress).then_some(Step::LoadJournal);
    let missing: Vec<Step> = journal.into_iter().chain(prepare(account, observed, progress, false)).collect();
    if !missing.is_empty() {
        return missing;
    }
    delivery::steps(account, observed, progress, now)
}

#[cfg(test)]
mod tests;
