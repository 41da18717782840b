//! A listener's plays: added by script, shown by the page.

use std::cmp::Reverse;

use jiff::Timestamp;

use super::items;
use crate::api::{NewPlay, Play, PlayKind};
use crate::clock::to_millisecond;
use crate::digest;
use crate::state::{World, numbered};

/// Spotify keeps no more plays than this (spotify.md section 3.3).
pub(crate) const KEPT: usize = 50;

/// Adds a play and says what became of it.
pub(crate) fn add(world: &mut World, account: &str, new: NewPlay, now: Timestamp) -> Play {
    add_known_since(world, account, new, now)
}

/// The same, for a play that Spotify has known since `added_time`.
pub(crate) fn add_known_since(world: &mut World, account: &str, new: NewPlay, added_time: Timestamp) -> Play {
    let number = world.next(&format!("plays/{account}"));
    let played_time = to_millisecond(new.played_time);
    let title = new.title.unwrap_or_else(|| format!("Track {number}"));
    let artists = new.artists.unwrap_or_else(|| vec![format!("Artist of {title}")]);
    let first = artists.first().cloned().unwrap_or_default();
    let album = new.album.unwrap_or_else(|| format!("Album of {first}"));
    let track_id = match new.kind {
        PlayKind::Track | PlayKind::Episode => {
            Some(new.track_id.unwrap_or_else(|| identifier(&format!("{title}\n{first}\n{album}"))))
        }
        PlayKind::Local | PlayKind::NullTrack => None,
    };
    let uri = match new.kind {
        PlayKind::Track => format!("spotify:track:{}", track_id.as_deref().unwrap_or_default()),
        PlayKind::Episode => format!("spotify:episode:{}", track_id.as_deref().unwrap_or_default()),
        PlayKind::Local => items::local_uri(&first, &album, &title, new.duration_ms),
        PlayKind::NullTrack => String::new(),
    };
    let play = Play {
        number,
        account: account.to_owned(),
        played_time,
        visible_time: new.visible_time.unwrap_or(played_time),
        added_time,
        listed_time: new.listed_time.unwrap_or(played_time),
        kind: new.kind,
        uri,
        title,
        artists,
        album,
        duration_ms: new.duration_ms,
        track_id,
        linked_from: new.linked_from,
        external_ids: new.external_ids,
        context: new.context,
        available_markets: new.available_markets,
        raw: new.raw,
    };
    world.plays.put(format!("{account}/{}", numbered(number)), play.clone());
    play
}

/// The plays that exist for a reader at `now`: the newest fifty, newest first, as far as known and visible by `as_of`.
pub(crate) fn shown(world: &World, account: &str, as_of: Timestamp, now: Timestamp) -> Vec<Play> {
    let mut plays: Vec<&Play> = world
        .plays
        .of(account)
        .map(|(_, play)| play)
        .filter(|play| play.visible_time <= now)
        .filter(|play| as_of >= now || (play.visible_time <= as_of && play.added_time <= as_of))
        .collect();
    plays.sort_by_key(|play| Reverse((play.listed_time, play.number)));
    plays.into_iter().take(KEPT).cloned().collect()
}

/// An id of the length and alphabet of Spotify's, the same for the same text.
pub(crate) fn identifier(text: &str) -> String {
    const ALPHABET: &[u8; 62] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    let digest = digest::sha256(text);
    let pairs = digest.as_bytes().windows(2).take(22);
    pairs.map(|pair| char::from(ALPHABET[(usize::from(pair[0]) * 7 + usize::from(pair[1])) % 62])).collect()
}
