//! `/models`: list of models, their default versions, and the removal of a version.

use axum::extract::{Request, State};
use axum::http::header::{ETAG, IF_MATCH};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::body::{Received, no_query};
use super::caller::Caller;
use super::contract::Failures;
use super::error::{Code, Problem};
use super::path::Segments;
use super::state::App;
use crate::name::{ModelRef, Name};
use crate::registry::{self, Input, Summary};
use crate::sample::{Kind, Shape};

/// Shape of the samples that a version takes.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct InputShape {
    /// Kind of sample.
    #[schema(example = "image")]
    kind: Kind,
    /// Channels of an image or signal.
    #[schema(example = 1)]
    channels: usize,
    /// Extents, channels first, for models of one fixed shape.
    #[schema(example = json!(null))]
    fixed: Option<Vec<usize>>,
}

impl From<Input> for InputShape {
    fn from(from: Input) -> Self {
        Self { kind: from.kind, channels: from.channels, fixed: from.fixed.map(Shape::dims) }
    }
}

/// All models.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ModelList {
    /// Models with a version that can be used, by name.
    models: Vec<Model>,
    /// All versions that cannot be used.
    damaged: Vec<Damaged>,
}

/// A version of some model that cannot be used.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Damaged {
    /// `name@version`.
    #[schema(example = "my-scans@2")]
    id: String,
    /// Reason.
    reason: String,
}

/// One model with its versions.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Model {
    /// Name of the model.
    #[schema(example = "photo-gray")]
    name: String,
    /// The version that serves when none is named; none where all were kept back.
    #[schema(example = 2)]
    default: Option<u32>,
    /// Every version that can be used, ascending.
    #[schema(example = json!([1, 2]))]
    versions: Vec<u32>,
    /// Input shape of the default version, or of the newest without a default.
    input: InputShape,
    /// Versions that cannot be used, with the reason.
    quarantined: Vec<Quarantined>,
    /// Versions that serve only where they are named or made the default, with the reason.
    kept_back: Vec<KeptBack>,
}

/// A version that cannot be used.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Quarantined {
    /// The version.
    version: u32,
    /// Reason.
    reason: String,
}

/// A version that did not beat what it was compared with.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct KeptBack {
    /// The version.
    version: u32,
    /// The comparison that it lost, and advice.
    reason: String,
}

/// Card of a version of a model.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Card {
    /// Name of the model.
    #[schema(example = "photo-gray")]
    name: String,
    /// The version.
    #[schema(example = 2)]
    version: u32,
    /// SHA-256 of its weights, as latents name it.
    digest: String,
    /// Shape of the samples that it takes.
    input: InputShape,
    /// The network, how it was trained and how well it does on held-out samples: its `config.json`.
    #[schema(value_type = Object)]
    config: serde_json::Value,
    /// The model card, Markdown.
    card: String,
}

/// Version that serves when none is named.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Default {
    /// The version.
    #[schema(example = 2)]
    version: u32,
}

/// All models.
///
/// A key with the scope `train` alone sees those that it trained.
#[utoipa::path(get, path = "/models", operation_id = "list_models", tag = "models", responses(
    (status = 200, description = "All models, by name.", body = ModelList), Failures,
))]
pub(super) async fn list(State(app): State<App>, request: Request) -> Result<Json<ModelList>, Problem> {
    no_query(&request)?;
    let caller = Caller::of(&request);
    app.block(move |app| {
        let own = caller.models(app)?;
        let is_seen = |name: &str| own.as_ref().is_none_or(|own| own.iter().any(|own| own.as_str() == name));
        let models = app.registry().list().into_iter().filter(|model| is_seen(model.name.as_str()));
        let damaged = app.registry().quarantined().into_iter();
        let damaged = damaged.filter(|(id, _)| id.split('@').next().is_some_and(is_seen));
        Ok(Json(ModelList {
            models: models.map(Model::from).collect(),
            damaged: damaged.map(|(id, reason)| Damaged { id, reason }).collect(),
        }))
    })
    .await
}

/// One model.
#[utoipa::path(get, path = "/models/{name}", operation_id = "get_model", tag = "models", params(("name" = String, Path, description = "The model.", example = "photo-gray")), responses(
    (status = 200, description = "The model; `ETag` changes with its versions and its default.", body = Model, headers(("ETag" = String, description = "For `If-Match`."))), Failures,
))]
pub(super) async fn get(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Segments(name): Segments<String>,
) -> Result<Response, Problem> {
    let name = parse(&name)?;
    app.block(move |app| {
        caller.check_model(app, &name)?;
        app.registry().seek(&ModelRef { name: name.clone(), version: None });
        Ok(with_etag(app.registry().get(&name)?))
    })
    .await
}

/// One version with its model card.
#[utoipa::path(get, path = "/models/{name}/{version}", operation_id = "get_version", tag = "models", params(
    ("name" = String, Path, description = "The model.", example = "photo-gray"),
    ("version" = u32, Path, description = "The version.", example = 1),
), responses(
    (status = 200, description = "The version.", body = Card), Failures,
))]
pub(super) async fn card(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Segments((name, version)): Segments<(String, String)>,
) -> Result<Json<Card>, Problem> {
    let reference = ModelRef { name: parse(&name)?, version: Some(parse_version(&name, &version)?) };
    app.block(move |app| {
        caller.check_model(app, &reference.name)?;
        app.registry().seek(&reference);
        let (manifest, card) = app.registry().card(&reference)?;
        Ok(Json(Card {
            name: manifest.name.to_string(),
            version: manifest.version,
            digest: manifest.weights.sha256.clone(),
            input: manifest.input().into(),
            config: serde_json::to_value(&manifest).map_err(Problem::internal)?,
            card,
        }))
    })
    .await
}

/// Moves the default: promote or roll back.
///
/// With `If-Match` only if the model is still as that `ETag` says.
#[utoipa::path(put, path = "/models/{name}/default", operation_id = "set_default_version", tag = "models", params(
    ("name" = String, Path, description = "The model.", example = "my-scans"),
    ("If-Match" = Option<String>, Header, description = "An `ETag` of `GET /models/{name}`."),
), request_body(content = Default), responses(
    (status = 200, description = "The model as it is now.", body = Model, headers(("ETag" = String, description = "For the next `If-Match`."))), Failures,
))]
pub(super) async fn set_default(
    State(app): State<App>,
    Segments(name): Segments<String>,
    request: Request,
) -> Result<Response, Problem> {
    let name = parse(&name)?;
    let expected = if_match(request.headers());
    let wanted: Default = Received::read(&app, request).await?.json()?;
    let engine = app.engine().clone();
    let changed = app
        .block(move |app| {
            app.registry().refresh()?;
            let before = app.registry().get(&name)?;
            let is_stale = expected.as_ref().is_some_and(|tags| !tags.contains(&etag(&before)));
            if is_stale {
                return Err(registry::Error::Changed(name).into());
            }
            // A change by another client since the query above is detected, too.
            let revision = expected.map(|_| before.revision);
            app.registry().set_default(&name, wanted.version, revision)?;
            Ok(app.registry().get(&name)?)
        })
        .await?;
    engine.reload(&changed.name);
    Ok(with_etag(changed))
}

/// Removes a version. The default moves to the newest of the rest.
#[utoipa::path(delete, path = "/models/{name}/{version}", operation_id = "remove_version", tag = "models", params(
    ("name" = String, Path, description = "The model.", example = "my-scans"),
    ("version" = u32, Path, description = "The version.", example = 1),
), responses(
    (status = 204, description = "It is gone; latents made by it cannot be decoded any more."), Failures,
))]
pub(super) async fn remove(
    State(app): State<App>,
    Segments((name, version)): Segments<(String, String)>,
) -> Result<StatusCode, Problem> {
    let version = parse_version(&name, &version)?;
    let name = parse(&name)?;
    let engine = app.engine().clone();
    let removed = name.clone();
    app.block(move |app| Ok(app.registry().remove(&name, version)?)).await?;
    engine.reload(&removed);
    Ok(StatusCode::NO_CONTENT)
}

/// A name from the path; a text that is no name is no model either.
pub(super) fn parse(name: &str) -> Result<Name, Problem> {
    name.parse().map_err(|e: crate::name::Error| Problem::new(Code::ModelNotFound, e.to_string()))
}

pub(super) fn parse_version(name: &str, version: &str) -> Result<u32, Problem> {
    let number = version.parse().ok().filter(|&number| number > 0);
    number.ok_or_else(|| {
        let shown: String = version.chars().take(40).collect();
        let name: String = name.chars().take(80).collect();
        Problem::new(Code::VersionNotFound, format!("{shown:?} is no version of {name}: they count from 1"))
    })
}

/// The tags of which one must be the model's; none where any will do.
fn if_match(headers: &HeaderMap) -> Option<Vec<String>> {
    // A header that is no text holds no tag of ours.
    let text = headers.get(IF_MATCH)?.to_str().unwrap_or_default();
    let tags = text.split(',').map(|tag| tag.trim().to_owned());
    (text.trim() != "*").then(|| tags.collect())
}

/// Changes whenever the default or the versions do.
fn etag(model: &Summary) -> String {
    let versions: Vec<String> = model.versions.iter().map(u32::to_string).collect();
    format!("\"{}-{}-{}\"", model.revision, model.default.unwrap_or(0), versions.join("."))
}

pub(super) fn with_etag(model: Summary) -> Response {
    let tag = HeaderValue::try_from(etag(&model)).expect("digits, dots, dashes and quotes");
    ([(ETAG, tag)], Json(Model::from(model))).into_response()
}

impl From<Summary> for Model {
    fn from(from: Summary) -> Self {
        let quarantined =
            from.quarantined.into_iter().map(|(version, reason)| Quarantined { version, reason });
        Self {
            name: from.name.to_string(),
            default: from.default,
            versions: from.versions,
            input: from.input.into(),
            quarantined: quarantined.collect(),
            kept_back: from
                .kept_back
                .into_iter()
                .map(|(version, reason)| KeptBack { version, reason })
                .collect(),
        }
    }
}
