//! When an account may send to a target: while the target's breaker is open nobody does but for one probe at a time, and
//! those that wait come back one after the other.

use jiff::{SignedDuration, Timestamp};

use super::observed::{Duty, Lookup, Observed, TargetEntry};
use super::step::Progress;
use super::target_standing::{Standing, Word, word_of};
use crate::api::condition::Reason;
use crate::api::v1alpha1::{AccountTargetStatus, BreakerOwner, ScrobbleTarget, TargetState};
use crate::domain::answer::Delivery;
use crate::domain::digest::keyed_hash;

/// A service that is back gets one more account every second, but nobody waits for longer than the next constant says.
const BETWEEN_ACCOUNTS: SignedDuration = SignedDuration::from_secs(1);
/// Within this all accounts of a service that is back are served again.
pub const LONGEST_SPREAD: SignedDuration = SignedDuration::from_mins(5);
/// Whoever probed in vain last lets the others go first: what fails may be that account's doing.
const COURTESY: SignedDuration = SignedDuration::from_secs(30);
/// How long an account waits for another one's probe to tell, unless it is told before.
const TELLING: SignedDuration = SignedDuration::from_mins(1);

/// How long after a probe's time, and after the breaker closed, an account's turn comes: the same each time.
pub fn turn(account_uid: &str, accounts: i32) -> SignedDuration {
    let hash = keyed_hash(account_uid.as_bytes(), &[b"turn at a target"]);
    let part = i64::from(u16::from_be_bytes([hash[0], hash[1]]));
    let spread = (BETWEEN_ACCOUNTS * accounts.saturating_sub(1).max(0)).min(LONGEST_SPREAD);
    let milliseconds = i64::try_from(spread.as_millis()).unwrap_or(0);
    SignedDuration::from_millis(milliseconds * part / 65_536)
}

/// Until when an account sends nothing to a target because of the target as a whole; none where it may.
pub fn held_until(
    known: Option<&AccountTargetStatus>,
    account_uid: &str,
    entry: &TargetEntry,
    duty: &Duty,
    now: Timestamp,
) -> Option<Timestamp> {
    let Lookup::Found(found) = &entry.target else { return None };
    let standing = Standing::of(found);
    let accounts = accounts(found);
    let turn = turn(account_uid, accounts);
    let held = match standing.next_probe() {
        Some(probe) => {
            let courtesy = entry.view.probed_last && accounts > 1;
            let wait = if courtesy { turn + COURTESY + BETWEEN_ACCOUNTS * accounts } else { turn };
            match later(probe, wait) {
                own if own <= now && entry.view.probing => Some(later(now, TELLING)),
                own => Some(own),
            }
        }
        None if is_held(known) => Some(later(entry.view.closed_time.unwrap_or(duty.since), turn)),
        None => None,
    };
    standing.paused_until.max(held).filter(|until| *until > now)
}

/// Whether an entry says that the target's breaker keeps its plays back.
pub fn is_held(known: Option<&AccountTargetStatus>) -> bool {
    known.is_some_and(|known| known.circuit_breaker_of == Some(BreakerOwner::Target))
}

/// Whether a target's breaker is open.
pub fn is_open(found: &ScrobbleTarget) -> bool {
    Standing::of(found).next_probe().is_some()
}

/// Whether the target's breaker has closed, and the turn of an entry that waited for it has come.
pub(super) fn is_released(
    state: &AccountTargetStatus,
    account_uid: &str,
    entry: &TargetEntry,
    observed: &Observed,
    progress: &Progress,
    now: Timestamp,
) -> bool {
    let Lookup::Found(found) = &entry.target else { return false };
    let name = &entry.entry;
    let sent = progress.deliveries.get(name).is_some_and(|done| !done.submissions.is_empty());
    let answered = sent || progress.checks.contains_key(name) || progress.surveys.contains_key(name);
    is_held(Some(state))
        && !is_open(found)
        && (answered || held_until(Some(state), account_uid, entry, &observed.duty, now).is_none())
}

/// The target's breaker is not what keeps an entry's plays back.
pub(super) fn release(state: &mut AccountTargetStatus) {
    if is_held(Some(state)) {
        state.circuit_breaker = None;
        state.circuit_breaker_of = None;
    }
}

/// Whether an answer is about the target rather than about the account that it came to, and counts there alone.
pub fn is_the_targets(state: &AccountTargetStatus, answer: &Delivery, found: &ScrobbleTarget) -> bool {
    let standing = Standing::of(found);
    standing.breaker.is_some()
        && match word_of(found.spec.target_type, answer) {
            Word::KeysRefused { .. } => standing.refuses_keys(),
            Word::Fails { .. } | Word::Waits { .. } => is_held(Some(state)),
            Word::Works | Word::Own | Word::Nothing => false,
        }
}

/// Whether the probe of an open breaker is of use to an entry that nothing waits for: its key was not looked at yet.
pub fn is_unproven(known: &AccountTargetStatus, found: &ScrobbleTarget) -> bool {
    found.spec.target_type.credentials_key().is_some() && known.credentials_id.is_none()
}

/// What an entry says while the target's breaker is open, and until its turn comes after that.
pub(super) fn tell(state: &mut AccountTargetStatus, entry: &TargetEntry, account_uid: &str, now: Timestamp) {
    let Lookup::Found(found) = &entry.target else { return };
    let standing = Standing::of(found);
    let (Some(probe), Some(trouble)) = (standing.next_probe(), &standing.trouble) else {
        if let Some(until) = standing.paused_until.filter(|until| *until > now && state.pending > 0) {
            let next = state.next_attempt_time.as_ref().map_or(until, |next| next.0.max(until));
            state.next_attempt_time = Some(super::settle::round_up(next));
        }
        return;
    };
    if !is_of_the_service(state, found, &standing, now) {
        return release(state);
    }
    let keys = standing.refuses_keys();
    let reason = if keys { Reason::ClientCredentialsInvalid } else { Reason::TargetFailing };
    state.state = TargetState::CircuitOpen;
    state.circuit_breaker_of = Some(BreakerOwner::Target);
    state.reason = Some(reason.as_str().to_owned());
    state.message = Some(format!("ScrobbleTarget {}: {}", entry.name, trouble.message));
    // Where nothing waits, nothing changes from probe to probe.
    let waits = state.pending > 0 || is_unproven(state, found);
    let next = later(probe, turn(account_uid, accounts(found)));
    state.next_attempt_time = waits.then(|| super::settle::round_up(next));
    state.circuit_breaker = standing.breaker.filter(|_| waits);
}

/// Whether what an entry says is about the service: what is about this account stays as it is.
fn is_of_the_service(state: &AccountTargetStatus, found: &ScrobbleTarget, standing: &Standing, now: Timestamp) -> bool {
    let reason = state.reason.as_deref().and_then(Reason::from_name);
    match state.state {
        TargetState::Healthy | TargetState::CircuitOpen => true,
        TargetState::Failing => match reason {
            Some(Reason::RateLimited) => state.next_attempt_time.as_ref().is_none_or(|next| next.0 <= now),
            reason => matches!(
                reason,
                None | Some(Reason::TargetFailing | Reason::NetworkError | Reason::ClientCredentialsInvalid)
            ),
        },
        // Without a listener's key it is the target's that was refused.
        TargetState::Unauthorized => standing.refuses_keys() && found.spec.target_type.credentials_key().is_none(),
        TargetState::Suspended | TargetState::Idle => false,
    }
}

fn accounts(found: &ScrobbleTarget) -> i32 {
    found.status.as_ref().map_or(0, |status| status.accounts)
}

fn later(time: Timestamp, wait: SignedDuration) -> Timestamp {
    time.saturating_add(wait).unwrap_or(Timestamp::MAX)
}
