//! Plays and pages for tests.

use jiff::Timestamp;

use crate::domain::play::{Heard, Page, Play, SkipReason, Skipped};

/// The play of a track that ended at a time.
pub(super) fn play(track: &str, played_at: Timestamp) -> Play {
    Play {
        played_at,
        uri: format!("spotify:track:{track}"),
        title: format!("Title {track}"),
        artists: vec!["Artist".to_owned()],
        album: None,
        album_artists: Vec::new(),
        duration_ms: Some(180_000),
        track_number: None,
        isrc: None,
        track_id: Some(track.to_owned()),
    }
}

/// An entry that cannot be scrobbled.
pub(super) fn skipped(played_at: Timestamp) -> Heard {
    Heard::Skipped(Skipped { played_at, uri: String::new(), reason: SkipReason::NoTrack })
}

/// A page with these plays, in this order.
pub(super) fn page(plays: impl IntoIterator<Item = Play>) -> Page {
    let entries: Vec<Heard> = plays.into_iter().map(Heard::Play).collect();
    Page { full: entries.len() >= 50, entries }
}

/// So many plays, each three minutes before the one that Spotify lists above it; the newest ended at a time.
pub(super) fn evening(count: i64, newest: Timestamp) -> Page {
    page((0..count).map(|number| {
        let ended = newest - jiff::SignedDuration::from_mins(3 * number);
        play(&format!("at-{}", ended.as_second()), ended)
    }))
}
