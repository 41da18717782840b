//! The recently-played page (Web API reference, "Get Recently Played Tracks").

use jiff::Timestamp;
use serde_json::Value;

use super::model::{names, positive, text};
use crate::domain::play::{Heard, Page, Play, SkipReason, Skipped};

/// The most plays a page can show, and all that exist.
pub(super) const LIMIT: usize = 50;

/// Reads a page. Entries without a `played_at` cannot be told apart and are left out.
pub(super) fn page(body: &Value) -> Option<Page> {
    let items = body.get("items")?.as_array()?;
    let entries = items.iter().take(LIMIT).filter_map(entry).collect();
    Some(Page { entries, full: items.len() >= LIMIT })
}

fn entry(item: &Value) -> Option<Heard> {
    let played_at = item.get("played_at")?.as_str()?.parse::<Timestamp>().ok().and_then(whole_milliseconds)?;
    let track = item.get("track").unwrap_or(&Value::Null);
    Some(match play(played_at, track) {
        Ok(play) => Heard::Play(play),
        Err(reason) => Heard::Skipped(Skipped { played_at, uri: uri(track).unwrap_or_default(), reason }),
    })
}

/// Times before 1970 or after 2100 are nobody's play.
fn whole_milliseconds(time: Timestamp) -> Option<Timestamp> {
    let milliseconds = time.as_millisecond();
    (0..4_102_444_800_000).contains(&milliseconds).then(|| Timestamp::from_millisecond(milliseconds).ok())?
}

fn play(played_at: Timestamp, track: &Value) -> Result<Play, SkipReason> {
    if track.is_null() {
        return Err(SkipReason::NoTrack);
    }
    if !track.is_object() {
        return Err(SkipReason::Unreadable);
    }
    if track.get("type").and_then(Value::as_str).is_some_and(|kind| kind != "track") {
        return Err(SkipReason::Episode);
    }
    let title = text(track.get("name")).ok_or(SkipReason::NoTitle)?;
    let artists = names(track.get("artists"));
    if artists.is_empty() {
        return Err(SkipReason::NoArtist);
    }
    let album = track.get("album").unwrap_or(&Value::Null);
    Ok(Play {
        played_at,
        uri: uri(track).unwrap_or_default(),
        title,
        artists,
        album: text(album.get("name")),
        album_artists: names(album.get("artists")),
        duration_ms: positive(track.get("duration_ms")),
        track_number: positive(track.get("track_number")),
        isrc: text(track.get("external_ids").and_then(|ids| ids.get("isrc"))),
        track_id: text(original(track).get("id")),
    })
}

/// The track the listener chose, where Spotify relinked it for their market (Web API, "Track Relinking").
fn original(track: &Value) -> &Value {
    track.get("linked_from").filter(|original| original.get("uri").is_some_and(Value::is_string)).unwrap_or(track)
}

fn uri(track: &Value) -> Option<String> {
    text(original(track).get("uri"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn item(track: Value) -> Value {
        json!({"played_at": "2026-11-23T10:00:00.381Z", "context": null, "track": track})
    }

    fn track() -> Value {
        json!({
            "type": "track", "id": "4uLU6hMCjMI75M1A2tKUQC", "uri": "spotify:track:4uLU6hMCjMI75M1A2tKUQC",
            "name": "Karmacoma", "artists": [{"name": "Massive Attack"}, {"name": "Tricky"}], "duration_ms": 316_000,
            "track_number": 3, "external_ids": {"isrc": "GBAAA9400001"}, "is_local": false,
            "album": {"name": "Protection", "artists": [{"name": "Massive Attack"}]}
        })
    }

    fn only(body: &Value) -> Heard {
        let page = page(body).unwrap();
        assert_eq!(page.entries.len(), 1);
        page.entries.into_iter().next().unwrap()
    }

    #[test]
    fn a_full_entry_is_read_to_the_millisecond() {
        let Heard::Play(play) = only(&json!({"items": [item(track())]})) else { panic!("skipped") };
        assert_eq!(play.played_at.as_millisecond(), 1_795_428_000_381);
        assert_eq!(play.artists, ["Massive Attack", "Tricky"]);
        assert_eq!(play.album.as_deref(), Some("Protection"));
        assert_eq!(play.duration_ms, Some(316_000));
        assert_eq!(play.isrc.as_deref(), Some("GBAAA9400001"));
    }

    #[test]
    fn missing_fields_and_odd_types_cost_only_themselves() {
        let mut odd = track();
        for (key, value) in [
            ("id", Value::Null),
            ("external_ids", Value::Null),
            ("album", json!(7)),
            ("duration_ms", json!(-5)),
            ("track_number", json!("three")),
        ] {
            odd[key] = value;
        }
        let Heard::Play(play) = only(&json!({"items": [item(odd)]})) else { panic!("skipped") };
        assert_eq!(
            (play.track_id, play.isrc, play.album, play.duration_ms, play.track_number),
            (None, None, None, None, None)
        );
    }

    #[test]
    fn a_local_track_with_title_and_artist_is_a_play() {
        let local = json!({"type": "track", "id": null, "is_local": true, "uri": "spotify:local:A:B:C:120",
            "name": "Demo", "artists": [{"name": "Me"}], "duration_ms": 120_000});
        assert!(
            matches!(only(&json!({"items": [item(local)]})), Heard::Play(play) if play.uri == "spotify:local:A:B:C:120")
        );
    }

    #[test]
    fn a_relinked_track_is_the_one_the_listener_chose() {
        let mut relinked = track();
        relinked["linked_from"] = json!({"id": "original", "uri": "spotify:track:original"});
        let Heard::Play(play) = only(&json!({"items": [item(relinked)]})) else { panic!("skipped") };
        assert_eq!((play.uri.as_str(), play.track_id.as_deref()), ("spotify:track:original", Some("original")));
    }

    #[test]
    fn what_cannot_be_scrobbled_is_skipped_with_its_reason() {
        let without = |key: &str, value: Value| {
            let mut track = track();
            track[key] = value;
            track
        };
        for (track, reason) in [
            (Value::Null, SkipReason::NoTrack),
            (json!("track"), SkipReason::Unreadable),
            (without("type", json!("episode")), SkipReason::Episode),
            (without("name", json!("  ")), SkipReason::NoTitle),
            (without("artists", json!([])), SkipReason::NoArtist),
            (without("artists", json!([{"name": ""}, null, 7])), SkipReason::NoArtist),
        ] {
            match only(&json!({"items": [item(track)]})) {
                Heard::Skipped(skipped) => assert_eq!(skipped.reason, reason),
                Heard::Play(play) => panic!("{play:?}"),
            }
        }
    }

    #[test]
    fn entries_without_a_usable_time_are_left_out() {
        let items = json!({"items": [{"track": track()}, {"played_at": "yesterday"}, null, 7, [],
            {"played_at": "-000001-01-01T00:00:00Z", "track": track()}, item(track())]});
        assert_eq!(page(&items).unwrap().entries.len(), 1);
    }

    #[test]
    fn a_page_of_fifty_is_full() {
        let full = json!({"items": vec![item(track()); 50]});
        assert!(page(&full).unwrap().full);
        let rest = json!({"items": vec![item(track()); 49]});
        assert!(!page(&rest).unwrap().full);
    }
}
