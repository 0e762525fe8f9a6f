//! Config of a model, as far as it exists here: load generators and clients that size their batches read it.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::metadata::PLATFORM;
use super::model::Model;
use super::tensor::Tensor;
use crate::api::contract::InferenceFailures;
use crate::api::error::Problem;
use crate::api::path::Segments;
use crate::api::state::App;

/// Config of a model.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InferenceConfig)]
pub(super) struct Config {
    /// Name of the model, or of its decoder.
    #[schema(example = "photo-gray")]
    name: String,
    /// Platform.
    #[schema(example = "candle_safetensors")]
    platform: &'static str,
    /// Maximum samples of a request.
    #[schema(example = 256)]
    max_batch_size: usize,
    /// The input.
    input: [ConfigTensor; 1],
    /// The outputs.
    output: Vec<ConfigTensor>,
    /// Small samples of several requests are computed together; nothing is set.
    dynamic_batching: DynamicBatching,
}

/// Tensor in the config of a model.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InferenceConfigTensor)]
pub(super) struct ConfigTensor {
    /// Name of the tensor.
    #[schema(example = "image")]
    name: &'static str,
    /// Type of its elements.
    #[schema(example = "TYPE_FP32")]
    data_type: String,
    /// Extents of one sample, channels first; -1 for those that the client chooses.
    #[schema(example = json!([1, -1, -1]))]
    dims: Vec<i64>,
}

/// Settings of batching: none.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InferenceBatching)]
pub(super) struct DynamicBatching {}

impl From<Tensor> for ConfigTensor {
    fn from(tensor: Tensor) -> Self {
        // BYTES has the name of a string there.
        let name = if tensor.datatype.dtype().is_some() { tensor.datatype.name() } else { "STRING" };
        let dims = tensor.shape.into_iter().skip(1).collect();
        Self { name: tensor.name, data_type: format!("TYPE_{name}"), dims }
    }
}

/// Config of a model, in the Open Inference Protocol.
#[utoipa::path(get, path = "/v2/models/{name}/config", operation_id = "inference_model_config", tag = "inference", params(
    ("name" = String, Path, description = "The model, or its decoder as `NAME.decoder`.", example = "photo-gray"),
), responses((status = 200, description = "The config of the default version.", body = Config), InferenceFailures))]
pub(super) async fn model(
    State(app): State<App>,
    Segments(name): Segments<String>,
) -> Result<Json<Config>, Problem> {
    describe(&app, &name, None)
}

/// Config of a version, in the Open Inference Protocol.
#[utoipa::path(get, path = "/v2/models/{name}/versions/{version}/config", operation_id = "inference_version_config", tag = "inference", params(
    ("name" = String, Path, description = "The model, or its decoder as `NAME.decoder`.", example = "photo-gray"),
    ("version" = u32, Path, description = "The version.", example = 1),
), responses((status = 200, description = "The config of this version.", body = Config), InferenceFailures))]
pub(super) async fn version(
    State(app): State<App>,
    Segments((name, version)): Segments<(String, String)>,
) -> Result<Json<Config>, Problem> {
    describe(&app, &name, Some(&version))
}

fn describe(app: &App, name: &str, version: Option<&str>) -> Result<Json<Config>, Problem> {
    let model = Model::find(app, name, version)?;
    Ok(Json(Config {
        name: model.name(),
        platform: PLATFORM,
        max_batch_size: app.limits().samples,
        input: [model.part.input(&model.input).into()],
        output: model.part.output_tensors(&model.input).into_iter().map(ConfigTensor::from).collect(),
        dynamic_batching: DynamicBatching {},
    }))
}
