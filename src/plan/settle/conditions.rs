//! The conditions, by the Kubernetes API conventions and kstatus.

use jiff::{SignedDuration, Timestamp};

use super::Verdict;
use crate::api::condition::{
    ConditionStatus, ConditionType, Reason, find_condition, is_condition_true, remove_condition, set_condition,
};
use crate::api::v1alpha1::{BreakerState, SpotifyAccount, SpotifyAccountStatus};
use crate::plan::observed::Observed;
use crate::plan::problem::Problem;
use crate::plan::{delivery, schedule};

/// An authorization that ends within this is warned about.
const EXPIRING: SignedDuration = SignedDuration::from_hours(24 * 30);
/// Without a successful read for at least this, an account is not Ready.
const PATIENCE: SignedDuration = SignedDuration::from_mins(30);
/// So many failures in a row are not passed over.
const FAILURES: i32 = 5;

/// Writes the conditions of one account.
struct Writer<'a> {
    status: &'a mut SpotifyAccountStatus,
    generation: Option<i64>,
    now: Timestamp,
}

impl Writer<'_> {
    fn set(&mut self, kind: ConditionType, status: impl Into<ConditionStatus>, reason: Reason, message: &str) {
        set_condition(&mut self.status.conditions, kind, status.into(), reason, message, self.generation, self.now);
    }

    fn remove(&mut self, kind: ConditionType) {
        remove_condition(&mut self.status.conditions, kind);
    }

    fn only_while(&mut self, kind: ConditionType, holds: bool, reason: Reason, message: &str) {
        if holds { self.set(kind, true, reason, message) } else { self.remove(kind) }
    }

    fn default(&mut self, kind: ConditionType) {
        if find_condition(&self.status.conditions, kind).is_none() {
            self.set(kind, ConditionStatus::Unknown, Reason::Progressing, "not known yet");
        }
    }
}

/// The conditions of an account that was never looked at.
pub(super) fn first_visit(
    mut status: SpotifyAccountStatus,
    account: &SpotifyAccount,
    now: Timestamp,
) -> SpotifyAccountStatus {
    let mut writer = Writer { status: &mut status, generation: account.metadata.generation, now };
    let message = "the account was seen; its plays are about to be read for the first time";
    writer.set(ConditionType::Ready, ConditionStatus::Unknown, Reason::Progressing, message);
    writer.default(ConditionType::Authorized);
    writer.default(ConditionType::Synced);
    writer.set(ConditionType::Reconciling, true, Reason::Progressing, message);
    status
}

pub(super) fn settle(
    status: &mut SpotifyAccountStatus,
    account: &SpotifyAccount,
    observed: &Observed,
    verdict: &Verdict,
    target_problem: Option<&Problem>,
    now: Timestamp,
) {
    let mut writer = Writer { status, generation: account.metadata.generation, now };
    match verdict {
        Verdict::Waiting => {}
        Verdict::Suspended => suspended(&mut writer),
        Verdict::Refreshed => authorized(&mut writer),
        Verdict::Read => {
            authorized(&mut writer);
            read(&mut writer, target_problem);
        }
        Verdict::Delivered => read(&mut writer, target_problem),
        Verdict::Wrong(problem) if problem.stalled => stalled(&mut writer, problem),
        Verdict::Wrong(problem) => passing(&mut writer, account, observed, problem),
    }
    let open = writer.status.breaker_state() == BreakerState::Open && !matches!(verdict, Verdict::Suspended);
    let message = "too many failures in a row: one request probes at status.circuitBreaker.nextProbeTime";
    writer.only_while(ConditionType::CircuitOpen, open, Reason::CircuitOpen, message);
}

fn suspended(writer: &mut Writer<'_>) {
    let message = "spec.suspend is true: nothing is read or delivered until it is false";
    writer.set(ConditionType::Ready, false, Reason::Suspended, message);
    writer.default(ConditionType::Authorized);
    writer.default(ConditionType::Synced);
    writer.set(ConditionType::Suspended, true, Reason::Suspended, message);
    writer.remove(ConditionType::Reconciling);
    writer.remove(ConditionType::Stalled);
}

fn authorized(writer: &mut Writer<'_>) {
    let expiry = writer.status.authorization.as_ref().and_then(|authorization| authorization.expiry_time.clone());
    let left = expiry.as_ref().map(|expiry| expiry.0.duration_since(writer.now));
    match (left, expiry) {
        (Some(left), Some(expiry)) if left <= EXPIRING => {
            let message = format!(
                "the authorization ends on {} at the earliest: the listener should authorize the app again before (scrobble-operator connect)",
                expiry.0.strftime("%Y-%m-%d")
            );
            writer.set(ConditionType::Authorized, true, Reason::AuthorizationExpiring, &message);
        }
        _ => writer.set(ConditionType::Authorized, true, Reason::Succeeded, "Spotify accepts the token"),
    }
}

fn read(writer: &mut Writer<'_>, target_problem: Option<&Problem>) {
    writer.remove(ConditionType::Suspended);
    writer.remove(ConditionType::Reconciling);
    writer.set(ConditionType::Synced, true, Reason::Succeeded, "plays are read on schedule");
    match target_problem {
        None => {
            writer.set(ConditionType::Ready, true, Reason::Succeeded, "plays are read and delivered");
            writer.remove(ConditionType::Stalled);
        }
        Some(problem) => {
            writer.set(ConditionType::Ready, false, problem.reason, &problem.message);
            writer.only_while(ConditionType::Stalled, problem.stalled, problem.reason, &problem.message);
        }
    }
}

fn stalled(writer: &mut Writer<'_>, problem: &Problem) {
    writer.remove(ConditionType::Suspended);
    writer.remove(ConditionType::Reconciling);
    writer.default(ConditionType::Authorized);
    writer.default(ConditionType::Synced);
    writer.set(ConditionType::Ready, false, problem.reason, &problem.message);
    writer.set(problem.condition, false, problem.reason, &problem.message);
    writer.set(ConditionType::Stalled, true, problem.reason, &problem.message);
}

/// Trouble that passes by itself is passed over for a while: an account that was Ready stays so.
fn passing(writer: &mut Writer<'_>, account: &SpotifyAccount, observed: &Observed, problem: &Problem) {
    let failures = writer.status.failures.as_ref().map_or(0, |failures| failures.consecutive);
    let asked_to_wait = matches!(problem.reason, Reason::RateLimited | Reason::QuotaExceeded);
    let interval = schedule::interval(account, observed, &delivery::ledger(writer.status));
    let stored = writer.status.sync.as_ref().and_then(|sync| sync.last_sync_time.as_ref().map(|time| time.0));
    let success = observed.last_read.max(stored);
    let recent = success.is_some_and(|time| writer.now.duration_since(time) <= (interval * 2).max(PATIENCE));
    let was_ready = is_condition_true(&writer.status.conditions, ConditionType::Ready);
    writer.default(ConditionType::Authorized);
    writer.default(ConditionType::Synced);
    if was_ready && recent && (failures < FAILURES || asked_to_wait) {
        return;
    }
    let open = writer.status.breaker_state() == BreakerState::Open;
    let reason = if open { Reason::CircuitOpen } else { problem.reason };
    writer.remove(ConditionType::Suspended);
    writer.remove(ConditionType::Stalled);
    writer.set(ConditionType::Ready, false, reason, &problem.message);
    writer.set(problem.condition, false, problem.reason, &problem.message);
}
