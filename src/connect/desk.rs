//! The redirect URI: a server on 127.0.0.1 that takes one answer and shows a page for it (RFC 8252 section 7.3).

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use secrecy::SecretString;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::ConnectError;
use crate::plan::sign_in::page::CONTENT_SECURITY_POLICY;
use crate::plan::sign_in::{Attempt, Callback, Page, Refusal, Verdict};
use crate::reconcile::context::Clock;

/// The path of the redirect URI. Spotify compares it letter by letter with what the app has registered.
const PATH: &str = "/callback";
/// How long a browser may take to fetch the last page.
const PATIENCE: Duration = Duration::from_secs(2);

/// The answer to a sign-in.
pub(super) struct Answer {
    /// The code, or why there is none.
    pub(super) code: Result<SecretString, Refusal>,
    /// The page that the browser waits for.
    pub(super) page: oneshot::Sender<Page>,
}

/// Waits for the answer.
pub(super) struct Desk {
    redirect_url: Url,
    answers: mpsc::Receiver<Answer>,
    stop: CancellationToken,
    server: JoinHandle<std::io::Result<()>>,
}

struct Counter {
    attempt: Mutex<Attempt>,
    clock: Arc<dyn Clock>,
    answers: mpsc::Sender<Answer>,
    /// Somebody came who does not belong here, and it was said.
    told: AtomicBool,
}

impl Desk {
    /// Listens on this port, or on any where it is 0.
    pub(super) async fn open(port: u16, attempt: Attempt, clock: Arc<dyn Clock>) -> Result<Self, ConnectError> {
        let failed = |source| ConnectError::Listen { port, source };
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let redirect_url =
            Url::parse(&format!("http://{address}{PATH}")).map_err(|error| failed(std::io::Error::other(error)))?;
        let (sender, answers) = mpsc::channel(1);
        let counter = Counter { attempt: Mutex::new(attempt), clock, answers: sender, told: AtomicBool::new(false) };
        let router = Router::new()
            .route(PATH, axum::routing::any(serve))
            .fallback(|| std::future::ready(shown(&Page::unknown())))
            .with_state(Arc::new(counter));
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        let server = tokio::spawn(axum::serve(listener, router).with_graceful_shutdown(stopped).into_future());
        Ok(Self { redirect_url, answers, stop, server })
    }

    pub(super) fn redirect_url(&self) -> &Url {
        &self.redirect_url
    }

    /// Waits for the answer; none comes any more where the server has ended.
    pub(super) async fn answer(&mut self) -> Option<Answer> {
        self.answers.recv().await
    }

    /// Lets the last page leave, and stops.
    pub(super) async fn close(self) {
        self.stop.cancel();
        let _ = tokio::time::timeout(PATIENCE, self.server).await;
    }
}

async fn serve(State(counter): State<Arc<Counter>>, method: Method, RawQuery(query): RawQuery) -> Response {
    // A browser that looks ahead (HEAD) must not spend the code.
    if method != Method::GET {
        return (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET")]).into_response();
    }
    let callback = Callback::parse(&query.unwrap_or_default());
    let verdict = counter.attempt.lock().unwrap_or_else(PoisonError::into_inner).judge(callback, counter.clock.now());
    let code = match verdict {
        Verdict::Accepted(code) => Ok(code),
        Verdict::Ended(refusal) => Err(refusal),
        Verdict::Stray(refusal) => {
            if refusal == Refusal::ForeignState && !counter.told.swap(true, Ordering::Relaxed) {
                tracing::warn!("an answer that belongs to another sign-in was refused; still waiting for this one's");
            }
            return shown(&Page::refused(&refusal));
        }
    };
    let (page, told) = oneshot::channel();
    if counter.answers.send(Answer { code, page }).await.is_err() {
        return shown(&Page::failed());
    }
    shown(&told.await.unwrap_or_else(|_| Page::failed()))
}

/// A page with the headers that keep it plain, unstored, and its address (which holds the code) to itself.
fn shown(page: &Page) -> Response {
    let status = StatusCode::from_u16(page.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONTENT_SECURITY_POLICY)),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::CONNECTION, HeaderValue::from_static("close")),
    ];
    (status, headers, page.html()).into_response()
}
