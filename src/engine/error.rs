//! Errors of the engine.

use std::time::Duration;

/// Error of the engine; each variant maps to one HTTP response.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The queue is full (`queue_full`).
    #[error("the queue is full; try again in {} s", .retry_after.as_secs_f64().ceil())]
    QueueFull {
        /// Time until there is likely to be room: the queued work divided by the measured speed, 1 to 60 s.
        retry_after: Duration,
    },
    /// One sample needs more than all the memory that samples may use (`payload_too_large`).
    #[error(
        "the sample needs {actual} bytes of working memory, all samples together may have {limit}; send a \
         smaller one, or raise engine.memory_bytes"
    )]
    TooLarge {
        /// Maximum number of bytes.
        limit: usize,
        /// Number of bytes that it needs.
        actual: usize,
    },
    /// One request holds more than all requests may (`payload_too_large`).
    #[error(
        "the request takes {actual} bytes of memory before its work, all requests together may hold {limit}; send a smaller \
         one, or raise engine.queue_bytes"
    )]
    BodyTooLarge {
        /// Maximum number of bytes.
        limit: usize,
        /// Number of bytes that it holds.
        actual: usize,
    },
    /// The computation panicked; other requests are unaffected (`internal`).
    #[error("the computation failed: {0}")]
    Panicked(String),
    /// The deadline of the request passed (`deadline_exceeded`).
    #[error("the deadline passed before the work was done; what was left of it was given up")]
    Deadline,
    /// The service is stopping and accepts no new work (`draining`).
    #[error("the service is stopping; send the request again to another instance, or in a moment")]
    Draining,
    /// The model is not available.
    #[error(transparent)]
    Registry(#[from] crate::registry::Error),
    /// The model cannot do the requested operation.
    #[error(transparent)]
    Infer(#[from] crate::infer::Error),
}

impl Error {
    /// Returns `true` if the model turned out to be damaged.
    pub(super) fn is_damage(&self) -> bool {
        use crate::{infer, registry};
        matches!(
            self,
            Error::Registry(registry::Error::Damaged { .. }) | Error::Infer(infer::Error::Load { .. })
        )
    }

    /// Label of this error in the metrics.
    pub(super) fn outcome(&self) -> &'static str {
        match self {
            Error::QueueFull { .. }
            | Error::TooLarge { .. }
            | Error::BodyTooLarge { .. }
            | Error::Draining => "rejected",
            Error::Deadline => "deadline",
            Error::Infer(crate::infer::Error::Abandoned) => "cancelled",
            Error::Panicked(_) | Error::Registry(_) | Error::Infer(_) => "error",
        }
    }
}
