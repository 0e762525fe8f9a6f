//! The registry: names to artifacts, in folders `<name>/<version>/`.
//!
//! Two folders are laid over each other: the bundled models, which are only read, and the data
//! folder, which trained versions are written to. A file `<name>/default` there holds the version that
//! serves when none is named; without it the newest one does.

mod artifact;
mod manifest;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

pub use artifact::Artifact;
pub use manifest::{FORMAT, Familiarity, Manifest};

use crate::name::{ModelId, ModelRef, Name};
use crate::nn::model;
use crate::sample::{Kind, Shape};

/// What calls of this module give.
pub type Result<T, E = Error> = std::result::Result<T, E>;

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
    /// The model card, Markdown; `{version}` in it becomes the version.
    pub card: String,
}

/// The folders models live in. All calls may block on files.
#[derive(Debug)]
pub struct Registry {
    writable: Option<PathBuf>,
    models: RwLock<BTreeMap<Name, Entry>>,
}

/// What is known of one name.
#[derive(Debug, Default, Clone)]
struct Entry {
    versions: BTreeMap<u32, Version>,
    quarantined: BTreeMap<u32, String>,
    /// The stated default; the newest version serves without it.
    default: Option<u32>,
}

#[derive(Debug, Clone)]
struct Version {
    folder: PathBuf,
    input: Input,
    is_bundled: bool,
}

impl Registry {
    /// Opens the bundled models (read-only) and the folder that trained ones are written to.
    ///
    /// # Errors
    /// A folder cannot be read or made. A damaged version is quarantined, not an error.
    pub fn open(bundled: Option<PathBuf>, writable: Option<PathBuf>) -> Result<Self> {
        let mut models = BTreeMap::new();
        if let Some(root) = bundled.filter(|b| Some(b) != writable.as_ref()) {
            scan(&root, true, &mut models)?;
        }
        if let Some(root) = &writable {
            fs::create_dir_all(root).map_err(|source| Error::Io { path: root.clone(), source })?;
            scan(root, false, &mut models)?;
        }
        Ok(Self { writable, models: RwLock::new(models) })
    }

    /// Whether trained models can be kept.
    pub fn is_writable(&self) -> bool {
        self.writable.is_some()
    }

    /// Every model with a usable version, by name.
    pub fn list(&self) -> Vec<Summary> {
        let models = self.models();
        models.iter().filter_map(|(name, entry)| entry.summary(name)).collect()
    }

    /// Every version that cannot be used, as `name@version` with the reason.
    pub fn quarantined(&self) -> Vec<(String, String)> {
        let of = |(name, entry): (&Name, &Entry)| {
            let line = |(v, reason): (&u32, &String)| (format!("{name}@{v}"), reason.clone());
            entry.quarantined.iter().map(line).collect::<Vec<_>>()
        };
        self.models().iter().flat_map(of).collect()
    }

    /// One model.
    ///
    /// # Errors
    /// There is no usable version of that name.
    pub fn get(&self, name: &Name) -> Result<Summary> {
        let summary = self.models().get(name).and_then(|entry| entry.summary(name));
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

    /// Keeps a trained model as the next version of its name. It serves at once if `promote` says so
    /// or if it is the first of its name; otherwise the version that served before goes on.
    ///
    /// # Errors
    /// The registry is read-only, or the disk said no; nothing half-written is left in its place.
    pub fn publish(&self, draft: Draft, promote: bool) -> Result<ModelId> {
        let root = self.writable.as_ref().ok_or(Error::ReadOnly)?;
        let home = root.join(draft.name.as_str());
        fs::create_dir_all(&home).map_err(|source| Error::Io { path: home.clone(), source })?;
        // Held until the version is in place, so that two publications cannot take one number.
        let mut models = self.models.write().unwrap_or_else(PoisonError::into_inner);
        let entry = models.entry(draft.name.clone()).or_default();
        let last = entry.versions.keys().chain(entry.quarantined.keys()).max();
        let number = last.map_or(1, |v| v + 1);

        let weights =
            manifest::Weights { bytes: draft.weights.len() as u64, sha256: artifact::digest(&draft.weights) };
        let manifest = Manifest {
            format: FORMAT,
            name: draft.name.clone(),
            version: number,
            model: draft.model,
            weights,
            training: draft.training,
            scores: draft.scores,
            familiarity: draft.familiarity,
        };
        let folder = home.join(number.to_string());
        let card = draft.card.replace("{version}", &number.to_string());
        if let Some(served) = entry.serving().filter(|_| !promote) {
            write_default(&home, served)?;
            entry.default = Some(served);
        }
        Artifact::write(&folder, &manifest, &draft.weights, &card)?;

        entry
            .versions
            .insert(number, Version { folder: folder.clone(), input: manifest.input(), is_bundled: false });
        if promote && entry.default.is_some() {
            write_default(&home, number)?;
            entry.default = Some(number);
        }
        drop(models);
        Ok(self.read(&ModelRef { name: draft.name, version: Some(number) })?.id)
    }

    /// Makes `version` the one that serves when none is named.
    ///
    /// # Errors
    /// There is no such version, or the registry is read-only.
    pub fn set_default(&self, name: &Name, version: u32) -> Result<()> {
        let root = self.writable.as_ref().ok_or(Error::ReadOnly)?;
        self.find(&ModelRef { name: name.clone(), version: Some(version) })?;
        let home = root.join(name.as_str());
        fs::create_dir_all(&home).map_err(|source| Error::Io { path: home.clone(), source })?;
        let mut models = self.models.write().unwrap_or_else(PoisonError::into_inner);
        write_default(&home, version)?;
        models.entry(name.clone()).or_default().default = Some(version);
        Ok(())
    }

    /// Removes one trained version; where it was the default, the newest of the rest serves.
    ///
    /// # Errors
    /// There is none, it is bundled, or the registry is read-only.
    pub fn remove(&self, name: &Name, version: u32) -> Result<()> {
        let root = self.writable.as_ref().ok_or(Error::ReadOnly)?;
        let reference = ModelRef { name: name.clone(), version: Some(version) };
        let (_, found) = self.find(&reference)?;
        if found.is_bundled {
            return Err(Error::Bundled(reference));
        }
        let mut models = self.models.write().unwrap_or_else(PoisonError::into_inner);
        let Some(entry) = models.get_mut(name) else { return Ok(()) };
        // Renamed first: a version that is half deleted must not be found again.
        let gone = found.folder.with_file_name(format!(".{version}.removed"));
        fs::rename(&found.folder, &gone)
            .and_then(|()| fs::remove_dir_all(&gone))
            .map_err(|source| Error::Io { path: found.folder, source })?;
        entry.versions.remove(&version);
        if entry.default == Some(version) {
            entry.default = None;
            let _ = fs::remove_file(root.join(name.as_str()).join("default"));
        }
        if entry.versions.is_empty() && entry.quarantined.is_empty() {
            models.remove(name);
        }
        Ok(())
    }

    fn find(&self, reference: &ModelRef) -> Result<(u32, Version)> {
        let models = self.models();
        let missing = || Error::ModelNotFound(reference.name.clone());
        let entry = models.get(&reference.name).ok_or_else(missing)?;
        let number = match reference.version {
            Some(version) => version,
            None => entry.serving().ok_or_else(missing)?,
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

    fn models(&self) -> std::sync::RwLockReadGuard<'_, BTreeMap<Name, Entry>> {
        self.models.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn serving(&self) -> Option<u32> {
        let stated = self.default.filter(|v| self.versions.contains_key(v));
        stated.or_else(|| self.versions.keys().next_back().copied())
    }

    fn summary(&self, name: &Name) -> Option<Summary> {
        let default = self.serving()?;
        Some(Summary {
            name: name.clone(),
            default,
            versions: self.versions.keys().copied().collect(),
            quarantined: self.quarantined.iter().map(|(v, r)| (*v, r.clone())).collect(),
            input: self.versions.get(&default)?.input.clone(),
        })
    }
}

/// Adds the versions found under `root`. Folders that are not names or versions are none of ours.
fn scan(root: &Path, is_bundled: bool, models: &mut BTreeMap<Name, Entry>) -> Result<()> {
    for (text, home) in folders(root)? {
        let Ok(name) = text.parse::<Name>() else { continue };
        let entry = models.entry(name.clone()).or_default();
        for (text, folder) in folders(&home)? {
            let Some(number) = text.parse().ok().filter(|&v| v > 0) else { continue };
            match Artifact::manifest(&folder, &name, number) {
                Ok(manifest) => {
                    let version = Version { folder, input: manifest.input(), is_bundled };
                    entry.versions.insert(number, version);
                }
                Err(reason) => {
                    entry.quarantined.insert(number, reason);
                }
            }
        }
        let stated = fs::read_to_string(home.join("default")).ok().and_then(|t| t.trim().parse().ok());
        entry.default = stated.or(entry.default);
    }
    models.retain(|_, entry| !entry.versions.is_empty() || !entry.quarantined.is_empty());
    Ok(())
}

fn folders(root: &Path) -> Result<Vec<(String, PathBuf)>> {
    let io = |source| Error::Io { path: root.to_owned(), source };
    let mut found = Vec::new();
    for entry in fs::read_dir(root).map_err(io)? {
        let path = entry.map_err(io)?.path();
        if path.is_dir() {
            let text = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            found.push((text, path));
        }
    }
    Ok(found)
}

fn write_default(home: &Path, version: u32) -> Result<()> {
    let path = home.join("default");
    let beside = home.join(".default");
    fs::write(&beside, format!("{version}\n"))
        .and_then(|()| fs::rename(&beside, &path))
        .and_then(|()| artifact::sync_folder(home))
        .map_err(|source| Error::Io { path, source })
}
