//! `GET /metrics`: counters and gauges of the service, for Prometheus.

use std::time::Duration;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

use super::contract::Failures;
use super::state::App;
use crate::telemetry;

/// Time to count the jobs; a scrape is not to wait for a database that is away.
const COUNT: Duration = Duration::from_millis(500);

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
    telemetry::set_models(&app.engine().models());
    // Where the jobs cannot be read in time, all other numbers are still worth having, and their last counts are.
    let jobs = app.jobs().clone();
    let count = tokio::task::spawn_blocking(move || jobs.tell());
    if let Ok(Ok(Err(error))) = tokio::time::timeout(COUNT, count).await {
        tracing::warn!(%error, "the jobs cannot be counted");
    }
    telemetry::set_database(app.jobs().outage().is_none(), app.jobs().trouble().is_none());
    ([(CONTENT_TYPE, telemetry::MEDIA_TYPE)], telemetry::text()).into_response()
}
