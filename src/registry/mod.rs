//! Model registry: artifacts by name and version, in folders `<name>/<version>/`.
//!
//! The registry merges two folders: the read-only bundled models, and the data folder, to which trained versions are
//! written. The database holds the list of versions and the default version of each model, for all programs that share it;
//! without a database, the folders and a file `<name>/default` do. A version never changes, and its number is never reused.

mod artifact;
pub mod bundle;
mod calibration;
mod choice;
mod commit;
mod draft;
mod entry;
mod error;
mod identity;
mod indexes;
mod manifest;
mod open;
mod profiles;
mod publish;
mod rows;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::thread;
use std::time::{Duration, Instant};

pub use artifact::{Artifact, digest};
pub use calibration::{Calibration, Spread};
pub use choice::Unsure;
pub use error::Error;
pub use indexes::{Error as IndexError, Indexes};
pub use manifest::{FORMAT, Familiarity, Manifest};
pub use profiles::{Error as ProfileError, Profiles};
pub use publish::{Claim, Published};

use entry::{Models, Version};

use crate::db::Db;
use crate::file::{self, Flush};
use crate::map::Map;
use crate::name::{ModelRef, Name};
use crate::nn::model;
pub use crate::sample::Spec as Input;

/// Result of a registry call.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Entry of a list of models.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Summary {
    /// The model's name.
    pub name: Name,
    /// Default version, which serves requests without a version; none if all versions were kept back.
    pub default: Option<u32>,
    /// All usable versions, ascending.
    pub versions: Vec<u32>,
    /// Versions that cannot be loaded, with the reason.
    pub quarantined: Vec<(u32, String)>,
    /// Versions that serve only if named or made the default, with the reason.
    pub kept_back: Vec<(u32, String)>,
    /// Grows with every change of the model; 0 if there was none.
    pub revision: i64,
    /// Input of the default version, or of the newest version if there is no default.
    pub input: Input,
    /// Sample rate of the signals that this version is for, in Hz; none if it is for any.
    #[serde(skip)]
    pub rate: Option<f32>,
    /// `true` if a version of the model came with this program.
    #[serde(skip)]
    pub is_bundled: bool,
}

/// Trained model that has no version yet.
#[derive(Debug, Clone)]
pub struct Draft {
    /// Name of the model that it becomes a version of.
    pub name: Name,
    /// Network architecture.
    pub model: model::Config,
    /// Safetensors file.
    pub weights: Vec<u8>,
    /// Training config, data and number of steps.
    pub training: serde_json::Value,
    /// Scores on held-out samples.
    pub scores: serde_json::Value,
    /// Feature statistics of the training data.
    pub familiarity: Option<Familiarity>,
    /// Calibration of the predicted quality, if measured.
    pub prediction: Option<Calibration>,
    /// Reason why the model must not become the default by itself; none if it may.
    pub kept_back: Option<String>,
    /// Default version that it was compared with; none if there was no default.
    pub compared_with: Option<u32>,
    /// Map of its latents, if one is kept.
    pub map: Option<Map>,
    /// Model card, Markdown; `{version}` in it is replaced by the version.
    pub card: String,
}

impl Draft {
    /// Returns the SHA-256 of the weights, hexadecimal.
    pub fn sha256(&self) -> String {
        artifact::digest(&self.weights)
    }
}

/// Time for the files of a version to arrive, before it counts as damaged.
const ARRIVAL: Duration = Duration::from_millis(200);

/// Shortest interval between two looks for missing models.
const LOOK: Duration = Duration::from_millis(100);

/// Registry handle; clones share its state. All calls may block on files and on the database.
#[derive(Debug, Clone)]
pub struct Registry {
    shared: Arc<Shared>,
    /// Claim that each publication must settle.
    claim: Option<Arc<dyn Claim>>,
}

#[derive(Debug)]
struct Shared {
    bundled: Models,
    writable: Option<PathBuf>,
    rows: Option<Db>,
    view: RwLock<View>,
    /// Serializes the publications of this process.
    turn: Mutex<()>,
    joined: Mutex<Joined>,
}

/// Relation of the folders to the database.
#[derive(Debug, Clone, Default)]
struct Joined {
    /// `true` once the rows were read and the version folders without a row have one.
    is_done: bool,
    /// Id that the folder and the database have in common.
    id: Option<String>,
    /// Time of the last look for a model that was missing.
    looked: Option<Instant>,
}

/// Models as of the last read of the rows.
#[derive(Debug, Default)]
struct View {
    models: Models,
    generation: i64,
    /// Versions found damaged when they were read, with the reason.
    damaged: BTreeMap<(Name, u32), String>,
    /// Published versions whose files are not in the folder yet.
    awaited: BTreeMap<(Name, u32), Awaited>,
}

/// Places where the files of a published version will be.
#[derive(Debug, Clone)]
struct Awaited {
    folder: PathBuf,
    staged: Option<PathBuf>,
}

impl Awaited {
    /// Returns `true` if the files are there.
    fn is_here(&self) -> bool {
        Artifact::is_whole(&self.folder) || self.staged.as_deref().is_some_and(Artifact::is_whole)
    }
}

impl View {
    /// Returns the numbers of a model's versions whose files are not there yet, ascending.
    fn awaited_of(&self, name: &Name) -> impl DoubleEndedIterator<Item = u32> {
        self.awaited.range((name.clone(), 0)..=(name.clone(), u32::MAX)).map(|((_, number), _)| *number)
    }
}

impl Registry {
    /// Returns `true` if trained models can be stored.
    pub fn is_writable(&self) -> bool {
        self.shared.writable.is_some()
    }

    /// Returns all models with a usable version, by name.
    pub fn list(&self) -> Vec<Summary> {
        self.view().models.iter().filter_map(|(name, entry)| entry.summary(name)).collect()
    }

    /// Returns all versions that cannot be used, as `name@version` with the reason.
    pub fn quarantined(&self) -> Vec<(String, String)> {
        let view = self.view();
        let of = |(name, entry): (&Name, &entry::Entry)| {
            let line = |(v, reason): (&u32, &String)| (format!("{name}@{v}"), reason.clone());
            entry.quarantined.iter().map(line).collect::<Vec<_>>()
        };
        view.models.iter().flat_map(of).collect()
    }

    /// Returns one model.
    ///
    /// # Errors
    /// There is no model of that name with a usable version.
    pub fn get(&self, name: &Name) -> Result<Summary> {
        let summary = self.view().models.get(name).and_then(|entry| entry.summary(name));
        summary.ok_or_else(|| Error::ModelNotFound(name.clone()))
    }

    /// Resolves a reference to a version: the stated one, or the default.
    ///
    /// # Errors
    /// The model or version does not exist, no version serves by default, or the stated version is quarantined.
    pub fn resolve(&self, reference: &ModelRef) -> Result<(Name, u32)> {
        let (version, _) = self.find(reference)?;
        Ok((reference.name.clone(), version))
    }

    /// Returns the input of a version.
    ///
    /// # Errors
    /// As [`Registry::resolve`].
    pub fn input(&self, reference: &ModelRef) -> Result<Input> {
        Ok(self.find(reference)?.1.input)
    }

    /// Reads one version and verifies its digest. One that looks damaged is looked for again: another program may have just
    /// removed it, or its files may just be arriving.
    ///
    /// # Errors
    /// The version does not exist or is damaged.
    pub fn read(&self, reference: &ModelRef) -> Result<Artifact> {
        let first = self.read_once(reference);
        if self.shared.rows.is_none()
            || !matches!(first, Err(Error::Damaged { .. }))
            || self.refresh().is_err()
        {
            return first;
        }
        self.resolve(reference)?;
        thread::sleep(ARRIVAL);
        self.read_once(reference)
    }

    fn read_once(&self, reference: &ModelRef) -> Result<Artifact> {
        let (number, version) = self.find(reference)?;
        let damaged = |reason| Error::Damaged { id: format!("{}@{number}", reference.name), reason };
        Artifact::read(&version.folder, &reference.name, number).map_err(damaged)
    }

    /// Returns the config and the model card of one version.
    ///
    /// # Errors
    /// The version does not exist, or its config is damaged.
    pub fn card(&self, reference: &ModelRef) -> Result<(Manifest, String)> {
        let (number, version) = self.find(reference)?;
        let damaged = |reason| Error::Damaged { id: format!("{}@{number}", reference.name), reason };
        let manifest = Artifact::manifest(&version.folder, &reference.name, number).map_err(damaged)?;
        Ok((manifest, Artifact::card(&version.folder)))
    }

    /// Returns the map of one version; `None` if none was kept.
    ///
    /// # Errors
    /// The version does not exist, or its map is damaged.
    pub fn map(&self, reference: &ModelRef) -> Result<Option<Map>> {
        let (number, version) = self.find(reference)?;
        let damaged = |reason| Error::Damaged { id: format!("{}@{number}", reference.name), reason };
        Artifact::map(&version.folder, &version.sha256).map_err(damaged)
    }

    /// Replaces the calibration in the config of a trained version; the weights stay as they are.
    ///
    /// # Errors
    /// The version does not exist, is bundled or damaged, or the disk failed.
    pub fn calibrate(&self, reference: &ModelRef, prediction: Calibration) -> Result<()> {
        let (number, version) = self.find_own(reference)?;
        let id = ModelRef { version: Some(number), ..reference.clone() };
        let (mut manifest, _) = self.card(&id)?;
        manifest.prediction = Some(prediction);
        let path = version.folder.join(artifact::MANIFEST);
        let json = serde_json::to_vec_pretty(&manifest).map_err(|e| Error::Invalid(e.to_string()))?;
        let written = file::replace(&path, Flush::Now, |file| file.write_all(&json));
        written.map_err(|source| Error::Io { path, source })
    }

    /// Keeps the map of a trained version, in place of an earlier one.
    ///
    /// # Errors
    /// The version does not exist or is bundled, the map is of other weights, or the disk failed.
    pub fn keep_map(&self, reference: &ModelRef, map: &Map) -> Result<()> {
        let (_, version) = self.find_own(reference)?;
        let bytes = map.write();
        Map::parse(&bytes, &version.sha256).map_err(|reason| Error::Invalid(format!("the map {reason}")))?;
        let path = version.folder.join(artifact::MAP);
        let written = file::replace(&path, Flush::Now, |file| file.write_all(&bytes));
        written.map_err(|source| Error::Io { path, source })
    }

    /// Returns the version that `draft` is already: with its weights and its config, apart from a later calibration.
    pub fn find_same(&self, draft: &Draft) -> Option<u32> {
        let sha256 = draft.sha256();
        let known = self.view().models.get(&draft.name)?.versions.clone();
        let alike = known.into_iter().filter(|(_, version)| version.sha256 == sha256);
        let mut same = alike.filter(|(number, version)| {
            Artifact::manifest(&version.folder, &draft.name, *number).is_ok_and(|known| {
                let known = Manifest { format: FORMAT, prediction: draft.prediction.clone(), ..known };
                known == draft.manifest(*number)
            })
        });
        same.next().map(|(number, _)| number)
    }

    /// Quarantines a version found damaged: the newest usable version before it serves instead. One with missing files is
    /// taken in again once they are there.
    pub fn quarantine(&self, name: &Name, version: u32, reason: String) {
        tracing::error!(model = %name, version, %reason, "version is quarantined");
        let mut view = self.view_mut();
        let known = view.models.get(name).and_then(|entry| entry.versions.get(&version));
        let folder = known.filter(|known| !known.is_bundled).map(|known| known.folder.clone());
        match folder.filter(|folder| self.shared.rows.is_some() && !Artifact::is_whole(folder)) {
            Some(folder) => {
                view.awaited.insert((name.clone(), version), Awaited { folder, staged: None });
            }
            None => {
                view.damaged.insert((name.clone(), version), reason.clone());
            }
        }
        if let Some(entry) = view.models.get_mut(name) {
            entry.quarantine(version, reason);
        }
    }

    /// Reads and verifies every trained version (or those of one name), and restores versions that were damaged and are
    /// intact again. Takes long: for a background thread.
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
            // A version removed in the meantime is not damaged.
            if let Err(reason) = checked
                && version.folder.exists()
            {
                self.quarantine(&name, number, reason);
            }
        }
        Ok(())
    }

    /// Checks that a map or a calibration of this version can be kept.
    ///
    /// # Errors
    /// The version does not exist, or is bundled.
    pub fn check_own(&self, reference: &ModelRef) -> Result<()> {
        self.find_own(reference).map(|_| ())
    }

    /// Finds a version that is not bundled.
    fn find_own(&self, reference: &ModelRef) -> Result<(u32, Version)> {
        match self.find(reference)? {
            (number, version) if version.is_bundled => {
                Err(Error::Bundled(ModelRef { version: Some(number), ..reference.clone() }))
            }
            found => Ok(found),
        }
    }

    fn find(&self, reference: &ModelRef) -> Result<(u32, Version)> {
        let view = self.view();
        let missing = || Error::ModelNotFound(reference.name.clone());
        let entry = view.models.get(&reference.name).ok_or_else(missing)?;
        let awaited = |number: u32| Error::Awaited(format!("{}@{number}", reference.name));
        let number = match reference.version {
            Some(version) => version,
            None => entry.serving().ok_or_else(|| match entry.newest() {
                Some((version, newest)) => Error::NoDefault {
                    name: reference.name.clone(),
                    version,
                    reason: newest.kept_back.clone().unwrap_or_default(),
                },
                None => view.awaited_of(&reference.name).next_back().map_or_else(missing, awaited),
            })?,
        };
        if view.awaited_of(&reference.name).any(|other| other == number) {
            return Err(awaited(number));
        }
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

    /// Looks at the changes of other programs before a model is reported as missing: a job may just have published it. Does
    /// nothing if that was just done.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn look_again(&self) -> Result<Vec<Name>> {
        {
            let mut joined = self.joined();
            if joined.looked.is_some_and(|looked| looked.elapsed() < LOOK) {
                return Ok(Vec::new());
            }
            joined.looked = Some(Instant::now());
        }
        self.refresh()
    }

    /// [`Registry::look_again`] for a model or version that is not known.
    pub fn seek(&self, reference: &ModelRef) {
        if let Err(Error::ModelNotFound(_) | Error::VersionNotFound { .. }) = self.find(reference)
            && let Err(error) = self.look_again()
        {
            tracing::warn!(%error, model = %reference, "it is looked for without the database");
        }
    }

    /// Checks that the folder of trained models is still the one that belongs to the database: a mount may be lost.
    ///
    /// # Errors
    /// [`Error::Foreign`], or the folder cannot be read.
    pub fn check_home(&self) -> Result<()> {
        let id = self.joined().id.clone();
        match (id, &self.shared.writable) {
            (Some(id), Some(root)) => identity::check(root, &id),
            _ => Ok(()),
        }
    }

    fn joined(&self) -> MutexGuard<'_, Joined> {
        self.shared.joined.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn view(&self) -> RwLockReadGuard<'_, View> {
        // Each change of the view is one step that does not panic, so the view is consistent even if the lock is poisoned.
        self.shared.view.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn view_mut(&self) -> RwLockWriteGuard<'_, View> {
        self.shared.view.write().unwrap_or_else(PoisonError::into_inner)
    }
}
