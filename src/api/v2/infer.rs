//! Inference: `POST /v2/models/{name}/infer`.

use std::time::Instant;

use axum::extract::{Request, State};
use axum::response::Response;
use tokio::time::timeout_at;

use super::body::Body;
use super::call::Call;
use super::encoding::{Coding, unpacked};
use super::model::Model;
use super::reply::InferReply;
use super::request::InferRequest;
use crate::api::body::{Received, counted};
use crate::api::caller::Caller;
use crate::api::clock::{Deadline, Times};
use crate::api::contract::{Binary, InferenceFailures};
use crate::api::error::{Code, Problem};
use crate::api::path::Segments;
use crate::api::state::App;
use crate::api::tree;

/// Inference by a model, in the Open Inference Protocol.
///
/// The input is a tensor `image` `(N, C, H, W)`, `signal` `(N, C, L)` or `vector` `(N, F)`, or BYTES `(N)` of files; the outputs are
/// `denoised`, FP32 in the shape of the input, and `latent`, BYTES `(N)` of latent files. `NAME.decoder` takes `latent` and gives
/// `denoised` from it alone. Binary tensors stand behind the JSON, whose length `Inference-Header-Content-Length` states; 0 is a
/// body without JSON, which is the tensor.
#[utoipa::path(post, path = "/v2/models/{name}/infer", operation_id = "infer", tag = "inference", params(
    ("name" = String, Path, description = "The model, or its decoder as `NAME.decoder`.", example = "photo-gray"),
    ("Inference-Header-Content-Length" = Option<u64>, Header, description = "Bytes of the JSON in front of binary tensors."),
), request_body(description = "The request; its body may be packed by gzip or deflate.", content(
    (InferRequest = "application/json", example = json!({"inputs": [{"name": "image", "shape": [1, 1, 2, 2], "datatype": "FP32", "data": [0.1, 0.2, 0.3, 0.4]}]})),
    (inline(Binary) = "application/octet-stream"),
)), responses(
    (status = 200, description = "The outputs.", content((InferReply = "application/json"), (inline(Binary) = "application/octet-stream")),
        headers(("Inference-Header-Content-Length" = u64, description = "Bytes of the JSON in front of binary tensors."))),
    InferenceFailures,
))]
pub(super) async fn model(
    State(app): State<App>,
    Segments(name): Segments<String>,
    request: Request,
) -> Result<Response, Problem> {
    infer(app, &name, None, request).await
}

/// Inference by a version, in the Open Inference Protocol.
///
/// As `POST /v2/models/{name}/infer`.
#[utoipa::path(post, path = "/v2/models/{name}/versions/{version}/infer", operation_id = "infer_version", tag = "inference", params(
    ("name" = String, Path, description = "The model, or its decoder as `NAME.decoder`.", example = "photo-gray"),
    ("version" = u32, Path, description = "The version.", example = 1),
    ("Inference-Header-Content-Length" = Option<u64>, Header, description = "Bytes of the JSON in front of binary tensors."),
), request_body(description = "The request; its body may be packed by gzip or deflate.", content(
    (InferRequest = "application/json", example = json!({"inputs": [{"name": "image", "shape": [1, 1, 2, 2], "datatype": "FP32", "data": [0.1, 0.2, 0.3, 0.4]}]})),
    (inline(Binary) = "application/octet-stream"),
)), responses(
    (status = 200, description = "The outputs.", content((InferReply = "application/json"), (inline(Binary) = "application/octet-stream")),
        headers(("Inference-Header-Content-Length" = u64, description = "Bytes of the JSON in front of binary tensors."))),
    InferenceFailures,
))]
pub(super) async fn version(
    State(app): State<App>,
    Segments((name, version)): Segments<(String, String)>,
    request: Request,
) -> Result<Response, Problem> {
    infer(app, &name, Some(&version), request).await
}

async fn infer(app: App, name: &str, version: Option<&str>, request: Request) -> Result<Response, Problem> {
    let (times, begun) = (Times::start(), Instant::now());
    let (caller, coding) = (Caller::of(&request), Coding::accepted(request.headers()));
    let deadline = request.extensions().get::<Deadline>().map(|deadline| deadline.0);
    let received = Received::read_packed(&app, request).await?;
    let ticket = app.engine().admit(deadline)?;
    let Received { head, body, held } = unpacked(&app, &ticket, received).await?;
    let model = Model::find(&app, name, version)?;
    let body = Body::divide(&head.headers, body)?;
    let tree = tree::measure(&ticket, &body.head()).await?;
    let held = [held, Some(ticket.count(tree))].into_iter().flatten().collect();
    let (of, limits) = (model.clone(), app.limits().clone());
    let asked = ticket.convert(tree, move || body.read(&of, &limits)).await??;
    let end = asked.parameters.timeout().and_then(|timeout| begun.checked_add(timeout));
    let call = Call { app: &app, ticket: &ticket, caller, model, times, tree, held };
    let (reply, times) = match end {
        None => call.compute(asked).await?,
        Some(end) => timeout_at(end.into(), call.compute(asked)).await.unwrap_or_else(|_| {
            let detail = "the timeout of the request passed before its work was done, which was given up";
            Err(Problem::new(Code::DeadlineExceeded, detail))
        })?,
    };
    let bytes = reply.bytes_to_write();
    let (headers, body) = ticket.convert(bytes, move || reply.write(coding, times)).await??;
    let held = ticket.count(body.len());
    let mut response = Response::new(counted(body, held));
    *response.headers_mut() = headers;
    Ok(response)
}
