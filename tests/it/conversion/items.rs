//! What Spotify's page can hold: one row for each oddity that was seen or is documented.

use scrobble_operator::domain::play::SkipReason;
use serde_json::{Value, json};

/// One entry of the page, and whether it is a play.
pub struct Row {
    pub name: &'static str,
    pub item: Value,
    /// Why it is skipped; none for a play, which every column has a line for.
    pub skipped: Option<SkipReason>,
}

/// A track with everything that Spotify tells of one.
fn track() -> Value {
    json!({
        "album": {"album_type": "album", "artists": [artist("Massive Attack")], "id": "5CnpZV3q5BcESefcB3WJmz",
            "name": "Protection", "release_date": "1994-09-26", "total_tracks": 10, "type": "album"},
        "artists": [artist("Massive Attack")], "disc_number": 1, "duration_ms": 316_000, "explicit": false,
        "external_ids": {"isrc": "GBAAA9400001"}, "id": "4uLU6hMCjMI75M1A2tKUQC", "is_local": false,
        "name": "Karmacoma", "popularity": 61, "preview_url": null, "track_number": 3, "type": "track",
        "uri": "spotify:track:4uLU6hMCjMI75M1A2tKUQC"
    })
}

fn artist(name: &str) -> Value {
    json!({"id": "6FXMGgJwohJLUSr5nVlf9X", "name": name, "type": "artist"})
}

/// A file of the listener's own.
fn local(title: &str, name: &str) -> Value {
    json!({
        "album": {"album_type": null, "artists": [], "id": null, "name": "", "type": "album"},
        "artists": [{"id": null, "name": name, "type": "artist"}], "disc_number": 0, "duration_ms": 120_000,
        "external_ids": {}, "external_urls": {}, "id": null, "is_local": true, "name": title, "track_number": 0,
        "type": "track", "uri": "spotify:local:Me:Some+Demos:Demo+%231:120"
    })
}

/// A track with some fields changed; null stands for a field that is not there at all.
fn with(changes: &[(&str, Value)]) -> Value {
    let mut track = track();
    let fields = track.as_object_mut().unwrap();
    for (key, value) in changes {
        fields.remove(*key);
        if !value.is_null() {
            fields.insert((*key).to_owned(), value.clone());
        }
    }
    track
}

/// A track where a field is there and null.
fn with_null(key: &str) -> Value {
    let mut track = track();
    track[key] = Value::Null;
    track
}

/// A track whose texts are these.
fn texts(title: &str, name: &str, album: &str) -> Value {
    with(&[
        ("name", json!(title)),
        ("artists", json!([artist(name)])),
        ("album", json!({"name": album, "artists": [artist(name)]})),
    ])
}

fn one_of_each_plane() -> String {
    (0..=16_u32).map(|plane| char::from_u32((plane << 16) + 0xa000).unwrap()).collect()
}

/// When most rows were played.
pub const PLAYED_AT: &str = "2026-11-23T10:00:00.381Z";

/// An entry of the page.
pub fn item(played_at: &str, track: Value) -> Value {
    json!({"context": null, "played_at": played_at, "track": track})
}

fn play(name: &'static str, track: Value) -> Row {
    Row { name, item: item(PLAYED_AT, track), skipped: None }
}

fn played(name: &'static str, played_at: &str) -> Row {
    Row { name, item: item(played_at, track()), skipped: None }
}

fn skipped(name: &'static str, track: Value, reason: SkipReason) -> Row {
    Row { name, item: item(PLAYED_AT, track), skipped: Some(reason) }
}

/// All rows; they fit on one page.
pub fn rows() -> Vec<Row> {
    let mut rows = artists_and_albums();
    rows.extend(numbers_and_times());
    rows.extend(texts_of_every_kind());
    rows.extend(kinds_of_tracks());
    rows.extend(no_plays());
    rows
}

fn artists_and_albums() -> Vec<Row> {
    let many = ["A", "B, C", "D & E", "F feat. G", "H / I", "J", "K", "L", "M", "N", "O", "P"];
    vec![
        play("everything", track()),
        play("many artists", with(&[("artists", Value::Array(many.iter().map(|name| artist(name)).collect()))])),
        play(
            "a featured artist",
            with(&[
                ("name", json!("Karmacoma (feat. Tricky) - Portishead Experience")),
                ("artists", json!([artist("Massive Attack"), artist("Tricky")])),
            ]),
        ),
        play(
            "artists of which some are odd",
            with(&[("artists", json!([null, 7, {"name": null}, {"name": 7}, {"name": " "}, artist("Tricky")]))]),
        ),
        play(
            "an album of various artists",
            with(&[("album", json!({"name": "Trip Hop", "artists": [artist("Various Artists"), artist("Me")]}))]),
        ),
        play("no album", with(&[("album", Value::Null)])),
        play("album null", with_null("album")),
        play("an album without a name", with(&[("album", json!({"name": "", "artists": []}))])),
        play("no external ids", with(&[("external_ids", Value::Null)])),
        play("external ids without an isrc", with(&[("external_ids", json!({"upc": "00000000000000"}))])),
        play("isrc null", with(&[("external_ids", json!({"isrc": null}))])),
        play("id null", with_null("id")),
        play("no id, no uri", with(&[("id", Value::Null), ("uri", Value::Null)])),
    ]
}

fn numbers_and_times() -> Vec<Row> {
    vec![
        play("no length", with(&[("duration_ms", Value::Null)])),
        play("a length of zero", with(&[("duration_ms", json!(0))])),
        play("a length below zero", with(&[("duration_ms", json!(-316_000))])),
        play("a length that is no whole number", with(&[("duration_ms", json!(316_000.5))])),
        play("a length in words", with(&[("duration_ms", json!("316000"))])),
        play("a length of a millisecond", with(&[("duration_ms", json!(1))])),
        play("a length of 25 days", with(&[("duration_ms", json!(2_160_000_000_i64))])),
        play("a length beyond all numbers", with(&[("duration_ms", json!(u64::MAX))])),
        play("number zero on the disc", with(&[("track_number", json!(0))])),
        played("a time without milliseconds", "2026-11-23T10:00:00Z"),
        played("a time with microseconds", "2026-11-23T10:00:00.381999Z"),
        played("a time at an offset", "2026-11-23T11:00:00.999+01:00"),
    ]
}

fn texts_of_every_kind() -> Vec<Row> {
    let planes = one_of_each_plane();
    let long = "é".repeat(12_000);
    vec![
        play("a title of 24 kB", texts(&long, "Massive Attack", "Protection")),
        play("every plane", texts(&planes, "𝄞🎧", "𠮷")),
        play("combining marks", texts("e\u{301} is not é", "Z\u{335}\u{322}a\u{334}l", "\u{301}")),
        play("bidi", texts("\u{202e}abc\u{202c} \u{2067}كايروكي\u{2069}", "עברית\u{200f}", "\u{200e}ab")),
        play("joined emoji and selectors", texts("👩\u{200d}🎤 ❤\u{fe0f}", "🇸🇪", "\u{feff}x")),
        play("nul", texts("\0Karma\0coma\0", "Massive\0 Attack", "\0\0")),
        play("controls and quotes", texts("\"\\/\u{8}\u{c}\n\r\t\u{1}\u{1b}\u{7f}\u{2028}", "<&'>", "{}")),
        play("blanks around", texts("  Karmacoma\u{a0}", "\tMassive Attack ", " Protection")),
    ]
}

fn kinds_of_tracks() -> Vec<Row> {
    let relinked = json!({"id": "1original", "type": "track", "uri": "spotify:track:1original"});
    let audiobook = texts("Kapitel 1 - Der Herr der Ringe", "J.R.R. Tolkien", "Der Herr der Ringe (Hörbuch)");
    vec![
        play("a file of the listener's own", local("Demo #1", "Me")),
        play("relinked by market", with(&[("linked_from", relinked)])),
        play("linked from null", with_null("linked_from")),
        play("linked from nothing", with(&[("linked_from", json!({}))])),
        play("no type", with(&[("type", Value::Null)])),
        play("an audiobook that is an album", audiobook),
    ]
}

fn no_plays() -> Vec<Row> {
    let kind = |kind: &str| with(&[("type", json!(kind)), ("uri", json!(format!("spotify:{kind}:1")))]);
    vec![
        skipped("a track that is null", Value::Null, SkipReason::NoTrack),
        skipped("a track that is a text", json!("Karmacoma"), SkipReason::Unreadable),
        skipped("an episode", kind("episode"), SkipReason::Episode),
        skipped("a chapter of an audiobook", kind("chapter"), SkipReason::Episode),
        skipped("an audiobook", kind("audiobook"), SkipReason::Episode),
        skipped("a title of nuls", texts("\0\0", "Me", "x"), SkipReason::NoTitle),
        skipped("no title", with_null("name"), SkipReason::NoTitle),
        skipped("no artist", with(&[("artists", json!([]))]), SkipReason::NoArtist),
        skipped("a file without a title", local("", "Me"), SkipReason::NoTitle),
        skipped("a file without an artist", local("Demo #1", ""), SkipReason::NoArtist),
    ]
}
