//! `/train`: samples in, a job out, which becomes a new version of a model.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use tokio::time::timeout;
use utoipa::IntoParams;

use super::body;
use super::caller::Caller;
use super::choice::{Flag, PageSize};
use super::contract::{Failures, TrainBody, TrainForm};
use super::error::{Code, Problem};
use super::fields;
use super::path::Segments;
use super::state::App;
use super::upload::{self, SubmitHeaders};
use crate::job::{self, Filter, Job, Page, Status};
use crate::name::Name;
use crate::train::Plan;

/// Parameters of `GET /train`.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
struct PageParams {
    /// Number of jobs at most; 20 when absent.
    #[param(inline)]
    limit: PageSize,
    /// Last id of the page before.
    after: Option<String>,
    /// Status of the jobs that are listed; every one when absent.
    #[param(inline)]
    status: Option<Status>,
    /// Model of the jobs that are listed; every one when absent.
    #[param(inline, example = "my-scans")]
    name: Option<Name>,
}

impl Default for PageParams {
    fn default() -> Self {
        Self { limit: PageSize(20), after: None, status: None, name: None }
    }
}

/// Parameters of `POST /train`.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
struct SubmitParams {
    /// 1 replies with the plan and trains nothing.
    #[param(inline)]
    plan: Flag,
}

/// Trains a model on your samples.
///
/// The job waits its turn; its result is published as a new version and served without a restart. With `plan=1` nothing is
/// trained: the reply is what would be done with the samples, with the evidence (kinds, noise, scheme, split) and advice.
#[utoipa::path(post, path = "/train", operation_id = "train", tag = "training",
    params(SubmitParams, SubmitHeaders),
    request_body(description = "A config and samples.", content(
        (TrainForm = "multipart/form-data"),
        (TrainBody = "application/json", example = json!({"config": {"name": "my-scans", "steps": 500}, "samples": [{"image": "iVBORw0KGgo..."}]}))
    )),
    responses(
        (status = 200, description = "The plan, where `plan=1` asks for it.", body = Plan),
        (status = 202, description = "The job.", body = Job, headers(("Location" = String, description = "`/train/{id}`"))),
        Failures,
    ))]
pub(super) async fn submit(State(app): State<App>, request: Request) -> Result<Response, Problem> {
    let SubmitParams { plan: is_plan } = fields::read(&body::query_of(request.uri())?)?;
    let admitted = match is_plan {
        Flag::Yes => Ok(()),
        Flag::No => Caller::of(&request).check_training_time(&app).await,
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
    if is_plan == Flag::Yes {
        let plan = app.block(move |app| Ok(app.jobs().plan(&order, app.limits())?)).await?;
        return Ok(Json(plan).into_response());
    }
    let (job, _) = app.block(move |app| Ok(app.jobs().submit(&order)?)).await?;
    let location = format!("/train/{}", job.id);
    Ok((StatusCode::ACCEPTED, [(LOCATION, location)], Json(job)).into_response())
}

/// The jobs, newest first.
#[utoipa::path(get, path = "/train", operation_id = "list_jobs", tag = "training", params(PageParams), responses(
    (status = 200, description = "One page of jobs.", body = Page), Failures,
))]
pub(super) async fn list(State(app): State<App>, request: Request) -> Result<Json<Page>, Problem> {
    let PageParams { limit, after, status, name } = fields::read(&body::query_of(request.uri())?)?;
    let filter = Filter { after, status, name };
    app.block(move |app| {
        app.jobs().list(limit.0, &filter).map(Json).map_err(|error| match error {
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
/// At once, also where it runs: its training process stops after the current step, or is ended. One that was cancelled
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

/// Pauses a job.
///
/// One that runs stops within a step and a checkpoint, and continues from there when it is resumed, as if it had
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
