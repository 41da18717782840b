//! One request with a deadline and a bounded answer.

use std::error::Error as _;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use reqwest::dns::Resolve;
use reqwest::{Client, Method, Request, RequestBuilder, redirect};
use tracing::Instrument as _;
use url::{Host, Url};

use super::address::{AllowedRanges, Guard, GuardedResolver, Refused, Security, SystemNames};
use super::span;
use crate::domain::answer::Trouble;

/// The most bytes that are read of an answer that tells how a request went, or holds tokens: a few KiB are usual.
pub const ANSWER_BYTES: usize = 256 * 1024;
/// The most bytes that are read of one page of plays. Spotify's fullest has about 200 KiB, Last.fm's a little more.
pub const PAGE_BYTES: usize = 1024 * 1024;
/// The most bytes that are read of one page of a Maloja's listing: 500 scrobbles, with all their artists and albums.
pub const LISTING_BYTES: usize = 2 * 1024 * 1024;
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);
const USER_AGENT: &str = concat!("scrobble-operator/", env!("CARGO_PKG_VERSION"));

/// An answer, whole. `Debug` shows neither headers nor body, which may hold tokens.
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, no longer than was asked for.
    pub body: Vec<u8>,
}

impl Answer {
    /// Whether it is a page for people, as proxies send them, rather than an answer of an API.
    pub fn is_page(&self) -> bool {
        let kind = self.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        kind.to_ascii_lowercase().contains("html") || self.body.trim_ascii_start().starts_with(b"<")
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Answer").field("status", &self.status).finish_non_exhaustive()
    }
}

/// A client for the two URLs that are the platform's own flags: no address is refused.
///
/// # Errors
/// The platform's certificates cannot be loaded.
pub fn build_open_client() -> Result<Client, reqwest::Error> {
    builder().build()
}

fn builder() -> reqwest::ClientBuilder {
    Client::builder()
        .user_agent(USER_AGENT)
        .redirect(redirect::Policy::none())
        .connect_timeout(CONNECT_DEADLINE)
        .pool_idle_timeout(Duration::from_secs(90))
}

/// Sends a request and reads its answer, at most `most` bytes of body, all within the deadline. What was wrong is told
/// without URL or body.
pub async fn send(client: &Client, request: Request, deadline: Duration, most: usize) -> Result<Answer, Trouble> {
    let mut request = request;
    let span = span::begin(&mut request);
    let exchanged = tokio::time::timeout(deadline, exchange(client, request, most)).instrument(span.clone());
    let answer = exchanged.await.unwrap_or(Err(Trouble::Timeout));
    span::end(&span, &answer);
    answer
}

async fn exchange(client: &Client, request: Request, most: usize) -> Result<Answer, Trouble> {
    let mut response = client.execute(request).await.map_err(|error| classify(&error))?;
    if response.content_length().is_some_and(|length| length > most as u64) {
        return Err(Trouble::TooLarge);
    }
    let (status, headers) = (response.status(), response.headers().clone());
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() > most => return Err(Trouble::TooLarge),
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return Ok(Answer { status, headers, body }),
            Err(error) if error.is_timeout() => return Err(Trouble::Timeout),
            Err(_) => return Err(Trouble::Cut),
        }
    }
}

fn classify(error: &reqwest::Error) -> Trouble {
    let mut cause = error.source();
    while let Some(inner) = cause {
        if inner.is::<Refused>() {
            return Trouble::AddressRefused;
        }
        cause = inner.source();
    }
    if error.is_connect() || error.is_builder() {
        Trouble::Unreachable
    } else if error.is_timeout() {
        Trouble::Timeout
    } else {
        Trouble::Cut
    }
}

/// Is told how requests ended.
pub trait Witness: Send + Sync {
    /// One has: with an answer of this status, or without a usable one.
    fn ended(&self, answer: Result<StatusCode, &Trouble>, took: Duration);
}

/// A client for URLs that people configure: connects to public addresses and to allowed ranges, follows no redirect,
/// uses no proxy (the address connected to would be the proxy's).
#[derive(Clone)]
pub struct GuardedClient {
    tls: Client,
    clear_text: Client,
    guards: [Arc<Guard>; 2],
    witness: Option<Arc<dyn Witness>>,
}

impl GuardedClient {
    /// Builds the client.
    ///
    /// # Errors
    /// The platform's certificates cannot be loaded.
    pub fn new(allowed: &AllowedRanges) -> Result<Self, reqwest::Error> {
        Self::with_names(allowed, &(Arc::new(SystemNames) as Arc<dyn Resolve>))
    }

    /// The same with another way to resolve names.
    pub(super) fn with_names(allowed: &AllowedRanges, names: &Arc<dyn Resolve>) -> Result<Self, reqwest::Error> {
        let guard = |security| Arc::new(Guard { allowed: allowed.clone(), security });
        let guards = [guard(Security::Tls), guard(Security::ClearText)];
        let client = |guard: &Arc<Guard>| {
            let resolver = GuardedResolver { guard: Arc::clone(guard), names: Arc::clone(names) };
            builder().no_proxy().dns_resolver(Arc::new(resolver)).build()
        };
        Ok(Self { tls: client(&guards[0])?, clear_text: client(&guards[1])?, guards, witness: None })
    }

    /// The same client, whose every request is seen.
    #[must_use]
    pub fn witnessed(&self, witness: Arc<dyn Witness>) -> Self {
        Self { witness: Some(witness), ..self.clone() }
    }

    /// Sends a request, which `complete` gives its headers and body, within the deadline; reads at most `most` bytes of
    /// its answer's body.
    ///
    /// # Errors
    /// The URL or its address is refused, or there was no usable answer.
    pub async fn send(
        &self,
        method: Method,
        url: &Url,
        deadline: Duration,
        most: usize,
        complete: impl FnOnce(RequestBuilder) -> RequestBuilder,
    ) -> Result<Answer, Trouble> {
        self.check(url)?;
        let client = self.client(url);
        let request = complete(client.request(method, url.clone()));
        let request = request.build().map_err(|_| Trouble::UrlRefused("it cannot be sent to"))?;
        let started = Instant::now();
        let answer = send(client, request, deadline, most).await;
        if let Some(witness) = &self.witness {
            witness.ended(answer.as_ref().map(|answer| answer.status), started.elapsed());
        }
        answer
    }

    fn client(&self, url: &Url) -> &Client {
        if url.scheme() == "https" { &self.tls } else { &self.clear_text }
    }

    /// A literal address never reaches the resolver, so it is looked at here.
    fn check(&self, url: &Url) -> Result<(), Trouble> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Trouble::UrlRefused("its scheme is neither https nor http"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Trouble::UrlRefused("it holds a user name or password"));
        }
        let guard = &self.guards[usize::from(url.scheme() == "http")];
        let literal = match url.host() {
            Some(Host::Ipv4(address)) => IpAddr::V4(address),
            Some(Host::Ipv6(address)) => IpAddr::V6(address),
            Some(Host::Domain(_)) => return Ok(()),
            None => return Err(Trouble::UrlRefused("it has no host")),
        };
        if guard.accepts(literal) { Ok(()) } else { Err(Trouble::AddressRefused) }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use wiremock::matchers::any;
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::*;

    const DEADLINE: Duration = Duration::from_secs(5);

    fn client(ranges: &[&str]) -> GuardedClient {
        rustls::crypto::ring::default_provider().install_default().ok();
        GuardedClient::new(&AllowedRanges::new(ranges.iter().map(|text| text.parse().unwrap()).collect())).unwrap()
    }

    async fn get(client: &GuardedClient, url: &str) -> Result<Answer, Trouble> {
        client.send(Method::GET, &url.parse().unwrap(), DEADLINE, ANSWER_BYTES, |request| request).await
    }

    #[tokio::test]
    async fn other_schemes_are_refused() {
        for url in ["ftp://127.0.0.1/", "file:///etc/passwd", "data:,x"] {
            assert!(matches!(get(&client(&["127.0.0.0/8"]), url).await.unwrap_err(), Trouble::UrlRefused(_)), "{url}");
        }
    }

    #[tokio::test]
    async fn allowed_ranges_are_reached_by_address_and_by_name() {
        let server = MockServer::start().await;
        Mock::given(any()).respond_with(ResponseTemplate::new(204)).expect(2).mount(&server).await;
        let open = client(&["127.0.0.0/8"]);
        assert_eq!(get(&open, &server.uri()).await.unwrap().status, 204);
        let by_name = format!("http://localhost:{}/", server.address().port());
        assert_eq!(get(&open, &by_name).await.unwrap().status, 204);
    }

    /// A server that sends a head, then `chunk` again and again with a pause, until nobody takes it any more. Answers its
    /// URL, and how many bytes of body it got rid of.
    async fn endless(head: &str, chunk: usize, pause: Duration) -> (Url, tokio::sync::oneshot::Receiver<usize>) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
        let (told, sent) = tokio::sync::oneshot::channel();
        let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{head}\r\n");
        tokio::spawn(async move {
            let (mut connection, _) = listener.accept().await.unwrap();
            let mut request = [0; 4096];
            assert!(connection.read(&mut request).await.unwrap() > 0);
            connection.write_all(head.as_bytes()).await.unwrap();
            let mut taken = 0;
            while connection.write_all(&vec![b' '; chunk]).await.is_ok() {
                taken += chunk;
                tokio::time::sleep(pause).await;
            }
            told.send(taken).unwrap();
        });
        (url, sent)
    }

    #[tokio::test]
    async fn a_body_beyond_the_bound_is_cut_off_and_read_no_further() {
        // What the system's buffers on both sides take beyond what was read.
        const BUFFERED: usize = 16 * 1024 * 1024;
        for (head, bound) in
            [("", ANSWER_BYTES), ("", PAGE_BYTES), ("content-length: 1000000000\r\n", PAGE_BYTES), ("", LISTING_BYTES)]
        {
            let (url, sent) = endless(head, 64 * 1024, Duration::ZERO).await;
            let answer = client(&["127.0.0.0/8"]).send(Method::GET, &url, DEADLINE, bound, |request| request).await;
            assert_eq!(answer.unwrap_err(), Trouble::TooLarge, "{head:?}");
            let sent = tokio::time::timeout(DEADLINE, sent).await.unwrap().unwrap();
            assert!(sent <= bound + BUFFERED, "{head:?}: {sent} bytes went out");
        }
    }

    #[tokio::test]
    async fn a_body_up_to_the_bound_is_read_whole() {
        let server = MockServer::start().await;
        let full = ResponseTemplate::new(200).set_body_bytes(vec![b' '; ANSWER_BYTES]);
        Mock::given(any()).respond_with(full).mount(&server).await;
        assert_eq!(get(&client(&["127.0.0.0/8"]), &server.uri()).await.unwrap().body.len(), ANSWER_BYTES);
    }

    #[tokio::test]
    async fn a_server_that_drips_meets_the_deadline() {
        let (url, sent) = endless("", 1, Duration::from_millis(5)).await;
        let open = client(&["127.0.0.0/8"]);
        let answer = open.send(Method::GET, &url, Duration::from_millis(200), ANSWER_BYTES, |request| request).await;
        assert_eq!(answer.unwrap_err(), Trouble::Timeout);
        assert!(tokio::time::timeout(DEADLINE, sent).await.is_ok(), "nobody reads on");
    }

    #[tokio::test]
    async fn a_server_that_hangs_meets_the_deadline_and_a_closed_port_is_unreachable() {
        let server = MockServer::start().await;
        Mock::given(any()).respond_with(ResponseTemplate::new(200).set_delay(DEADLINE * 10)).mount(&server).await;
        let open = client(&["127.0.0.0/8"]);
        let url = server.uri().parse().unwrap();
        let answer = open.send(Method::GET, &url, Duration::from_millis(50), ANSWER_BYTES, |request| request).await;
        assert_eq!(answer.unwrap_err(), Trouble::Timeout);
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert_eq!(get(&open, &format!("http://{free}/")).await.unwrap_err(), Trouble::Unreachable);
    }
}
