//! How much a request may hold, and when the next one may come.

use super::*;

/// Two plays whose request has so many bytes.
fn two_plays(bytes: usize) -> Vec<Scrobble> {
    let mut plays = scrobbles(2);
    let padding = bytes - body(&plays).len();
    plays[1].play.title.push_str(&"a".repeat(padding));
    assert_eq!(body(&plays).len(), bytes);
    plays
}

#[tokio::test]
async fn a_batch_that_is_too_large_is_not_sent_and_can_be_halved() {
    let (submission, requests) = submit(service, ok(), &two_plays(20_480)).await;
    assert_eq!((submission, requests.len()), (Submission::all(2, &Delivery::Accepted), 1));
    let too_large = two_plays(20_481);
    let (submission, requests) = submit(service, ok(), &too_large).await;
    assert_eq!((submission, requests.len()), (Submission::BatchRefused, 0));
    let halves = too_large.chunks(1).map(|half| submit(service, ok(), half));
    for half in halves {
        let (submission, requests) = half.await;
        assert_eq!(
            (only(submission), requests.len()),
            (Delivery::Accepted, 1),
            "a play alone is the server's to judge"
        );
    }
}

#[test]
fn a_request_may_hold_what_its_listens_may_and_never_more_than_ten_megabytes() {
    for (count, bytes) in
        [(2, 20_480), (100, 1_024_000), (1_000, 10_240_000), (1_001, 10_240_000), (usize::MAX, 10_240_000)]
    {
        assert_eq!(largest_body(count), bytes, "{count}");
    }
}

/// What an answer with these headers asks everybody to do.
async fn pause(client: &GuardedClient, status: u16, headers: &[(&'static str, &str)]) -> Option<i64> {
    let answer = if status == 200 { ok() } else { error(status) };
    let answer = headers.iter().fold(answer, |answer, (name, value)| answer.insert_header(*name, *value));
    let server = server(answer).await;
    let submitted = service(&server.uri()).submit(client, &scrobbles(1)).await;
    submitted.pause.map(|pause| pause.as_secs())
}

const DATE: (&str, &str) = ("Date", "Mon, 23 Nov 2026 10:00:00 GMT");
const NONE_LEFT: (&str, &str) = ("X-RateLimit-Remaining", "0");

#[tokio::test]
async fn an_answer_of_any_kind_that_leaves_no_request_pauses_until_the_windows_end() {
    let client = open_client();
    let reset_in = |seconds| ("X-RateLimit-Reset-In", seconds);
    let reset = |seconds| ("X-RateLimit-Reset", seconds);
    for status in [200, 400, 401, 404, 429, 500, 503] {
        assert_eq!(pause(&client, status, &[NONE_LEFT, reset_in("7")]).await, Some(7), "{status}");
        assert_eq!(pause(&client, status, &[NONE_LEFT]).await, None, "{status} does not say for how long");
    }
    for (headers, expected) in [
        (vec![("X-RateLimit-Remaining", "1"), reset_in("7")], None),
        (vec![reset_in("7")], None),
        (vec![("X-RateLimit-Remaining", "none"), reset_in("7")], None),
        (vec![NONE_LEFT, reset_in(" 7 ")], Some(7)),
        // The seconds until the end are preferred; the end itself counts from the server's own time.
        (vec![NONE_LEFT, DATE, reset("1795428009")], Some(9)),
        (vec![NONE_LEFT, DATE, reset("1795428009"), reset_in("7")], Some(7)),
        (vec![NONE_LEFT, DATE, reset("1795428009"), reset_in("soon")], Some(9)),
        (vec![NONE_LEFT, ("Date", "today"), reset("1795428009")], None),
        (vec![NONE_LEFT, DATE, reset("1795428000")], None),
        (vec![NONE_LEFT, DATE, reset("1795427000")], None),
        (vec![NONE_LEFT, DATE, reset("-9223372036854775808")], None),
        // Nobody waits longer than an hour, and a mistake is not obeyed.
        (vec![NONE_LEFT, reset_in("3600")], Some(3_600)),
        (vec![NONE_LEFT, reset_in("86400")], Some(3_600)),
        (vec![NONE_LEFT, reset_in("86401")], None),
        (vec![NONE_LEFT, reset_in("1795428009")], None),
        (vec![NONE_LEFT, reset_in("99999999999999999999")], None),
        (vec![NONE_LEFT, reset_in("0")], None),
        (vec![NONE_LEFT, reset_in("-7")], None),
        (vec![NONE_LEFT, reset_in("7.5")], None),
    ] {
        assert_eq!(pause(&client, 200, &headers).await, expected, "{headers:?}");
    }
}

#[tokio::test]
async fn a_request_too_many_pauses_for_as_long_as_it_says() {
    let client = open_client();
    for (headers, expected) in [
        (vec![], None),
        (vec![("Retry-After", "30")], Some(30)),
        (vec![("Retry-After", "30"), NONE_LEFT, ("X-RateLimit-Reset-In", "7")], Some(30)),
        (vec![("X-RateLimit-Reset-In", "7")], Some(7)),
        (vec![DATE, ("X-RateLimit-Reset", "1795428009")], Some(9)),
        (vec![("Retry-After", "0")], None),
        (vec![("X-RateLimit-Reset-In", "1795428009")], None),
    ] {
        assert_eq!(pause(&client, 429, &headers).await, expected, "{headers:?}");
    }
    let answer = page(429).insert_header("Retry-After", "30");
    let server = server(answer).await;
    let submitted = service(&server.uri()).submit(&open_client(), &scrobbles(2)).await;
    assert_eq!(submitted.pause, Some(SignedDuration::from_secs(30)), "a proxy counts by address as well");
    assert_eq!(submitted.submission, Submission::all(2, &not_now(429, Some(30))));
}

#[tokio::test]
async fn a_service_that_is_away_pauses_nobody_else() {
    let client = open_client();
    assert_eq!(pause(&client, 503, &[("Retry-After", "120")]).await, None);
    assert_eq!(pause(&client, 200, &[]).await, None);
}
