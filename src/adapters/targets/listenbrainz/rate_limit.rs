//! What the server tells about its rate limit (ListenBrainz API, "Rate limiting"). It counts requests by the address
//! that they come from, so the limit is shared by every listener behind it.

use http::{HeaderMap, StatusCode};
use jiff::SignedDuration;

use crate::adapters::http::{Answer, answered_at, retry_after};

/// Requests that are left in the window.
const REMAINING: &str = "x-ratelimit-remaining";
/// Seconds until the window ends.
const RESET_IN: &str = "x-ratelimit-reset-in";
/// When the window ends, in Unix seconds by the server's clock.
const RESET: &str = "x-ratelimit-reset";
/// Windows last ten seconds at listenbrainz.org. Nobody is asked to wait longer than this for the end of one.
const LONGEST_SECONDS: i64 = 3_600;
/// An end that lies further away than a day is a mistake: a time where seconds were meant, or a clock gone astray.
const ABSURD_SECONDS: i64 = 86_400;

/// How long nobody is to call the server: what a 429 asks for, and until the window's end after an answer of any kind
/// that says that no request is left in it.
pub(super) fn pause(answer: &Answer) -> Option<SignedDuration> {
    let pause = if answer.status == StatusCode::TOO_MANY_REQUESTS {
        wait(answer)
    } else {
        (number(&answer.headers, REMAINING) == Some(0)).then(|| window_left(&answer.headers)).flatten()
    };
    pause.filter(SignedDuration::is_positive)
}

/// How long a 429 asks to wait: `Retry-After`, or until its window ends.
pub(super) fn wait(answer: &Answer) -> Option<SignedDuration> {
    retry_after(&answer.headers).or_else(|| window_left(&answer.headers))
}

/// How long the window lasts. `X-RateLimit-Reset-In` is preferred, as the API's documentation asks: it depends on
/// nobody's clock. Without it, `X-RateLimit-Reset` is held against the answer's own `Date`.
fn window_left(headers: &HeaderMap) -> Option<SignedDuration> {
    let sane = |seconds: &i64| (1..=ABSURD_SECONDS).contains(seconds);
    let by_clock = || number(headers, RESET)?.checked_sub(answered_at(headers)?.as_second()).filter(sane);
    let seconds = number(headers, RESET_IN).filter(sane).or_else(by_clock)?;
    Some(SignedDuration::from_secs(seconds.min(LONGEST_SECONDS)))
}

fn number(headers: &HeaderMap, name: &str) -> Option<i64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}
