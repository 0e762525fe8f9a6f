//! Why a job cannot be taken or found.

use std::time::Duration;

/// See the variants; each is one answer of the HTTP face.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No job has this id (`job_not_found`).
    #[error("there is no job {0:?}; GET /train lists those there are")]
    NotFound(String),
    /// As many jobs, or bytes of samples, wait as may wait (`queue_full`).
    #[error("the queue of training jobs is full; try again in {} s, or cancel one", .retry_after.as_secs())]
    QueueFull {
        /// When to try again: the time the running job still needs, 1 to 60 s.
        retry_after: Duration,
    },
    /// The samples alone are more than all jobs may hold (`payload_too_large`).
    #[error(
        "the samples are {actual} bytes, all jobs together may hold {limit}; send fewer, or raise jobs.queue_bytes"
    )]
    TooLarge {
        /// Bytes there may be.
        limit: usize,
        /// Bytes there are.
        actual: usize,
    },
    /// The service is stopping and takes no new work (`draining`).
    #[error("the service is stopping and takes no new jobs")]
    Draining,
    /// The config cannot be trained on, or its base is not there.
    #[error(transparent)]
    Train(#[from] crate::train::Error),
}
