//! Why a command came to nothing: one line for people, and an exit code.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::api::{ServeError, keys};

/// See the variants; the message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The command line does not make sense (exit code 2).
    #[error("{0}")]
    Usage(String),
    /// Anything else that can be said in one line.
    #[error("{0}")]
    Failed(String),
    /// A file or folder.
    #[error("{path}: {source}")]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The configuration (exit code 2).
    #[error(transparent)]
    Config(#[from] super::config::Error),
    /// The service (exit code 2 where it may not be served without keys).
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// Some of the files could not be used; each was named when it was met.
    #[error("{failed} of {all} files failed, see the lines above")]
    Some {
        /// How many failed.
        failed: usize,
        /// How many there were.
        all: usize,
    },
    /// Stopped by a signal (exit code 130).
    #[error("{0}")]
    Interrupted(String),
    /// The API keys.
    #[error(transparent)]
    Keys(#[from] crate::api::keys::Error),
    /// The models.
    #[error(transparent)]
    Registry(#[from] crate::registry::Error),
    /// The database.
    #[error(transparent)]
    Db(#[from] crate::db::Error),
    /// A backup.
    #[error(transparent)]
    Backup(#[from] crate::store::backup::Error),
    /// One model.
    #[error(transparent)]
    Infer(Box<crate::infer::Error>),
    /// A file's content.
    #[error(transparent)]
    Codec(#[from] crate::codec::Error),
    /// Samples to learn from.
    #[error(transparent)]
    Dataset(#[from] crate::dataset::Error),
    /// Training.
    #[error(transparent)]
    Train(Box<crate::train::Error>),
    /// Standard output is gone: a pipe that has read enough. Not worth a word.
    #[error("standard output is closed")]
    ClosedPipe,
}

impl Error {
    /// 2 where the caller must change the command line or the configuration, 1 otherwise.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Error::Usage(_)
            | Error::Config(_)
            | Error::Serve(ServeError::Exposed(_))
            | Error::Keys(keys::Error::Missing(_) | keys::Error::Locked(_)) => ExitCode::from(2),
            Error::Interrupted(_) => ExitCode::from(130),
            Error::ClosedPipe => ExitCode::SUCCESS,
            _ => ExitCode::FAILURE,
        }
    }

    /// An error of the system about `path`.
    pub fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Error::Io { path, source }
    }
}

// The two are large: boxed, so that a result without an error is small.
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
