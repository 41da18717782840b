//! Tracing for one test: what is recorded is kept.

use std::sync::{Arc, Mutex, MutexGuard};

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;

/// Spans that have ended.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kept(Arc<Mutex<Vec<SpanData>>>);

impl SpanExporter for Kept {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.spans().extend(batch);
        Ok(())
    }
}

impl Kept {
    /// Records what this thread does until the guard is dropped.
    pub(crate) fn record() -> (Self, DefaultGuard) {
        let kept = Self::default();
        let provider = SdkTracerProvider::builder().with_simple_exporter(kept.clone()).build();
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("tests")).with_context_activation(false);
        // As in production: other crates' spans are nobody's.
        let layer = layer.with_filter(filter_fn(|metadata| metadata.target().starts_with("scrobble_operator")));
        (kept, tracing::subscriber::set_default(tracing_subscriber::registry().with(layer)))
    }

    /// The spans so far.
    pub(crate) fn spans(&self) -> MutexGuard<'_, Vec<SpanData>> {
        self.0.lock().unwrap()
    }

    /// The only span with a name.
    pub(crate) fn only(&self, name: &str) -> SpanData {
        let found: Vec<SpanData> = self.spans().iter().filter(|span| span.name == name).cloned().collect();
        assert_eq!(found.len(), 1, "{name} of {:?}", self.spans());
        found[0].clone()
    }
}

/// An attribute of a span, as text; empty where there is none.
pub(crate) fn attribute(span: &SpanData, key: &str) -> String {
    let found = span.attributes.iter().find(|attribute| attribute.key.as_str() == key);
    found.map_or_else(String::new, |attribute| attribute.value.to_string())
}
