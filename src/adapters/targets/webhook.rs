//! A webhook: one play a request, with an idempotency key and, if there is a key, a signature. docs/webhook.md is the
//! receiver's side of this file.

use std::time::Duration;

use http::HeaderValue;
use http::header::CONTENT_TYPE;
use reqwest::{Method, RequestBuilder};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;
use url::Url;

use super::{OrderedObject, Scrobble};
use crate::adapters::http::{Answer, GuardedClient, retry_after};
use crate::domain::answer::{Delivery, Submission, Trouble};
use crate::domain::digest::{hexadecimal, keyed_hash, message_authentication_code};
use crate::domain::play::Play;

const DEADLINE: Duration = Duration::from_secs(15);
/// The version of the body's schema; grows when a field changes its meaning.
const SCHEMA: &str = "scrobble-operator.io/play/v1";
const IDEMPOTENCY_KEY: &str = "idempotency-key";
const TIMESTAMP: &str = "scrobble-operator-timestamp";
const SIGNATURE: &str = "scrobble-operator-signature";

/// Where plays are posted.
pub(super) struct Receiver<'a> {
    pub(super) url: &'a Url,
    pub(super) signing_key: Option<&'a SecretString>,
    pub(super) target: &'a str,
    pub(super) listener: &'a str,
}

/// Posts plays one by one and stops at the first that is not accepted: what was not sent is answered like that one.
pub(super) async fn submit(http: &GuardedClient, receiver: &Receiver<'_>, scrobbles: &[Scrobble]) -> Submission {
    let mut deliveries = Vec::with_capacity(scrobbles.len());
    for scrobble in scrobbles {
        let delivery = post(http, receiver, scrobble).await;
        let goes_on = matches!(delivery, Delivery::Accepted | Delivery::AlreadyThere | Delivery::Never { .. });
        deliveries.push(delivery.clone());
        if !goes_on {
            deliveries.resize(scrobbles.len(), delivery);
        }
        if deliveries.len() == scrobbles.len() {
            break;
        }
    }
    Submission::Each(deliveries)
}

async fn post(http: &GuardedClient, receiver: &Receiver<'_>, scrobble: &Scrobble) -> Delivery {
    let body = body(receiver, scrobble);
    let key = idempotency_key(receiver, &scrobble.play);
    let complete = |request: RequestBuilder| {
        let request = request.header(CONTENT_TYPE, "application/json").header(IDEMPOTENCY_KEY, key);
        let request = match receiver.signing_key {
            None => request,
            Some(key) => {
                // The play's own time: a repeat carries the same signature.
                let timestamp = scrobble.timestamp.as_second().to_string();
                let signature = signature(key, &timestamp, &body);
                request.header(TIMESTAMP, timestamp).header(SIGNATURE, signature)
            }
        };
        request.body(body)
    };
    match http.send(Method::POST, receiver.url, DEADLINE, complete).await {
        Ok(answer) => answered(&answer),
        Err(trouble) if trouble.was_not_sent() => Delivery::NotNow { retry_after: None, trouble },
        Err(trouble) => Delivery::Unknown(trouble),
    }
}

fn answered(answer: &Answer) -> Delivery {
    match answer.status.as_u16() {
        200..=299 => Delivery::Accepted,
        409 => Delivery::AlreadyThere,
        410 => Delivery::Suspended,
        401 | 403 => Delivery::CredentialsRefused,
        400 | 413 | 415 | 422 => {
            Delivery::Never { reason: format!("the receiver answered {}", answer.status.as_u16()) }
        }
        other => Delivery::NotNow { retry_after: retry_after(&answer.headers), trouble: Trouble::Status(other) },
    }
}

fn idempotency_key(receiver: &Receiver<'_>, play: &Play) -> String {
    let milliseconds = play.played_at.as_millisecond().to_string();
    let parts = [receiver.listener, &milliseconds, &play.uri, receiver.target];
    hexadecimal(&keyed_hash(SCHEMA.as_bytes(), &parts.map(str::as_bytes))[..16])
}

/// `v1=` and the HMAC-SHA256 over timestamp, a full stop and the body.
fn signature(key: &SecretString, timestamp: &str, body: &str) -> HeaderValue {
    let message = format!("{timestamp}.{body}");
    let code = message_authentication_code(key.expose_secret().as_bytes(), message.as_bytes());
    HeaderValue::from_str(&format!("v1={}", hexadecimal(&code))).unwrap_or_else(|_| HeaderValue::from_static("v1="))
}

fn body(receiver: &Receiver<'_>, scrobble: &Scrobble) -> String {
    let play = &scrobble.play;
    let mut track = OrderedObject::new();
    track.insert("album", json!(play.album));
    track.insert("artists", json!(play.artists));
    track.insert("durationMs", json!(play.duration_ms));
    track.insert("isrc", json!(play.isrc));
    track.insert("title", json!(play.title));
    track.insert("trackNumber", json!(play.track_number));
    track.insert("uri", json!(play.uri));
    let mut fields = OrderedObject::new();
    fields.insert("listener", json!({"spotifyAccountId": receiver.listener}));
    fields.insert("playedAt", json!(format!("{:.3}", play.played_at)));
    fields.insert("schema", json!(SCHEMA));
    fields.insert("timestamp", json!(scrobble.timestamp.as_second()));
    fields.insert("track", json!(track));
    json!(fields).to_string()
}
