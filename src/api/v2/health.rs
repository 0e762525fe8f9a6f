//! Health: `/v2/health/live` and `/v2/health/ready`, by the checks of `/livez` and `/readyz`.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::ErrorBody;
use crate::api::error::Problem;
use crate::api::health;
use crate::api::state::App;

/// Reply of `/v2/health/live`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InferenceLive)]
pub(super) struct Live {
    /// `true`.
    live: bool,
}

/// Reply of `/v2/health/ready`; clients read either member.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InferenceReady)]
pub(super) struct Ready {
    /// `true`.
    live: bool,
    /// `true`.
    ready: bool,
}

/// Alive, in the Open Inference Protocol.
#[utoipa::path(get, path = "/v2/health/live", operation_id = "inference_live", tag = "inference", security(()), responses(
    (status = 200, description = "The service is alive.", body = Live),
    (status = 503, description = "Every worker is stuck.", body = ErrorBody),
))]
pub(super) async fn live(app: State<App>) -> Result<Json<Live>, Problem> {
    health::livez(app).await?;
    Ok(Json(Live { live: true }))
}

/// Ready for requests, in the Open Inference Protocol.
#[utoipa::path(get, path = "/v2/health/ready", operation_id = "inference_ready", tag = "inference", security(()), responses(
    (status = 200, description = "Send requests here.", body = Ready),
    (status = 503, description = "Starting, or unable to write (`not_ready`), or about to stop (`draining`).", body = ErrorBody),
))]
pub(super) async fn ready(app: State<App>) -> Result<Json<Ready>, Problem> {
    health::readyz(app).await?;
    Ok(Json(Ready { live: true, ready: true }))
}
