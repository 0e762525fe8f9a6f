//! Why a job cannot be taken, found or changed.

use std::time::Duration;

use super::Status;
use crate::db::{self, Failure};

/// See the variants; each is one answer of the HTTP face.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No job has this id (`job_not_found`).
    #[error("there is no job {0:?}; GET /train lists those there are")]
    NotFound(String),
    /// What was asked for does not go together with where the job stands (`job_state_conflict`).
    #[error("job {id} is {}; it cannot be {wanted}", .status.as_str())]
    State {
        /// The job.
        id: String,
        /// Where it stands.
        status: Status,
        /// What was asked for: `cancelled`, `paused`, `resumed`.
        wanted: &'static str,
    },
    /// The key was used before, with another body (`idempotency_conflict`).
    #[error("Idempotency-Key {0:?} was used for another request before; use a new one for each job")]
    Idempotency(String),
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
        limit: u64,
        /// Bytes there are.
        actual: u64,
    },
    /// The disk is full: nothing new is taken (`disk_full`).
    #[error("the disk is full; nothing new is taken until there is room")]
    DiskFull,
    /// The service is stopping and takes no new work (`draining`).
    #[error("the service is stopping and takes no new jobs")]
    Draining,
    /// The config cannot be trained on, or its base is not there.
    #[error(transparent)]
    Train(#[from] crate::train::Error),
    /// The database.
    #[error(transparent)]
    Db(#[from] crate::db::Error),
    /// The store.
    #[error(transparent)]
    Store(#[from] std::io::Error),
    /// A row that cannot be read: written by a newer program, or by hand.
    #[error("job {id} cannot be read: {reason}")]
    Row {
        /// The job.
        id: String,
        /// What is wrong.
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
