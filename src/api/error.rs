//! Problems: every failure of every route as RFC 9457 `application/problem+json`.
//!
//! A handler returns a [`Problem`]; the outermost middleware writes it, because only there the id of
//! the request is known for all of them, panics and unknown routes included.

use std::borrow::Cow;
use std::time::Duration;

use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

pub use crate::code::Code;

/// One place of the request that is wrong.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Fault {
    /// JSON Pointer (RFC 6901) into the body; a query parameter or form field `x` is `/x`.
    #[schema(example = "/strength")]
    pub pointer: String,
    /// Fault at this place.
    #[schema(example = "expected 0..1, got 3")]
    pub detail: String,
}

/// A failure on its way to the caller.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    code: Code,
    detail: String,
    errors: Vec<Fault>,
    limit: Option<u64>,
    actual: Option<u64>,
    retry_after: Option<Duration>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// A failure as it is written: RFC 9457, `application/problem+json`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody {
    /// Kind of problem, for programs.
    #[serde(rename = "type")]
    #[schema(example = "urn:limpid:problem:shape_mismatch")]
    kind: String,
    /// Kind of problem, for people.
    #[schema(example = "The shape does not fit")]
    title: &'static str,
    /// The HTTP status.
    #[schema(example = 400)]
    status: u16,
    /// Cause of this failure, and advice.
    detail: String,
    /// This occurrence.
    #[schema(example = "urn:limpid:request:0199c1a8-6f7e-7d3a-b3f1-3f6a2f3b9d10")]
    instance: String,
    /// The code to branch on.
    code: Code,
    /// The id of the request, as in `X-Request-Id`.
    request_id: String,
    /// The places that are wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    errors: Vec<Fault>,
    /// The limit that was hit.
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<u64>,
    /// Value seen instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    actual: Option<u64>,
    /// Milliseconds after which trying again makes sense; `Retry-After` rounds them up to seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
}

impl Problem {
    /// A problem of this code; `detail` is one line with the cause and advice.
    pub fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        let detail = detail.into().into_owned();
        let headers = match code {
            Code::Unauthorized => {
                vec![(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"limpid\""))]
            }
            _ => Vec::new(),
        };
        Self { code, detail, errors: Vec::new(), limit: None, actual: None, retry_after: None, headers }
    }

    /// 400 `invalid_input` without a place.
    pub fn invalid(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::InvalidInput, detail)
    }

    /// 400 `invalid_input` at `pointer`.
    pub fn invalid_at(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        let (pointer, detail) = (pointer.into(), detail.into());
        Self::invalid(format!("{}: {detail}", if pointer.is_empty() { "the body" } else { &pointer }))
            .at(pointer, detail)
    }

    /// 500 `internal`: the cause goes to the log, never to the client.
    pub fn internal(cause: impl std::fmt::Display) -> Self {
        tracing::error!(%cause, "internal error");
        Self::new(Code::Internal, "the service failed; its log has the cause under this request id")
    }

    /// 507 `disk_full`.
    pub fn disk_full() -> Self {
        let detail = "the disk is full: nothing new can be kept until the operator makes room; models continue \
                      to serve, and jobs and versions can be removed";
        Self::new(Code::DiskFull, detail).retry_after(Duration::from_secs(60))
    }

    /// Also names a place that is wrong.
    #[must_use]
    pub fn at(mut self, pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        self.errors.push(Fault { pointer: pointer.into(), detail: detail.into() });
        self
    }

    /// Both problems in one: that of `self`, with the places of `other` too.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.errors.extend(other.errors);
        self
    }

    /// Prepends `prefix` to all pointers, for a value that was read as a part of a larger body; a problem
    /// without a place gets that one.
    #[must_use]
    pub fn under(mut self, prefix: &str) -> Self {
        for fault in &mut self.errors {
            fault.pointer.insert_str(0, prefix);
        }
        if self.errors.is_empty() && !prefix.is_empty() {
            let detail = self.detail.clone();
            return self.at(prefix, detail);
        }
        self
    }

    /// With the limit that was hit and what was seen.
    #[must_use]
    pub fn over(mut self, limit: u64, actual: u64) -> Self {
        (self.limit, self.actual) = (Some(limit), Some(actual));
        self
    }

    /// With the time after which trying again makes sense.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// The code.
    pub fn code(&self) -> Code {
        self.code
    }

    /// Cause, in one line.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// The places that are wrong.
    pub fn faults(&self) -> &[Fault] {
        &self.errors
    }

    /// The JSON of it.
    pub(super) fn body(&self, request_id: &str) -> Vec<u8> {
        let body = ProblemBody {
            kind: format!("urn:limpid:problem:{}", self.code.name()),
            title: self.code.title(),
            status: self.code.status(),
            detail: self.detail.clone(),
            instance: format!("urn:limpid:request:{request_id}"),
            code: self.code,
            request_id: request_id.to_owned(),
            errors: self.errors.clone(),
            limit: self.limit,
            actual: self.actual,
            retry_after_ms: self.retry_after.map(|wait| wait.as_millis() as u64),
        };
        // Room for most of them, so that a refusal allocates once.
        let mut text = Vec::with_capacity(512);
        serde_json::to_writer(&mut text, &body).expect("a problem holds only text and numbers");
        text
    }

    /// Writes itself into `reply`, which it came with, once the id of the request is known.
    pub(super) fn write(self, request_id: &str, reply: &mut Response) {
        let body = self.body(request_id);
        self.write_as("application/problem+json", body, reply);
    }

    /// Writes `body`, which says it in another form, with its headers into `reply`.
    pub(super) fn write_as(self, media_type: &'static str, body: Vec<u8>, reply: &mut Response) {
        *reply.body_mut() = body.into();
        let headers = reply.headers_mut();
        headers.remove(CONTENT_LENGTH);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
        headers.extend(self.headers);
        if let Some(wait) = self.retry_after {
            let seconds = wait.as_secs_f64().ceil().max(1.0) as u64;
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status =
            StatusCode::from_u16(self.code.status()).expect("the table of codes holds valid statuses");
        let mut response = status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.code.name(), self.detail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(problem: Problem) -> axum::http::HeaderMap {
        let mut reply = Response::default();
        problem.write("x", &mut reply);
        std::mem::take(reply.headers_mut())
    }

    #[test]
    fn names_in_json_are_those_of_the_table() {
        for code in Code::ALL {
            assert_eq!(serde_json::to_value(code).unwrap(), code.name());
        }
    }

    #[test]
    fn a_place_is_moved_under_its_prefix() {
        let problem = Problem::invalid_at("/1", "ragged").under("/samples/0/data");
        assert_eq!(problem.errors[0].pointer, "/samples/0/data/1");
        let problem = Problem::new(Code::ShapeMismatch, "x").under("/data");
        assert_eq!(problem.errors[0].pointer, "/data");
    }

    #[test]
    fn a_wait_is_rounded_up_to_whole_seconds() {
        let problem = Problem::new(Code::QueueFull, "full").retry_after(Duration::from_millis(1200));
        assert_eq!(headers(problem)["retry-after"], "2");
    }

    #[test]
    fn a_missing_key_is_answered_with_the_scheme() {
        assert!(headers(Problem::new(Code::Unauthorized, "")).contains_key("www-authenticate"));
    }
}
