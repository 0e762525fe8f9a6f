//! Codes of failures, the same in replies and in jobs.

use serde::Serialize;
use utoipa::ToSchema;

/// Kind of a failure, from a closed list that clients may branch on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// 400: the request is not what the contract asks for.
    InvalidInput,
    /// 400: extents or channels do not fit the model.
    ShapeMismatch,
    /// 400: a number is NaN, infinite or beyond float32.
    NonFiniteInput,
    /// 401: no key, or one that is not known.
    Unauthorized,
    /// 403: the key lacks the scope.
    Forbidden,
    /// 403: a web page of another origin sends the request.
    CrossOrigin,
    /// 404: no model of this name.
    ModelNotFound,
    /// 404: the model has no such version.
    VersionNotFound,
    /// 404: no job of this id.
    JobNotFound,
    /// 404: no such route.
    NotFound,
    /// 405: the route has other methods, see `Allow`.
    MethodNotAllowed,
    /// 406: none of the accepted media types can be written.
    NotAcceptable,
    /// 409: the job is not in a state for this.
    JobStateConflict,
    /// 409: the latent belongs to other weights.
    LatentModelMismatch,
    /// 412: `If-Match` names an older state.
    PreconditionFailed,
    /// 413: more bytes or numbers than the limit.
    PayloadTooLarge,
    /// 413: more pixels than the limit.
    ImageTooLarge,
    /// 415: the media type, or a feature of the format, is not spoken here.
    UnsupportedMediaType,
    /// 421: the host in the request is none of this service, which has no keys.
    HostNotServed,
    /// 422: the idempotency key was used for another request.
    IdempotencyConflict,
    /// 429: no room now.
    QueueFull,
    /// 429: too many requests of one key.
    RateLimited,
    /// 500: a fault of the service.
    Internal,
    /// 503: still starting.
    NotReady,
    /// 503: about to stop.
    Draining,
    /// 504: the time for the request is over.
    DeadlineExceeded,
    /// 507: no disk space left.
    DiskFull,
}

impl Code {
    /// Every code.
    pub const ALL: [Code; 27] = [
        Code::InvalidInput,
        Code::ShapeMismatch,
        Code::NonFiniteInput,
        Code::Unauthorized,
        Code::Forbidden,
        Code::CrossOrigin,
        Code::ModelNotFound,
        Code::VersionNotFound,
        Code::JobNotFound,
        Code::NotFound,
        Code::MethodNotAllowed,
        Code::NotAcceptable,
        Code::JobStateConflict,
        Code::LatentModelMismatch,
        Code::PreconditionFailed,
        Code::PayloadTooLarge,
        Code::ImageTooLarge,
        Code::UnsupportedMediaType,
        Code::HostNotServed,
        Code::IdempotencyConflict,
        Code::QueueFull,
        Code::RateLimited,
        Code::Internal,
        Code::NotReady,
        Code::Draining,
        Code::DeadlineExceeded,
        Code::DiskFull,
    ];

    /// Name on the wire, status and title of each code, in one table.
    fn row(self) -> (&'static str, u16, &'static str) {
        match self {
            Code::InvalidInput => ("invalid_input", 400, "The request is not valid"),
            Code::ShapeMismatch => ("shape_mismatch", 400, "The shape does not fit"),
            Code::NonFiniteInput => ("non_finite_input", 400, "A number is not finite"),
            Code::Unauthorized => ("unauthorized", 401, "A valid API key is needed"),
            Code::Forbidden => ("forbidden", 403, "The API key may not do this"),
            Code::CrossOrigin => ("cross_origin", 403, "A page of another origin may not do this"),
            Code::ModelNotFound => ("model_not_found", 404, "There is no such model"),
            Code::VersionNotFound => ("version_not_found", 404, "The model has no such version"),
            Code::JobNotFound => ("job_not_found", 404, "There is no such job"),
            Code::NotFound => ("not_found", 404, "There is no such route"),
            Code::MethodNotAllowed => ("method_not_allowed", 405, "The route has no such method"),
            Code::NotAcceptable => ("not_acceptable", 406, "No accepted media type can be written"),
            Code::JobStateConflict => ("job_state_conflict", 409, "The job is not in a state for this"),
            Code::LatentModelMismatch => {
                ("latent_model_mismatch", 409, "The latent belongs to another model")
            }
            Code::PreconditionFailed => ("precondition_failed", 412, "The state has changed"),
            Code::PayloadTooLarge => ("payload_too_large", 413, "The request is too large"),
            Code::ImageTooLarge => ("image_too_large", 413, "The image is too large"),
            Code::UnsupportedMediaType => ("unsupported_media_type", 415, "The media type is not supported"),
            Code::HostNotServed => ("host_not_served", 421, "The host is not served here"),
            Code::IdempotencyConflict => ("idempotency_conflict", 422, "The idempotency key was used before"),
            Code::QueueFull => ("queue_full", 429, "There is no room for this request now"),
            Code::RateLimited => ("rate_limited", 429, "Too many requests"),
            Code::Internal => ("internal", 500, "The service failed"),
            Code::NotReady => ("not_ready", 503, "The service is not ready yet"),
            Code::Draining => ("draining", 503, "The service is about to stop"),
            Code::DeadlineExceeded => ("deadline_exceeded", 504, "The time for the request is over"),
            Code::DiskFull => ("disk_full", 507, "There is no disk space left"),
        }
    }

    /// Name on the wire.
    pub fn name(self) -> &'static str {
        self.row().0
    }

    /// Title for people.
    pub fn title(self) -> &'static str {
        self.row().2
    }

    /// HTTP status.
    pub fn status(self) -> u16 {
        self.row().1
    }
}
