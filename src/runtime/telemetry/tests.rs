//! What lines look like, with and without traces.

use std::io::Write;
use std::sync::{Arc, Mutex};

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::trace::SdkTracerProvider;
use serde_json::Value;
use tracing_subscriber::fmt::MakeWriter;

use super::{LogFormat, subscriber};
use crate::adapters::http::trace_context::trace_id;
use crate::adapters::http::traced::{Kept, attribute};

/// Lines that were logged.
#[derive(Clone, Default)]
pub(super) struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    pub(super) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    pub(super) fn json(&self) -> Vec<Value> {
        self.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'writer> MakeWriter<'writer> for Lines {
    type Writer = Self;

    fn make_writer(&'writer self) -> Self {
        self.clone()
    }
}

/// A pass as passes are: a span for lines and trace, with one for the trace alone within it, and a line in there.
fn a_pass() {
    let pass = tracing::info_span!(
        "reconcile",
        account = "music/alice",
        reconcile_id = "0123",
        trace_id = tracing::field::Empty
    );
    if let Some(id) = trace_id(&pass) {
        pass.record("trace_id", id.as_str());
    }
    pass.in_scope(|| {
        tracing::debug_span!("read", plays = 2).in_scope(|| {
            tracing::error!(reason = "NetworkError", "a read failed");
            tracing::debug!("a detail");
        });
        tracing::debug_span!(target: "hyper", "connect", url = "hidden").in_scope(|| {
            tracing::debug!(target: "hyper", "hidden");
        });
    });
}

fn lines(filter: &str, format: LogFormat, traced: bool) -> (Lines, Kept) {
    let (lines, kept) = (Lines::default(), Kept::default());
    let provider = SdkTracerProvider::builder().with_simple_exporter(kept.clone()).build();
    let tracer = traced.then(|| provider.tracer("tests"));
    let subscriber = subscriber(format, &filter.parse().unwrap(), lines.clone(), tracer);
    tracing::subscriber::with_default(subscriber, a_pass);
    (lines, kept)
}

#[test]
fn a_line_tells_whom_it_is_about_at_every_level_and_nothing_of_inner_spans() {
    for filter in ["trace", "info", "warn", "error", "off,scrobble_operator::runtime=error"] {
        for traced in [false, true] {
            let (lines, kept) = lines(filter, LogFormat::Json, traced);
            let line = &lines.json()[0];
            assert_eq!((&line["reason"], &line["message"]), (&"NetworkError".into(), &"a read failed".into()));
            let mut span = line["span"].clone();
            let id = span.as_object_mut().unwrap().remove("trace_id");
            let expected = serde_json::json!({"account": "music/alice", "reconcile_id": "0123", "name": "reconcile"});
            assert_eq!(span, expected, "{filter}, {traced}");
            assert_eq!(line["spans"].as_array().unwrap().len(), 1, "{line}");
            let trace = kept.spans().first().map(|span| span.span_context.trace_id().to_string());
            assert_eq!(id.as_ref().and_then(Value::as_str), trace.as_deref());
        }
    }
}

#[test]
fn nothing_is_logged_where_nothing_is_asked_for() {
    assert_eq!(lines("off", LogFormat::Json, true).0.text(), "");
    let detailed = lines("scrobble_operator=debug,hyper=debug", LogFormat::Text, true).0.text();
    assert!(detailed.contains("a detail") && !detailed.contains("hidden"), "{detailed}");
}

#[test]
fn a_trace_has_our_spans_and_their_lines_and_nobody_elses() {
    let (_, kept) = lines("off", LogFormat::Json, true);
    let (pass, read) = (kept.only("reconcile"), kept.only("read"));
    assert_eq!(kept.spans().len(), 2);
    assert_eq!(read.parent_span_id, pass.span_context.span_id());
    assert_eq!((attribute(&pass, "account"), attribute(&read, "plays")), ("music/alice".to_owned(), "2".to_owned()));
    let events: Vec<String> = read.events.iter().map(|event| event.name.to_string()).collect();
    assert_eq!(events, ["a read failed"], "lines at info and above");
    let unexpected = ["thread.name", "code.file.path", "busy_ns", "target", "level"];
    assert!(unexpected.iter().all(|key| attribute(&pass, key).is_empty()), "{pass:?}");
}
