//! The journal: plays that a target cannot take now, or never will, in full.
//!
//! It lives in a Secret of the operator's own. Its plays outlive Spotify's list and the ledger; each waits for the
//! targets that it names, and goes when none is left.

use std::sync::Arc;

use super::ledger::Identity;
use super::play::Play;

/// The most plays it keeps. The oldest stay: a play that comes when it is full waits for as long as Spotify shows it.
pub const CAPACITY: usize = 4_000;
/// The most plays that were refused for good among them; the oldest of these make room.
pub const QUARANTINE_CAPACITY: usize = 500;

/// The short name of a target that is attached, as in the ledger.
pub type AttachmentId = [u8; 6];

/// How a play stands with a target that does not have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is to be sent.
    Waiting(Wait),
    /// The service refused it for good.
    Quarantined {
        /// Why, in our words.
        reason: String,
    },
}

/// What is known of a play that waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wait {
    /// How often the service failed over requests with this play.
    pub failures: u8,
    /// It is not to be sent before another play of ours got through there.
    pub parked: bool,
}

impl Standing {
    /// It is to be sent, and nothing else is known.
    pub const WAITING: Self = Self::Waiting(Wait { failures: 0, parked: false });

    /// What is known, if it waits.
    pub fn wait(&self) -> Option<Wait> {
        match self {
            Self::Waiting(wait) => Some(*wait),
            Self::Quarantined { .. } => None,
        }
    }
}

/// A play with the targets that do not have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Numbers the entries of an account for ever; none is used twice.
    pub number: u64,
    /// The play, as it was first seen: what is sent stays the same bytes.
    pub play: Arc<Play>,
    /// What identifies the play.
    pub identity: Identity,
    /// The targets that do not have it. Never empty.
    pub places: Vec<(AttachmentId, Standing)>,
}

/// Plays that wait or were refused, oldest entries first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Journal {
    /// The number of the next entry.
    pub next: u64,
    /// The entries in the order of their numbers.
    pub entries: Vec<Entry>,
}

impl Entry {
    /// An entry of a play.
    pub fn new(number: u64, play: Arc<Play>, places: Vec<(AttachmentId, Standing)>) -> Self {
        Self { number, identity: Identity::of_play(&play), play, places }
    }

    /// How the play stands with a target; none where the target has it or never wanted it.
    pub fn standing(&self, attachment: AttachmentId) -> Option<&Standing> {
        self.places.iter().find(|(id, _)| *id == attachment).map(|(_, standing)| standing)
    }
}

impl Journal {
    /// The entry of a play.
    pub fn find(&self, identity: &Identity) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.identity.is_same(identity))
    }

    /// Notes how a play stands with a target: in its entry, or in a new one.
    pub fn set(&mut self, play: &Arc<Play>, attachment: AttachmentId, standing: Standing) {
        let identity = Identity::of_play(play);
        let Some(entry) = self.entries.iter_mut().find(|entry| entry.identity.is_same(&identity)) else {
            self.entries.push(Entry::new(self.next, Arc::clone(play), vec![(attachment, standing)]));
            self.next += 1;
            return;
        };
        match entry.places.iter_mut().find(|(id, _)| *id == attachment) {
            Some((_, known)) => *known = standing,
            None => entry.places.push((attachment, standing)),
        }
    }

    /// Keeps the places that are wanted; entries without one go.
    pub fn retain(&mut self, keep: impl Fn(&Entry, AttachmentId, &Standing) -> bool) {
        for index in 0..self.entries.len() {
            let places = std::mem::take(&mut self.entries[index].places);
            let entry = &self.entries[index];
            let kept = places.into_iter().filter(|(id, standing)| keep(entry, *id, standing)).collect();
            self.entries[index].places = kept;
        }
        self.entries.retain(|entry| !entry.places.is_empty());
    }

    /// How many plays wait for a target or were refused by it.
    pub fn count(&self, attachment: AttachmentId, wanted: impl Fn(&Standing) -> bool) -> usize {
        self.entries.iter().filter_map(|entry| entry.standing(attachment)).filter(|standing| wanted(standing)).count()
    }

    /// Makes room for plays that wait: the oldest that only stand refused go where there are too many of them.
    pub fn prune_quarantine(&mut self) {
        let is_refused =
            |entry: &Entry| entry.places.iter().all(|(_, standing)| matches!(standing, Standing::Quarantined { .. }));
        let refused = self.entries.iter().filter(|entry| is_refused(entry)).count();
        let room = QUARANTINE_CAPACITY.min((CAPACITY + refused).saturating_sub(self.entries.len()));
        let mut surplus = refused.saturating_sub(room);
        self.entries.retain(|entry| {
            let goes = surplus > 0 && is_refused(entry);
            surplus -= usize::from(goes);
            !goes
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn play(second: i64) -> Arc<Play> {
        Arc::new(Play {
            played_at: jiff::Timestamp::from_second(second).unwrap(),
            uri: format!("spotify:track:{second}"),
            title: format!("Title {second}"),
            artists: vec!["Artist".to_owned()],
            album: None,
            album_artists: Vec::new(),
            duration_ms: None,
            track_number: None,
            isrc: None,
            track_id: None,
        })
    }

    #[test]
    fn a_play_has_one_entry_however_many_targets_lack_it() {
        let mut journal = Journal::default();
        let refused = Standing::Quarantined { reason: "no".to_owned() };
        journal.set(&play(100), [1; 6], Standing::WAITING);
        journal.set(&play(100), [2; 6], Standing::WAITING);
        journal.set(&play(100), [2; 6], refused.clone());
        journal.set(&play(200), [1; 6], Standing::WAITING);
        assert_eq!(journal.entries.iter().map(|entry| entry.number).collect::<Vec<_>>(), [0, 1]);
        assert_eq!(journal.entries[0].standing([2; 6]), Some(&refused));
        journal.retain(|entry, id, _| !(entry.number == 0 && id == [1; 6]));
        assert_eq!(journal.entries[0].places.len(), 1);
        journal.retain(|entry, _, _| entry.number != 0);
        journal.set(&play(300), [1; 6], Standing::WAITING);
        assert_eq!(
            journal.entries.iter().map(|entry| entry.number).collect::<Vec<_>>(),
            [1, 2],
            "no number comes twice"
        );
    }

    #[test]
    fn refused_plays_make_room_for_those_that_wait() {
        let mut journal = Journal::default();
        for second in 0..600 {
            journal.set(&play(second * 100), [1; 6], Standing::Quarantined { reason: "no".to_owned() });
        }
        journal.prune_quarantine();
        assert_eq!(journal.entries.len(), QUARANTINE_CAPACITY);
        assert_eq!(journal.entries[0].number, 100, "the oldest went");
        for second in 600..600 + i64::try_from(CAPACITY).unwrap() {
            journal.set(&play(second * 100), [1; 6], Standing::WAITING);
        }
        journal.prune_quarantine();
        assert_eq!(journal.entries.len(), CAPACITY);
        assert!(journal.entries.iter().all(|entry| entry.standing([1; 6]) == Some(&Standing::WAITING)));
    }
}
