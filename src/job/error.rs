//! Job errors.

use std::time::Duration;

use super::Status;
use crate::db::{self, Failure};

/// Error of a call on jobs; each variant is one HTTP response.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No job has this id (`job_not_found`).
    #[error("there is no job {0:?}; GET /train lists those there are")]
    NotFound(String),
    /// The state of the job does not allow the request (`job_state_conflict`).
    #[error("job {id} is {}; it cannot be {wanted}", .status.as_str())]
    State {
        /// Id of the job.
        id: String,
        /// State of the job.
        status: Status,
        /// Requested change: `cancelled`, `paused`, `resumed`.
        wanted: &'static str,
    },
    /// The key was used for another request (`idempotency_conflict`).
    #[error("Idempotency-Key {0:?} was used for another request before; use a new one for each job")]
    Idempotency(String),
    /// The queue is full, by jobs or by bytes of samples (`queue_full`).
    #[error("the queue of training jobs is full; try again in {} s, or cancel one", .retry_after.as_secs())]
    QueueFull {
        /// Suggested delay before a retry: the remaining time of the running job, 1 to 60 s.
        retry_after: Duration,
    },
    /// The key has as many unfinished jobs as it may have (`queue_full`).
    #[error(
        "this key has {limit} unfinished jobs, jobs.queue_per_key allows no more; wait until one is over, or cancel one"
    )]
    KeyFull {
        /// Limit of unfinished jobs.
        limit: usize,
    },
    /// The samples alone exceed the limit of all jobs together (`payload_too_large`).
    #[error(
        "the samples are {actual} bytes, all jobs together may hold {limit}; send fewer, or raise jobs.queue_bytes"
    )]
    TooLarge {
        /// Limit, bytes.
        limit: u64,
        /// Size of the samples, bytes.
        actual: u64,
    },
    /// The disk is full: new jobs are rejected (`disk_full`).
    #[error("the disk is full; nothing new is taken until there is room")]
    DiskFull,
    /// The service is stopping and rejects new jobs (`draining`).
    #[error("the service is stopping and takes no new jobs")]
    Draining,
    /// The config is invalid, or its base model does not exist.
    #[error(transparent)]
    Train(#[from] crate::train::Error),
    /// A database call failed.
    #[error(transparent)]
    Db(#[from] crate::db::Error),
    /// A file operation of the store failed.
    #[error(transparent)]
    Store(#[from] std::io::Error),
    /// The row is unreadable: written by a newer program, or by hand.
    #[error("job {id} cannot be read: {reason}")]
    Row {
        /// Id of the job.
        id: String,
        /// Description of the problem.
        reason: String,
    },
}

impl Failure for Error {
    fn database(&self) -> Option<&db::Error> {
        match self {
            Error::Db(error) => Some(error),
            Error::Train(crate::train::Error::Registry(error)) => error.database(),
            _ => None,
        }
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Error::Db(error.into())
    }
}
