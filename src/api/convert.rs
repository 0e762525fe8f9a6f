//! The one table from the errors of lower floors to problems.

use std::time::Duration;

use super::error::{Code, Problem};
use crate::{codec, db, engine, infer, job, media, registry, train};

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
            codec::Error::Unsure { .. } => Problem::invalid_at("/layout", detail),
            codec::Error::NonFinite { .. } | codec::Error::AllMissing { .. } => {
                Problem::new(Code::NonFiniteInput, detail)
            }
            codec::Error::Inexact { .. } => Problem::invalid(detail),
        }
    }
}

impl From<media::Error> for Problem {
    fn from(error: media::Error) -> Self {
        let detail = error.to_string();
        match error {
            media::Error::Codec(error) => error.into(),
            media::Error::Several { .. }
            | media::Error::Kind { .. }
            | media::Error::Gaps { .. }
            | media::Error::Opacity(_) => Problem::new(Code::NotAcceptable, detail),
            media::Error::Depth { .. } | media::Error::Bits(_) => Problem::invalid_at("/depth", detail),
            media::Error::Range { .. } => Problem::invalid_at("/format", detail),
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
            infer::Error::Range { .. } => Problem::new(Code::NonFiniteInput, detail),
            // The client that cancelled the work does not read this.
            infer::Error::Abandoned => Problem::new(Code::DeadlineExceeded, detail),
            infer::Error::Load { .. } | infer::Error::Tensor(_) => Problem::internal(detail),
        }
    }
}

impl From<registry::Unsure> for Problem {
    fn from(unsure: registry::Unsure) -> Self {
        let detail = unsure.to_string();
        match unsure {
            registry::Unsure::Nothing(_) => Problem::new(Code::ModelNotFound, detail),
            registry::Unsure::Question { .. } => Problem::invalid_at("/model", detail),
        }
    }
}

impl From<registry::Error> for Problem {
    fn from(error: registry::Error) -> Self {
        let detail = error.to_string();
        match error {
            registry::Error::ModelNotFound(_) => Problem::new(Code::ModelNotFound, detail),
            registry::Error::VersionNotFound { .. } | registry::Error::NoDefault { .. } => {
                Problem::new(Code::VersionNotFound, detail)
            }
            registry::Error::ReadOnly | registry::Error::Bundled(_) => Problem::new(Code::Forbidden, detail),
            registry::Error::Invalid(_) => Problem::invalid(detail),
            registry::Error::Changed(_) => Problem::new(Code::PreconditionFailed, detail),
            registry::Error::Io { source, .. } => source.into(),
            registry::Error::Db(error) => error.into(),
            registry::Error::Awaited(_) => {
                Problem::new(Code::NotReady, detail).retry_after(Duration::from_secs(2))
            }
            registry::Error::Foreign { .. } => {
                tracing::error!(%detail);
                let detail = "the service's data folder is not the one of its database";
                Problem::new(Code::NotReady, detail).retry_after(Duration::from_secs(60))
            }
            registry::Error::Damaged { .. } | registry::Error::Lost(_) => Problem::internal(detail),
        }
    }
}

impl From<registry::ProfileError> for Problem {
    fn from(error: registry::ProfileError) -> Self {
        match error {
            registry::ProfileError::Io { source, .. } => source.into(),
            registry::ProfileError::Damaged { .. } => Problem::internal(error),
        }
    }
}

impl From<registry::IndexError> for Problem {
    fn from(error: registry::IndexError) -> Self {
        use crate::index::Error;
        let detail = error.to_string();
        match error {
            registry::IndexError::Io { source, .. } => source.into(),
            registry::IndexError::Index(Error::Damaged(_)) => Problem::internal(detail),
            registry::IndexError::Index(Error::Digest { .. }) => {
                Problem::new(Code::LatentModelMismatch, detail)
            }
            registry::IndexError::Index(Error::Full(bytes)) => Problem::new(Code::PayloadTooLarge, detail)
                .over(crate::index::MOST_BYTES as u64, bytes as u64),
            registry::IndexError::Index(Error::Numbers { .. }) => Problem::new(Code::ShapeMismatch, detail),
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
            engine::Error::TooLarge { limit, actual } | engine::Error::BodyTooLarge { limit, actual } => {
                Problem::new(Code::PayloadTooLarge, detail).over(limit as u64, actual as u64)
            }
            engine::Error::Panicked(cause) => Problem::internal(cause),
            engine::Error::Deadline => Problem::new(Code::DeadlineExceeded, detail),
            engine::Error::Draining => Problem::new(Code::Draining, detail),
            engine::Error::Registry(error) => error.into(),
            engine::Error::Infer(error) => error.into(),
        }
    }
}

impl From<std::io::Error> for Problem {
    fn from(error: std::io::Error) -> Self {
        use std::io::ErrorKind::{QuotaExceeded, StorageFull};
        match error.kind() {
            StorageFull | QuotaExceeded => Problem::disk_full(),
            _ => Problem::internal(error),
        }
    }
}

impl From<db::Error> for Problem {
    fn from(error: db::Error) -> Self {
        match error {
            db::Error::Full => Problem::disk_full(),
            db::Error::Busy(_) | db::Error::Gone(_) => {
                tracing::error!(%error, "the database is out of reach");
                let detail = "the database is out of reach; models that are loaded continue to serve";
                Problem::new(Code::NotReady, detail).retry_after(Duration::from_secs(5))
            }
            db::Error::Io(_) => {
                tracing::error!(%error, "the database cannot be written");
                let detail = "the disk of the database failed: nothing new can be kept for now; models that are loaded continue to serve";
                Problem::new(Code::NotReady, detail).retry_after(Duration::from_secs(5))
            }
            error => Problem::internal(error),
        }
    }
}

impl From<job::Error> for Problem {
    fn from(error: job::Error) -> Self {
        let detail = error.to_string();
        match error {
            job::Error::NotFound(_) => Problem::new(Code::JobNotFound, detail),
            job::Error::State { .. } => Problem::new(Code::JobStateConflict, detail),
            job::Error::Idempotency(_) => Problem::new(Code::IdempotencyConflict, detail),
            job::Error::KeyFull { limit } => Problem::new(Code::QueueFull, detail)
                .over(limit as u64, limit as u64 + 1)
                .retry_after(Duration::from_secs(60)),
            job::Error::QueueFull { retry_after } => {
                Problem::new(Code::QueueFull, detail).retry_after(retry_after)
            }
            job::Error::TooLarge { limit, actual } => {
                Problem::new(Code::PayloadTooLarge, detail).over(limit, actual)
            }
            job::Error::Draining => Problem::new(Code::Draining, detail),
            job::Error::DiskFull => Problem::disk_full(),
            job::Error::Train(error) => error.into(),
            job::Error::Db(error) => error.into(),
            job::Error::Store(error) => error.into(),
            job::Error::Row { .. } => Problem::internal(detail),
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
