//! Which plays a target should have and does not: decided from ledger, page and journal, never from a cursor.

use std::sync::Arc;

use jiff::Timestamp;

use crate::api::v1alpha1::{AccountTarget, PlayTimestamp, ScrobbleTarget, SpotifyAccount, SpotifyAccountStatus};
use crate::domain::journal::{Entry, Journal, Standing, Wait};
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
    /// Plays that were not known.
    pub new_plays: u64,
}

/// The ledger of an account; empty where there is none, or none that this version can read.
pub fn ledger(status: &SpotifyAccountStatus) -> Ledger {
    status.ledger.as_deref().and_then(|text| ledger_codec::decode(text).ok()).unwrap_or_default()
}

/// Whether no successful read was ever recorded.
pub fn is_first_read(status: &SpotifyAccountStatus) -> bool {
    status.sync.as_ref().is_none_or(|sync| sync.last_sync_time.is_none())
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

/// Adds what a page shows to the ledger, and what the journal holds. A play that was forgotten and that the journal holds is neither new nor lost.
pub fn absorb(ledger: &mut Ledger, page: Option<&Page>, journal: &Journal) -> Absorbed {
    let mut absorbed = Absorbed::default();
    for heard in page.iter().flat_map(|page| &page.entries) {
        let identity = Identity::of(heard);
        if ledger.find(&identity).is_some() {
            continue;
        }
        if ledger.forgotten_ms.is_some_and(|forgotten| identity.played_ms <= forgotten) {
            let counts = matches!(heard, Heard::Play(_)) && journal.find(&identity).is_none();
            if counts && !ledger.counted_lost.contains(&identity.uri) {
                ledger.counted_lost.push(identity.uri);
                absorbed.lost += 1;
            }
            continue;
        }
        ledger.insert(identity);
        match heard {
            Heard::Skipped(_) => absorbed.skipped += 1,
            Heard::Play(_) => absorbed.new_plays += 1,
        }
    }
    // A process that was killed may have kept plays that no status tells of: what is sent of them is remembered, too.
    for Entry { identity, .. } in &journal.entries {
        let forgotten = ledger.forgotten_ms.is_some_and(|forgotten| identity.played_ms <= forgotten);
        if !forgotten && ledger.find(identity).is_none() {
            ledger.insert(*identity);
        }
    }
    absorbed
}

/// Where plays are known from.
#[derive(Clone, Copy, Debug)]
pub struct Sources<'a> {
    /// What went where.
    pub ledger: &'a Ledger,
    /// What Spotify shows, as far as this process has it.
    pub page: Option<&'a Page>,
    /// What waits.
    pub journal: &'a Journal,
    /// A human asks for those that were refused for good.
    pub retry: bool,
}

/// A play that a target should have and does not.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenPlay {
    /// The play: the journal's copy where it has one, so that what is sent stays the same bytes.
    pub play: Arc<Play>,
    /// What identifies it.
    pub identity: Identity,
    /// What is known of its wait.
    pub wait: Wait,
    /// Whether the journal holds it for this target.
    pub kept: bool,
}

/// The plays that a target should have and does not, oldest first, each once.
pub fn open_plays(
    account: &SpotifyAccount,
    target: &AccountTarget,
    namespace: &str,
    sources: &Sources<'_>,
) -> Vec<OpenPlay> {
    let id = attachment_id(target, namespace);
    let Sources { ledger, page, journal, retry } = *sources;
    let position = ledger.position(id);
    let mark = |identity: &Identity| Some(ledger.rows[ledger.find(identity)?].marks[position?]);
    let mut plays: Vec<OpenPlay> = Vec::new();
    for entry in &journal.entries {
        let wait = match entry.standing(id) {
            Some(Standing::Waiting(wait)) => *wait,
            Some(Standing::Quarantined { .. }) if retry => Wait::default(),
            _ => continue,
        };
        if ledger.is_settled(id, entry.number) || mark(&entry.identity) == Some(Mark::Delivered) {
            continue;
        }
        plays.push(OpenPlay { play: Arc::clone(&entry.play), identity: entry.identity, wait, kept: true });
    }
    if let (Some(position), Some(page)) = (position, page) {
        let from = start(account, target, &ledger.attachments[position]);
        for heard in &page.entries {
            let Heard::Play(play) = heard else { continue };
            let identity = Identity::of(heard);
            let open = match mark(&identity) {
                Some(Mark::Open | Mark::Unkept) => play.played_at >= from,
                Some(Mark::Quarantined) => retry,
                Some(Mark::Delivered) | None => false,
            };
            let known = || journal.find(&identity).is_some_and(|entry| entry.standing(id).is_some());
            if open && !known() && !plays.iter().any(|other| other.identity.is_same(&identity)) {
                let play =
                    journal.find(&identity).map_or_else(|| Arc::new(play.clone()), |entry| Arc::clone(&entry.play));
                plays.push(OpenPlay { play, identity, wait: Wait::default(), kept: false });
            }
        }
    }
    plays.sort_by_key(|open| open.play.played_at);
    plays
}

/// From when on a target receives plays.
pub fn start(account: &SpotifyAccount, target: &AccountTarget, attachment: &Attachment) -> Timestamp {
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
    let second = |millisecond: i64| Timestamp::from_second(millisecond.div_euclid(1000));
    second(end.saturating_sub(length)).or_else(|_| second(end)).unwrap_or(play.played_at)
}
