//! The client, whose writes have spans and whose requests name the trace that they belong to (`traceparent`; see the API
//! server's own tracing, <https://kubernetes.io/docs/concepts/cluster-administration/system-traces/>).

use std::task;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use http::{Method, Request, Response};
use kube::client::{Body, ClientBuilder};
use tower::{Layer, Service};
use tracing::field::Empty;
use tracing::{Instrument as _, Span};

use crate::adapters::http::span;
use crate::adapters::http::trace_context::{TRACEPARENT, traceparent};

/// A client for the cluster of a configuration.
///
/// # Errors
/// The configuration's certificates or credentials cannot be used.
pub fn build_client(configuration: kube::Config) -> Result<kube::Client, kube::Error> {
    let spans = SpanLayer::of(&configuration);
    Ok(ClientBuilder::try_from(configuration)?.with_layer(&spans).build())
}

/// Gives requests to one API server their spans.
#[derive(Clone, Debug)]
pub struct SpanLayer {
    address: String,
    port: u16,
}

impl SpanLayer {
    /// For the API server that a configuration names.
    pub fn of(configuration: &kube::Config) -> Self {
        let url = &configuration.cluster_url;
        let usual = if url.scheme_str() == Some("http") { 80 } else { 443 };
        Self { address: url.host().unwrap_or_default().to_owned(), port: url.port_u16().unwrap_or(usual) }
    }
}

impl<S> Layer<S> for SpanLayer {
    type Service = Traced<S>;

    fn layer(&self, inner: S) -> Traced<S> {
        Traced { server: self.clone(), inner }
    }
}

/// Requests to the API server. It is called with the span of whoever asks, for the client's queue carries that.
pub struct Traced<S> {
    server: SpanLayer,
    inner: S,
}

impl<S, B> Service<Request<Body>> for Traced<S>
where
    S: Service<Request<Body>, Response = Response<B>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut task::Context<'_>) -> task::Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let mut request = request;
        // Leases and watches belong to no pass: they are nobody's trace.
        let Some(around) = traceparent(&Span::current()) else { return self.inner.call(request).boxed() };
        let write = Write::of(request.method(), request.uri().path());
        let Some(span) = write.map(|write| write.span(request.method(), &self.server)) else {
            request.headers_mut().insert(TRACEPARENT, around);
            return self.inner.call(request).boxed();
        };
        request.headers_mut().insert(TRACEPARENT, traceparent(&span).unwrap_or(around));
        let answer = span.in_scope(|| self.inner.call(request));
        let noted = span.clone();
        let answer = async move {
            let answer = answer.await;
            match &answer {
                Ok(answer) => span::answered(&noted, answer.status().as_u16()),
                Err(_) => span::failed(&noted, "unavailable"),
            }
            answer
        };
        answer.instrument(span).boxed()
    }
}

/// A request that changes something, as its method and path tell.
#[derive(Debug, PartialEq, Eq)]
struct Write<'a> {
    verb: &'static str,
    namespace: Option<&'a str>,
    resource: &'a str,
    name: Option<&'a str>,
    subresource: Option<&'a str>,
}

impl<'a> Write<'a> {
    fn of(method: &Method, path: &'a str) -> Option<Self> {
        let verb = match *method {
            Method::POST => "create",
            Method::PUT => "update",
            Method::PATCH => "patch",
            Method::DELETE => "delete",
            _ => return None,
        };
        let mut parts = path.split('/').filter(|part| !part.is_empty());
        // /api/VERSION/… is the core group, /apis/GROUP/VERSION/… any other one.
        match parts.next()? {
            "api" => parts.next()?,
            "apis" => parts.nth(1)?,
            _ => return None,
        };
        let first = parts.next()?;
        let (namespace, resource) = match (first, parts.clone().nth(1)) {
            ("namespaces", Some(_)) => (parts.next(), parts.next()?),
            _ => (None, first),
        };
        Some(Self { verb, namespace, resource, name: parts.next(), subresource: parts.next() })
    }

    fn span(&self, method: &Method, server: &SpanLayer) -> Span {
        let what = self.subresource.unwrap_or_else(|| self.resource.strip_suffix('s').unwrap_or(self.resource));
        tracing::debug_span!(
            "write",
            "otel.name" = %format_args!("write {what}"),
            "otel.kind" = "client",
            "otel.status_code" = Empty,
            "http.request.method" = method.as_str(),
            "server.address" = server.address,
            "server.port" = i64::from(server.port),
            "http.response.status_code" = Empty,
            "error.type" = Empty,
            "k8s.namespace.name" = self.namespace,
            verb = self.verb,
            resource = self.resource,
            subresource = self.subresource,
            name = self.name,
        )
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::Status;
    use wiremock::ResponseTemplate;

    use super::super::secrets::DataChange;
    use super::super::testing::{cluster, name, only_request, refusal, server};
    use super::*;
    use crate::adapters::http::traced::{Kept, attribute};

    #[test]
    fn writes_are_told_by_method_and_path() {
        let told = |method: Method, path| {
            let write = Write::of(&method, path)?;
            let or = |part: Option<&str>| part.unwrap_or("-").to_owned();
            let Write { verb, namespace, resource, name, subresource } = write;
            Some([verb.to_owned(), or(namespace), resource.to_owned(), or(name), or(subresource)].join(" "))
        };
        for (method, path, expected) in [
            (Method::PATCH, "/api/v1/namespaces/music/secrets/alice", Some("patch music secrets alice -")),
            (Method::POST, "/api/v1/namespaces/music/secrets", Some("create music secrets - -")),
            (
                Method::PATCH,
                "/apis/scrobble-operator.io/v1alpha1/namespaces/music/spotifyaccounts/alice/status",
                Some("patch music spotifyaccounts alice status"),
            ),
            (
                Method::PATCH,
                "/apis/scrobble-operator.io/v1alpha1/scrobbleplans/free/status",
                Some("patch - scrobbleplans free status"),
            ),
            (
                Method::PUT,
                "/apis/coordination.k8s.io/v1/namespaces/music/leases/one",
                Some("update music leases one -"),
            ),
            (Method::DELETE, "/api/v1/namespaces/music", Some("delete - namespaces music -")),
            (Method::GET, "/api/v1/namespaces/music/secrets/alice", None),
            (Method::POST, "/version", None),
            (Method::POST, "/apis/scrobble-operator.io", None),
        ] {
            assert_eq!(told(method, path).as_deref(), expected, "{path}");
        }
    }

    fn stored() -> ResponseTemplate {
        ResponseTemplate::new(200).set_body_json(serde_json::json!({
            "apiVersion": "v1", "kind": "Secret", "data": {"token": "aGlkZGVu"},
            "metadata": {"name": "alice", "namespace": "music", "resourceVersion": "8"},
        }))
    }

    #[tokio::test]
    async fn a_write_has_a_span_that_the_api_server_is_told_of() {
        let (kept, _guard) = Kept::record();
        let server = server(stored()).await;
        let change = DataChange::from([("token", Some(b"hidden".to_vec()))]);
        let cluster = cluster(&server);
        let writing = async { cluster.change_secret(&name(), "7", &change).await.map(|_| ()) };
        writing.instrument(tracing::info_span!("reconcile")).await.unwrap();
        let (outer, span) = (kept.only("reconcile"), kept.only("write secret"));
        assert_eq!(span.parent_span_id, outer.span_context.span_id());
        for (key, expected) in [
            ("verb", "patch"),
            ("resource", "secrets"),
            ("k8s.namespace.name", "music"),
            ("name", "alice"),
            ("http.response.status_code", "200"),
            ("server.address", "127.0.0.1"),
        ] {
            assert_eq!(attribute(&span, key), expected, "{key}");
        }
        let context = &span.span_context;
        let expected = format!("00-{}-{}-01", context.trace_id(), context.span_id());
        assert_eq!(only_request(&server).await.headers["traceparent"], expected.as_str());
        let said = format!("{:?}", kept.spans());
        assert!(!said.contains("hidden") && !said.contains("aGlkZGVu") && !said.contains("fieldManager"), "{said}");
    }

    #[tokio::test]
    async fn a_refused_write_is_an_error_and_a_look_has_the_span_around_it() {
        let (kept, _guard) = Kept::record();
        let server = server(refusal(409, "Conflict")).await;
        let cluster = cluster(&server);
        let writing = async { cluster.change_secret(&name(), "7", &DataChange::new()).await.map(|_| ()) };
        assert!(writing.instrument(tracing::info_span!("reconcile")).await.is_err());
        let span = kept.only("write secret");
        assert_eq!((&span.status, attribute(&span, "error.type")), (&Status::error(""), "409".to_owned()));

        kept.spans().clear();
        let looking = async { cluster.secret(&name()).await.map(|_| ()) };
        assert!(looking.instrument(tracing::info_span!("look")).await.is_err());
        let span = kept.only("look");
        assert_eq!(kept.spans().len(), 1);
        let requests = server.received_requests().await.unwrap();
        let told = requests[1].headers["traceparent"].to_str().unwrap();
        assert!(told.contains(&span.span_context.span_id().to_string()), "{told}");
    }

    #[tokio::test]
    async fn a_request_that_belongs_to_no_trace_names_none() {
        let (kept, _guard) = Kept::record();
        let server = server(stored()).await;
        cluster(&server).change_secret(&name(), "7", &DataChange::new()).await.map(|_| ()).unwrap();
        assert!(!only_request(&server).await.headers.contains_key("traceparent"));
        assert!(kept.spans().is_empty());
    }
}
