//! Replies in JSON: one result or several, with facts about their samples.

use serde::Serialize;
use utoipa::ToSchema;

use super::about::Facts;
use crate::api::clock::Timing;
use crate::api::json::JsonSample;

/// Reply of an operation in JSON.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Reply)]
pub(in crate::api) struct JsonReply {
    /// Its results.
    #[serde(flatten)]
    pub(super) results: Results,
    /// Id of the request, as in `X-Request-Id`.
    pub(super) request_id: String,
    /// Time that each stage took.
    pub(super) timing: Timing,
}

/// One result, or a list where the request was one.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum Results {
    /// One result.
    One(Box<JsonResult>),
    /// Several results, in the order of the request.
    Several {
        /// The results.
        samples: Vec<JsonResult>,
    },
}

/// One result in JSON.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Result)]
pub(super) struct JsonResult {
    /// The sample or latent.
    #[serde(flatten)]
    pub(super) sample: JsonSample,
    /// Facts about it.
    #[serde(flatten)]
    pub(super) about: Facts,
    /// Numbers of a latent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) numbers: Option<usize>,
    /// Numbers of the sample that a latent decodes to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sample_numbers: Option<usize>,
}
