//! Registry errors.

use std::path::PathBuf;

use crate::db;
use crate::name::{ModelRef, Name};

/// Error of a registry call.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No model has this name.
    #[error("there is no model {0}; GET /models lists those there are")]
    ModelNotFound(Name),
    /// The model does not have this version.
    #[error("model {name} has no version {version}; it has {known:?}")]
    VersionNotFound {
        /// Name of the model.
        name: Name,
        /// Requested version.
        version: u32,
        /// Versions of the model.
        known: Vec<u32>,
    },
    /// The model has versions, but none of them serves by default.
    #[error(
        "no version of model {name} serves by default: version {version} was kept back because {reason}; ask for \
         {name}@{version}, or make it the default (PUT /models/{name}/default, limpid models default {name} {version})"
    )]
    NoDefault {
        /// Name of the model.
        name: Name,
        /// Its newest version.
        version: u32,
        /// Reason why that version was kept back.
        reason: String,
    },
    /// The artifact exists but cannot be used.
    #[error("model {id} cannot be loaded: {reason}")]
    Damaged {
        /// `name@version`.
        id: String,
        /// Description of the damage.
        reason: String,
    },
    /// The version was published, but its files are not in this program's folder yet.
    #[error(
        "model {0} was published, but its files have not reached this machine yet; try again in a moment"
    )]
    Awaited(String),
    /// The folder of trained models is not the one that the database belongs to.
    #[error(
        "{folder} is not the folder of models that this database belongs to: its file {marker} {found}, the database knows \
         {known}. Mount the shared folder there; if this is the shared folder, write {known} into {marker}"
    )]
    Foreign {
        /// Folder of trained models.
        folder: PathBuf,
        /// Name of the marker file.
        marker: &'static str,
        /// State of the marker.
        found: String,
        /// Id that the database knows.
        known: String,
    },
    /// The data sent is not a usable artifact.
    #[error("{0}")]
    Invalid(String),
    /// The registry has no folder to write to: it was opened without a data folder.
    #[error("this registry is read-only; start with --data-dir to keep trained models")]
    ReadOnly,
    /// A bundled version cannot be changed or removed.
    #[error("{0} is bundled and cannot be changed or removed")]
    Bundled(ModelRef),
    /// The model changed since the caller read it.
    #[error("model {0} was changed in the meantime; get it again")]
    Changed(Name),
    /// The publisher's claim is lost: another attempt runs the job now.
    #[error("{0}")]
    Lost(String),
    /// A file operation failed.
    #[error("{path}: {source}")]
    Io {
        /// File or folder.
        path: PathBuf,
        /// Error of the operating system.
        source: std::io::Error,
    },
    /// A database call failed.
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
    /// Returns `true` if the disk of the registry or of the database is full.
    pub fn is_disk_full(&self) -> bool {
        match self {
            Error::Io { source, .. } => source.kind() == std::io::ErrorKind::StorageFull,
            Error::Db(db::Error::Full) => true,
            _ => false,
        }
    }
}
