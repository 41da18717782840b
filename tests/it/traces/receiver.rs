//! A receiver of OTLP over HTTP.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use prost::Message as _;
use scrobble_operator::domain::digest::hexadecimal;

/// A span that arrived.
#[derive(Clone, Debug)]
pub struct Span {
    pub trace: String,
    pub id: String,
    /// The parent's id; empty where there is none.
    pub parent: String,
    pub name: String,
    pub attributes: BTreeMap<String, String>,
    pub resource: BTreeMap<String, String>,
    /// Status code 2 of OTLP.
    pub failed: bool,
}

impl Span {
    /// An attribute; empty where there is none.
    pub fn get(&self, key: &str) -> &str {
        self.attributes.get(key).map_or("", String::as_str)
    }
}

type Arrived = Arc<Mutex<Vec<(String, ExportTraceServiceRequest)>>>;

/// A receiver at a port of its own, for as long as the test runs.
pub struct Receiver {
    pub url: String,
    arrived: Arrived,
}

impl Receiver {
    pub async fn start() -> Self {
        let arrived = Arrived::default();
        let router = Router::new().route("/base/v1/traces", post(take)).with_state(Arc::clone(&arrived));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/base", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, arrived }
    }

    /// Everything that arrived, with all that is in it, as text.
    pub fn text(&self) -> String {
        format!("{:?}", self.arrived.lock().unwrap())
    }

    pub fn spans(&self) -> Vec<Span> {
        let arrived = self.arrived.lock().unwrap();
        let mut spans = Vec::new();
        for resource in arrived.iter().flat_map(|(_, request)| &request.resource_spans) {
            let of = resource.resource.as_ref().map(|resource| texts(&resource.attributes)).unwrap_or_default();
            spans.extend(resource.scope_spans.iter().flat_map(|scope| &scope.spans).map(|span| Span {
                trace: hexadecimal(&span.trace_id),
                id: hexadecimal(&span.span_id),
                parent: hexadecimal(&span.parent_span_id),
                name: span.name.clone(),
                attributes: texts(&span.attributes),
                resource: of.clone(),
                failed: span.status.as_ref().is_some_and(|status| status.code == 2),
            }));
        }
        spans
    }
}

async fn take(State(arrived): State<Arrived>, headers: HeaderMap, body: Bytes) {
    let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
    assert_eq!(header("content-type"), "application/x-protobuf");
    let request = ExportTraceServiceRequest::decode(body).unwrap();
    arrived.lock().unwrap().push((header("x-key"), request));
}

fn texts(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    attributes.iter().map(|attribute| (attribute.key.clone(), text(attribute.value.as_ref()))).collect()
}

fn text(value: Option<&AnyValue>) -> String {
    match value.and_then(|value| value.value.clone()) {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    }
}
