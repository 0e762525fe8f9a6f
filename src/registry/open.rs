//! Opening a registry: merging folders and rows, and following the changes of other programs.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use super::entry::{self, Models};
use super::rows::{self, Rows, State};
use super::{Artifact, Awaited, Error, Registry, Result, Shared, View, identity, publish};
use crate::db::{self, Db};
use crate::name::Name;

/// Age after which an artifact that is still staged counts as abandoned by its writer.
const STAGED_AGE: Duration = Duration::from_secs(24 * 3600);

impl Registry {
    /// Opens the bundled models (read-only) and the folder of trained models, without a database.
    ///
    /// # Errors
    /// A folder cannot be read or created. A damaged version is quarantined and is not an error.
    pub fn open(bundled: Option<PathBuf>, writable: Option<PathBuf>) -> Result<Self> {
        let registry = Self::build(bundled, writable, None)?;
        let mut models = registry.shared.bundled.clone();
        if let Some(root) = &registry.shared.writable {
            entry::scan(root, false, &mut models)?;
        }
        registry.view_mut().models = models;
        Ok(registry)
    }

    /// Opens the bundled models (read-only) and the folder of trained models, with the database that lists the trained
    /// versions. Version folders that have no row there get one.
    ///
    /// # Errors
    /// A folder cannot be read or created, or the database cannot be used.
    pub fn open_with(bundled: Option<PathBuf>, writable: PathBuf, db: Db) -> Result<Self> {
        let registry = Self::build(bundled, Some(writable), Some(db))?;
        registry.join()?;
        Ok(registry)
    }

    /// [`Registry::open_with`] that also opens while the database cannot be reached: then the versions in the folders serve,
    /// until [`Registry::refresh`] reaches it.
    ///
    /// # Errors
    /// Errors of [`Registry::open_with`], except that of a database that cannot be reached.
    pub fn open_soon(bundled: Option<PathBuf>, writable: PathBuf, db: Db) -> Result<Self> {
        let registry = Self::build(bundled, Some(writable.clone()), Some(db))?;
        match registry.join() {
            Err(Error::Db(db::Error::Gone(_))) => {
                let mut models = registry.shared.bundled.clone();
                entry::scan(&writable, false, &mut models)?;
                registry.view_mut().models = models;
                Ok(registry)
            }
            done => done.map(|()| registry),
        }
    }

    /// Brings the folders and the database together, unless that was done.
    fn join(&self) -> Result<()> {
        let (Some(db), Some(root)) = (&self.shared.rows, &self.shared.writable) else { return Ok(()) };
        let mut joined = self.joined();
        if joined.is_done {
            return Ok(());
        }
        joined.id = identity::settle(root, db)?;
        // Published versions that are still staged must be moved into place before `adopt` clears staged folders away.
        self.refresh_all()?;
        adopt(root, db)?;
        self.refresh_all()?;
        joined.is_done = true;
        Ok(())
    }

    fn build(bundled: Option<PathBuf>, writable: Option<PathBuf>, rows: Option<Db>) -> Result<Self> {
        let mut models = Models::new();
        if let Some(root) = bundled.filter(|b| Some(b) != writable.as_ref()) {
            entry::scan(&root, true, &mut models)?;
        }
        if let Some(root) = &writable {
            fs::create_dir_all(root).map_err(|source| Error::Io { path: root.clone(), source })?;
        }
        let (view, turn, joined) = (RwLock::new(View::default()), Mutex::default(), Mutex::default());
        let shared = Arc::new(Shared { bundled: models, writable, rows, view, turn, joined });
        Ok(Self { shared, claim: None })
    }

    /// Applies the changes of other programs and returns the names of the changed models. Cheap if there are none.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn refresh(&self) -> Result<Vec<Name>> {
        let Some(db) = &self.shared.rows else { return Ok(Vec::new()) };
        let is_new = !self.joined().is_done;
        let is_current = !is_new && rows::generation(db)? == self.view().generation;
        if is_current && !self.view().awaited.values().any(Awaited::is_here) {
            return Ok(Vec::new());
        }
        let before = self.view().models.clone();
        if is_new {
            self.join()?
        } else {
            self.refresh_all()?
        }
        let view = self.view();
        let names = before.keys().chain(view.models.keys());
        let mut changed: Vec<Name> =
            names.filter(|name| before.get(*name) != view.models.get(*name)).cloned().collect();
        changed.sort();
        changed.dedup();
        Ok(changed)
    }

    /// Reads all rows again.
    pub(super) fn refresh_all(&self) -> Result<()> {
        let (Some(db), Some(root)) = (&self.shared.rows, &self.shared.writable) else { return Ok(()) };
        let rows = rows::read(db)?;
        let before = self.view().models.clone();
        let (mut models, mut awaited) = (self.shared.bundled.clone(), BTreeMap::new());
        self.add_rowless(root, &rows, &mut models)?;
        for row in rows.versions.iter().filter(|row| row.state == State::Ready) {
            let (name, number) = (&row.name, &row.version);
            let entry = models.entry(name.clone()).or_default();
            let known = before.get(name).and_then(|entry| entry.versions.get(number));
            if let Some(known) = known.filter(|known| known.sha256 == row.sha256 && !known.is_bundled) {
                entry.versions.insert(*number, known.clone());
                continue;
            }
            let home = root.join(name.as_str());
            let finished = publish::finish(&home, *number, &row.staged);
            let folder = home.join(number.to_string());
            if !Artifact::is_whole(&folder) {
                let staged = (!row.staged.is_empty()).then(|| home.join(&row.staged));
                awaited.insert((name.clone(), *number), Awaited { folder, staged });
                entry.quarantine(*number, "its files are not here yet".to_owned());
                continue;
            }
            if let Err(error) = finished {
                entry.quarantine(*number, error.to_string());
                continue;
            }
            entry.take(name, *number, folder, false);
            if entry.versions.get(number).is_some_and(|version| version.sha256 != row.sha256) {
                let reason = "the folder holds other weights than were published".to_owned();
                entry.quarantine(*number, reason);
            }
        }
        for (name, (default, revision)) in &rows.models {
            if let Some(entry) = models.get_mut(name) {
                entry.default = Some(*default).filter(|v| *v > 0).or(entry.default);
                entry.revision = *revision;
            }
        }
        let mut view = self.view_mut();
        // Another thread may have read a newer generation and stored it first.
        if rows.generation < view.generation {
            return Ok(());
        }
        for ((name, number), reason) in &view.damaged {
            if let Some(entry) = models.get_mut(name).filter(|entry| entry.versions.contains_key(number)) {
                entry.quarantine(*number, reason.clone());
            }
        }
        for (name, number) in awaited.keys().filter(|key| !view.awaited.contains_key(*key)) {
            tracing::warn!(model = %name, version = number, "its files are not here yet; it is looked for again");
        }
        (view.models, view.awaited, view.generation) = (models, awaited, rows.generation);
        Ok(())
    }

    /// Lists damaged folders without a row, which were never adopted, as quarantined.
    fn add_rowless(&self, root: &Path, rows: &Rows, models: &mut Models) -> Result<()> {
        for (text, home) in entry::folders(root)? {
            let Ok(name) = text.parse::<Name>() else { continue };
            for (number, folder) in entry::numbered(&home)? {
                let has_row = rows.versions.iter().any(|row| (&row.name, row.version) == (&name, number));
                if has_row {
                    continue;
                }
                if let Err(reason) = Artifact::manifest(&folder, &name, number) {
                    models.entry(name.clone()).or_default().quarantine(number, reason);
                }
            }
        }
        Ok(())
    }
}

/// Adds a row for each version folder that has none, completes interrupted removals, and deletes abandoned folders.
fn adopt(root: &Path, db: &Db) -> Result<()> {
    let rows = rows::read(db)?;
    let state = |name: &Name, number: u32| {
        rows.versions.iter().find(|row| row.name == *name && row.version == number).map(|row| row.state)
    };
    for row in rows.versions.iter().filter(|row| row.state == State::Removing) {
        publish::discard(&root.join(row.name.as_str()).join(row.version.to_string()))?;
        let (name, version) = (&row.name, row.version);
        db.transact(async |conn| rows::change(conn, name, version, State::Removing, State::Removed).await)?;
    }
    for (text, home) in entry::folders(root)? {
        let Ok(name) = text.parse::<Name>() else { continue };
        for (number, folder) in entry::numbered(&home)? {
            if matches!(state(&name, number), Some(State::Ready | State::Removing)) {
                continue;
            }
            let Ok(manifest) = Artifact::manifest(&folder, &name, number) else { continue };
            tracing::info!(model = %name, version = number, "version found and taken in");
            db.transact(async |conn| {
                let now = db.now(conn).await?;
                rows::adopt(conn, &name, number, &manifest.weights.sha256, now).await
            })?;
        }
        if let Some(stated) = entry::read_default(&home).filter(|_| !rows.models.contains_key(&name)) {
            db.transact(async |conn| rows::set_default(conn, &name, stated, None).await)?;
        }
        clear(&home, |staged| rows.versions.iter().any(|row| row.name == name && row.staged == staged))?;
    }
    Ok(())
}

/// Deletes the folders of removed versions, and abandoned staging folders that no row names.
fn clear(home: &Path, is_named: impl Fn(&str) -> bool) -> Result<()> {
    let hidden =
        entry::folders(home)?.into_iter().filter(|(text, _)| text.starts_with('.') && !is_named(text));
    for (text, folder) in hidden {
        let age = fs::metadata(&folder).and_then(|about| about.modified()).map(|time| time.elapsed());
        let is_old = age.is_ok_and(|age| age.is_ok_and(|age| age > STAGED_AGE));
        if text.ends_with(".removed") || is_old {
            let _ = fs::remove_dir_all(folder);
        }
    }
    Ok(())
}
