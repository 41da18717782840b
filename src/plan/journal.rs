//! What goes into the journal, and when it is written: what is added comes before the status that counts on it, what a
//! target has by now goes after it.

use std::sync::Arc;

use super::open::OpenPlay;
use crate::domain::journal::{AttachmentId, CAPACITY, Journal, Standing};
use crate::domain::journal_codec::{MAXIMUM_BYTES, encode};
use crate::domain::ledger::Identity;

/// What the journal becomes in a pass.
#[derive(Clone, Debug, PartialEq)]
pub struct Keeping {
    /// To be stored before the status is written.
    pub before: Arc<Journal>,
    /// To be stored once the status is written.
    pub after: Arc<Journal>,
    /// Plays that the page shows and that were not known before.
    pub new_plays: u64,
}

/// A journal counts as nearly full from nine tenths of its room on.
const NEARLY: (usize, usize) = (9, 10);

/// Takes plays up that wait for a target and that the journal does not hold for it, oldest first, as far as there is
/// room. Answers those for which there is none.
pub(super) fn keep(journal: &mut Journal, mut wanted: Vec<(AttachmentId, OpenPlay)>) -> Vec<(AttachmentId, Identity)> {
    wanted.sort_by_key(|(_, open)| open.play.played_at);
    let mut take = wanted.len();
    loop {
        let mut taken = journal.clone();
        let mut refused = Vec::new();
        for (number, (id, open)) in wanted.iter().enumerate() {
            let has_room = taken.entries.len() < CAPACITY || taken.find(&open.identity).is_some();
            if number < take && has_room {
                taken.set(&open.play, *id, Standing::Waiting(open.wait));
            } else {
                refused.push((*id, open.identity));
            }
        }
        if take == 0 || encode(&taken).is_some() {
            *journal = taken;
            return refused;
        }
        take /= 2;
    }
}

/// How full the journal is, in words, where it is nearly so.
pub(super) fn nearly_full(journal: &Journal) -> Option<String> {
    let count = journal.entries.len();
    // Whether it is long in bytes is only worth finding out where it is long at all.
    let bytes = if count > CAPACITY / 20 { encode(journal).map_or(MAXIMUM_BYTES, |bytes| bytes.len()) } else { 0 };
    let is_near = |part: usize, whole: usize| part * NEARLY.1 >= whole * NEARLY.0;
    (is_near(count, CAPACITY) || is_near(bytes, MAXIMUM_BYTES)).then(|| {
        format!(
            "the journal holds {count} plays and is nearly full: when it is, plays that a target cannot take are lost once Spotify no longer shows them"
        )
    })
}
