//! Folders in which a command finds models and stores its results.

use std::path::PathBuf;

use super::kept::Kept;
use super::{Config, Error, open_registry};
use crate::infer::Session;
use crate::name::{ModelRef, Name};
use crate::registry::{Error as Missing, Registry};

/// Folder flags of a command. They repeat the global flags of the same names, to show whether they were given.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Settings of every command")]
pub struct Place {
    /// Folder of models to read and, for train and models, to write to [default: the bundled models and the data folder; trained
    /// models are stored in the data folder].
    #[arg(long, value_name = "DIR")]
    models: Option<PathBuf>,
    /// Folder for trained models and checkpoints [default: data].
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

impl Place {
    /// Opens the models for reading. With `--models` only that folder is used, unless `--data-dir` is given too.
    ///
    /// # Errors
    /// A folder cannot be read.
    pub fn open(&self, config: &Config) -> Result<Registry, Error> {
        match (&self.models, &self.data_dir) {
            (Some(stated), None) => Ok(Registry::open(Some(stated.clone()), None)?),
            (Some(stated), Some(_)) => {
                let trained = config.trained().filter(|folder| folder.is_dir());
                Ok(Registry::open(Some(stated.clone()), trained)?)
            }
            (None, _) => open_registry(config),
        }
    }

    /// Opens the models for writing: the folder given with `--models`, else the data folder with the bundled models. The folder
    /// of the bundled models is never written to, under any name.
    ///
    /// # Errors
    /// A folder cannot be read or created.
    pub fn open_to_write(&self, config: &Config) -> Result<Registry, Error> {
        match self.own_folder(config) {
            Some(stated) => Ok(Registry::open(None, Some(stated.clone()))?),
            None => Kept::open(config)?.map_or_else(|| open_registry(config), |kept| Ok(kept.registry)),
        }
    }

    /// Returns the folder of a published version.
    pub fn published(&self, config: &Config, name: &Name, version: u32) -> PathBuf {
        let root = self.own_folder(config).cloned().or_else(|| config.trained()).unwrap_or_default();
        root.join(name.as_str()).join(version.to_string())
    }

    /// Returns the folder given with `--models`, unless it holds the bundled models: those that serve by default.
    fn own_folder(&self, config: &Config) -> Option<&PathBuf> {
        let usual = [&config.server.gray_model, &config.server.color_model];
        let is_bundled = |folder: &PathBuf| usual.iter().all(|name| folder.join(name.as_str()).is_dir());
        self.models.as_ref().filter(|folder| !is_bundled(folder))
    }

    /// Returns the checkpoint file of a training.
    pub fn checkpoint(&self, config: &Config, name: &Name) -> PathBuf {
        config.models.data_dir.join("checkpoints").join(format!("{name}.safetensors"))
    }
}

/// Loads a model from `registry`.
///
/// # Errors
/// The model does not exist (the message lists those that do), or it is damaged.
pub fn load(registry: &Registry, reference: &ModelRef) -> Result<Session, Error> {
    match registry.read(reference) {
        Ok(artifact) => Ok(Session::load(artifact)?),
        Err(Missing::ModelNotFound(name)) => Err(Error::Failed(missing(registry, &name))),
        Err(other) => Err(other.into()),
    }
}

/// Returns the error message for a model that does not exist.
pub fn missing(registry: &Registry, name: &Name) -> String {
    let known: Vec<String> = registry.list().into_iter().map(|m| m.name.to_string()).collect();
    if known.is_empty() {
        return format!("there is no model {name}, nor any other; say where models are with --models DIR");
    }
    format!("there is no model {name}; there are {}", known.join(", "))
}
