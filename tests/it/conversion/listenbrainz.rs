//! What ListenBrainz is sent.

use scrobble_operator::adapters::targets::Service;
use serde_json::json;
use wiremock::ResponseTemplate;

use super::Column;

pub const COLUMN: Column = Column {
    name: "ListenBrainz",
    service: |url| Service::ListenBrainz { url, token: "token".to_owned().into() },
    accepted: || ResponseTemplate::new(200).set_body_json(json!({"status": "ok"})),
    payload: |request| {
        let body = std::str::from_utf8(&request.body).unwrap();
        let listen =
            body.strip_prefix(r#"{"listen_type":"single","payload":["#).and_then(|rest| rest.strip_suffix("]}"));
        listen.unwrap_or_else(|| panic!("{body}")).to_owned()
    },
    expected: EXPECTED,
};

const EXPECTED: &[(&[&str], &str)] = &[
    (
        &[
            "everything",
            "a time without milliseconds",
            "a time with microseconds",
            "a time at an offset",
            "linked from null",
            "linked from nothing",
            "no type",
        ],
        concat!(
            r#"{"listened_at":1795428000,"track_metadata":{"additional_info":{"artist_names":["Massive Attack"],"#,
            r#""duration_ms":316000,"isrc":"GBAAA9400001","music_service":"spotify.com","#,
            r#""origin_url":"https://open.spotify.com/track/4uLU6hMCjMI75M1A2tKUQC","#,
            r#""spotify_id":"https://open.spotify.com/track/4uLU6hMCjMI75M1A2tKUQC","#,
            r#""submission_client":"scrobble-operator","tracknumber":3},"artist_name":"Massive Attack","#,
            r#""release_name":"Protection","track_name":"Karmacoma"}}"#,
        ),
    ),
    (
        &["many artists"],
        concat!(
            r#"{"listened_at":1795428000,"track_metadata":{"additional_info":{"artist_names":["A","B, C","D & E","#,
            r#""F feat. G","H / I","J","K","L","M","N","O","P"],"duration_ms":316000,"isrc":"GBAAA9400001","#,
            r#""music_service":"spotify.com","origin_url":"https://open.spotify.com/track/4uLU6hMCjMI75M1A2tKUQC","#,
            r#""spotify_id":"https://open.spotify.com/track/4uLU6hMCjMI75M1A2tKUQC","#,
            r#""submission_client":"scrobble-operator","tracknumber":3},"#,
            r#""artist_name":"A, B, C, D & E, F feat. G, H / I, J, K, L, M, N, O, P","release_name":"Protection","#,
            r#""track_name":"Karmacoma"}}"#,
        ),
    ),
    (
        &["a featured artist"],
        concat!(
            r#"{"listened_at":1795428000,"track_metadata":{"additional_info":{"artist_names":["Massive Attack","Tricky"],"#,
            r#""duration_ms":316000,"isrc":"GBAAA9400001","music_service":"spotify.com","#,
            r#""origin_url":"https://open.spotify.com/track/4uLU6hMCjMI75M1A2tKUQC","#,
            r#""spotify_id":"https://open.spotify.com/track/4uLU6hMCjMI75M1A2tKUQC","#,
            r#""submission_client":"scrobble-operator","tracknumber":3},"artist_name":"Massive Attack, Tricky","#,
            r#""release_name":"Protection","track_name":"Karmacoma (feat. Tricky) - Portishead Experience"}}"#,
        ),
    ),
    (
        &["artists of which some are odd"],
        concat!(
            r#"{"listened_at":1795428000,"track_metadata":{"additional_info":{"artist_names":["Tricky"],"#,
            r#""duration_ms":316000,"isrc":"GBAAA9400001","music_service":"spotify.com","#,
            r#""origin_url":"https://open.spotify.com/track/4uLU6hMCjMI75M1A2tKUQC","#,
            r#""spotify_id":"https://open.spotify.com/track/4uLU6hMCjMI75M1A2tKUQC","#,
            r#""submission_client":"scrobble-operator","tracknumber":3},"artist_name":"Tricky","#,
            r#""release_name":"Protection","track_name":"Karmacoma"}}"#,
        ),
    ),
    (
        &["an album of various artists"],
        concat!(
            r#"{"listened_at":1795428000,"track_metadata":{"additional_info":{"artist_names":["Massive Attack"],"#,
            r#""duration_ms":316000,"isrc":"GBAAA9400001","music_service":"spotify.com","#,
            r#""origin_url":"https://open.spotify.com/track/4uLU6hMCjMI75M1A2tKUQC","#,
            r#""spotify_id":"https://open.spotify.com/track/4uLU6hMCjMI75M1A2tKUQC","#,
            r#""submission_client":"scrobble-operator","tracknumber":3},"artist_name":"Massive Attack","#,
            r#""release_name":"Trip Hop","track_name":"Karmacoma"}}"#,
        ),
    ),
    (
        &["no album", "album null", "an album without a name", "nul"],
        concat!(
            r#"{"listened_at":1795428000,"track_metadata":{"additional_info":{"artist_names":["Massive Attack"],"#,
            r#""duration_ms":316000,"isrc":"GBAAA9400001","music_service":"spotify.com","#,
            r#""origin_url":"https://open.spotify.com/track/4uLU6hMCjMI75M1A2tKUQC","#,
            r#""spotify_id":"https://open.spotify.com/track/4uLU6hMCjMI75M1A2tKUQC","#,
            r#""submission_client":"scrobble-operator","tracknumber":3},"artist_name":"Massive Attack","#,
            r#""track_name":"Karmacoma"}}"#,
        ),
    ),
    (
        &["no external ids", "external ids without an isrc", "isrc null"],
        concat!(
            r#"{"listened_at":1795428000,"track_metadata":{"additional_info":{"artist_names":["Massive Attack"],"#,
            r#""duration_ms":316000,"music_service":"spotify.com","#,
            r#""origin_url":"https://open.spotify.com/track/4uLU6hMCjMI75M1A2tKUQC","#,
            r#""spotify_id":"https://open.spotify.com/track/4uLU6hMCjMI75M1A2tKUQC","#,
            r#""submission_client":"scrobble-operator","tracknumber":3},"artist_name":"Massive Attack","#,
            r#""release_name":"Protection","track_name":"Karmacoma"}}"#,
        ),
    ),
    (
        &["id null", "no id, no uri"],
        concat!(
            r#"{"listened_at":1795428000,"track_metadata":{"additional_info":{"artist_names":["Massive Attack"],"#,
            r#""duration_ms":316000,"isrc":"GBAAA9400001","music_service":"spotify.com","#,
            r#""submission_client":"scrobble-operator","tracknumber":3},"artist_name":"Massive Attack","#,
            r#""release_name":"Protection","track_name":"Karmacoma"}}"#,
        ),
    ),
    (
        &[
            "no length",
            "a length of zero",
            "a length below zero",
            "a length that is no whole number",
            "a length in words",
            "a length of 25 days",
            "a length beyond all numbers",
        ],
        concat!(
            r#"{"listened_at":1795428000,"track_metadata":{"additional_info":{"artist_names":["Massive Attack"],"#,
            r#""isrc":"GBAAA9400001","music_service":"spotify.com","#,
            r#""origin_url":"https://open.spotify.com/track/4uLU6hMCjMI75M1A2tKUQC","#,
            r#""spotify_id":"https://open.spotify.com/track/4uLU6hMCjMI75M1A2tKUQC","#,
            r#""submission_client":"scrobble-operator","tracknumber":3},"artist_name":"Massive Attack","#,
            r#""release_name":"Protection","track_name":"Karmacoma"}}"#,
        ),
    ),
    (
        &["a length of a millisecond"],
        concat!(
            r#"{"listened_at":1795428000,"track_metadata":{"additional_info":{"artist_names":["Massive Attack"],"#,
            r#""duration_ms":1,"isrc":"GBAAA9400001","music_service":"spotify.com","#,
            r#""origin_url":"https://open.spotify.com/track/4uLU6hMCjMI75M1A2tKUQC","#,
            r#""spotify_id":"https://open.spotify.com/track/4uLU6hMCjMI75M1A2tKUQC","#,
            r#""submission_client":"scrobble-operator","tracknumber":3},"artist_name":"Massive Attack","#,
            r#""release_name":"Protection","track_name":"Karmacoma"}}"#,
        ),
    ),
    (
        &["number zero on the disc"],
        concat!(
            r#"{"listened_at":1795428000,"track_metadata":{"additional_info":{"artist_names":["Massive Attack"],"#,
            r#""duration_ms":316000,"isrc":"GBAAA9400001","music_service":"spotify.com","#,
            r#""origin_url":"https://open.spotify.com/track/4uLU6hMCjMI75M1A2tKUQC","#,
            r#""spotify_id":"https://open.spotify.com/track/4uLU6hMCjMI75M1A2tKUQC","#,
            r#""submission_client":"scrobble-operator"},"artist_name":"Massive Attack","release_name":"Protection","#,
            r#""track_name":"Karmacoma"}}"#,
        ),
    ),
    (
        &["a title of 24 kB"],
        concat!(
            r#"{"listened_at":1795428000,"track_metadata":{"additional_info":{"artist_names":["Massive Attack"],"#,
            r#""duration_ms":316000,"isrc":"GBAAA9400001","music_service":"spotify.com","#,
            r#""origin_url":"https://open.spotify.com/track/4uLU6hMCjMI75M1A2tKUQC","#,
            r#""spotify_id":"https://open.spotify.com/track/4uLU6hMCjMI75M1A2tKUQC","#,
            r#""submission_client":"scrobble-operator","tracknumber":3},"artist_name":"Massive Attack","#,
            r#""release_name":"Protection","track_name":"<2048 times é>"}}"#,
        ),
    ),
    (
        &["every plane"],
        concat!(
            r#"{"listened_at":1795428000,"track_metadata":{"additional_info":{"artist_names":["𝄞🎧"],"duration_ms":316000,"#,
            r#""isrc":"GBAAA9400001","music_service":"spotify.com","#,
            r#""origin_url":"https://open.spotify.com/track/4uLU6hMCjMI75M1A2tKUQC","#,
            r#""spotify_id":"https://open.spotify.com/track/4uLU6hMCjMI75M1A2tKUQC","#,
            r#""submission_client":"scrobble-operator","tracknumber":3},"artist_name":"𝄞🎧","release_name":"𠮷","#,
            r#""track_name":"ꀀ\u{1a000}𪀀\u{3a000}\u{4a000}\u{5a000}\u{6a000}\u{7a000}\u{8a000}\u{9a000}\u{aa000}\u{ba000}\u{ca000}\u{da000}\u{ea000}\u{fa000}\u{10a000}"}}"#,
        ),
    ),
    (
        &["combining marks"],
        concat!(
            r#"{"listened_at":1795428000,"#,
            r#""track_metadata":{"additional_info":{"artist_names":["Z\u{335}\u{322}a\u{334}l"],"duration_ms":316000,"#,
            r#""isrc":"GBAAA9400001","music_service":"spotify.com","#,
            r#""origin_url":"https://open.spotify.com/track/4uLU6hMCjMI75M1A2tKUQC","#,
            r#""spotify_id":"https://open.spotify.com/track/4uLU6hMCjMI75M1A2tKUQC","#,
            r#""submission_client":"scrobble-operator","tracknumber":3},"artist_name":"Z\u{335}\u{322}a\u{334}l","#,
            r#""release_name":"\u{301}","track_name":"e\u{301} is not é"}}"#,
        ),
    ),
    (
        &["bidi"],
        concat!(
            r#"{"listened_at":1795428000,"track_metadata":{"additional_info":{"artist_names":["עברית\u{200f}"],"#,
            r#""duration_ms":316000,"isrc":"GBAAA9400001","music_service":"spotify.com","#,
            r#""origin_url":"https://open.spotify.com/track/4uLU6hMCjMI75M1A2tKUQC","#,
            r#""spotify_id":"https://open.spotify.com/track/4uLU6hMCjMI75M1A2tKUQC","#,
            r#""submission_client":"scrobble-operator","tracknumber":3},"artist_name":"עברית\u{200f}","#,
            r#""release_name":"\u{200e}ab","track_name":"\u{202e}abc\u{202c} \u{2067}كايروكي\u{2069}"}}"#,
        ),
    ),
    (
        &["joined emoji and selectors"],
        concat!(
            r#"{"listened_at":1795428000,"track_metadata":{"additional_info":{"artist_names":["🇸🇪"],"duration_ms":316000,"#,
            r#""isrc":"GBAAA9400001","music_service":"spotify.com","#,
            r#""origin_url":"https://open.spotify.com/track/4uLU6hMCjMI75M1A2tKUQC","#,
            r#""spotify_id":"https://open.spotify.com/track/4uLU6hMCjMI75M1A2tKUQC","#,
            r#""submission_client":"scrobble-operator","tracknumber":3},"artist_name":"🇸🇪","release_name":"\u{feff}x","#,
            r#""track_name":"👩\u{200d}🎤 ❤\u{fe0f}"}}"#,
        ),
    ),
    (
        &["controls and quotes"],
        concat!(
            r#"{"listened_at":1795428000,"track_metadata":{"additional_info":{"artist_names":["<&'>"],"#,
            r#""duration_ms":316000,"isrc":"GBAAA9400001","music_service":"spotify.com","#,
            r#""origin_url":"https://open.spotify.com/track/4uLU6hMCjMI75M1A2tKUQC","#,
            r#""spotify_id":"https://open.spotify.com/track/4uLU6hMCjMI75M1A2tKUQC","#,
            r#""submission_client":"scrobble-operator","tracknumber":3},"artist_name":"<&'>","release_name":"{}","#,
            r#""track_name":"\"\\/\b\f\n\r\t\u0001\u001b\u{7f}\u{2028}"}}"#,
        ),
    ),
    (
        &["blanks around"],
        concat!(
            r#"{"listened_at":1795428000,"track_metadata":{"additional_info":{"artist_names":["\tMassive Attack "],"#,
            r#""duration_ms":316000,"isrc":"GBAAA9400001","music_service":"spotify.com","#,
            r#""origin_url":"https://open.spotify.com/track/4uLU6hMCjMI75M1A2tKUQC","#,
            r#""spotify_id":"https://open.spotify.com/track/4uLU6hMCjMI75M1A2tKUQC","#,
            r#""submission_client":"scrobble-operator","tracknumber":3},"artist_name":"\tMassive Attack ","#,
            r#""release_name":" Protection","track_name":"  Karmacoma\u{a0}"}}"#,
        ),
    ),
    (
        &["a file of the listener's own"],
        concat!(
            r#"{"listened_at":1795428000,"track_metadata":{"additional_info":{"artist_names":["Me"],"duration_ms":120000,"#,
            r#""music_service":"spotify.com","submission_client":"scrobble-operator"},"artist_name":"Me","#,
            r#""track_name":"Demo #1"}}"#,
        ),
    ),
    (
        &["relinked by market"],
        concat!(
            r#"{"listened_at":1795428000,"track_metadata":{"additional_info":{"artist_names":["Massive Attack"],"#,
            r#""duration_ms":316000,"isrc":"GBAAA9400001","music_service":"spotify.com","#,
            r#""origin_url":"https://open.spotify.com/track/1original","#,
            r#""spotify_id":"https://open.spotify.com/track/1original","submission_client":"scrobble-operator","#,
            r#""tracknumber":3},"artist_name":"Massive Attack","release_name":"Protection","track_name":"Karmacoma"}}"#,
        ),
    ),
    (
        &["an audiobook that is an album"],
        concat!(
            r#"{"listened_at":1795428000,"track_metadata":{"additional_info":{"artist_names":["J.R.R. Tolkien"],"#,
            r#""duration_ms":316000,"isrc":"GBAAA9400001","music_service":"spotify.com","#,
            r#""origin_url":"https://open.spotify.com/track/4uLU6hMCjMI75M1A2tKUQC","#,
            r#""spotify_id":"https://open.spotify.com/track/4uLU6hMCjMI75M1A2tKUQC","#,
            r#""submission_client":"scrobble-operator","tracknumber":3},"artist_name":"J.R.R. Tolkien","#,
            r#""release_name":"Der Herr der Ringe (Hörbuch)","track_name":"Kapitel 1 - Der Herr der Ringe"}}"#,
        ),
    ),
];
