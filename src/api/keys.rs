//! API keys: access to the service, kept as hashes in a file that is read again when it changes.
//!
//! A key is 256 random bits, so one SHA-256 is as good as a slow hash: there is nothing to guess. The
//! file holds one JSON object a line, and people may edit it.

mod live;
mod lock;

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

pub use live::Keys;
pub use lock::Lock;

use super::rate;
use crate::file::{self, Flush};
use crate::hex::hex;
use crate::name::Name;

/// Rights of a key. `admin` includes the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Denoise, encode, decode, evaluate, and read about models and the service.
    Infer,
    /// Send samples to train on, see and cancel jobs.
    Train,
    /// Move defaults and remove models.
    Admin,
}

/// A line of the key file: everything about a key but the key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Name of the key, in logs and for `limpid keys remove`.
    pub name: Name,
    /// Rights of the key.
    pub scopes: Vec<Scope>,
    /// SHA-256 of the key, hexadecimal.
    pub sha256: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Limits of its own, in place of those of `server.rate`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<rate::Own>,
}

/// Why the key file cannot be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system said no.
    #[error("key file {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Error of the system.
        source: io::Error,
    },
    /// A line is not an entry.
    #[error("key file {path}, line {line}: {reason}")]
    Line {
        /// The file.
        path: PathBuf,
        /// Number of the line, from 1 up.
        line: usize,
        /// Fault of the line.
        reason: String,
    },
    /// The name is taken.
    #[error("there is a key named {0}; remove it first or choose another name")]
    Exists(Name),
    /// No key has this name.
    #[error("there is no key named {0}")]
    Unknown(Name),
    /// A setting names a file that is not there.
    #[error(
        "key file {0} is not there, and server.keys_file names it: correct the path, mount the file, make a key with \
         `limpid keys add NAME`, or remove the setting"
    )]
    Missing(PathBuf),
    /// No key is left where there has to be one.
    #[error(
        "key file {0} holds no key, and this service requires keys because it had some before: add one with \
         `limpid keys add NAME`, or serve without keys deliberately: `limpid keys unlock`"
    )]
    Locked(PathBuf),
    /// Keys are there, so the service cannot be unlocked.
    #[error("key file {path} holds {count} keys: remove them first with `limpid keys remove NAME`")]
    InUse {
        /// The file.
        path: PathBuf,
        /// Number of keys in it.
        count: usize,
    },
    /// The system has no randomness to give.
    #[error("the system gives no random bytes: {0}")]
    Random(String),
}

impl Entry {
    fn matches(&self, digest: &str) -> bool {
        self.sha256.as_bytes().ct_eq(digest.as_bytes()).into()
    }

    /// Returns `true` if the key has the rights of `scope`.
    pub fn allows(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope) || self.scopes.contains(&Scope::Admin)
    }
}

/// The entries of the key file at `path`, in its order; none where the file is missing.
///
/// # Errors
/// The file cannot be read, or a line is not an entry.
pub fn list(path: &Path) -> Result<Vec<Entry>, Error> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(Error::Io { path: path.to_owned(), source }),
    };
    let entry = |(at, line): (usize, &str)| {
        let wrong = |reason| Error::Line { path: path.to_owned(), line: at + 1, reason };
        let entry: Entry = serde_json::from_str(line).map_err(|e| wrong(e.to_string()))?;
        let is_digest =
            entry.sha256.len() == 64 && entry.sha256.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'));
        if is_digest {
            Ok(entry)
        } else {
            Err(wrong("sha256 is not 64 lower-case hexadecimal digits".into()))
        }
    };
    text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).map(entry).collect()
}

/// Makes a key and adds it to the file; the file is made, readable by its owner only, where it is
/// missing. The key itself is only in what this gives: it is shown once and kept nowhere.
///
/// # Errors
/// The name is taken, or the file cannot be read or written.
pub fn add(path: &Path, name: Name, scopes: Vec<Scope>) -> Result<String, Error> {
    add_limited(path, name, scopes, None)
}

/// [`add`], with limits of its own.
///
/// # Errors
/// As [`add`].
pub fn add_limited(
    path: &Path,
    name: Name,
    scopes: Vec<Scope>,
    rate: Option<rate::Own>,
) -> Result<String, Error> {
    let _turn = turn(path)?;
    let mut entries = list(path)?;
    if entries.iter().any(|entry| entry.name == name) {
        return Err(Error::Exists(name));
    }
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|e| Error::Random(e.to_string()))?;
    let key = format!("limpid_{}", URL_SAFE_NO_PAD.encode(bytes));
    entries.push(Entry { name, scopes, sha256: digest(&key), created_at: Timestamp::now(), rate });
    save(path, &entries)?;
    Ok(key)
}

/// Takes the key of this name out of the file.
///
/// # Errors
/// There is none, or the file cannot be read or written.
pub fn remove(path: &Path, name: &Name) -> Result<(), Error> {
    let _turn = turn(path)?;
    let mut entries = list(path)?;
    let before = entries.len();
    entries.retain(|entry| entry.name != *name);
    if entries.len() == before {
        return Err(Error::Unknown(name.clone()));
    }
    save(path, &entries)
}

/// Waits until no other program changes the file, and keeps others from it until the result is dropped. The key file itself is
/// replaced by each change, so the lock is that of a file beside it.
fn turn(path: &Path) -> Result<File, Error> {
    let lock = path.with_added_extension("lock");
    let locked = File::create(&lock).and_then(|file| file.lock().map(|()| file));
    locked.map_err(|source| Error::Io { path: lock, source })
}

/// Writes beside the file and renames, so that a reader sees the old entries or the new ones.
fn save(path: &Path, entries: &[Entry]) -> Result<(), Error> {
    let io = |source| Error::Io { path: path.to_owned(), source };
    let fill = |file: &mut File| {
        // Private while it is still empty.
        #[cfg(unix)]
        file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
        for entry in entries {
            let line = serde_json::to_string(entry).expect("an entry holds only text");
            writeln!(file, "{line}")?;
        }
        Ok(())
    };
    file::replace(path, Flush::Now, fill).map_err(io)
}

fn digest(key: &str) -> String {
    hex(Sha256::digest(key.as_bytes()))
}

/// Paths of the keys of a service.
#[derive(Debug, Clone, Default)]
pub struct Source {
    /// Key file; none where nothing is kept.
    pub file: Option<PathBuf>,
    /// `true` if a setting names the key file, which must then hold a key.
    pub is_configured: bool,
    /// Record of earlier keys.
    pub lock: Lock,
}

impl Source {
    /// A key file that may be missing, without a record of earlier keys.
    pub fn optional(file: PathBuf) -> Self {
        Self { file: Some(file), ..Self::default() }
    }

    /// Reads the entries. A key file that is there, or was there once, has to hold one.
    fn read(&self) -> Result<Vec<Entry>, Error> {
        let Some(file) = &self.file else { return Ok(Vec::new()) };
        let entries = list(file)?;
        let is_there = file.exists();
        if self.is_configured && !is_there {
            return Err(Error::Missing(file.clone()));
        }
        if entries.is_empty() && (is_there || self.lock.is_set()) {
            return Err(Error::Locked(file.clone()));
        }
        Ok(entries)
    }

    /// Forgets that the service ever had keys, so that its next start lets everyone in.
    ///
    /// # Errors
    /// There are keys still, a setting names the key file, or the file or the lock cannot be removed.
    pub fn unlock(&self) -> Result<(), Error> {
        if let Some(file) = &self.file {
            let count = list(file)?.len();
            if count > 0 {
                return Err(Error::InUse { path: file.clone(), count });
            }
            remove_file(file)?;
        }
        self.lock.clear()
    }
}

/// Removes a file, if it is there.
fn remove_file(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(Error::Io { path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
