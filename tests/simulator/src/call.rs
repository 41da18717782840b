//! A request as a simulated service sees it, and its answer.

use axum::body::{Body, Bytes};
use axum::extract::Request;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, Method};
use jiff::Timestamp;
use serde_json::Value;
use url::form_urlencoded;

use crate::api::{Effect, Facts};
use crate::state::World;

/// Larger requests are refused before any service looks at them.
const LARGEST_BODY: usize = 64 * 1024 * 1024;

/// A request, read whole.
#[derive(Debug)]
pub(crate) struct Call {
    pub method: Method,
    pub path: String,
    pub segments: Vec<String>,
    pub query: Vec<(String, String)>,
    pub form: Vec<(String, String)>,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Call {
    /// Reads a request; `None` if its body breaks off or is too large.
    pub(crate) async fn read(request: Request) -> Option<Self> {
        let (parts, body) = request.into_parts();
        let body = axum::body::to_bytes(body, LARGEST_BODY).await.ok()?;
        let path = parts.uri.path().to_owned();
        let is_form = parts
            .headers
            .get(http::header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| value.starts_with("application/x-www-form-urlencoded"));
        Some(Self {
            segments: path.split('/').filter(|part| !part.is_empty()).map(decoded).collect(),
            query: pairs(parts.uri.query().unwrap_or_default().as_bytes()),
            form: if is_form { pairs(&body) } else { Vec::new() },
            method: parts.method,
            path,
            headers: parts.headers,
            body,
        })
    }

    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        first(&self.query, name)
    }

    pub(crate) fn form(&self, name: &str) -> Option<&str> {
        first(&self.form, name)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The rest of `Authorization` after this scheme, whose case does not matter (RFC 9110 section 11.1).
    pub(crate) fn credentials(&self, scheme: &str) -> Option<&str> {
        let (found, rest) = self.header("authorization")?.split_once(' ')?;
        found.eq_ignore_ascii_case(scheme).then(|| rest.trim())
    }

    /// Client id and secret of HTTP Basic, form-decoded after decoding (RFC 6749 section 2.3.1).
    pub(crate) fn basic(&self) -> Option<(String, String)> {
        let text = String::from_utf8(STANDARD.decode(self.credentials("basic")?).ok()?).ok()?;
        let (id, secret) = text.split_once(':')?;
        Some((decoded_form(id), decoded_form(secret)))
    }

    /// The simulator's own address, as the client wrote it.
    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.header("host").unwrap_or("127.0.0.1"))
    }
}

/// What a service's logic works on.
pub(crate) struct Visit<'a> {
    pub world: &'a mut World,
    pub call: &'a Call,
    pub now: Timestamp,
    pub facts: &'a mut Facts,
    /// A fault that bends what the logic answers rather than replacing it.
    pub effect: Option<&'a Effect>,
    /// Number of the request's record.
    pub seq: u64,
}

/// An answer before it becomes HTTP.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::json_text(status, body.to_string())
    }

    pub(crate) fn json_text(status: u16, body: String) -> Self {
        Self { status, headers: vec![("content-type", "application/json".into())], body: body.into_bytes() }
    }

    pub(crate) fn text(status: u16, body: impl Into<String>) -> Self {
        let body = body.into().into_bytes();
        Self { status, headers: vec![("content-type", "text/plain; charset=utf-8".into())], body }
    }

    pub(crate) fn html(status: u16, title: &str) -> Self {
        let body = format!(
            "<!DOCTYPE html>\n<html><head><title>{title}</title></head>\n<body><h1>{title}</h1><p>Please try again later.</p></body></html>\n"
        );
        let headers = vec![("content-type", "text/html; charset=utf-8".into())];
        Self { status, headers, body: body.into_bytes() }
    }

    pub(crate) fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new() }
    }

    pub(crate) fn redirect(location: String) -> Self {
        Self { status: 303, headers: vec![("location", location)], body: Vec::new() }
    }

    #[must_use]
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn into_response(self, body: Body) -> axum::response::Response {
        let mut response = axum::response::Response::new(body);
        *response.status_mut() =
            http::StatusCode::from_u16(self.status).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
        for (name, value) in self.headers {
            if let Ok(value) = http::HeaderValue::from_str(&value) {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }
}

pub(crate) fn pairs(text: &[u8]) -> Vec<(String, String)> {
    form_urlencoded::parse(text).into_owned().collect()
}

fn first<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

/// A path segment: percent-encoding only, `+` is itself.
fn decoded(segment: &str) -> String {
    decoded_form(&segment.replace('+', "%2B"))
}

fn decoded_form(text: &str) -> String {
    // As the value of a pair, so that `=` and `&` in it have to be escaped first.
    let pair = format!("v={}", text.replace('&', "%26"));
    pairs(pair.as_bytes()).into_iter().next().map(|(_, value)| value).unwrap_or_default()
}
