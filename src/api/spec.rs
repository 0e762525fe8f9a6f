//! What `openapi.yaml` says beside the routes: schemas of bodies, parameters and failures.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};
use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{OpenApi, Ref, RefOr};
use utoipa::{IntoParams, IntoResponses, PartialSchema as _, ToSchema};

use super::error::{Code, Fault, ProblemBody};
use crate::codec::Format;
use crate::registry::Input;
use crate::sample::Shape;

/// What an input is, in JSON.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct InputShape {
    /// `image`, `signal` or `vector`.
    #[schema(value_type = String, example = "image")]
    kind: crate::sample::Kind,
    /// Channels of an image or signal.
    #[schema(example = 1)]
    channels: usize,
    /// The one shape it takes, channels first, for models of fixed shape.
    #[schema(example = json!(null))]
    fixed: Option<Vec<usize>>,
}

impl From<Input> for InputShape {
    fn from(from: Input) -> Self {
        Self { kind: from.kind, channels: from.channels, fixed: from.fixed.map(Shape::dims) }
    }
}

/// Parameters of `/denoise`; form fields and JSON members of the same names do the same.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes the query; it is read by `params`")]
pub(super) struct DenoiseParams {
    /// `name` or `name@version`; chosen by the kind of sample when absent.
    #[param(example = "photo-gray")]
    model: Option<String>,
    /// `full` (latent and refiner, the default) or `strict` (the latent alone).
    #[param(inline, example = "full")]
    mode: Option<ModeName>,
    /// 0 gives the input back, 1 the clean sample, between them a blend.
    #[param(minimum = 0.0, maximum = 1.0, default = 1.0)]
    strength: Option<f32>,
    /// The same for colour alone, `strength` being that of brightness; images, mode `full`.
    #[param(minimum = 0.0, maximum = 1.0)]
    strength_chroma: Option<f32>,
    /// Share of the fine residual that is given back where there is structure; images, mode `full`.
    #[param(minimum = 0.0, maximum = 1.0, default = 0.0)]
    detail: Option<f32>,
    /// How many times fewer numbers than the sample the latent has at least.
    #[param(exclusive_minimum = 0.0, example = 4.0)]
    ratio: Option<f32>,
    /// 1, or 8 to average over flips and quarter turns of an image.
    #[param(default = 1)]
    ensemble: Option<u8>,
    /// How fine the values of the reply are; `same` as those of the request by default.
    #[param(inline, example = "same")]
    depth: Option<DepthName>,
    /// The format of each sample of the reply: `png`, `jpg`, `tif`, `webp`, `pnm`, `npy`, `wav`, `csv`, `raw`,
    /// `json`.
    #[param(example = "png")]
    format: Option<String>,
    /// Order of the axes of an array, one letter each, such as `HW`, `HWC`, `TYX`, `CL`, `LC` or `ND`; `auto` finds it by the
    /// extents, and asks (400) where several are likely.
    #[param(example = "auto")]
    layout: Option<String>,
    /// Missing numbers (NaN, infinity, empty fields, `null`): `keep` leaves them missing in the reply, `fill` puts the
    /// model's values in their place, `refuse` answers 400.
    #[param(inline, example = "keep")]
    missing: Option<MissingName>,
    /// Number that stands for a missing one, such as -9999.
    #[param(example = json!(null))]
    missing_value: Option<f32>,
}

/// Parameters of `/encode`.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes the query; it is read by `params`")]
pub(super) struct EncodeParams {
    /// `name` or `name@version`; chosen by the kind of sample when absent.
    #[param(example = "photo-gray")]
    model: Option<String>,
    /// How many times fewer numbers than the sample the latent has at least.
    #[param(exclusive_minimum = 0.0, example = 4.0)]
    ratio: Option<f32>,
    /// Order of the axes of an array, one letter each, such as `HW`, `HWC`, `TYX`, `CL`, `LC` or `ND`; `auto` finds it by the
    /// extents, and asks (400) where several are likely.
    #[param(example = "auto")]
    layout: Option<String>,
    /// Missing numbers are filled in before the encoder, or refused: `keep` and `fill` are the same here.
    #[param(inline, example = "keep")]
    missing: Option<MissingName>,
    /// Number that stands for a missing one, such as -9999.
    #[param(example = json!(null))]
    missing_value: Option<f32>,
}

/// Parameters of `/decode`.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes the query; it is read by `params`")]
pub(super) struct DecodeParams {
    /// `name` or `name@version`; the latent names it, another one is refused.
    model: Option<String>,
    /// How fine the values of the reply are; 8 bits in images when absent.
    #[param(inline, example = "same")]
    depth: Option<DepthName>,
    /// The format of each sample of the reply: `png`, `jpg`, `tif`, `webp`, `pnm`, `npy`, `wav`, `csv`, `raw`,
    /// `json`.
    #[param(example = "png")]
    format: Option<String>,
}

/// Parameters of `/evaluate`.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes the query; it is read by `params`")]
pub(super) struct EvaluateParams {
    /// `name` or `name@version`; chosen by the kind of sample when absent.
    #[param(example = "photo-gray")]
    model: Option<String>,
    /// `full` (latent and refiner, the default) or `strict` (the latent alone).
    #[param(inline, example = "full")]
    mode: Option<ModeName>,
    /// 0 gives the input back, 1 the clean sample, between them a blend.
    #[param(minimum = 0.0, maximum = 1.0, default = 1.0)]
    strength: Option<f32>,
    /// How many times fewer numbers than the sample the latent has at least.
    #[param(exclusive_minimum = 0.0, example = 4.0)]
    ratio: Option<f32>,
    /// 1, or 8 to average over flips and quarter turns of an image.
    #[param(default = 1)]
    ensemble: Option<u8>,
    /// Order of the axes of an array, one letter each, such as `HW`, `HWC`, `TYX`, `CL`, `LC` or `ND`; `auto` finds it by the
    /// extents, and asks (400) where several are likely.
    #[param(example = "auto")]
    layout: Option<String>,
    /// Missing numbers are left out of all scores, or refused: `keep` and `fill` are the same here.
    #[param(inline, example = "keep")]
    missing: Option<MissingName>,
    /// Number that stands for a missing one, such as -9999.
    #[param(example = json!(null))]
    missing_value: Option<f32>,
}

/// What `application/octet-stream` needs beside its bytes.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "describes headers; they are read by `extract`")]
pub(super) struct TensorHeaders {
    /// Extents of a raw tensor, slowest axis first.
    #[param(rename = "X-Tensor-Shape", example = "1,28,28")]
    shape: Option<String>,
    /// Its numbers: `float32` (default), `float64`, `float16`, `uint8`, `uint16`, ...; little-endian.
    #[param(rename = "X-Tensor-Dtype", example = "float32")]
    dtype: Option<String>,
}

/// How long the caller waits.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "describes a header; it is read by `deadline`")]
pub(super) struct TimeoutHeader {
    /// Milliseconds from here on after which the answer is of no use: queue and work are given up, 504.
    #[param(rename = "X-Request-Timeout-Ms", minimum = 1, example = 2000)]
    timeout: Option<u64>,
}

/// Which path a sample takes.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[expect(dead_code, reason = "describes a parameter")]
enum ModeName {
    Full,
    Strict,
}

/// Handling of missing numbers.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[expect(dead_code, reason = "describes a parameter")]
enum MissingName {
    Keep,
    Fill,
    Refuse,
}

/// How fine values are.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes a parameter")]
enum DepthName {
    #[schema(rename = "same")]
    Same,
    #[schema(rename = "8")]
    Eight,
    #[schema(rename = "16")]
    Sixteen,
    #[schema(rename = "float")]
    Float,
}

/// One sample in JSON: exactly one of the members.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes a body; it is read by `extract` and `reading`")]
pub(super) struct SampleItem {
    /// Base64 of an image file; a data URL will do.
    #[schema(example = "iVBORw0KGgo...")]
    image: Option<String>,
    /// Nested numbers: `(H,W)`, `(H,W,C)`, `(C,L)` or `(D)`, with or without a batch axis; `null` is a missing one.
    #[schema(value_type = Option<Vec<Value>>, example = json!([[0.1, 0.2], [0.3, 0.4]]))]
    data: Option<Value>,
    /// Little-endian numbers with their extents.
    tensor: Option<TensorObject>,
}

/// Little-endian numbers with their extents.
#[derive(ToSchema)]
#[schema(as = Tensor)]
#[expect(dead_code, reason = "describes a body; it is read by `codec`")]
pub(super) struct TensorObject {
    /// Extents, slowest axis first.
    #[schema(example = json!([1, 2]))]
    shape: Vec<usize>,
    /// `float32` (default), `float64`, `float16`, `uint8`, `uint16`, ...
    #[schema(example = "float32")]
    dtype: Option<String>,
    /// The bytes.
    #[schema(example = "AACAPwAAAEA=")]
    base64: String,
}

/// One sample or a list of them, with the parameters of the operation as members beside them.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes a body; it is read by `extract` and `params`")]
pub(super) struct SampleBody {
    /// Base64 of an image file; a data URL will do.
    #[schema(example = "iVBORw0KGgo...")]
    image: Option<String>,
    /// Nested numbers: `(H,W)`, `(H,W,C)`, `(C,L)` or `(D)`, with or without a batch axis.
    #[schema(value_type = Option<Vec<Value>>, example = json!([[0.1, 0.2], [0.3, 0.4]]))]
    data: Option<Value>,
    /// Little-endian numbers with their extents.
    tensor: Option<TensorObject>,
    /// Several samples, in place of one.
    samples: Option<Vec<SampleItem>>,
    /// As the query parameter.
    model: Option<String>,
    /// As the query parameter.
    #[schema(inline)]
    mode: Option<ModeName>,
    /// As the query parameter.
    strength: Option<f32>,
    /// As the query parameter.
    ratio: Option<f32>,
    /// As the query parameter.
    ensemble: Option<u8>,
    /// As the query parameter.
    #[schema(inline)]
    depth: Option<DepthName>,
    /// As the query parameter.
    format: Option<String>,
    /// As the query parameter.
    layout: Option<String>,
    /// As the query parameter.
    #[schema(inline)]
    missing: Option<MissingName>,
    /// As the query parameter.
    missing_value: Option<f32>,
}

/// Files, with the parameters of the operation as fields beside them.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes a body; it is read by `extract`")]
pub(super) struct SampleForm {
    /// Image, npy or JSON files; several fields of this name.
    #[schema(value_type = Vec<String>, format = Binary)]
    file: Vec<String>,
    /// As the query parameter.
    model: Option<String>,
}

/// One latent in JSON.
#[derive(Serialize, ToSchema)]
#[schema(as = Latent)]
pub(super) struct LatentObject {
    /// The model that made it.
    #[schema(example = "photo-gray")]
    model: String,
    /// Its version.
    #[schema(example = 1)]
    version: u32,
    /// SHA-256 of its weights, hexadecimal.
    digest: String,
    /// The shape of the sample it decodes to.
    #[schema(value_type = Object, example = json!({"image": {"channels": 1, "height": 28, "width": 28}}))]
    shape: Value,
    /// Mean and standard deviation of the sample.
    #[schema(value_type = Option<Object>, example = json!({"mean": 0.5, "std": 0.2}))]
    stats: Option<Value>,
    /// Its maps, coarsest first.
    planes: Vec<PlaneObject>,
}

/// One map of a latent.
#[derive(Serialize, ToSchema)]
#[schema(as = Plane)]
pub(super) struct PlaneObject {
    /// Extents, channels first.
    #[schema(example = json!([2, 4, 4]))]
    dims: Vec<usize>,
    /// Base64 of little-endian `float32`, or nested numbers.
    #[schema(value_type = String)]
    data: String,
}

/// One latent or a list of them, with parameters beside them.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes a body; it is read by `extract` and `params`")]
pub(super) struct LatentBody {
    /// A latent as `/encode` gives it in JSON, or base64 of a latent file.
    latent: Option<LatentOrFile>,
    /// Several latents, in place of one: a list of objects with the member `latent`.
    #[schema(value_type = Option<Vec<Object>>)]
    samples: Option<Vec<Value>>,
    /// As the query parameter.
    model: Option<String>,
    /// As the query parameter.
    #[schema(inline)]
    depth: Option<DepthName>,
    /// As the query parameter.
    format: Option<String>,
}

/// A latent in JSON, or base64 of a latent file.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "describes a body")]
enum LatentOrFile {
    /// As JSON.
    Object(LatentObject),
    /// As a file.
    File(String),
}

/// Latent files, with parameters as fields beside them.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes a body; it is read by `extract`")]
pub(super) struct LatentForm {
    /// Latent files; several fields of this name.
    #[schema(value_type = Vec<String>, format = Binary)]
    file: Vec<String>,
}

/// The reply of `/denoise`.
pub(super) struct Denoised;
/// The reply of `/encode`.
pub(super) struct Encoded;
/// The reply of `/decode`.
pub(super) struct Decoded;

/// Replies that hold files.
fn files(
    description: &str,
    formats: &[Format],
    json: Value,
    several: Value,
) -> BTreeMap<String, RefOr<Response>> {
    let binary = || ContentBuilder::new().build();
    let object = ObjectBuilder::new().schema_type(Type::Object).build();
    let examples = [("one", json), ("several", several)].map(|(name, value)| {
        (name, utoipa::openapi::example::ExampleBuilder::new().value(Some(value)).build())
    });
    let json = ContentBuilder::new().schema(Some(object)).examples_from_iter(examples).build();
    let mut response = ResponseBuilder::new().description(description);
    for format in formats {
        response = response.content(format.media_type(), binary());
    }
    response = response
        .content("application/json", json)
        .content("multipart/form-data", binary())
        .content("application/zip", binary());
    for (name, what, kind) in REPLY_HEADERS {
        let schema = ObjectBuilder::new().schema_type(kind.clone()).build();
        response = response
            .header(*name, HeaderBuilder::new().schema(Some(schema)).description(Some(*what)).build());
    }
    BTreeMap::from([("200".to_owned(), response.build().into())])
}

/// What every reply of an operation says in its head.
const REPLY_HEADERS: &[(&str, &str, Type)] = &[
    ("X-Request-Id", "The caller's id, or a new one.", Type::String),
    ("X-Model", "The version that answered, as name@version.", Type::String),
    ("X-Model-Reason", "The reason for the model, where the request names none.", Type::String),
    (
        "X-Resampled",
        "Sampling rate of the signal and of the model, where these differ and it was resampled.",
        Type::String,
    ),
    (
        "X-Missing",
        "Number of missing numbers, where there are any; a list for several samples.",
        Type::String,
    ),
    ("X-Noise-Sigma", "Estimated noise, 0..255 for images; a list for several samples.", Type::String),
    (
        "X-Noise-Correlation",
        "Correlation of the noise of adjacent pixels, 0 for white noise; images.",
        Type::String,
    ),
    ("X-Noise-Sigmas", "The same for each channel, with spaces between them.", Type::String),
    ("X-Familiarity", "How like the training data, 0..1; absent for models that do not know.", Type::String),
    ("X-Ink-Kept", "Share of a page's ink that is ink in the result, 0..1; pages.", Type::String),
    (
        "X-Ink-Put-Back",
        "Share of it that the model had taken away and that was put back; pages.",
        Type::String,
    ),
    ("X-Page-Note", "What else was done with a page, or the reason for leaving it as it was.", Type::String),
    ("Server-Timing", "Milliseconds: queue, read, infer, write.", Type::String),
];

const SAMPLE_FORMATS: &[Format] = &[
    Format::Png,
    Format::Jpeg,
    Format::Tiff,
    Format::WebP,
    Format::Pnm,
    Format::Npy,
    Format::Wav,
    Format::Csv,
    Format::Raw,
];

impl IntoResponses for Denoised {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let one = json!({
            "image": "iVBORw0KGgo...", "model": "photo-gray@1", "sigma": 24.7, "sigmas": [24.7], "noise_correlation": 0.0,
            "familiarity": 0.83, "model_reason": "gray picture, white noise of sigma 24.7",
            "request_id": "0199c1a8-6f7e-7d3a-b3f1-3f6a2f3b9d10",
            "timing": {"queue_ms": 0.1, "read_ms": 2.4, "infer_ms": 31.0, "write_ms": 5.2}
        });
        let several = json!({"samples": [{"data": [[0.1, 0.2]], "model": "photo-gray@1", "sigma": 3.1}]});
        files("The clean samples.", SAMPLE_FORMATS, one, several)
    }
}

impl IntoResponses for Encoded {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let latent = json!({"model": "photo-gray", "version": 1, "digest": "9f...", "shape": {}, "stats": {}, "planes": []});
        let one = json!({"latent": latent, "model": "photo-gray@1", "numbers": 196, "sample_numbers": 784});
        let several = json!({"samples": [one]});
        files("The latents.", &[Format::Latent], one, several)
    }
}

impl IntoResponses for Decoded {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let one = json!({"image": "iVBORw0KGgo...", "model": "photo-gray@1"});
        let several = json!({"samples": [one]});
        files("The samples.", SAMPLE_FORMATS, one, several)
    }
}

/// Every failure there is, each a [`ProblemBody`].
pub(super) struct Failures;

impl IntoResponses for Failures {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let reference = |status: u16| Ref::from_response_name(format!("Problem{status}"));
        statuses().into_iter().map(|status| (status.to_string(), reference(status).into())).collect()
    }
}

fn statuses() -> Vec<u16> {
    let mut statuses: Vec<u16> = Code::ALL.iter().map(|code| code.status().as_u16()).collect();
    statuses.dedup();
    statuses
}

/// Adds what all routes share: failures, schemes of access, tags.
pub(super) fn complete(mut spec: OpenApi) -> OpenApi {
    let components = spec.components.get_or_insert_default();
    for (name, schema) in
        [("Problem", ProblemBody::schema()), ("Code", Code::schema()), ("Fault", Fault::schema())]
    {
        components.schemas.insert(name.to_owned(), schema);
    }
    for status in statuses() {
        components.responses.insert(format!("Problem{status}"), failure(status).into());
    }
    let bearer =
        Http::builder().scheme(HttpAuthScheme::Bearer).description(Some("A key of `limpid keys add`."));
    let header = ApiKey::Header(ApiKeyValue::new("X-Api-Key"));
    components.security_schemes.insert("bearer".to_owned(), SecurityScheme::Http(bearer.build()).into());
    components.security_schemes.insert("key".to_owned(), SecurityScheme::ApiKey(header).into());
    spec
}

/// The response of one status, with an example for each of its codes.
fn failure(status: u16) -> Response {
    let codes: Vec<Code> = Code::ALL.into_iter().filter(|code| code.status().as_u16() == status).collect();
    let names: Vec<String> = codes.iter().map(|code| format!("`{}`", code.name())).collect();
    let example = |code: &Code| {
        let value = json!({
            "type": format!("urn:limpid:problem:{}", code.name()),
            "title": code.title(),
            "status": status,
            "detail": "one line on what happened and what to do",
            "instance": "urn:limpid:request:0199c1a8-6f7e-7d3a-b3f1-3f6a2f3b9d10",
            "code": code.name(),
            "request_id": "0199c1a8-6f7e-7d3a-b3f1-3f6a2f3b9d10",
        });
        (code.name(), utoipa::openapi::example::ExampleBuilder::new().value(Some(value)).build())
    };
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name("Problem")))
        .examples_from_iter(codes.iter().map(example))
        .build();
    ResponseBuilder::new().description(names.join(", ")).content("application/problem+json", content).build()
}
