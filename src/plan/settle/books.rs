//! What is kept about plays: ledger, journal and counts, from what became of them.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::targets::known_or_new;
use crate::api::condition::whole_seconds;
use crate::api::v1alpha1::{AccountTarget, AccountTargetStatus, SpotifyAccount, SpotifyAccountStatus, SyncStatus};
use crate::domain::answer::{Delivery, Submission, Trouble};
use crate::domain::journal::{AttachmentId, Entry, Journal, Standing, Wait};
use crate::domain::ledger::{Identity, Ledger, Mark, Placed, Row};
use crate::domain::play::{Page, Play};
use crate::plan::observed::{Observed, TargetEntry};
use crate::plan::open::{OpenPlay, Sources, attachment_id, open_plays, sent_time};
use crate::plan::step::{Progress, TargetProgress};
use crate::plan::{acceptance, delivery, journal, maloja, reference, schedule};

/// So long before plays that wait become too old for a service it is told.
const TOO_OLD_NOTICE: SignedDuration = SignedDuration::from_hours(4 * 24);
/// So much is shown of what parked plays hold back.
const MOST_HELD_BACK: usize = 64;
/// Why a play was refused is told in so many characters.
const LONGEST_REASON: usize = 200;

/// What is settled together with the targets: everything that tells where plays went.
pub(super) struct Books<'a> {
    pub(super) ledger: &'a mut Ledger,
    /// The journal as it is to be stored before the status.
    pub(super) journal: &'a mut Journal,
    /// Whether the journal can be written.
    pub(super) writable: bool,
    pub(super) page: Option<&'a Page>,
    /// The page was read in this pass and shows as much as Spotify ever does: what is older than its oldest is gone.
    pub(super) gone_before_ms: Option<i64>,
}

/// Marks what was delivered, keeps what waits, and counts.
pub(super) fn mark(
    status: &mut SpotifyAccountStatus,
    sync: &mut SyncStatus,
    books: &mut Books<'_>,
    account: &SpotifyAccount,
    observed: &Observed,
    progress: &Progress,
    now: Timestamp,
) {
    let namespace = &observed.namespace;
    if schedule::retry_requested(account).is_some() {
        retry(books);
    }
    let mut states = Vec::with_capacity(account.spec.targets.len());
    let mut wanted = Vec::new();
    for (target, entry) in account.spec.targets.iter().zip(&observed.targets) {
        let mut state = known_or_new(status, target);
        let id = attachment_id(target, namespace);
        if let Some(position) = books.ledger.position(id) {
            state.attached_time = Some(whole_seconds(books.ledger.attachments[position].attached_time()));
        }
        for (_, play, second) in progress.seconds.iter().filter(|(entry, ..)| *entry == target.name) {
            let Identity { title, played_ms, .. } = Identity::of_play(play);
            books.ledger.place(Placed { attachment: id, title, played_ms, second: *second });
        }
        let accepted = note(books, id, progress.deliveries.get(&target.name), &mut state);
        if accepted > 0 {
            sync.scrobbled_total += accepted;
            sync.last_successful_scrobble_time = Some(whole_seconds(now));
            state.last_delivery_time = Some(whole_seconds(now));
        }
        if let Ok(found) = reference::deliverable(target, entry, observed)
            && entry.holder.is_none()
        {
            for open in open(account, target, namespace, books) {
                if let Some(Delivery::Never { reason }) = delivery::refused(found, &open.play, now) {
                    quarantine(books, id, &open.play, &reason, &mut state);
                }
            }
        }
        let open = if entry.holder.is_none() { open(account, target, namespace, books) } else { Vec::new() };
        state.pending = count(open.len());
        let oldest = open.first().and_then(|open| too_old_from(target, entry, observed, &open.play));
        state.too_old_time = oldest.filter(|end| end.duration_since(now) <= TOO_OLD_NOTICE).map(whole_seconds);
        wanted.extend(open.into_iter().filter(|open| !open.kept).map(|open| (id, open)));
        states.push(state);
    }
    books.journal.prune_quarantine();
    let refused = if books.writable {
        journal::keep(books.journal, wanted)
    } else {
        wanted.into_iter().map(|(id, open)| (id, open.identity)).collect()
    };
    for (target, state) in account.spec.targets.iter().zip(&mut states) {
        let id = attachment_id(target, namespace);
        let unkept: Vec<Identity> = refused.iter().filter(|(at, _)| *at == id).map(|(_, identity)| *identity).collect();
        state.dropped_total += drop_unkept(books, id, &unkept);
        state.quarantined = count(quarantined(books, id));
        let parked = |standing: &Standing| standing.wait().is_some_and(|wait| wait.parked);
        let parked = books.journal.entries.iter().filter(|entry| entry.standing(id).is_some_and(parked));
        let held_back: BTreeSet<String> = parked.flat_map(|entry| maloja::marks(&entry.play)).collect();
        state.held_back = held_back.into_iter().take(MOST_HELD_BACK).collect();
        if state.quarantined == 0 {
            state.last_quarantine_reason = None;
        }
    }
    sync.pending_total = states.iter().map(|state| state.pending).sum();
    status.targets = states;
}

/// From when on the service takes a play no more.
fn too_old_from(target: &AccountTarget, entry: &TargetEntry, observed: &Observed, play: &Play) -> Option<Timestamp> {
    let found = reference::deliverable(target, entry, observed).ok()?;
    acceptance::too_old_from(found.spec.target_type, sent_time(found, play))
}

fn open(account: &SpotifyAccount, target: &AccountTarget, namespace: &str, books: &Books<'_>) -> Vec<OpenPlay> {
    let sources = Sources { ledger: books.ledger, page: books.page, journal: books.journal, retry: false };
    open_plays(account, target, namespace, &sources)
}

/// A human asks for the plays that were refused for good: they wait again.
fn retry(books: &mut Books<'_>) {
    for entry in &mut books.journal.entries {
        for (_, standing) in &mut entry.places {
            if matches!(standing, Standing::Quarantined { .. }) {
                *standing = Standing::WAITING;
            }
        }
    }
    for mark in books.ledger.rows.iter_mut().flat_map(|row| &mut row.marks) {
        if *mark == Mark::Quarantined {
            *mark = Mark::Open;
        }
    }
}

/// Notes what became of plays at one target. Answers how many it has that it was not known to have.
fn note(
    books: &mut Books<'_>,
    id: AttachmentId,
    done: Option<&TargetProgress>,
    state: &mut AccountTargetStatus,
) -> i64 {
    let mut accepted = 0;
    for (plays, submission) in done.iter().flat_map(|done| &done.submissions) {
        let Submission::Each(deliveries) = submission else { continue };
        for (play, delivery) in plays.iter().zip(deliveries) {
            match delivery {
                Delivery::Accepted | Delivery::AlreadyThere => accepted += i64::from(delivered(books, id, play)),
                Delivery::Never { reason } => quarantine(books, id, play, reason, state),
                Delivery::NotNow { trouble: Trouble::OperationFailed, .. } => {
                    change(books, id, play, |wait| wait.failures = wait.failures.saturating_add(1));
                }
                Delivery::NotNow { trouble: Trouble::SecondTaken, .. } => {
                    change(books, id, play, |wait| wait.parked = true);
                }
                Delivery::NotNow { .. }
                | Delivery::CredentialsRefused
                | Delivery::ClientRefused { .. }
                | Delivery::Suspended
                | Delivery::Unknown(_) => {}
            }
        }
    }
    accepted
}

/// The target has a play. Answers whether that is news.
fn delivered(books: &mut Books<'_>, id: AttachmentId, play: &Play) -> bool {
    let identity = Identity::of_play(play);
    let number = books.journal.find(&identity).filter(|entry| entry.standing(id).is_some()).map(|entry| entry.number);
    let position = books.ledger.position(id);
    let row = books.ledger.find(&identity).zip(position).map(|(row, position)| books.ledger.rows[row].marks[position]);
    let known = row == Some(Mark::Delivered) || number.is_some_and(|number| books.ledger.is_settled(id, number));
    if let Some(position) = position {
        books.ledger.mark(&identity, position, Mark::Delivered);
    }
    if let Some(number) = number {
        books.ledger.settle(id, number);
    }
    !known
}

fn quarantine(
    books: &mut Books<'_>,
    id: AttachmentId,
    play: &Arc<Play>,
    reason: &str,
    state: &mut AccountTargetStatus,
) {
    if let Some(position) = books.ledger.position(id) {
        books.ledger.mark(&Identity::of_play(play), position, Mark::Quarantined);
    }
    let reason: String = reason.chars().take(LONGEST_REASON).collect();
    state.last_quarantine_reason = Some(reason.clone());
    books.journal.set(play, id, Standing::Quarantined { reason });
}

/// How many plays a target refused for good, those included that the journal had no place for.
fn quarantined(books: &Books<'_>, id: AttachmentId) -> usize {
    let is_refused = |standing: &Standing| matches!(standing, Standing::Quarantined { .. });
    let position = books.ledger.position(id);
    let is_marked = |row: &&Row| position.is_some_and(|position| row.marks[position] == Mark::Quarantined);
    let is_kept = |row: &Row| books.journal.find(&row.identity()).is_some_and(|entry| entry.standing(id).is_some());
    let unkept = books.ledger.rows.iter().filter(is_marked).filter(|row| !is_kept(row)).count();
    books.journal.count(id, is_refused) + unkept
}

fn change(books: &mut Books<'_>, id: AttachmentId, play: &Arc<Play>, change: impl FnOnce(&mut Wait)) {
    let known = books.journal.find(&Identity::of_play(play)).and_then(|entry| entry.standing(id)).cloned();
    let mut wait = known.and_then(|standing| standing.wait()).unwrap_or_default();
    change(&mut wait);
    books.journal.set(play, id, Standing::Waiting(wait));
}

/// Marks the plays that the journal has no room for, and counts those that Spotify no longer shows: nothing has them.
fn drop_unkept(books: &mut Books<'_>, id: AttachmentId, unkept: &[Identity]) -> i64 {
    let Some(position) = books.ledger.position(id) else { return 0 };
    let mut dropped = 0;
    for row in &mut books.ledger.rows {
        let identity = row.identity();
        let mark = &mut row.marks[position];
        match mark {
            Mark::Open if unkept.iter().any(|other| other.is_same(&identity)) => *mark = Mark::Unkept,
            Mark::Unkept if books.gone_before_ms.is_some_and(|oldest| identity.played_ms < oldest) => {
                *mark = Mark::Open;
                dropped += 1;
            }
            Mark::Unkept if books.journal.find(&identity).is_some_and(|entry| entry.standing(id).is_some()) => {
                *mark = Mark::Open;
            }
            _ => {}
        }
    }
    dropped
}

/// The journal once the status is written: without what targets have by now, and without targets that are gone.
pub(super) fn emptied(journal: &Journal, ledger: &Ledger, account: &SpotifyAccount, observed: &Observed) -> Journal {
    let ids: Vec<AttachmentId> = account
        .spec
        .targets
        .iter()
        .zip(&observed.targets)
        .filter(|(_, entry)| entry.holder.is_none())
        .map(|(target, _)| attachment_id(target, &observed.namespace))
        .collect();
    let mut emptied = journal.clone();
    emptied
        .retain(|entry, id, standing| ids.contains(&id) && !(standing.wait().is_some() && is_done(ledger, id, entry)));
    emptied
}

fn is_done(ledger: &Ledger, id: AttachmentId, entry: &Entry) -> bool {
    let mark = ledger.find(&entry.identity).zip(ledger.position(id)).map(|(row, at)| ledger.rows[row].marks[at]);
    ledger.is_settled(id, entry.number) || mark == Some(Mark::Delivered)
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
