//! How a play looks in the page (spotify.md section 3.2), deprecated fields included.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::plays::identifier;
use crate::api::{ExternalIds, Play, PlayKind};

/// The item of a play.
fn item(play: &Play) -> Value {
    if let Some(raw) = &play.raw {
        return raw.clone();
    }
    let track = match play.kind {
        PlayKind::Track => track(play),
        PlayKind::Local => local(play),
        PlayKind::Episode => episode(play),
        PlayKind::NullTrack => Value::Null,
    };
    json!({"track": track, "played_at": format!("{:.3}", play.played_time), "context": context(play)})
}

/// The URI of a listener's own file.
pub(crate) fn local_uri(artist: &str, album: &str, title: &str, duration_ms: i64) -> String {
    let part = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    format!("spotify:local:{}:{}:{}:{}", part(artist), part(album), part(title), duration_ms / 1_000)
}

fn track(play: &Play) -> Value {
    let id = play.track_id.as_deref().unwrap_or_default();
    let mut track = json!({
        "album": album(play),
        "artists": artists(play),
        "disc_number": 1,
        "duration_ms": play.duration_ms,
        "explicit": false,
        "external_urls": external_urls("track", id),
        "href": href("tracks", id),
        "id": id,
        "is_local": false,
        "name": play.title,
        "popularity": 41,
        "preview_url": null,
        "track_number": 1,
        "type": "track",
        "uri": play.uri,
    });
    match play.external_ids {
        ExternalIds::Isrc => track["external_ids"] = json!({"isrc": isrc(id)}),
        ExternalIds::Empty => track["external_ids"] = json!({}),
        ExternalIds::Absent => {}
    }
    if play.available_markets > 0 {
        track["available_markets"] = markets(play.available_markets);
    }
    if let Some(asked) = &play.linked_from {
        track["linked_from"] = json!({
            "external_urls": external_urls("track", asked),
            "href": href("tracks", asked),
            "id": asked,
            "type": "track",
            "uri": format!("spotify:track:{asked}"),
        });
        track["is_playable"] = json!(true);
    }
    track
}

fn album(play: &Play) -> Value {
    let id = identifier(&play.album);
    let mut album = json!({
        "album_type": "album",
        "artists": artists(play),
        "external_urls": external_urls("album", &id),
        "href": href("albums", &id),
        "id": id,
        "images": [
            {"height": 640, "url": format!("https://i.scdn.co/image/{id}640"), "width": 640},
            {"height": null, "url": format!("https://i.scdn.co/image/{id}"), "width": null},
        ],
        "name": play.album,
        "release_date": "1999-04",
        "release_date_precision": "month",
        "total_tracks": 12,
        "type": "album",
        "uri": format!("spotify:album:{id}"),
    });
    if play.available_markets > 0 {
        album["available_markets"] = markets(play.available_markets);
    }
    album
}

fn artists(play: &Play) -> Value {
    let artists = play.artists.iter().map(|name| {
        let id = identifier(name);
        json!({
            "external_urls": external_urls("artist", &id),
            "href": href("artists", &id),
            "id": id,
            "name": name,
            "type": "artist",
            "uri": format!("spotify:artist:{id}"),
        })
    });
    artists.collect()
}

/// A listener's own file: ids and addresses are null, external ids and markets empty.
fn local(play: &Play) -> Value {
    let artists: Value = play
        .artists
        .iter()
        .map(|name| json!({"external_urls": {}, "href": null, "id": null, "name": name, "type": "artist", "uri": null}))
        .collect();
    json!({
        "album": {
            "album_type": null,
            "artists": [],
            "available_markets": [],
            "external_urls": {},
            "href": null,
            "id": null,
            "images": [],
            "name": play.album,
            "release_date": null,
            "release_date_precision": null,
            "type": "album",
            "uri": null,
        },
        "artists": artists,
        "available_markets": [],
        "disc_number": 0,
        "duration_ms": play.duration_ms,
        "explicit": false,
        "external_ids": {},
        "external_urls": {},
        "href": null,
        "id": null,
        "is_local": true,
        "name": play.title,
        "popularity": 0,
        "preview_url": null,
        "track_number": 0,
        "type": "track",
        "uri": play.uri,
    })
}

/// A podcast episode: no album, no artists.
fn episode(play: &Play) -> Value {
    let id = play.track_id.as_deref().unwrap_or_default();
    json!({
        "description": "An episode",
        "duration_ms": play.duration_ms,
        "explicit": false,
        "external_urls": external_urls("episode", id),
        "href": href("episodes", id),
        "id": id,
        "images": [],
        "is_externally_hosted": false,
        "is_playable": true,
        "language": "en",
        "languages": ["en"],
        "name": play.title,
        "release_date": "2026-01-01",
        "release_date_precision": "day",
        "type": "episode",
        "uri": play.uri,
    })
}

fn context(play: &Play) -> Value {
    let Some(uri) = &play.context else { return Value::Null };
    let mut parts = uri.split(':').skip(1);
    let (kind, id) = (parts.next().unwrap_or("playlist"), parts.next().unwrap_or_default());
    json!({
        "external_urls": external_urls(kind, id),
        "href": href(&format!("{kind}s"), id),
        "type": kind,
        "uri": uri,
    })
}

fn external_urls(kind: &str, id: &str) -> Value {
    json!({"spotify": format!("https://open.spotify.com/{kind}/{id}")})
}

fn href(kind: &str, id: &str) -> String {
    format!("https://api.spotify.com/v1/{kind}/{id}")
}

fn isrc(id: &str) -> String {
    let digits: String = id.bytes().take(7).map(|byte| char::from(b'0' + byte % 10)).collect();
    format!("GBXXX{digits}")
}

fn markets(count: u32) -> Value {
    let letter = |number: u32| char::from(b'A' + u8::try_from(number % 26).unwrap_or(0));
    (0..count).map(|number| json!([letter(number / 26), letter(number)].iter().collect::<String>())).collect()
}

/// How many items are kept as text: some tens of MiB.
const MOST_RENDERED: usize = 20_000;

/// The items as texts, made once each.
pub(crate) fn rendered(known: &mut HashMap<(String, u64), Arc<str>>, plays: &[Play]) -> Vec<Arc<str>> {
    if known.len() > MOST_RENDERED {
        known.clear();
    }
    let text = |play: &Play| Arc::from(item(play).to_string());
    let key = |play: &Play| (play.account.clone(), play.number);
    plays.iter().map(|play| Arc::clone(known.entry(key(play)).or_insert_with(|| text(play)))).collect()
}

/// The keys of the page around its items.
pub(crate) fn page(href: &str, limit: usize, next: Option<String>, plays: &[Play], items: &[Arc<str>]) -> String {
    let milliseconds = |play: &Play| play.played_time.as_millisecond().to_string();
    let cursors = match (plays.first(), plays.last()) {
        (Some(newest), Some(oldest)) => json!({"after": milliseconds(newest), "before": milliseconds(oldest)}),
        _ => Value::Null,
    };
    format!(
        r#"{{"href":{},"items":[{}],"limit":{limit},"next":{},"cursors":{cursors}}}"#,
        json!(href),
        items.join(","),
        json!(next)
    )
}
