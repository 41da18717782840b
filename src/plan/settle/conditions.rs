//! The conditions, by the Kubernetes API conventions and kstatus.

use jiff::{SignedDuration, Timestamp};

use super::{Verdict, expiry, passed_over, verdict};
use crate::api::condition::{
    ConditionStatus, ConditionType, Reason, find_condition, is_condition_true, remove_condition, set_condition,
};
use crate::api::secret::JOURNAL_SECRET_PREFIX;
use crate::api::v1alpha1::{BreakerState, HistoryOutcome, SpotifyAccount, SpotifyAccountStatus};
use crate::domain::journal::Journal;
use crate::plan::failure::Failure;
use crate::plan::journal::nearly_full;
use crate::plan::observed::Observed;
use crate::plan::pace::Rhythm;
use crate::plan::problem::Problem;
use crate::plan::{gap, gate, schedule};

/// Without a successful read for at least this, an account is not Ready.
const PATIENCE: SignedDuration = SignedDuration::from_mins(30);
/// What `Synced` says while all is well.
const ON_SCHEDULE: &str = "plays are read on schedule";
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
    refreshed: bool,
    verdict: &Verdict,
    target_problem: Option<&Problem>,
    now: Timestamp,
) {
    let mut writer = Writer { status, generation: account.metadata.generation, now };
    match verdict {
        Verdict::Waiting | Verdict::Delivered => time_passes(&mut writer, account, observed, target_problem),
        Verdict::Suspended => suspended(&mut writer),
        Verdict::Refreshed => {
            // What else was wrong is taken back together with the read that proves it.
            if find_condition(&writer.status.conditions, ConditionType::Authorized)
                .is_none_or(|known| known.status != "False")
            {
                authorized(&mut writer);
            }
            time_passes(&mut writer, account, observed, target_problem);
        }
        Verdict::Read => {
            authorized(&mut writer);
            read(&mut writer, target_problem);
        }
        Verdict::Wrong(problem) if problem.stalled => stalled(&mut writer, problem),
        Verdict::Wrong(problem) => {
            if refreshed && !needs_more_than_a_token(writer.status) {
                authorized(&mut writer);
            }
            passing(&mut writer, account, observed, problem, target_problem);
        }
    }
    tell_gap(&mut writer);
    tell_budget(&mut writer, observed);
    let open = writer.status.breaker_state() == BreakerState::Open && !matches!(verdict, Verdict::Suspended);
    circuit(&mut writer, open);
}

/// A pass was cut off, so that nothing else is known.
pub(super) fn cut_off(status: &mut SpotifyAccountStatus, generation: Option<i64>, problem: &Problem, now: Timestamp) {
    let mut writer = Writer { status, generation, now };
    let open = writer.status.breaker_state() == BreakerState::Open;
    writer.remove(ConditionType::Stalled);
    writer.default(ConditionType::Authorized);
    let ready = if open { Reason::CircuitOpen } else { problem.reason };
    not_ready(&mut writer, ready, problem.reason, problem.condition, &problem.message);
    circuit(&mut writer, open);
}

fn circuit(writer: &mut Writer<'_>, open: bool) {
    let message = "too many failures in a row: one request probes at status.circuitBreaker.nextProbeTime";
    writer.only_while(ConditionType::CircuitOpen, open, Reason::CircuitOpen, message);
}

/// While Spotify accepts the token, `Authorized` says that its authorization ends soon. `is_in_use` tells that no other
/// one is known to have taken its place; `seen` that the account's spec was looked at.
pub(super) fn expiry(
    status: &mut SpotifyAccountStatus,
    account: &SpotifyAccount,
    observed: &Observed,
    is_in_use: bool,
    seen: bool,
    now: Timestamp,
) {
    let known = find_condition(&status.conditions, ConditionType::Authorized);
    let Some(known) = known.filter(|known| known.status == "True") else { return };
    let generation = if seen { account.metadata.generation } else { known.observed_generation };
    let Some(authorization) = &mut status.authorization else { return };
    if is_in_use {
        expiry::warn(authorization, now);
    }
    let message = expiry::message(authorization, &verdict::connect(account, observed), now);
    let mut writer = Writer { status, generation, now };
    match message {
        Some(message) => writer.set(ConditionType::Authorized, true, Reason::AuthorizationExpiring, &message),
        None => authorized(&mut writer),
    }
}

/// `Synced` says that Spotify is read: then, and only then, the targets alone decide about `Ready`.
pub(super) fn is_read(status: &SpotifyAccountStatus) -> bool {
    is_condition_true(&status.conditions, ConditionType::Synced)
}

/// Whether what stopped the account is not mended by Spotify's answering a refresh.
fn needs_more_than_a_token(status: &SpotifyAccountStatus) -> bool {
    let known = find_condition(&status.conditions, ConditionType::Authorized).filter(|known| known.status == "False");
    matches!(
        known.and_then(|known| Reason::from_name(&known.reason)),
        Some(
            Reason::ListenerMismatch
                | Reason::ScopeInsufficient
                | Reason::UserNotAllowlisted
                | Reason::AppOwnerNotPremium
        )
    )
}

fn suspended(writer: &mut Writer<'_>) {
    let message = "spec.suspend is true: nothing is read or delivered until it is false";
    writer.set(ConditionType::Ready, false, Reason::Suspended, message);
    writer.default(ConditionType::Authorized);
    writer.set(ConditionType::Synced, false, Reason::Suspended, message);
    writer.set(ConditionType::Suspended, true, Reason::Suspended, message);
    writer.remove(ConditionType::Reconciling);
    writer.remove(ConditionType::Stalled);
}

/// Nothing was asked of Spotify: targets may have changed, and trouble that was passed over may have lasted too long.
fn time_passes(
    writer: &mut Writer<'_>,
    account: &SpotifyAccount,
    observed: &Observed,
    target_problem: Option<&Problem>,
) {
    if !is_read(writer.status) {
        return;
    }
    if patience_end(writer.status, account, observed).is_none_or(|end| end >= writer.now) {
        return targets(writer, target_problem);
    }
    let failures = writer.status.failures.clone().unwrap_or_default();
    let reason = failures.last_reason.as_deref().and_then(Reason::from_name).unwrap_or(Reason::UpstreamUnavailable);
    let next = failures.next_attempt_time.map_or_else(String::new, |next| format!(" until {:.0}", next.0));
    // Whose limit it is tells more than that it lasts.
    let shared = gate::in_force(account, observed, writer.now).filter(|problem| problem.reason == reason);
    let message = shared.map_or_else(
        || format!("Spotify could not be read for too long; nothing is asked{next}, then the operator tries again"),
        |problem| problem.message,
    );
    writer.remove(ConditionType::Stalled);
    not_ready(writer, reason, reason, ConditionType::Synced, &message);
}

/// Until when trouble that passes by itself is passed over; none where there is none.
pub(super) fn patience_end(
    status: &SpotifyAccountStatus,
    account: &SpotifyAccount,
    observed: &Observed,
) -> Option<Timestamp> {
    status.failures.as_ref()?;
    let stored = status.sync.as_ref().and_then(|sync| sync.last_sync_time.as_ref().map(|time| time.0));
    let success = observed.last_read.max(stored)?;
    let interval = Rhythm::of(account, observed, status).interval_at(success);
    let end = success + (interval * 2).max(PATIENCE);
    let began = status
        .history
        .first()
        .filter(|newest| newest.outcome == HistoryOutcome::Failed)
        .map(|newest| newest.first_time.0);
    match began.filter(|_| schedule::is_asked_to_wait(status)) {
        Some(began) => Some(end.min(began + interval)),
        None => Some(end),
    }
}

fn authorized(writer: &mut Writer<'_>) {
    writer.set(ConditionType::Authorized, true, Reason::Succeeded, "Spotify accepts the refresh token");
}

fn read(writer: &mut Writer<'_>, target_problem: Option<&Problem>) {
    writer.remove(ConditionType::Suspended);
    writer.remove(ConditionType::Reconciling);
    writer.set(ConditionType::Synced, true, Reason::Succeeded, ON_SCHEDULE);
    targets(writer, target_problem);
}

/// While plays are read, `Synced` says for a day that some may have been lost before.
fn tell_gap(writer: &mut Writer<'_>) {
    let known = find_condition(&writer.status.conditions, ConditionType::Synced);
    let Some(known) = known.filter(|known| known.status == "True") else { return };
    let is_told = known.reason == Reason::GapDetected.as_str();
    let generation = known.observed_generation;
    let message = gap::message(writer.status, writer.now);
    let mut writer = Writer { status: writer.status, generation, now: writer.now };
    match message {
        Some(message) => writer.set(ConditionType::Synced, true, Reason::GapDetected, &message),
        None if is_told => writer.set(ConditionType::Synced, true, Reason::Succeeded, ON_SCHEDULE),
        None => {}
    }
}

/// While plays are read, `Synced` says that reads are further apart than is wished for; where plays were lost meanwhile, a
/// human must act.
fn tell_budget(writer: &mut Writer<'_>, observed: &Observed) {
    let Some(known) = find_condition(&writer.status.conditions, ConditionType::Synced) else { return };
    let is_told = known.reason == Reason::BudgetTooSmall.as_str();
    if known.status != "True" {
        return;
    }
    let generation = known.observed_generation;
    let has_gap = known.reason == Reason::GapDetected.as_str();
    let mut writer = Writer { status: writer.status, generation, now: writer.now };
    let app = &observed.app_name;
    if !observed.short_of_calls {
        if is_told {
            writer.set(ConditionType::Synced, true, Reason::Succeeded, ON_SCHEDULE);
        }
        return;
    }
    if has_gap {
        let message = format!(
            "plays were lost in the last 24 hours, and the calls that SpotifyApp {app} may make in a day do not suffice: raise its spec.quota.dailyCalls, or share it among fewer accounts"
        );
        let problem = Problem::of(Failure::BudgetLosing, message);
        writer.set(ConditionType::Synced, true, problem.reason, &problem.message);
        writer.set(ConditionType::Ready, false, problem.reason, &problem.message);
        writer.set(ConditionType::Stalled, true, problem.reason, &problem.message);
        return;
    }
    let message = format!(
        "plays are read, further apart than is wished for: the calls that SpotifyApp {app} may make in a day do not suffice; the app says which would"
    );
    writer.set(ConditionType::Synced, true, Reason::BudgetTooSmall, &message);
}

fn targets(writer: &mut Writer<'_>, problem: Option<&Problem>) {
    match problem {
        None => {
            let message = passed_over::ready(writer.status);
            writer.set(ConditionType::Ready, true, Reason::Succeeded, &message);
            writer.remove(ConditionType::Stalled);
        }
        Some(problem) => {
            writer.set(ConditionType::Ready, false, problem.reason, &problem.message);
            writer.only_while(ConditionType::Stalled, problem.stalled, problem.reason, &problem.message);
        }
    }
}

fn stalled(writer: &mut Writer<'_>, problem: &Problem) {
    writer.default(ConditionType::Authorized);
    not_ready(writer, problem.reason, problem.reason, problem.condition, &problem.message);
    writer.set(ConditionType::Stalled, true, problem.reason, &problem.message);
}

/// Trouble that passes by itself is passed over for a while: an account that was read stays as it is.
fn passing(
    writer: &mut Writer<'_>,
    account: &SpotifyAccount,
    observed: &Observed,
    problem: &Problem,
    target_problem: Option<&Problem>,
) {
    let failures = writer.status.failures.as_ref().map_or(0, |failures| failures.consecutive);
    let asked_to_wait = schedule::is_asked_to_wait(writer.status);
    let recent = patience_end(writer.status, account, observed).is_some_and(|end| writer.now <= end);
    let open = writer.status.breaker_state() == BreakerState::Open;
    writer.default(ConditionType::Authorized);
    if is_read(writer.status) && recent && !open && (failures < FAILURES || asked_to_wait) {
        // What else `Synced` has to say comes first.
        if find_condition(&writer.status.conditions, ConditionType::Synced)
            .is_some_and(|known| known.reason == Reason::Succeeded.as_str())
        {
            let message = passed_over::synced(writer.status, problem);
            writer.set(ConditionType::Synced, true, Reason::Succeeded, &message);
        }
        return targets(writer, target_problem);
    }
    let reason = if open { Reason::CircuitOpen } else { problem.reason };
    let message = passed_over::tried_again(writer.status, &problem.message);
    writer.remove(ConditionType::Stalled);
    not_ready(writer, reason, problem.reason, problem.condition, &message);
}

/// Nothing is read: `Synced` says so whatever else is concerned.
fn not_ready(writer: &mut Writer<'_>, ready: Reason, reason: Reason, condition: ConditionType, message: &str) {
    writer.remove(ConditionType::Suspended);
    writer.remove(ConditionType::Reconciling);
    writer.set(ConditionType::Ready, false, ready, message);
    writer.set(ConditionType::Synced, false, reason, message);
    writer.set(condition, false, reason, message);
}

/// The journal cannot be kept, or one was set aside: plays may be lost unless somebody acts. Until the journal is looked at
/// again, after a restart, what was known of it stays.
pub(super) fn journal_problem(before: &SpotifyAccountStatus, observed: &Observed) -> Option<Problem> {
    const NAME: &str = "the journal";
    let view = &observed.journal;
    if let Some(trouble) = &view.trouble {
        return Some(Problem { condition: ConditionType::Ready, ..Problem::secret(NAME, trouble) });
    }
    if view.set_aside {
        let message = format!(
            "{NAME} Secret holds plays that this version cannot read, under the keys unreadable*: upgrade the operator back, or keep a copy and remove these keys; then request a read"
        );
        return Some(Problem::of(Failure::JournalUnreadable, message));
    }
    let told = find_condition(&before.conditions, ConditionType::Ready).filter(|_| view.journal.is_none())?;
    let is_its = told.message.starts_with(NAME) || told.message.contains(JOURNAL_SECRET_PREFIX);
    let reason = Reason::from_name(&told.reason).filter(|_| is_its)?;
    Some(Problem::target(reason, told.message.clone()))
}

/// While plays are read, `Synced` says that the journal is nearly full.
pub(super) fn journal_room(
    status: &mut SpotifyAccountStatus,
    account: &SpotifyAccount,
    journal: &Journal,
    now: Timestamp,
) {
    if !is_condition_true(&status.conditions, ConditionType::Synced) {
        return;
    }
    let mut writer = Writer { status, generation: account.metadata.generation, now };
    if let Some(message) = nearly_full(journal) {
        writer.set(ConditionType::Synced, true, Reason::JournalFull, &message);
    }
}
