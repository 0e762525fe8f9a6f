//! Open Inference Protocol v2 with the extensions for binary tensors, the model repository, statistics and schedule policy.
//!
//! Each model has two names: its own, from a sample to `denoised` and `latent`, and `NAME.decoder`, from a latent to `denoised`.
//! A latent is a tensor of type BYTES, each element the bytes of a latent file, so that it survives bit for bit.

mod body;
mod call;
mod config;
mod encoding;
mod error;
mod health;
mod infer;
mod input;
mod metadata;
mod model;
mod parameters;
mod reply;
mod repository;
mod request;
mod server;
mod statistics;
mod tensor;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) use error::{ErrorBody, write as write_error};

use super::state::App;

/// Header with the length of the JSON in front of binary tensors, in bytes.
pub(super) const HEADER_LENGTH: &str = "inference-header-content-length";

/// Returns `true` for paths of the protocol, whose failures have its own form.
pub(super) fn has_path(path: &str) -> bool {
    path == "/v2" || path.starts_with("/v2/")
}

/// Routes that ask for no key.
pub(super) fn open() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(health::live)).routes(routes!(health::ready))
}

/// Routes that need a key with the scope `infer`.
pub(super) fn infer() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(server::server))
        .routes(routes!(metadata::list))
        .routes(routes!(metadata::model))
        .routes(routes!(metadata::version))
        .routes(routes!(metadata::model_ready))
        .routes(routes!(metadata::version_ready))
        .routes(routes!(config::model))
        .routes(routes!(config::version))
        .routes(routes!(infer::model))
        .routes(routes!(infer::version))
        .routes(routes!(statistics::all))
        .routes(routes!(statistics::model))
        .routes(routes!(statistics::version))
        .routes(routes!(repository::index))
        .routes(routes!(repository::load))
}

/// Routes that need a key with the scope `admin`.
pub(super) fn admin() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(repository::unload))
}
