//! Noise profiles by name, in the data folder: `noise-profiles/NAME.json`.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::corruption::NoiseProfile;
use crate::file::{self, Flush};
use crate::name::Name;

/// Largest size of a profile file, in bytes: hundreds of times that of a usual one.
const MOST_BYTES: u64 = 8 << 20;

/// Stored noise profiles.
#[derive(Debug, Clone)]
pub struct Profiles {
    folder: PathBuf,
}

/// Error of stored profiles.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The disk fails, or is full.
    #[error("{path}: {source}")]
    Io {
        /// File or folder.
        path: PathBuf,
        /// Error of the system.
        source: io::Error,
    },
    /// A file is not a profile.
    #[error("{path} is no noise profile: {reason}; remove it and measure again")]
    Damaged {
        /// File.
        path: PathBuf,
        /// Description of the damage.
        reason: String,
    },
}

impl Profiles {
    /// Returns the profiles in a data folder, which need not exist yet.
    pub fn of(data: &Path) -> Self {
        Self { folder: data.join("noise-profiles") }
    }

    /// Returns the names of all profiles, in order.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn list(&self) -> Result<Vec<Name>, Error> {
        let entries = match fs::read_dir(&self.folder) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(self.fault())?,
        };
        let mut names = Vec::new();
        for entry in entries {
            let name = entry.map_err(self.fault())?.file_name();
            let stem = name.to_str().and_then(|name| name.strip_suffix(".json"));
            names.extend(stem.and_then(|stem| stem.parse::<Name>().ok()));
        }
        names.sort();
        Ok(names)
    }

    /// Returns a profile; `None` if there is none of this name.
    ///
    /// # Errors
    /// The file cannot be read, or is not a profile.
    pub fn get(&self, name: &Name) -> Result<Option<NoiseProfile>, Error> {
        let path = self.path(name);
        let io = |source| Error::Io { path: path.clone(), source };
        let bytes = match fs::metadata(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            about => about.map_err(io)?.len(),
        };
        let damaged = |reason: String| Error::Damaged { path: path.clone(), reason };
        if bytes > MOST_BYTES {
            return Err(damaged(format!("it has {bytes} bytes, at most {MOST_BYTES}")));
        }
        let text = fs::read(&path).map_err(io)?;
        let profile: NoiseProfile = serde_json::from_slice(&text).map_err(|e| damaged(e.to_string()))?;
        profile.check().map_err(|e| damaged(e.to_string()))?;
        Ok(Some(profile))
    }

    /// Stores a profile; returns `true` if it replaces one.
    ///
    /// # Errors
    /// The disk fails, or is full.
    pub fn put(&self, name: &Name, profile: &NoiseProfile) -> Result<bool, Error> {
        fs::create_dir_all(&self.folder).map_err(self.fault())?;
        let path = self.path(name);
        let replaces = path.exists();
        let io = |source| Error::Io { path: path.clone(), source };
        let text = serde_json::to_vec(profile).map_err(|e| io(e.into()))?;
        file::replace(&path, Flush::Now, |file| file.write_all(&text)).map_err(io)?;
        Ok(replaces)
    }

    /// Removes a profile; returns `false` if there is none of this name.
    ///
    /// # Errors
    /// The file cannot be removed.
    pub fn remove(&self, name: &Name) -> Result<bool, Error> {
        let path = self.path(name);
        match fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(source) => Err(Error::Io { path, source }),
        }
    }

    fn path(&self, name: &Name) -> PathBuf {
        self.folder.join(format!("{name}.json"))
    }

    fn fault(&self) -> impl Fn(io::Error) -> Error + '_ {
        |source| Error::Io { path: self.folder.clone(), source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corruption::{Autocorrelation, Marginal, Method, Source, Strength};
    use crate::sample::Kind;

    #[test]
    fn profiles_are_kept_by_name_and_damage_is_said() {
        let data = tempfile::tempdir().unwrap();
        let (profiles, name) = (Profiles::of(data.path()), "lab".parse::<Name>().unwrap());
        assert_eq!((profiles.list().unwrap(), profiles.get(&name).unwrap()), (vec![], None));
        let source = Source { method: Method::Flat, samples: 1, notes: vec![] };
        let strength = Strength { shot: 0.25, read: 0.5, least: 0.5, rows: 0.0, columns: 1.0 };
        let white = (Autocorrelation::white(), vec![vec![1.0]], Marginal::default());
        let profile = NoiseProfile::new((Kind::Image, source), vec![strength], white.0, white.1, white.2);
        assert_eq!(
            (profiles.put(&name, &profile).unwrap(), profiles.put(&name, &profile).unwrap()),
            (false, true)
        );
        assert_eq!(
            (profiles.list().unwrap(), profiles.get(&name).unwrap()),
            (vec![name.clone()], Some(profile))
        );
        fs::write(profiles.path(&name), b"{}").unwrap();
        assert!(profiles.get(&name).unwrap_err().to_string().contains("lab.json is no noise profile"));
        assert!(profiles.remove(&name).unwrap() && !profiles.remove(&name).unwrap());
    }
}
