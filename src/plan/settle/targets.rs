//! `status.targets[]`: each target on its own.

use jiff::Timestamp;

use super::failures::round_up;
use crate::api::condition::{Reason, whole_seconds};
use crate::api::v1alpha1::{
    AccountTarget, AccountTargetStatus, BreakerLimits, SpotifyAccount, SpotifyAccountStatus, SyncStatus, TargetState,
};
use crate::domain::answer::{Delivery, Submission, Trouble};
use crate::domain::ledger::{Identity, Ledger, Mark};
use crate::domain::play::{Heard, Page};
use crate::plan::breaker;
use crate::plan::delivery::{REFUSED_WAIT, attachment_id, final_mark, is_for_its_secret, open_plays};
use crate::plan::observed::{Observed, TargetEntry};
use crate::plan::pace::Bounds;
use crate::plan::problem::Problem;
use crate::plan::step::{Progress, SecretTrouble, TargetProgress};
use crate::plan::{reference, schedule};

/// Marks what was delivered, and counts what waits.
#[expect(clippy::too_many_arguments, reason = "status, its sync and the ledger are written together")]
pub(super) fn mark(
    status: &mut SpotifyAccountStatus,
    sync: &mut SyncStatus,
    ledger: &mut Ledger,
    account: &SpotifyAccount,
    observed: &Observed,
    progress: &Progress,
    page: &Page,
    now: Timestamp,
) {
    let namespace = &observed.namespace;
    let mut states = Vec::with_capacity(account.spec.targets.len());
    for target in &account.spec.targets {
        let mut state = known_or_new(status, target);
        if let Some(position) = ledger.position(attachment_id(target, namespace)) {
            state.attached_time = Some(whole_seconds(ledger.attachments[position].attached_time()));
            let accepted = mark_target(ledger, position, progress.deliveries.get(&target.name));
            if accepted > 0 {
                sync.scrobbled_total += accepted;
                sync.last_successful_scrobble_time = Some(whole_seconds(now));
                state.last_delivery_time = Some(whole_seconds(now));
            }
            let quarantined = ledger.rows.iter().filter(|row| row.marks.get(position) == Some(&Mark::Quarantined));
            state.quarantined = count(quarantined.count());
        }
        state.pending = count(open_plays(account, target, namespace, ledger, page).len());
        states.push(state);
    }
    sync.pending_total = states.iter().map(|state| state.pending).sum();
    status.targets = states;
}

fn mark_target(ledger: &mut Ledger, position: usize, done: Option<&TargetProgress>) -> i64 {
    let mut accepted = 0;
    for (plays, submission) in done.iter().flat_map(|done| &done.submissions) {
        let Submission::Each(deliveries) = submission else { continue };
        for (play, delivery) in plays.iter().zip(deliveries) {
            let identity = Identity::of(&Heard::Play(play.as_ref().clone()));
            let known = ledger.find(&identity).and_then(|row| ledger.rows[row].marks.get(position).copied());
            if let Some(mark) = final_mark(delivery).filter(|mark| known != Some(*mark)) {
                ledger.mark(&identity, position, mark);
                accepted += i64::from(mark == Mark::Delivered);
            }
        }
    }
    accepted
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn known_or_new(status: &SpotifyAccountStatus, target: &AccountTarget) -> AccountTargetStatus {
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
    let credentials = progress.credentials.get(&entry.entry);
    match credentials {
        Some(Err(SecretTrouble::Cluster)) => return postpone(state, now),
        Some(Err(trouble)) => {
            return blame(state, &Problem::secret(&format!("the Secret of target {},", entry.entry), trouble));
        }
        _ => {}
    }
    let sent = progress.deliveries.get(&entry.entry).and_then(last_word);
    let usable = matches!(credentials, Some(Ok(_))) || sent.is_some();
    let renewed = matches!(credentials, Some(Ok(credentials)) if credentials.renewed);
    match sent {
        None if usable && (is_for_its_secret(state.reason.as_deref()) || is_postponed(state)) => clear(state),
        None if is_for_its_spec(state.reason.as_deref()) => clear(state),
        // Another key than the one that was refused: the next play that waits, or that is heard, will tell.
        None if renewed && state.state == TargetState::Unauthorized && state.pending == 0 => clear(state),
        None if renewed && state.state == TargetState::Unauthorized => state.next_attempt_time = None,
        None => {}
        Some(Delivery::Accepted | Delivery::AlreadyThere | Delivery::Never { .. }) => clear(state),
        Some(Delivery::CredentialsRefused) => {
            let whose = match found.spec.target_type.credentials_key() {
                Some(_) => {
                    "the service refuses the listener's credentials: replace them in the Secret of credentialsRef"
                }
                None => {
                    "the receiver refuses the target's signature: its owner must correct the Secret of webhook.signingKeyRef, or the receiver"
                }
            };
            stop(state, TargetState::Unauthorized, Reason::TargetUnauthorized, whose, now);
        }
        Some(Delivery::ClientRefused { reason }) => {
            let message = format!("{reason}: whoever owns ScrobbleTarget {} must correct its keys", entry.name);
            stop(state, TargetState::Failing, Reason::ClientCredentialsInvalid, &message, now);
        }
        Some(Delivery::Suspended) => {
            let gone = "the receiver answered 410 Gone: change or remove the target";
            stop(state, TargetState::Suspended, Reason::TargetSuspended, gone, now);
        }
        Some(Delivery::NotNow { retry_after, trouble }) => {
            fail(state, BreakerLimits::from(&found.spec.circuit_breaker), &trouble, now, account, observed);
            if let (Some(wait), Some(next)) = (retry_after, &mut state.next_attempt_time) {
                let until = now.saturating_add(wait).unwrap_or(Timestamp::MAX);
                *next = round_up(next.0.max(until));
            }
        }
        Some(Delivery::Unknown(trouble)) => {
            fail(state, BreakerLimits::from(&found.spec.circuit_breaker), &trouble, now, account, observed);
        }
    }
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
    // A play that is refused for good says nothing about the target beside one that could not be taken.
    let untaken = answers.iter().rev().find(|delivery| final_mark(delivery).is_none());
    untaken.or(answers.last()).map(|delivery| (*delivery).clone())
}

fn clear(state: &mut AccountTargetStatus) {
    state.state = TargetState::Healthy;
    state.reason = None;
    state.message = None;
    state.consecutive_failures = 0;
    state.next_attempt_time = None;
    state.circuit_breaker = None;
}

fn blame(state: &mut AccountTargetStatus, problem: &Problem) {
    state.state = TargetState::Failing;
    state.reason = Some(problem.reason.as_str().to_owned());
    state.message = Some(problem.message.clone());
    state.next_attempt_time = None;
}

/// The cluster did not answer: nobody's fault, and soon tried again. What was known before stays known.
fn postpone(state: &mut AccountTargetStatus, now: Timestamp) {
    if state.state == TargetState::Healthy || is_postponed(state) {
        state.state = TargetState::Failing;
        state.reason = Some(Reason::NetworkError.as_str().to_owned());
        state.message = Some("its Secret could not be read: the API server does not answer".to_owned());
        state.next_attempt_time = Some(whole_seconds(now + breaker::FIRST_WAIT));
    }
}

fn is_postponed(state: &AccountTargetStatus) -> bool {
    state.reason.as_deref() == Some(Reason::NetworkError.as_str())
}

fn is_for_its_spec(reason: Option<&str>) -> bool {
    schedule::is_by_reference(reason) || reason == Some(Reason::ConfigurationInvalid.as_str())
}

fn stop(state: &mut AccountTargetStatus, stopped: TargetState, reason: Reason, message: &str, now: Timestamp) {
    state.state = stopped;
    state.reason = Some(reason.as_str().to_owned());
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
    let refused = matches!(trouble, Trouble::AddressRefused | Trouble::UrlRefused(_));
    let reason = if refused { Reason::AddressRefused } else { Reason::TargetFailing };
    state.reason = Some(reason.as_str().to_owned());
    state.message = Some(match trouble {
        Trouble::AddressRefused => {
            "the target's address is private: use a public one, or allow its range with --allow-private-targets"
                .to_owned()
        }
        other => format!("the last delivery failed: {other}"),
    });
    let failures = state.consecutive_failures;
    let opened = breaker::after_failure(state.circuit_breaker.as_ref(), failures, limits, now);
    state.state = if opened.is_some() { TargetState::CircuitOpen } else { TargetState::Failing };
    let next = match &opened {
        Some(breaker) => breaker.next_probe_time.clone(),
        None => Some(whole_seconds(now + breaker::wait_after(failures, longest))),
    };
    state.next_attempt_time = next;
    state.circuit_breaker = opened;
}

fn problem_of(state: &AccountTargetStatus) -> Option<Problem> {
    let reason = state.reason.as_deref().and_then(Reason::from_name)?;
    let message = format!("target {}: {}", state.name, state.message.as_deref().unwrap_or("it fails"));
    let passes = matches!(reason, Reason::TargetFailing | Reason::NetworkError);
    match state.state {
        TargetState::Healthy | TargetState::Idle => None,
        TargetState::Failing if passes => None,
        TargetState::CircuitOpen if passes => {
            Some(Problem { stalled: false, ..Problem::target(Reason::TargetFailing, message) })
        }
        _ => Some(Problem::target(reason, message)),
    }
}
