//! Whose session it is, and what the profile shows.

use super::*;
use crate::adapters::targets::testing::{client, open_client, server};
use wiremock::matchers::body_string_contains;
use wiremock::{Mock, MockServer};

fn not_now(trouble: Trouble) -> Delivery {
    Delivery::NotNow { retry_after: None, trouble }
}

fn alice() -> ResponseTemplate {
    json(200, &json!({"user": {"name": "Alice & Bob", "playcount": "7", "type": "user"}}))
}

/// A server that knows the session and shows this page.
async fn profile(page: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    for (method, answer) in [("user.getInfo", alice()), ("user.getRecentTracks", page)] {
        let asked = body_string_contains(format!("method={method}&"));
        Mock::given(asked).respond_with(answer).mount(&server).await;
    }
    server
}

async fn shown(server: &MockServer, from: i64, to: i64) -> Result<Vec<Shown>, Delivery> {
    service(&server.uri()).shown(&open_client(), from, to).await.unwrap()
}

fn track(name: &str, uts: &Value) -> Value {
    json!({
        "artist": {"mbid": "", "#text": "Massive Attack"},
        "album": {"mbid": "", "#text": "Protection"},
        "name": name,
        "date": {"uts": uts, "#text": "23 Nov 2026, 10:00"},
    })
}

fn tracks(tracks: &Value) -> ResponseTemplate {
    json(200, &json!({"recenttracks": {"track": tracks, "@attr": {"user": "Alice & Bob", "total": "3"}}}))
}

fn scrobble_shown(title: &str, second: i64) -> Shown {
    Shown { second, title: title.to_owned(), artists: vec!["Massive Attack".to_owned()] }
}

/// Answers that are no answer to any question, and what they mean.
fn refusals() -> Vec<(ResponseTemplate, Delivery)> {
    let client_refused = |reason: &str| Delivery::ClientRefused { reason: reason.to_owned() };
    let wrong_secret = "the signature is wrong: the shared secret is not that of the API key (error 13)";
    let limited = Delivery::NotNow { retry_after: Some(SignedDuration::from_secs(3)), trouble: Trouble::RateLimited };
    vec![
        (error(4, 403), Delivery::CredentialsRefused),
        (error(9, 403), Delivery::CredentialsRefused),
        (error(9, 200), Delivery::CredentialsRefused),
        (error(10, 403), client_refused("the service does not know the API key (error 10)")),
        (error(13, 200), client_refused(wrong_secret)),
        (error(26, 403), client_refused("the service has suspended the API key (error 26)")),
        (error(6, 400), not_now(Trouble::Code(6))),
        (error(8, 500), not_now(Trouble::OperationFailed)),
        (error(11, 503), not_now(Trouble::Code(11))),
        (error(29, 429).insert_header("Retry-After", "3"), limited),
        (page(403), not_now(Trouble::Status(403))),
        (page(502), not_now(Trouble::Status(502))),
        (page(200), not_now(Trouble::Unreadable)),
        (json(200, &json!([])), not_now(Trouble::Unreadable)),
    ]
}

#[tokio::test]
async fn the_keys_are_asked_about_before_anything_is_sent() {
    let nameless = |user: Value| (json(200, &json!({"user": user})), not_now(Trouble::Unreadable));
    let answers = [(alice(), Delivery::Accepted), nameless(json!({"name": ""})), nameless(json!({"name": 7}))];
    for (answer, expected) in answers.into_iter().chain(refusals()) {
        let server = server(answer).await;
        assert_eq!(service(&server.uri()).check_credentials(&open_client()).await, Some(expected));
        let requests = server.received_requests().await.unwrap();
        assert_eq!(requests.len(), 1);
        assert_eq!(requests[0].method, "POST");
        assert_eq!((requests[0].url.path(), requests[0].url.query()), ("/2.0/", None));
        assert_eq!(parameter(&requests[0], "method").as_deref(), Some("user.getInfo"));
        assert_eq!(parameter(&requests[0], "sk").as_deref(), Some(SESSION_KEY));
        assert_eq!(parameter(&requests[0], "user"), None, "whose session it is, not what somebody's profile says");
        let signed = format!("api_key{API_KEY}methoduser.getInfosk{SESSION_KEY}{SHARED_SECRET}");
        assert_eq!(parameter(&requests[0], "api_sig"), Some(hexadecimal(&Md5::digest(signed))));
    }
}

#[tokio::test]
async fn a_question_without_an_answer_is_asked_again_later() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let closed = service(&format!("http://{free}"));
    assert_eq!(closed.check_credentials(&open_client()).await, Some(not_now(Trouble::Unreachable)));
    assert_eq!(closed.shown(&open_client(), 0, 9).await, Some(Err(not_now(Trouble::Unreachable))));
    let silent = server(alice()).await;
    let private = service(&silent.uri()).check_credentials(&client(&[])).await;
    assert_eq!(private, Some(not_now(Trouble::AddressRefused)));
    assert!(silent.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn the_profile_shows_what_stands_between_two_seconds() {
    let playing = json!({
        "artist": {"mbid": "", "#text": "Massive Attack"}, "name": "Angel", "@attr": {"nowplaying": "true"},
    });
    let page = json!([
        playing,
        track("Too new", &json!("301")),
        track("Karmacoma", &json!("300")),
        track("Karmacoma", &json!(200)),
        track("Three", &json!("100")),
        track("Too old", &json!("99")),
    ]);
    let server = profile(tracks(&page)).await;
    let expected =
        vec![scrobble_shown("Karmacoma", 300), scrobble_shown("Karmacoma", 200), scrobble_shown("Three", 100)];
    assert_eq!(shown(&server, 100, 300).await, Ok(expected));
    let requests = server.received_requests().await.unwrap();
    assert_eq!(requests.len(), 2);
    assert_eq!((requests[1].method.as_str(), requests[1].url.query()), ("POST", None));
    for (name, expected) in [
        ("method", "user.getRecentTracks"),
        ("user", "Alice & Bob"),
        ("from", "99"),
        ("to", "301"),
        ("limit", "200"),
        ("sk", SESSION_KEY),
        ("format", "json"),
    ] {
        assert_eq!(parameter(&requests[1], name).as_deref(), Some(expected), "{name}");
    }
    assert!(parameter(&requests[1], "api_sig").is_some());
}

#[tokio::test]
async fn a_profile_may_show_one_track_or_none() {
    for (page, expected) in [
        (tracks(&track("One", &json!("7"))), vec![scrobble_shown("One", 7)]),
        (tracks(&json!([])), vec![]),
        (json(200, &json!({"recenttracks": {"@attr": {"total": "0"}}})), vec![]),
    ] {
        assert_eq!(shown(&profile(page).await, i64::MIN, i64::MAX).await, Ok(expected));
    }
}

#[tokio::test]
async fn a_profile_that_cannot_be_read_is_not_an_empty_one() {
    let unreadable = || not_now(Trouble::Unreadable);
    let nameless = json!({"artist": {"#text": "A"}, "date": {"uts": "7"}});
    let pages = [
        (tracks(&json!([track("One", &json!("soon"))])), unreadable()),
        (tracks(&json!([nameless])), unreadable()),
        (json(200, &json!({"recenttracks": []})), unreadable()),
        (error(17, 403), not_now(Trouble::Code(17))),
    ];
    for (page, expected) in pages.into_iter().chain(refusals()) {
        assert_eq!(shown(&profile(page).await, 0, 9).await, Err(expected));
    }
    for (answer, expected) in refusals() {
        let server = server(answer).await;
        assert_eq!(shown(&server, 0, 9).await, Err(expected), "the name is asked for first");
        assert_eq!(server.received_requests().await.unwrap().len(), 1);
    }
}
