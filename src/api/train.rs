//! `/train`: samples in, a job out, which becomes a new version of a model.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse, Response};
use tokio::time::timeout;
use utoipa::{IntoParams, ToSchema};

use super::body::{self, no_query};
use super::caller::Caller;
use super::error::{Code, Problem};
use super::path::Segments;
use super::spec::{Failures, SampleItem};
use super::state::App;
use super::upload;
use crate::job::{self, Filter, Job, Page, Status};
use crate::name::Name;
use crate::train::Config;

/// Jobs on one page, unless told otherwise.
const DEFAULT_PAGE: usize = 20;
/// Jobs on one page at most.
const MAX_PAGE: usize = 100;

/// A training config with samples in JSON.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes a body")]
struct TrainBody {
    /// Training config.
    config: Config,
    /// Images, arrays or tensors.
    samples: Vec<SampleItem>,
}

/// A training config with samples as files.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes a body")]
struct TrainForm {
    /// JSON as in the other form.
    config: Config,
    /// Images, npy, csv, wav or zip archives of those; several fields of this name. Pairs are matched by name:
    /// `noisy/a.png` with `clean/a.png`; repeats of one scene share a folder.
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
    /// Only those that stand so.
    #[param(inline)]
    status: Option<Status>,
    /// Only those of this model.
    #[param(example = "my-scans")]
    name: Option<String>,
}

/// Trains a model on your samples.
///
/// The job waits its turn; its result is published as a new version and served without a restart. With `plan=1` nothing is
/// trained: the reply is what would be done with the samples, with the evidence (kinds, noise, scheme, split) and advice.
#[utoipa::path(post, path = "/train", operation_id = "train", tag = "training",
    params(
        ("plan" = Option<u8>, Query, minimum = 0, maximum = 1, description = "1 replies with the plan and trains nothing."),
        ("Idempotency-Key" = Option<String>, Header, description = "The same key with the same body is the same job; with another body it is refused."),
    ),
    request_body(description = "A config and samples.", content(
        (TrainForm = "multipart/form-data"),
        (TrainBody = "application/json", example = json!({"config": {"name": "my-scans", "steps": 500}, "samples": [{"image": "iVBORw0KGgo..."}]}))
    )),
    responses(
        (status = 200, description = "The plan, where `plan=1` asks for it.", body = Object),
        (status = 202, description = "The job.", body = Job, headers(("Location" = String, description = "`/train/{id}`"))),
        Failures,
    ))]
pub(super) async fn submit(State(app): State<App>, request: Request) -> Result<Response, Problem> {
    let is_plan = is_plan(&request)?;
    let admitted = match is_plan {
        true => Ok(()),
        false => Caller::of(&request).check_training_time(&app).await,
    };
    let _upload = match admitted.and_then(|()| app.upload()) {
        Ok(upload) => upload,
        Err(problem) => {
            body::discard_request(request).await;
            return Err(problem);
        }
    };
    let time = app.config().body_time(true);
    let order = timeout(time, upload::read(&app, request)).await.map_err(|_| {
        let detail = format!("the body did not arrive within {} s", time.as_secs());
        Problem::new(Code::DeadlineExceeded, detail)
    })??;
    if is_plan {
        let plan = app.block(move |app| Ok(app.jobs().plan(&order, app.limits())?)).await?;
        return Ok(Json(plan).into_response());
    }
    let (job, _) = app.block(move |app| Ok(app.jobs().submit(&order)?)).await?;
    let location = format!("/train/{}", job.id);
    Ok((StatusCode::ACCEPTED, [(LOCATION, location)], Json(job)).into_response())
}

/// Returns `true` if the request asks for a plan.
fn is_plan(request: &Request) -> Result<bool, Problem> {
    let text = request.uri().query().unwrap_or_default();
    if text.is_empty() {
        return Ok(false);
    }
    match text {
        "plan=1" | "plan=true" => Ok(true),
        "plan=0" | "plan=false" => Ok(false),
        text if text.starts_with("plan=") => Err(Problem::invalid_at("/plan", "expected 1 or 0")),
        _ => no_query(request).map(|()| false),
    }
}

/// The jobs, newest first.
#[utoipa::path(get, path = "/train", operation_id = "list_jobs", tag = "training", params(PageParams), responses(
    (status = 200, description = "One page of jobs.", body = Page), Failures,
))]
pub(super) async fn list(State(app): State<App>, request: Request) -> Result<Json<Page>, Problem> {
    let (head, _) = request.into_parts();
    let (mut limit, mut filter) = (DEFAULT_PAGE, Filter::default());
    for (name, value) in body::query(&head)? {
        match name.as_str() {
            "limit" => {
                let number = value.parse().ok().filter(|number| (1..=MAX_PAGE).contains(number));
                let expected = format!("expected a whole number in 1..{MAX_PAGE}");
                limit = number.ok_or_else(|| Problem::invalid_at("/limit", expected))?;
            }
            "after" => filter.after = Some(value),
            "status" => {
                let known = Status::ALL.map(Status::as_str).join(", ");
                let status = Status::parse(&value);
                filter.status = Some(
                    status
                        .ok_or_else(|| Problem::invalid_at("/status", format!("expected one of {known}")))?,
                );
            }
            "name" => {
                let name: Result<Name, _> = value.parse();
                filter.name = Some(name.map_err(|e| Problem::invalid_at("/name", e.to_string()))?);
            }
            other => {
                let pointer = format!("/{}", super::params::escape(other));
                let detail = "not a parameter here; there are limit, after, status, name";
                return Err(Problem::invalid_at(pointer, detail));
            }
        }
    }
    app.block(move |app| {
        app.jobs().list(limit, &filter).map(Json).map_err(|error| match error {
            job::Error::NotFound(_) => Problem::invalid_at("/after", error.to_string()),
            other => other.into(),
        })
    })
    .await
}

/// One job.
#[utoipa::path(get, path = "/train/{id}", operation_id = "get_job", tag = "training", params(("id" = String, Path, description = "The job.")), responses(
    (status = 200, description = "The job as it is now.", body = Job), Failures,
))]
pub(super) async fn get(
    State(app): State<App>,
    Segments(id): Segments<String>,
) -> Result<Json<Job>, Problem> {
    app.block(move |app| Ok(Json(app.jobs().get(&id)?))).await
}

/// Stops a job.
///
/// One that waits or rests stops at once, one that runs within a step and a checkpoint; one that was cancelled
/// before stays so.
#[utoipa::path(post, path = "/train/{id}/cancel", operation_id = "cancel_job", tag = "training", params(("id" = String, Path, description = "The job.")), responses(
    (status = 200, description = "The job as it is now.", body = Job), Failures,
))]
pub(super) async fn cancel(
    State(app): State<App>,
    Segments(id): Segments<String>,
) -> Result<Json<Job>, Problem> {
    app.block(move |app| Ok(Json(app.jobs().cancel(&id)?))).await
}

/// Lets a job rest.
///
/// One that runs stops within a step and a checkpoint, and goes on from there when it is resumed, as if it had
/// never stopped.
#[utoipa::path(post, path = "/train/{id}/pause", operation_id = "pause_job", tag = "training", params(("id" = String, Path, description = "The job.")), responses(
    (status = 200, description = "The job as it is now.", body = Job), Failures,
))]
pub(super) async fn pause(
    State(app): State<App>,
    Segments(id): Segments<String>,
) -> Result<Json<Job>, Problem> {
    app.block(move |app| Ok(Json(app.jobs().pause(&id)?))).await
}

/// Lets a job that rests go on in its turn.
#[utoipa::path(post, path = "/train/{id}/resume", operation_id = "resume_job", tag = "training", params(("id" = String, Path, description = "The job.")), responses(
    (status = 200, description = "The job as it is now.", body = Job), Failures,
))]
pub(super) async fn resume(
    State(app): State<App>,
    Segments(id): Segments<String>,
) -> Result<Json<Job>, Problem> {
    app.block(move |app| Ok(Json(app.jobs().resume(&id)?))).await
}
