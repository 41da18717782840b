//! The bytes that are sent, and every answer that can come.

use jiff::SignedDuration;
use serde_json::Value;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use super::super::testing::{
    client, full_play, only, open_client, scrobble, scrobbles, server, shapes, submit, submit_to_a_closed_port,
    submit_to_a_cutting_server, submit_to_a_hanging_server,
};
use super::*;
use crate::adapters::targets::Service;
use crate::domain::answer::Submission;

mod document;

const KEY: &str = "example-signing-key";

/// The receiver of the document's example.
fn service(uri: &str) -> Service {
    named(uri, "alice", "music/archive", Some(KEY))
}

fn named(uri: &str, listener: &str, target: &str, key: Option<&str>) -> Service {
    Service::Webhook {
        url: format!("{uri}/plays?from=spotify").parse().unwrap(),
        signing_key: key.map(|key| key.to_owned().into()),
        target: target.to_owned(),
        listener: listener.to_owned(),
    }
}

fn status(status: u16) -> ResponseTemplate {
    ResponseTemplate::new(status)
}

fn not_now(status: u16, seconds: Option<i64>) -> Delivery {
    let trouble = if status == 429 { Trouble::RateLimited } else { Trouble::Status(status) };
    Delivery::NotNow { retry_after: seconds.map(SignedDuration::from_secs), trouble }
}

fn header<'a>(request: &'a Request, name: &str) -> &'a str {
    request.headers[name].to_str().unwrap()
}

/// The request that this play is, to this receiver.
async fn request(service: impl Fn(&str) -> Service, scrobble: Scrobble) -> Request {
    let (submission, mut requests) = submit(service, status(204), &[scrobble]).await;
    assert_eq!(only(submission), Delivery::Accepted);
    assert_eq!(requests.len(), 1);
    requests.remove(0)
}

#[tokio::test]
async fn every_shape_of_play_has_its_own_bytes() {
    let expected = [
        (
            "019a818525f6bd2282163a86a4cec3ea",
            concat!(
                r#""playedAt":"2026-11-23T10:00:00.381Z","schema":"scrobble-operator.io/play/v1","timestamp":1795428000,"#,
                r#""track":{"album":"Protection","albumArtists":["Massive Attack"],"artists":["Massive Attack","Tricky"],"#,
                r#""durationMs":316000,"isrc":"GBAAA9400001","title":"Karmacoma","trackNumber":3,"#,
                r#""uri":"spotify:track:4uLU6hMCjMI75M1A2tKUQC"}}"#,
            ),
        ),
        (
            "8092820303d7534ca443f2314634e79d",
            concat!(
                r#""playedAt":"2026-11-23T10:00:00.381Z","schema":"scrobble-operator.io/play/v1","timestamp":1795428000,"#,
                r#""track":{"album":null,"albumArtists":[],"artists":["Massive Attack","Tricky"],"#,
                r#""durationMs":null,"isrc":null,"title":"Karmacoma","trackNumber":null,"uri":null}}"#,
            ),
        ),
        (
            "94e40a2e92d0cfaa560e0a5c6edff22a",
            concat!(
                r#""playedAt":"2026-11-23T10:00:00.381Z","schema":"scrobble-operator.io/play/v1","timestamp":1795428000,"#,
                r#""track":{"album":null,"albumArtists":[],"artists":["Me"],"#,
                r#""durationMs":120000,"isrc":null,"title":"Demo","trackNumber":null,"#,
                r#""uri":"spotify:local:Me::Demo:120"}}"#,
            ),
        ),
        (
            "019a818525f6bd2282163a86a4cec3ea",
            concat!(
                r#""playedAt":"2026-11-23T10:00:00.381Z","schema":"scrobble-operator.io/play/v1","timestamp":1795428000,"#,
                r#""track":{"album":"</script>\t"#,
                "\u{7f}",
                r#"","albumArtists":[],"artists":["Σ","Björk & "#,
                "\u{e000}",
                r#"","كايروكي"],"#,
                r#""durationMs":316000,"isrc":null,"title":"\"Ça\" \\ 夜に駆ける\n𝄞🎧"#,
                "\u{2028}",
                r#"","trackNumber":null,"uri":"spotify:track:4uLU6hMCjMI75M1A2tKUQC"}}"#,
            ),
        ),
        (
            "019a818525f6bd2282163a86a4cec3ea",
            concat!(
                r#""playedAt":"2026-11-23T10:00:00.381Z","schema":"scrobble-operator.io/play/v1","timestamp":1795428000,"#,
                r#""track":{"album":null,"albumArtists":[],"artists":["Massive Attack","Tricky"],"#,
                r#""durationMs":null,"isrc":null,"title":"Karmacoma","trackNumber":null,"#,
                r#""uri":"spotify:track:4uLU6hMCjMI75M1A2tKUQC"}}"#,
            ),
        ),
        (
            "871f232d54dac8005428037b5b4b8aeb",
            concat!(
                r#""playedAt":"2026-11-23T10:00:00.000Z","schema":"scrobble-operator.io/play/v1","timestamp":1795428000,"#,
                r#""track":{"album":"Protection","albumArtists":[],"artists":["Massive Attack","Tricky"],"#,
                r#""durationMs":86400000,"isrc":null,"title":"Karmacoma","trackNumber":null,"#,
                r#""uri":"spotify:track:4uLU6hMCjMI75M1A2tKUQC"}}"#,
            ),
        ),
    ];
    let shapes = shapes();
    assert_eq!(shapes.len(), expected.len());
    for ((name, play), (id, rest)) in shapes.into_iter().zip(expected) {
        let sent = request(service, scrobble(play)).await;
        let body = format!(r#"{{"id":"{id}","listener":{{"spotifyAccountId":"alice"}},{rest}"#);
        assert_eq!(std::str::from_utf8(&sent.body).unwrap(), body, "{name}");
        assert_eq!(header(&sent, "idempotency-key"), id, "{name}");
    }
}

#[tokio::test]
async fn the_second_that_is_sent_is_all_that_an_estimated_start_changes() {
    let play = full_play();
    let start = play.played_at - SignedDuration::from_millis(316_000);
    let ends = request(service, scrobble(play.clone())).await;
    let starts = request(service, Scrobble { timestamp: start, play }).await;
    let text = |request: &Request| String::from_utf8(request.body.clone()).unwrap();
    assert_eq!(text(&starts), text(&ends).replace("1795428000", "1795427684"));
    assert_ne!(text(&starts), text(&ends));
    assert_eq!(header(&starts, "idempotency-key"), header(&ends, "idempotency-key"));
    assert_eq!(header(&starts, "scrobble-operator-timestamp"), "1795427684");
}

#[tokio::test]
async fn the_key_stands_for_listener_millisecond_uri_and_target_and_for_nothing_else() {
    let key = async |listener: &str, target: &str, signing: Option<&str>, scrobble: Scrobble| {
        let service = |uri: &str| named(uri, listener, target, signing);
        header(&request(service, scrobble).await, "idempotency-key").to_owned()
    };
    let play = full_play();
    let usual = key("alice", "music/archive", Some(KEY), scrobble(play.clone())).await;
    let later = play.played_at + SignedDuration::from_millis(1);
    for other in [
        key("bob", "music/archive", Some(KEY), scrobble(play.clone())).await,
        key("alice", "music/other", Some(KEY), scrobble(play.clone())).await,
        key("alice", "tenant/archive", Some(KEY), scrobble(play.clone())).await,
        key("alice", "music/archive", Some(KEY), scrobble(Play { played_at: later, ..play.clone() })).await,
        key("alice", "music/archive", Some(KEY), scrobble(Play { uri: "spotify:track:x".to_owned(), ..play.clone() }))
            .await,
    ] {
        assert_ne!(other, usual);
    }
    let otherwise = Play {
        title: "Karmacoma (Remastered)".to_owned(),
        artists: vec!["MA".to_owned()],
        album: None,
        album_artists: Vec::new(),
        duration_ms: None,
        track_number: None,
        isrc: None,
        track_id: None,
        ..play.clone()
    };
    let second = jiff::Timestamp::from_second(7).unwrap();
    for same in [
        key("alice", "music/archive", Some("another key"), scrobble(play.clone())).await,
        key("alice", "music/archive", None, scrobble(play.clone())).await,
        key("alice", "music/archive", Some(KEY), Scrobble { timestamp: second, play }).await,
        key("alice", "music/archive", Some(KEY), scrobble(otherwise)).await,
    ] {
        assert_eq!(same, usual);
    }
}

#[tokio::test]
async fn a_repeat_is_the_same_request() {
    let server = server(status(503)).await;
    for _ in 0..2 {
        service(&server.uri()).submit(&open_client(), &scrobbles(1)).await;
    }
    let requests = server.received_requests().await.unwrap();
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[0].body, requests[1].body);
    assert_eq!(requests[0].headers, requests[1].headers);
    assert_eq!(requests[0].method, "POST");
    assert_eq!((requests[0].url.path(), requests[0].url.query()), ("/plays", Some("from=spotify")));
    assert_eq!(header(&requests[0], "content-type"), "application/json");
    assert!(!requests[0].headers.contains_key("authorization"));
}

/// HMAC as RFC 2104 defines it, put together from the hash alone.
fn independent_signature(key: &str, message: &[u8]) -> String {
    use sha2::{Digest as _, Sha256};
    assert!(key.len() <= 64, "a longer key would have to be hashed first");
    let pad = |byte: u8| (0..64).map(|at| key.as_bytes().get(at).copied().unwrap_or(0) ^ byte).collect::<Vec<u8>>();
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(message).finalize();
    let outer = Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize();
    hexadecimal(&outer)
}

#[tokio::test]
async fn the_signature_covers_timestamp_and_body() {
    for key in [KEY, "k", "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"] {
        let sent = request(|uri| named(uri, "alice", "music/archive", Some(key)), scrobble(full_play())).await;
        let timestamp = header(&sent, "scrobble-operator-timestamp");
        assert_eq!(timestamp, "1795428000");
        let message = [timestamp.as_bytes(), b".", &sent.body].concat();
        let expected = format!("v1={}", independent_signature(key, &message));
        assert_eq!(header(&sent, "scrobble-operator-signature"), expected);
        assert!(!format!("{:?}", sent.headers).contains(KEY));
    }
    let unsigned = request(|uri| named(uri, "alice", "music/archive", None), scrobble(full_play())).await;
    for name in ["scrobble-operator-timestamp", "scrobble-operator-signature"] {
        assert!(!unsigned.headers.contains_key(name));
    }
}

#[tokio::test]
async fn each_status_has_its_meaning() {
    let html = |code| status(code).set_body_raw("<html>later</html>", "text/html");
    let never = |code: u16| Delivery::Never { reason: format!("the receiver answered {code}") };
    for (answer, expected) in [
        (status(200), Delivery::Accepted),
        (html(200), Delivery::Accepted),
        (status(202), Delivery::Accepted),
        (status(204), Delivery::Accepted),
        (status(409), Delivery::AlreadyThere),
        (status(410), Delivery::Suspended),
        (status(401), Delivery::CredentialsRefused),
        (status(403), Delivery::CredentialsRefused),
        (status(400), never(400)),
        (status(413), never(413)),
        (status(422), never(422)),
        (status(404), not_now(404, None)),
        (status(405), not_now(405, None)),
        (status(408), not_now(408, None)),
        (status(415), not_now(415, None)),
        (status(425), not_now(425, None)),
        (status(429), not_now(429, None)),
        (status(429).insert_header("retry-after", "90"), not_now(429, Some(90))),
        (status(500), not_now(500, None)),
        (html(502), not_now(502, None)),
        (status(503).insert_header("retry-after", "7"), not_now(503, Some(7))),
        (status(302).insert_header("location", "http://127.0.0.1:9/"), not_now(302, None)),
    ] {
        let (submission, requests) = submit(service, answer, &scrobbles(1)).await;
        assert_eq!(only(submission), expected);
        assert_eq!(requests.len(), 1, "neither repeated nor followed");
    }
}

/// A receiver that answers the third play like this and all others with 200.
async fn third_play(answer: ResponseTemplate) -> (Submission, usize) {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(status(200)).up_to_n_times(2).with_priority(1).mount(&server).await;
    Mock::given(any()).respond_with(answer).up_to_n_times(1).with_priority(2).mount(&server).await;
    Mock::given(any()).respond_with(status(200)).with_priority(3).mount(&server).await;
    let deadline = Duration::from_secs(5);
    let submission = service(&server.uri()).submit_within(deadline, &open_client(), &scrobbles(5)).await.submission;
    (submission, server.received_requests().await.unwrap().len())
}

#[tokio::test]
async fn plays_behind_one_that_is_not_taken_are_not_sent() {
    let accepted = || Delivery::Accepted;
    let refused = Delivery::Never { reason: "the receiver answered 422".to_owned() };
    let on_it_goes = |third| Submission::Each(vec![accepted(), accepted(), third, accepted(), accepted()]);
    assert_eq!(third_play(status(422)).await, (on_it_goes(refused), 5));
    assert_eq!(third_play(status(409)).await, (on_it_goes(Delivery::AlreadyThere), 5));
    let stops =
        |third: Delivery, rest: Delivery| Submission::Each(vec![accepted(), accepted(), third, rest.clone(), rest]);
    for (answer, delivery) in [
        (status(503), not_now(503, None)),
        (status(429).insert_header("retry-after", "9"), not_now(429, Some(9))),
        (status(410), Delivery::Suspended),
        (status(401), Delivery::CredentialsRefused),
    ] {
        assert_eq!(third_play(answer).await, (stops(delivery.clone(), delivery), 3));
    }
    let hung = third_play(status(200).set_delay(Duration::from_mins(10))).await;
    let unsent = Delivery::NotNow { retry_after: None, trouble: Trouble::Timeout };
    assert_eq!(hung, (stops(Delivery::Unknown(Trouble::Timeout), unsent), 3), "only the third may have arrived");
}

#[tokio::test]
async fn plays_are_posted_in_their_order_each_with_its_own_key() {
    let (_, requests) = submit(service, status(200), &scrobbles(3)).await;
    let body = |request: &Request| serde_json::from_slice::<Value>(&request.body).unwrap();
    let seconds: Vec<Value> = requests.iter().map(|request| body(request)["timestamp"].clone()).collect();
    assert_eq!(seconds, [1_795_428_000, 1_795_428_001, 1_795_428_002]);
    for request in &requests {
        assert_eq!(body(request)["id"], header(request, "idempotency-key"));
    }
    assert_ne!(header(&requests[0], "idempotency-key"), header(&requests[1], "idempotency-key"));
}

#[tokio::test]
async fn a_lost_answer_is_unknown_and_a_request_that_never_left_is_not() {
    let plays = scrobbles(1);
    let hung = submit_to_a_hanging_server(service, &plays).await;
    assert_eq!(only(hung), Delivery::Unknown(Trouble::Timeout));
    let cut = submit_to_a_cutting_server(service, &plays).await;
    assert_eq!(only(cut), Delivery::Unknown(Trouble::Cut));
    let closed = submit_to_a_closed_port(service, &plays).await;
    let unsent = |trouble| Delivery::NotNow { retry_after: None, trouble };
    assert_eq!(only(closed), unsent(Trouble::Unreachable));
    let silent = server(status(200)).await;
    let private = service(&silent.uri()).submit(&client(&[]), &plays).await.submission;
    assert_eq!(only(private), unsent(Trouble::AddressRefused));
    let by_name = silent.uri().replace("127.0.0.1", "localhost");
    assert_eq!(only(service(&by_name).submit(&client(&[]), &plays).await.submission), unsent(Trouble::AddressRefused));
    let userinfo = silent.uri().replace("http://", "http://user:word@");
    let refused = service(&userinfo).submit(&open_client(), &plays).await.submission;
    assert_eq!(only(refused), unsent(Trouble::UrlRefused("it holds a user name or password")));
    assert!(silent.received_requests().await.unwrap().is_empty());
    assert_eq!(service(&silent.uri()).check_credentials(&open_client()).await, None, "a receiver cannot be asked");
}
