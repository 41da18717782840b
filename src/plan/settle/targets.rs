//! `status.targets[]`: each target on its own.

use jiff::{SignedDuration, Timestamp};

use super::failures::round_up;
use crate::api::condition::{Reason, whole_seconds};
use crate::api::v1alpha1::{
    AccountTarget, AccountTargetStatus, BreakerLimits, BreakerOwner, ForeignScrobbler, ScrobbleTarget, SpotifyAccount,
    SpotifyAccountStatus, TargetState,
};
use crate::domain::answer::{Delivery, Submission, Trouble};
use crate::domain::name::ObjectName;
use crate::plan::delivery::{RATE_LIMITED_WAIT, REFUSED_WAIT, final_mark, is_about_the_play, is_for_its_secret};
use crate::plan::failure::Failure;
use crate::plan::observed::{Observed, TargetEntry};
use crate::plan::pace::Bounds;
use crate::plan::problem::Problem;
use crate::plan::step::{Progress, SecretTrouble, TargetProgress};
use crate::plan::{breaker, failure, foreign, reference, schedule, target_hold, target_standing};

/// How long a target is left alone where a listener's day is full.
const DAILY_LIMIT_WAIT: SignedDuration = SignedDuration::from_hours(24);
/// How long plays wait that lie in a service's future.
const TOO_NEW_WAIT: SignedDuration = SignedDuration::from_mins(5);

pub(super) fn known_or_new(status: &SpotifyAccountStatus, target: &AccountTarget) -> AccountTargetStatus {
    let known = status.target(&target.name).filter(|known| known.target_ref.as_ref() == Some(&target.target_ref));
    known.cloned().unwrap_or_else(|| AccountTargetStatus {
        name: target.name.clone(),
        target_ref: Some(target.target_ref.clone()),
        ..AccountTargetStatus::default()
    })
}

/// Settles the state of each target, and tells the first problem that keeps the account from being Ready.
pub(super) fn settle(
    status: &mut SpotifyAccountStatus,
    account: &SpotifyAccount,
    observed: &Observed,
    progress: &Progress,
    now: Timestamp,
) -> Option<Problem> {
    let mut problems = Vec::new();
    let mut states = Vec::with_capacity(account.spec.targets.len());
    let suspended = account.spec.suspend;
    for (target, entry) in account.spec.targets.iter().zip(&observed.targets) {
        let mut state = known_or_new(status, target);
        if !suspended {
            settle_one(&mut state, account, observed, entry, progress, now);
        }
        problems.extend(problem_of(&state));
        states.push(state);
    }
    status.targets = states;
    if let Some(sync) = &mut status.sync {
        sync.pending_total = status.targets.iter().map(|target| target.pending).sum();
    }
    problems.into_iter().rev().max_by_key(|problem| problem.stalled)
}

fn settle_one(
    state: &mut AccountTargetStatus,
    account: &SpotifyAccount,
    observed: &Observed,
    entry: &TargetEntry,
    progress: &Progress,
    now: Timestamp,
) {
    let Some(target) = account.spec.targets.iter().find(|target| target.name == entry.entry) else { return };
    let found = match reference::deliverable(target, entry, observed) {
        Ok(found) => found,
        Err(problem) => return blame(state, &problem),
    };
    if let Some(holder) = &entry.holder {
        return idle(state, holder);
    }
    let credentials = progress.credentials.get(&entry.entry);
    match credentials {
        Some(Err(SecretTrouble::Cluster)) => return postpone(state, now),
        Some(Err(trouble)) => {
            return blame(state, &Problem::secret(&format!("the Secret of target {},", entry.entry), trouble));
        }
        _ => {}
    }
    if let Some(Err(SecretTrouble::Cluster)) = &progress.journal {
        return postpone(state, now);
    }
    let uid = account.metadata.uid.as_deref().unwrap_or_default();
    if target_hold::is_released(state, uid, entry, observed, progress, now) {
        clear(state);
    }
    if let Some(answer) = progress.checks.get(&entry.entry)
        && !target_hold::is_the_targets(state, answer, found)
    {
        checked(state, answer, account, entry, found, now);
    }
    let surveyed = match progress.surveys.get(&entry.entry) {
        Some(Ok(is_found)) => {
            state.foreign_scrobbler = Some(if *is_found { ForeignScrobbler::Found } else { ForeignScrobbler::Absent });
            None
        }
        Some(Err(answer)) => Some(answer.clone()),
        None => None,
    };
    let done = progress.deliveries.get(&entry.entry);
    let sent = done.and_then(last_word).or(surveyed);
    let usable = matches!(credentials, Some(Ok(_))) || sent.is_some();
    let refused = progress.checks.get(&entry.entry).is_some_and(is_refusal);
    let renewed = !refused && matches!(credentials, Some(Ok(credentials)) if credentials.renewed);
    let held = foreign::is_found_and_held(found, state);
    match sent {
        None if state.state == TargetState::Idle => clear(state),
        None if usable && (is_for_its_secret(state.reason.as_deref()) || is_postponed(state)) => clear(state),
        None if is_for_its_spec(state) => clear(state),
        // Another key than the one that was refused: the next play that waits, or that is heard, will tell.
        None if renewed && is_refused(state) && state.pending == 0 => clear(state),
        None if renewed && is_refused(state) => state.next_attempt_time = None,
        None if foreign::is_told(state) && !held => clear(state),
        None => {}
        // It counts for the target as a whole.
        Some(answer) if target_hold::is_the_targets(state, &answer, found) => {}
        Some(answer) => answered(state, &answer, account, observed, entry, found, now),
    }
    if held {
        hold(state, &entry.name);
    }
    if let Some(until) = done.and_then(|done| done.paused_until) {
        let next = state.next_attempt_time.as_ref().map_or(until, |next| next.0.max(until));
        state.next_attempt_time = Some(round_up(next));
    }
    target_hold::tell(state, entry, uid, now);
}

/// What the last answer of a target means for it.
fn answered(
    state: &mut AccountTargetStatus,
    answer: &Delivery,
    account: &SpotifyAccount,
    observed: &Observed,
    entry: &TargetEntry,
    found: &ScrobbleTarget,
    now: Timestamp,
) {
    let limits = BreakerLimits::from(&found.spec.circuit_breaker);
    match answer {
        Delivery::Accepted | Delivery::AlreadyThere | Delivery::Never { .. } => clear(state),
        Delivery::CredentialsRefused | Delivery::ClientRefused { .. } => {
            refuse(state, answer, account, entry, found, now);
        }
        Delivery::Suspended => {
            let gone = &told("the receiver answered 410 Gone", Failure::TargetGone);
            stop(state, TargetState::Suspended, Failure::TargetGone, gone, now);
        }
        Delivery::NotNow { trouble: Trouble::SecondTaken, .. } => {
            clear(state);
            state.message = Some(
                "plays wait whose second another track has taken: they are tried again once another play got through"
                    .to_owned(),
            );
        }
        Delivery::NotNow { trouble: Trouble::TooNew, .. } => {
            clear(state);
            state.message =
                Some("plays wait that lie in the future by the service's clock: check the node's clock".to_owned());
            state.next_attempt_time = Some(round_up(now + TOO_NEW_WAIT));
        }
        Delivery::NotNow { retry_after, trouble: Trouble::RateLimited } => {
            wait(state, "the service asks to wait", retry_after.unwrap_or(RATE_LIMITED_WAIT), now);
        }
        Delivery::NotNow { retry_after, trouble: Trouble::DailyLimit } => {
            let full = "the service takes no more plays of this listener today";
            wait(state, full, retry_after.unwrap_or(DAILY_LIMIT_WAIT), now);
        }
        Delivery::NotNow { retry_after, trouble } => {
            fail(state, limits, trouble, now, account, observed);
            if let (Some(wait), Some(next)) = (retry_after, &mut state.next_attempt_time) {
                let until = now.saturating_add(*wait).unwrap_or(Timestamp::MAX);
                *next = round_up(next.0.max(until));
            }
        }
        Delivery::Unknown(trouble) => fail(state, limits, trouble, now, account, observed),
    }
}

/// The service was asked about the credentials.
fn checked(
    state: &mut AccountTargetStatus,
    answer: &Delivery,
    account: &SpotifyAccount,
    entry: &TargetEntry,
    found: &ScrobbleTarget,
    now: Timestamp,
) {
    match answer {
        Delivery::Accepted | Delivery::AlreadyThere => {
            if is_refused(state) || state.reason.as_deref() == Some(Reason::ConfigurationInvalid.as_str()) {
                clear(state);
            }
        }
        Delivery::CredentialsRefused | Delivery::ClientRefused { .. } => {
            refuse(state, answer, account, entry, found, now);
        }
        Delivery::Never { reason } => {
            let message = format!("ScrobbleTarget {}: {reason}", entry.name);
            stop(state, TargetState::Failing, Failure::TargetMisused, &message, now);
        }
        // It does not say; a delivery will.
        Delivery::NotNow { .. } | Delivery::Unknown(_) | Delivery::Suspended => return,
    }
    state.credentials_id.clone_from(&entry.credentials_id);
}

/// Says whose key the service refuses.
fn refuse(
    state: &mut AccountTargetStatus,
    answer: &Delivery,
    account: &SpotifyAccount,
    entry: &TargetEntry,
    found: &ScrobbleTarget,
    now: Timestamp,
) {
    if let Delivery::ClientRefused { reason } = answer {
        let message = format!("{reason}: whoever owns ScrobbleTarget {} must correct its keys", entry.name);
        return stop(state, TargetState::Failing, Failure::TargetKeysRefused, &message, now);
    }
    let target = account.spec.targets.iter().find(|target| target.name == entry.entry);
    let credentials = target.and_then(|target| target.credentials_ref.as_ref());
    let whose = match (credentials, found.spec.target_type.credentials_key()) {
        (Some(reference), Some(usual)) => format!(
            "the service refuses the listener's credentials: replace key {} of Secret {}",
            reference.key.as_deref().unwrap_or(usual),
            reference.name,
        ),
        _ => {
            "the receiver refuses the target's signature: its owner must correct the Secret of webhook.signingKeyRef, or the receiver"
                .to_owned()
        }
    };
    stop(state, TargetState::Unauthorized, Failure::TargetCredentialsRefused, &whose, now);
}

fn is_refusal(answer: &Delivery) -> bool {
    matches!(answer, Delivery::CredentialsRefused | Delivery::ClientRefused { .. })
}

fn is_refused(state: &AccountTargetStatus) -> bool {
    state.state == TargetState::Unauthorized
        || state.reason.as_deref() == Some(Reason::ClientCredentialsInvalid.as_str())
}

/// The last answer of a target in this pass that says how it fares.
fn last_word(done: &TargetProgress) -> Option<Delivery> {
    let answers: Vec<&Delivery> = done
        .submissions
        .iter()
        .flat_map(|(_, submission)| match submission {
            Submission::Each(deliveries) => deliveries.as_slice(),
            Submission::BatchRefused => &[],
        })
        .collect();
    // A play that is refused for good, or for its time, says nothing about the target beside one that could not be taken.
    let untaken = |about_the_play: bool| {
        let mut untaken = answers.iter().rev().filter(|delivery| final_mark(delivery).is_none());
        untaken.find(|delivery| is_about_the_play(delivery) == about_the_play)
    };
    untaken(false).or_else(|| untaken(true)).or(answers.last()).map(|delivery| (*delivery).clone())
}

fn clear(state: &mut AccountTargetStatus) {
    state.state = TargetState::Healthy;
    state.reason = None;
    state.message = None;
    state.consecutive_failures = 0;
    state.next_attempt_time = None;
    state.circuit_breaker = None;
    state.circuit_breaker_of = None;
}

fn blame(state: &mut AccountTargetStatus, problem: &Problem) {
    state.state = TargetState::Failing;
    state.reason = Some(problem.reason.as_str().to_owned());
    state.message = Some(problem.message.clone());
    state.next_attempt_time = None;
    target_hold::release(state);
}

/// The cluster did not answer: nobody's fault, and soon tried again. What was known before stays known.
fn postpone(state: &mut AccountTargetStatus, now: Timestamp) {
    if state.state == TargetState::Healthy || is_postponed(state) || target_hold::is_held(Some(state)) {
        target_hold::release(state);
        state.state = TargetState::Failing;
        state.reason = Some(Failure::TargetSecretUnread.facts().reason.into());
        state.message = Some("its Secret could not be read: the API server does not answer".to_owned());
        state.next_attempt_time = Some(whole_seconds(now + breaker::FIRST_WAIT));
    }
}

fn is_postponed(state: &AccountTargetStatus) -> bool {
    state.reason.as_deref() == Some(Failure::TargetSecretUnread.facts().reason.as_str())
}

/// Whether the reason is what objects say, which was looked at just now. A service's own word has a next attempt.
fn is_for_its_spec(state: &AccountTargetStatus) -> bool {
    let reason = state.reason.as_deref();
    let by_spec = reason == Some(Reason::ConfigurationInvalid.as_str()) && state.next_attempt_time.is_none();
    schedule::is_by_reference(reason) || by_spec
}

/// Another account serves the listener there.
fn idle(state: &mut AccountTargetStatus, holder: &ObjectName) {
    clear(state);
    state.state = TargetState::Idle;
    state.reason = Some(Failure::DuplicateListener.facts().reason.into());
    state.message = Some(format!(
        "the older SpotifyAccount {holder} delivers the same listener's plays there with the same credentials: remove this entry, or that account"
    ));
}

/// Somebody else scrobbles the same plays.
fn hold(state: &mut AccountTargetStatus, target: &ObjectName) {
    clear(state);
    state.state = TargetState::Suspended;
    state.reason = Some(Failure::ForeignScrobbler.facts().reason.into());
    state.message = Some(format!(
        "somebody else scrobbles the same plays there, perhaps Last.fm's own link to Spotify: remove that link and request a read, or have lastFm.onForeignScrobbler of ScrobbleTarget {target} set to Send; plays wait until then"
    ));
}

/// The service asks to be left alone, which is no failure.
fn wait(state: &mut AccountTargetStatus, why: &str, wait: SignedDuration, now: Timestamp) {
    let until = round_up(now.saturating_add(wait).unwrap_or(Timestamp::MAX));
    state.state = TargetState::Failing;
    state.reason = Some(Failure::TargetLimited.facts().reason.into());
    state.message = Some(format!("{why}: plays wait until {:.0}", until.0));
    state.next_attempt_time = Some(until);
}

fn stop(state: &mut AccountTargetStatus, stopped: TargetState, failure: Failure, message: &str, now: Timestamp) {
    state.state = stopped;
    state.reason = Some(failure.facts().reason.into());
    state.message = Some(message.to_owned());
    state.consecutive_failures = state.consecutive_failures.saturating_add(1);
    state.next_attempt_time = Some(whole_seconds(now + REFUSED_WAIT));
}

fn fail(
    state: &mut AccountTargetStatus,
    limits: BreakerLimits,
    trouble: &Trouble,
    now: Timestamp,
    account: &SpotifyAccount,
    observed: &Observed,
) {
    state.consecutive_failures = state.consecutive_failures.saturating_add(1);
    let longest = Bounds::of(account, observed).longest;
    let failure = Failure::of_target(trouble);
    state.reason = Some(failure.facts().reason.into());
    state.message = Some(match trouble {
        Trouble::AddressRefused => told("the target's address is private", failure),
        other => format!("the last delivery failed: {}", target_standing::described(other)),
    });
    let failures = state.consecutive_failures;
    let opened = breaker::after_failure(state.circuit_breaker.as_ref(), failures, limits, now);
    state.state = if opened.is_some() { TargetState::CircuitOpen } else { TargetState::Failing };
    let next = match &opened {
        Some(breaker) => breaker.next_probe_time.clone(),
        None => Some(whole_seconds(now + breaker::wait_after(failures, longest))),
    };
    state.next_attempt_time = next;
    state.circuit_breaker_of = opened.as_ref().map(|_| BreakerOwner::Account);
    state.circuit_breaker = opened;
}

fn told(what: &str, failure: Failure) -> String {
    format!("{what}: {}", failure.facts().remedy)
}

fn problem_of(state: &AccountTargetStatus) -> Option<Problem> {
    let reason = state.reason.as_deref().and_then(Reason::from_name)?;
    let message = format!("target {}: {}", state.name, state.message.as_deref().unwrap_or("it fails"));
    let passes = failure::passes(reason);
    match state.state {
        TargetState::Healthy => None,
        TargetState::Failing if passes => None,
        TargetState::CircuitOpen if passes || target_hold::is_held(Some(state)) => {
            Some(Problem::of(Failure::TargetTrouble, message))
        }
        _ => Some(Problem::target(reason, message)),
    }
}
