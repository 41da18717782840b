//! Every answer that a scrobble can get.

use super::*;
use crate::adapters::targets::testing::{
    client, open_client, server, submit_to_a_closed_port, submit_to_a_cutting_server, submit_to_a_hanging_server,
};

fn never(reason: &str) -> Delivery {
    Delivery::Never { reason: reason.to_owned() }
}

fn not_now(trouble: Trouble, seconds: Option<i64>) -> Delivery {
    Delivery::NotNow { retry_after: seconds.map(SignedDuration::from_secs), trouble }
}

fn client_refused(reason: &str) -> Delivery {
    Delivery::ClientRefused { reason: reason.to_owned() }
}

fn unreadable() -> Delivery {
    Delivery::Unknown(Trouble::Unreadable)
}

async fn submit_paused(answer: ResponseTemplate, plays: &[Scrobble]) -> Submitted {
    let server = server(answer).await;
    service(&server.uri()).submit(&open_client(), plays).await
}

#[tokio::test]
async fn each_code_of_a_play_has_its_meaning_alone_and_among_others() {
    let meanings = [
        ("0", Delivery::Accepted),
        ("1", never("Last.fm ignores the artist; it says the same of some plays that are too old")),
        ("2", never("Last.fm ignores the track")),
        ("3", never("too old for Last.fm")),
        ("4", not_now(Trouble::TooNew, None)),
        ("5", not_now(Trouble::DailyLimit, Some(86_400))),
        ("6", not_now(Trouble::Ignored(6), None)),
        ("perhaps", unreadable()),
    ];
    for (code, expected) in &meanings {
        let (submission, requests) = submit(service, codes(&[code]), &scrobbles(1)).await;
        assert_eq!(only(submission), *expected, "{code}");
        assert_eq!(requests.len(), 1, "{code}");
    }
    let all: Vec<&str> = meanings.iter().map(|(code, _)| *code).collect();
    let submitted = submit_paused(codes(&all), &scrobbles(8)).await;
    let expected = meanings.into_iter().map(|(_, delivery)| delivery).collect();
    assert_eq!(submitted, Submitted { submission: Submission::Each(expected), pause: None });
}

#[tokio::test]
async fn numbers_may_be_texts_and_a_list_of_one_may_be_the_thing_itself() {
    let mut plain = entry("0");
    plain["ignoredMessage"]["code"] = json!(2);
    for entries in [plain.clone(), json!([plain])] {
        let (submission, _) =
            submit(service, json(200, &json!({"scrobbles": {"scrobble": entries}})), &scrobbles(1)).await;
        assert_eq!(only(submission), never("Last.fm ignores the track"));
    }
    let refused = json(200, &json!({"error": " 9 ", "message": "Invalid session key"}));
    assert_eq!(only(submit(service, refused, &scrobbles(1)).await.0), Delivery::CredentialsRefused);
}

#[tokio::test]
async fn an_answer_that_is_not_one_entry_a_play_says_nothing_of_any() {
    let raw = |body: &str| ResponseTemplate::new(200).set_body_raw(body.to_owned(), "application/json");
    for answer in [
        codes(&["0"]),
        codes(&["0", "0", "0"]),
        json(200, &json!({"scrobbles": {"scrobble": []}})),
        json(200, &json!({"scrobbles": {"@attr": {"accepted": 2, "ignored": 0}}})),
        json(200, &json!({"scrobbles": []})),
        json(200, &json!({"scrobbles": {"scrobble": null}})),
        json(200, &json!({"scrobbles": {"scrobble": "0"}})),
        json(200, &json!({"error": "none"})),
        json(200, &json!(["0", "0"])),
        raw(""),
        raw(r#"{"scrobbles": {"scro"#),
        raw("<?xml version=\"1.0\"?><lfm status=\"ok\"/>"),
        ResponseTemplate::new(204),
        page(200),
    ] {
        let (submission, _) = submit(service, answer, &scrobbles(2)).await;
        assert_eq!(submission, Submission::all(2, &unreadable()));
    }
    let mut wordless = entry("0");
    wordless.as_object_mut().unwrap().remove("ignoredMessage");
    let mixed = json(200, &json!({"scrobbles": {"scrobble": [entry("0"), wordless]}}));
    let (submission, _) = submit(service, mixed, &scrobbles(2)).await;
    assert_eq!(submission, Submission::Each(vec![Delivery::Accepted, unreadable()]));
}

#[tokio::test]
async fn each_error_has_its_meaning_with_any_status() {
    let wrong_secret = "the signature is wrong: the shared secret is not that of the API key (error 13)";
    for (code, expected) in [
        (2, not_now(Trouble::Code(2), None)),
        (3, not_now(Trouble::Code(3), None)),
        (4, Delivery::CredentialsRefused),
        (5, not_now(Trouble::Code(5), None)),
        (8, not_now(Trouble::OperationFailed, None)),
        (9, Delivery::CredentialsRefused),
        (10, client_refused("the service does not know the API key (error 10)")),
        (11, not_now(Trouble::Code(11), None)),
        (13, client_refused(wrong_secret)),
        (14, Delivery::CredentialsRefused),
        (15, Delivery::CredentialsRefused),
        (16, not_now(Trouble::Code(16), None)),
        (17, not_now(Trouble::Code(17), None)),
        (26, client_refused("the service has suspended the API key (error 26)")),
        (29, not_now(Trouble::RateLimited, None)),
        (4_294_967_295, not_now(Trouble::Code(4_294_967_295), None)),
    ] {
        for status in [200, 403, 500] {
            let submitted = submit_paused(error(code, status), &scrobbles(3)).await;
            let expected = Submission::all(3, &expected);
            assert_eq!(submitted, Submitted { submission: expected, pause: None }, "{code} with {status}");
        }
        let texts = format!("{expected:?}");
        assert!(!texts.contains("somebody"), "no upstream text: {texts}");
    }
}

#[tokio::test]
async fn a_refused_request_names_the_play_only_when_it_is_alone() {
    for code in [6, 7] {
        for status in [200, 400, 404] {
            let (submission, _) = submit(service, error(code, status), &scrobbles(2)).await;
            assert_eq!(submission, Submission::BatchRefused, "{code}");
            let (submission, _) = submit(service, error(code, status), &scrobbles(1)).await;
            let reason = format!("the service does not accept this play (error {code})");
            assert_eq!(only(submission), never(&reason));
        }
    }
}

#[tokio::test]
async fn a_rate_limit_holds_for_everybody_who_calls_from_here() {
    let paused = |seconds: Option<i64>| Submitted {
        submission: Submission::all(2, &not_now(Trouble::RateLimited, seconds)),
        pause: seconds.map(SignedDuration::from_secs),
    };
    for (answer, expected) in [
        (error(29, 429), paused(None)),
        (error(29, 429).insert_header("Retry-After", "7"), paused(Some(7))),
        (error(29, 200).insert_header("Retry-After", "7"), paused(Some(7))),
        (error(11, 429).insert_header("Retry-After", "7"), paused(Some(7))),
        (error(6, 429), paused(None)),
        (page(429).insert_header("Retry-After", "30"), paused(Some(30))),
        (ResponseTemplate::new(429), paused(None)),
    ] {
        assert_eq!(submit_paused(answer, &scrobbles(2)).await, expected);
    }
}

#[tokio::test]
async fn a_status_without_an_error_is_not_now() {
    let wordless = |status| json(status, &json!({"message": "no number"}));
    for (answer, status, seconds) in [
        (page(400), 400, None),
        (page(403), 403, None),
        (page(404), 404, None),
        (wordless(403), 403, None),
        (wordless(500), 500, None),
        (page(502), 502, None),
        (page(503).insert_header("Retry-After", "120"), 503, Some(120)),
        (ResponseTemplate::new(504), 504, None),
        (ResponseTemplate::new(302).insert_header("location", "http://127.0.0.1:9/"), 302, None),
    ] {
        let server = server(answer).await;
        let submitted = service(&server.uri()).submit(&open_client(), &scrobbles(2)).await;
        let expected = Submission::all(2, &not_now(Trouble::Status(status), seconds));
        assert_eq!(submitted, Submitted { submission: expected, pause: None });
        assert_eq!(server.received_requests().await.unwrap().len(), 1, "neither repeated nor followed");
    }
    let offline = error(11, 503).insert_header("Retry-After", "60");
    let submitted = submit_paused(offline, &scrobbles(1)).await;
    assert_eq!(only(submitted.submission), not_now(Trouble::Code(11), Some(60)));
}

#[tokio::test]
async fn a_lost_answer_is_unknown_and_a_request_that_never_left_is_not() {
    let plays = scrobbles(2);
    let hung = submit_to_a_hanging_server(service, &plays).await;
    assert_eq!(hung, Submission::all(2, &Delivery::Unknown(Trouble::Timeout)));
    let cut = submit_to_a_cutting_server(service, &plays).await;
    assert_eq!(cut, Submission::all(2, &Delivery::Unknown(Trouble::Cut)));
    let unsent = |trouble| Submission::all(2, &not_now(trouble, None));
    assert_eq!(submit_to_a_closed_port(service, &plays).await, unsent(Trouble::Unreachable));
    let silent = server(codes(&["0", "0"])).await;
    let private = service(&silent.uri()).submit(&client(&[]), &plays).await.submission;
    assert_eq!(private, unsent(Trouble::AddressRefused));
    assert!(silent.received_requests().await.unwrap().is_empty());
}
