//! How requests to webhooks are made recognisable and signed. docs/webhook.md is the receiver's side of this file.

use http::HeaderValue;
use http::header::CONTENT_TYPE;
use reqwest::RequestBuilder;
use secrecy::{ExposeSecret as _, SecretString};

use super::trace_context;
use crate::domain::digest::{hexadecimal, message_authentication_code};

const IDEMPOTENCY_KEY: &str = "idempotency-key";
const TIMESTAMP: &str = "scrobble-operator-timestamp";
const SIGNATURE: &str = "scrobble-operator-signature";

/// A request with a JSON body, its idempotency key and, where there is a signing key, the signature over `timestamp` (Unix
/// seconds) and body. The trace that it belongs to is told beside them: a repeat may be of another one.
pub fn complete(
    request: RequestBuilder,
    id: &str,
    signing_key: Option<&SecretString>,
    timestamp: i64,
    body: String,
) -> RequestBuilder {
    let request = trace_context::told(request).header(CONTENT_TYPE, "application/json").header(IDEMPOTENCY_KEY, id);
    let request = match signing_key {
        None => request,
        Some(key) => {
            let timestamp = timestamp.to_string();
            let signature = signature(key, &timestamp, &body);
            request.header(TIMESTAMP, timestamp).header(SIGNATURE, signature)
        }
    };
    request.body(body)
}

/// `v1=` and the HMAC-SHA256 over timestamp, a full stop and the body.
fn signature(key: &SecretString, timestamp: &str, body: &str) -> HeaderValue {
    let message = format!("{timestamp}.{body}");
    let code = message_authentication_code(key.expose_secret().as_bytes(), message.as_bytes());
    HeaderValue::from_str(&format!("v1={}", hexadecimal(&code))).unwrap_or_else(|_| HeaderValue::from_static("v1="))
}
