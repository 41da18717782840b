//! Which plays go to which target: decided from the ledger, never from a cursor.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::observed::{Observed, TargetEntry};
use super::step::{Progress, Step};
use super::{reference, schedule};
use crate::api::condition::Reason;
use crate::api::v1alpha1::{
    AccountTarget, AccountTargetStatus, PlayTimestamp, ScrobbleTarget, SpotifyAccount, SpotifyAccountStatus,
    TargetState, TargetType,
};
use crate::domain::answer::{ApiAnswer, Delivery, Submission};
use crate::domain::ledger::{Attachment, Identity, Ledger, Mark};
use crate::domain::ledger_codec;
use crate::domain::play::{Heard, Page, Play};

/// What a page added to the ledger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Absorbed {
    /// Entries that cannot be scrobbled and were not known.
    pub skipped: i64,
    /// Plays that are too old for the ledger to tell whether they were delivered; they are not sent.
    pub lost: i64,
}

/// The ledger of an account; empty where there is none, or none that this version can read.
pub fn ledger(status: &SpotifyAccountStatus) -> Ledger {
    status.ledger.as_deref().and_then(|text| ledger_codec::decode(text).ok()).unwrap_or_default()
}

/// Attaches the account's targets: those that are there at the first successful read receive from `sync.startTime`.
pub fn attach(ledger: &mut Ledger, account: &SpotifyAccount, namespace: &str, first_read: bool, now: Timestamp) {
    let id = |target: &AccountTarget| attachment_id(target, namespace);
    let ids: Vec<[u8; 6]> = account.spec.targets.iter().map(id).collect();
    ledger.retain_attachments(|attachment| ids.contains(&attachment.id));
    for id in ids {
        ledger.attach(Attachment { id, attached_ms: now.as_millisecond(), initial: first_read });
    }
}

/// The ledger's name of a target entry: the entry together with what it refers to.
pub fn attachment_id(target: &AccountTarget, namespace: &str) -> [u8; 6] {
    Attachment::id_of(&target.name, target.target_ref.namespace_or(namespace), &target.target_ref.name)
}

/// Adds what a page shows to the ledger.
pub fn absorb(ledger: &mut Ledger, page: &Page) -> Absorbed {
    let mut absorbed = Absorbed::default();
    for heard in &page.entries {
        let identity = Identity::of(heard);
        if ledger.find(&identity).is_some() {
            continue;
        }
        if ledger.forgotten_ms.is_some_and(|forgotten| identity.played_ms <= forgotten) {
            if matches!(heard, Heard::Play(_)) && !ledger.counted_lost.contains(&identity.uri) {
                ledger.counted_lost.push(identity.uri);
                absorbed.lost += 1;
            }
            continue;
        }
        ledger.insert(identity);
        absorbed.skipped += i64::from(matches!(heard, Heard::Skipped(_)));
    }
    absorbed
}

/// The plays of a page that a target should have and does not, oldest first, each once.
pub fn open_plays<'a>(
    account: &SpotifyAccount,
    target: &AccountTarget,
    namespace: &str,
    ledger: &Ledger,
    page: &'a Page,
) -> Vec<&'a Play> {
    let Some(position) = ledger.position(attachment_id(target, namespace)) else { return Vec::new() };
    let from = start(account, target, &ledger.attachments[position]);
    let mut rows_seen = Vec::new();
    let mut plays: Vec<&Play> = Vec::new();
    for heard in &page.entries {
        let (Heard::Play(play), Some(row)) = (heard, ledger.find(&Identity::of(heard))) else { continue };
        let open = ledger.rows[row].marks.get(position) == Some(&Mark::Open);
        if open && play.played_at >= from && !rows_seen.contains(&row) {
            rows_seen.push(row);
            plays.push(play);
        }
    }
    plays.sort_by_key(|play| play.played_at);
    plays
}

/// From when on a target receives plays.
fn start(account: &SpotifyAccount, target: &AccountTarget, attachment: &Attachment) -> Timestamp {
    let own = target.start_time.as_ref().map(|time| time.0);
    let accounts = account.spec.sync.start_time.as_ref().map(|time| time.0);
    let usual = if attachment.initial { accounts.unwrap_or(Timestamp::MIN) } else { attachment.attached_time() };
    own.unwrap_or(usual)
}

/// The second that a target is told for a play, rounded down.
pub fn sent_time(target: &ScrobbleTarget, play: &Play) -> Timestamp {
    let end = play.played_at.as_millisecond();
    let length = match target.spec.timestamp {
        PlayTimestamp::PlayedAt => 0,
        PlayTimestamp::EstimatedStart => play.duration_ms.unwrap_or(0),
    };
    Timestamp::from_second(end.saturating_sub(length).div_euclid(1000)).unwrap_or(play.played_at)
}

/// The requests to make now, target by target.
pub(super) fn batches(account: &SpotifyAccount, observed: &Observed, progress: &Progress, now: Timestamp) -> Vec<Step> {
    let page = match &progress.page {
        Some(ApiAnswer::Found(page)) => page,
        _ => match &observed.waiting_page {
            Some(page) => page,
            None => return Vec::new(),
        },
    };
    let status = account.status.clone().unwrap_or_default();
    let mut ledger = ledger(&status);
    if progress.page.is_some() {
        attach(&mut ledger, account, &observed.namespace, is_first_read(&status), now);
        absorb(&mut ledger, page);
    }
    let targets = account.spec.targets.iter().zip(&observed.targets);
    targets
        .filter_map(|(target, entry)| {
            let found = reference::deliverable(target, entry, observed).ok()?;
            let usable = matches!(progress.credentials.get(&entry.entry), Some(Ok(_)))
                || (entry.prepared && !progress.credentials.contains_key(&entry.entry));
            if !usable || !may_send(account, entry, progress, now) {
                return None;
            }
            let batches = match progress.deliveries.get(&entry.entry) {
                None => {
                    let plays = open_plays(account, target, &observed.namespace, &ledger, page);
                    let plays: Vec<Arc<Play>> = plays.into_iter().cloned().map(Arc::new).collect();
                    plays.chunks(batch_size(found)).map(<[_]>::to_vec).collect()
                }
                Some(done) => halves(&done.submissions),
            };
            (!batches.is_empty()).then(|| Step::Deliver { entry: entry.entry.clone(), batches })
        })
        .collect()
}

/// Whether no successful read was ever recorded.
pub fn is_first_read(status: &SpotifyAccountStatus) -> bool {
    status.sync.as_ref().is_none_or(|sync| sync.last_sync_time.is_none())
}

/// Whether a target may be sent to: it is not waiting after a failure, or what it waited for was changed.
fn may_send(account: &SpotifyAccount, entry: &TargetEntry, progress: &Progress, now: Timestamp) -> bool {
    let Some(known) = account.status.as_ref().and_then(|status| status.target(&entry.entry)) else { return true };
    let waits = known.next_attempt_time.as_ref().is_some_and(|next| next.0 > now);
    // A human asks, or wrote another spec: a key that was refused is tried again. A breaker is not passed.
    let asked = schedule::requested(account).is_some() || schedule::is_changed(account);
    match known.state {
        _ if !waits => true,
        TargetState::Unauthorized => asked || is_renewed(progress, &entry.entry),
        TargetState::Suspended => asked,
        _ => false,
    }
}

fn is_renewed(progress: &Progress, entry: &str) -> bool {
    matches!(progress.credentials.get(entry), Some(Ok(credentials)) if credentials.renewed)
}

/// How many plays one request carries.
fn batch_size(target: &ScrobbleTarget) -> usize {
    let size = match target.spec.target_type {
        TargetType::ListenBrainz => target.spec.listen_brainz.clone().unwrap_or_default().batch_size,
        TargetType::LastFm => 50,
        TargetType::Maloja | TargetType::Webhook => 1,
    };
    usize::try_from(size).unwrap_or(1).max(1)
}

/// A request that was refused because of one of its plays is cut in two, until that play is alone.
fn halves(submissions: &[(Vec<Arc<Play>>, Submission)]) -> Vec<Vec<Arc<Play>>> {
    let mut open: Vec<&Vec<Arc<Play>>> = Vec::new();
    for (plays, submission) in submissions {
        // Answers come in the order of the requests: a later one for the same plays settles an earlier refusal.
        open.retain(|refused| !plays.iter().all(|play| refused.contains(play)) || refused.len() == plays.len());
        if *submission == Submission::BatchRefused && plays.len() > 1 {
            open.push(plays);
        }
    }
    open.iter()
        .flat_map(|plays| {
            let (first, second) = plays.split_at(plays.len() / 2);
            [first.to_vec(), second.to_vec()]
        })
        .filter(|half| !submissions.iter().any(|(sent, _)| sent == half))
        .collect()
}

/// Whether a target's Secret that was wrong can be used by now, or holds another key than the one that was refused.
pub(super) fn is_mended(account: &SpotifyAccount, progress: &Progress) -> bool {
    let states = account.status.iter().flat_map(|status| &status.targets);
    states.filter(|target| target.reason.is_some()).any(|target| {
        match (target.state, progress.credentials.get(&target.name)) {
            (TargetState::Unauthorized, Some(Ok(credentials))) => credentials.renewed,
            (TargetState::Failing, Some(Ok(_))) => is_for_its_secret(target.reason.as_deref()),
            _ => false,
        }
    })
}

/// Whether a target needs another Secret, or another key in it.
pub(super) fn waits_for_secret(target: &AccountTargetStatus) -> bool {
    target.state == TargetState::Unauthorized || is_for_its_secret(target.reason.as_deref())
}

/// Whether a target's reason speaks of its Secret.
pub(super) fn is_for_its_secret(reason: Option<&str>) -> bool {
    matches!(
        reason.and_then(Reason::from_name),
        Some(
            Reason::SecretNotFound
                | Reason::SecretKeyMissing
                | Reason::SecretInvalid
                | Reason::SecretNotLabelled
                | Reason::SecretImmutable
                | Reason::SecretWriteForbidden
        )
    )
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

/// How long a target that refuses the listener's key, or wants no more, is left alone.
pub const REFUSED_WAIT: SignedDuration = SignedDuration::from_hours(1);
