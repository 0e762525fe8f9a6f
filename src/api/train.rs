//! `/train`: samples in, a job out, which becomes a new version of a model.

use axum::Json;
use axum::extract::{Multipart, Request, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_LENGTH, LOCATION};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use tokio::time::timeout;
use utoipa::{IntoParams, ToSchema};

use super::body::{self, form_problem, no_query, too_large};
use super::error::{Code, Problem};
use super::path::Segments;
use super::spec::{Failures, SampleItem};
use super::state::App;
use crate::codec;
use crate::job::{Job, Page, Source, Status};
use crate::limits::Limits;
use crate::train::Config;

/// Jobs on one page, unless told otherwise.
const DEFAULT_PAGE: usize = 20;
/// Jobs on one page at most.
const MAX_PAGE: usize = 100;

/// A training config with samples in JSON.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes a body")]
struct TrainBody {
    /// What to train; everything but `name` has a default.
    #[schema(value_type = Object, example = json!({"name": "my-scans", "base": "photo-gray", "steps": 2000}))]
    config: Value,
    /// Images, arrays or tensors.
    samples: Vec<SampleItem>,
}

/// A training config with samples as files.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes a body")]
struct TrainForm {
    /// JSON as in the other form.
    #[schema(value_type = Object, example = json!({"name": "my-scans"}))]
    config: Value,
    /// Images, npy, csv or zip archives of those; several fields of this name. Pairs are matched by name:
    /// `noisy/a.png` with `clean/a.png`.
    #[schema(value_type = Vec<String>, format = Binary)]
    samples: Vec<String>,
}

/// Which jobs.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes the query")]
struct PageParams {
    /// How many at most.
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: Option<usize>,
    /// The last id of the page before.
    after: Option<String>,
}

/// Trains a model on your samples.
///
/// The job waits its turn; its result is published as a new version and served without a restart.
#[utoipa::path(post, path = "/train", operation_id = "train", tag = "training",
    request_body(description = "A config and samples.", content(
        (TrainForm = "multipart/form-data"),
        (TrainBody = "application/json", example = json!({"config": {"name": "my-scans", "steps": 500}, "samples": [{"image": "iVBORw0KGgo..."}]}))
    )),
    responses(
        (status = 202, description = "The job.", body = Job, headers(("Location" = String, description = "`/train/{id}`"))),
        Failures,
    ))]
pub(super) async fn submit(State(app): State<App>, request: Request) -> Result<Response, Problem> {
    no_query(&request)?;
    let _upload = app.upload()?;
    let time = app.config().body_time(true);
    let upload = timeout(time, Upload::read(&app, request)).await.map_err(|_| {
        let detail = format!("the body did not arrive within {} s", time.as_secs());
        Problem::new(Code::DeadlineExceeded, detail)
    })??;
    let job =
        app.block(move |app| Ok(app.jobs().submit(upload.config, Source::Uploads(upload.files))?)).await?;
    let location = format!("/train/{}", job.id);
    Ok((StatusCode::ACCEPTED, [(LOCATION, location)], Json(job)).into_response())
}

/// The jobs, newest first.
#[utoipa::path(get, path = "/train", operation_id = "list_jobs", tag = "training", params(PageParams), responses(
    (status = 200, description = "One page of jobs.", body = Page), Failures,
))]
pub(super) async fn list(State(app): State<App>, request: Request) -> Result<Json<Page>, Problem> {
    let (head, _) = request.into_parts();
    let (mut limit, mut after) = (DEFAULT_PAGE, None);
    for (name, value) in body::query(&head)? {
        match name.as_str() {
            "limit" => {
                let number = value.parse().ok().filter(|number| (1..=MAX_PAGE).contains(number));
                let expected = format!("expected a whole number in 1..{MAX_PAGE}");
                limit = number.ok_or_else(|| Problem::invalid_at("/limit", expected))?;
            }
            "after" => after = Some(value),
            other => {
                let pointer = format!("/{}", super::params::escape(other));
                return Err(Problem::invalid_at(pointer, "not a parameter here; there are limit, after"));
            }
        }
    }
    let page = app.jobs().list(limit, after.as_deref());
    Ok(Json(page.map_err(|e| Problem::invalid_at("/after", e.to_string()))?))
}

/// One job.
#[utoipa::path(get, path = "/train/{id}", operation_id = "get_job", tag = "training", params(("id" = String, Path, description = "The job.")), responses(
    (status = 200, description = "The job as it is now.", body = Job), Failures,
))]
pub(super) async fn get(
    State(app): State<App>,
    Segments(id): Segments<String>,
) -> Result<Json<Job>, Problem> {
    Ok(Json(app.jobs().get(&id)?))
}

/// Stops a job.
///
/// One that waits stops at once, one that runs within a step; one that was cancelled before stays so.
#[utoipa::path(post, path = "/train/{id}/cancel", operation_id = "cancel_job", tag = "training", params(("id" = String, Path, description = "The job.")), responses(
    (status = 200, description = "The job as it is now.", body = Job), Failures,
))]
pub(super) async fn cancel(
    State(app): State<App>,
    Segments(id): Segments<String>,
) -> Result<Json<Job>, Problem> {
    let job = app.jobs().cancel(&id)?;
    if job.status.is_final() && job.status != Status::Cancelled {
        let detail = format!("job {id} is over already; it cannot be cancelled");
        return Err(Problem::new(Code::JobStateConflict, detail));
    }
    Ok(Json(job))
}

/// The body of a submission.
struct Upload {
    config: Config,
    files: Vec<(String, Vec<u8>)>,
}

impl Upload {
    async fn read(app: &App, request: Request) -> Result<Self, Problem> {
        let limit = app.limits().upload_bytes;
        let stated =
            request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        if let Some(actual) = stated.filter(|&actual: &usize| actual > limit) {
            body::discard(request.into_body()).await;
            return Err(too_large(limit, actual));
        }
        match body::media_type(request.headers()).as_str() {
            "multipart/form-data" => Self::from_form(request, limit).await,
            "application/json" | "text/json" => Self::from_json(app, request).await,
            _ => {
                body::discard(request.into_body()).await;
                let detail =
                    "this route takes multipart/form-data with config and samples, or application/json";
                Err(Problem::new(Code::UnsupportedMediaType, detail))
            }
        }
    }

    /// Reads the parts as they arrive, counted against the limit of uploads.
    async fn from_form(request: Request, limit: usize) -> Result<Self, Problem> {
        let mut form = body::form(request).await?;
        let read = Self::from_parts(&mut form, limit).await;
        if read.is_err() {
            body::discard_form(&mut form).await;
        }
        read
    }

    async fn from_parts(form: &mut Multipart, limit: usize) -> Result<Self, Problem> {
        let (mut config, mut files, mut size) = (None, Vec::new(), 0_usize);
        while let Some(mut field) = form.next_field().await.map_err(|e| form_problem(&e))? {
            let role = field.name().unwrap_or_default().to_owned();
            let name = field.file_name().map(str::to_owned);
            let media_type = field.content_type().map(str::to_owned).unwrap_or_default();
            let mut bytes = Vec::new();
            while let Some(chunk) = field.chunk().await.map_err(|e| form_problem(&e))? {
                size += chunk.len();
                if size > limit {
                    return Err(too_large(limit, size));
                }
                bytes.extend_from_slice(&chunk);
            }
            match role.as_str() {
                "config" if config.is_some() => return Err(Problem::invalid_at("/config", "given twice")),
                "config" => config = Some(parse_config(&bytes)?),
                "samples" => {
                    files.push((name.unwrap_or_else(|| invent(files.len(), &media_type, &bytes)), bytes))
                }
                other => {
                    let pointer = format!("/{}", super::params::escape(other));
                    return Err(Problem::invalid_at(pointer, "not a field here; there are config, samples"));
                }
            }
        }
        Self::new(config, files)
    }

    async fn from_json(app: &App, request: Request) -> Result<Self, Problem> {
        let received = body::Received::read(app, request).await?;
        let limits = app.limits().clone();
        let bytes = received.body.len().saturating_mul(16);
        app.compute(bytes, move || {
            let value: Value = serde_json::from_slice(&received.body)
                .map_err(|e| Problem::invalid(format!("malformed JSON: {e}")))?;
            let Value::Object(mut object) = value else {
                return Err(Problem::invalid_at("", "expected an object with config and samples"));
            };
            let config = object.remove("config").map(|config| {
                serde_json::from_value(config).map_err(|e| Problem::invalid_at("/config", e.to_string()))
            });
            let samples = object.remove("samples").unwrap_or(Value::Array(Vec::new()));
            if let Some(other) = object.keys().next() {
                let pointer = format!("/{}", super::params::escape(other));
                return Err(Problem::invalid_at(pointer, "not a member here; there are config, samples"));
            }
            let Value::Array(samples) = samples else {
                return Err(Problem::invalid_at("/samples", "expected a list"));
            };
            let file = |(index, sample): (usize, &Value)| to_file(index, sample, &limits);
            let files = samples.iter().enumerate().map(file).collect::<Result<_, _>>()?;
            Self::new(config.transpose()?, files)
        })
        .await
    }

    fn new(config: Option<Config>, files: Vec<(String, Vec<u8>)>) -> Result<Self, Problem> {
        let missing = || Problem::invalid_at("/config", "missing; at least {\"name\": \"my-model\"}");
        let config = config.ok_or_else(missing)?;
        if files.is_empty() {
            return Err(Problem::invalid_at("/samples", "missing; send what to train on"));
        }
        Ok(Self { config, files })
    }
}

fn parse_config(bytes: &[u8]) -> Result<Config, Problem> {
    serde_json::from_slice(bytes).map_err(|e| Problem::invalid_at("/config", e.to_string()))
}

/// A name for a sample that came without one, with the ending of what it is.
fn invent(index: usize, media_type: &str, bytes: &[u8]) -> String {
    let stated = codec::Format::from_media_type(media_type).filter(|format| *format != codec::Format::Raw);
    let format = codec::Format::sniff(bytes).or(stated);
    match format {
        Some(format) => format!("sample-{index:05}.{}", format.extension()),
        None if bytes.starts_with(b"PK") => format!("sample-{index:05}.zip"),
        None => format!("sample-{index:05}"),
    }
}

/// A sample in JSON as a file: an image as it is, numbers as npy.
fn to_file(index: usize, sample: &Value, limits: &Limits) -> Result<(String, Vec<u8>), Problem> {
    let at = |member: &str| format!("/samples/{index}/{member}");
    let npy =
        |array: codec::Array| Ok((format!("sample-{index:05}.npy"), codec::write_npy(&array, array.dtype)?));
    let object = sample.as_object().filter(|object| object.len() == 1);
    let one = object.and_then(|object| object.iter().next()).map(|(name, value)| (name.as_str(), value));
    match one {
        Some(("image", text)) => {
            let bytes = super::reading::from_base64(text).map_err(|problem| problem.under(&at("image")))?;
            Ok((invent(index, "", &bytes), bytes))
        }
        Some(("data", data)) => {
            let array = codec::array_from_json(data, limits);
            npy(array.map_err(|e| Problem::from(e).under(&at("data")))?)
        }
        Some(("tensor", tensor)) => {
            let array = codec::tensor_from_json(tensor, limits);
            npy(array.map_err(|e| Problem::from(e).under(&at("tensor")))?)
        }
        _ => Err(Problem::invalid_at(
            format!("/samples/{index}"),
            "expected an object with exactly one of image, data, tensor",
        )),
    }
}
