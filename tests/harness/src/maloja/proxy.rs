//! A proxy in front of a Maloja: hides scrobbles, loses answers, and keeps what passed.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use futures::stream;
use reqwest::Client;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::error::Error;
use crate::install_crypto_provider;

/// A request that passed through the proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passed {
    /// `GET` or `POST`.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// The body.
    pub body: String,
    /// The status that the Maloja answered.
    pub status: u16,
}

#[derive(Debug, Default)]
struct Records {
    hiding: bool,
    losing: usize,
    open: usize,
    most_open: usize,
    passed: Vec<Passed>,
}

#[derive(Clone, Debug)]
struct Relay {
    upstream: String,
    client: Client,
    records: Arc<Mutex<Records>>,
}

/// A proxy on 127.0.0.1 in front of a Maloja. It belongs to the runtime of the test that starts it; dropping it ends it.
#[derive(Debug)]
pub struct MalojaProxy {
    address: SocketAddr,
    relay: Relay,
    server: JoinHandle<()>,
}

impl MalojaProxy {
    /// Starts a proxy that passes everything on to the Maloja with this base URL, also after its restarts.
    ///
    /// # Errors
    /// No port can be listened on.
    pub async fn start(upstream: &str) -> Result<Self, Error> {
        install_crypto_provider();
        let client = Client::builder()
            .no_proxy()
            .pool_max_idle_per_host(0)
            .build()
            .map_err(|error| Error::io("make a client of the proxy")(std::io::Error::other(error)))?;
        let relay = Relay { upstream: upstream.to_owned(), client, records: Arc::default() };
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(Error::io("listen on a port for the proxy"))?;
        let address = listener.local_addr().map_err(Error::io("read the proxy's address"))?;
        let router = Router::new().fallback(pass).with_state(relay.clone());
        let server = tokio::spawn(async move {
            // It ends with the test; nobody is left to tell.
            axum::serve(listener, router).await.ok();
        });
        Ok(Self { address, relay, server })
    }

    /// Where it is, without a slash at the end.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Shows no scrobbles to who reads them, or shows them again: so that who looks for a free second before it sends is
    /// answered 409, as if another client had been faster in between.
    pub fn hide_scrobbles(&self, hiding: bool) {
        self.relay.records().hiding = hiding;
    }

    /// Cuts the connection instead of passing on the answers to the next so many scrobbles that are sent. Maloja has
    /// answered them by then.
    pub fn lose_answers(&self, count: usize) {
        self.relay.records().losing = count;
    }

    /// What has passed, in the order of the answers. Hidden reads are not in it.
    pub fn passed(&self) -> Vec<Passed> {
        self.relay.records().passed.clone()
    }

    /// The most requests that were under way at one time.
    pub fn most_at_a_time(&self) -> usize {
        self.relay.records().most_open
    }
}

impl Drop for MalojaProxy {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Relay {
    fn records(&self) -> MutexGuard<'_, Records> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn pass(State(relay): State<Relay>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    {
        let mut records = relay.records();
        records.open += 1;
        records.most_open = records.most_open.max(records.open);
    }
    let response = answer(&relay, method, uri, headers, body).await;
    relay.records().open -= 1;
    response
}

async fn answer(relay: &Relay, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    if method == Method::GET && uri.path().ends_with("/scrobbles") && relay.records().hiding {
        return ([(CONTENT_TYPE, "application/json")], r#"{"status": "ok", "list": []}"#).into_response();
    }
    let sends = method == Method::POST && uri.path().ends_with("/newscrobble");
    let target = uri.path_and_query().map_or_else(|| uri.path().to_owned(), ToString::to_string);
    let mut request = relay.client.request(method.clone(), format!("{}{target}", relay.upstream)).body(body.clone());
    if let Some(kind) = headers.get(CONTENT_TYPE) {
        request = request.header(CONTENT_TYPE, kind);
    }
    let received = async {
        let response = request.send().await?;
        let (status, headers) = (response.status(), response.headers().clone());
        Ok::<_, reqwest::Error>((status, headers, response.bytes().await?))
    };
    let Ok((status, headers, content)) = received.await else {
        return StatusCode::BAD_GATEWAY.into_response();
    };
    let body = String::from_utf8_lossy(&body).into_owned();
    let mut records = relay.records();
    records.passed.push(Passed { method: method.to_string(), target, body, status: status.as_u16() });
    let lost = sends && records.losing > 0;
    if lost {
        records.losing -= 1;
    }
    drop(records);
    let content = if lost {
        Body::from_stream(stream::iter([Err::<Bytes, _>(std::io::Error::other("the answer is lost"))]))
    } else {
        Body::from(content)
    };
    let mut response = Response::new(content);
    *response.status_mut() = status;
    for name in [CONTENT_TYPE, RETRY_AFTER] {
        if let Some(value) = headers.get(&name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    response
}
