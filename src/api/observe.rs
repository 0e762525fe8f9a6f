//! The outermost middleware: gives each request its id and its span, and writes problems.

use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::http::header::CONNECTION;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use tracing::Instrument as _;
use tracing::field::Empty;

use super::error::{Code, Problem};
use super::v2;
use crate::telemetry;

/// The header that carries it both ways.
pub(super) const REQUEST_ID: &str = "X-Request-Id";
/// Longest id that is taken from a caller.
const MAX_ID: usize = 128;

/// The id of a request: the caller's, if it is safe in logs and headers, else a new one.
#[derive(Debug, Clone)]
pub(super) struct RequestId(pub(super) String);

impl RequestId {
    fn of(headers: &HeaderMap) -> Self {
        let is_safe = |c: u8| c.is_ascii_alphanumeric() || b"-_.:+/=@".contains(&c);
        let given = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok());
        let given = given.filter(|id| (1..=MAX_ID).contains(&id.len()) && id.bytes().all(is_safe));
        Self(given.map_or_else(|| uuid::Uuid::now_v7().to_string(), str::to_owned))
    }
}

/// Runs a request inside a span with its id, method and route template, and dresses the reply.
///
/// Neither bodies nor keys nor query strings are logged.
pub(super) async fn observe(mut request: Request, next: Next) -> Response {
    let id = RequestId::of(request.headers());
    let route = request.extensions().get::<MatchedPath>().map_or("-", MatchedPath::as_str).to_owned();
    let method = request.method().as_str().to_owned();
    let span = tracing::info_span!(
        "request",
        id = %id.0,
        method = %request.method(),
        route = %route,
        key = Empty,
        status = Empty,
        duration_ms = Empty,
        otel.kind = Empty,
        otel.name = Empty,
    );
    #[cfg(feature = "otel")]
    super::trace::begin(&span, request.headers(), &method, &route);
    let is_inference = v2::has_path(request.uri().path());
    request.extensions_mut().insert(id.clone());
    let started = Instant::now();
    let _active = telemetry::Active::begin();
    let response = next.run(request).instrument(span.clone()).await;
    let code = response.extensions().get::<Problem>().map(Problem::code);
    let response = dress(response, &id, is_inference);

    let duration_ms = started.elapsed().as_secs_f64() * 1e3;
    let status = response.status();
    telemetry::answered(&method, &route, status.as_u16(), started.elapsed());
    if let Some(code @ (Code::QueueFull | Code::RateLimited | Code::PayloadTooLarge | Code::Draining)) = code
    {
        telemetry::refused(code.name());
    }
    span.record("status", status.as_u16());
    span.record("duration_ms", duration_ms);
    #[cfg(feature = "otel")]
    super::trace::end(&span, status);
    let _entered = span.enter();
    if response.status().is_server_error() {
        tracing::warn!("answered");
    } else {
        tracing::info!("answered");
    }
    response
}

/// Writes the problem a reply carries, in the form of its routes, and adds what every reply has.
fn dress(mut response: Response, id: &RequestId, is_inference: bool) -> Response {
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        match is_inference {
            true => v2::write_error(problem, &id.0, &mut response),
            false => problem.write(&id.0, &mut response),
        }
        // The rest of a body that was refused is not worth reading.
        if response.status() == StatusCode::PAYLOAD_TOO_LARGE {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
    }
    let headers = response.headers_mut();
    let value = HeaderValue::from_str(&id.0).expect("ids hold only safe characters");
    headers.insert(HeaderName::try_from(REQUEST_ID).expect("a constant name"), value);
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id_for(given: &str) -> String {
        let mut headers = HeaderMap::new();
        headers.insert("x-request-id", HeaderValue::from_str(given).unwrap());
        RequestId::of(&headers).0
    }

    #[test]
    fn a_safe_id_is_kept() {
        assert_eq!(id_for("trace-1:2.3"), "trace-1:2.3");
        assert_eq!(id_for(&"x".repeat(128)).len(), 128);
    }

    #[test]
    fn an_unsafe_id_is_replaced() {
        for bad in ["", "a b", "a\tb", "<script>", &"x".repeat(129)] {
            assert_ne!(id_for(bad), bad);
        }
    }
}
