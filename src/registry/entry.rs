//! Entries of the registry: state of each model, from the folders and from the rows.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::{Artifact, Error, Input, Result, Summary};
use crate::file::{self, Flush};
use crate::name::Name;

/// All models, by name.
pub(super) type Models = BTreeMap<Name, Entry>;

/// State of one model.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct Entry {
    pub versions: BTreeMap<u32, Version>,
    pub quarantined: BTreeMap<u32, String>,
    /// Stated default; without it the newest version that was not kept back serves.
    pub default: Option<u32>,
    /// Grows with every change of the model.
    pub revision: i64,
}

/// Usable version, as far as its config shows.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Version {
    pub folder: PathBuf,
    pub input: Input,
    /// Sample rate of the model, in Hz.
    pub rate: Option<f32>,
    pub sha256: String,
    pub is_bundled: bool,
    /// Reason why the version serves only if named or made the default.
    pub kept_back: Option<String>,
}

impl Entry {
    /// Returns the version that serves requests without a version: the stated default; if that cannot be used, the newest
    /// before it; else the newest of all. A version that was kept back serves only as the stated default.
    pub fn serving(&self) -> Option<u32> {
        let may_serve = |(number, version): (&u32, &Version)| version.kept_back.is_none().then_some(*number);
        let newest = || self.versions.iter().rev().find_map(may_serve);
        let Some(stated) = self.default else { return newest() };
        if self.versions.contains_key(&stated) {
            return Some(stated);
        }
        self.versions.range(..=stated).rev().find_map(may_serve).or_else(newest)
    }

    /// Returns the newest usable version.
    pub fn newest(&self) -> Option<(u32, &Version)> {
        self.versions.iter().next_back().map(|(number, version)| (*number, version))
    }

    pub fn summary(&self, name: &Name) -> Option<Summary> {
        let default = self.serving();
        let served = default.and_then(|default| self.versions.get(&default));
        let shown = served.or_else(|| self.newest().map(|(_, version)| version))?;
        let kept_back = |(number, version): (&u32, &Version)| Some((*number, version.kept_back.clone()?));
        Some(Summary {
            name: name.clone(),
            default,
            versions: self.versions.keys().copied().collect(),
            quarantined: self.quarantined.iter().map(|(v, r)| (*v, r.clone())).collect(),
            revision: self.revision,
            kept_back: self.versions.iter().filter_map(kept_back).collect(),
            input: shown.input.clone(),
            rate: shown.rate,
            is_bundled: self.versions.values().any(|version| version.is_bundled),
        })
    }

    /// Returns the number after the highest one known.
    pub fn next(&self) -> u32 {
        self.versions.keys().chain(self.quarantined.keys()).max().map_or(1, |last| last + 1)
    }

    /// Adds the version in `folder`, as usable or quarantined.
    pub fn take(&mut self, name: &Name, number: u32, folder: PathBuf, is_bundled: bool) {
        match Artifact::manifest(&folder, name, number) {
            Ok(manifest) => {
                let (input, rate) = (manifest.input(), manifest.model.rate);
                let (sha256, kept_back) = (manifest.weights.sha256, manifest.kept_back);
                let version = Version { folder, input, rate, sha256, is_bundled, kept_back };
                self.quarantined.remove(&number);
                self.versions.insert(number, version);
            }
            Err(reason) => self.quarantine(number, reason),
        }
    }

    pub fn quarantine(&mut self, number: u32, reason: String) {
        self.versions.remove(&number);
        self.quarantined.insert(number, reason);
    }
}

/// Adds the versions found under `root`. Skips folders that are not named like a model or a version.
///
/// # Errors
/// A folder cannot be read.
pub(super) fn scan(root: &Path, is_bundled: bool, models: &mut Models) -> Result<()> {
    for (text, home) in folders(root)? {
        let Ok(name) = text.parse::<Name>() else { continue };
        let entry = models.entry(name.clone()).or_default();
        for (number, folder) in numbered(&home)? {
            entry.take(&name, number, folder, is_bundled);
        }
        entry.default = read_default(&home).or(entry.default);
    }
    models.retain(|_, entry| !entry.versions.is_empty() || !entry.quarantined.is_empty());
    Ok(())
}

/// Returns the version folders of one model.
///
/// # Errors
/// The folder cannot be read.
pub(super) fn numbered(home: &Path) -> Result<Vec<(u32, PathBuf)>> {
    let number = |(text, folder): (String, PathBuf)| Some((text.parse().ok().filter(|&v| v > 0)?, folder));
    Ok(folders(home)?.into_iter().filter_map(number).collect())
}

/// Returns the folders in `root`, with their names.
///
/// # Errors
/// `root` cannot be read.
pub(super) fn folders(root: &Path) -> Result<Vec<(String, PathBuf)>> {
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

/// Reads the version in the file `default`, the stated default of folders without a database.
pub(super) fn read_default(home: &Path) -> Option<u32> {
    fs::read_to_string(home.join("default")).ok()?.trim().parse().ok()
}

/// Writes the file `default`, for people and for programs that only read the folder. If there is a database, its default
/// takes precedence.
///
/// # Errors
/// The file cannot be written.
pub(super) fn write_default(home: &Path, version: u32) -> Result<()> {
    let path = home.join("default");
    let written = file::replace(&path, Flush::Now, |file| writeln!(file, "{version}"));
    written.map_err(|source| Error::Io { path, source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::Kind;

    fn entry(versions: &[u32], default: Option<u32>) -> Entry {
        let input = Input { kind: Kind::Image, channels: 1, fixed: None };
        let (folder, sha256) = (PathBuf::new(), String::new());
        let version = Version { folder, input, rate: None, sha256, is_bundled: false, kept_back: None };
        let versions = versions.iter().map(|v| (*v, version.clone())).collect();
        Entry { versions, default, ..Entry::default() }
    }

    #[test]
    fn without_the_stated_version_the_one_before_it_serves() {
        assert_eq!(entry(&[1, 2, 3], Some(2)).serving(), Some(2));
        assert_eq!(entry(&[1, 3], Some(2)).serving(), Some(1));
        assert_eq!(entry(&[3], Some(2)).serving(), Some(3));
        assert_eq!(entry(&[1, 3], None).serving(), Some(3));
        assert_eq!(entry(&[], Some(2)).serving(), None);
    }

    #[test]
    fn a_version_that_was_kept_back_serves_only_where_it_was_made_the_default() {
        let mut entry = entry(&[1, 2], None);
        entry.versions.get_mut(&2).unwrap().kept_back = Some("it is worse".into());
        assert_eq!(entry.serving(), Some(1));
        entry.default = Some(2);
        assert_eq!(entry.serving(), Some(2));
        // First version 1 is removed, then the default.
        entry.versions.remove(&1);
        entry.default = Some(1);
        let summary = entry.summary(&"a".parse().unwrap()).unwrap();
        assert_eq!((summary.default, summary.versions), (None, vec![2]));
        assert_eq!(summary.kept_back, [(2, "it is worse".to_owned())]);
    }
}
