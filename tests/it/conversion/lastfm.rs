//! What Last.fm is sent: the form's parameters in the byte order of their names, without those that all calls have.

use scrobble_operator::adapters::targets::Service;
use serde_json::json;
use wiremock::{Request, ResponseTemplate};

use super::Column;

pub const COLUMN: Column = Column {
    name: "Last.fm",
    service: |url| Service::LastFm {
        url: url.join("/2.0/").unwrap(),
        api_key: "api-key".to_owned().into(),
        shared_secret: "shared-secret".to_owned().into(),
        session_key: "session-key".to_owned().into(),
    },
    accepted: || {
        let entry = json!({"ignoredMessage": {"code": "0", "#text": ""}});
        ResponseTemplate::new(200).set_body_json(json!({"scrobbles": {"scrobble": entry}}))
    },
    payload: |request| {
        assert_eq!((request.method.as_str(), request.url.path(), request.url.query()), ("POST", "/2.0/", None));
        let (calls, plays): (Vec<_>, Vec<_>) =
            parameters(request).into_iter().partition(|(name, _)| !name.contains('['));
        let calls: Vec<(&str, &str)> = calls
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .filter(|(name, _)| *name != "api_sig")
            .collect();
        let own = [("api_key", "api-key"), ("format", "json"), ("method", "track.scrobble"), ("sk", "session-key")];
        assert_eq!(calls, own, "{plays:?}");
        let plays = plays.iter().map(|(name, value)| format!("{name}={}", json!(value)));
        plays.collect::<Vec<String>>().join(" ")
    },
    expected: EXPECTED,
};

fn parameters(request: &Request) -> Vec<(String, String)> {
    let mut parameters: Vec<(String, String)> = url::form_urlencoded::parse(&request.body).into_owned().collect();
    parameters.sort();
    parameters
}

const EXPECTED: &[(&[&str], &str)] = &[
    (
        &[
            "everything",
            "no external ids",
            "external ids without an isrc",
            "isrc null",
            "id null",
            "no id, no uri",
            "a time without milliseconds",
            "a time with microseconds",
            "a time at an offset",
            "relinked by market",
            "linked from null",
            "linked from nothing",
            "no type",
        ],
        concat!(
            r#"album[0]="Protection" artist[0]="Massive Attack" duration[0]="316" timestamp[0]="1795428000" "#,
            r#"trackNumber[0]="3" track[0]="Karmacoma""#,
        ),
    ),
    (
        &["many artists"],
        concat!(
            r#"albumArtist[0]="Massive Attack" album[0]="Protection" artist[0]="A" duration[0]="316" "#,
            r#"timestamp[0]="1795428000" trackNumber[0]="3" track[0]="Karmacoma""#,
        ),
    ),
    (
        &["a featured artist"],
        concat!(
            r#"album[0]="Protection" artist[0]="Massive Attack" duration[0]="316" timestamp[0]="1795428000" "#,
            r#"trackNumber[0]="3" track[0]="Karmacoma (feat. Tricky) - Portishead Experience""#,
        ),
    ),
    (
        &["artists of which some are odd"],
        concat!(
            r#"albumArtist[0]="Massive Attack" album[0]="Protection" artist[0]="Tricky" duration[0]="316" "#,
            r#"timestamp[0]="1795428000" trackNumber[0]="3" track[0]="Karmacoma""#,
        ),
    ),
    (
        &["an album of various artists"],
        concat!(
            r#"album[0]="Trip Hop" artist[0]="Massive Attack" duration[0]="316" timestamp[0]="1795428000" "#,
            r#"trackNumber[0]="3" track[0]="Karmacoma""#,
        ),
    ),
    (
        &["no album", "album null", "an album without a name", "nul"],
        concat!(
            r#"artist[0]="Massive Attack" duration[0]="316" timestamp[0]="1795428000" trackNumber[0]="3" "#,
            r#"track[0]="Karmacoma""#,
        ),
    ),
    (
        &[
            "no length",
            "a length of zero",
            "a length below zero",
            "a length that is no whole number",
            "a length in words",
            "a length of a millisecond",
            "a length beyond all numbers",
        ],
        concat!(
            r#"album[0]="Protection" artist[0]="Massive Attack" timestamp[0]="1795428000" trackNumber[0]="3" "#,
            r#"track[0]="Karmacoma""#,
        ),
    ),
    (
        &["a length of 25 days"],
        concat!(
            r#"album[0]="Protection" artist[0]="Massive Attack" duration[0]="2160000" timestamp[0]="1795428000" "#,
            r#"trackNumber[0]="3" track[0]="Karmacoma""#,
        ),
    ),
    (
        &["number zero on the disc"],
        concat!(
            r#"album[0]="Protection" artist[0]="Massive Attack" duration[0]="316" timestamp[0]="1795428000" "#,
            r#"track[0]="Karmacoma""#,
        ),
    ),
    (
        &["a title of 24 kB"],
        concat!(
            r#"album[0]="Protection" artist[0]="Massive Attack" duration[0]="316" timestamp[0]="1795428000" "#,
            r#"trackNumber[0]="3" track[0]="<2048 times é>""#,
        ),
    ),
    (
        &["every plane"],
        concat!(
            r#"album[0]="𠮷" artist[0]="𝄞🎧" duration[0]="316" timestamp[0]="1795428000" trackNumber[0]="3" "#,
            r#"track[0]="ꀀ\u{1a000}𪀀\u{3a000}\u{4a000}\u{5a000}\u{6a000}\u{7a000}\u{8a000}\u{9a000}\u{aa000}\u{ba000}\u{ca000}\u{da000}\u{ea000}\u{fa000}\u{10a000}""#,
        ),
    ),
    (
        &["combining marks"],
        concat!(
            r#"album[0]="\u{301}" artist[0]="Z\u{335}\u{322}a\u{334}l" duration[0]="316" timestamp[0]="1795428000" "#,
            r#"trackNumber[0]="3" track[0]="e\u{301} is not é""#,
        ),
    ),
    (
        &["bidi"],
        concat!(
            r#"album[0]="\u{200e}ab" artist[0]="עברית\u{200f}" duration[0]="316" timestamp[0]="1795428000" "#,
            r#"trackNumber[0]="3" track[0]="\u{202e}abc\u{202c} \u{2067}كايروكي\u{2069}""#,
        ),
    ),
    (
        &["joined emoji and selectors"],
        concat!(
            r#"album[0]="\u{feff}x" artist[0]="🇸🇪" duration[0]="316" timestamp[0]="1795428000" trackNumber[0]="3" "#,
            r#"track[0]="👩\u{200d}🎤 ❤\u{fe0f}""#,
        ),
    ),
    (
        &["controls and quotes"],
        concat!(
            r#"album[0]="{}" artist[0]="<&'>" duration[0]="316" timestamp[0]="1795428000" trackNumber[0]="3" "#,
            r#"track[0]="\"\\/\b\f\n\r\t\u0001\u001b\u{7f}\u{2028}""#,
        ),
    ),
    (
        &["blanks around"],
        concat!(
            r#"album[0]=" Protection" artist[0]="\tMassive Attack " duration[0]="316" timestamp[0]="1795428000" "#,
            r#"trackNumber[0]="3" track[0]="  Karmacoma\u{a0}""#,
        ),
    ),
    (
        &["a file of the listener's own"],
        r#"artist[0]="Me" duration[0]="120" timestamp[0]="1795428000" track[0]="Demo #1""#,
    ),
    (
        &["an audiobook that is an album"],
        concat!(
            r#"album[0]="Der Herr der Ringe (Hörbuch)" artist[0]="J.R.R. Tolkien" duration[0]="316" "#,
            r#"timestamp[0]="1795428000" trackNumber[0]="3" track[0]="Kapitel 1 - Der Herr der Ringe""#,
        ),
    ),
];
