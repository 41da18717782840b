//! A webhook: one play a request, with an idempotency key and, if there is a key, a signature. docs/webhook.md is the
//! receiver's side of this file.

use std::time::Duration;

use reqwest::{Method, RequestBuilder};
use secrecy::SecretString;
use serde_json::json;
use url::Url;

use super::{OneByOne, OrderedObject, Scrobble, filled, lost};
use crate::adapters::http::{ANSWER_BYTES, Answer, GuardedClient, retry_after, signature};
use crate::domain::answer::{Delivery, Submitted, Trouble};
use crate::domain::digest::{hexadecimal, keyed_hash};
use crate::domain::play::Play;

/// The version of the body's schema. Every byte of a body stays as it is while this stays: a field more or less, or
/// another order, is a new version.
const SCHEMA: &str = "scrobble-operator.io/play/v1";
/// Sets the hash behind the idempotency key apart from other hashes. Never changes, whatever becomes of the schema: a
/// play that was delivered before an upgrade keeps its key after it.
const KEY_DOMAIN: &[u8] = b"scrobble-operator.io/idempotency-key";

/// Where plays are posted, and for whom.
pub(super) struct Receiver<'a> {
    pub(super) url: &'a Url,
    pub(super) signing_key: Option<&'a SecretString>,
    pub(super) target: &'a str,
    pub(super) listener: &'a str,
    pub(super) deadline: Duration,
}

/// Posts plays one by one and stops at the first that is neither accepted nor refused for good.
pub(super) async fn submit(http: &GuardedClient, receiver: &Receiver<'_>, scrobbles: &[Scrobble]) -> Submitted {
    let mut answers = OneByOne::of(scrobbles.len());
    for scrobble in scrobbles {
        if !answers.go_on_after(post(http, receiver, scrobble).await) {
            break;
        }
    }
    // A receiver that asks to wait speaks for itself: others at the same host (a relay for many people, say) go on.
    answers.submitted()
}

async fn post(http: &GuardedClient, receiver: &Receiver<'_>, scrobble: &Scrobble) -> Delivery {
    let key = idempotency_key(receiver, &scrobble.play);
    let body = body(receiver, scrobble, &key);
    // The play's own second, not the time of sending: a repeat is the same request, and plays may be sent weeks late.
    // Replays are recognised by the id, which the signature covers.
    let timestamp = scrobble.timestamp.as_second();
    let complete = |request: RequestBuilder| signature::complete(request, &key, receiver.signing_key, timestamp, body);
    match http.send(Method::POST, receiver.url, receiver.deadline, ANSWER_BYTES, complete).await {
        Ok(answer) => answered(&answer),
        Err(trouble) => lost(trouble),
    }
}

/// The table of docs/webhook.md. Only statuses that can be about one play refuse it for good: a wrong path or an
/// Ingress without its backend (404, 405, 415) would otherwise cost every play.
fn answered(answer: &Answer) -> Delivery {
    match answer.status.as_u16() {
        200..=299 => Delivery::Accepted,
        409 => Delivery::AlreadyThere,
        410 => Delivery::Suspended,
        401 | 403 => Delivery::CredentialsRefused,
        status @ (400 | 413 | 422) => Delivery::Never { reason: format!("the receiver answered {status}") },
        other => {
            let trouble = if other == 429 { Trouble::RateLimited } else { Trouble::Status(other) };
            Delivery::NotNow { retry_after: retry_after(&answer.headers), trouble }
        }
    }
}

/// The same for the same play of the same listener at the same target, whatever else changes: settings, operator
/// versions, a play's metadata, the account's object.
fn idempotency_key(receiver: &Receiver<'_>, play: &Play) -> String {
    let milliseconds = play.played_at.as_millisecond().to_string();
    let parts = [receiver.listener, &milliseconds, &play.uri, receiver.target];
    hexadecimal(&keyed_hash(KEY_DOMAIN, &parts.map(str::as_bytes))[..16])
}

fn body(receiver: &Receiver<'_>, scrobble: &Scrobble, id: &str) -> String {
    let play = &scrobble.play;
    let mut track = OrderedObject::new();
    track.insert("album", json!(filled(play.album.as_ref())));
    track.insert("albumArtists", json!(play.album_artists));
    track.insert("artists", json!(play.artists));
    track.insert("durationMs", json!(play.duration_ms.filter(|duration| *duration > 0)));
    track.insert("isrc", json!(filled(play.isrc.as_ref())));
    track.insert("title", json!(play.title));
    track.insert("trackNumber", json!(play.track_number));
    track.insert("uri", json!(filled(Some(&play.uri))));
    let mut fields = OrderedObject::new();
    fields.insert("id", json!(id));
    fields.insert("listener", json!({"spotifyAccountId": receiver.listener}));
    fields.insert("playedAt", json!(format!("{:.3}", play.played_at)));
    fields.insert("schema", json!(SCHEMA));
    fields.insert("timestamp", json!(scrobble.timestamp.as_second()));
    fields.insert("track", json!(track));
    json!(fields).to_string()
}

#[cfg(test)]
mod tests;
