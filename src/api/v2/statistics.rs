//! Statistics of models, from the metrics: all work since the start, whatever route it came by.

use std::time::Duration;

use axum::Json;
use axum::extract::{Request, State};
use serde::Serialize;
use utoipa::ToSchema;

use super::model::{Model, Part};
use crate::api::body::no_query;
use crate::api::contract::InferenceFailures;
use crate::api::error::Problem;
use crate::api::path::Segments;
use crate::api::state::App;
use crate::registry::Summary;
use crate::telemetry::{Infer, Totals};

/// Statistics of models.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InferenceStatistics)]
pub(super) struct Statistics {
    /// One entry for each version of a model and of its decoder.
    model_stats: Vec<ModelStatistics>,
}

/// Statistics of a version.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InferenceModelStatistics)]
pub(super) struct ModelStatistics {
    /// Name of the model, or of its decoder.
    #[schema(example = "photo-gray")]
    name: String,
    /// The version.
    #[schema(example = "1")]
    version: String,
    /// Samples that were computed, once for each operation.
    inference_count: u64,
    /// Runs of the network: samples that are computed together are one.
    execution_count: u64,
    /// Numbers and times of samples.
    inference_stats: InferenceTimes,
    /// Always empty: the sizes of batches are in the metric `limpid_infer_batch_size`.
    #[schema(value_type = Vec<Object>, max_items = 0)]
    batch_stats: [u64; 0],
}

/// Numbers and times of samples.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InferenceTimes)]
pub(super) struct InferenceTimes {
    /// Samples that were computed, from their arrival in the queue on.
    success: Spent,
    /// Samples that were not; their times are not kept.
    fail: Spent,
    /// Waiting for a worker.
    queue: Spent,
    /// Reading of inputs, which is not measured by model: always 0.
    compute_input: Spent,
    /// Computing, that of a batch counted for each of its samples.
    compute_infer: Spent,
    /// Writing of outputs, which is not measured by model: always 0.
    compute_output: Spent,
}

/// Number of samples, and their time together.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InferenceTime)]
pub(super) struct Spent {
    /// Number of samples.
    count: u64,
    /// Nanoseconds.
    ns: u64,
}

/// Statistics of all models, in the Open Inference Protocol.
#[utoipa::path(get, path = "/v2/models/stats", operation_id = "inference_statistics", tag = "inference", responses(
    (status = 200, description = "All versions of all models, since the start of the service.", body = Statistics), InferenceFailures,
))]
pub(super) async fn all(State(app): State<App>, request: Request) -> Result<Json<Statistics>, Problem> {
    no_query(&request)?;
    let models = app.registry().list();
    let model_stats = models.iter().flat_map(|model| Part::ALL.map(|part| of_model(model, part))).flatten();
    Ok(Json(Statistics { model_stats: model_stats.collect() }))
}

/// Statistics of a model, in the Open Inference Protocol.
#[utoipa::path(get, path = "/v2/models/{name}/stats", operation_id = "inference_model_statistics", tag = "inference", params(
    ("name" = String, Path, description = "The model, or its decoder as `NAME.decoder`.", example = "photo-gray"),
), responses((status = 200, description = "All versions, since the start of the service.", body = Statistics), InferenceFailures))]
pub(super) async fn model(
    State(app): State<App>,
    Segments(name): Segments<String>,
) -> Result<Json<Statistics>, Problem> {
    let model = Model::find(&app, &name, None)?;
    Ok(Json(Statistics { model_stats: of_model(&model.summary(&app)?, model.part) }))
}

/// Statistics of a version, in the Open Inference Protocol.
#[utoipa::path(get, path = "/v2/models/{name}/versions/{version}/stats", operation_id = "inference_version_statistics", tag = "inference", params(
    ("name" = String, Path, description = "The model, or its decoder as `NAME.decoder`.", example = "photo-gray"),
    ("version" = u32, Path, description = "The version.", example = 1),
), responses((status = 200, description = "This version, since the start of the service.", body = Statistics), InferenceFailures))]
pub(super) async fn version(
    State(app): State<App>,
    Segments((name, version)): Segments<(String, String)>,
) -> Result<Json<Statistics>, Problem> {
    let model = Model::find(&app, &name, Some(&version))?;
    let of = ModelStatistics::of(model.stated.name.as_str(), model.version, model.part);
    Ok(Json(Statistics { model_stats: vec![of] }))
}

fn of_model(model: &Summary, part: Part) -> Vec<ModelStatistics> {
    model.versions.iter().map(|version| ModelStatistics::of(model.name.as_str(), *version, part)).collect()
}

impl ModelStatistics {
    fn of(model: &str, version: u32, part: Part) -> Self {
        let ops: &[&'static str] = match part {
            Part::Whole => &["denoise", "encode", "evaluate"],
            Part::Decoder => &["decode"],
        };
        let totals = ops.iter().map(|op| Infer::new(model, version, op).totals());
        let all = totals.reduce(sum).unwrap_or_default();
        let spent = |count: u64, time: Duration| Spent {
            count,
            ns: u64::try_from(time.as_nanos()).unwrap_or(u64::MAX),
        };
        let nothing = || spent(all.done, Duration::ZERO);
        Self {
            name: part.name(model),
            version: version.to_string(),
            inference_count: all.done,
            // Samples outside of batches run alone. The counts are read one by one while others may grow.
            execution_count: (all.batches + all.done.saturating_sub(all.batched)).min(all.done),
            inference_stats: InferenceTimes {
                success: spent(all.done, all.queued + all.computed),
                fail: spent(all.failed, Duration::ZERO),
                queue: spent(all.done, all.queued),
                compute_input: nothing(),
                compute_infer: spent(all.done, all.computed),
                compute_output: nothing(),
            },
            batch_stats: [],
        }
    }
}

fn sum(a: Totals, b: Totals) -> Totals {
    Totals {
        done: a.done + b.done,
        failed: a.failed + b.failed,
        queued: a.queued + b.queued,
        computed: a.computed + b.computed,
        batches: a.batches + b.batches,
        batched: a.batched + b.batched,
    }
}
