//! The way of spans to their receiver: OTLP over HTTP, in protobuf, by a thread of its own. Nothing waits for it: what does
//! not fit into the queue while the receiver is away is dropped.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentelemetry::{Key, KeyValue};
use opentelemetry_otlp::{Protocol, SpanExporter as OtlpExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};
use reqwest::redirect;

use super::Traces;

/// The service's name, and that of the tracer.
pub(super) const NAME: &str = "scrobble-operator";
/// How long the last spans may take at the end of the process.
pub(super) const LAST_CALL: Duration = Duration::from_millis(1500);

const VERSION: &str = env!("CARGO_PKG_VERSION");
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);
const DEADLINE: Duration = Duration::from_secs(10);
/// What a span has for the log lines within it. A trace knows its own id.
const FOR_LINES: &str = "trace_id";

/// Traces cannot be exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// No HTTP client.
    #[error("--otlp-endpoint: the platform's certificates cannot be loaded")]
    Certificates(#[source] reqwest::Error),
    /// The environment asks for what is not there.
    #[error("--otlp-endpoint: the exporter cannot be built")]
    Exporter(#[source] opentelemetry_otlp::ExporterBuildError),
}

/// Exports spans in batches. `OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`,
/// `OTEL_TRACES_SAMPLER` and `OTEL_BSP_…` are the SDK's to read; by default every trace is recorded.
pub(super) fn provider(traces: &Traces) -> Result<SdkTracerProvider, ExportError> {
    let client = reqwest::blocking::Client::builder()
        .user_agent(format!("{NAME}/{VERSION}"))
        .redirect(redirect::Policy::none())
        .connect_timeout(CONNECT_DEADLINE)
        .timeout(DEADLINE)
        .build()
        .map_err(ExportError::Certificates)?;
    let exporter = OtlpExporter::builder()
        .with_http()
        .with_http_client(client)
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(traces.endpoint.traces())
        .build()
        .map_err(ExportError::Exporter)?;
    let exporter = Watched { inner: exporter, fails: AtomicBool::new(false) };
    Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource(&traces.instance)).build())
}

/// What the environment says of this process, and what it leaves open.
fn resource(instance: &str) -> Resource {
    let said = Resource::builder().build();
    let is_open = |key: &'static str| {
        let known = said.get(&Key::from_static_str(key));
        // The SDK's own word for nothing.
        known.is_none_or(|known| known.as_str().starts_with("unknown_service"))
    };
    let own = [("service.name", NAME), ("service.version", VERSION), ("service.instance.id", instance)];
    let own = own.into_iter().filter(|(key, _)| is_open(key));
    Resource::builder().with_attributes(own.map(|(key, value)| KeyValue::new(key, value.to_owned()))).build()
}

/// An exporter that says once that spans do not arrive, and once that they do again.
#[derive(Debug)]
struct Watched<E> {
    inner: E,
    fails: AtomicBool,
}

impl<E: SpanExporter> SpanExporter for Watched<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let mut batch = batch;
        for span in &mut batch {
            span.attributes.retain(|attribute| attribute.key.as_str() != FOR_LINES);
        }
        let exported = self.inner.export(batch).await;
        let failed_before = self.fails.swap(exported.is_err(), Ordering::Relaxed);
        match &exported {
            Err(error) if !failed_before => tracing::warn!(
                reason = "TracesLost",
                error = error as &dyn std::error::Error,
                "traces do not arrive at --otlp-endpoint; they are dropped until they do, and nothing else is affected"
            ),
            Ok(()) if failed_before => tracing::info!("traces arrive at --otlp-endpoint again"),
            _ => {}
        }
        exported
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn shutdown(&self) -> OTelSdkResult {
        self.inner.shutdown()
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use futures::FutureExt as _;
    use opentelemetry_sdk::error::OTelSdkError;

    use super::super::tests::Lines;
    use super::super::{LogFormat, subscriber};
    use super::*;

    /// A receiver that is away, or not, as its plan says.
    #[derive(Debug)]
    struct Receiver(Mutex<Vec<bool>>);

    impl SpanExporter for Receiver {
        async fn export(&self, _batch: Vec<SpanData>) -> OTelSdkResult {
            let works = self.0.lock().unwrap().remove(0);
            if works { Ok(()) } else { Err(OTelSdkError::InternalFailure("network error".to_owned())) }
        }
    }

    #[test]
    fn a_receiver_that_is_away_is_told_of_once_and_so_is_its_return() {
        let lines = Lines::default();
        let subscriber = subscriber(LogFormat::Json, &"info".parse().unwrap(), lines.clone(), None);
        let _guard = tracing::subscriber::set_default(subscriber);
        let plan = vec![true, false, false, false, true, true, false];
        let count = plan.len();
        let watched = Watched { inner: Receiver(Mutex::new(plan)), fails: AtomicBool::new(false) };
        for _ in 0..count {
            drop(watched.export(Vec::new()).now_or_never().unwrap());
        }
        let said: Vec<String> = lines.json().iter().map(|line| line["level"].as_str().unwrap().to_owned()).collect();
        assert_eq!(said, ["WARN", "INFO", "WARN"]);
    }

    #[test]
    fn the_process_has_a_name() {
        let resource = resource("one");
        let of = |key: &'static str| resource.get(&Key::from_static_str(key)).map(|value| value.to_string());
        assert_eq!(of("service.name").as_deref(), Some(NAME));
        assert_eq!(of("service.version").as_deref(), Some(VERSION));
        assert_eq!(of("service.instance.id").as_deref(), Some("one"));
    }
}
