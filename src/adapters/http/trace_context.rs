//! W3C trace context (<https://www.w3.org/TR/trace-context/>): what a request, or work in another task, knows of the span
//! that it belongs to. Without tracing there is nothing to know.

use http::{HeaderName, HeaderValue};
use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, TraceContextExt as _};
use reqwest::RequestBuilder;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// The header that names the span a request belongs to.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// A span that work goes on for after it has ended.
#[derive(Clone, Debug)]
pub struct Origin(SpanContext);

impl Origin {
    /// The span that is entered now, if any.
    pub fn current() -> Self {
        Self(context(&Span::current()))
    }

    /// Makes a new span a child of this one, in the same trace. It does not keep this one open.
    pub fn adopt(&self, span: &Span) {
        if self.0.is_valid() {
            // A span that nobody records has no parent either.
            let _ = span.set_parent(Context::new().with_remote_span_context(self.0.clone()));
        }
    }
}

/// The id of a span's trace, in 32 hexadecimal digits; none where the trace is not recorded.
pub fn trace_id(span: &Span) -> Option<String> {
    let context = context(span);
    (context.is_valid() && context.is_sampled()).then(|| context.trace_id().to_string())
}

/// The value of [`TRACEPARENT`] for a request that belongs to a span; none without tracing.
pub fn traceparent(span: &Span) -> Option<HeaderValue> {
    let context = context(span);
    let (trace, parent, flags) = (context.trace_id(), context.span_id(), context.trace_flags().to_u8());
    context.is_valid().then(|| HeaderValue::from_str(&format!("00-{trace}-{parent}-{flags:02x}")).ok())?
}

/// A request that tells its receiver which trace it belongs to. For receivers that the platform team runs itself: what
/// ties a listener's requests together is nobody else's business.
pub(super) fn told(request: RequestBuilder) -> RequestBuilder {
    match traceparent(&Span::current()) {
        Some(value) => request.header(TRACEPARENT, value),
        None => request,
    }
}

fn context(span: &Span) -> SpanContext {
    span.context().span().span_context().clone()
}
