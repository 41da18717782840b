//! Outcomes in, status out: what is shown, what is announced, when to look again.

mod announcements;
mod authorization;
mod books;
mod conditions;
pub(super) mod expiry;
mod failures;
mod lines;
mod panicked;
mod passed_over;
mod targets;
mod verdict;

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::failure::Failure;
use super::journal::Keeping;
use super::observed::Observed;
use super::pace::Rhythm;
use super::problem::Problem;
use super::schedule::{self, Due};
use super::step::{Progress, RefreshOutcome};
use super::{breaker, client, delivery, gap, notification, open, refresh, request, seating, token};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::api::condition::whole_seconds;
use crate::api::v1alpha1::{GoDuration, SpotifyAccount, SpotifyAccountStatus, SyncStatus};
use crate::domain::answer::ApiAnswer;
use crate::domain::ledger::Ledger;
use crate::domain::ledger_codec;
use crate::domain::notice::Notice;
use crate::domain::play::{Heard, Page};
pub use announcements::Announcement;
pub(in crate::plan) use authorization::AUTHORIZATION_LIFE;
pub(in crate::plan) use failures::round_up;
pub use panicked::{CutOff, cut_off, rest};
pub use verdict::Verdict;
pub(in crate::plan) use verdict::{calls_spent, verdict};

/// What a pass comes to.
#[derive(Clone, Debug)]
pub struct Settled {
    /// The new status.
    pub status: SpotifyAccountStatus,
    /// Whether it differs from the old one in anything but times and counts that ride on the next write.
    pub worth_writing: bool,
    /// The Events to publish once the status is written.
    pub announcements: Vec<Announcement>,
    /// What the log says: each failure once.
    pub lines: Vec<Announcement>,
    /// What to tell the app's notification webhook once the status is written.
    pub notice: Option<Notice>,
    /// When to look again, from now.
    pub requeue: SignedDuration,
    /// Somebody else has the token: the wait is [`contended_wait`] of real time instead, as claims are.
    pub contended: bool,
    /// Whether plays of the page still wait for a target.
    pub plays_wait: bool,
    /// What the journal becomes, if it is known.
    pub keeping: Option<Keeping>,
}

impl Settled {
    /// A status to write as it is.
    pub fn plain(status: SpotifyAccountStatus) -> Self {
        Self {
            status,
            worth_writing: true,
            announcements: Vec::new(),
            lines: Vec::new(),
            notice: None,
            requeue: SignedDuration::ZERO,
            contended: false,
            plays_wait: false,
            keeping: None,
        }
    }
}

/// Never at once: whatever could not be done now is not done by trying in a loop.
const SHORTEST_SLEEP: SignedDuration = SignedDuration::from_millis(200);
/// A wake-up costs next to nothing; a clock that was set must not be noticed days later.
const LONGEST_SLEEP: SignedDuration = SignedDuration::from_mins(10);

/// Somebody else writes the token Secret at this moment, and perhaps goes on doing so.
const FIRST_CONTENDED_WAIT: SignedDuration = SignedDuration::from_secs(1);
const LONGEST_CONTENDED_WAIT: SignedDuration = SignedDuration::from_secs(30);

/// How long to wait (real time) after so many passes in a row in which somebody else had the token: 1 s doubling, at
/// most 30 s.
pub fn contended_wait(times: u32) -> SignedDuration {
    breaker::doubled(FIRST_CONTENDED_WAIT, times, LONGEST_CONTENDED_WAIT)
}

/// What a pass over an account comes to.
pub fn settle(account: &SpotifyAccount, observed: &Observed, progress: &Progress, now: Timestamp) -> Settled {
    let before = account.status.clone().unwrap_or_default();
    let mut status = before.clone();
    let verdict = verdict::verdict(account, observed, progress, now);
    // Nothing can be done before a time that Spotify named: that is an answer, too.
    let waits = matches!(progress.due, Some(Due::Read(time)) if time > now);
    let seen = waits || !matches!(verdict, Verdict::Waiting | Verdict::Refreshed);
    if seen {
        status.observed_generation = account.metadata.generation;
        if let Some(requested) = schedule::requested(account) {
            status.last_handled_reconcile_at = Some(requested.to_owned());
            if !account.spec.suspend {
                request::grant(&mut status, now);
            }
        }
    }
    if authorization::is_taken_up(&before, observed, progress) {
        status.failures = None;
        status.circuit_breaker = None;
    }
    seating::settle(&mut status, observed);
    authorization::settle(&mut status, observed, progress, now);
    let keeping = settle_sync(&mut status, account, observed, progress, now);
    if verdict == Verdict::Suspended {
        gap::remember_suspension(&mut status, now);
    }
    let target_problem = targets::settle(&mut status, account, observed, progress, now);
    let target_problem = conditions::journal_problem(&before, observed).or(target_problem);
    failures::settle(&mut status, account, observed, progress, &verdict, now);
    let refreshed = refreshed(progress);
    conditions::settle(&mut status, account, observed, refreshed, &verdict, target_problem.as_ref(), now);
    if let Some(keeping) = &keeping {
        conditions::journal_room(&mut status, account, &keeping.after, now);
    }
    let token = progress.token_view(observed.token.as_ref());
    let is_in_use = token.is_none_or(|token| token::is_known(&status, token));
    conditions::expiry(&mut status, account, observed, is_in_use, seen, now);
    let notice = notification::settle(&mut status, &before, account, observed, now);
    let observed =
        Observed { last_read: progress.read_time.or(observed.last_read), token: token.cloned(), ..observed.clone() };
    let settled = SpotifyAccount { status: Some(status.clone()), ..account.clone() };
    settle_next_refresh(&mut status, &settled, &observed, now);

    let worth_writing = ride_along_removed(&before) != ride_along_removed(&status);
    let mut announcements = announcements::between(&before, &status);
    announcements.extend(announcements::gap(&before, &status));
    announcements.extend(announcements::put_back(&before, &status, &account.spec.token_secret_ref.name));
    announcements.extend(seating::announcements(&before, &status, &observed));
    if account.spec.suspend && schedule::requested(account).is_some() {
        announcements.push(announcements::refused_while_suspended());
    }
    let lines = lines::of(&before, &status, &verdict, &announcements);
    let unknown = progress.page.is_some() && delivery::journal(&observed).is_none();
    let plays_wait = unknown || status.targets.iter().any(|target| target.pending > 0);
    let contended = matches!(
        progress.refresh,
        Some(RefreshOutcome::Claimed { .. } | RefreshOutcome::Conflict | RefreshOutcome::Superseded)
    );
    let held =
        progress.held_until.filter(|until| *until > now).map(|until| until.duration_since(now).max(SHORTEST_SLEEP));
    let requeue = match (&progress.refresh, progress.due) {
        _ if contended => FIRST_CONTENDED_WAIT,
        _ if held.is_some() => held.unwrap_or(SHORTEST_SLEEP),
        // The read comes in its slot, whatever another account's exchange tells.
        (Some(RefreshOutcome::ClientAsked), Some(Due::Refresh(time))) => {
            client::TELLING.min(refresh::read_after(time).duration_since(now)).max(SHORTEST_SLEEP)
        }
        (Some(RefreshOutcome::ClientAsked), _) => client::TELLING,
        _ => requeue(&settled, &observed, now),
    };
    Settled { status, worth_writing, announcements, lines, notice, requeue, contended, plays_wait, keeping }
}

/// The status of an account on its first visit, before anything is known.
pub fn first_visit(account: &SpotifyAccount, now: Timestamp) -> Option<SpotifyAccountStatus> {
    let status = account.status.clone().unwrap_or_default();
    (status.conditions.is_empty() && !account.spec.suspend).then(|| conditions::first_visit(status, account, now))
}

/// The conditions of an object that this version cannot read.
pub fn unreadable(generation: Option<i64>, now: Timestamp) -> Vec<Condition> {
    let problem = Problem::of(
        Failure::ObjectUnreadable,
        "the object was written for another version of the schema: upgrade the operator or correct the object"
            .to_owned(),
    );
    let mut conditions = Vec::new();
    super::app::ready(&mut conditions, generation, Some(&problem), "", now);
    conditions
}

/// The conditions of an object of another kind, after a pass over it panicked at `place`.
pub fn faulty(generation: Option<i64>, place: &str, now: Timestamp) -> Vec<Condition> {
    let message = format!("a fault of the operator at {place}; the operator tries again by itself; please report it");
    let problem = Problem::of(Failure::PassPanicked, message);
    let mut conditions = Vec::new();
    super::app::ready(&mut conditions, generation, Some(&problem), "", now);
    conditions
}

/// When the token is refreshed next. It rides along: a read with nothing new does not write it.
fn settle_next_refresh(
    status: &mut SpotifyAccountStatus,
    settled: &SpotifyAccount,
    observed: &Observed,
    now: Timestamp,
) {
    let Some(token) = &mut status.token else { return };
    let Some(known) = &settled.status else { return };
    let expires_at = token.expiry_time.as_ref().map(|end| end.0);
    // After a refresh ahead of time that failed, this is its next time.
    if !refresh::is_put_off(known, expires_at, now) {
        token.next_refresh_time = refresh::next(settled, observed, known, now).map(whole_seconds);
    }
}

/// Plays, their counts, and what the journal becomes; none where it stays as it is, or is not known.
fn settle_sync(
    status: &mut SpotifyAccountStatus,
    account: &SpotifyAccount,
    observed: &Observed,
    progress: &Progress,
    now: Timestamp,
) -> Option<Keeping> {
    let read = progress.read_time.filter(|_| matches!(progress.page, Some(ApiAnswer::Found(_))));
    let known = delivery::journal(observed);
    let retries = schedule::retry_requested(account).is_some() && known.is_some();
    let looked = progress.journal == Some(Ok(()));
    // Plays that wait may have become too old to be sent at all.
    let offers = matches!(progress.due, Some(Due::Deliver(time)) if time <= now);
    let places = !progress.seconds.is_empty();
    if read.is_none() && progress.deliveries.is_empty() && !retries && !looked && !offers && !places {
        return None;
    }
    let before = open::ledger(status);
    let mut ledger = before.clone();
    let mut sync = status.sync.clone().unwrap_or_default();
    let page = delivery::page(observed, progress);
    if page.is_some() {
        open::attach(&mut ledger, account, &observed.namespace, open::is_first_read(status), now);
    }
    if let Some(read_time) = read {
        if let Some(page) = page.filter(|_| known.is_some()) {
            let start_time = account.spec.sync.start_time.as_ref().map(|start| start.0);
            gap::count(&mut sync, &ledger, page, start_time, read_time);
        }
        sync.last_sync_time = Some(whole_seconds(read_time));
    }
    let keeping = known.map(|stored| {
        let mut journal = stored.as_ref().clone();
        let absorbed = open::absorb(&mut ledger, page.map(AsRef::as_ref), &journal);
        sync.skipped_total += absorbed.skipped;
        sync.lost_at_most_total += absorbed.lost;
        if let Some(page) = page {
            settle_last_play(&mut sync, page);
        }
        let whole = page.filter(|page| page.full && read.is_some());
        let mut books = books::Books {
            ledger: &mut ledger,
            journal: &mut journal,
            writable: observed.journal.trouble.is_none(),
            page: page.map(AsRef::as_ref),
            gone_before_ms: whole
                .and_then(|page| page.entries.iter().map(Heard::played_at).min())
                .map(Timestamp::as_millisecond),
        };
        books::mark(status, &mut sync, &mut books, account, observed, progress, now);
        ledger.retain_settled(|id, number| {
            let entry = journal.entries.iter().find(|entry| entry.number == number);
            entry.is_some_and(|entry| entry.standing(id).is_some())
        });
        let after = books::emptied(&journal, &ledger, account, observed);
        Keeping { before: Arc::new(journal), after: Arc::new(after), new_plays: absorbed.new_plays }
    });
    if retries {
        status.last_handled_retry_at = schedule::retry_requested(account).map(str::to_owned);
    }
    ledger.prune();
    let rhythm = Rhythm::new(account, observed, &ledger, gap::told_until(&sync));
    sync.interval = Some(go_duration(rhythm.interval_at(read.or(observed.last_read).unwrap_or(now))));
    status.sync = Some(sync);
    // What the journal does not hold any more need not be known: that rides on the next write.
    let unsettled = |ledger: &Ledger| Ledger { settled: Vec::new(), ..ledger.clone() };
    let changed = unsettled(&ledger) != unsettled(&before) || !is_part(&ledger, &before);
    if changed || status.ledger.is_none() {
        status.ledger = Some(ledger_codec::encode(&ledger));
    }
    keeping
}

/// Whether all settled entries of one ledger are settled in another one.
fn is_part(ledger: &Ledger, other: &Ledger) -> bool {
    ledger.settled.iter().all(|settled| {
        let mut numbers = settled.runs.iter().flat_map(|(first, count)| *first..first + count);
        numbers.all(|number| other.is_settled(settled.attachment, number))
    })
}

fn settle_last_play(sync: &mut SyncStatus, page: &Page) {
    let newest = page.entries.iter().map(Heard::played_at).max();
    if let Some(newest) = newest.filter(|newest| sync.last_play_time.as_ref().is_none_or(|known| *newest > known.0)) {
        sync.last_play_time = Some(whole_seconds(newest));
    }
}

fn go_duration(duration: SignedDuration) -> GoDuration {
    let seconds = u32::try_from(duration.as_secs()).unwrap_or(u32::MAX);
    match (seconds % 3600, seconds % 60) {
        (0, _) if seconds > 0 => GoDuration::from_hours(seconds / 3600),
        (_, 0) if seconds > 0 => GoDuration::from_mins(seconds / 60),
        _ => GoDuration::from_secs(seconds),
    }
}

/// The status without what a read that found nothing would change: such a read writes nothing.
fn ride_along_removed(status: &SpotifyAccountStatus) -> SpotifyAccountStatus {
    let mut kept = status.clone();
    if let Some(sync) = &mut kept.sync {
        // That there was a first read is worth a write; when the last one was is not.
        sync.last_sync_time = sync.last_sync_time.as_ref().map(|_| whole_seconds(Timestamp::UNIX_EPOCH));
    }
    if let Some(token) = &mut kept.token {
        // It follows from the rest.
        token.next_refresh_time = None;
    }
    for entry in &mut kept.history {
        entry.count = 1;
        entry.last_time = entry.first_time.clone();
    }
    kept
}

fn requeue(account: &SpotifyAccount, observed: &Observed, now: Timestamp) -> SignedDuration {
    let wake = schedule::wake(account, observed, now);
    let status = account.status.as_ref().filter(|status| conditions::is_read(status));
    let patience = status.and_then(|status| conditions::patience_end(status, account, observed));
    // The second after it, for then it has ended.
    let patience = patience.map(|end| end + SignedDuration::from_secs(1)).filter(|end| *end > now);
    let warning = account.status.as_ref().and_then(|status| expiry::next_warning(status, now));
    // What `Synced` tells of a gap is over then.
    let gap = status.and_then(|status| gap::told_until(status.sync.as_ref()?)).filter(|end| *end > now);
    let notice = account.status.as_ref().and_then(|status| notification::next(status, account, observed));
    let next = wake.into_iter().chain(patience).chain(warning).chain(gap).chain(notice).min().unwrap_or(Timestamp::MAX);
    next.duration_since(now).clamp(SHORTEST_SLEEP, LONGEST_SLEEP)
}

/// Whether this pass replaced the access token and stored it.
fn refreshed(progress: &Progress) -> bool {
    matches!(progress.refresh, Some(RefreshOutcome::Refreshed { .. }))
}

/// Whether Spotify said that the token belongs to somebody else than before.
fn mismatch(account: &SpotifyAccount, progress: &Progress) -> bool {
    matches!(&progress.listener, Some(ApiAnswer::Found(listener)) if !token::is_expected(account, &listener.account_id))
}
