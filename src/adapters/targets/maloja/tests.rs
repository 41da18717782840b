//! The bytes that are sent, and every answer that can come, as a real Maloja gives it.

use jiff::SignedDuration;
use wiremock::matchers::{any, method, query_param};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use super::super::testing::{
    client, full_play, only, open_client, scrobble, scrobbles, server, shapes, submit, submit_to_a_closed_port,
    submit_to_a_cutting_server, submit_to_a_hanging_server,
};
use super::*;
use crate::adapters::targets::Service;
use crate::domain::answer::Submission;

const KEY: &str = "example-api-key";
const OWN: i64 = 1_795_428_000;

fn service(uri: &str) -> Service {
    Service::Maloja { url: uri.parse().unwrap(), api_key: KEY.to_owned().into() }
}

fn answer(status: u16, body: Value) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_json(body)
}

fn error(status: u16, kind: &str) -> ResponseTemplate {
    answer(status, json!({"status": "failure", "error": {"type": kind, "desc": "in English"}}))
}

fn page(status: u16) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_raw("<!DOCTYPE html>\n<h1>Maloja - Error</h1>", "text/html; charset=UTF-8")
}

fn success() -> ResponseTemplate {
    answer(200, json!({"status": "success", "track": {"artists": ["a"], "title": "t"}, "desc": "Scrobbled t by a"}))
}

fn exists() -> ResponseTemplate {
    let warning = json!({"type": "scrobble_exists", "value": null, "desc": "The submitted scrobble was not added."});
    answer(200, json!({"status": "success", "desc": "present", "track": {}, "warnings": [warning]}))
}

fn not_now(trouble: Trouble) -> Delivery {
    Delivery::NotNow { retry_after: None, trouble }
}

fn status(status: u16) -> Delivery {
    not_now(Trouble::Status(status))
}

fn assert_no_secret_in_urls(requests: &[Request]) {
    assert!(!requests.is_empty());
    for request in requests {
        assert!(!request.url.as_str().contains(KEY), "{}", request.url);
        assert!(request.headers.values().all(|value| !value.to_str().unwrap().contains(KEY)));
    }
}

#[tokio::test]
async fn every_shape_of_play_has_its_own_bytes() {
    let start = |fields: &str| format!("{{{fields}");
    let usual = r#""key":"example-api-key","length":316,"nofix":true,"time":1795428000,"title":"Karmacoma"}"#;
    let expected = [
        start(r#""album":"Protection","albumartists":["Massive Attack"],"artists":["Massive Attack","Tricky"],"#)
            + usual,
        concat!(
            r#"{"artists":["Massive Attack","Tricky"],"key":"example-api-key","nofix":true,"time":1795428000,"#,
            r#""title":"Karmacoma"}"#
        )
        .to_owned(),
        r#"{"artists":["Me"],"key":"example-api-key","length":120,"nofix":true,"time":1795428000,"title":"Demo"}"#
            .to_owned(),
        concat!(
            r#"{"album":"</script>\t"#,
            "\u{7f}",
            r#"","artists":["Σ","Björk & "#,
            "\u{e000}",
            r#"","كايروكي"],"key":"example-api-key","length":316,"nofix":true,"time":1795428000,"#,
            r#""title":"\"Ça\" \\ 夜に駆ける\n𝄞🎧"#,
            "\u{2028}",
            r#""}"#
        )
        .to_owned(),
        concat!(
            r#"{"artists":["Massive Attack","Tricky"],"key":"example-api-key","nofix":true,"time":1795428000,"#,
            r#""title":"Karmacoma"}"#
        )
        .to_owned(),
        start(r#""album":"Protection","artists":["Massive Attack","Tricky"],"#) + &usual.replace("316", "86400"),
    ];
    let shapes = shapes();
    assert_eq!(shapes.len(), expected.len());
    for ((name, play), expected) in shapes.into_iter().zip(expected) {
        let (submission, requests) = submit(service, success(), &[scrobble(play)]).await;
        assert_eq!(only(submission), Delivery::Accepted);
        assert_eq!(std::str::from_utf8(&requests[0].body).unwrap(), expected, "{name}");
    }
}

#[tokio::test]
async fn the_second_is_the_one_that_is_asked_for_and_a_repeat_is_the_same_request() {
    let server = server(success()).await;
    let chosen = Scrobble { play: full_play(), timestamp: Timestamp::from_second(OWN + 7).unwrap() };
    for _ in 0..2 {
        service(&format!("{}/music/", server.uri())).submit(&open_client(), std::slice::from_ref(&chosen)).await;
    }
    let requests = server.received_requests().await.unwrap();
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[0].body, requests[1].body);
    assert_eq!(requests[0].headers, requests[1].headers);
    let body: Value = serde_json::from_slice(&requests[0].body).unwrap();
    assert_eq!(body["time"], OWN + 7);
    assert_eq!((requests[0].method.as_str(), requests[0].url.path()), ("POST", "/music/apis/mlj_1/newscrobble"));
    assert_eq!(requests[0].url.query(), None);
    assert_eq!(requests[0].headers["content-type"], "application/json");
    assert_no_secret_in_urls(&requests);
}

#[tokio::test]
async fn each_answer_has_its_meaning() {
    let waits = Delivery::NotNow { retry_after: Some(SignedDuration::from_secs(120)), trouble: Trouble::Status(503) };
    let never = |reason: &str| Delivery::Never { reason: reason.to_owned() };
    for (answer, expected) in [
        (success(), Delivery::Accepted),
        (exists(), Delivery::AlreadyThere),
        (
            answer(200, json!({"status": "success", "warnings": [{"type": "invalid_keyword_ignored", "value": "x"}]})),
            Delivery::Accepted,
        ),
        (error(409, "duplicate_timestamp"), not_now(Trouble::SecondTaken)),
        (error(409, "entity_exists"), status(409)),
        (error(403, "authentication_fail"), Delivery::CredentialsRefused),
        (
            error(400, "missing_scrobble_data"),
            never("the server answered 400: the scrobble lacks a title or an artist"),
        ),
        (ResponseTemplate::new(413), never("the server answered 413: the scrobble is too large")),
        (error(400, "malformed_b64"), status(400)),
        (error(500, "unknown_error"), status(500)),
        (error(503, "server_not_ready"), status(503)),
        (error(503, "server_not_ready").insert_header("retry-after", "120"), waits.clone()),
        (page(503).insert_header("retry-after", "120"), waits),
        (page(400), status(400)),
        (page(403), status(403)),
        (page(404), status(404)),
        (page(405), status(405)),
        (page(409), status(409)),
        (page(502), status(502)),
        (ResponseTemplate::new(401), status(401)),
        (ResponseTemplate::new(308).insert_header("location", "http://127.0.0.1:9/"), status(308)),
        (answer(200, json!({"error": "Not found"})), not_now(Trouble::Unreadable)),
        (page(200), Delivery::Unknown(Trouble::Unreadable)),
        (ResponseTemplate::new(204), Delivery::Unknown(Trouble::Unreadable)),
    ] {
        let (submission, requests) = submit(service, answer, &scrobbles(1)).await;
        assert_eq!(only(submission), expected);
        assert_eq!(requests.len(), 1, "neither repeated nor followed");
        assert_no_secret_in_urls(&requests);
    }
}

#[tokio::test]
async fn a_lost_answer_is_unknown_and_a_request_that_never_left_is_not() {
    let plays = scrobbles(1);
    assert_eq!(only(submit_to_a_hanging_server(service, &plays).await), Delivery::Unknown(Trouble::Timeout));
    assert_eq!(only(submit_to_a_cutting_server(service, &plays).await), Delivery::Unknown(Trouble::Cut));
    assert_eq!(only(submit_to_a_closed_port(service, &plays).await), not_now(Trouble::Unreachable));
    let silent = server(success()).await;
    let private = service(&silent.uri()).submit(&client(&[]), &plays).await.submission;
    assert_eq!(only(private), not_now(Trouble::AddressRefused));
    assert!(silent.received_requests().await.unwrap().is_empty());
}

/// A server that answers the second play like this and all others with success.
async fn second_play(answer: ResponseTemplate) -> (Submission, usize) {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(success()).up_to_n_times(1).with_priority(1).mount(&server).await;
    Mock::given(any()).respond_with(answer).up_to_n_times(1).with_priority(2).mount(&server).await;
    Mock::given(any()).respond_with(success()).with_priority(3).mount(&server).await;
    let deadline = Duration::from_secs(5);
    let submission = service(&server.uri()).submit_within(deadline, &open_client(), &scrobbles(4)).await.submission;
    (submission, server.received_requests().await.unwrap().len())
}

#[tokio::test]
async fn plays_are_sent_one_at_a_time_and_none_behind_one_that_is_not_taken() {
    let accepted = || Delivery::Accepted;
    let goes_on = |second| (Submission::Each(vec![accepted(), second, accepted(), accepted()]), 4);
    assert_eq!(second_play(exists()).await, goes_on(Delivery::AlreadyThere));
    let reason = "the server answered 400: the scrobble lacks a title or an artist".to_owned();
    assert_eq!(second_play(error(400, "missing_scrobble_data")).await, goes_on(Delivery::Never { reason }));
    let stops = |second: Delivery, rest: Delivery| (Submission::Each(vec![accepted(), second, rest.clone(), rest]), 2);
    for (answer, delivery, rest) in [
        (error(409, "duplicate_timestamp"), not_now(Trouble::SecondTaken), not_now(Trouble::OperationFailed)),
        (error(403, "authentication_fail"), Delivery::CredentialsRefused, Delivery::CredentialsRefused),
        (page(502), status(502), status(502)),
        (page(200), Delivery::Unknown(Trouble::Unreadable), not_now(Trouble::Unreadable)),
    ] {
        assert_eq!(second_play(answer).await, stops(delivery, rest));
    }
}

async fn checked(answer: ResponseTemplate) -> Delivery {
    let server = server(answer).await;
    let delivery = service(&server.uri()).check_credentials(&open_client()).await.unwrap();
    let requests = server.received_requests().await.unwrap();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].body, br#"{"artists":[],"key":"example-api-key","title":""}"#);
    assert_eq!(requests[0].url.path(), "/apis/mlj_1/newscrobble");
    assert_no_secret_in_urls(&requests);
    delivery
}

#[tokio::test]
async fn a_key_is_accepted_when_only_the_scrobble_is_found_wanting() {
    assert_eq!(checked(error(400, "missing_scrobble_data")).await, Delivery::Accepted);
    assert_eq!(checked(error(403, "authentication_fail")).await, Delivery::CredentialsRefused);
    assert_eq!(checked(success()).await, not_now(Trouble::Unreadable));
    assert_eq!(checked(answer(200, json!({"error": "Not found"}))).await, not_now(Trouble::Unreadable));
    for code in [400, 403, 404, 502] {
        assert_eq!(checked(page(code)).await, status(code));
    }
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let delivery = service(&format!("http://{nobody}")).check_credentials(&open_client()).await;
    assert_eq!(delivery, Some(not_now(Trouble::Unreachable)));
}

fn entry_at(second: i64) -> Value {
    let track = json!({"artists": ["b", "a"], "title": format!("t{second}"), "album": null, "length": 3});
    json!({"time": second, "track": track, "duration": null, "origin": "client:default"})
}

fn list(entries: &[Value]) -> ResponseTemplate {
    answer(200, json!({"status": "ok", "list": entries, "pagination": {"page": 0}}))
}

async fn read_all(server: &MockServer) -> Result<Vec<Shown>, Delivery> {
    service(&server.uri()).shown(&open_client(), OWN, OWN + 59).await.unwrap()
}

#[tokio::test]
async fn the_window_is_cut_from_the_days_around_it() {
    let seconds = [OWN - 100_000, OWN - 1, OWN, OWN + 30, OWN + 59, OWN + 60];
    let server = server(list(&seconds.map(entry_at))).await;
    let shown = read_all(&server).await.unwrap();
    assert_eq!(shown.iter().map(|entry| entry.second).collect::<Vec<_>>(), [OWN, OWN + 30, OWN + 59]);
    assert_eq!(
        (shown[0].title.as_str(), &shown[0].artists[..]),
        ("t1795428000", &["b".to_owned(), "a".to_owned()][..])
    );
    let requests = server.received_requests().await.unwrap();
    assert_eq!(requests.len(), 1);
    assert_eq!((requests[0].method.as_str(), requests[0].url.path()), ("GET", "/apis/mlj_1/scrobbles"));
    let query: Vec<(String, String)> = requests[0].url.query_pairs().into_owned().collect();
    let expected = [("from", "2026/11/22"), ("to", "2026/11/24"), ("reverse", "no"), ("perpage", "500"), ("page", "0")];
    assert_eq!(query, expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
    assert!(requests[0].body.is_empty());
    assert_no_secret_in_urls(&requests);
}

#[tokio::test]
async fn a_window_over_midnight_takes_the_days_of_both_ends() {
    let server = server(list(&[])).await;
    let last_of_the_day = 1_798_761_599;
    let shown = service(&server.uri()).shown(&open_client(), last_of_the_day, last_of_the_day + 59).await;
    assert_eq!(shown, Some(Ok(Vec::new())));
    let requests = server.received_requests().await.unwrap();
    let query: Vec<_> = requests[0].url.query_pairs().take(2).map(|(_, value)| value.into_owned()).collect();
    assert_eq!(query, ["2026/12/30", "2027/1/2"]);
}

#[tokio::test]
async fn pages_are_read_until_one_goes_past_the_window() {
    let full = |first: i64| list(&(0..500).map(|at| entry_at(first + at)).collect::<Vec<_>>());
    let server = MockServer::start().await;
    for (page, answer) in [("0", full(OWN - 510)), ("1", full(OWN - 10)), ("2", page(500))] {
        Mock::given(method("GET")).and(query_param("page", page)).respond_with(answer).mount(&server).await;
    }
    assert_eq!(read_all(&server).await.unwrap().len(), 60);
    assert_eq!(server.received_requests().await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_list_without_an_end_is_given_up() {
    let full = list(&(0..500).map(|at| entry_at(OWN - 600 + at)).collect::<Vec<_>>());
    let server = server(full).await;
    assert_eq!(read_all(&server).await, Err(not_now(Trouble::TooLarge)));
    assert_eq!(server.received_requests().await.unwrap().len(), MOST_PAGES);
}

#[tokio::test]
async fn without_a_list_there_is_no_window() {
    for (answer, expected) in [
        (error(500, "unknown_error"), status(500)),
        (error(503, "server_not_ready"), status(503)),
        (page(403), status(403)),
        (answer(200, json!({"error": "Not found"})), not_now(Trouble::Unreadable)),
        (answer(200, json!({"list": [{"time": OWN}]})), not_now(Trouble::Unreadable)),
        (page(200), not_now(Trouble::Unreadable)),
    ] {
        assert_eq!(read_all(&server(answer).await).await, Err(expected));
    }
    let slow = server(list(&[]).set_delay(Duration::from_mins(10))).await;
    let (url, key) = (slow.uri().parse().unwrap(), KEY.to_owned().into());
    let account = Account { url: &url, api_key: &key, deadline: Duration::from_millis(100) };
    assert_eq!(shown(&open_client(), &account, OWN, OWN).await, Err(not_now(Trouble::Timeout)));
}

#[tokio::test]
async fn the_document_shows_what_is_sent() {
    let page = include_str!("../../../../docs/maloja.md");
    let example = page.split("```json\n").nth(1).unwrap().split("```").next().unwrap();
    let (_, requests) = submit(service, success(), &[scrobble(full_play())]).await;
    let mut sent: Value = serde_json::from_slice(&requests[0].body).unwrap();
    sent["key"] = json!("…");
    assert_eq!(serde_json::from_str::<Value>(example).unwrap(), sent);
}
