//! The one table from the errors of lower floors to problems.

use super::error::{Code, Problem};
use crate::{codec, engine, infer, job, registry, train};

impl From<codec::Error> for Problem {
    fn from(error: codec::Error) -> Self {
        let detail = error.to_string();
        match error {
            codec::Error::Unsupported { .. } => Problem::new(Code::UnsupportedMediaType, detail),
            codec::Error::Malformed { .. } => Problem::invalid(detail),
            codec::Error::Json { pointer, reason } => Problem::invalid(reason.clone()).at(pointer, reason),
            codec::Error::TooLarge { what, limit, actual } => {
                let code =
                    if what.starts_with("image") { Code::ImageTooLarge } else { Code::PayloadTooLarge };
                Problem::new(code, detail).over(limit, actual)
            }
            codec::Error::Shape { .. } => Problem::new(Code::ShapeMismatch, detail),
            codec::Error::NonFinite { .. } => Problem::new(Code::NonFiniteInput, detail),
        }
    }
}

impl From<infer::Error> for Problem {
    fn from(error: infer::Error) -> Self {
        let detail = error.to_string();
        match error {
            infer::Error::Shape { .. } => {
                let hint = "leave `model` out to have one chosen by the sample, or see GET /models";
                Problem::new(Code::ShapeMismatch, format!("{detail}; {hint}"))
            }
            infer::Error::Latent { .. } => Problem::new(Code::LatentModelMismatch, detail),
            infer::Error::Parameter { name, reason } => Problem::invalid_at(format!("/{name}"), reason),
            // Whoever gave the work up does not read this.
            infer::Error::Abandoned => Problem::new(Code::DeadlineExceeded, detail),
            infer::Error::Load { .. } | infer::Error::Tensor(_) => Problem::internal(detail),
        }
    }
}

impl From<registry::Error> for Problem {
    fn from(error: registry::Error) -> Self {
        let detail = error.to_string();
        match error {
            registry::Error::ModelNotFound(_) => Problem::new(Code::ModelNotFound, detail),
            registry::Error::VersionNotFound { .. } => Problem::new(Code::VersionNotFound, detail),
            registry::Error::ReadOnly | registry::Error::Bundled(_) => Problem::new(Code::Forbidden, detail),
            registry::Error::Io { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => {
                Problem::new(Code::DiskFull, "there is no disk space left for this")
            }
            registry::Error::Damaged { .. } | registry::Error::Io { .. } => Problem::internal(detail),
        }
    }
}

impl From<engine::Error> for Problem {
    fn from(error: engine::Error) -> Self {
        let detail = error.to_string();
        match error {
            engine::Error::QueueFull { retry_after } => {
                Problem::new(Code::QueueFull, detail).retry_after(retry_after)
            }
            engine::Error::TooLarge { limit, actual } => {
                Problem::new(Code::PayloadTooLarge, detail).over(limit as u64, actual as u64)
            }
            engine::Error::Panicked(cause) => Problem::internal(cause),
            engine::Error::Draining => Problem::new(Code::Draining, detail),
            engine::Error::Registry(error) => error.into(),
            engine::Error::Infer(error) => error.into(),
        }
    }
}

impl From<job::Error> for Problem {
    fn from(error: job::Error) -> Self {
        let detail = error.to_string();
        match error {
            job::Error::NotFound(_) => Problem::new(Code::JobNotFound, detail),
            job::Error::QueueFull { retry_after } => {
                Problem::new(Code::QueueFull, detail).retry_after(retry_after)
            }
            job::Error::TooLarge { limit, actual } => {
                Problem::new(Code::PayloadTooLarge, detail).over(limit as u64, actual as u64)
            }
            job::Error::Draining => Problem::new(Code::Draining, detail),
            job::Error::Train(error) => error.into(),
        }
    }
}

impl From<train::Error> for Problem {
    fn from(error: train::Error) -> Self {
        let detail = error.to_string();
        match error {
            train::Error::Invalid { field, reason } if field == "samples" => {
                Problem::invalid_at("/samples", reason)
            }
            train::Error::Invalid { field, reason } => {
                Problem::invalid_at(format!("/config/{field}"), reason)
            }
            train::Error::Registry(error) => error.into(),
            train::Error::Infer(error) => error.into(),
            _ => Problem::internal(detail),
        }
    }
}
