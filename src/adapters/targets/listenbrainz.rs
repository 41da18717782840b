//! ListenBrainz: `POST /1/submit-listens` (ListenBrainz API, "Core", "JSON documentation").

use std::time::Duration;

use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use jiff::SignedDuration;
use reqwest::{Method, RequestBuilder};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use url::Url;

use super::{OrderedObject, Scrobble};
use crate::adapters::http::{Answer, GuardedClient, retry_after};
use crate::domain::answer::{Delivery, Submission, Trouble};

const DEADLINE: Duration = Duration::from_secs(15);
/// The user name with which Maloja's imitation of this API answers; it loses listens of a batch.
const MALOJA_USER: &str = "Generic Maloja User";

/// Submits listens: one as `single`, more as `import`.
pub(super) async fn submit(http: &GuardedClient, url: &Url, token: &SecretString, scrobbles: &[Scrobble]) -> Submission {
    let listen_type = if scrobbles.len() == 1 { "single" } else { "import" };
    let payload: Vec<Value> = scrobbles.iter().map(listen).collect();
    let body = json!({"listen_type": listen_type, "payload": payload}).to_string();
    let complete = |request: RequestBuilder| {
        request.header(AUTHORIZATION, authorization(token)).header(CONTENT_TYPE, "application/json").body(body)
    };
    match http.send(Method::POST, &endpoint(url, "submit-listens"), DEADLINE, complete).await {
        Ok(answer) => submitted(&answer, scrobbles.len()),
        Err(trouble) if trouble.was_not_sent() => {
            Submission::all(scrobbles.len(), &Delivery::NotNow { retry_after: None, trouble })
        }
        Err(trouble) => Submission::all(scrobbles.len(), &Delivery::Unknown(trouble)),
    }
}

/// Asks whether the token is valid: `GET /1/validate-token`.
pub(super) async fn validate(http: &GuardedClient, url: &Url, token: &SecretString) -> Delivery {
    let complete = |request: RequestBuilder| request.header(AUTHORIZATION, authorization(token));
    match http.send(Method::GET, &endpoint(url, "validate-token"), DEADLINE, complete).await {
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
        Ok(answer) if matches!(answer.status.as_u16(), 400 | 401 | 403) => Delivery::CredentialsRefused,
        Ok(answer) => Delivery::NotNow { retry_after: wait(&answer), trouble: Trouble::Status(answer.status.as_u16()) },
    }
}

fn submitted(answer: &Answer, count: usize) -> Submission {
    let delivery = match answer.status.as_u16() {
        200..=299 => Delivery::Accepted,
        // One bad listen makes the whole request a 400.
        400 if count > 1 => return Submission::BatchRefused,
        400 => Delivery::Never { reason: "the server answered 400: it does not accept this listen".to_owned() },
        401 | 403 => Delivery::CredentialsRefused,
        other => Delivery::NotNow { retry_after: wait(answer), trouble: Trouble::Status(other) },
    };
    Submission::all(count, &delivery)
}

/// `Retry-After`, or ListenBrainz's own `X-RateLimit-Reset-In`, which is in seconds.
fn wait(answer: &Answer) -> Option<SignedDuration> {
    retry_after(&answer.headers).or_else(|| {
        let seconds = answer.headers.get("x-ratelimit-reset-in")?.to_str().ok()?.trim().parse::<u32>().ok()?;
        (answer.status.as_u16() == 429).then(|| SignedDuration::from_secs(i64::from(seconds.min(86_400))))
    })
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
    if let Some(duration) = play.duration_ms.filter(|duration| *duration < 24 * 24 * 3_600_000) {
        additional.insert("duration_ms", json!(duration));
    }
    if let Some(id) = &play.track_id {
        let track = format!("https://open.spotify.com/track/{id}");
        additional.insert("origin_url", json!(track));
        additional.insert("spotify_id", json!(track));
    }
    if let Some(isrc) = &play.isrc {
        additional.insert("isrc", json!(isrc));
    }
    if let Some(number) = play.track_number {
        additional.insert("tracknumber", json!(number));
    }
    let mut metadata = OrderedObject::new();
    metadata.insert("additional_info", json!(additional));
    metadata.insert("artist_name", json!(play.artists.join(", ")));
    metadata.insert("track_name", json!(play.title));
    if let Some(album) = &play.album {
        metadata.insert("release_name", json!(album));
    }
    json!({"listened_at": scrobble.timestamp.as_second(), "track_metadata": metadata})
}
