//! The journal as bytes for its Secret: versioned, compressed, bounded.
//!
//! Version 1: the bytes `SOJ1`, then, as a zlib stream (RFC 1950), a JSON object: `n` the next number, `a` the targets'
//! names, `e` the entries. The names of fields are one letter each, for there are thousands.

use std::io::{Read as _, Write as _};
use std::sync::Arc;

use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::journal::{AttachmentId, CAPACITY, Entry, Journal, Standing, Wait};
use super::play::Play;

const MAGIC: &[u8; 4] = b"SOJ1";
/// The most bytes that are stored: well below the 1 MiB of a Secret, with room for one that was set aside.
pub const MAXIMUM_BYTES: usize = 448 * 1024;
/// The most bytes that the compressed part may become.
const MAXIMUM_EXPANDED_BYTES: u64 = 16 * 1024 * 1024;

/// The bytes are not a journal that this version can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the journal cannot be read by this version")]
pub struct UnreadableJournal;

#[derive(Serialize, Deserialize)]
struct Stored {
    n: u64,
    a: Vec<String>,
    e: Vec<StoredEntry>,
}

#[derive(Serialize, Deserialize)]
struct StoredEntry {
    n: u64,
    p: StoredPlay,
    t: Vec<StoredPlace>,
}

#[derive(Serialize, Deserialize)]
struct StoredPlay {
    m: i64,
    u: String,
    t: String,
    a: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    b: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    c: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    d: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    n: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    i: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    k: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct StoredPlace {
    a: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    q: Option<String>,
    #[serde(default, skip_serializing_if = "is_zero")]
    f: u8,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    w: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
fn is_zero(number: &u8) -> bool {
    *number == 0
}

/// Writes a journal. None where it does not fit into [`MAXIMUM_BYTES`].
pub fn encode(journal: &Journal) -> Option<Vec<u8>> {
    let mut names: Vec<AttachmentId> = Vec::new();
    let mut position = |id: AttachmentId| {
        names.iter().position(|known| *known == id).unwrap_or_else(|| {
            names.push(id);
            names.len() - 1
        })
    };
    let entries = journal.entries.iter().map(|entry| StoredEntry {
        n: entry.number,
        p: stored_play(&entry.play),
        t: entry.places.iter().map(|(id, standing)| stored_place(position(*id), standing)).collect(),
    });
    let e: Vec<StoredEntry> = entries.collect();
    let a = names.iter().map(|id| super::digest::hexadecimal(id)).collect();
    let text = serde_json::to_vec(&Stored { n: journal.next, a, e }).ok()?;
    let mut encoder = ZlibEncoder::new(MAGIC.to_vec(), Compression::default());
    encoder.write_all(&text).ok()?;
    encoder.finish().ok().filter(|bytes| bytes.len() <= MAXIMUM_BYTES)
}

/// Reads a journal.
///
/// # Errors
/// The bytes were not written by [`encode`] of a version that this one knows.
pub fn decode(bytes: &[u8]) -> Result<Journal, UnreadableJournal> {
    let compressed = bytes.strip_prefix(MAGIC).ok_or(UnreadableJournal)?;
    let mut text = Vec::new();
    let mut reader = ZlibDecoder::new(compressed).take(MAXIMUM_EXPANDED_BYTES);
    reader.read_to_end(&mut text).map_err(|_| UnreadableJournal)?;
    let stored: Stored = serde_json::from_slice(&text).map_err(|_| UnreadableJournal)?;
    read(stored).ok_or(UnreadableJournal)
}

fn read(stored: Stored) -> Option<Journal> {
    let names: Vec<AttachmentId> = stored.a.iter().map(|text| attachment_id(text)).collect::<Option<_>>()?;
    if stored.e.len() > CAPACITY * 2 {
        return None;
    }
    let mut journal = Journal { next: stored.n, ..Journal::default() };
    for entry in stored.e {
        let place = |place: StoredPlace| Some((*names.get(place.a)?, standing(place)));
        let places = entry.t.into_iter().map(place).collect::<Option<Vec<_>>>()?;
        let known = journal.entries.last().is_some_and(|last: &Entry| last.number >= entry.n);
        if places.is_empty() || known || entry.n >= stored.n {
            return None;
        }
        journal.entries.push(Entry::new(entry.n, Arc::new(play(entry.p)?), places));
    }
    Some(journal)
}

fn attachment_id(text: &str) -> Option<AttachmentId> {
    let mut id = AttachmentId::default();
    if text.len() != id.len() * 2 || !text.is_ascii() {
        return None;
    }
    for (index, byte) in id.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(index * 2..index * 2 + 2)?, 16).ok()?;
    }
    Some(id)
}

fn stored_place(a: usize, standing: &Standing) -> StoredPlace {
    match standing {
        Standing::Waiting(wait) => StoredPlace { a, q: None, f: wait.failures, w: wait.parked },
        Standing::Quarantined { reason } => StoredPlace { a, q: Some(reason.clone()), f: 0, w: false },
    }
}

fn standing(place: StoredPlace) -> Standing {
    match place.q {
        Some(reason) => Standing::Quarantined { reason },
        None => Standing::Waiting(Wait { failures: place.f, parked: place.w }),
    }
}

fn stored_play(play: &Play) -> StoredPlay {
    StoredPlay {
        m: play.played_at.as_millisecond(),
        u: play.uri.clone(),
        t: play.title.clone(),
        a: play.artists.clone(),
        b: play.album.clone(),
        c: play.album_artists.clone(),
        d: play.duration_ms,
        n: play.track_number,
        i: play.isrc.clone(),
        k: play.track_id.clone(),
    }
}

fn play(stored: StoredPlay) -> Option<Play> {
    let play = Play {
        played_at: Timestamp::from_millisecond(stored.m).ok()?,
        uri: stored.u,
        title: stored.t,
        artists: stored.a,
        album: stored.b,
        album_artists: stored.c,
        duration_ms: stored.d,
        track_number: stored.n,
        isrc: stored.i,
        track_id: stored.k,
    };
    (!play.title.is_empty() && !play.artists.is_empty()).then_some(play)
}

#[cfg(test)]
mod versions;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::random::config;

    fn plays() -> impl Strategy<Value = Play> {
        let text = || prop::option::of(".{0,20}");
        (
            0_i64..4_102_444_800_000,
            (".{0,30}", ".{1,30}", prop::collection::vec(".{1,20}", 1..4)),
            (text(), prop::collection::vec(".{0,9}", 0..3)),
            (prop::option::of(1_i64..9_000_000), prop::option::of(1_i64..99)),
            (text(), text()),
        )
            .prop_map(
                |(time, (uri, title, artists), (album, album_artists), (duration, number), (isrc, id))| Play {
                    played_at: Timestamp::from_millisecond(time).unwrap(),
                    uri,
                    title,
                    artists,
                    album,
                    album_artists,
                    duration_ms: duration,
                    track_number: number,
                    isrc,
                    track_id: id,
                },
            )
    }

    fn standings() -> impl Strategy<Value = Standing> {
        let wait =
            (any::<u8>(), any::<bool>()).prop_map(|(failures, parked)| Standing::Waiting(Wait { failures, parked }));
        prop_oneof![wait, ".{0,40}".prop_map(|reason| Standing::Quarantined { reason })]
    }

    fn journals() -> impl Strategy<Value = Journal> {
        let places = prop::collection::vec((any::<AttachmentId>(), standings()), 1..4);
        (prop::collection::vec((plays(), places), 0..30), 0_u64..1000).prop_map(|(entries, first)| {
            let numbered = (first..).zip(entries);
            let entries: Vec<Entry> =
                numbered.map(|(number, (play, places))| Entry::new(number, Arc::new(play), places)).collect();
            Journal { next: first + entries.len() as u64, entries }
        })
    }

    proptest! {
        #![proptest_config(config(128))]

        #[test]
        fn what_is_written_is_read_back(journal in journals()) {
            prop_assert_eq!(decode(&encode(&journal).unwrap()), Ok(journal));
        }

        #[test]
        fn no_bytes_make_the_reader_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..200), marked in any::<bool>()) {
            if marked {
                bytes.splice(0..0, *MAGIC);
            }
            let _ = decode(&bytes);
        }

        #[test]
        fn a_torn_journal_is_not_read(journal in journals(), cut in 1_usize..20) {
            let bytes = encode(&journal).unwrap();
            prop_assert_eq!(decode(&bytes[..bytes.len().saturating_sub(cut)]), Err(UnreadableJournal));
        }
    }

    fn like_an_evening(count: usize) -> Journal {
        let mut journal = Journal::default();
        for number in 0..count {
            let mark = 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(number as u64 + 1);
            let id = format!("{mark:016x}{:06x}", mark >> 20);
            let play = Play {
                played_at: Timestamp::from_millisecond(1_795_430_000_000 + 214_337 * i64::try_from(number).unwrap())
                    .unwrap(),
                uri: format!("spotify:track:{id}"),
                title: format!("The {mark:x} Song of Summer"),
                artists: vec![format!("Band {}", mark % 400)],
                album: Some(format!("Album {}", mark % 900)),
                album_artists: vec![format!("Band {}", mark % 400)],
                duration_ms: Some(180_000 + (mark % 90_000).cast_signed()),
                track_number: Some((mark % 14).cast_signed() + 1),
                isrc: Some(format!("GBAAA{:07}", mark % 10_000_000)),
                track_id: Some(id),
            };
            journal.set(&Arc::new(play), [1; 6], Standing::WAITING);
        }
        journal
    }

    #[test]
    fn a_full_journal_of_usual_plays_fits() {
        let bytes = encode(&like_an_evening(CAPACITY)).unwrap();
        assert!(bytes.len() < MAXIMUM_BYTES, "{}", bytes.len());
    }

    #[test]
    fn what_does_not_fit_and_what_expands_beyond_measure_is_refused() {
        let mut journal = like_an_evening(1);
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let noise = std::iter::repeat_with(|| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            char::from(48 + u8::try_from(state % 64).unwrap())
        });
        let noise: String = noise.take(1_000_000).collect();
        let play = Play { title: noise, ..journal.entries[0].play.as_ref().clone() };
        journal.entries[0].play = Arc::new(play);
        assert!(encode(&journal).is_none());
        let mut bomb = ZlibEncoder::new(MAGIC.to_vec(), Compression::default());
        bomb.write_all(&vec![b' '; 64 * 1024 * 1024]).unwrap();
        assert_eq!(decode(&bomb.finish().unwrap()), Err(UnreadableJournal));
    }

    #[test]
    fn other_versions_are_refused() {
        let mut bytes = encode(&like_an_evening(1)).unwrap();
        bytes[3] = b'2';
        assert_eq!(decode(&bytes), Err(UnreadableJournal));
        assert_eq!(decode(b""), Err(UnreadableJournal));
    }
}
