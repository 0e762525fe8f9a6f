//! Why a model cannot be had or kept.

use std::path::PathBuf;

use crate::db;
use crate::name::{ModelRef, Name};

/// See the variants.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No model has this name.
    #[error("there is no model {0}; GET /models lists those there are")]
    ModelNotFound(Name),
    /// The model has no such version.
    #[error("model {name} has no version {version}; it has {known:?}")]
    VersionNotFound {
        /// The model.
        name: Name,
        /// The version asked for.
        version: u32,
        /// The versions there are.
        known: Vec<u32>,
    },
    /// The model has versions, and none of them serves by default.
    #[error(
        "no version of model {name} serves by default: version {version} was kept back because {reason}; ask for \
         {name}@{version}, or make it the default (PUT /models/{name}/default, limpid models default {name} {version})"
    )]
    NoDefault {
        /// The model.
        name: Name,
        /// Its newest version.
        version: u32,
        /// The reason why that was kept back.
        reason: String,
    },
    /// The artifact is there and cannot be used.
    #[error("model {id} cannot be loaded: {reason}")]
    Damaged {
        /// `name@version`.
        id: String,
        /// What is wrong with it.
        reason: String,
    },
    /// What was sent is no artifact that can be used.
    #[error("{0}")]
    Invalid(String),
    /// Nowhere to write: the registry was opened without a data folder.
    #[error("this registry is read-only; start with --data-dir to keep trained models")]
    ReadOnly,
    /// A bundled version cannot be removed.
    #[error("{0} is bundled and cannot be removed")]
    Bundled(ModelRef),
    /// The model is not as the caller saw it any more.
    #[error("model {0} was changed in the meantime; get it again")]
    Changed(Name),
    /// Whoever publishes has lost the right to: another attempt has the job now.
    #[error("{0}")]
    Lost(String),
    /// The disk said no.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The database said no.
    #[error(transparent)]
    Db(#[from] db::Error),
}

impl db::Failure for Error {
    fn database(&self) -> Option<&db::Error> {
        match self {
            Error::Db(error) => Some(error),
            _ => None,
        }
    }
}

impl Error {
    /// Whether the disk, or the database's, is full.
    pub fn is_disk_full(&self) -> bool {
        match self {
            Error::Io { source, .. } => source.kind() == std::io::ErrorKind::StorageFull,
            Error::Db(db::Error::Full) => true,
            _ => false,
        }
    }
}
