//! Facts about the service: `/limits`, `/version`, the contract and the pages.

use std::sync::LazyLock;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use utoipa::ToSchema;

use super::contract::Failures;
use super::state::App;
use crate::limits::Limits;

/// Limits of a request.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LimitsReply {
    /// Sizes, in bytes, pixels, numbers and counts.
    #[serde(flatten)]
    limits: Limits,
    /// Seconds for the body of a request.
    body_seconds: u64,
    /// Seconds for the body of an upload to `/train`.
    upload_seconds: u64,
    /// Seconds for the whole request.
    request_seconds: u64,
}

/// Name and version of the program.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Version {
    /// Name of the program.
    #[schema(example = "limpid")]
    name: &'static str,
    /// Version of the program.
    #[schema(example = "0.1.0")]
    version: &'static str,
}

/// The limits.
#[utoipa::path(get, path = "/limits", tag = "about", responses(
    (status = 200, description = "All limits.", body = LimitsReply), Failures,
))]
pub(super) async fn limits(State(app): State<App>) -> Json<LimitsReply> {
    let config = app.config();
    Json(LimitsReply {
        limits: app.limits().clone(),
        body_seconds: config.body_seconds,
        upload_seconds: config.upload_seconds,
        request_seconds: config.request_seconds,
    })
}

/// The version.
#[utoipa::path(get, path = "/version", tag = "about", responses(
    (status = 200, description = "Name and version of the program.", body = Version), Failures,
))]
pub(super) async fn version() -> Json<Version> {
    Json(Version { name: env!("CARGO_PKG_NAME"), version: env!("CARGO_PKG_VERSION") })
}

/// This contract as YAML.
#[utoipa::path(get, path = "/openapi.yaml", tag = "about", responses(
    (status = 200, description = "OpenAPI 3.1.", content_type = "application/yaml", body = String), Failures,
))]
pub(super) async fn openapi_yaml() -> Response {
    static TEXT: LazyLock<String> = LazyLock::new(super::openapi_yaml);
    ([(CONTENT_TYPE, "application/yaml")], TEXT.as_str()).into_response()
}

/// This contract as JSON.
#[utoipa::path(get, path = "/openapi.json", tag = "about", responses(
    (status = 200, description = "OpenAPI 3.1.", content_type = "application/json", body = Object), Failures,
))]
pub(super) async fn openapi_json() -> Response {
    static TEXT: LazyLock<String> = LazyLock::new(|| {
        super::openapi().to_json().expect("the contract holds only text, numbers and lists")
    });
    ([(CONTENT_TYPE, "application/json")], TEXT.as_str()).into_response()
}

/// A page to try the service with.
#[utoipa::path(get, path = "/", tag = "about", security(()), responses(
    (status = 200, description = "HTML.", content_type = "text/html", body = String),
))]
pub(super) async fn index() -> Response {
    static PAGE: LazyLock<Page> = LazyLock::new(|| Page::new(include_str!("page/index.html")));
    PAGE.respond()
}

/// A page that shows this contract.
#[utoipa::path(get, path = "/docs", tag = "about", security(()), responses(
    (status = 200, description = "HTML.", content_type = "text/html", body = String),
))]
pub(super) async fn docs() -> Response {
    static PAGE: LazyLock<Page> = LazyLock::new(|| Page::new(include_str!("page/docs.html")));
    PAGE.respond()
}

/// A self-contained page with the policy that lets its own script and style run and nothing else.
struct Page {
    html: &'static str,
    policy: HeaderValue,
}

impl Page {
    fn new(html: &'static str) -> Self {
        let policy = format!(
            "default-src 'none'; script-src {}; style-src {}; img-src 'self' blob: data:; connect-src 'self'; \
             base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
            digest(html, "script"),
            digest(html, "style"),
        );
        Self { html, policy: HeaderValue::try_from(policy).expect("the policy is plain text") }
    }

    fn respond(&self) -> Response {
        let headers = [
            (CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
            (CONTENT_SECURITY_POLICY, self.policy.clone()),
            (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        ];
        (headers, self.html).into_response()
    }
}

/// The CSP source of the one element of this name: the digest of what stands in it.
fn digest(html: &str, element: &str) -> String {
    let (open, close) = (format!("<{element}>"), format!("</{element}>"));
    let inside = html.split_once(&open).and_then(|(_, rest)| rest.split_once(&close));
    let (inside, _) = inside.expect("the page has the element");
    format!("'sha256-{}'", STANDARD.encode(Sha256::digest(inside.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_allows_no_inline_code_but_the_pages_own() {
        for html in [include_str!("page/index.html"), include_str!("page/docs.html")] {
            let policy = Page::new(html).policy;
            let policy = policy.to_str().unwrap();
            assert!(!policy.contains("unsafe") && policy.matches("sha256-").count() == 2, "{policy}");
            let inline = [" onclick=", " onload=", " style=", "<script src", "http://", "https://"];
            assert!(inline.iter().all(|what| !html.contains(what)), "the policy would block it");
            assert_eq!(html.matches("<script").count(), 1);
        }
    }
}
