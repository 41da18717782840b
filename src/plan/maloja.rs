//! At which second a play stands at a Maloja, or is to be sent.
//!
//! Maloja keeps one scrobble a second, over everybody who scrobbles to it, and must never be sent a second that another
//! track has (`adapters::targets::maloja` says why). So the minute from the play's own second on is read first, and what is
//! sent goes to a free second of it. The second chosen is recorded before it is sent, so that after a lost answer the play
//! is recognised where it stands.

use std::collections::BTreeSet;

use icu_normalizer::DecomposingNormalizerBorrowed;
use icu_properties::CodePointMapData;
use icu_properties::props::GeneralCategory;

use crate::domain::answer::Shown;
use crate::domain::digest::{hexadecimal, keyed_hash};
use crate::domain::play::Play;

/// How many seconds a play may be sent at, its own the first of them; so many are to be read.
pub const WINDOW_SECONDS: i64 = 60;
/// The same track within so many seconds is the same play: nobody hears one twice in that time.
const SAME_PLAY_SECONDS: i64 = 30;

/// What to do with a play at a Maloja, from what stands there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// It stands there already.
    AlreadyThere,
    /// It is to be sent at a second that nobody has.
    Send {
        /// Seconds since 1970; the play's own or one of the 59 after it.
        second: i64,
    },
    /// Every second of the window has another scrobble. Nothing is to be sent.
    Full,
}

/// Chooses from what Maloja shows in the seconds `own..own + WINDOW_SECONDS`.
///
/// `own` is the second that the target's `timestamp` gives the play, `recorded` the one that was chosen for it before, if
/// one was. `explained` are seconds at which the same track stands because of another known play. A recorded second outside
/// the window counts for nothing: what stands there was not read.
pub fn choose(play: &Play, own: i64, recorded: Option<i64>, shown: &[Shown], explained: &[i64]) -> Choice {
    let window = own..own.saturating_add(WINDOW_SECONDS);
    let recorded = recorded.filter(|second| window.contains(second));
    let taken: BTreeSet<i64> = shown.iter().map(|entry| entry.second).collect();
    let track = Track::of_play(play);
    let stands_at = |entry: &&Shown| match recorded {
        Some(second) => entry.second == second,
        None => {
            (own..own.saturating_add(SAME_PLAY_SECONDS)).contains(&entry.second) && !explained.contains(&entry.second)
        }
    };
    if shown.iter().filter(stands_at).any(|entry| Track::of_shown(entry) == track) {
        return Choice::AlreadyThere;
    }
    match recorded.into_iter().chain(window).find(|second| !taken.contains(second)) {
        Some(second) => Choice::Send { second },
        None => Choice::Full,
    }
}

/// Whether a play must not be sent because a Maloja has refused the second of another one (or of this one) since its last
/// new scrobble: they share a track, an artist or an album, for which Maloja may hold an id that its database does not have.
///
/// Only a new scrobble of a play that shares nothing with the refused one makes the ids go; `AlreadyThere` does not.
pub fn is_held_by(play: &Play, refused: &Play) -> bool {
    !names(play).is_disjoint(&names(refused))
}

/// The artists and the album of a play, as Maloja compares them.
fn names(play: &Play) -> BTreeSet<(Kind, String)> {
    let album = play.album.iter().filter(|album| !album.is_empty()).map(|album| (Kind::Album, normalized(album)));
    let artists = play.artists.iter().chain(&play.album_artists).map(|artist| (Kind::Artist, normalized(artist)));
    album.chain(artists).collect()
}

/// What a name is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Album,
    Artist,
}

/// Short hashes of what a refused play holds back, for a status that other accounts of the server can see.
pub fn marks(play: &Play) -> BTreeSet<String> {
    let mark = |(kind, name): (Kind, String)| {
        let kind: &[u8] = if kind == Kind::Album { b"album" } else { b"artist" };
        hexadecimal(&keyed_hash(b"scrobble-operator.io/maloja", &[kind, name.as_bytes()])[..4])
    };
    names(play).into_iter().map(mark).collect()
}

/// What makes two tracks one for Maloja: the title and the set of artists, each without what it makes light of.
#[derive(Debug, PartialEq, Eq)]
struct Track {
    title: String,
    artists: BTreeSet<String>,
}

impl Track {
    fn of(title: &str, artists: &[String]) -> Self {
        Self { title: normalized(title), artists: artists.iter().map(|artist| normalized(artist)).collect() }
    }

    fn of_play(play: &Play) -> Self {
        Self::of(&play.title, &play.artists)
    }

    fn of_shown(shown: &Shown) -> Self {
        Self::of(&shown.title, &shown.artists)
    }
}

/// A name as Maloja compares it (`normalize_name` of its `database/sqldb.py`): it shows a track and its artists as they were
/// first sent by anybody, so that a play comes back in another spelling.
fn normalized(name: &str) -> String {
    let name = name.replace(" - ", " ").replace(": ", " ").to_lowercase();
    let category = CodePointMapData::<GeneralCategory>::new();
    let ignored = |letter: char| {
        matches!(letter, '\'' | '`' | '\u{2019}') || category.get(letter) == GeneralCategory::NonspacingMark
    };
    DecomposingNormalizerBorrowed::new_nfd().normalize(&name).chars().filter(|letter| !ignored(*letter)).collect()
}

#[cfg(test)]
mod tests;
