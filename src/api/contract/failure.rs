//! Failures in the contract: one response for each status, with an example for each of its codes.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use utoipa::IntoResponses;
use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::example::ExampleBuilder;
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::{Components, Ref, RefOr};

use super::insert;
use crate::api::error::{Code, ProblemBody};
use crate::api::v2;

/// Every failure of a route, each a [`ProblemBody`].
pub(in crate::api) struct Failures;

/// Every failure of a route of the Open Inference Protocol, each a [`v2::ErrorBody`].
pub(in crate::api) struct InferenceFailures;

impl IntoResponses for Failures {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        references("Problem")
    }
}

impl IntoResponses for InferenceFailures {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        references("InferenceError")
    }
}

fn references(name: &str) -> BTreeMap<String, RefOr<Response>> {
    let reference = |status: u16| Ref::from_response_name(format!("{name}{status}"));
    statuses().into_iter().map(|status| (status.to_string(), reference(status).into())).collect()
}

/// Adds the responses that [`Failures`] and [`InferenceFailures`] refer to.
pub(super) fn describe(components: &mut Components) {
    insert::<ProblemBody>(&mut components.schemas);
    insert::<v2::ErrorBody>(&mut components.schemas);
    for status in statuses() {
        components.responses.insert(format!("Problem{status}"), failure(status).into());
        components.responses.insert(format!("InferenceError{status}"), inference_failure(status).into());
    }
}

fn statuses() -> Vec<u16> {
    let mut statuses: Vec<u16> = Code::ALL.iter().map(|code| code.status()).collect();
    statuses.dedup();
    statuses
}

fn failure(status: u16) -> Response {
    let example = |code: Code| {
        json!({
            "type": format!("urn:limpid:problem:{}", code.name()),
            "title": code.title(),
            "status": status,
            "detail": "one line on what happened and what to do",
            "instance": "urn:limpid:request:0199c1a8-6f7e-7d3a-b3f1-3f6a2f3b9d10",
            "code": code.name(),
            "request_id": "0199c1a8-6f7e-7d3a-b3f1-3f6a2f3b9d10",
        })
    };
    response(status, "application/problem+json", "Problem", example)
}

fn inference_failure(status: u16) -> Response {
    let example = |code: Code| {
        json!({
            "error": "one line on what happened and what to do",
            "code": code.name(),
            "request_id": "0199c1a8-6f7e-7d3a-b3f1-3f6a2f3b9d10",
        })
    };
    response(status, "application/json", "InferenceError", example)
}

/// The response of a status, with an example for each of its codes.
fn response(status: u16, media_type: &str, schema: &str, example: impl Fn(Code) -> Value) -> Response {
    let codes: Vec<Code> = Code::ALL.into_iter().filter(|code| code.status() == status).collect();
    let names: Vec<String> = codes.iter().map(|code| format!("`{}`", code.name())).collect();
    let example = |code: &Code| (code.name(), ExampleBuilder::new().value(Some(example(*code))).build());
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name(schema)))
        .examples_from_iter(codes.iter().map(example))
        .build();
    ResponseBuilder::new().description(names.join(", ")).content(media_type, content).build()
}
