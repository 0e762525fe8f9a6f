//! Server: name, version and extensions.

use axum::Json;
use axum::extract::Request;
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::body::no_query;
use crate::api::contract::InferenceFailures;
use crate::api::error::Problem;

/// Extensions of the protocol that are implemented.
const EXTENSIONS: [&str; 4] = ["binary_tensor_data", "model_repository", "statistics", "schedule_policy"];

/// Name, version and extensions of the server.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InferenceServer)]
pub(super) struct Server {
    /// Name of the program.
    #[schema(example = "limpid")]
    name: &'static str,
    /// Version of the program.
    #[schema(example = "0.1.0")]
    version: &'static str,
    /// Extensions of the protocol.
    #[schema(example = json!(EXTENSIONS))]
    extensions: [&'static str; 4],
}

/// The server, in the Open Inference Protocol.
#[utoipa::path(get, path = "/v2", operation_id = "inference_server", tag = "inference", responses(
    (status = 200, description = "Name, version and extensions.", body = Server), InferenceFailures,
))]
pub(super) async fn server(request: Request) -> Result<Json<Server>, Problem> {
    no_query(&request)?;
    let (name, version) = (env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
    Ok(Json(Server { name, version, extensions: EXTENSIONS }))
}
