//! API keys: access to the service, kept as hashes in a file that is read again when it changes.
//!
//! A key is 256 random bits, so one SHA-256 is as good as a slow hash: there is nothing to guess. The
//! file holds one JSON object a line, and people may edit it.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::name::Name;

/// Interval between two checks of the file for changes.
const CHECK_EVERY: Duration = Duration::from_secs(1);

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
    let mut entries = list(path)?;
    if entries.iter().any(|entry| entry.name == name) {
        return Err(Error::Exists(name));
    }
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|e| Error::Random(e.to_string()))?;
    let key = format!("limpid_{}", URL_SAFE_NO_PAD.encode(bytes));
    entries.push(Entry { name, scopes, sha256: digest(&key), created_at: Timestamp::now() });
    save(path, &entries)?;
    Ok(key)
}

/// Takes the key of this name out of the file.
///
/// # Errors
/// There is none, or the file cannot be read or written.
pub fn remove(path: &Path, name: &Name) -> Result<(), Error> {
    let mut entries = list(path)?;
    let before = entries.len();
    entries.retain(|entry| entry.name != *name);
    if entries.len() == before {
        return Err(Error::Unknown(name.clone()));
    }
    save(path, &entries)
}

/// Writes beside the file and renames, so that a reader sees the old entries or the new ones.
fn save(path: &Path, entries: &[Entry]) -> Result<(), Error> {
    let io = |source| Error::Io { path: path.to_owned(), source };
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&beside).map_err(io)?;
    for entry in entries {
        let line = serde_json::to_string(entry).expect("an entry holds only text");
        writeln!(file, "{line}").map_err(io)?;
    }
    file.sync_all().map_err(io)?;
    fs::rename(&beside, path).map_err(io)
}

fn digest(key: &str) -> String {
    Sha256::digest(key.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The keys of a running service.
#[derive(Debug)]
pub struct Keys {
    file: Option<PathBuf>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    entries: Vec<Entry>,
    /// `true` once there was a key: removing the last one must not give access to all.
    is_locked: bool,
    stamp: Option<(SystemTime, u64)>,
    checked: Instant,
}

impl Keys {
    /// Reads the key file, if one is configured.
    ///
    /// # Errors
    /// It cannot be read, or a line is not an entry: a service that is set to check keys must not
    /// start without them.
    pub fn open(file: Option<PathBuf>) -> Result<Self, Error> {
        let stamp = file.as_deref().and_then(stamp);
        let entries = file.as_deref().map(list).transpose()?.unwrap_or_default();
        let state = State { is_locked: !entries.is_empty(), entries, stamp, checked: Instant::now() };
        Ok(Self { file, state: Mutex::new(state) })
    }

    /// Returns `true` if no key is needed, because there is none and was none since the start.
    pub fn is_open(&self) -> bool {
        !self.current(|state| state.is_locked)
    }

    /// The entry of this key. All entries are compared, each in constant time.
    pub fn find(&self, key: &str) -> Option<Entry> {
        let digest = digest(key);
        self.current(|state| {
            let either =
                |found, entry: &'_ Entry| if entry.matches(&digest) { Some(entry.clone()) } else { found };
            state.entries.iter().fold(None, either)
        })
    }

    /// Calls `look` with the entries as the file has them, or had them a second ago.
    fn current<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = self.file.as_deref().filter(|_| state.checked.elapsed() >= CHECK_EVERY) {
            state.checked = Instant::now();
            let seen = stamp(file);
            if seen != state.stamp {
                match list(file) {
                    Ok(entries) => {
                        tracing::info!(keys = entries.len(), "key file read again");
                        state.is_locked |= !entries.is_empty();
                        (state.entries, state.stamp) = (entries, seen);
                    }
                    // A broken file must not lock everybody out, nor let anybody in.
                    Err(error) => tracing::error!(%error, "key file is broken; the keys read before stay"),
                }
            }
        }
        look(&state)
    }
}

/// Time and length of a file, which change with it.
fn stamp(file: &Path) -> Option<(SystemTime, u64)> {
    let about = fs::metadata(file).ok()?;
    Some((about.modified().ok()?, about.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    #[test]
    fn a_key_is_found_until_it_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        let key = add(&path, name("lab"), vec![Scope::Infer]).unwrap();
        assert!(key.starts_with("limpid_") && key.len() == 50, "{key}");
        let keys = Keys::open(Some(path.clone())).unwrap();
        assert_eq!(keys.find(&key).unwrap().name, name("lab"));
        assert!(keys.find("limpid_x").is_none() && !keys.is_open());

        remove(&path, &name("lab")).unwrap();
        std::thread::sleep(CHECK_EVERY);
        assert!(keys.find(&key).is_none());
        assert!(!keys.is_open(), "removing the last key must not open the door");
        assert!(Keys::open(Some(path)).unwrap().is_open());
    }

    #[test]
    fn the_file_never_holds_the_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        let key = add(&path, name("lab"), vec![Scope::Train]).unwrap();
        assert!(!fs::read_to_string(path).unwrap().contains(&key["limpid_".len()..]));
    }

    #[test]
    fn admin_includes_the_other_scopes() {
        let entry =
            |scopes| Entry { name: name("x"), scopes, sha256: String::new(), created_at: Timestamp::now() };
        assert!(entry(vec![Scope::Admin]).allows(Scope::Infer));
        assert!(!entry(vec![Scope::Infer]).allows(Scope::Train));
    }

    #[test]
    fn names_are_taken_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        add(&path, name("a"), vec![Scope::Infer]).unwrap();
        assert!(matches!(add(&path, name("a"), vec![]), Err(Error::Exists(_))));
        assert!(matches!(remove(&path, &name("b")), Err(Error::Unknown(_))));
    }

    #[test]
    fn a_broken_line_is_named_at_the_start_and_ignored_later() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        let key = add(&path, name("a"), vec![Scope::Infer]).unwrap();
        let keys = Keys::open(Some(path.clone())).unwrap();
        fs::write(&path, "\n{\"name\": \"a\"}\n").unwrap();
        std::thread::sleep(CHECK_EVERY);
        assert!(keys.find(&key).is_some(), "the keys read before stay");
        assert!(matches!(Keys::open(Some(path)), Err(Error::Line { line: 2, .. })));
    }
}
