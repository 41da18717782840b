//! The ledger: which of the newest plays went where.
//!
//! It lives in `status.ledger`. Delivery is decided from it, never from a cursor: Spotify shows plays late and out of
//! order. A play keeps its row although a page no longer shows it, until 100 newer ones have come.

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use super::play::{Heard, Play};

/// How many plays the ledger remembers: twice what Spotify shows, so that a page never outlives it.
pub const CAPACITY: usize = 100;
/// How many chosen seconds are remembered.
pub const PLACED_CAPACITY: usize = 48;
/// The same URI within less than this is the same play, shown with a shifted `played_at`.
const SAME_PLAY_MILLISECONDS: i64 = 30_000;

/// Where a play stands with one target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Mark {
    /// Not delivered. Whether it should be is decided anew each time.
    #[default]
    Open,
    /// The target has it.
    Delivered,
    /// The target will never accept it.
    Quarantined,
    /// Not delivered, and the journal had no room for it: it waits for as long as Spotify shows it.
    Unkept,
}

/// A target the ledger has marks for: an entry name together with what it refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// Names (entry, target namespace, target name) in six bytes.
    pub id: [u8; 6],
    /// When it was first seen, to the millisecond.
    pub attached_ms: i64,
    /// Whether it was there at the account's first successful read, and so receives from `sync.startTime`.
    pub initial: bool,
}

/// One play.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// `played_at` in milliseconds since 1970.
    pub played_ms: i64,
    /// Short hash of the URI.
    pub uri: u32,
    /// Short hash of title and first artist; zero where there is none.
    pub title: u32,
    /// One mark for each attachment, in their order.
    pub marks: Vec<Mark>,
}

/// Which of the newest plays went where.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Ledger {
    /// The targets, in the order of their marks.
    pub attachments: Vec<Attachment>,
    /// The plays, oldest first.
    pub rows: Vec<Row>,
    /// `played_at` of the newest play that was forgotten, in milliseconds.
    pub forgotten_ms: Option<i64>,
    /// Plays at or before `forgotten_ms` that a page showed and that were counted as lost, by their URI's short hash.
    pub counted_lost: Vec<u32>,
    /// Journal entries that were delivered and perhaps not taken out of the journal yet.
    pub settled: Vec<SettledEntries>,
    /// Seconds that were chosen for plays whose own were taken, the newest last.
    pub placed: Vec<Placed>,
}

/// A second that was chosen for a play. It is written down before the play is sent there: who finds the play there knows
/// whose it is, and that it explains no other one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    /// The target.
    pub attachment: [u8; 6],
    /// Short hash of title and first artist.
    pub title: u32,
    /// `played_at` in milliseconds since 1970.
    pub played_ms: i64,
    /// The second, since 1970.
    pub second: i64,
}

/// Journal entries that a target has by now: what follows on a crash before the journal was written knows that they were
/// counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettledEntries {
    /// The target.
    pub attachment: [u8; 6],
    /// Runs of numbers, ascending: the first and how many.
    pub runs: Vec<(u64, u64)>,
}

/// What identifies a play in the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// `played_at` in milliseconds since 1970.
    pub played_ms: i64,
    /// Short hash of the URI.
    pub uri: u32,
    /// Short hash of title and first artist; zero where there is none.
    pub title: u32,
}

impl Identity {
    /// The identity of an entry of the page.
    pub fn of(heard: &Heard) -> Self {
        let title = heard.title_and_artist().map_or(0, |(title, artist)| short_hash(&[title, artist]).max(1));
        Self { played_ms: heard.played_at().as_millisecond(), uri: short_hash(&[heard.uri()]), title }
    }

    /// The identity of a play.
    pub fn of_play(play: &Play) -> Self {
        let artist = play.artists.first().map_or("", String::as_str);
        Self {
            played_ms: play.played_at.as_millisecond(),
            uri: short_hash(&[&play.uri]),
            title: short_hash(&[&play.title, artist]).max(1),
        }
    }

    /// Whether two identities are one play: the same URI less than 30 s apart, or the same `played_at` with the same
    /// title and first artist.
    pub fn is_same(&self, other: &Self) -> bool {
        let apart = self.played_ms.abs_diff(other.played_ms);
        (self.uri == other.uri && apart < SAME_PLAY_MILLISECONDS.unsigned_abs())
            || (apart == 0 && self.title != 0 && self.title == other.title)
    }
}

impl Row {
    /// What identifies the row's play.
    pub fn identity(&self) -> Identity {
        Identity { played_ms: self.played_ms, uri: self.uri, title: self.title }
    }
}

impl Attachment {
    /// The short name of (entry, referred target).
    pub fn id_of(entry: &str, namespace: &str, name: &str) -> [u8; 6] {
        let hash = hash(&[entry, namespace, name]);
        [hash[0], hash[1], hash[2], hash[3], hash[4], hash[5]]
    }

    /// When it was attached.
    pub fn attached_time(&self) -> Timestamp {
        Timestamp::from_millisecond(self.attached_ms).unwrap_or(Timestamp::UNIX_EPOCH)
    }
}

impl Ledger {
    /// The position of an attachment's marks.
    pub fn position(&self, id: [u8; 6]) -> Option<usize> {
        self.attachments.iter().position(|attachment| attachment.id == id)
    }

    /// Adds an attachment, with no play marked, and answers its position.
    pub fn attach(&mut self, attachment: Attachment) -> usize {
        if let Some(position) = self.position(attachment.id) {
            return position;
        }
        self.attachments.push(attachment);
        for row in &mut self.rows {
            row.marks.push(Mark::Open);
        }
        self.attachments.len() - 1
    }

    /// Forgets attachments that are gone, and their marks.
    pub fn retain_attachments(&mut self, keep: impl Fn(&Attachment) -> bool) {
        let ids: Vec<[u8; 6]> = self.attachments.iter().filter(|known| keep(known)).map(|known| known.id).collect();
        self.settled.retain(|known| ids.contains(&known.attachment));
        self.placed.retain(|known| ids.contains(&known.attachment));
        let kept: Vec<bool> = self.attachments.iter().map(&keep).collect();
        let mut index = kept.iter();
        self.attachments.retain(|_| *index.next().unwrap_or(&true));
        for row in &mut self.rows {
            let mut index = kept.iter();
            row.marks.retain(|_| *index.next().unwrap_or(&true));
        }
    }

    /// The row of a play.
    pub fn find(&self, identity: &Identity) -> Option<usize> {
        self.rows.iter().position(|row| row.identity().is_same(identity))
    }

    /// `played_at` of the newest play known, in milliseconds.
    pub fn newest_ms(&self) -> Option<i64> {
        self.rows.last().map(|row| row.played_ms)
    }

    /// Adds a play with every mark open, in its place by time. The caller has made sure that it is not there.
    pub fn insert(&mut self, identity: Identity) {
        let marks = vec![Mark::Open; self.attachments.len()];
        let row = Row { played_ms: identity.played_ms, uri: identity.uri, title: identity.title, marks };
        let place = self.rows.partition_point(|other| other.played_ms <= row.played_ms);
        self.rows.insert(place, row);
    }

    /// Sets the mark of a play for the attachment at a position.
    pub fn mark(&mut self, identity: &Identity, position: usize, mark: Mark) {
        if let Some(slot) = self.find(identity).and_then(|row| self.rows[row].marks.get_mut(position)) {
            *slot = mark;
        }
    }

    /// The second that was chosen for a play at a target.
    pub fn placed(&self, attachment: [u8; 6], identity: &Identity) -> Option<i64> {
        let is_its = |placed: &&Placed| {
            let Placed { title, played_ms, .. } = **placed;
            placed.attachment == attachment && title == identity.title && played_ms == identity.played_ms
        };
        self.placed.iter().find(is_its).map(|placed| placed.second)
    }

    /// Notes the second that was chosen for a play, in the place of one that was chosen before.
    pub fn place(&mut self, placed: Placed) {
        let Placed { attachment, title, played_ms, .. } = placed;
        let same = |other: &Placed| (other.attachment, other.title, other.played_ms) == (attachment, title, played_ms);
        self.placed.retain(|other| !same(other));
        self.placed.push(placed);
        let surplus = self.placed.len().saturating_sub(PLACED_CAPACITY);
        self.placed.drain(..surplus);
    }

    /// Whether a target has a journal entry, by its number.
    pub fn is_settled(&self, attachment: [u8; 6], number: u64) -> bool {
        let runs = self.settled.iter().filter(|settled| settled.attachment == attachment).flat_map(|known| &known.runs);
        runs.into_iter().any(|(first, count)| (*first..first + count).contains(&number))
    }

    /// Notes that a target has a journal entry.
    pub fn settle(&mut self, attachment: [u8; 6], number: u64) {
        if self.is_settled(attachment, number) {
            return;
        }
        let mut numbers = vec![number];
        match self.settled.iter_mut().find(|settled| settled.attachment == attachment) {
            Some(known) => {
                numbers.extend(known.runs.iter().flat_map(|(first, count)| *first..first + count));
                known.runs = runs(numbers);
            }
            None => self.settled.push(SettledEntries { attachment, runs: runs(numbers) }),
        }
    }

    /// Forgets the numbers of entries that the journal does not hold any more.
    pub fn retain_settled(&mut self, is_held: impl Fn([u8; 6], u64) -> bool) {
        for known in &mut self.settled {
            let numbers = known.runs.iter().flat_map(|(first, count)| *first..first + count);
            known.runs = runs(numbers.filter(|number| is_held(known.attachment, *number)).collect());
        }
        self.settled.retain(|known| !known.runs.is_empty());
    }

    /// Forgets the oldest rows beyond [`CAPACITY`].
    pub fn prune(&mut self) {
        let surplus = self.rows.len().saturating_sub(CAPACITY);
        if let Some(last) = self.rows.drain(..surplus).next_back() {
            self.forgotten_ms = self.forgotten_ms.max(Some(last.played_ms));
        }
        // The newest are kept: they are what a page may show again.
        let surplus = self.counted_lost.len().saturating_sub(CAPACITY);
        self.counted_lost.drain(..surplus);
    }
}

fn runs(mut numbers: Vec<u64>) -> Vec<(u64, u64)> {
    numbers.sort_unstable();
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for number in numbers {
        match runs.last_mut() {
            Some((first, count)) if *first + *count == number => *count += 1,
            _ => runs.push((number, 1)),
        }
    }
    runs
}

fn short_hash(parts: &[&str]) -> u32 {
    let hash = hash(parts);
    u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]])
}

fn hash(parts: &[&str]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(played_ms: i64, uri: u32, title: u32) -> Identity {
        Identity { played_ms, uri, title }
    }

    #[test]
    fn the_same_play_is_recognised_when_its_time_shifts_or_its_uri_changes() {
        let play = identity(1_000_000, 7, 9);
        for (other, same) in [
            (identity(1_000_000, 7, 9), true),
            (identity(1_029_999, 7, 9), true),
            (identity(970_001, 7, 0), true),
            (identity(1_030_000, 7, 9), false),
            (identity(1_000_000, 8, 9), true),
            (identity(1_000_000, 8, 10), false),
            (identity(1_000_001, 8, 9), false),
        ] {
            assert_eq!(play.is_same(&other), same, "{other:?}");
        }
    }

    #[test]
    fn entries_without_a_title_are_not_all_the_same() {
        assert!(!identity(5, 1, 0).is_same(&identity(5, 2, 0)));
    }

    #[test]
    fn plays_stand_in_order_of_time_and_the_oldest_is_forgotten() {
        let mut ledger = Ledger::default();
        for number in (0..=CAPACITY).rev() {
            let number = i64::try_from(number).unwrap();
            ledger.insert(identity(number * 60_000, u32::try_from(number).unwrap() + 1, 0));
        }
        assert!(ledger.rows.is_sorted_by_key(|row| row.played_ms));
        ledger.prune();
        assert_eq!(ledger.rows.len(), CAPACITY);
        assert_eq!(ledger.forgotten_ms, Some(0));
        assert_eq!(ledger.rows[0].played_ms, 60_000);
    }

    #[test]
    fn marks_follow_their_attachment() {
        let attachment =
            |name: &str| Attachment { id: Attachment::id_of(name, "ns", name), attached_ms: 5, initial: true };
        let mut ledger = Ledger::default();
        ledger.attach(attachment("one"));
        ledger.insert(identity(60_000, 1, 1));
        let two = ledger.attach(attachment("two"));
        ledger.mark(&identity(60_000, 1, 1), two, Mark::Delivered);
        let one = Attachment::id_of("one", "ns", "one");
        ledger.retain_attachments(|kept| kept.id != one);
        assert_eq!(ledger.rows[0].marks, vec![Mark::Delivered]);
        assert_eq!(ledger.position(Attachment::id_of("two", "ns", "two")), Some(0));
    }
}
