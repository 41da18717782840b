//! The bytes that are sent, every answer that can come, and docs/notifications.md held against both.

use jiff::SignedDuration;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use super::*;
use crate::adapters::http::AllowedRanges;
use crate::domain::name::ObjectName;

const KEY: &str = "example-signing-key";
/// Long enough for an answer of this machine's.
const PATIENCE: Duration = Duration::from_secs(30);

fn client(ranges: &[&str]) -> GuardedClient {
    rustls::crypto::ring::default_provider().install_default().ok();
    GuardedClient::new(&AllowedRanges::new(ranges.iter().map(|range| range.parse().unwrap()).collect())).unwrap()
}

/// The notice of the document's example.
fn notice() -> Notice {
    let command = "scrobble-operator connect --namespace music --account alice";
    Notice {
        id: "7f1c0a52e6d94b3c8a10f2b7d9e4c356".to_owned(),
        app: ObjectName::new("music", "main"),
        account: ObjectName::new("music", "alice"),
        account_uid: "0b9f3c9e-0000-4000-8000-000000000001".to_owned(),
        reason: "AuthorizationRevoked".to_owned(),
        text: format!(
            "SpotifyAccount music/alice: Spotify no longer accepts the refresh token (invalid_grant): the listener must authorize the app again. Run: {command}"
        ),
        command: Some(command.to_owned()),
        number: 1,
        of: 4,
        time: "2026-11-23T10:00:00Z".parse().unwrap(),
    }
}

async fn server(answer: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(answer).mount(&server).await;
    server
}

/// What a server with one answer makes of the notice, and what it was sent.
async fn send_to(answer: ResponseTemplate, key: Option<&str>) -> (NoticeAnswer, Vec<Request>) {
    let server = server(answer).await;
    let key = key.map(SecretString::from);
    let url = format!("{}/hooks/scrobble?team=music", server.uri()).parse().unwrap();
    let answer = send_within(PATIENCE, &client(&["127.0.0.0/8"]), &url, key.as_ref(), &notice()).await;
    (answer, server.received_requests().await.unwrap())
}

fn header<'a>(request: &'a Request, name: &str) -> &'a str {
    request.headers[name].to_str().unwrap()
}

fn not_now(status: u16, seconds: Option<i64>) -> NoticeAnswer {
    let trouble = if status == 429 { Trouble::RateLimited } else { Trouble::Status(status) };
    NoticeAnswer::NotNow { retry_after: seconds.map(SignedDuration::from_secs), trouble }
}

#[tokio::test]
async fn every_try_is_the_same_signed_request() {
    let mut bodies = Vec::new();
    for _ in 0..2 {
        let (answer, mut requests) = send_to(ResponseTemplate::new(204), Some(KEY)).await;
        assert_eq!((answer, requests.len()), (NoticeAnswer::Taken, 1));
        let sent = requests.remove(0);
        assert_eq!(
            (sent.method.as_str(), sent.url.path(), sent.url.query()),
            ("POST", "/hooks/scrobble", Some("team=music"))
        );
        assert_eq!(header(&sent, "idempotency-key"), notice().id);
        assert_eq!(header(&sent, "scrobble-operator-timestamp"), "1795428000");
        let message = [b"1795428000.".as_slice(), &sent.body].concat();
        let code = crate::domain::digest::message_authentication_code(KEY.as_bytes(), &message);
        let expected = format!("v1={}", crate::domain::digest::hexadecimal(&code));
        assert_eq!(header(&sent, "scrobble-operator-signature"), expected);
        bodies.push(sent.body);
    }
    assert_eq!(bodies[0], bodies[1]);
}

#[tokio::test]
async fn without_a_key_nothing_is_signed() {
    let (_, requests) = send_to(ResponseTemplate::new(204), None).await;
    for name in ["scrobble-operator-timestamp", "scrobble-operator-signature"] {
        assert!(!requests[0].headers.contains_key(name), "{name}");
    }
    assert_eq!(header(&requests[0], "idempotency-key"), notice().id);
}

#[tokio::test]
async fn every_answer_is_told_apart() {
    for (status, expected) in [
        (200, NoticeAnswer::Taken),
        (202, NoticeAnswer::Taken),
        (409, NoticeAnswer::Taken),
        (410, NoticeAnswer::Gone),
        (400, NoticeAnswer::Refused(400)),
        (401, NoticeAnswer::Refused(401)),
        (403, NoticeAnswer::Refused(403)),
        (413, NoticeAnswer::Refused(413)),
        (422, NoticeAnswer::Refused(422)),
        (404, not_now(404, None)),
        (500, not_now(500, None)),
        (503, not_now(503, None)),
        (429, not_now(429, None)),
    ] {
        // Nothing of the body counts.
        let (answer, requests) = send_to(ResponseTemplate::new(status).set_body_string("<html>"), Some(KEY)).await;
        assert_eq!((answer, requests.len()), (expected, 1), "{status}");
    }
    for status in [429, 503] {
        let answer = ResponseTemplate::new(status).insert_header("retry-after", "120");
        assert_eq!(send_to(answer, None).await.0, not_now(status, Some(120)));
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = server(ResponseTemplate::new(200)).await;
    for status in [301, 302, 307, 308] {
        let answer = ResponseTemplate::new(status).insert_header("location", elsewhere.uri().as_str());
        assert_eq!(send_to(answer, Some(KEY)).await.0, not_now(status, None));
    }
    assert!(elsewhere.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_webhook_that_hangs_meets_the_deadline() {
    let hanging = server(ResponseTemplate::new(200).set_delay(PATIENCE * 10)).await;
    let url = hanging.uri().parse().unwrap();
    let answer = send_within(Duration::from_millis(50), &client(&["127.0.0.0/8"]), &url, None, &notice()).await;
    assert_eq!(answer, NoticeAnswer::NotNow { retry_after: None, trouble: Trouble::Timeout });
}

#[tokio::test]
async fn a_private_address_is_sent_nothing() {
    let silent = server(ResponseTemplate::new(200)).await;
    for (from, to) in [("127.0.0.1", "127.0.0.1"), ("127.0.0.1", "localhost"), ("http://", "https://")] {
        let url = silent.uri().replace(from, to).parse().unwrap();
        let answer = send(&client(&[]), &url, None, &notice()).await;
        assert_eq!(answer, NoticeAnswer::NotNow { retry_after: None, trouble: Trouble::AddressRefused }, "{url}");
    }
    assert!(silent.received_requests().await.unwrap().is_empty());
}

fn page() -> String {
    std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/notifications.md")).unwrap()
}

/// The page's only block in this language.
fn block(page: &str, language: &str) -> String {
    let blocks: Vec<&str> = page.split(&format!("```{language}\n")).skip(1).collect();
    assert_eq!(blocks.len(), 1, "one block of {language}");
    blocks[0].split("```").next().unwrap().to_owned()
}

#[tokio::test]
async fn the_example_is_what_is_sent() {
    let (_, requests) = send_to(ResponseTemplate::new(204), Some(KEY)).await;
    let body: Value = serde_json::from_slice(&requests[0].body).unwrap();
    let page = page();
    assert_eq!(block(&page, "json").trim_end(), serde_json::to_string_pretty(&body).unwrap());
    let headers = block(&page, "http");
    for line in headers.lines() {
        let (name, value) = line.split_once(": ").unwrap();
        assert_eq!(header(&requests[0], name), value, "{name}");
    }
    assert_eq!(headers.lines().count(), 4);
    assert!(page.contains(&format!("`{KEY}`")), "readers can check their code with the example's key");

    let table = page.split("| field | type |").nth(1).unwrap().split("\n\n").next().unwrap();
    let rows: Vec<&str> = table.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    let mut fields = Vec::new();
    for (name, value) in body.as_object().unwrap() {
        match value.as_object() {
            None => fields.push(name.clone()),
            Some(inner) => fields.extend(inner.keys().map(|key| format!("{name}.{key}"))),
        }
    }
    assert_eq!(rows, fields);
}
