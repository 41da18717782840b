//! What is sent to which target now.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::batch::{halves, requests, single};
use super::observed::{Observed, TargetEntry};
use super::open::{self, OpenPlay, Sources, open_plays, sent_time};
pub use super::open::{is_first_read, ledger};
use super::step::{Batch, Progress, Step, TargetProgress};
use super::{acceptance, failure, foreign, reference, schedule, target_hold};
use crate::api::condition::Reason;
use crate::api::v1alpha1::{
    AccountTarget, AccountTargetStatus, ScrobbleTarget, SpotifyAccount, SpotifyAccountStatus, TargetState,
};
use crate::domain::answer::{ApiAnswer, Delivery, Submission, Submitted, Trouble};
use crate::domain::journal::Journal;
use crate::domain::ledger::{Ledger, Mark};
use crate::domain::play::{Page, Play};

/// How many plays a target is sent in one pass; the next pass follows at once. What was taken is recorded in between.
const PLAYS_IN_A_PASS: usize = 300;
/// Chosen seconds are written down so often in a pass; whoever takes them in between is left the field until the next.
const PLACINGS_IN_A_PASS: u32 = 3;
/// How long a target that refuses the listener's key, or wants no more, is left alone.
pub const REFUSED_WAIT: SignedDuration = SignedDuration::from_hours(1);
/// How long a service is left alone that asks to wait and does not say for how long.
pub(super) const RATE_LIMITED_WAIT: SignedDuration = SignedDuration::from_mins(1);

/// The page that plays are taken from: the one of this pass, or the one that waits.
pub(super) fn page<'a>(observed: &'a Observed, progress: &'a Progress) -> Option<&'a Arc<Page>> {
    match &progress.page {
        Some(ApiAnswer::Found(page)) => Some(page),
        _ => observed.waiting_page.as_ref(),
    }
}

/// The journal, if it is known: one that can be neither read nor written counts as empty.
pub(super) fn journal(observed: &Observed) -> Option<Arc<Journal>> {
    let view = &observed.journal;
    view.journal.clone().or_else(|| view.trouble.as_ref().map(|_| Arc::default()))
}

/// Whether the journal is to be read first: it never was, or could not be.
pub(super) fn needs_journal(observed: &Observed, progress: &Progress) -> bool {
    progress.journal.is_none() && (observed.journal.journal.is_none() || observed.journal.trouble.is_some())
}

/// The ledger with what is attached by now and what the page shows.
pub(super) fn up_to_date(
    account: &SpotifyAccount,
    observed: &Observed,
    progress: &Progress,
    journal: &Journal,
    now: Timestamp,
) -> Ledger {
    let status = account.status.clone().unwrap_or_default();
    let mut ledger = open::ledger(&status);
    let page = page(observed, progress);
    if page.is_some() {
        open::attach(&mut ledger, account, &observed.namespace, open::is_first_read(&status), now);
    }
    open::absorb(&mut ledger, page.map(AsRef::as_ref), journal);
    ledger
}

/// What is left to do for the plays that are known: check credentials, look around, write seconds down, send.
pub(super) fn steps(account: &SpotifyAccount, observed: &Observed, progress: &Progress, now: Timestamp) -> Vec<Step> {
    let Some(journal) = journal(observed) else { return Vec::new() };
    let ledger = up_to_date(account, observed, progress, &journal, now);
    let page = page(observed, progress).map(AsRef::as_ref);
    let sources =
        Sources { ledger: &ledger, page, journal: &journal, retry: schedule::retry_requested(account).is_some() };
    usable(account, observed, progress)
        .filter_map(|(target, found, entry)| {
            if held_until(account, entry, observed, now).is_some() {
                return None;
            }
            let open = || open_plays(account, target, &observed.namespace, &sources);
            // A play tells more about a service that failed than a look at a key does.
            let probes = || target_hold::is_open(found) && !sendable(found, entry, open(), now).is_empty();
            if needs_check(account, entry, progress) && !probes() {
                return Some(Step::Verify { entry: entry.entry.clone() });
            }
            let may_send = may_send(account, entry, progress, now);
            may_send.then(|| step(account, target, found, entry, progress, &open, now)).flatten()
        })
        .collect()
}

/// Target entries whose target and Secrets can be used.
fn usable<'a>(
    account: &'a SpotifyAccount,
    observed: &'a Observed,
    progress: &'a Progress,
) -> impl Iterator<Item = (&'a AccountTarget, &'a ScrobbleTarget, &'a TargetEntry)> {
    let targets = account.spec.targets.iter().zip(&observed.targets);
    targets.filter_map(|(target, entry)| {
        let found = reference::deliverable(target, entry, observed).ok()?;
        let usable = matches!(progress.credentials.get(&entry.entry), Some(Ok(_)))
            || (entry.prepared && !progress.credentials.contains_key(&entry.entry));
        (usable && entry.holder.is_none()).then_some((target, found, entry))
    })
}

/// Whether the service was never asked about these credentials, or refused them and a human asks.
fn needs_check(account: &SpotifyAccount, entry: &TargetEntry, progress: &Progress) -> bool {
    let Some(id) = &entry.credentials_id else { return false };
    let known = account.status.as_ref().and_then(|status| status.target(&entry.entry));
    let checked = known.is_some_and(|known| known.credentials_id.as_ref() == Some(id));
    let refused = known.is_some_and(|known| known.state == TargetState::Unauthorized || is_for_its_client(known));
    // A server that is of another kind than the target says is not sent to unless it has become one.
    let again = known.is_some_and(is_misused) || (refused && schedule::requested(account).is_some());
    (!checked || again) && !progress.checks.contains_key(&entry.entry)
}

fn step(
    account: &SpotifyAccount,
    target: &AccountTarget,
    found: &ScrobbleTarget,
    entry: &TargetEntry,
    progress: &Progress,
    open: &dyn Fn() -> Vec<OpenPlay>,
    now: Timestamp,
) -> Option<Step> {
    if let Some(done) = progress.deliveries.get(&entry.entry) {
        return again(done, &entry.entry);
    }
    let plays = sendable(found, entry, open(), now);
    let known = account.status.as_ref().and_then(|status| status.target(&target.name));
    let entry = entry.entry.clone();
    match foreign::survey(found, known, plays.len(), progress.surveys.get(&entry), account) {
        foreign::Survey::Ask => Some(Step::Survey { entry, plays: plays.into_iter().map(|open| open.play).collect() }),
        foreign::Survey::Hold => None,
        foreign::Survey::Send => {
            let batches = requests(found, &plays);
            (!batches.is_empty()).then_some(Step::Deliver { entry, batches })
        }
    }
}

/// Plays that may be sent, at most those of one pass.
fn sendable(found: &ScrobbleTarget, entry: &TargetEntry, open: Vec<OpenPlay>, now: Timestamp) -> Vec<OpenPlay> {
    let sendable = |open: &OpenPlay| is_sendable(open, entry) && refused(found, &open.play, now).is_none();
    open.into_iter().filter(sendable).take(PLAYS_IN_A_PASS).collect()
}

/// Until when an account sends nothing to a target because of the target as a whole.
fn held_until(account: &SpotifyAccount, entry: &TargetEntry, observed: &Observed, now: Timestamp) -> Option<Timestamp> {
    let known = account.status.as_ref().and_then(|status| status.target(&entry.entry));
    let uid = account.metadata.uid.as_deref().unwrap_or_default();
    target_hold::held_until(known, uid, entry, &observed.duty, now)
}

/// What follows on requests of this pass: seconds that were chosen are written down and then sent; what was refused
/// because of one play is cut in two.
fn again(done: &TargetProgress, entry: &str) -> Option<Step> {
    if !done.chosen.is_empty() && done.placings < PLACINGS_IN_A_PASS {
        return Some(Step::Place { entry: entry.to_owned() });
    }
    let placed = done.placed.iter().map(|play| single(play, false));
    let batches: Vec<Batch> = placed.chain(halves(&done.submissions)).collect();
    (!batches.is_empty()).then(|| Step::Deliver { entry: entry.to_owned(), batches })
}

/// Whether a play may be sent: it is not parked, or something got through since.
pub(super) fn is_sendable(open: &OpenPlay, entry: &TargetEntry) -> bool {
    !open.wait.parked || entry.moved_on
}

/// Why a service would never take a play, or not yet, as its documented rules say; it is not sent then.
pub(super) fn refused(target: &ScrobbleTarget, play: &Play, now: Timestamp) -> Option<Delivery> {
    acceptance::refused(target.spec.target_type, play, sent_time(target, play), now)
}

/// Whether a target may be sent to: it is not waiting after a failure, or what it waited for was changed.
fn may_send(account: &SpotifyAccount, entry: &TargetEntry, progress: &Progress, now: Timestamp) -> bool {
    match progress.checks.get(&entry.entry) {
        None | Some(Delivery::NotNow { .. } | Delivery::Unknown(_)) => {}
        Some(answer) => return matches!(answer, Delivery::Accepted | Delivery::AlreadyThere),
    }
    let Some(known) = account.status.as_ref().and_then(|status| status.target(&entry.entry)) else { return true };
    // What the target's breaker kept back waits for nothing else.
    let waits = !target_hold::is_held(Some(known)) && known.next_attempt_time.as_ref().is_some_and(|next| next.0 > now);
    // A human asks, or wrote another spec: a key that was refused is tried again. A breaker is not passed.
    let asked = schedule::requested(account).is_some() || schedule::is_changed(account);
    match known.state {
        _ if !waits => true,
        TargetState::Unauthorized => asked || is_renewed(progress, &entry.entry),
        TargetState::Suspended => asked,
        _ => {
            known.reason.as_deref() == Some(Reason::ClientCredentialsInvalid.as_str())
                && is_renewed(progress, &entry.entry)
        }
    }
}

fn is_renewed(progress: &Progress, entry: &str) -> bool {
    matches!(progress.credentials.get(entry), Some(Ok(credentials)) if credentials.renewed)
}

/// An answer as it counts: a service that fails over a play alone, after it has failed over it before, will never take it.
pub fn judged(submission: Submission, last_try: bool) -> Submission {
    match submission {
        Submission::Each(deliveries) if last_try => Submission::Each(
            deliveries
                .into_iter()
                .map(|delivery| match delivery {
                    Delivery::NotNow { trouble: Trouble::OperationFailed, .. } => Delivery::Never {
                        reason: "the service fails over this play each time, also when it is sent alone".to_owned(),
                    },
                    other => other,
                })
                .collect(),
        ),
        other => other,
    }
}

/// How long nobody is to call a service's host after this answer. Receivers of webhooks have limits of their own.
pub fn pause(target: &ScrobbleTarget, submitted: &Submitted) -> Option<SignedDuration> {
    let asks = |delivery: &Delivery| match delivery {
        Delivery::NotNow { retry_after, trouble: Trouble::RateLimited } => retry_after.or(Some(RATE_LIMITED_WAIT)),
        _ => None,
    };
    match &submitted.submission {
        Submission::Each(deliveries) if target.spec.webhook.is_none() => {
            submitted.pause.max(deliveries.iter().filter_map(asks).max())
        }
        _ => submitted.pause,
    }
}

/// Whether the requests to a target go on after this answer.
pub fn goes_on(submission: &Submission) -> bool {
    match submission {
        Submission::BatchRefused => true,
        Submission::Each(deliveries) => {
            deliveries.iter().all(|delivery| final_mark(delivery).is_some() || is_about_the_play(delivery))
        }
    }
}

/// Whether an answer that lets a play wait is about its time rather than about the target.
pub fn is_about_the_play(delivery: &Delivery) -> bool {
    matches!(delivery, Delivery::NotNow { trouble: Trouble::SecondTaken | Trouble::TooNew, .. })
}

/// When plays that wait are next offered to a target; none where none waits.
pub(super) fn next(
    account: &SpotifyAccount,
    status: &SpotifyAccountStatus,
    observed: &Observed,
    now: Timestamp,
) -> Option<Timestamp> {
    let is_held = |target: &AccountTargetStatus| target_hold::is_held(Some(target));
    let waits = observed.waiting_page.is_some() || status.targets.iter().any(|it| it.pending > 0 || is_held(it));
    let retry = schedule::retry_requested(account).is_some();
    if retry && status.targets.iter().any(|target| target.quarantined > 0) {
        // Without the journal it waits like everything else that was put off.
        let put_off = status.targets.iter().filter_map(|target| target.next_attempt_time.as_ref()).map(|next| next.0);
        return Some(put_off.min().filter(|_| journal(observed).is_none()).unwrap_or(Timestamp::MIN));
    }
    if !waits {
        return None;
    }
    let ledger = open::ledger(status);
    let journal = journal(observed);
    let uid = account.metadata.uid.as_deref().unwrap_or_default();
    let ready = |target: &AccountTarget, entry: &TargetEntry| {
        let found = reference::deliverable(target, entry, observed).ok().filter(|_| entry.holder.is_none())?;
        let known = status.target(&target.name)?;
        if foreign::is_held(found, known) {
            return None;
        }
        let sendable = match &journal {
            None => known.pending > 0,
            Some(journal) => {
                let page = observed.waiting_page.as_deref();
                let sources = Sources { ledger: &ledger, page, journal, retry: false };
                open_plays(account, target, &observed.namespace, &sources).iter().any(|open| {
                    let not_yet = matches!(refused(found, &open.play, now), Some(Delivery::NotNow { .. }));
                    is_sendable(open, entry) && !not_yet
                })
            }
        };
        let held = target_hold::held_until(Some(known), uid, entry, &observed.duty, now).unwrap_or(Timestamp::MIN);
        if is_held(known) {
            // Its breaker closed, or is closed by a look at this entry's key, or by a play.
            let goes = sendable || !target_hold::is_open(found) || target_hold::is_unproven(known, found);
            return goes.then_some(held);
        }
        match &known.next_attempt_time {
            _ if !sendable => None,
            Some(next) => Some(next.0.max(held)),
            None => (known.reason.is_none() || foreign::is_told(known)).then_some(held),
        }
    };
    account.spec.targets.iter().zip(&observed.targets).filter_map(|(target, entry)| ready(target, entry)).min()
}

/// Whether a target's Secret that was wrong can be used by now, or holds another key than the one that was refused.
pub(super) fn is_mended(account: &SpotifyAccount, progress: &Progress) -> bool {
    let states = account.status.iter().flat_map(|status| &status.targets);
    states.filter(|target| target.reason.is_some()).any(|target| {
        match (target.state, progress.credentials.get(&target.name)) {
            (TargetState::Unauthorized, Some(Ok(credentials))) => credentials.renewed,
            (TargetState::Failing, Some(Ok(credentials))) => {
                let renewed = (is_for_its_client(target) || is_misused(target)) && credentials.renewed;
                is_for_its_secret(target.reason.as_deref()) || renewed
            }
            _ => false,
        }
    })
}

/// Whether a target needs another Secret, or another key in it.
pub(super) fn waits_for_secret(target: &AccountTargetStatus) -> bool {
    // Keys of the target's own are looked at by the target's pass.
    !target_hold::is_held(Some(target))
        && (target.state == TargetState::Unauthorized
            || is_for_its_secret(target.reason.as_deref())
            || is_for_its_client(target))
}

fn is_for_its_client(target: &AccountTargetStatus) -> bool {
    target.reason.as_deref() == Some(Reason::ClientCredentialsInvalid.as_str())
}

fn is_misused(target: &AccountTargetStatus) -> bool {
    target.reason.as_deref() == Some(Reason::ConfigurationInvalid.as_str())
}

/// Whether a target's reason speaks of its Secret.
pub(super) fn is_for_its_secret(reason: Option<&str>) -> bool {
    reason.and_then(Reason::from_name).is_some_and(failure::is_about_secret)
}

/// Whether a delivery means that the target has the play or never will: no other answer ends the play's wait.
pub fn final_mark(delivery: &Delivery) -> Option<Mark> {
    match delivery {
        Delivery::Accepted | Delivery::AlreadyThere => Some(Mark::Delivered),
        Delivery::Never { .. } => Some(Mark::Quarantined),
        Delivery::NotNow { .. }
        | Delivery::CredentialsRefused
        | Delivery::ClientRefused { .. }
        | Delivery::Suspended
        | Delivery::Unknown(_) => None,
    }
}

/// The second at which a play is sent, in seconds since 1970: the one chosen for it, or its own.
pub fn second(target: &ScrobbleTarget, play: &Play, chosen: Option<i64>) -> i64 {
    chosen.unwrap_or_else(|| sent_time(target, play).as_second())
}
