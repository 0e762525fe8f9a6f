//! `GET /metrics`: counters and gauges of the service, for Prometheus.

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

use super::contract::Failures;
use super::state::App;
use crate::telemetry;

/// Metrics.
///
/// Counters, gauges and histograms in the OpenMetrics text format that Prometheus reads: requests by route and status,
/// samples by model, operation and outcome, times in the queue and at work, sizes of batches, training jobs, memory, panics.
#[utoipa::path(get, path = "/metrics", tag = "health", responses(
    (status = 200, description = "The metrics.", body = String, content_type = "application/openmetrics-text"),
    Failures,
))]
pub(super) async fn metrics(State(app): State<App>) -> Response {
    let health = app.engine().health();
    telemetry::set_load(health.requests, health.bytes, health.memory_bytes);
    telemetry::set_writable(app.jobs().trouble().is_none());
    telemetry::set_models(&app.engine().models());
    // Where the jobs cannot be read, all other numbers are still worth having.
    let jobs = app.block(|app| Ok(app.jobs().tell()?)).await;
    if let Err(problem) = jobs {
        tracing::warn!(?problem, "the jobs cannot be counted");
    }
    ([(CONTENT_TYPE, telemetry::MEDIA_TYPE)], telemetry::text()).into_response()
}
