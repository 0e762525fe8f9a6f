//! Failures in the contract: one response for each status, with an example for each of its codes.

use std::collections::BTreeMap;

use serde_json::json;
use utoipa::IntoResponses;
use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::example::ExampleBuilder;
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::{Components, Ref, RefOr};

use super::insert;
use crate::api::error::{Code, ProblemBody};

/// Every failure of a route, each a [`ProblemBody`].
pub(in crate::api) struct Failures;

impl IntoResponses for Failures {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let reference = |status: u16| Ref::from_response_name(format!("Problem{status}"));
        statuses().into_iter().map(|status| (status.to_string(), reference(status).into())).collect()
    }
}

/// Adds the responses that [`Failures`] refers to.
pub(super) fn describe(components: &mut Components) {
    insert::<ProblemBody>(&mut components.schemas);
    for status in statuses() {
        components.responses.insert(format!("Problem{status}"), failure(status).into());
    }
}

fn statuses() -> Vec<u16> {
    let mut statuses: Vec<u16> = Code::ALL.iter().map(|code| code.status()).collect();
    statuses.dedup();
    statuses
}

fn failure(status: u16) -> Response {
    let codes: Vec<Code> = Code::ALL.into_iter().filter(|code| code.status() == status).collect();
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
        (code.name(), ExampleBuilder::new().value(Some(value)).build())
    };
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name("Problem")))
        .examples_from_iter(codes.iter().map(example))
        .build();
    ResponseBuilder::new().description(names.join(", ")).content("application/problem+json", content).build()
}
