//! Errors of commands: one line for the user, and an exit code.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::api::{ServeError, keys};

/// Error of a command; the message includes advice.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The command line is invalid (exit code 2).
    #[error("{0}")]
    Usage(String),
    /// Any other failure, described in one line.
    #[error("{0}")]
    Failed(String),
    /// A file or folder cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// Path of the file or folder.
        path: PathBuf,
        /// Error of the operating system.
        source: io::Error,
    },
    /// The configuration is invalid (exit code 2).
    #[error(transparent)]
    Config(#[from] super::config::Error),
    /// The service failed (exit code 2 if it must not be served without keys).
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// Some of the files failed; each was reported when it failed.
    #[error("{failed} of {all} files failed, see the lines above")]
    Some {
        /// Number of failed files.
        failed: usize,
        /// Number of all files.
        all: usize,
    },
    /// Stopped by a signal (exit code 130).
    #[error("{0}")]
    Interrupted(String),
    /// The API keys cannot be read or changed.
    #[error(transparent)]
    Keys(#[from] crate::api::keys::Error),
    /// A registry call failed.
    #[error(transparent)]
    Registry(#[from] crate::registry::Error),
    /// A database call failed.
    #[error(transparent)]
    Db(#[from] crate::db::Error),
    /// A backup cannot be written or restored.
    #[error(transparent)]
    Backup(#[from] crate::store::backup::Error),
    /// A model failed.
    #[error(transparent)]
    Infer(Box<crate::infer::Error>),
    /// A file's content cannot be read or written.
    #[error(transparent)]
    Codec(#[from] crate::codec::Error),
    /// The training samples cannot be used.
    #[error(transparent)]
    Dataset(#[from] crate::dataset::Error),
    /// Training failed.
    #[error(transparent)]
    Train(Box<crate::train::Error>),
    /// Standard output is closed, for example by `head`. Not reported.
    #[error("standard output is closed")]
    ClosedPipe,
}

impl Error {
    /// Returns 2 if the command line or the configuration must change, 130 after a signal, 0 for a closed pipe, otherwise 1.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Error::Usage(_)
            | Error::Config(_)
            | Error::Serve(ServeError::Exposed(_))
            | Error::Registry(crate::registry::Error::Foreign { .. })
            | Error::Keys(keys::Error::Missing(_) | keys::Error::Locked(_)) => ExitCode::from(2),
            Error::Interrupted(_) => ExitCode::from(130),
            Error::ClosedPipe => ExitCode::SUCCESS,
            _ => ExitCode::FAILURE,
        }
    }

    /// Wraps an error of the operating system with `path`.
    pub fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Error::Io { path, source }
    }
}

// The two are large: boxed, to keep `Result` small.
impl From<crate::infer::Error> for Error {
    fn from(error: crate::infer::Error) -> Self {
        Error::Infer(Box::new(error))
    }
}

impl From<crate::train::Error> for Error {
    fn from(error: crate::train::Error) -> Self {
        Error::Train(Box::new(error))
    }
}
