//! The bytes that are sent, and who they are signed by.

mod answers;
mod document;
mod questions;
mod simulator;

use serde_json::{Value, json};
use wiremock::{Request, ResponseTemplate};

use super::super::testing::{full_play, only, scrobble, scrobbles, shapes, submit};
use super::*;
use crate::adapters::targets::Service;
use crate::domain::play::Play;

const API_KEY: &str = "0a1b2c3d4e5f60718293a4b5c6d7e8f9";
const SHARED_SECRET: &str = "f9e8d7c6b5a4938271605f4e3d2c1b0a";
const SESSION_KEY: &str = "d580d57f32848f5dcf574d1ce18d78b2";

fn service(uri: &str) -> Service {
    Service::LastFm {
        url: format!("{uri}/2.0/").parse().unwrap(),
        api_key: API_KEY.to_owned().into(),
        shared_secret: SHARED_SECRET.to_owned().into(),
        session_key: SESSION_KEY.to_owned().into(),
    }
}

fn json(status: u16, body: &Value) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_json(body)
}

/// One entry of an answer, with its code as Last.fm writes it.
fn entry(code: &str) -> Value {
    let text = |text: &str| json!({"corrected": "0", "#text": text});
    json!({
        "artist": text("Massive Attack"),
        "track": text("Karmacoma"),
        "album": text("Protection"),
        "albumArtist": text(""),
        "timestamp": "1795428000",
        "ignoredMessage": {"code": code, "#text": ""},
    })
}

/// An answer with these codes: a single entry is no list.
fn codes(codes: &[&str]) -> ResponseTemplate {
    let entries: Vec<Value> = codes.iter().map(|code| entry(code)).collect();
    let entries = if entries.len() == 1 { entries[0].clone() } else { json!(entries) };
    json(200, &json!({"scrobbles": {"scrobble": entries, "@attr": {"accepted": 1, "ignored": 0}}}))
}

/// An error as the service words it.
fn error(code: u32, status: u16) -> ResponseTemplate {
    json(status, &json!({"error": code, "message": "Invalid something - ask somebody"}))
}

/// An error as a proxy words it.
fn page(status: u16) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_raw("<html><h1>Bad gateway</h1></html>", "text/html; charset=utf-8")
}

fn form(request: &Request) -> Vec<(String, String)> {
    url::form_urlencoded::parse(&request.body).into_owned().collect()
}

/// The value of one parameter.
fn parameter(request: &Request, name: &str) -> Option<String> {
    form(request).into_iter().find(|(known, _)| known == name).map(|(_, value)| value)
}

/// The body of a scrobble without the keys before and the signature after its plays.
async fn plays_as_sent(scrobbles: &[Scrobble]) -> String {
    let answers = vec!["0"; scrobbles.len()];
    let (submission, requests) = submit(service, codes(&answers), scrobbles).await;
    assert_eq!(submission, Submission::all(scrobbles.len(), &Delivery::Accepted));
    let body = std::str::from_utf8(&requests[0].body).unwrap();
    let start = format!("method=track.scrobble&api_key={API_KEY}&sk={SESSION_KEY}&");
    let (plays, rest) = body.strip_prefix(&start).unwrap().split_once("&api_sig=").unwrap();
    assert_eq!((rest.len(), &rest[32..]), (44, "&format=json"));
    plays.to_owned()
}

async fn play_as_sent(play: Play) -> String {
    plays_as_sent(&[scrobble(play)]).await
}

#[tokio::test]
async fn every_shape_of_play_has_its_own_bytes() {
    let expected = [
        concat!(
            "artist%5B0%5D=Massive+Attack&track%5B0%5D=Karmacoma&timestamp%5B0%5D=1795428000&",
            "album%5B0%5D=Protection&trackNumber%5B0%5D=3&duration%5B0%5D=316",
        ),
        "artist%5B0%5D=Massive+Attack&track%5B0%5D=Karmacoma&timestamp%5B0%5D=1795428000",
        "artist%5B0%5D=Me&track%5B0%5D=Demo&timestamp%5B0%5D=1795428000&duration%5B0%5D=120",
        concat!(
            "artist%5B0%5D=%CE%A3&",
            "track%5B0%5D=%22%C3%87a%22+%5C+%E5%A4%9C%E3%81%AB%E9%A7%86%E3%81%91%E3%82%8B%0A%F0%9D%84%9E%F0%9F%8E%A7%E2%80%A8&",
            "timestamp%5B0%5D=1795428000&album%5B0%5D=%3C%2Fscript%3E%09%7F&duration%5B0%5D=316",
        ),
        "artist%5B0%5D=Massive+Attack&track%5B0%5D=Karmacoma&timestamp%5B0%5D=1795428000",
        concat!(
            "artist%5B0%5D=Massive+Attack&track%5B0%5D=Karmacoma&timestamp%5B0%5D=1795428000&",
            "album%5B0%5D=Protection&duration%5B0%5D=86400",
        ),
    ];
    let shapes = shapes();
    assert_eq!(shapes.len(), expected.len());
    for ((name, play), plays) in shapes.iter().zip(expected) {
        assert_eq!(play_as_sent(play.clone()).await, plays, "{name}");
    }
    let all: Vec<Scrobble> = shapes.into_iter().map(|(_, play)| scrobble(play)).collect();
    let indexed = expected.iter().enumerate().map(|(index, play)| play.replace("%5B0%5D", &format!("%5B{index}%5D")));
    let together = indexed.collect::<Vec<String>>().join("&");
    assert_eq!(plays_as_sent(&all).await, together, "a play is told alike in company");
}

#[tokio::test]
async fn what_last_fm_stumbles_over_is_left_out() {
    let sent = async |play: Play, name: &str| {
        let plays = play_as_sent(play).await;
        let pairs: Vec<(String, String)> = url::form_urlencoded::parse(plays.as_bytes()).into_owned().collect();
        assert!(pairs.iter().all(|(_, value)| !value.trim().is_empty()), "{plays}");
        pairs.into_iter().find(|(known, _)| *known == format!("{name}[0]")).map(|(_, value)| value)
    };
    for (milliseconds, expected) in [
        (Some(30_000), Some("30")),
        (Some(29_999), None),
        (Some(1), None),
        (Some(0), None),
        (Some(-30_000), None),
        (None, None),
        (Some(30_999), Some("30")),
    ] {
        let play = Play { duration_ms: milliseconds, ..full_play() };
        assert_eq!(sent(play, "duration").await.as_deref(), expected, "{milliseconds:?}");
    }
    for (names, expected) in [
        (vec![], None),
        (vec!["Massive Attack"], None),
        (vec!["VA"], None),
        (vec!["va"], None),
        (vec!["Various Artists"], None),
        (vec!["various artists"], None),
        (vec![""], None),
        (vec!["Tricky"], Some("Tricky")),
        (vec!["Tricky", "Massive Attack"], Some("Tricky")),
        (vec!["Various Artists United"], Some("Various Artists United")),
    ] {
        let album_artists = names.iter().map(|name| (*name).to_owned()).collect();
        let play = Play { album_artists, ..full_play() };
        assert_eq!(sent(play, "albumArtist").await.as_deref(), expected, "{names:?}");
    }
    for (number, expected) in [(Some(1), Some("1")), (Some(0), None), (Some(-1), None), (None, None)] {
        let play = Play { track_number: number, ..full_play() };
        assert_eq!(sent(play, "trackNumber").await.as_deref(), expected, "{number:?}");
    }
    for (album, expected) in [(Some("Blue Lines"), Some("Blue Lines")), (Some(""), None), (Some(" \t"), None)] {
        let play = Play { album: album.map(ToOwned::to_owned), ..full_play() };
        assert_eq!(sent(play, "album").await.as_deref(), expected, "{album:?}");
    }
}

#[tokio::test]
async fn the_second_that_is_sent_is_all_that_an_estimated_start_changes() {
    let start = full_play().played_at - SignedDuration::from_millis(316_000);
    let estimated = plays_as_sent(&[Scrobble { timestamp: start, play: full_play() }]).await;
    assert!(estimated.contains("timestamp%5B0%5D=1795427684&"), "{estimated}");
    assert_eq!(estimated.replace("1795427684", "1795428000"), play_as_sent(full_play()).await);
}

#[tokio::test]
async fn a_repeat_is_the_same_request_to_the_last_byte() {
    let plays = scrobbles(50);
    let (_, first) = submit(service, codes(&["0"; 50]), &plays).await;
    let (_, second) = submit(service, codes(&["0"; 50]), &plays).await;
    assert_eq!(first[0].body, second[0].body);
}

#[tokio::test]
async fn a_request_is_one_post_of_a_form_and_its_url_holds_nothing() {
    let (_, requests) = submit(service, codes(&["0", "0"]), &scrobbles(2)).await;
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].method, "POST");
    assert_eq!((requests[0].url.path(), requests[0].url.query()), ("/2.0/", None));
    assert_eq!(requests[0].headers["content-type"], "application/x-www-form-urlencoded");
    assert!(requests[0].headers.values().all(|value| !value.to_str().unwrap().contains(SESSION_KEY)));
    for (name, expected) in [("method", "track.scrobble"), ("api_key", API_KEY), ("sk", SESSION_KEY)] {
        assert_eq!(parameter(&requests[0], name).as_deref(), Some(expected));
    }
    assert!(!form(&requests[0]).iter().any(|(_, value)| value.contains(SHARED_SECRET)), "signs, and is never sent");
}

#[test]
fn names_are_signed_in_byte_order_and_the_secret_last() {
    let signed = |pairs: &[(&str, &str)]| {
        let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        signature(&pairs, &"mysecret".to_owned().into())
    };
    let text = |text: &str| hexadecimal(&Md5::digest(text));
    assert_eq!(text("abc"), "900150983cd24fb0d6963f7d28e17f72", "RFC 1321, appendix A.5");
    let pairs = [("method", "auth.getSession"), ("token", "yyyyyyyy"), ("api_key", "xxxxxxxxxx")];
    assert_eq!(signed(&pairs), text("api_keyxxxxxxxxxxmethodauth.getSessiontokenyyyyyyyymysecret"));
    assert_eq!(signed(&[("artist[1]", "a"), ("artist[10]", "b")]), text("artist[10]bartist[1]amysecret"));
    let mixed = [("track[0]", "é"), ("trackNumber[0]", "3"), ("artist[0]", ""), ("api_key", "=&")];
    assert_eq!(signed(&mixed), text("api_key=&artist[0]trackNumber[0]3track[0]émysecret"));
}

#[tokio::test]
async fn everything_but_the_format_is_signed() {
    let (_, requests) = submit(service, codes(&["0"; 12]), &scrobbles(12)).await;
    let mut pairs = form(&requests[0]);
    let sent = parameter(&requests[0], "api_sig");
    pairs.retain(|(name, _)| !matches!(name.as_str(), "api_sig" | "format"));
    pairs.sort_by(|left, right| left.0.as_bytes().cmp(right.0.as_bytes()));
    let text: String = pairs.into_iter().flat_map(|(name, value)| [name, value]).collect();
    assert!(text.find("artist[10]").unwrap() < text.find("artist[1]").unwrap());
    assert_eq!(sent, Some(hexadecimal(&Md5::digest(text + SHARED_SECRET))));
}
