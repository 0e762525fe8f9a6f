//! Repository: index of the models, loading and unloading.

use axum::Json;
use axum::extract::{Request, State};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::model::{Model, Part};
use crate::api::body::{Received, too_large};
use crate::api::contract::InferenceFailures;
use crate::api::error::Problem;
use crate::api::path::Segments;
use crate::api::state::App;
use crate::engine::BRIEF;
use crate::pointer::{self, escape};

/// Request of the index; it may be empty.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = InferenceIndexRequest)]
pub(super) struct IndexRequest {
    /// `true` for versions that can be used alone.
    ready: bool,
}

/// Request of loading or unloading; it may be empty.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = InferenceLoadRequest)]
pub(super) struct LoadRequest {
    /// `unload_dependents` for unloading, which is of no effect; `config` and files in place of those of the model are refused.
    #[schema(value_type = Object)]
    parameters: Map<String, Value>,
}

/// Version of a model in the index.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = InferenceIndexEntry)]
pub(super) struct Entry {
    /// Name of the model, or of its decoder.
    #[schema(example = "photo-gray")]
    name: String,
    /// The version.
    #[schema(example = "1")]
    version: String,
    /// State.
    state: Status,
    /// Reason why it cannot be used; else empty.
    reason: String,
}

/// State of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
#[schema(as = InferenceState)]
pub(super) enum Status {
    /// It can be used; it is loaded on first use.
    Ready,
    /// It is damaged.
    Unavailable,
}

/// Nothing.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InferenceDone)]
pub(super) struct Done {}

/// Index of all models, in the Open Inference Protocol.
#[utoipa::path(post, path = "/v2/repository/index", operation_id = "inference_index", tag = "inference",
    request_body(description = "A choice, or nothing.", content = Option<IndexRequest>, content_type = "application/json"),
    responses((status = 200, description = "All versions of all models.", body = Vec<Entry>), InferenceFailures))]
pub(super) async fn index(State(app): State<App>, request: Request) -> Result<Json<Vec<Entry>>, Problem> {
    let IndexRequest { ready } = read(&app, request).await?;
    let entries = |name: &str, version: u32, state, reason: &str| {
        let entry = |part: Part| Entry {
            name: part.name(name),
            version: version.to_string(),
            state,
            reason: reason.to_owned(),
        };
        Part::ALL.map(entry)
    };
    let mut all = Vec::new();
    for model in app.registry().list() {
        let usable = model.versions.iter();
        all.extend(usable.flat_map(|version| entries(model.name.as_str(), *version, Status::Ready, "")));
    }
    for (id, reason) in app.registry().quarantined() {
        let Some((name, version)) = id.rsplit_once('@') else { continue };
        let version = version.parse().unwrap_or(0);
        all.extend(entries(name, version, Status::Unavailable, &reason));
    }
    all.retain(|entry| !ready || entry.state == Status::Ready);
    Ok(Json(all))
}

/// Loads a model, in the Open Inference Protocol.
///
/// Models are loaded on first use anyway; this spares the first request the time.
#[utoipa::path(post, path = "/v2/repository/models/{name}/load", operation_id = "inference_load", tag = "inference", params(
    ("name" = String, Path, description = "The model, or its decoder as `NAME.decoder`.", example = "photo-gray"),
), request_body(description = "Nothing.", content = Option<LoadRequest>, content_type = "application/json"),
    responses((status = 200, description = "Its default version is loaded.", body = Done), InferenceFailures))]
pub(super) async fn load(
    State(app): State<App>,
    Segments(name): Segments<String>,
    request: Request,
) -> Result<Json<Done>, Problem> {
    let LoadRequest { parameters } = read(&app, request).await?;
    check(&parameters, "")?;
    let model = Model::find(&app, &name, None)?;
    app.session(&model.stated).await?;
    Ok(Json(Done {}))
}

/// Unloads a model, in the Open Inference Protocol.
///
/// The memory of its versions is freed once running requests are done; the next request loads it again.
#[utoipa::path(post, path = "/v2/repository/models/{name}/unload", operation_id = "inference_unload", tag = "inference", params(
    ("name" = String, Path, description = "The model, or its decoder as `NAME.decoder`.", example = "photo-gray"),
), request_body(description = "Nothing, or `unload_dependents`, which is of no effect.", content = Option<LoadRequest>, content_type = "application/json"),
    responses((status = 200, description = "No version of it is loaded.", body = Done), InferenceFailures))]
pub(super) async fn unload(
    State(app): State<App>,
    Segments(name): Segments<String>,
    request: Request,
) -> Result<Json<Done>, Problem> {
    let LoadRequest { parameters } = read(&app, request).await?;
    check(&parameters, "unload_dependents")?;
    let model = Model::find(&app, &name, None)?;
    app.engine().unload(&model.stated.name);
    Ok(Json(Done {}))
}

/// Reads a body that may be empty; clients send it without a media type.
async fn read<T: serde::de::DeserializeOwned + Default>(app: &App, request: Request) -> Result<T, Problem> {
    let Received { body, held: _held, .. } = Received::read(app, request).await?;
    if body.is_empty() {
        return Ok(T::default());
    }
    // Parsed on this thread, which is for what is brief.
    if body.len() > BRIEF {
        return Err(too_large(BRIEF, body.len()));
    }
    let value: Value =
        serde_json::from_slice(&body).map_err(|e| Problem::invalid(format!("malformed JSON: {e}")))?;
    Ok(pointer::read(value)?)
}

/// Refuses parameters other than `known`: no model is changed by loading it.
fn check(parameters: &Map<String, Value>, known: &str) -> Result<(), Problem> {
    let Some(other) = parameters.keys().find(|name| *name != known) else { return Ok(()) };
    let pointer = format!("/parameters/{}", escape(other));
    let detail = "models are loaded as they are stored; import another version by POST /models";
    Err(Problem::invalid_at(pointer, detail))
}
