//! Health: whether to restart the service (`/livez`), send it requests (`/readyz`), or wait for it
//! (`/startupz`). Open to all, and silent about everything else.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::error::{Code, Problem, ProblemBody};
use super::state::App;

/// Routes of probes.
pub(super) const PATHS: [&str; 5] = ["/livez", "/readyz", "/startupz", "/v2/health/live", "/v2/health/ready"];

/// Alive.
///
/// Fails only when a restart would help: when every worker has been at one piece of work for too long.
#[utoipa::path(get, path = "/livez", tag = "health", security(()), responses(
    (status = 204, description = "The service is alive."),
    (status = 503, description = "Every worker is stuck.", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(super) async fn livez(State(app): State<App>) -> Result<StatusCode, Problem> {
    let health = app.engine().health();
    if health.stuck >= health.workers {
        return Err(Problem::new(Code::NotReady, "the workers are stuck"));
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Readiness with a restriction.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Degraded {
    /// `degraded`.
    #[schema(example = "degraded")]
    status: &'static str,
    /// Description of what does not work now.
    #[schema(example = "the database has not been reached for 12 s: models serve as they were, jobs wait")]
    detail: String,
}

/// Ready for requests.
#[utoipa::path(get, path = "/readyz", tag = "health", security(()), responses(
    (status = 200, description = "Send requests here, but the database is not reached: models serve, jobs wait.", body = Degraded),
    (status = 204, description = "Send requests here."),
    (status = 503, description = "Starting, or unable to write (`not_ready`), or about to stop (`draining`).", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(super) async fn readyz(State(app): State<App>) -> Result<Response, Problem> {
    let health = app.engine().health();
    if app.is_draining() || health.is_draining {
        return Err(Problem::new(Code::Draining, "the service is about to stop"));
    }
    if !health.is_ready() {
        return Err(Problem::new(Code::NotReady, "the service is not ready"));
    }
    if let Some(reason) = app.jobs().trouble() {
        return Err(Problem::new(Code::NotReady, format!("nothing can be written: {reason}")));
    }
    let Some(outage) = app.jobs().outage() else { return Ok(StatusCode::NO_CONTENT.into_response()) };
    let away = format!("the database has not been reached for {} s", outage.since.elapsed().as_secs());
    if outage.is_required {
        return Err(Problem::new(Code::NotReady, away));
    }
    let detail = format!("{away}: models serve as they were, jobs wait");
    Ok(Json(Degraded { status: "degraded", detail }).into_response())
}

/// Started.
#[utoipa::path(get, path = "/startupz", tag = "health", security(()), responses(
    (status = 204, description = "The models are loaded."),
    (status = 503, description = "Still starting.", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(super) async fn startupz(State(app): State<App>) -> Result<StatusCode, Problem> {
    if app.engine().health().is_started {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Problem::new(Code::NotReady, "the service is still starting"))
    }
}
