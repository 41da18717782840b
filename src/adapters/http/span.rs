//! The span of one request, by OpenTelemetry's conventions for HTTP clients. Of the URL it has the host and the port: the
//! rest of a webhook's is as good as a secret.

use reqwest::Request;
use tracing::Span;
use tracing::field::Empty;

use super::Answer;
use super::trace_context::{TRACEPARENT, traceparent};
use crate::domain::answer::Trouble;

/// The span of a request that is about to be sent. A request that names its trace names this span as its parent.
pub(super) fn begin(request: &mut Request) -> Span {
    let (method, url) = (request.method().as_str(), request.url());
    let span = tracing::debug_span!(
        "request",
        "otel.name" = method,
        "otel.kind" = "client",
        "otel.status_code" = Empty,
        "http.request.method" = method,
        "server.address" = url.host_str(),
        "server.port" = url.port_or_known_default().map(i64::from),
        "http.response.status_code" = Empty,
        "error.type" = Empty,
    );
    if request.headers().contains_key(TRACEPARENT)
        && let Some(value) = traceparent(&span)
    {
        request.headers_mut().insert(TRACEPARENT, value);
    }
    span
}

/// Notes how a request ended.
pub(super) fn end(span: &Span, answer: &Result<Answer, Trouble>) {
    match answer {
        Ok(answer) => answered(span, answer.status.as_u16()),
        Err(trouble) => failed(span, trouble.word()),
    }
}

/// Notes the status that a request was answered with.
pub fn answered(span: &Span, status: u16) {
    span.record("http.response.status_code", i64::from(status));
    if status >= 400 {
        failed(span, &status.to_string());
    }
}

/// Notes that what a span is about failed; `why` is one of few words.
pub fn failed(span: &Span, why: &str) {
    span.record("error.type", why);
    span.record("otel.status_code", "error");
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use opentelemetry::trace::{SpanKind, Status};
    use reqwest::Method;
    use tracing::Instrument as _;
    use wiremock::matchers::any;
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::super::traced::{Kept, attribute};
    use super::super::{ANSWER_BYTES, AllowedRanges, GuardedClient, signature};
    use super::*;

    const DEADLINE: Duration = Duration::from_secs(5);

    /// Sends a request to a server that answers with a status; answers what it saw as `traceparent`.
    async fn asked(status: u16, signed: bool) -> Option<String> {
        rustls::crypto::ring::default_provider().install_default().ok();
        let server = MockServer::start().await;
        Mock::given(any()).respond_with(ResponseTemplate::new(status)).mount(&server).await;
        let client = GuardedClient::new(&AllowedRanges::new(vec!["127.0.0.0/8".parse().unwrap()])).unwrap();
        let url = format!("{}/hidden-path?key=hidden-key", server.uri()).parse().unwrap();
        let key = secrecy::SecretString::from("hidden-signing-key");
        let complete = |request| {
            if signed {
                signature::complete(request, "hidden-id", Some(&key), 7, "hidden-body".to_owned())
            } else {
                request
            }
        };
        drop(client.send(Method::POST, &url, DEADLINE, ANSWER_BYTES, complete).await);
        let requests = server.received_requests().await.unwrap();
        requests[0].headers.get(TRACEPARENT).map(|value| value.to_str().unwrap().to_owned())
    }

    #[tokio::test]
    async fn a_webhook_is_told_the_span_of_its_request_and_nobody_else_is() {
        let (kept, _guard) = Kept::record();
        let told = asked(204, true).instrument(tracing::info_span!("deliver")).await.unwrap();
        let (outer, span) = (kept.only("deliver"), kept.only("POST"));
        let (context, trace) = (&span.span_context, outer.span_context.trace_id());
        assert_eq!(told, format!("00-{trace}-{}-01", context.span_id()));
        assert_eq!((context.trace_id(), span.parent_span_id), (trace, outer.span_context.span_id()));
        assert_eq!(asked(204, false).instrument(tracing::info_span!("read")).await, None);
    }

    #[tokio::test]
    async fn without_tracing_nothing_is_told() {
        assert_eq!(asked(204, true).await, None);
    }

    #[tokio::test]
    async fn a_request_has_a_client_span_without_its_path_query_headers_and_body() {
        let (kept, _guard) = Kept::record();
        asked(503, true).await;
        let span = kept.only("POST");
        assert_eq!((&span.span_kind, &span.status), (&SpanKind::Client, &Status::error("")));
        for (key, expected) in [
            ("http.request.method", "POST"),
            ("server.address", "127.0.0.1"),
            ("http.response.status_code", "503"),
            ("error.type", "503"),
        ] {
            assert_eq!(attribute(&span, key), expected, "{key}");
        }
        assert!(!format!("{:?}", kept.spans()).contains("hidden"));
    }

    #[tokio::test]
    async fn a_request_without_an_answer_says_why_in_a_word() {
        rustls::crypto::ring::default_provider().install_default().ok();
        let (kept, _guard) = Kept::record();
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let client = GuardedClient::new(&AllowedRanges::new(vec!["127.0.0.0/8".parse().unwrap()])).unwrap();
        let url = format!("http://{free}/").parse().unwrap();
        let answer = client.send(Method::GET, &url, DEADLINE, ANSWER_BYTES, |request| request).await;
        assert_eq!(answer.unwrap_err(), Trouble::Unreachable);
        assert_eq!(attribute(&kept.only("GET"), "error.type"), "unreachable");
    }
}
