//! Artifacts: a version of a model as one file, to take away and to bring back.

use axum::extract::{Request, State};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, ETAG, LOCATION};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::body::{Received, counted};
use super::contract::{Binary, Failures};
use super::error::{Code, Problem};
use super::fields;
use super::models::{Model, parse, parse_version, with_etag};
use super::path::Segments;
use super::state::App;
use crate::infer::Session;
use crate::name::{ModelRef, Name};
use crate::registry::bundle;

const TAR: &str = "application/x-tar";

/// Parameters of `POST /models`.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
struct ImportParams {
    /// Model that it becomes the next version of; the one that it names itself when absent.
    #[param(inline, example = "my-scans")]
    name: Option<Name>,
    /// Condition under which it becomes the default.
    #[param(inline, example = "never")]
    promote: ImportPromote,
}

/// Condition under which an imported version becomes the default: `never` means only where it is the first of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum ImportPromote {
    #[default]
    Never,
    Always,
}

/// A version as one file.
///
/// A tar of `config.json`, `model.safetensors`, the card `README.md` and, if it has one, the map `map.json`; `POST /models` takes it.
#[utoipa::path(get, path = "/models/{name}/{version}/artifact", operation_id = "export_version", tag = "models", params(
    ("name" = String, Path, description = "The model.", example = "photo-gray"),
    ("version" = u32, Path, description = "The version.", example = 1),
), responses(
    (status = 200, description = "The artifact; `ETag` is the SHA-256 of its weights.", body = inline(Binary), content_type = "application/x-tar",
        headers(("ETag" = String, description = "SHA-256 of the weights."))), Failures,
))]
pub(super) async fn export(
    State(app): State<App>,
    Segments((name, version)): Segments<(String, String)>,
) -> Result<Response, Problem> {
    let reference = ModelRef { name: parse(&name)?, version: Some(parse_version(&name, &version)?) };
    app.block(move |app| {
        app.registry().seek(&reference);
        let (manifest, _) = app.registry().card(&reference)?;
        // The weights as they are read, and in the tar.
        let weights = usize::try_from(manifest.weights.bytes).unwrap_or(usize::MAX);
        let held = app.engine().hold(weights.saturating_mul(2))?;
        let artifact = app.registry().read(&reference)?;
        let map = app.registry().map(&reference)?;
        let tar = bundle::write(&artifact, map.as_ref())?;
        let file = format!("attachment; filename=\"{}-{}.tar\"", artifact.id.name, artifact.id.version);
        let text = |text: String| HeaderValue::try_from(text).map_err(Problem::internal);
        let headers = [
            (CONTENT_TYPE, HeaderValue::from_static(TAR)),
            (CONTENT_DISPOSITION, text(file)?),
            (ETAG, text(format!("\"{}\"", artifact.manifest.weights.sha256))?),
        ];
        Ok((headers, counted(tar, held)).into_response())
    })
    .await
}

/// Takes in a version.
///
/// It is checked as a trained one is, and becomes the next version of its name. Sent again, it is the
/// version that it is already.
#[utoipa::path(post, path = "/models", operation_id = "import_version", tag = "models", params(ImportParams),
    request_body(description = "What `GET /models/{name}/{version}/artifact` gives.", content = inline(Binary), content_type = "application/x-tar"),
    responses(
        (status = 201, description = "The model with its new version.", body = Model, headers(("Location" = String, description = "`/models/{name}/{version}`"))),
        (status = 200, description = "The model, which had this version before.", body = Model, headers(("Location" = String, description = "`/models/{name}/{version}`"))),
        Failures,
    ))]
pub(super) async fn import(State(app): State<App>, request: Request) -> Result<Response, Problem> {
    let received = Received::read(&app, request).await?;
    let ImportParams { name, promote } = fields::read(&received.query()?)?;
    let promote = promote == ImportPromote::Always;
    if !matches!(received.media_type().as_str(), TAR | "application/octet-stream") {
        let detail = format!("this route takes Content-Type: {TAR}");
        return Err(Problem::new(Code::UnsupportedMediaType, detail));
    }
    let engine = app.engine().clone();
    let (status, version, model) = app
        .block(move |app| {
            let draft = bundle::read(&received.body, name)?;
            let name = draft.name.clone();
            let known = app.registry().find_same(&draft);
            let (status, version) = match known {
                Some(version) => (StatusCode::OK, version),
                None => {
                    // Before it is anyone's default.
                    Session::load(draft.artifact(1))
                        .map_err(|error| Problem::invalid(format!("the model cannot be used: {error}")))?;
                    (StatusCode::CREATED, app.registry().publish(draft, promote)?.version)
                }
            };
            if known.is_some() && promote {
                app.registry().set_default(&name, version, None)?;
            }
            Ok((status, version, app.registry().get(&name)?))
        })
        .await?;
    engine.reload(&model.name);
    let location = format!("/models/{}/{version}", model.name);
    let mut response = with_etag(model);
    *response.status_mut() = status;
    let location = HeaderValue::try_from(location).map_err(Problem::internal)?;
    response.headers_mut().insert(LOCATION, location);
    Ok(response)
}
