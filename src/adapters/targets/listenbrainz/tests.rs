//! The bytes that are sent, and every answer that can come.

use jiff::SignedDuration;
use serde_json::json;
use wiremock::{Request, ResponseTemplate};

use super::super::testing::{
    client, full_play, only, open_client, scrobble, scrobbles, server, shapes, submit, submit_to_a_closed_port,
    submit_to_a_cutting_server, submit_to_a_hanging_server,
};
use super::*;
use crate::adapters::targets::Service;
use crate::domain::play::Play;

mod document;
mod limits;

const TOKEN: &str = "c7c8e1ba-0000-4000-8000-9f1b2c3d4e5f";

fn service(uri: &str) -> Service {
    let url = format!("{uri}/apis/listenbrainz/").parse().unwrap();
    Service::ListenBrainz { url, token: TOKEN.to_owned().into() }
}

fn ok() -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(json!({"status": "ok"}))
}

/// An error as the server words it.
fn error(status: u16) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_json(json!({"code": status, "error": "JSON document is invalid"}))
}

/// An error as a proxy words it.
fn page(status: u16) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_raw("<html><h1>Bad gateway</h1></html>", "text/html; charset=utf-8")
}

fn bytes(request: &Request) -> &str {
    std::str::from_utf8(&request.body).unwrap()
}

fn not_now(status: u16, seconds: Option<i64>) -> Delivery {
    let trouble = if status == 429 { Trouble::RateLimited } else { Trouble::Status(status) };
    Delivery::NotNow { retry_after: seconds.map(SignedDuration::from_secs), trouble }
}

fn unreadable() -> Delivery {
    Delivery::Unknown(Trouble::Unreadable)
}

async fn answer_to_one(answer: ResponseTemplate) -> Delivery {
    only(submit(service, answer, &scrobbles(1)).await.0)
}

#[tokio::test]
async fn every_shape_of_play_has_its_own_bytes() {
    let expected = [
        concat!(
            r#"{"listened_at":1795428000,"track_metadata":{"additional_info":{"artist_names":["Massive Attack","Tricky"],"#,
            r#""duration_ms":316000,"isrc":"GBAAA9400001","music_service":"spotify.com","#,
            r#""origin_url":"https://open.spotify.com/track/4uLU6hMCjMI75M1A2tKUQC","#,
            r#""spotify_id":"https://open.spotify.com/track/4uLU6hMCjMI75M1A2tKUQC","#,
            r#""submission_client":"scrobble-operator","tracknumber":3},"#,
            r#""artist_name":"Massive Attack, Tricky","release_name":"Protection","track_name":"Karmacoma"}}"#,
        ),
        concat!(
            r#"{"listened_at":1795428000,"track_metadata":{"additional_info":{"artist_names":["Massive Attack","Tricky"],"#,
            r#""music_service":"spotify.com","submission_client":"scrobble-operator"},"#,
            r#""artist_name":"Massive Attack, Tricky","track_name":"Karmacoma"}}"#,
        ),
        concat!(
            r#"{"listened_at":1795428000,"track_metadata":{"additional_info":{"artist_names":["Me"],"#,
            r#""duration_ms":120000,"music_service":"spotify.com","submission_client":"scrobble-operator"},"#,
            r#""artist_name":"Me","track_name":"Demo"}}"#,
        ),
        concat!(
            r#"{"listened_at":1795428000,"track_metadata":{"additional_info":{"artist_names":["Σ","Björk & "#,
            "\u{e000}",
            r#"","كايروكي"],"duration_ms":316000,"music_service":"spotify.com","#,
            r#""origin_url":"https://open.spotify.com/track/4uLU6hMCjMI75M1A2tKUQC","#,
            r#""spotify_id":"https://open.spotify.com/track/4uLU6hMCjMI75M1A2tKUQC","#,
            r#""submission_client":"scrobble-operator"},"artist_name":"Σ, Björk & "#,
            "\u{e000}",
            r#", كايروكي","release_name":"</script>\t"#,
            "\u{7f}",
            r#"","track_name":"\"Ça\" \\ 夜に駆ける\n𝄞🎧"#,
            "\u{2028}",
            r#""}}"#,
        ),
        concat!(
            r#"{"listened_at":1795428000,"track_metadata":{"additional_info":{"artist_names":["Massive Attack","Tricky"],"#,
            r#""music_service":"spotify.com","submission_client":"scrobble-operator"},"#,
            r#""artist_name":"Massive Attack, Tricky","track_name":"Karmacoma"}}"#,
        ),
        concat!(
            r#"{"listened_at":1795428000,"track_metadata":{"additional_info":{"artist_names":["Massive Attack","Tricky"],"#,
            r#""duration_ms":86400000,"music_service":"spotify.com","#,
            r#""origin_url":"https://open.spotify.com/track/4uLU6hMCjMI75M1A2tKUQC","#,
            r#""spotify_id":"https://open.spotify.com/track/4uLU6hMCjMI75M1A2tKUQC","#,
            r#""submission_client":"scrobble-operator"},"#,
            r#""artist_name":"Massive Attack, Tricky","release_name":"Protection","track_name":"Karmacoma"}}"#,
        ),
    ];
    let shapes = shapes();
    assert_eq!(shapes.len(), expected.len());
    for ((name, play), listen) in shapes.iter().zip(expected) {
        let (submission, requests) = submit(service, ok(), &[scrobble(play.clone())]).await;
        assert_eq!(only(submission), Delivery::Accepted, "{name}");
        assert_eq!(bytes(&requests[0]), format!(r#"{{"listen_type":"single","payload":[{listen}]}}"#), "{name}");
    }
    let all: Vec<Scrobble> = shapes.into_iter().map(|(_, play)| scrobble(play)).collect();
    let (submission, requests) = submit(service, ok(), &all).await;
    assert_eq!(submission, Submission::all(all.len(), &Delivery::Accepted));
    let import = format!(r#"{{"listen_type":"import","payload":[{}]}}"#, expected.join(","));
    assert_eq!(bytes(&requests[0]), import, "a listen has the same bytes in company");
}

#[tokio::test]
async fn the_second_that_is_sent_is_all_that_an_estimated_start_changes() {
    let play = full_play();
    let start = play.played_at - SignedDuration::from_millis(316_000);
    let estimated = Scrobble { timestamp: start, play: play.clone() };
    let (_, ends) = submit(service, ok(), &[scrobble(play)]).await;
    let (_, starts) = submit(service, ok(), &[estimated]).await;
    assert!(bytes(&starts[0]).contains(r#""listened_at":1795427684,"#), "{}", bytes(&starts[0]));
    assert_eq!(bytes(&starts[0]).replace("1795427684", "1795428000"), bytes(&ends[0]));
}

#[tokio::test]
async fn tracks_longer_than_the_server_takes_go_without_their_length() {
    for (milliseconds, sent) in [(2_073_600_000, true), (2_073_600_001, false), (1, true), (0, false), (-1, false)] {
        let play = Play { duration_ms: Some(milliseconds), ..full_play() };
        let (_, requests) = submit(service, ok(), &[scrobble(play)]).await;
        assert_eq!(bytes(&requests[0]).contains(&format!(r#""duration_ms":{milliseconds},"#)), sent, "{milliseconds}");
        assert_eq!(bytes(&requests[0]).contains("duration"), sent, "{milliseconds}");
    }
}

#[tokio::test]
async fn a_request_is_a_post_of_json_with_the_listeners_token() {
    let (_, requests) = submit(service, ok(), &scrobbles(2)).await;
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].method, "POST");
    assert_eq!(requests[0].url.path(), "/apis/listenbrainz/1/submit-listens");
    assert_eq!(requests[0].headers["authorization"], format!("Token {TOKEN}"));
    assert_eq!(requests[0].headers["content-type"], "application/json");
    let header = authorization(&TOKEN.to_owned().into());
    assert!(header.is_sensitive(), "whoever prints a request prints no token");
    assert!(!format!("{header:?}").contains("c7c8e1ba"));
}

#[tokio::test]
async fn only_the_servers_own_word_counts_as_accepted() {
    let raw = |body: &str| ResponseTemplate::new(200).set_body_raw(body.to_owned(), "application/json");
    assert_eq!(answer_to_one(ok()).await, Delivery::Accepted);
    for answer in [
        page(200),
        ResponseTemplate::new(204),
        raw(""),
        raw(r#"{"status": "o"#),
        raw(r#"{"status": 7}"#),
        raw(r#"["ok"]"#),
        raw(r#"{"code": 500, "error": "later"}"#),
    ] {
        assert_eq!(answer_to_one(answer).await, unreadable());
    }
}

#[tokio::test]
async fn each_status_has_its_meaning() {
    let limited = || error(429).insert_header("X-RateLimit-Reset-In", "7");
    for (answer, expected) in [
        (error(401), Delivery::CredentialsRefused),
        (error(403), Delivery::CredentialsRefused),
        (page(400), not_now(400, None)),
        (page(401), not_now(401, None)),
        (page(403), not_now(403, None)),
        (error(404), not_now(404, None)),
        (error(409), not_now(409, None)),
        (error(410), not_now(410, None)),
        (error(429), not_now(429, None)),
        (limited(), not_now(429, Some(7))),
        (limited().insert_header("Retry-After", "30"), not_now(429, Some(30))),
        (error(429).insert_header("X-RateLimit-Reset-In", "soon"), not_now(429, None)),
        (error(429).insert_header("X-RateLimit-Reset-In", "-1"), not_now(429, None)),
        (error(500), not_now(500, None)),
        (page(502), not_now(502, None)),
        (error(503).insert_header("Retry-After", "120"), not_now(503, Some(120))),
        (error(503).insert_header("X-RateLimit-Reset-In", "7"), not_now(503, None)),
        (ResponseTemplate::new(302).insert_header("location", "http://127.0.0.1:9/"), not_now(302, None)),
    ] {
        assert_eq!(answer_to_one(answer.clone()).await, expected);
        let (submission, requests) = submit(service, answer, &scrobbles(3)).await;
        assert_eq!(submission, Submission::all(3, &expected), "one answer for every listen of the request");
        assert_eq!(requests.len(), 1, "neither repeated nor followed");
    }
}

#[tokio::test]
async fn a_refused_request_names_the_listen_only_when_it_is_alone() {
    for status in [400, 413] {
        let (submission, _) = submit(service, error(status), &scrobbles(2)).await;
        assert_eq!(submission, Submission::BatchRefused, "{status}");
        let reason = format!("the server answered {status}: it does not accept this listen");
        assert_eq!(answer_to_one(error(status)).await, Delivery::Never { reason }, "{status}");
    }
    assert_eq!(submit(service, page(413), &scrobbles(2)).await.0, Submission::BatchRefused);
    assert!(matches!(answer_to_one(page(413)).await, Delivery::Never { .. }), "proxies bound sizes too");
}

#[tokio::test]
async fn a_refusal_names_the_limit_that_the_listen_breaks() {
    let titled = |length: usize| scrobble(Play { title: "a".repeat(length), ..full_play() });
    let nul = Play { album: Some("a\0b".to_owned()), ..full_play() };
    let early = Scrobble { timestamp: jiff::Timestamp::from_second(1_033_430_399).unwrap(), play: full_play() };
    let just = Scrobble { timestamp: jiff::Timestamp::from_second(1_033_430_400).unwrap(), play: full_play() };
    for (scrobble, reason) in [
        (titled(9_746), "the request has 10241 bytes, more than 10240"),
        (titled(9_745), "it does not accept this listen"),
        (scrobble(nul), "the listen holds a NUL character"),
        (early, "the listen lies before October 2002"),
        (just, "it does not accept this listen"),
    ] {
        let (submission, _) = submit(service, error(400), &[scrobble]).await;
        assert_eq!(only(submission), Delivery::Never { reason: format!("the server answered 400: {reason}") });
    }
}

#[tokio::test]
async fn a_lost_answer_is_unknown_and_a_request_that_never_left_is_not() {
    let plays = scrobbles(2);
    let hung = submit_to_a_hanging_server(service, &plays).await;
    assert_eq!(hung, Submission::all(2, &Delivery::Unknown(Trouble::Timeout)));
    let cut = submit_to_a_cutting_server(service, &plays).await;
    assert_eq!(cut, Submission::all(2, &Delivery::Unknown(Trouble::Cut)));
    let closed = submit_to_a_closed_port(service, &plays).await;
    let unsent = |trouble| Submission::all(2, &Delivery::NotNow { retry_after: None, trouble });
    assert_eq!(closed, unsent(Trouble::Unreachable));
    let silent = server(ok()).await;
    let private = service(&silent.uri()).submit(&client(&[]), &plays).await.submission;
    assert_eq!(private, unsent(Trouble::AddressRefused));
    let named = silent.uri().replace("127.0.0.1", "localhost");
    assert_eq!(service(&named).submit(&client(&[]), &plays).await.submission, unsent(Trouble::AddressRefused));
    let userinfo = silent.uri().replace("http://", "http://user:word@");
    let refused = service(&userinfo).submit(&open_client(), &plays).await.submission;
    assert_eq!(refused, unsent(Trouble::UrlRefused("it holds a user name or password")));
    assert!(silent.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn the_token_is_asked_about_before_anything_is_sent() {
    let valid =
        |valid| ResponseTemplate::new(200).set_body_json(json!({"code": 200, "valid": valid, "user_name": "a"}));
    let maloja = json!({"code": 200, "valid": true, "user_name": MALOJA_USER});
    for (answer, expected) in [
        (valid(json!(true)), Delivery::Accepted),
        (valid(json!(false)), Delivery::CredentialsRefused),
        (valid(json!("yes")), Delivery::NotNow { retry_after: None, trouble: Trouble::Unreadable }),
        (page(200), Delivery::NotNow { retry_after: None, trouble: Trouble::Unreadable }),
        (
            ResponseTemplate::new(200).set_body_json(maloja),
            Delivery::Never { reason: "the server is a Maloja; use type Maloja".to_owned() },
        ),
        (error(400), Delivery::CredentialsRefused),
        (error(401), Delivery::CredentialsRefused),
        (error(403), Delivery::CredentialsRefused),
        (page(403), not_now(403, None)),
        (error(404), not_now(404, None)),
        (error(429).insert_header("X-RateLimit-Reset-In", "3"), not_now(429, Some(3))),
        (error(503), not_now(503, None)),
    ] {
        let server = server(answer).await;
        assert_eq!(service(&server.uri()).check_credentials(&open_client()).await, Some(expected));
        let requests = server.received_requests().await.unwrap();
        assert_eq!(requests[0].method, "GET");
        assert_eq!(requests[0].url.path(), "/apis/listenbrainz/1/validate-token");
        assert_eq!(requests[0].headers["authorization"], format!("Token {TOKEN}"));
    }
}
