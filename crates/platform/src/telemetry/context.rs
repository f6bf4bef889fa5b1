use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::{SpanContext, TraceContextExt};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// The W3C `traceparent` of the span we are in, to be stored in a stream entry. None if nothing is traced.
#[must_use]
pub fn current_traceparent() -> Option<String> {
    let span = current()?;
    let (trace, id, flags) = (span.trace_id(), span.span_id(), span.trace_flags().to_u8());
    Some(format!("00-{trace}-{id}-{flags:02x}"))
}

/// The id of the trace we are in. None if nothing is traced.
#[must_use]
pub fn current_trace_id() -> Option<String> {
    Some(current()?.trace_id().to_string())
}

/// Links `span`, which processes a stream entry, to the span that wrote it. Anything that is not a `traceparent` is
/// ignored: it comes from a store and proves nothing.
pub fn link_span(span: &Span, traceparent: &str) {
    let context = TraceContextPropagator::new().extract(&Entry(traceparent));
    let producer = context.span().span_context().clone();
    if producer.is_valid() && !span.is_disabled() {
        span.add_link(producer);
    }
}

/// The context that a caller sent, if it sent one.
pub(crate) fn extract(headers: &HeaderMap) -> Option<Context> {
    headers.get("traceparent")?;
    let context = TraceContextPropagator::new().extract(&Headers(headers));
    context.span().span_context().is_valid().then_some(context)
}

/// Tells the server which span calls it.
pub(crate) fn inject(span: &Span, headers: &mut HeaderMap) {
    TraceContextPropagator::new().inject_context(&span.context(), &mut HeadersMut(headers));
}

fn current() -> Option<SpanContext> {
    let span = Context::current().span().span_context().clone();
    span.is_valid().then_some(span)
}

struct Entry<'a>(&'a str);

impl Extractor for Entry<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        (key == "traceparent").then_some(self.0)
    }

    fn keys(&self) -> Vec<&str> {
        vec!["traceparent"]
    }
}

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}

struct HeadersMut<'a>(&'a mut HeaderMap);

impl Injector for HeadersMut<'_> {
    fn set(&mut self, key: &str, value: String) {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(key), HeaderValue::try_from(value)) {
            self.0.insert(name, value);
        }
    }
}
