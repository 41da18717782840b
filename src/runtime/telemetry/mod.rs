//! Logs and traces.
//!
//! One set of spans serves both. A span at level info tells whom a log line is about: it is shown with every line within
//! it, at whatever level lines are asked for, and is part of the trace. A span at level debug is part of the trace alone.

mod endpoint;
mod exporter;
mod filter;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use tracing::Subscriber;
use tracing_subscriber::Layer as _;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

pub use endpoint::{Endpoint, EndpointError};
pub use exporter::ExportError;
pub use filter::{LogFilter, LogFilterError};

use crate::reconcile::panics;

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// Where traces go, and in whose name.
#[derive(Clone, Debug)]
pub struct Traces {
    /// The receiver.
    pub endpoint: Endpoint,
    /// Tells this process from all others (`service.instance.id`).
    pub instance: String,
}

/// What is to be ended with the process.
#[must_use]
pub struct Telemetry {
    traces: Option<SdkTracerProvider>,
}

/// Starts logging to standard error, and tracing if there is somewhere to send traces.
///
/// # Errors
/// Traces cannot be sent as the environment asks for.
pub fn start(format: LogFormat, filter: &LogFilter, traces: Option<&Traces>) -> Result<Telemetry, ExportError> {
    let traces = traces.map(exporter::provider).transpose()?;
    let tracer = traces.as_ref().map(|provider| provider.tracer(exporter::NAME));
    let started = subscriber(format, filter, std::io::stderr, tracer).try_init();
    std::panic::set_hook(Box::new(|panic| {
        // The message may hold data: the place is enough to find the fault.
        let place = panics::note(panic.location());
        tracing::error!(reason = "panicked", %place, "the operator panicked");
    }));
    // A second start keeps the first one's settings.
    drop(started);
    Ok(Telemetry { traces })
}

impl Telemetry {
    /// Sends what is left of the traces, if their receiver takes it within a moment. Blocks: to be called when everything
    /// else has ended.
    pub fn finish(self) {
        if let Some(traces) = self.traces {
            // A receiver that does not answer has been told of before.
            drop(traces.shutdown_with_timeout(exporter::LAST_CALL));
        }
    }
}

fn subscriber<W>(
    format: LogFormat,
    filter: &LogFilter,
    writer: W,
    tracer: Option<SdkTracer>,
) -> impl Subscriber + Send + Sync
where
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    let traces = tracer.map(|tracer| {
        // A span says what it is about, not which thread and line it comes from.
        let layer = tracing_opentelemetry::layer().with_tracer(tracer).with_context_activation(false);
        let layer = layer.with_location(false).with_threads(false).with_target(false).with_tracked_inactivity(false);
        let layer = layer.with_error_events_to_exceptions(false).with_error_events_to_status(false);
        let layer = layer.with_error_fields_to_exceptions(false).with_error_records_to_exceptions(false);
        layer.with_filter(filter::traced())
    });
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    let lines = match format {
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
        LogFormat::Text => lines.with_ansi(false).boxed(),
    };
    tracing_subscriber::registry().with(traces).with(lines.with_filter(filter.logged()))
}

#[cfg(test)]
mod tests;
