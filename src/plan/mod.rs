//! Decisions. State in, steps out: nothing here waits, asks anybody or reads a clock; `now` is an argument.
//!
//! One pass over an account alternates [`next_steps`] and the driver until no step is left; then [`settle()`] says what
//! the status becomes, what is announced and when to look again.

pub mod app;
pub mod breaker;
pub mod delivery;
pub mod lineage;
pub mod observed;
pub mod problem;
pub mod reference;
pub mod schedule;
pub mod scrobble_plan;
pub mod settle;
pub mod step;
pub mod target;
pub mod token;

pub use observed::{Lookup, Observed, Settings, TokenView};
pub use settle::{Announcement, Settled, settle};
pub use step::{Progress, Step};

use jiff::Timestamp;

use crate::api::v1alpha1::SpotifyAccount;
use crate::domain::answer::ApiAnswer;
use schedule::Due;

/// What to do next for an account; nothing when the pass is over.
pub fn next_steps(account: &SpotifyAccount, observed: &Observed, progress: &Progress, now: Timestamp) -> Vec<Step> {
    if progress.stopping || account.spec.suspend || problem::blocking(account, observed).is_some() {
        return Vec::new();
    }
    match progress.due.unwrap_or_else(|| schedule::due(account, observed, now)) {
        Due::Never => Vec::new(),
        Due::Poll => poll(account, observed, progress, now),
        Due::Read(time) | Due::Deliver(time) if time > now => Vec::new(),
        Due::Deliver(_) => deliver(account, observed, progress, now),
        Due::Read(_) => sync(account, observed, progress, now),
    }
}

/// A Secret was missing or wrong, or Spotify refused the token: look whether the Secrets say anything else by now, and
/// go on if they do.
fn poll(account: &SpotifyAccount, observed: &Observed, progress: &Progress, now: Timestamp) -> Vec<Step> {
    if progress.token.is_none() {
        return std::iter::once(Step::LoadToken).chain(prepare(observed, progress, true)).collect();
    }
    if token::still_refused(account, progress) || delivery::still_lacking(account, progress) {
        return Vec::new();
    }
    sync(account, observed, progress, now)
}

fn sync(account: &SpotifyAccount, observed: &Observed, progress: &Progress, now: Timestamp) -> Vec<Step> {
    if let Some(steps) = token::steps(account, observed, progress, now) {
        return steps;
    }
    match &progress.page {
        None => std::iter::once(Step::Read).chain(prepare(observed, progress, false)).collect(),
        Some(ApiAnswer::Found(_)) => deliver(account, observed, progress, now),
        Some(ApiAnswer::Unauthorized) if !progress.forced => vec![Step::Refresh { forced: true }],
        Some(_) => Vec::new(),
    }
}

/// Loads the credentials of targets that this process does not hold yet; all of them where that is asked for.
fn prepare<'a>(observed: &'a Observed, progress: &'a Progress, anew: bool) -> impl Iterator<Item = Step> + 'a {
    observed
        .targets
        .iter()
        .filter(move |target| (anew || !target.prepared) && !progress.credentials.contains_key(&target.entry))
        .filter(|target| reference::target(target, observed).is_ok())
        .map(|target| Step::Prepare { entry: target.entry.clone() })
}

fn deliver(account: &SpotifyAccount, observed: &Observed, progress: &Progress, now: Timestamp) -> Vec<Step> {
    let missing: Vec<Step> = prepare(observed, progress, false).collect();
    if !missing.is_empty() {
        return missing;
    }
    delivery::batches(account, observed, progress, now)
}
