//! What a look asks. It refreshes just in time and reads once; whatever keeps a pass from asking keeps a look from it.

use jiff::Timestamp;

use super::NotAsked;
use crate::api::condition::{ConditionType, Reason, find_condition};
use crate::api::v1alpha1::{BreakerState, SpotifyAccount};
use crate::domain::answer::ApiAnswer;
use crate::plan::client::{self, Standing};
use crate::plan::observed::{Lookup, Observed};
use crate::plan::problem::{Problem, blocking};
use crate::plan::step::{Progress, Step};
use crate::plan::{gate, schedule, settle, token};

/// What a look does next.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// These steps.
    Steps(Vec<Step>),
    /// Nothing: it is over. Why Spotify was not asked, if it was not.
    Done(Option<NotAsked>),
}

/// What a look does next.
pub fn next(account: &SpotifyAccount, observed: &Observed, progress: &Progress, now: Timestamp) -> Next {
    if let Some(why) = at_rest(account, observed) {
        return Next::Done(Some(why));
    }
    match &progress.token {
        None => return Next::Steps(vec![Step::LoadToken, Step::LoadJournal]),
        Some(Err(trouble)) => return Next::Done(Some(Problem::secret("the token Secret", trouble).into())),
        Some(Ok(_)) => {}
    }
    if matches!(progress.page, Some(ApiAnswer::Found(_))) {
        return Next::Done(None);
    }
    if let Some(why) = held(account, observed, progress, now) {
        return Next::Done(Some(why));
    }
    let steps = token::steps(account, observed, progress, now).unwrap_or_else(|| match &progress.page {
        None => vec![Step::Read],
        Some(ApiAnswer::Unauthorized) if !progress.forced => vec![Step::Refresh { forced: true }],
        Some(_) => Vec::new(),
    });
    if steps.is_empty() { Next::Done(None) } else { Next::Steps(steps) }
}

/// Why nothing is done for the account at all.
fn at_rest(account: &SpotifyAccount, observed: &Observed) -> Option<NotAsked> {
    if account.metadata.deletion_timestamp.is_some() {
        return Some(NotAsked::new(Reason::Progressing, "the account is being deleted", None));
    }
    if account.spec.suspend {
        let message = "spec.suspend is true: nothing is read or delivered until it is false";
        return Some(NotAsked::new(Reason::Suspended, message, None));
    }
    blocking(account, observed).map(NotAsked::from)
}

/// Why Spotify may not be asked now.
fn held(account: &SpotifyAccount, observed: &Observed, progress: &Progress, now: Timestamp) -> Option<NotAsked> {
    if let Some(until) = client::closed_until(observed) {
        return Some(client::problem(observed, until).into());
    }
    if let Some(problem) = gate::in_force(account, observed, now) {
        return Some(problem.into());
    }
    let app = &observed.app_name;
    if let Lookup::Found(found) = &observed.app
        && Standing::of(found).outage_until().is_some()
    {
        let message = format!(
            "Spotify gives no usable answer to any account of SpotifyApp {app}: a request of the operator's probes next"
        );
        return Some(NotAsked::new(Reason::UpstreamUnavailable, message, None));
    }
    if let Some(problem) = settle::calls_spent(observed, progress) {
        return Some(problem.into());
    }
    if let Some(until) = progress.held_until {
        let message = format!("the accounts of SpotifyApp {app} take turns, and this one's comes at {until:.0}");
        return Some(NotAsked::new(Reason::Progressing, message, Some(until)));
    }
    own(account, progress, now)
}

/// Why the account itself is left alone.
fn own(account: &SpotifyAccount, progress: &Progress, now: Timestamp) -> Option<NotAsked> {
    let status = account.status.as_ref()?;
    let next = status.failures.as_ref().and_then(|failures| failures.next_attempt_time.as_ref()).map(|next| next.0);
    if token::still_refused(account, progress) {
        let told = find_condition(&status.conditions, ConditionType::Authorized)?;
        let reason = Reason::from_name(&told.reason).unwrap_or(Reason::AuthorizationRevoked);
        return Some(NotAsked::new(reason, told.message.clone(), next));
    }
    if matches!(&progress.token, Some(Ok(loaded)) if !token::is_known(status, loaded)) {
        // A human's new token: what failed before was about another one.
        return None;
    }
    if status.breaker_state() != BreakerState::Closed {
        let probe = status.circuit_breaker.as_ref().and_then(|breaker| breaker.next_probe_time.as_ref());
        let message = "the account's circuit breaker is open after too many failures in a row: a request of the operator's probes next";
        return Some(NotAsked::new(Reason::CircuitOpen, message, probe.map(|probe| probe.0)));
    }
    let until = next.filter(|until| *until > now && schedule::is_asked_to_wait(status))?;
    let message = format!("Spotify has asked to wait: the account's next turn comes at {until:.0}");
    Some(NotAsked::new(Reason::RateLimited, message, Some(until)))
}
