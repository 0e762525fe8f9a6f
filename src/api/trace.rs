//! Trace context: the span of a request becomes a part of its caller's trace (W3C `traceparent`), with the feature `otel`.

use axum::http::{HeaderMap, StatusCode};
use opentelemetry::propagation::Extractor;
use opentelemetry::trace::Status;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(|name| name.as_str()).collect()
    }
}

/// Makes the span of a request a child of the span that its headers name, if they name one, and gives it the name, the kind
/// and the attributes that OpenTelemetry's conventions for HTTP servers want.
pub(super) fn begin(span: &Span, headers: &HeaderMap, method: &str, route: &str) {
    let parent =
        opentelemetry::global::get_text_map_propagator(|propagator| propagator.extract(&Headers(headers)));
    // Without a collector nothing more is recorded.
    if span.set_parent(parent).is_ok() {
        span.record("otel.kind", "server").record("otel.name", format!("{method} {route}"));
        span.set_attribute("http.request.method", method.to_owned());
        span.set_attribute("http.route", route.to_owned());
    }
}

/// Records the status of the reply.
pub(super) fn end(span: &Span, status: StatusCode) {
    span.set_attribute("http.response.status_code", i64::from(status.as_u16()));
    if status.is_server_error() {
        span.set_status(Status::error(""));
    }
}
