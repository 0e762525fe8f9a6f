//! Errors in the form of the protocol: `{"error": "one line"}`, with the code and the id of the request beside it.

use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::error::{Code, Problem};

/// Failure of a request of the Open Inference Protocol.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InferenceError)]
pub(in crate::api) struct ErrorBody {
    /// Cause of the failure, and advice, in one line.
    #[schema(example = "there is no model photo-grey")]
    error: String,
    /// Kind of the failure.
    code: Code,
    /// Id of the request, as in `X-Request-Id`.
    #[schema(example = "0199c1a8-6f7e-7d3a-b3f1-3f6a2f3b9d10")]
    request_id: String,
}

/// Writes a problem into `reply` in the form of the protocol.
pub(in crate::api) fn write(problem: Problem, request_id: &str, reply: &mut Response) {
    let body = ErrorBody { error: line(&problem), code: problem.code(), request_id: request_id.to_owned() };
    let text = serde_json::to_vec(&body).expect("an error holds only text");
    problem.write_as("application/json", text, reply);
}

/// Cause of a problem with the places that are wrong, which have no member of their own here.
fn line(problem: &Problem) -> String {
    let places = problem.faults().iter().filter(|fault| !fault.pointer.is_empty());
    let places: Vec<_> = places.map(|fault| format!("{}: {}", fault.pointer, fault.detail)).collect();
    if places.is_empty() { problem.detail().to_owned() } else { places.join("; ") }
}
