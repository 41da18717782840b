//! What Maloja is sent.

use scrobble_operator::adapters::targets::Service;
use serde_json::json;
use wiremock::ResponseTemplate;

use super::Column;

pub const COLUMN: Column = Column {
    name: "Maloja",
    service: |url| Service::Maloja { url, api_key: "api-key".to_owned().into() },
    accepted: || ResponseTemplate::new(200).set_body_json(json!({"status": "success"})),
    payload: |request| {
        let path = (request.method.as_str(), request.url.path(), request.url.query());
        assert_eq!(path, ("POST", "/apis/mlj_1/newscrobble", None));
        String::from_utf8(request.body.clone()).unwrap()
    },
    expected: EXPECTED,
};

const EXPECTED: &[(&[&str], &str)] = &[
    (
        &[
            "everything",
            "no external ids",
            "external ids without an isrc",
            "isrc null",
            "id null",
            "no id, no uri",
            "number zero on the disc",
            "a time without milliseconds",
            "a time with microseconds",
            "a time at an offset",
            "relinked by market",
            "linked from null",
            "linked from nothing",
            "no type",
        ],
        concat!(
            r#"{"album":"Protection","albumartists":["Massive Attack"],"artists":["Massive Attack"],"key":"api-key","#,
            r#""length":316,"nofix":true,"time":1795428000,"title":"Karmacoma"}"#,
        ),
    ),
    (
        &["many artists"],
        concat!(
            r#"{"album":"Protection","albumartists":["Massive Attack"],"artists":["A","B, C","D & E","F feat. G","#,
            r#""H / I","J","K","L","M","N","O","P"],"key":"api-key","length":316,"nofix":true,"time":1795428000,"#,
            r#""title":"Karmacoma"}"#,
        ),
    ),
    (
        &["a featured artist"],
        concat!(
            r#"{"album":"Protection","albumartists":["Massive Attack"],"artists":["Massive Attack","Tricky"],"#,
            r#""key":"api-key","length":316,"nofix":true,"time":1795428000,"#,
            r#""title":"Karmacoma (feat. Tricky) - Portishead Experience"}"#,
        ),
    ),
    (
        &["artists of which some are odd"],
        concat!(
            r#"{"album":"Protection","albumartists":["Massive Attack"],"artists":["Tricky"],"key":"api-key","#,
            r#""length":316,"nofix":true,"time":1795428000,"title":"Karmacoma"}"#,
        ),
    ),
    (
        &["an album of various artists"],
        concat!(
            r#"{"album":"Trip Hop","albumartists":["Various Artists","Me"],"artists":["Massive Attack"],"#,
            r#""key":"api-key","length":316,"nofix":true,"time":1795428000,"title":"Karmacoma"}"#,
        ),
    ),
    (
        &["no album", "album null", "an album without a name", "nul"],
        concat!(
            r#"{"artists":["Massive Attack"],"key":"api-key","length":316,"nofix":true,"time":1795428000,"#,
            r#""title":"Karmacoma"}"#,
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
            r#"{"album":"Protection","albumartists":["Massive Attack"],"artists":["Massive Attack"],"key":"api-key","#,
            r#""nofix":true,"time":1795428000,"title":"Karmacoma"}"#,
        ),
    ),
    (
        &["a length of 25 days"],
        concat!(
            r#"{"album":"Protection","albumartists":["Massive Attack"],"artists":["Massive Attack"],"key":"api-key","#,
            r#""length":2160000,"nofix":true,"time":1795428000,"title":"Karmacoma"}"#,
        ),
    ),
    (
        &["a title of 24 kB"],
        concat!(
            r#"{"album":"Protection","albumartists":["Massive Attack"],"artists":["Massive Attack"],"key":"api-key","#,
            r#""length":316,"nofix":true,"time":1795428000,"title":"<2048 times é>"}"#,
        ),
    ),
    (
        &["every plane"],
        concat!(
            r#"{"album":"𠮷","albumartists":["𝄞🎧"],"artists":["𝄞🎧"],"key":"api-key","length":316,"nofix":true,"#,
            r#""time":1795428000,"#,
            r#""title":"ꀀ\u{1a000}𪀀\u{3a000}\u{4a000}\u{5a000}\u{6a000}\u{7a000}\u{8a000}\u{9a000}\u{aa000}\u{ba000}\u{ca000}\u{da000}\u{ea000}\u{fa000}\u{10a000}"}"#,
        ),
    ),
    (
        &["combining marks"],
        concat!(
            r#"{"album":"\u{301}","albumartists":["Z\u{335}\u{322}a\u{334}l"],"artists":["Z\u{335}\u{322}a\u{334}l"],"#,
            r#""key":"api-key","length":316,"nofix":true,"time":1795428000,"title":"e\u{301} is not é"}"#,
        ),
    ),
    (
        &["bidi"],
        concat!(
            r#"{"album":"\u{200e}ab","albumartists":["עברית\u{200f}"],"artists":["עברית\u{200f}"],"key":"api-key","#,
            r#""length":316,"nofix":true,"time":1795428000,"#,
            r#""title":"\u{202e}abc\u{202c} \u{2067}كايروكي\u{2069}"}"#,
        ),
    ),
    (
        &["joined emoji and selectors"],
        concat!(
            r#"{"album":"\u{feff}x","albumartists":["🇸🇪"],"artists":["🇸🇪"],"key":"api-key","length":316,"nofix":true,"#,
            r#""time":1795428000,"title":"👩\u{200d}🎤 ❤\u{fe0f}"}"#,
        ),
    ),
    (
        &["controls and quotes"],
        concat!(
            r#"{"album":"{}","albumartists":["<&'>"],"artists":["<&'>"],"key":"api-key","length":316,"nofix":true,"#,
            r#""time":1795428000,"title":"\"\\/\b\f\n\r\t\u0001\u001b\u{7f}\u{2028}"}"#,
        ),
    ),
    (
        &["blanks around"],
        concat!(
            r#"{"album":" Protection","albumartists":["\tMassive Attack "],"artists":["\tMassive Attack "],"#,
            r#""key":"api-key","length":316,"nofix":true,"time":1795428000,"title":"  Karmacoma\u{a0}"}"#,
        ),
    ),
    (
        &["a file of the listener's own"],
        r#"{"artists":["Me"],"key":"api-key","length":120,"nofix":true,"time":1795428000,"title":"Demo #1"}"#,
    ),
    (
        &["an audiobook that is an album"],
        concat!(
            r#"{"album":"Der Herr der Ringe (Hörbuch)","albumartists":["J.R.R. Tolkien"],"#,
            r#""artists":["J.R.R. Tolkien"],"key":"api-key","length":316,"nofix":true,"time":1795428000,"#,
            r#""title":"Kapitel 1 - Der Herr der Ringe"}"#,
        ),
    ),
];
