//! Why the engine did not do the work.

use std::time::Duration;

/// See the variants; each is one answer of the HTTP face.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// As much work waits as may wait (`queue_full`).
    #[error("the queue is full; try again in {} s", .retry_after.as_secs_f64().ceil())]
    QueueFull {
        /// When there is likely to be room: the work ahead over the measured speed, 1 to 60 s.
        retry_after: Duration,
    },
    /// One sample needs more than all the memory there is for samples (`payload_too_large`).
    #[error(
        "the sample needs {actual} bytes of working memory, all samples together may have {limit}; send a \
         smaller one, or raise engine.memory_bytes"
    )]
    TooLarge {
        /// Bytes there may be.
        limit: usize,
        /// Bytes it needs.
        actual: usize,
    },
    /// The computation panicked; other requests are not touched (`internal`).
    #[error("the computation failed: {0}")]
    Panicked(String),
    /// The request's own deadline passed (`deadline_exceeded`).
    #[error("the deadline passed before the work was done; what was left of it was given up")]
    Deadline,
    /// The service is stopping and takes no new work (`draining`).
    #[error("the service is stopping; send the request again to another instance, or in a moment")]
    Draining,
    /// The model cannot be had.
    #[error(transparent)]
    Registry(#[from] crate::registry::Error),
    /// The model cannot do what was asked.
    #[error(transparent)]
    Infer(#[from] crate::infer::Error),
}

impl Error {
    /// Whether a model turned out to be damaged.
    pub(super) fn is_damage(&self) -> bool {
        use crate::{infer, registry};
        matches!(
            self,
            Error::Registry(registry::Error::Damaged { .. }) | Error::Infer(infer::Error::Load { .. })
        )
    }

    /// What became of the work, in the words of the metrics.
    pub(super) fn outcome(&self) -> &'static str {
        match self {
            Error::QueueFull { .. } | Error::TooLarge { .. } | Error::Draining => "rejected",
            Error::Deadline => "deadline",
            Error::Infer(crate::infer::Error::Abandoned) => "cancelled",
            Error::Panicked(_) | Error::Registry(_) | Error::Infer(_) => "error",
        }
    }
}
