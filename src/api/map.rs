//! `GET /models/{name}/{version}/map`: latents of held-out samples as points in a plane.

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::HeaderValue;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, VARY};
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::body::{counted, query_of};
use super::caller::Caller;
use super::contract::{Binary, Failures};
use super::error::{Code, Problem};
use super::fields;
use super::models::{parse, parse_version};
use super::negotiate::Accept;
use super::path::Segments;
use super::state::App;
use crate::map::Map;
use crate::name::ModelRef;

/// Memory that reading and drawing a map takes at most, in bytes.
const BYTES: usize = 64 << 20;
/// An SVG is shown with its own picture and styles, and runs no scripts.
const POLICY: &str = "default-src 'none'; img-src data:; style-src 'unsafe-inline'";

/// Parameters of the map.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
struct MapParams {
    /// Format of the reply, in place of `Accept`.
    #[param(inline, example = "svg")]
    format: Option<MapFormat>,
}

/// Format of a map: numbers, or a drawing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum MapFormat {
    /// Places, latents, labels and thumbnails.
    Json,
    /// Drawing.
    Svg,
    /// Drawing.
    Png,
}

/// Map of a version.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MapReply {
    /// `name@version`.
    #[schema(example = "digits-map@2")]
    model: String,
    /// The map.
    map: Map,
}

impl MapFormat {
    const OFFERS: [(MapFormat, &'static str); 3] = [
        (MapFormat::Json, "application/json"),
        (MapFormat::Svg, "image/svg+xml"),
        (MapFormat::Png, "image/png"),
    ];

    fn media_type(self) -> &'static str {
        match self {
            MapFormat::Json => "application/json",
            MapFormat::Svg => "image/svg+xml",
            MapFormat::Png => "image/png",
        }
    }

    fn write(self, model: String, map: Map) -> Result<Vec<u8>, Problem> {
        match self {
            MapFormat::Json => serde_json::to_vec(&MapReply { model, map }).map_err(Problem::internal),
            MapFormat::Svg => Ok(map.svg(&model).into_bytes()),
            MapFormat::Png => map.png().map_err(Problem::internal),
        }
    }
}

/// Map of held-out samples.
///
/// The latents of up to 1000 samples that training held out, in a plane, with small pictures and labels: the latent itself where it
/// has two numbers, else two principal components of it, and beside it two principal components of the samples. Each plane has the
/// accuracy of the 10 nearest neighbours, trustworthiness and continuity. A map is kept where training asked for it
/// (`"map": true`), or by `limpid map --keep`.
#[utoipa::path(get, path = "/models/{name}/{version}/map", operation_id = "get_map", tag = "models", params(
    ("name" = String, Path, description = "The model.", example = "digits-map"),
    ("version" = u32, Path, description = "The version.", example = 2),
    MapParams,
), responses(
    (status = 200, description = "The map.", content(
        (MapReply = "application/json"), (String = "image/svg+xml"), (inline(Binary) = "image/png"))),
    Failures,
))]
pub(super) async fn map(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Segments((name, version)): Segments<(String, String)>,
    request: Request,
) -> Result<Response, Problem> {
    let reference = ModelRef { name: parse(&name)?, version: Some(parse_version(&name, &version)?) };
    let MapParams { format } = fields::read(&query_of(request.uri())?)?;
    let format = match format {
        Some(format) => format,
        None => Accept::of(request.headers()).pick(&MapFormat::OFFERS)?,
    };
    app.block(move |app| {
        caller.check_model(app, &reference.name)?;
        let _working = app.engine().hold(BYTES)?;
        let map = app.registry().map(&reference)?;
        let map =
            map.ok_or_else(|| Problem::new(Code::NotFound, format!("{reference} {}", Map::NONE_KEPT)))?;
        let bytes = format.write(reference.to_string(), map)?;
        let held = app.engine().hold(bytes.len())?;
        let headers = [
            (CONTENT_TYPE, HeaderValue::from_static(format.media_type())),
            (CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
            (VARY, HeaderValue::from_static("accept")),
        ];
        Ok((headers, counted(bytes, held)).into_response())
    })
    .await
}
