//! The registry: names to artifacts, in folders `<name>/<version>/{config.json, model.safetensors, README.md}`.

use std::path::PathBuf;

use crate::name::{ModelId, ModelRef, Name};
use crate::sample::{Kind, Shape};

/// Why a model cannot be had or kept.
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
    /// The artifact is there and cannot be used.
    #[error("model {id} cannot be loaded: {reason}")]
    Damaged {
        /// `name@version`.
        id: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Nowhere to write: the registry was opened without a data folder.
    #[error("this registry is read-only; start with --data-dir to keep trained models")]
    ReadOnly,
    /// A bundled version cannot be removed.
    #[error("{0} is bundled and cannot be removed")]
    Bundled(ModelRef),
    /// The disk said no.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// What a model takes in.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Input {
    /// Image, signal or vector.
    pub kind: Kind,
    /// Channels of an image or signal; 1 for vectors.
    pub channels: usize,
    /// The one shape it takes, for models of fixed shape.
    pub fixed: Option<Shape>,
}

/// A line of a list of models.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Summary {
    /// The model's name.
    pub name: Name,
    /// The version that serves when none is named.
    pub default: u32,
    /// Every usable version, ascending.
    pub versions: Vec<u32>,
    /// Versions that cannot be loaded, with the reason.
    pub quarantined: Vec<(u32, String)>,
    /// What the default version takes in.
    pub input: Input,
}

/// The folders models live in. All calls block on files; none is cheap enough for an async thread.
#[derive(Debug)]
pub struct Registry {}

/// One version, read whole and checked against its digest.
#[derive(Debug)]
pub struct Artifact {
    /// Name, version and digest.
    pub id: ModelId,
    // (the rest is being built)
}

impl Registry {
    /// Opens the bundled models (read-only) and the folder that trained ones are written to.
    ///
    /// # Errors
    /// A folder cannot be read. A damaged version is quarantined, not an error.
    pub fn open(bundled: Option<PathBuf>, writable: Option<PathBuf>) -> Result<Self, Error> {
        let _ = (bundled, writable);
        todo!("being built")
    }

    /// Every model, by name.
    pub fn list(&self) -> Vec<Summary> {
        todo!("being built")
    }

    /// One model.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn get(&self, name: &Name) -> Result<Summary, Error> {
        Err(Error::ModelNotFound(name.clone()))
    }

    /// The version a reference means: the stated one, else the default.
    ///
    /// # Errors
    /// There is no such model or version.
    pub fn resolve(&self, reference: &ModelRef) -> Result<(Name, u32), Error> {
        let _ = reference;
        todo!("being built")
    }

    /// Reads one version and checks it against its digest.
    ///
    /// # Errors
    /// There is none, or it is damaged.
    pub fn read(&self, reference: &ModelRef) -> Result<Artifact, Error> {
        let _ = reference;
        todo!("being built")
    }

    /// The model card (Markdown) and the config (JSON) of one version.
    ///
    /// # Errors
    /// There is no such version.
    pub fn card(&self, reference: &ModelRef) -> Result<(serde_json::Value, String), Error> {
        let _ = reference;
        todo!("being built")
    }

    /// Makes `version` the one that serves when none is named.
    ///
    /// # Errors
    /// There is no such version, or the registry is read-only.
    pub fn set_default(&self, name: &Name, version: u32) -> Result<(), Error> {
        let _ = (name, version);
        todo!("being built")
    }

    /// Removes one trained version; the default moves to the newest of the rest.
    ///
    /// # Errors
    /// There is none, it is bundled, or the registry is read-only.
    pub fn remove(&self, name: &Name, version: u32) -> Result<(), Error> {
        let _ = (name, version);
        todo!("being built")
    }
}
