//! `GET /diagnostics/<namespace>/<name>`: what an account is like, for users of the cluster who may get it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use jiff::SignedDuration;
use secrecy::SecretString;
use serde_json::json;

use super::callers::{Callers, Refusal};
use crate::domain::name::ObjectName;
use crate::plan::diagnosis::{Diagnosis, table};
use crate::plan::inquiry::Pauses;
use crate::plan::observed::Lookup;
use crate::reconcile::context::Context;
use crate::reconcile::{self, diagnosis};
use crate::runtime::stores::StoreCatalogue;

/// An account is looked at once in so long, whoever asks.
const PAUSE: SignedDuration = SignedDuration::from_secs(10);
/// Nobody is kept waiting for longer (real time); what is under way then goes on.
const DEADLINE: Duration = Duration::from_secs(75);
/// When to come again where somebody else is at it.
const BUSY: SignedDuration = SignedDuration::from_secs(5);
/// No name of an object is longer (RFC 1123).
const LONGEST_NAME: usize = 253;

/// What an answer is made with.
pub struct Desk {
    ctx: Arc<Context>,
    catalogue: Arc<StoreCatalogue>,
    lease: ObjectName,
    callers: Callers,
    pauses: Mutex<Pauses<ObjectName>>,
}

impl Desk {
    /// Looks are made with `ctx`; who is on duty is told by the Lease.
    pub fn new(ctx: Arc<Context>, catalogue: Arc<StoreCatalogue>, lease: ObjectName) -> Self {
        let callers = Callers::new(ctx.cluster.clone(), Arc::clone(&ctx.clock));
        Self { ctx, catalogue, lease, callers, pauses: Mutex::new(Pauses::of(PAUSE)) }
    }

    /// Whether this process works, and knows all that it watches.
    fn is_on_duty(&self) -> bool {
        self.ctx.duty.get().is_some()
            && self.ctx.tenure.holds()
            && !self.ctx.stopping.is_cancelled()
            && self.catalogue.is_listed()
    }
}

/// The page.
pub fn routes(desk: Desk) -> Router {
    Router::new().route("/diagnostics/{namespace}/{name}", axum::routing::any(serve)).with_state(Arc::new(desk))
}

/// There is no diagnosis.
struct NoAnswer {
    status: StatusCode,
    message: String,
    retry_after: Option<SignedDuration>,
}

impl NoAnswer {
    fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), retry_after: None }
    }

    fn again_after(self, wait: SignedDuration) -> Self {
        Self { retry_after: Some(wait), ..self }
    }
}

impl From<Refusal> for NoAnswer {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unauthorized => {
                Self::new(StatusCode::UNAUTHORIZED, "a bearer token of a user of this cluster is needed")
            }
            Refusal::Forbidden => Self::new(StatusCode::FORBIDDEN, "the right to get this SpotifyAccount is needed"),
            Refusal::Busy(wait) => Self::new(StatusCode::TOO_MANY_REQUESTS, "too many ask").again_after(wait),
            Refusal::Unavailable => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "the API server does not tell who asks").again_after(BUSY)
            }
        }
    }
}

impl From<reconcile::Error> for NoAnswer {
    fn from(error: reconcile::Error) -> Self {
        match error {
            reconcile::Error::Panicked { .. } => {
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "a fault of the operator; its log has more")
            }
            reconcile::Error::OffDuty => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "this process is not on duty any more").again_after(BUSY)
            }
            _ => Self::new(StatusCode::SERVICE_UNAVAILABLE, "the account could not be looked at now").again_after(BUSY),
        }
    }
}

async fn serve(
    State(desk): State<Arc<Desk>>,
    method: Method,
    Path((namespace, name)): Path<(String, String)>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    // HEAD would cost a read, too.
    if method != Method::GET {
        return (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET")]).into_response();
    }
    let plain = wants_table(&headers, query.as_deref());
    let name = ObjectName::new(namespace, name);
    match answer(&desk, &name, &headers).await {
        Ok(diagnosis) => told(StatusCode::OK, plain, &diagnosis),
        Err(none) => refused(plain, &none),
    }
}

async fn answer(desk: &Arc<Desk>, name: &ObjectName, headers: &HeaderMap) -> Result<Diagnosis, NoAnswer> {
    let token = bearer(headers).ok_or(Refusal::Unauthorized)?;
    let caller = desk.callers.identify(&token).await?;
    // A name that no object can have tells nobody anything, and is not for the API server.
    if !is_name(&name.namespace) || !is_name(&name.name) {
        return Err(Refusal::Forbidden.into());
    }
    desk.callers.admit(&caller, name).await?;
    if !desk.is_on_duty() {
        return Err(NoAnswer::new(StatusCode::SERVICE_UNAVAILABLE, off_duty(desk).await).again_after(BUSY));
    }
    let account = match desk.catalogue.account(name) {
        Lookup::Found(account) => account,
        Lookup::Missing => {
            let message =
                format!("SpotifyAccount {name} does not exist, or this operator does not work in its namespace");
            return Err(NoAnswer::new(StatusCode::NOT_FOUND, message));
        }
        Lookup::Unreadable => {
            let message = format!(
                "SpotifyAccount {name} was written for another version of the schema: upgrade the operator or correct it"
            );
            return Err(NoAnswer::new(StatusCode::UNPROCESSABLE_ENTITY, message));
        }
    };
    let entered = desk.pauses.lock().unwrap_or_else(PoisonError::into_inner).enter(name, desk.ctx.clock.now());
    entered.map_err(|wait| {
        let message = format!("SpotifyAccount {name} was looked at a moment ago");
        NoAnswer::new(StatusCode::TOO_MANY_REQUESTS, message).again_after(wait)
    })?;
    // Whoever goes away leaves no look half done.
    let (ctx, name) = (Arc::clone(&desk.ctx), name.clone());
    let look = tokio::spawn(async move { diagnosis::diagnose(&ctx, &account, &name).await });
    match tokio::time::timeout(DEADLINE, look).await {
        Ok(Ok(looked)) => Ok(looked?),
        Ok(Err(_)) => {
            Err(NoAnswer::new(StatusCode::INTERNAL_SERVER_ERROR, "a fault of the operator; its log has more"))
        }
        Err(_) => {
            let message = "the account could not be looked at in time";
            Err(NoAnswer::new(StatusCode::SERVICE_UNAVAILABLE, message).again_after(BUSY))
        }
    }
}

/// Who is on duty, for somebody who may know.
async fn off_duty(desk: &Desk) -> String {
    let record = desk.ctx.cluster.lease(&desk.lease).await;
    let holder = record.ok().flatten().and_then(|record| record.holder).filter(|holder| *holder != desk.ctx.holder);
    match holder {
        Some(holder) => format!("this process is not on duty: the Lease is held by {holder}"),
        None => "this process is not on duty, or does not know all accounts yet".to_owned(),
    }
}

/// The token of `Authorization: Bearer …` (RFC 6750 section 2.1).
fn bearer(headers: &HeaderMap) -> Option<SecretString> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| SecretString::from(token.trim().to_owned()))
}

fn is_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'.';
    (1..=LONGEST_NAME).contains(&text.len()) && text.bytes().all(allowed)
}

/// `?format=table` or `?format=json`, and where neither is asked for what `Accept` says.
fn wants_table(headers: &HeaderMap, query: Option<&str>) -> bool {
    let mut pairs = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    if let Some((_, format)) = pairs.find(|(key, _)| key == "format") {
        return format == "table";
    }
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    accept.trim_start().starts_with("text/plain")
}

fn told(status: StatusCode, plain: bool, diagnosis: &Diagnosis) -> Response {
    if plain {
        return page(status, "text/plain; charset=utf-8", table(diagnosis));
    }
    match serde_json::to_string_pretty(diagnosis) {
        Ok(text) => page(status, "application/json", format!("{text}\n")),
        Err(_) => page(StatusCode::INTERNAL_SERVER_ERROR, "text/plain; charset=utf-8", String::new()),
    }
}

fn refused(plain: bool, none: &NoAnswer) -> Response {
    let mut response = if plain {
        page(none.status, "text/plain; charset=utf-8", format!("{}\n", none.message))
    } else {
        page(none.status, "application/json", format!("{}\n", json!({"error": none.message})))
    };
    let headers = response.headers_mut();
    if none.status == StatusCode::UNAUTHORIZED {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if let Some(wait) = none.retry_after {
        let seconds = wait.as_secs() + i64::from(wait.subsec_nanos() > 0);
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
    }
    response
}

fn page(status: StatusCode, kind: &'static str, text: String) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    (status, headers, text).into_response()
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn with(name: header::HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn a_bearer_token_is_taken_from_its_header_alone() {
        for (value, expected) in [
            ("Bearer abc.def", Some("abc.def")),
            ("bearer  abc", Some("abc")),
            ("Basic abc", None),
            ("Bearer", None),
            ("abc", None),
        ] {
            let found = bearer(&with(header::AUTHORIZATION, value));
            assert_eq!(found.as_ref().map(ExposeSecret::expose_secret), expected, "{value}");
        }
        assert!(bearer(&HeaderMap::new()).is_none());
    }

    #[test]
    fn names_that_no_object_can_have_are_known() {
        for (text, expected) in [
            ("alice", true),
            ("alice-2.x", true),
            ("", false),
            ("Alice", false),
            ("a/b", false),
            ("a b", false),
            ("..%2f", false),
        ] {
            assert_eq!(is_name(text), expected, "{text}");
        }
        assert!(!is_name(&"a".repeat(254)));
    }

    #[test]
    fn a_table_is_for_whoever_asks_for_one() {
        let accept = |value| with(header::ACCEPT, value);
        for (headers, query, expected) in [
            (HeaderMap::new(), None, false),
            (accept("*/*"), None, false),
            (accept("text/plain"), None, true),
            (accept("text/plain"), Some("format=json"), false),
            (accept("application/json"), Some("format=table"), true),
            (HeaderMap::new(), Some("other=table"), false),
        ] {
            assert_eq!(wants_table(&headers, query), expected, "{headers:?} {query:?}");
        }
    }

    #[test]
    fn who_is_sent_away_is_told_when_to_come_again() {
        let wait = SignedDuration::from_millis(1200);
        let response = refused(false, &NoAnswer::from(Refusal::Busy(wait)));
        assert_eq!(response.status(), 429);
        assert_eq!(response.headers()[header::RETRY_AFTER], "2");
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
        let response = refused(true, &Refusal::Unauthorized.into());
        assert_eq!(
            (response.status().as_u16(), &response.headers()[header::WWW_AUTHENTICATE]),
            (401, &HeaderValue::from_static("Bearer"))
        );
        assert_eq!(refused(true, &Refusal::Forbidden.into()).status(), 403);
    }
}
