//! The registry: names to artifacts, in folders `<name>/<version>/`.
//!
//! Two folders are laid over each other: the bundled models, which are only read, and the data
//! folder, which trained versions are written to. Which versions there are and which one serves when none
//! is named is told by the database, for all programs that share it; without a database, by the folders
//! and by a file `<name>/default`. A version never changes, and its number is never given twice.

mod artifact;
pub mod bundle;
mod choice;
mod draft;
mod entry;
mod error;
mod manifest;
mod open;
mod publish;
mod rows;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

pub use artifact::Artifact;
pub use choice::Unsure;
pub use error::Error;
pub use manifest::{FORMAT, Familiarity, Manifest};
pub use publish::{Claim, Published};

use entry::{Models, Version};

use crate::db::Db;
use crate::name::{ModelRef, Name};
use crate::nn::model;
pub use crate::sample::Spec as Input;

/// What calls of this module give.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A line of a list of models.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Summary {
    /// The model's name.
    pub name: Name,
    /// The version that serves when none is named; none where all were kept back.
    pub default: Option<u32>,
    /// Every usable version, ascending.
    pub versions: Vec<u32>,
    /// Versions that cannot be loaded, with the reason.
    pub quarantined: Vec<(u32, String)>,
    /// Versions that serve only where they are named or made the default, with the reason.
    pub kept_back: Vec<(u32, String)>,
    /// Grows with every change of the model; 0 where none was ever made.
    pub revision: i64,
    /// What the default version takes in, or the newest where there is none.
    pub input: Input,
    /// Whether a version of it came with this program.
    #[serde(skip)]
    pub is_bundled: bool,
}

/// A trained model before it has a version.
#[derive(Debug, Clone)]
pub struct Draft {
    /// The name it becomes a version of.
    pub name: Name,
    /// What the network is built from.
    pub model: model::Config,
    /// The bytes of the safetensors file.
    pub weights: Vec<u8>,
    /// How it was made.
    pub training: serde_json::Value,
    /// Scores on held-out samples.
    pub scores: serde_json::Value,
    /// What is typical of the training data.
    pub familiarity: Option<Familiarity>,
    /// The reason why it must not serve unless it is named; none where it may.
    pub kept_back: Option<String>,
    /// The default version that it was compared with; none where there was none.
    pub compared_with: Option<u32>,
    /// The model card, Markdown; `{version}` in it becomes the version.
    pub card: String,
}

impl Draft {
    /// SHA-256 of its weights, hexadecimal.
    pub fn sha256(&self) -> String {
        artifact::digest(&self.weights)
    }
}

/// The folders models live in; clones share them. All calls may block on files and on the database.
#[derive(Debug, Clone)]
pub struct Registry {
    shared: Arc<Shared>,
    /// Settled by what is published.
    claim: Option<Arc<dyn Claim>>,
}

#[derive(Debug)]
struct Shared {
    bundled: Models,
    writable: Option<PathBuf>,
    rows: Option<Db>,
    view: RwLock<View>,
    /// Held while this program publishes.
    turn: Mutex<()>,
}

/// What was known when the rows were read last.
#[derive(Debug, Default)]
struct View {
    models: Models,
    generation: i64,
    /// Versions that turned out to be damaged when they were read, with the reason.
    damaged: BTreeMap<(Name, u32), String>,
}

impl Registry {
    /// Whether trained models can be kept.
    pub fn is_writable(&self) -> bool {
        self.shared.writable.is_some()
    }

    /// Every model with a usable version, by name.
    pub fn list(&self) -> Vec<Summary> {
        self.view().models.iter().filter_map(|(name, entry)| entry.summary(name)).collect()
    }

    /// Every version that cannot be used, as `name@version` with the reason.
    pub fn quarantined(&self) -> Vec<(String, String)> {
        let view = self.view();
        let of = |(name, entry): (&Name, &entry::Entry)| {
            let line = |(v, reason): (&u32, &String)| (format!("{name}@{v}"), reason.clone());
            entry.quarantined.iter().map(line).collect::<Vec<_>>()
        };
        view.models.iter().flat_map(of).collect()
    }

    /// One model.
    ///
    /// # Errors
    /// There is no usable version of that name.
    pub fn get(&self, name: &Name) -> Result<Summary> {
        let summary = self.view().models.get(name).and_then(|entry| entry.summary(name));
        summary.ok_or_else(|| Error::ModelNotFound(name.clone()))
    }

    /// The version a reference means: the stated one, else the default.
    ///
    /// # Errors
    /// There is no such model or version, or the stated version is quarantined.
    pub fn resolve(&self, reference: &ModelRef) -> Result<(Name, u32)> {
        let (version, _) = self.find(reference)?;
        Ok((reference.name.clone(), version))
    }

    /// Reads one version and checks it against its digest.
    ///
    /// # Errors
    /// There is none, or it is damaged.
    pub fn read(&self, reference: &ModelRef) -> Result<Artifact> {
        let (number, version) = self.find(reference)?;
        let damaged = |reason| Error::Damaged { id: format!("{}@{number}", reference.name), reason };
        Artifact::read(&version.folder, &reference.name, number).map_err(damaged)
    }

    /// The config and the model card of one version.
    ///
    /// # Errors
    /// There is no such version, or its config is damaged.
    pub fn card(&self, reference: &ModelRef) -> Result<(Manifest, String)> {
        let (number, version) = self.find(reference)?;
        let damaged = |reason| Error::Damaged { id: format!("{}@{number}", reference.name), reason };
        let manifest = Artifact::manifest(&version.folder, &reference.name, number).map_err(damaged)?;
        Ok((manifest, Artifact::card(&version.folder)))
    }

    /// The version of `name` with weights of this SHA-256, where there is one.
    pub fn find_content(&self, name: &Name, sha256: &str) -> Option<u32> {
        let view = self.view();
        let versions = &view.models.get(name)?.versions;
        versions.iter().find(|(_, version)| version.sha256 == sha256).map(|(number, _)| *number)
    }

    /// Takes a version that turned out to be damaged out of service: the one before it serves.
    pub fn quarantine(&self, name: &Name, version: u32, reason: String) {
        tracing::error!(model = %name, version, %reason, "version is quarantined");
        let mut view = self.view_mut();
        view.damaged.insert((name.clone(), version), reason.clone());
        if let Some(entry) = view.models.get_mut(name) {
            entry.quarantine(version, reason);
        }
    }

    /// Reads every trained version (or those of one name) whole and checks it; gives back those that were
    /// damaged and are well again. For a thread that has time.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn check(&self, only: Option<&Name>) -> Result<()> {
        let is_meant = |name: &Name| only.is_none_or(|only| only == name);
        let damaged = self.view().damaged.len();
        self.view_mut().damaged.retain(|(name, _), _| !is_meant(name));
        if self.view().damaged.len() < damaged {
            self.refresh_all()?;
        }
        let versions: Vec<(Name, u32, Version)> = {
            let view = self.view();
            let of = |(name, entry): (&Name, &entry::Entry)| {
                let own = entry.versions.iter().filter(|(_, version)| !version.is_bundled);
                own.map(|(number, version)| (name.clone(), *number, version.clone())).collect::<Vec<_>>()
            };
            view.models.iter().filter(|(name, _)| is_meant(name)).flat_map(of).collect()
        };
        for (name, number, version) in versions {
            let artifact = Artifact::read(&version.folder, &name, number);
            let checked = artifact.and_then(|a| artifact::verify(&a.manifest.model, &a.weights));
            // One that was removed in the meantime is not damaged.
            if let Err(reason) = checked
                && version.folder.exists()
            {
                self.quarantine(&name, number, reason);
            }
        }
        Ok(())
    }

    fn find(&self, reference: &ModelRef) -> Result<(u32, Version)> {
        let view = self.view();
        let missing = || Error::ModelNotFound(reference.name.clone());
        let entry = view.models.get(&reference.name).ok_or_else(missing)?;
        let number = match reference.version {
            Some(version) => version,
            None => entry.serving().ok_or_else(|| match entry.newest() {
                Some((version, newest)) => Error::NoDefault {
                    name: reference.name.clone(),
                    version,
                    reason: newest.kept_back.clone().unwrap_or_default(),
                },
                None => missing(),
            })?,
        };
        if let Some(reason) = entry.quarantined.get(&number) {
            let id = format!("{}@{number}", reference.name);
            return Err(Error::Damaged { id, reason: reason.clone() });
        }
        let version = entry.versions.get(&number).cloned();
        let known = || entry.versions.keys().copied().collect();
        let version = version.ok_or_else(|| Error::VersionNotFound {
            name: reference.name.clone(),
            version: number,
            known: known(),
        })?;
        Ok((number, version))
    }

    fn view(&self) -> RwLockReadGuard<'_, View> {
        // Changes are single steps that do not panic: whole even if poisoned.
        self.shared.view.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn view_mut(&self) -> RwLockWriteGuard<'_, View> {
        self.shared.view.write().unwrap_or_else(PoisonError::into_inner)
    }
}
