//! What a look has found, put together from what is recorded and what a pass would make of it.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::answer::{
    AuthorizationDiagnosis, Diagnosis, Finding, GateDiagnosis, NotAsked, PlaySample, PlaysDiagnosis, TargetDiagnosis,
    TokenDiagnosis, TokenState,
};
use crate::api::condition::{ConditionType, Reason, find_condition, whole_seconds};
use crate::api::v1alpha1::{AccountTarget, SpotifyAccount, SpotifyAccountStatus, TargetState};
use crate::domain::answer::ApiAnswer;
use crate::domain::journal::Journal;
use crate::domain::ledger::{Identity, Ledger};
use crate::domain::name::ObjectName;
use crate::domain::play::{Heard, Page, Play};
use crate::plan::client::Standing;
use crate::plan::observed::{Lookup, Observed, TargetEntry};
use crate::plan::open::{self, Sources};
use crate::plan::problem::{Problem, blocking};
use crate::plan::settle::{self, Settled, Verdict};
use crate::plan::step::{Progress, RefreshOutcome};
use crate::plan::{delivery, schedule};

/// So many plays are shown of many.
const SAMPLES: usize = 3;
const MINUTE_SECONDS: i64 = 60;
const DAY_SECONDS: i64 = 24 * 60 * 60;

/// A look at an account that is over.
#[derive(Clone, Debug)]
pub struct Sight<'a> {
    /// The account's name.
    pub name: &'a ObjectName,
    /// The account with its newest status, which knows nothing of this look.
    pub account: &'a SpotifyAccount,
    /// What is known around it. Its last read is the operator's.
    pub observed: &'a Observed,
    /// What was done.
    pub progress: &'a Progress,
    /// Why Spotify was not asked, if it was not.
    pub not_asked: Option<NotAsked>,
}

/// What a look has found.
pub fn diagnose(sight: Sight<'_>, now: Timestamp) -> Diagnosis {
    let Sight { name, account, observed, progress, not_asked } = sight;
    let before = account.status.clone().unwrap_or_default();
    let problem = match settle::verdict(account, observed, progress, now) {
        Verdict::Wrong(problem) => Some(problem),
        _ => None,
    };
    let settled = settle::settle(account, observed, progress, now);
    // Trouble that passes is counted by passes alone: what is recorded about it stays what is shown.
    let passes = problem.as_ref().is_some_and(|problem| !problem.stalled);
    let told = if passes { &before } else { &settled.status };
    let (ready, reason, message) = condition(told, ConditionType::Ready);
    let (not_asked, problem) = told_once(not_asked, problem);
    let plays = page(progress).map(|page| plays(page, &open::ledger(&before)));
    let sync = before.sync.clone().unwrap_or_default();
    let last_read = sync.last_sync_time.map(|time| time.0).into_iter().chain(observed.last_read).max();
    Diagnosis {
        account: name.to_string(),
        time: seconds(now),
        healthy: ready == "True" && plays.is_some(),
        ready,
        reason,
        message,
        problem: problem.map(|problem| Finding { reason: problem.reason.as_str(), message: problem.message }),
        not_asked,
        token: token(&before, observed, progress, now),
        authorization: authorization(&settled.status, told, now),
        plays,
        targets: targets(account, &before, observed, progress, &settled),
        failures: before.failures.clone().unwrap_or_default(),
        circuit_breaker: before.circuit_breaker.clone().unwrap_or_default(),
        last_scrobble_time: sync.last_successful_scrobble_time.map(|time| time.0),
        last_read_time: last_read.map(seconds),
        next_read_time: next_read(account, &before, observed, progress, now).map(seconds),
        gate: gate(observed, now),
    }
}

/// A problem that is the very reason why Spotify was not asked is told once, in the words that say what to do.
fn told_once(not_asked: Option<NotAsked>, problem: Option<Problem>) -> (Option<NotAsked>, Option<Problem>) {
    match (not_asked, problem) {
        (Some(why), Some(problem)) if why.reason == problem.reason.as_str() => {
            (Some(NotAsked { message: problem.message, ..why }), None)
        }
        both => both,
    }
}

fn seconds(time: Timestamp) -> Timestamp {
    whole_seconds(time).0
}

fn time(time: Option<&Time>) -> Option<Timestamp> {
    time.map(|time| time.0)
}

/// Status, reason and message of a condition; Unknown where it is absent.
fn condition(status: &SpotifyAccountStatus, kind: ConditionType) -> (String, String, String) {
    match find_condition(&status.conditions, kind) {
        Some(found) => (found.status.clone(), found.reason.clone(), found.message.clone()),
        None => ("Unknown".to_owned(), Reason::Progressing.as_str().to_owned(), "not known yet".to_owned()),
    }
}

fn page(progress: &Progress) -> Option<&Arc<Page>> {
    match &progress.page {
        Some(ApiAnswer::Found(page)) => Some(page),
        _ => None,
    }
}

fn plays(page: &Page, known: &Ledger) -> PlaysDiagnosis {
    let is_new = |heard: &&Heard| {
        let identity = Identity::of(heard);
        let forgotten = known.forgotten_ms.is_some_and(|forgotten| identity.played_ms <= forgotten);
        matches!(heard, Heard::Play(_)) && !forgotten && known.find(&identity).is_none()
    };
    let mut heard: Vec<&Play> = page.entries.iter().filter_map(play).collect();
    heard.sort_by_key(|play| std::cmp::Reverse(play.played_at));
    PlaysDiagnosis {
        shown: page.entries.len(),
        new: page.entries.iter().filter(is_new).count(),
        skipped: page.entries.iter().filter(|heard| play(heard).is_none()).count(),
        samples: heard.into_iter().take(SAMPLES).map(sample).collect(),
    }
}

fn play(heard: &Heard) -> Option<&Play> {
    match heard {
        Heard::Play(play) => Some(play),
        Heard::Skipped(_) => None,
    }
}

fn sample(play: &Play) -> PlaySample {
    PlaySample { played_at: play.played_at, artist: play.artists.join(", "), title: play.title.clone() }
}

fn token(status: &SpotifyAccountStatus, observed: &Observed, progress: &Progress, now: Timestamp) -> TokenDiagnosis {
    let known = progress.token_view(observed.token.as_ref());
    let recorded = status.token.as_ref().and_then(|token| time(token.expiry_time.as_ref()));
    let (state, ends) = match (known, &progress.token) {
        (Some(token), _) if token.refused => (TokenState::Refused, token.expires_at),
        (Some(token), _) => (life(token.expires_at, observed, now).unwrap_or(TokenState::Absent), token.expires_at),
        (None, Some(Err(_))) => (TokenState::Unusable, None),
        (None, _) => (life(recorded, observed, now).unwrap_or(TokenState::Unknown), recorded),
    };
    TokenDiagnosis {
        state,
        expiry_time: ends,
        expires_in_minutes: ends.map(|end| end.duration_since(now).as_secs().div_euclid(MINUTE_SECONDS).max(0)),
        refreshed: matches!(progress.refresh, Some(RefreshOutcome::Refreshed { .. })),
    }
}

fn life(ends: Option<Timestamp>, observed: &Observed, now: Timestamp) -> Option<TokenState> {
    Some(match ends?.duration_since(now) {
        left if left > observed.settings.refresh_buffer => TokenState::Fresh,
        left if left.is_positive() => TokenState::Expiring,
        _ => TokenState::Expired,
    })
}

fn authorization(status: &SpotifyAccountStatus, told: &SpotifyAccountStatus, now: Timestamp) -> AuthorizationDiagnosis {
    let (authorized, reason, _) = condition(told, ConditionType::Authorized);
    let known = status.authorization.clone().unwrap_or_default();
    let ends = time(known.expiry_time.as_ref());
    AuthorizationDiagnosis {
        authorized,
        reason,
        expiry_time: ends,
        estimated: known.estimated,
        days_left: ends.map(|end| end.duration_since(now).as_secs().div_euclid(DAY_SECONDS)),
    }
}

fn targets(
    account: &SpotifyAccount,
    before: &SpotifyAccountStatus,
    observed: &Observed,
    progress: &Progress,
    settled: &Settled,
) -> Vec<TargetDiagnosis> {
    let ledger = open::ledger(&settled.status);
    let known = settled.keeping.as_ref().map(|keeping| Arc::clone(&keeping.before));
    let journal = known.or_else(|| delivery::journal(observed)).unwrap_or_default();
    let page = delivery::page(observed, progress).map(AsRef::as_ref);
    let entries = account.spec.targets.iter().zip(&observed.targets);
    entries.map(|(target, entry)| one(target, entry, account, before, settled, (&ledger, page, &journal))).collect()
}

fn one(
    target: &AccountTarget,
    entry: &TargetEntry,
    account: &SpotifyAccount,
    before: &SpotifyAccountStatus,
    settled: &Settled,
    (ledger, page, journal): (&Ledger, Option<&Page>, &Journal),
) -> TargetDiagnosis {
    let state = settled.status.target(&target.name).cloned().unwrap_or_default();
    let idle = state.state == TargetState::Idle;
    let namespace = account.metadata.namespace.as_deref().unwrap_or_default();
    let sources = Sources { ledger, page, journal, retry: false };
    let open = if idle { Vec::new() } else { open::open_plays(account, target, namespace, &sources) };
    TargetDiagnosis {
        name: target.name.clone(),
        target: entry.name.to_string(),
        target_type: match &entry.target {
            Lookup::Found(found) => Some(found.spec.target_type),
            Lookup::Missing | Lookup::Unreadable => None,
        },
        state: state.state,
        reason: state.reason,
        message: state.message,
        would_receive: if idle { 0 } else { state.pending },
        samples: open.iter().take(SAMPLES).map(|open| sample(&open.play)).collect(),
        pending: before.target(&target.name).map_or(0, |known| known.pending),
        quarantined: state.quarantined,
        next_attempt_time: time(state.next_attempt_time.as_ref()),
        circuit_breaker: state.circuit_breaker.unwrap_or_default(),
    }
}

/// When the operator asks Spotify next: by its own schedule, which this look does not move.
fn next_read(
    account: &SpotifyAccount,
    status: &SpotifyAccountStatus,
    observed: &Observed,
    progress: &Progress,
    now: Timestamp,
) -> Option<Timestamp> {
    if account.spec.suspend || blocking(account, observed).is_some() {
        return None;
    }
    let next = schedule::next_question(account, observed, status, now);
    let next = next.max(progress.calls_spent_until.unwrap_or(now)).max(now);
    (next != Timestamp::MAX).then_some(next)
}

fn gate(observed: &Observed, now: Timestamp) -> Option<GateDiagnosis> {
    let Lookup::Found(app) = &observed.app else { return None };
    Standing::of(app).gates.closed(now).map(|(limit, until)| GateDiagnosis::new(limit, until))
}
