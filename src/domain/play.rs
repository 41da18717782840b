//! Plays, as Spotify's recently-played list shows them.

use jiff::{SignedDuration, Timestamp};

/// Spotify lists what was played for longer than this, so that plays cannot follow one another faster.
pub const SHORTEST_PLAY: SignedDuration = SignedDuration::from_secs(30);

/// One track that somebody played. No text in it holds a NUL character or is blank; each has at most 2048 characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Play {
    /// When the play ended, about, to the millisecond (`played_at`).
    pub played_at: Timestamp,
    /// The track's URI; that of `linked_from` where Spotify relinked the track for a market.
    pub uri: String,
    /// The title. Never empty.
    pub title: String,
    /// The artists' names in Spotify's order. Never empty.
    pub artists: Vec<String>,
    /// The album's name; local files and some tracks have none.
    pub album: Option<String>,
    /// The album's artists.
    pub album_artists: Vec<String>,
    /// The track's length in milliseconds; more than zero.
    pub duration_ms: Option<i64>,
    /// The number on the disc; more than zero.
    pub track_number: Option<i64>,
    /// International Standard Recording Code.
    pub isrc: Option<String>,
    /// Spotify's id of the track; local files have none.
    pub track_id: Option<String>,
}

/// One entry of the recently-played page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// A play that can be scrobbled.
    Play(Play),
    /// Something that cannot, and is counted.
    Skipped(Skipped),
}

/// An entry that cannot be scrobbled, with what identifies it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// `played_at` of the entry.
    pub played_at: Timestamp,
    /// The URI, or nothing where the entry has none.
    pub uri: String,
    /// Why it cannot be scrobbled.
    pub reason: SkipReason,
}

/// Why an entry of the page cannot be scrobbled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SkipReason {
    /// `track` is null.
    NoTrack,
    /// The track has no title.
    NoTitle,
    /// The track has no artist.
    NoArtist,
    /// A podcast episode, a chapter of an audiobook, or anything else that Spotify does not call a track.
    Episode,
    /// The entry is not shaped as Spotify documents it.
    Unreadable,
}

impl Heard {
    /// When it was played.
    pub fn played_at(&self) -> Timestamp {
        match self {
            Self::Play(play) => play.played_at,
            Self::Skipped(skipped) => skipped.played_at,
        }
    }

    /// The URI, possibly empty for a skipped entry.
    pub fn uri(&self) -> &str {
        match self {
            Self::Play(play) => &play.uri,
            Self::Skipped(skipped) => &skipped.uri,
        }
    }

    /// Title and first artist, where the entry has them.
    pub fn title_and_artist(&self) -> Option<(&str, &str)> {
        match self {
            Self::Play(play) => play.artists.first().map(|artist| (play.title.as_str(), artist.as_str())),
            Self::Skipped(_) => None,
        }
    }
}

/// One answer of the recently-played endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Page {
    /// The entries in the order of the answer (newest first when Spotify behaves).
    pub entries: Vec<Heard>,
    /// Whether the answer held as many entries as were asked for: older plays may exist that it does not show.
    pub full: bool,
}
