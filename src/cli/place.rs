//! Places: where a command finds models and keeps what it makes.

use std::path::PathBuf;

use super::kept::Kept;
use super::{Config, Error, open_registry};
use crate::infer::Session;
use crate::name::{ModelRef, Name};
use crate::registry::{Error as Missing, Registry};

/// The folders of a command. These are the flags of every command under the same names: what matters here
/// is whether they were given.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Settings of every command")]
pub struct Place {
    /// Folder of models, read from and, by train and models, written to [default: the bundled models and
    /// those in the data folder; trained ones are kept in the data folder].
    #[arg(long, value_name = "DIR")]
    models: Option<PathBuf>,
    /// The folder for all that is kept: trained models, checkpoints [default: data].
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

impl Place {
    /// The models, to read. A folder given with `--models` is all there is, unless `--data-dir` is given too.
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

    /// The models, to write: the folder given with `--models`, else the data folder over the bundled models. The
    /// folder of the bundled models is never written to, by whatever name it is given.
    ///
    /// # Errors
    /// A folder cannot be read or made.
    pub fn open_to_write(&self, config: &Config) -> Result<Registry, Error> {
        match self.own_folder(config) {
            Some(stated) => Ok(Registry::open(None, Some(stated.clone()))?),
            None => Kept::open(config)?.map_or_else(|| open_registry(config), |kept| Ok(kept.registry)),
        }
    }

    /// The folder of one published version.
    pub fn published(&self, config: &Config, name: &Name, version: u32) -> PathBuf {
        let root = self.own_folder(config).cloned().or_else(|| config.trained()).unwrap_or_default();
        root.join(name.as_str()).join(version.to_string())
    }

    /// The folder given with `--models`, unless it holds the bundled models: those that serve where none is named.
    fn own_folder(&self, config: &Config) -> Option<&PathBuf> {
        let usual = [&config.server.gray_model, &config.server.color_model];
        let is_bundled = |folder: &PathBuf| usual.iter().all(|name| folder.join(name.as_str()).is_dir());
        self.models.as_ref().filter(|folder| !is_bundled(folder))
    }

    /// The file that training keeps its state in.
    pub fn checkpoint(&self, config: &Config, name: &Name) -> PathBuf {
        config.models.data_dir.join("checkpoints").join(format!("{name}.safetensors"))
    }
}

/// The model of a name, loaded from `registry`.
///
/// # Errors
/// There is none, with the names there are, or it is damaged.
pub fn load(registry: &Registry, reference: &ModelRef) -> Result<Session, Error> {
    match registry.read(reference) {
        Ok(artifact) => Ok(Session::load(artifact)?),
        Err(Missing::ModelNotFound(name)) => Err(Error::Failed(missing(registry, &name))),
        Err(other) => Err(other.into()),
    }
}

/// A line for a model that is not there.
pub fn missing(registry: &Registry, name: &Name) -> String {
    let known: Vec<String> = registry.list().into_iter().map(|m| m.name.to_string()).collect();
    if known.is_empty() {
        return format!("there is no model {name}, nor any other; say where models are with --models DIR");
    }
    format!("there is no model {name}; there are {}", known.join(", "))
}
