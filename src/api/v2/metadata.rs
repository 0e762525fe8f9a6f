//! Metadata of models: their list, their inputs and outputs, and their readiness.

use axum::Json;
use axum::extract::{Request, State};
use serde::Serialize;
use utoipa::ToSchema;

use super::model::{Model, Part};
use super::tensor::Tensor;
use crate::api::body::no_query;
use crate::api::contract::InferenceFailures;
use crate::api::error::{Code, Problem};
use crate::api::health::readyz;
use crate::api::path::Segments;
use crate::api::state::App;

/// Names of all models and of their decoders.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InferenceModels)]
pub(super) struct Models {
    /// Names.
    #[schema(example = json!(["photo-gray", "photo-gray.decoder"]))]
    models: Vec<String>,
}

/// Inputs and outputs of a model.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InferenceModel)]
pub(super) struct Metadata {
    /// Name of the model, or of its decoder.
    #[schema(example = "photo-gray")]
    name: String,
    /// Versions that can be used, ascending.
    #[schema(example = json!(["1", "2"]))]
    versions: Vec<String>,
    /// Platform.
    #[schema(example = "candle_safetensors")]
    platform: &'static str,
    /// The input.
    inputs: [Tensor; 1],
    /// The outputs.
    outputs: Vec<Tensor>,
}

/// Readiness of a model.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InferenceModelReady)]
pub(super) struct ModelReady {
    /// Name of the model, or of its decoder.
    #[schema(example = "photo-gray")]
    name: String,
    /// `true`.
    ready: bool,
}

/// Names of models, in the Open Inference Protocol.
#[utoipa::path(get, path = "/v2/models", operation_id = "inference_models", tag = "inference", responses(
    (status = 200, description = "All models and their decoders, by name.", body = Models), InferenceFailures,
))]
pub(super) async fn list(State(app): State<App>, request: Request) -> Result<Json<Models>, Problem> {
    no_query(&request)?;
    let names = |model: &str| Part::ALL.map(|part| part.name(model));
    let models = app.registry().list();
    Ok(Json(Models { models: models.iter().flat_map(|model| names(model.name.as_str())).collect() }))
}

/// Inputs and outputs of a model, in the Open Inference Protocol.
#[utoipa::path(get, path = "/v2/models/{name}", operation_id = "inference_model", tag = "inference", params(
    ("name" = String, Path, description = "The model, or its decoder as `NAME.decoder`.", example = "photo-gray"),
), responses((status = 200, description = "The model, by its default version.", body = Metadata), InferenceFailures))]
pub(super) async fn model(
    State(app): State<App>,
    Segments(name): Segments<String>,
) -> Result<Json<Metadata>, Problem> {
    describe(&app, &name, None)
}

/// Inputs and outputs of a version, in the Open Inference Protocol.
#[utoipa::path(get, path = "/v2/models/{name}/versions/{version}", operation_id = "inference_version", tag = "inference", params(
    ("name" = String, Path, description = "The model, or its decoder as `NAME.decoder`.", example = "photo-gray"),
    ("version" = u32, Path, description = "The version.", example = 1),
), responses((status = 200, description = "The model, by this version.", body = Metadata), InferenceFailures))]
pub(super) async fn version(
    State(app): State<App>,
    Segments((name, version)): Segments<(String, String)>,
) -> Result<Json<Metadata>, Problem> {
    describe(&app, &name, Some(&version))
}

fn describe(app: &App, name: &str, version: Option<&str>) -> Result<Json<Metadata>, Problem> {
    let model = Model::find(app, name, version)?;
    let versions = model.summary(app)?.versions;
    Ok(Json(Metadata {
        name: model.name(),
        versions: versions.iter().map(u32::to_string).collect(),
        platform: PLATFORM,
        inputs: [model.part.input(&model.input)],
        outputs: model.part.output_tensors(&model.input),
    }))
}

/// Platform of all models: weights in safetensors files, computed by candle and kernels of its own.
pub(super) const PLATFORM: &str = "candle_safetensors";

/// Readiness of a model, in the Open Inference Protocol.
///
/// Models are loaded on first use, so every model that can be used is ready while the service is.
#[utoipa::path(get, path = "/v2/models/{name}/ready", operation_id = "inference_model_ready", tag = "inference", params(
    ("name" = String, Path, description = "The model, or its decoder as `NAME.decoder`.", example = "photo-gray"),
), responses((status = 200, description = "It is ready.", body = ModelReady), InferenceFailures))]
pub(super) async fn model_ready(
    State(app): State<App>,
    Segments(name): Segments<String>,
) -> Result<Json<ModelReady>, Problem> {
    check_ready(app, &name, None).await
}

/// Readiness of a version, in the Open Inference Protocol.
#[utoipa::path(get, path = "/v2/models/{name}/versions/{version}/ready", operation_id = "inference_version_ready", tag = "inference", params(
    ("name" = String, Path, description = "The model, or its decoder as `NAME.decoder`.", example = "photo-gray"),
    ("version" = u32, Path, description = "The version.", example = 1),
), responses((status = 200, description = "It is ready.", body = ModelReady), InferenceFailures))]
pub(super) async fn version_ready(
    State(app): State<App>,
    Segments((name, version)): Segments<(String, String)>,
) -> Result<Json<ModelReady>, Problem> {
    check_ready(app, &name, Some(&version)).await
}

async fn check_ready(app: App, name: &str, version: Option<&str>) -> Result<Json<ModelReady>, Problem> {
    let model = Model::find(&app, name, version).map_err(|problem| match problem.code() {
        // The registry keeps a damaged version from being used.
        Code::Internal => Problem::new(Code::NotReady, "the version is damaged; see GET /models"),
        _ => problem,
    })?;
    readyz(State(app)).await?;
    Ok(Json(ModelReady { name: model.name(), ready: true }))
}
