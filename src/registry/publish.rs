//! Publishing and removing versions, atomically.
//!
//! The artifact is first written and synced in a staging folder, then the row is inserted in one transaction, then the
//! folder is renamed into place. A program that finds a row without its folder finishes the renaming, so that a crash at any
//! point leaves nothing half done.

use std::fmt::Debug;
use std::fs;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, PoisonError};

use super::commit::{self, Candidate};
use super::entry::{self, write_default};
use super::rows::{self, State};
use super::{Artifact, Draft, Error, Registry, Result, artifact};
use crate::db::Conn;
use crate::file::sync_folder;
use crate::name::{ModelId, ModelRef, Name};

/// Right to publish, checked and used up in the transaction that publishes.
pub trait Claim: Debug + Send + Sync {
    /// Settles the claim.
    ///
    /// # Errors
    /// [`Error::Lost`]: then nothing is published.
    fn settle<'a>(
        &'a self,
        conn: &'a mut Conn,
        published: &'a Published,
    ) -> Pin<Box<dyn Future<Output = Result<()>> + 'a>>;
}

/// Version that is being published.
#[derive(Debug, Clone)]
pub struct Published {
    /// Name, version and digest.
    pub id: ModelId,
    /// `true` if the version becomes the default.
    pub promoted: bool,
    /// Reason why the version must not become the default by itself; none if it may.
    pub kept_back: Option<String>,
    /// Scores on held-out samples.
    pub scores: serde_json::Value,
}

impl Registry {
    /// Returns a registry that settles `claim` with each publication.
    #[must_use]
    pub fn with_claim(&self, claim: Arc<dyn Claim>) -> Self {
        Self { shared: Arc::clone(&self.shared), claim: Some(claim) }
    }

    /// Returns the folder of a model's versions, and creates it if missing. Called before a long training, so that a
    /// read-only or full folder is reported at once.
    ///
    /// # Errors
    /// The registry is read-only, or the folder cannot be created.
    pub fn prepare(&self, name: &Name) -> Result<PathBuf> {
        let home = self.home(name)?;
        fs::create_dir_all(&home).map_err(|source| Error::Io { path: home.clone(), source })?;
        Ok(home)
    }

    /// Stores a trained model as the next version of its name. It becomes the default if `promote` is set, or if there was
    /// no default and it is not kept back; otherwise the default stays.
    ///
    /// # Errors
    /// The registry is read-only, the weights do not fit the config, the claim is lost, or the disk or the database failed;
    /// no partial version remains. [`Error::Changed`] if the version would become the default, but the default is no longer
    /// the version that it was compared with.
    pub fn publish(&self, draft: Draft, promote: bool) -> Result<ModelId> {
        self.check_home()?;
        let home = self.prepare(&draft.name)?;
        artifact::verify(&draft.model, &draft.weights).map_err(Error::Invalid)?;
        // Serialized within this process; across processes the unique key of the rows decides.
        let _turn = self.shared.turn.lock().unwrap_or_else(PoisonError::into_inner);
        self.refresh()?;
        let serving = self.view().models.get(&draft.name).and_then(|entry| entry.serving());
        if promote && draft.compared_with.is_some() && serving != draft.compared_with {
            return Err(Error::Changed(draft.name));
        }
        let mut number = self.next_number(&draft.name)?;
        loop {
            match self.publish_as(&home, &draft, number, promote)? {
                Some(id) => return Ok(id),
                // Another program published this number first.
                None => number += 1,
            }
        }
    }

    fn next_number(&self, name: &Name) -> Result<u32> {
        let seen = self.view().models.get(name).map_or(1, |entry| entry.next());
        let last = self.shared.rows.as_ref().map(|db| rows::last(db, name)).transpose()?;
        let beside = entry::numbered(&self.home(name)?)?.into_iter().map(|(number, _)| number).max();
        Ok(seen.max(last.unwrap_or(0) + 1).max(beside.unwrap_or(0) + 1))
    }

    /// Publishes `draft` as version `number`; `None` if the number is taken.
    fn publish_as(&self, home: &Path, draft: &Draft, number: u32, promote: bool) -> Result<Option<ModelId>> {
        let manifest = draft.manifest(number);
        let sha256 = manifest.weights.sha256.clone();
        let card = draft.card_of(number);
        // A unique name: another attempt at the same job may write the same weights at the same time.
        let staged = format!(".{number}-{}", uuid::Uuid::now_v7().simple());
        let beside = home.join(&staged);
        Artifact::write(&beside, &manifest, &draft.weights, &card, draft.map.as_ref())?;

        let (served, seen) = match self.view().models.get(&draft.name) {
            Some(entry) => (entry.serving(), entry.default),
            None => (None, None),
        };
        let committed = match &self.shared.rows {
            Some(db) => {
                let default = promote.then_some(number).or(served);
                let (sha256, staged) = (&sha256, &staged);
                self.commit(db, Candidate { draft, number, sha256, staged, default, seen })
            }
            None => Ok(true),
        };
        match committed {
            Ok(true) => {}
            // Kept: if the row is there, the next program that reads it moves the folder into place.
            Err(error) if commit::is_uncertain(&error) => return Err(error),
            other => {
                let _ = fs::remove_dir_all(&beside);
                return other.map(|_| None);
            }
        }
        let is_placed = finish(home, number, &staged)?;
        match &self.shared.rows {
            Some(_) => self.refresh_all()?,
            None if is_placed => self.add_unrowed(home, draft, number, promote)?,
            None => {
                let _ = fs::remove_dir_all(&beside);
                return Ok(None);
            }
        }
        state_default(home, self.get(&draft.name)?.default)?;
        self.read(&ModelRef { name: draft.name.clone(), version: Some(number) }).map(|a| Some(a.id))
    }

    /// Adds a published version to the view of a registry without a database.
    fn add_unrowed(&self, home: &Path, draft: &Draft, number: u32, promote: bool) -> Result<()> {
        let mut view = self.view_mut();
        let entry = view.models.entry(draft.name.clone()).or_default();
        let served = if promote { Some(number) } else { entry.serving() };
        entry.take(&draft.name, number, home.join(number.to_string()), false);
        entry.default = served.or(draft.kept_back.is_none().then_some(number));
        entry.revision += 1;
        Ok(())
    }

    /// Makes `version` the default; if `revision` is given, only if the model is still at that revision.
    ///
    /// # Errors
    /// The version does not exist, the model was changed, or the registry is read-only.
    pub fn set_default(&self, name: &Name, version: u32, revision: Option<i64>) -> Result<()> {
        self.home(name)?;
        self.refresh()?;
        self.find(&ModelRef { name: name.clone(), version: Some(version) })?;
        let home = self.prepare(name)?;
        if let Some(db) = &self.shared.rows {
            let is_set = db.transact(async |conn| rows::set_default(conn, name, version, revision).await)?;
            if !is_set {
                return Err(Error::Changed(name.clone()));
            }
        } else {
            let mut view = self.view_mut();
            let entry = view.models.entry(name.clone()).or_default();
            if revision.is_some_and(|revision| revision != entry.revision) {
                return Err(Error::Changed(name.clone()));
            }
            entry.default = Some(version);
            entry.revision += 1;
        }
        write_default(&home, version)?;
        self.refresh_all()
    }

    /// Removes one trained version; if it was the default, the newest usable version before it serves.
    ///
    /// # Errors
    /// The version does not exist or is bundled, or the registry is read-only.
    pub fn remove(&self, name: &Name, version: u32) -> Result<()> {
        let home = self.home(name)?;
        self.refresh()?;
        let reference = ModelRef { name: name.clone(), version: Some(version) };
        let is_quarantined =
            self.view().models.get(name).is_some_and(|e| e.quarantined.contains_key(&version));
        if !is_quarantined && self.find(&reference)?.1.is_bundled {
            return Err(Error::Bundled(reference));
        }
        let folder = home.join(version.to_string());
        let is_awaited = self.view().awaited.contains_key(&(name.clone(), version));
        if is_quarantined && !is_awaited && !folder.exists() {
            return Err(Error::Bundled(reference));
        }
        let next = {
            let mut entry = self.view().models.get(name).cloned().unwrap_or_default();
            entry.versions.remove(&version);
            entry.serving()
        };
        let Some(db) = &self.shared.rows else {
            discard(&folder)?;
            self.forget_unrowed(name, version, next);
            return state_default(&home, next);
        };
        db.transact(async |conn| {
            rows::change(conn, name, version, State::Ready, State::Removing).await?;
            if rows::default(conn, name).await? == version {
                rows::set_default(conn, name, next.unwrap_or(0), None).await?;
            }
            rows::touch(conn, name).await
        })?;
        discard(&folder)?;
        db.transact(async |conn| rows::change(conn, name, version, State::Removing, State::Removed).await)?;
        self.refresh_all()?;
        state_default(&home, next)
    }

    fn forget_unrowed(&self, name: &Name, version: u32, next: Option<u32>) {
        let mut view = self.view_mut();
        let Some(entry) = view.models.get_mut(name) else { return };
        entry.versions.remove(&version);
        entry.quarantined.remove(&version);
        entry.default = entry.default.and(next);
        entry.revision += 1;
        if entry.versions.is_empty() && entry.quarantined.is_empty() {
            view.models.remove(name);
        }
    }

    fn home(&self, name: &Name) -> Result<PathBuf> {
        self.shared.writable.as_ref().map(|root| root.join(name.as_str())).ok_or(Error::ReadOnly)
    }
}

/// Writes the file `default`, or deletes it if there is no default.
fn state_default(home: &Path, default: Option<u32>) -> Result<()> {
    match default {
        Some(version) => write_default(home, version),
        None => {
            // The file is informative only, so a failure to delete it is no error.
            let _ = fs::remove_file(home.join("default"));
            Ok(())
        }
    }
}

/// Renames a staged version into place. Returns `false` if the folder is there already: another process that saw the
/// same row renamed it first, or another program without a database took the number.
///
/// # Errors
/// The folder cannot be renamed or synced.
pub(super) fn finish(home: &Path, number: u32, staged: &str) -> Result<bool> {
    let folder = home.join(number.to_string());
    if staged.is_empty() {
        return Ok(false);
    }
    let renamed = fs::rename(home.join(staged), &folder);
    if renamed.is_err() && folder.exists() {
        return Ok(false);
    }
    let synced = renamed.and_then(|()| sync_folder(home));
    synced.map(|()| true).map_err(|source| Error::Io { path: folder, source })
}

/// Deletes a version's folder; does nothing if it does not exist.
///
/// # Errors
/// The folder cannot be renamed or deleted.
pub(super) fn discard(folder: &Path) -> Result<()> {
    let version = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    // Renamed first, so that a partly deleted version is never found as a version.
    let gone = folder.with_file_name(format!(".{version}.removed"));
    let _ = fs::remove_dir_all(&gone);
    match fs::rename(folder, &gone).and_then(|()| fs::remove_dir_all(&gone)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::Io { path: folder.to_owned(), source: error })
        }
        _ => Ok(()),
    }
}
