//! What a webhook is sent.

use scrobble_operator::adapters::targets::Service;
use wiremock::ResponseTemplate;

use super::Column;

pub const COLUMN: Column = Column {
    name: "webhook",
    service: |url| Service::Webhook {
        url,
        signing_key: None,
        target: "music/archive".to_owned(),
        listener: "alice".to_owned(),
    },
    accepted: || ResponseTemplate::new(204),
    payload: |request| String::from_utf8(request.body.clone()).unwrap(),
    expected: EXPECTED,
};

const EXPECTED: &[(&[&str], &str)] = &[
    (
        &["everything", "id null", "a time with microseconds", "linked from null", "linked from nothing", "no type"],
        concat!(
            r#"{"id":"019a818525f6bd2282163a86a4cec3ea","listener":{"spotifyAccountId":"alice"},"#,
            r#""playedAt":"2026-11-23T10:00:00.381Z","schema":"scrobble-operator.io/play/v1","timestamp":1795428000,"#,
            r#""track":{"album":"Protection","albumArtists":["Massive Attack"],"artists":["Massive Attack"],"#,
            r#""durationMs":316000,"isrc":"GBAAA9400001","title":"Karmacoma","trackNumber":3,"#,
            r#""uri":"spotify:track:4uLU6hMCjMI75M1A2tKUQC"}}"#,
        ),
    ),
    (
        &["many artists"],
        concat!(
            r#"{"id":"019a818525f6bd2282163a86a4cec3ea","listener":{"spotifyAccountId":"alice"},"#,
            r#""playedAt":"2026-11-23T10:00:00.381Z","schema":"scrobble-operator.io/play/v1","timestamp":1795428000,"#,
            r#""track":{"album":"Protection","albumArtists":["Massive Attack"],"artists":["A","B, C","D & E","F feat. G","#,
            r#""H / I","J","K","L","M","N","O","P"],"durationMs":316000,"isrc":"GBAAA9400001","title":"Karmacoma","#,
            r#""trackNumber":3,"uri":"spotify:track:4uLU6hMCjMI75M1A2tKUQC"}}"#,
        ),
    ),
    (
        &["a featured artist"],
        concat!(
            r#"{"id":"019a818525f6bd2282163a86a4cec3ea","listener":{"spotifyAccountId":"alice"},"#,
            r#""playedAt":"2026-11-23T10:00:00.381Z","schema":"scrobble-operator.io/play/v1","timestamp":1795428000,"#,
            r#""track":{"album":"Protection","albumArtists":["Massive Attack"],"artists":["Massive Attack","Tricky"],"#,
            r#""durationMs":316000,"isrc":"GBAAA9400001","title":"Karmacoma (feat. Tricky) - Portishead Experience","#,
            r#""trackNumber":3,"uri":"spotify:track:4uLU6hMCjMI75M1A2tKUQC"}}"#,
        ),
    ),
    (
        &["artists of which some are odd"],
        concat!(
            r#"{"id":"019a818525f6bd2282163a86a4cec3ea","listener":{"spotifyAccountId":"alice"},"#,
            r#""playedAt":"2026-11-23T10:00:00.381Z","schema":"scrobble-operator.io/play/v1","timestamp":1795428000,"#,
            r#""track":{"album":"Protection","albumArtists":["Massive Attack"],"artists":["Tricky"],"durationMs":316000,"#,
            r#""isrc":"GBAAA9400001","title":"Karmacoma","trackNumber":3,"uri":"spotify:track:4uLU6hMCjMI75M1A2tKUQC"}}"#,
        ),
    ),
    (
        &["an album of various artists"],
        concat!(
            r#"{"id":"019a818525f6bd2282163a86a4cec3ea","listener":{"spotifyAccountId":"alice"},"#,
            r#""playedAt":"2026-11-23T10:00:00.381Z","schema":"scrobble-operator.io/play/v1","timestamp":1795428000,"#,
            r#""track":{"album":"Trip Hop","albumArtists":["Various Artists","Me"],"artists":["Massive Attack"],"#,
            r#""durationMs":316000,"isrc":"GBAAA9400001","title":"Karmacoma","trackNumber":3,"#,
            r#""uri":"spotify:track:4uLU6hMCjMI75M1A2tKUQC"}}"#,
        ),
    ),
    (
        &["no album", "album null", "an album without a name"],
        concat!(
            r#"{"id":"019a818525f6bd2282163a86a4cec3ea","listener":{"spotifyAccountId":"alice"},"#,
            r#""playedAt":"2026-11-23T10:00:00.381Z","schema":"scrobble-operator.io/play/v1","timestamp":1795428000,"#,
            r#""track":{"album":null,"albumArtists":[],"artists":["Massive Attack"],"durationMs":316000,"#,
            r#""isrc":"GBAAA9400001","title":"Karmacoma","trackNumber":3,"uri":"spotify:track:4uLU6hMCjMI75M1A2tKUQC"}}"#,
        ),
    ),
    (
        &["no external ids", "external ids without an isrc", "isrc null"],
        concat!(
            r#"{"id":"019a818525f6bd2282163a86a4cec3ea","listener":{"spotifyAccountId":"alice"},"#,
            r#""playedAt":"2026-11-23T10:00:00.381Z","schema":"scrobble-operator.io/play/v1","timestamp":1795428000,"#,
            r#""track":{"album":"Protection","albumArtists":["Massive Attack"],"artists":["Massive Attack"],"#,
            r#""durationMs":316000,"isrc":null,"title":"Karmacoma","trackNumber":3,"#,
            r#""uri":"spotify:track:4uLU6hMCjMI75M1A2tKUQC"}}"#,
        ),
    ),
    (
        &["no id, no uri"],
        concat!(
            r#"{"id":"8092820303d7534ca443f2314634e79d","listener":{"spotifyAccountId":"alice"},"#,
            r#""playedAt":"2026-11-23T10:00:00.381Z","schema":"scrobble-operator.io/play/v1","timestamp":1795428000,"#,
            r#""track":{"album":"Protection","albumArtists":["Massive Attack"],"artists":["Massive Attack"],"#,
            r#""durationMs":316000,"isrc":"GBAAA9400001","title":"Karmacoma","trackNumber":3,"uri":null}}"#,
        ),
    ),
    (
        &[
            "no length",
            "a length of zero",
            "a length below zero",
            "a length that is no whole number",
            "a length in words",
            "a length beyond all numbers",
        ],
        concat!(
            r#"{"id":"019a818525f6bd2282163a86a4cec3ea","listener":{"spotifyAccountId":"alice"},"#,
            r#""playedAt":"2026-11-23T10:00:00.381Z","schema":"scrobble-operator.io/play/v1","timestamp":1795428000,"#,
            r#""track":{"album":"Protection","albumArtists":["Massive Attack"],"artists":["Massive Attack"],"#,
            r#""durationMs":null,"isrc":"GBAAA9400001","title":"Karmacoma","trackNumber":3,"#,
            r#""uri":"spotify:track:4uLU6hMCjMI75M1A2tKUQC"}}"#,
        ),
    ),
    (
        &["a length of a millisecond"],
        concat!(
            r#"{"id":"019a818525f6bd2282163a86a4cec3ea","listener":{"spotifyAccountId":"alice"},"#,
            r#""playedAt":"2026-11-23T10:00:00.381Z","schema":"scrobble-operator.io/play/v1","timestamp":1795428000,"#,
            r#""track":{"album":"Protection","albumArtists":["Massive Attack"],"artists":["Massive Attack"],"#,
            r#""durationMs":1,"isrc":"GBAAA9400001","title":"Karmacoma","trackNumber":3,"#,
            r#""uri":"spotify:track:4uLU6hMCjMI75M1A2tKUQC"}}"#,
        ),
    ),
    (
        &["a length of 25 days"],
        concat!(
            r#"{"id":"019a818525f6bd2282163a86a4cec3ea","listener":{"spotifyAccountId":"alice"},"#,
            r#""playedAt":"2026-11-23T10:00:00.381Z","schema":"scrobble-operator.io/play/v1","timestamp":1795428000,"#,
            r#""track":{"album":"Protection","albumArtists":["Massive Attack"],"artists":["Massive Attack"],"#,
            r#""durationMs":2160000000,"isrc":"GBAAA9400001","title":"Karmacoma","trackNumber":3,"#,
            r#""uri":"spotify:track:4uLU6hMCjMI75M1A2tKUQC"}}"#,
        ),
    ),
    (
        &["number zero on the disc"],
        concat!(
            r#"{"id":"019a818525f6bd2282163a86a4cec3ea","listener":{"spotifyAccountId":"alice"},"#,
            r#""playedAt":"2026-11-23T10:00:00.381Z","schema":"scrobble-operator.io/play/v1","timestamp":1795428000,"#,
            r#""track":{"album":"Protection","albumArtists":["Massive Attack"],"artists":["Massive Attack"],"#,
            r#""durationMs":316000,"isrc":"GBAAA9400001","title":"Karmacoma","trackNumber":null,"#,
            r#""uri":"spotify:track:4uLU6hMCjMI75M1A2tKUQC"}}"#,
        ),
    ),
    (
        &["a time without milliseconds"],
        concat!(
            r#"{"id":"871f232d54dac8005428037b5b4b8aeb","listener":{"spotifyAccountId":"alice"},"#,
            r#""playedAt":"2026-11-23T10:00:00.000Z","schema":"scrobble-operator.io/play/v1","timestamp":1795428000,"#,
            r#""track":{"album":"Protection","albumArtists":["Massive Attack"],"artists":["Massive Attack"],"#,
            r#""durationMs":316000,"isrc":"GBAAA9400001","title":"Karmacoma","trackNumber":3,"#,
            r#""uri":"spotify:track:4uLU6hMCjMI75M1A2tKUQC"}}"#,
        ),
    ),
    (
        &["a time at an offset"],
        concat!(
            r#"{"id":"6654c9236129c3def522e5a25cec4826","listener":{"spotifyAccountId":"alice"},"#,
            r#""playedAt":"2026-11-23T10:00:00.999Z","schema":"scrobble-operator.io/play/v1","timestamp":1795428000,"#,
            r#""track":{"album":"Protection","albumArtists":["Massive Attack"],"artists":["Massive Attack"],"#,
            r#""durationMs":316000,"isrc":"GBAAA9400001","title":"Karmacoma","trackNumber":3,"#,
            r#""uri":"spotify:track:4uLU6hMCjMI75M1A2tKUQC"}}"#,
        ),
    ),
    (
        &["a title of 24 kB"],
        concat!(
            r#"{"id":"019a818525f6bd2282163a86a4cec3ea","listener":{"spotifyAccountId":"alice"},"#,
            r#""playedAt":"2026-11-23T10:00:00.381Z","schema":"scrobble-operator.io/play/v1","timestamp":1795428000,"#,
            r#""track":{"album":"Protection","albumArtists":["Massive Attack"],"artists":["Massive Attack"],"#,
            r#""durationMs":316000,"isrc":"GBAAA9400001","title":"<2048 times é>","trackNumber":3,"#,
            r#""uri":"spotify:track:4uLU6hMCjMI75M1A2tKUQC"}}"#,
        ),
    ),
    (
        &["every plane"],
        concat!(
            r#"{"id":"019a818525f6bd2282163a86a4cec3ea","listener":{"spotifyAccountId":"alice"},"#,
            r#""playedAt":"2026-11-23T10:00:00.381Z","schema":"scrobble-operator.io/play/v1","timestamp":1795428000,"#,
            r#""track":{"album":"𠮷","albumArtists":["𝄞🎧"],"artists":["𝄞🎧"],"durationMs":316000,"isrc":"GBAAA9400001","#,
            r#""title":"ꀀ\u{1a000}𪀀\u{3a000}\u{4a000}\u{5a000}\u{6a000}\u{7a000}\u{8a000}\u{9a000}\u{aa000}\u{ba000}\u{ca000}\u{da000}\u{ea000}\u{fa000}\u{10a000}","#,
            r#""trackNumber":3,"uri":"spotify:track:4uLU6hMCjMI75M1A2tKUQC"}}"#,
        ),
    ),
    (
        &["combining marks"],
        concat!(
            r#"{"id":"019a818525f6bd2282163a86a4cec3ea","listener":{"spotifyAccountId":"alice"},"#,
            r#""playedAt":"2026-11-23T10:00:00.381Z","schema":"scrobble-operator.io/play/v1","timestamp":1795428000,"#,
            r#""track":{"album":"\u{301}","albumArtists":["Z\u{335}\u{322}a\u{334}l"],"#,
            r#""artists":["Z\u{335}\u{322}a\u{334}l"],"durationMs":316000,"isrc":"GBAAA9400001","#,
            r#""title":"e\u{301} is not é","trackNumber":3,"uri":"spotify:track:4uLU6hMCjMI75M1A2tKUQC"}}"#,
        ),
    ),
    (
        &["bidi"],
        concat!(
            r#"{"id":"019a818525f6bd2282163a86a4cec3ea","listener":{"spotifyAccountId":"alice"},"#,
            r#""playedAt":"2026-11-23T10:00:00.381Z","schema":"scrobble-operator.io/play/v1","timestamp":1795428000,"#,
            r#""track":{"album":"\u{200e}ab","albumArtists":["עברית\u{200f}"],"artists":["עברית\u{200f}"],"#,
            r#""durationMs":316000,"isrc":"GBAAA9400001","title":"\u{202e}abc\u{202c} \u{2067}كايروكي\u{2069}","#,
            r#""trackNumber":3,"uri":"spotify:track:4uLU6hMCjMI75M1A2tKUQC"}}"#,
        ),
    ),
    (
        &["joined emoji and selectors"],
        concat!(
            r#"{"id":"019a818525f6bd2282163a86a4cec3ea","listener":{"spotifyAccountId":"alice"},"#,
            r#""playedAt":"2026-11-23T10:00:00.381Z","schema":"scrobble-operator.io/play/v1","timestamp":1795428000,"#,
            r#""track":{"album":"\u{feff}x","albumArtists":["🇸🇪"],"artists":["🇸🇪"],"durationMs":316000,"#,
            r#""isrc":"GBAAA9400001","title":"👩\u{200d}🎤 ❤\u{fe0f}","trackNumber":3,"#,
            r#""uri":"spotify:track:4uLU6hMCjMI75M1A2tKUQC"}}"#,
        ),
    ),
    (
        &["nul"],
        concat!(
            r#"{"id":"019a818525f6bd2282163a86a4cec3ea","listener":{"spotifyAccountId":"alice"},"#,
            r#""playedAt":"2026-11-23T10:00:00.381Z","schema":"scrobble-operator.io/play/v1","timestamp":1795428000,"#,
            r#""track":{"album":null,"albumArtists":["Massive Attack"],"artists":["Massive Attack"],"durationMs":316000,"#,
            r#""isrc":"GBAAA9400001","title":"Karmacoma","trackNumber":3,"uri":"spotify:track:4uLU6hMCjMI75M1A2tKUQC"}}"#,
        ),
    ),
    (
        &["controls and quotes"],
        concat!(
            r#"{"id":"019a818525f6bd2282163a86a4cec3ea","listener":{"spotifyAccountId":"alice"},"#,
            r#""playedAt":"2026-11-23T10:00:00.381Z","schema":"scrobble-operator.io/play/v1","timestamp":1795428000,"#,
            r#""track":{"album":"{}","albumArtists":["<&'>"],"artists":["<&'>"],"durationMs":316000,"#,
            r#""isrc":"GBAAA9400001","title":"\"\\/\b\f\n\r\t\u0001\u001b\u{7f}\u{2028}","trackNumber":3,"#,
            r#""uri":"spotify:track:4uLU6hMCjMI75M1A2tKUQC"}}"#,
        ),
    ),
    (
        &["blanks around"],
        concat!(
            r#"{"id":"019a818525f6bd2282163a86a4cec3ea","listener":{"spotifyAccountId":"alice"},"#,
            r#""playedAt":"2026-11-23T10:00:00.381Z","schema":"scrobble-operator.io/play/v1","timestamp":1795428000,"#,
            r#""track":{"album":" Protection","albumArtists":["\tMassive Attack "],"artists":["\tMassive Attack "],"#,
            r#""durationMs":316000,"isrc":"GBAAA9400001","title":"  Karmacoma\u{a0}","trackNumber":3,"#,
            r#""uri":"spotify:track:4uLU6hMCjMI75M1A2tKUQC"}}"#,
        ),
    ),
    (
        &["a file of the listener's own"],
        concat!(
            r#"{"id":"a0893e40b3ca74b39e829e0fbc3057b8","listener":{"spotifyAccountId":"alice"},"#,
            r#""playedAt":"2026-11-23T10:00:00.381Z","schema":"scrobble-operator.io/play/v1","timestamp":1795428000,"#,
            r#""track":{"album":null,"albumArtists":[],"artists":["Me"],"durationMs":120000,"isrc":null,"#,
            r#""title":"Demo #1","trackNumber":null,"uri":"spotify:local:Me:Some+Demos:Demo+%231:120"}}"#,
        ),
    ),
    (
        &["relinked by market"],
        concat!(
            r#"{"id":"5f0968c2e36191344b39854f0d7d9514","listener":{"spotifyAccountId":"alice"},"#,
            r#""playedAt":"2026-11-23T10:00:00.381Z","schema":"scrobble-operator.io/play/v1","timestamp":1795428000,"#,
            r#""track":{"album":"Protection","albumArtists":["Massive Attack"],"artists":["Massive Attack"],"#,
            r#""durationMs":316000,"isrc":"GBAAA9400001","title":"Karmacoma","trackNumber":3,"#,
            r#""uri":"spotify:track:1original"}}"#,
        ),
    ),
    (
        &["an audiobook that is an album"],
        concat!(
            r#"{"id":"019a818525f6bd2282163a86a4cec3ea","listener":{"spotifyAccountId":"alice"},"#,
            r#""playedAt":"2026-11-23T10:00:00.381Z","schema":"scrobble-operator.io/play/v1","timestamp":1795428000,"#,
            r#""track":{"album":"Der Herr der Ringe (Hörbuch)","albumArtists":["J.R.R. Tolkien"],"#,
            r#""artists":["J.R.R. Tolkien"],"durationMs":316000,"isrc":"GBAAA9400001","#,
            r#""title":"Kapitel 1 - Der Herr der Ringe","trackNumber":3,"uri":"spotify:track:4uLU6hMCjMI75M1A2tKUQC"}}"#,
        ),
    ),
];
