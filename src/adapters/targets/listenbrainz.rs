//! ListenBrainz: `POST /1/submit-listens` (ListenBrainz API, "Core", "JSON documentation").

mod rate_limit;

use std::time::Duration;

use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use reqwest::{Method, RequestBuilder};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use url::Url;

use super::{OrderedObject, Scrobble, filled, lost};
use crate::adapters::http::{ANSWER_BYTES, Answer, GuardedClient, retry_after};
use crate::domain::answer::{Delivery, Submission, Submitted, Trouble};

/// The user name with which Maloja's imitation of this API answers; it loses listens of a batch.
const MALOJA_USER: &str = "Generic Maloja User";
/// The most bytes of one listen (`MAX_LISTEN_SIZE` of the server's `api_tools.py`). The server counts the whole body of
/// a request and allows as many times this as there are listens in it.
const LARGEST_LISTEN_BYTES: usize = 10_240;
/// The most bytes of a request (`MAX_LISTEN_PAYLOAD_SIZE`).
const LARGEST_REQUEST_BYTES: usize = 10_240_000;
/// 2002-10-01, the oldest second that is accepted (`LISTEN_MINIMUM_TS`).
const OLDEST_SECOND: i64 = 1_033_430_400;
/// 24 days, the longest track that is accepted (`MAX_DURATION_MS_LIMIT`).
const LONGEST_TRACK_MS: i64 = 24 * 24 * 3_600_000;

/// A listener's place at a server.
pub(super) struct Account<'a> {
    pub(super) url: &'a Url,
    pub(super) token: &'a SecretString,
    pub(super) deadline: Duration,
}

/// Submits listens: one as `single`, more as `import`. What a server refuses is its own to say (Koito takes longer
/// listens than ListenBrainz), so no listen is held back here; a batch that is known to be too large is one that would
/// only be refused for its size, and is not sent.
pub(super) async fn submit(http: &GuardedClient, account: &Account<'_>, scrobbles: &[Scrobble]) -> Submitted {
    let body = body(scrobbles);
    if scrobbles.len() > 1 && body.len() > largest_body(scrobbles.len()) {
        return Submitted::plain(Submission::BatchRefused);
    }
    let complete = |request: RequestBuilder| {
        request.header(AUTHORIZATION, authorization(account.token)).header(CONTENT_TYPE, "application/json").body(body)
    };
    match http
        .send(Method::POST, &endpoint(account.url, "submit-listens"), account.deadline, ANSWER_BYTES, complete)
        .await
    {
        Ok(answer) => Submitted { submission: submitted(&answer, scrobbles), pause: rate_limit::pause(&answer) },
        Err(trouble) => Submitted::all(scrobbles.len(), &lost(trouble)),
    }
}

/// The most bytes that a request with so many listens may have.
fn largest_body(count: usize) -> usize {
    count.saturating_mul(LARGEST_LISTEN_BYTES).min(LARGEST_REQUEST_BYTES)
}

fn body(scrobbles: &[Scrobble]) -> String {
    let listen_type = if scrobbles.len() == 1 { "single" } else { "import" };
    let payload: Vec<Value> = scrobbles.iter().map(listen).collect();
    json!({"listen_type": listen_type, "payload": payload}).to_string()
}

/// Asks whether the token is valid: `GET /1/validate-token`.
pub(super) async fn validate(http: &GuardedClient, account: &Account<'_>) -> Delivery {
    let complete = |request: RequestBuilder| request.header(AUTHORIZATION, authorization(account.token));
    match http
        .send(Method::GET, &endpoint(account.url, "validate-token"), account.deadline, ANSWER_BYTES, complete)
        .await
    {
        Err(trouble) => Delivery::NotNow { retry_after: None, trouble },
        Ok(answer) if answer.status == StatusCode::OK => {
            let body: Value = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
            if body.get("user_name").and_then(Value::as_str) == Some(MALOJA_USER) {
                return Delivery::Never { reason: "the server is a Maloja; use type Maloja".to_owned() };
            }
            match body.get("valid").and_then(Value::as_bool) {
                Some(true) => Delivery::Accepted,
                Some(false) => Delivery::CredentialsRefused,
                None => Delivery::NotNow { retry_after: None, trouble: Trouble::Unreadable },
            }
        }
        Ok(answer) if matches!(answer.status.as_u16(), 400 | 401 | 403) && !answer.is_page() => {
            Delivery::CredentialsRefused
        }
        Ok(answer) => not_now(&answer),
    }
}

fn submitted(answer: &Answer, scrobbles: &[Scrobble]) -> Submission {
    let delivery = match answer.status.as_u16() {
        200..=299 if is_confirmed(&answer.body) => Delivery::Accepted,
        // A proxy's page, or half an answer: the server may have the listens, and recognises them when they come again.
        200..=299 => Delivery::Unknown(Trouble::Unreadable),
        413 if scrobbles.len() > 1 => return Submission::BatchRefused,
        413 => Delivery::Never { reason: refusal(413, scrobbles) },
        // A proxy between here and the server says nothing about listens or tokens.
        _ if answer.is_page() => not_now(answer),
        // One bad listen makes the whole request a 400.
        400 if scrobbles.len() > 1 => return Submission::BatchRefused,
        400 => Delivery::Never { reason: refusal(400, scrobbles) },
        401 | 403 => Delivery::CredentialsRefused,
        _ => not_now(answer),
    };
    Submission::all(scrobbles.len(), &delivery)
}

/// `{"status": "ok"}` says that the listens are kept; nothing else does.
fn is_confirmed(body: &[u8]) -> bool {
    let body: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    body.get("status").and_then(Value::as_str) == Some("ok")
}

fn not_now(answer: &Answer) -> Delivery {
    match answer.status {
        StatusCode::TOO_MANY_REQUESTS => {
            Delivery::NotNow { retry_after: rate_limit::wait(answer), trouble: Trouble::RateLimited }
        }
        other => {
            Delivery::NotNow { retry_after: retry_after(&answer.headers), trouble: Trouble::Status(other.as_u16()) }
        }
    }
}

/// Why a listen was refused, in our words: the documented limit that it breaks, if it breaks one.
fn refusal(status: u16, scrobbles: &[Scrobble]) -> String {
    let broken = scrobbles.first().and_then(broken_limit);
    let why = broken.unwrap_or_else(|| "it does not accept this listen".to_owned());
    format!("the server answered {status}: {why}")
}

fn broken_limit(scrobble: &Scrobble) -> Option<String> {
    let bytes = body(std::slice::from_ref(scrobble)).len();
    if bytes > LARGEST_LISTEN_BYTES {
        return Some(format!("the request has {bytes} bytes, more than {LARGEST_LISTEN_BYTES}"));
    }
    if scrobble.timestamp.as_second() < OLDEST_SECOND {
        return Some("the listen lies before October 2002".to_owned());
    }
    let play = &scrobble.play;
    let texts = play.artists.iter().chain([&play.title]).chain(&play.album).chain(&play.isrc).chain(&play.track_id);
    texts.into_iter().any(|text| text.contains('\0')).then(|| "the listen holds a NUL character".to_owned())
}

fn endpoint(url: &Url, name: &str) -> Url {
    let mut endpoint = url.clone();
    endpoint.set_path(&format!("{}/1/{name}", url.path().trim_end_matches('/')));
    endpoint
}

fn authorization(token: &SecretString) -> HeaderValue {
    let mut value = HeaderValue::from_str(&format!("Token {}", token.expose_secret()))
        .unwrap_or_else(|_| HeaderValue::from_static("Token"));
    value.set_sensitive(true);
    value
}

/// One listen, the same bytes each time: the service recognises a repeat by time, title, artist, release and duration.
fn listen(scrobble: &Scrobble) -> Value {
    let play = &scrobble.play;
    let mut additional = OrderedObject::new();
    additional.insert("artist_names", json!(play.artists));
    additional.insert("music_service", json!("spotify.com"));
    additional.insert("submission_client", json!("scrobble-operator"));
    if let Some(duration) = play.duration_ms.filter(|duration| (1..=LONGEST_TRACK_MS).contains(duration)) {
        additional.insert("duration_ms", json!(duration));
    }
    if let Some(id) = filled(play.track_id.as_ref()) {
        let track = format!("https://open.spotify.com/track/{id}");
        additional.insert("origin_url", json!(track));
        additional.insert("spotify_id", json!(track));
    }
    if let Some(isrc) = filled(play.isrc.as_ref()) {
        additional.insert("isrc", json!(isrc));
    }
    if let Some(number) = play.track_number {
        additional.insert("tracknumber", json!(number));
    }
    let mut metadata = OrderedObject::new();
    metadata.insert("additional_info", json!(additional));
    metadata.insert("artist_name", json!(play.artists.join(", ")));
    metadata.insert("track_name", json!(play.title));
    if let Some(album) = filled(play.album.as_ref()) {
        metadata.insert("release_name", json!(album));
    }
    json!({"listened_at": scrobble.timestamp.as_second(), "track_metadata": metadata})
}

#[cfg(test)]
mod tests;
