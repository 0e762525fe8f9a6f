//! Backups: a data folder as one tar, and a data folder made of one.
//!
//! The database is a snapshot taken before, so the files in the folder are as new or newer; files that a running service removes
//! meanwhile are left out. The last entry holds the number of files before it, so that a truncated backup is detected.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};
use walkdir::WalkDir;

/// Name of the database in a backup and in a data folder.
pub const DATABASE: &str = "limpid.db";
/// Name of the file of API keys.
pub const KEYS: &str = "keys.jsonl";
/// Marker of a service that has keys.
pub const LOCK: &str = "keys.required";

/// Folders of a data folder whose files are kept.
const FOLDERS: [&str; 5] = ["models", "samples", "checkpoints", "noise-profiles", "indexes"];
/// Name of the last entry.
const SUMMARY: &str = "backup.json";
/// Longest summary that is read, bytes.
const SUMMARY_BYTES: u64 = 4096;

/// Error of a backup or a restoration.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Error of the system.
        source: io::Error,
    },
    /// A data folder holds something that a tar of files cannot.
    #[error("{0} is neither a file nor a folder, and cannot be kept; move it away")]
    Kind(PathBuf),
    /// A file is no backup, or not a whole one.
    #[error("this is no whole backup of Limpid: {0}")]
    Invalid(String),
    /// The folder to restore into is in use.
    #[error("{0} is not empty; restore into a new folder (--data-dir DIR)")]
    NotEmpty(PathBuf),
}

/// Contents of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Version of the program that made it.
    pub limpid: String,
    /// Number of files.
    pub files: u64,
    /// Bytes of all files.
    pub bytes: u64,
}

/// Writes the data folder `root` to `out` as a tar: `database` and `keys`, where they exist, and the files of `models`,
/// `samples`, `checkpoints`, `noise-profiles` and `indexes`.
///
/// # Errors
/// A file cannot be read or the tar cannot be written; something in the folder is neither a file nor a folder.
pub fn write(root: &Path, database: &Path, keys: Option<&Path>, out: impl Write) -> Result<Summary, Error> {
    let mut tar = tar::Builder::new(out);
    let mut summary = Summary { limpid: env!("CARGO_PKG_VERSION").into(), files: 0, bytes: 0 };
    let lock = root.join(LOCK);
    let single = [(Some(database), DATABASE), (keys, KEYS), (Some(&lock), LOCK)];
    for (path, name) in single.into_iter().filter_map(|(path, name)| Some((path?, name))) {
        append(&mut tar, path, Path::new(name), &mut summary)?;
    }
    for folder in FOLDERS.map(|name| root.join(name)).into_iter().filter(|folder| folder.exists()) {
        for entry in WalkDir::new(&folder).sort_by_file_name() {
            let entry = match entry {
                // A running service removes samples and versions.
                Err(error) if error.io_error().is_some_and(|e| e.kind() == io::ErrorKind::NotFound) => {
                    continue;
                }
                entry => entry.map_err(|e| Error::Io { path: folder.clone(), source: e.into() })?,
            };
            let name = entry.path().strip_prefix(root).unwrap_or(entry.path());
            match entry.file_type() {
                kind if kind.is_dir() || is_part(name) => {}
                kind if kind.is_file() => append(&mut tar, entry.path(), name, &mut summary)?,
                _ => return Err(Error::Kind(entry.path().to_owned())),
            }
        }
    }
    let text = serde_json::to_vec(&summary).expect("a summary holds text and numbers");
    let written = tar.append_data(&mut header(text.len() as u64), SUMMARY, text.as_slice());
    written.and_then(|()| tar.into_inner()?.flush()).map_err(io_error(SUMMARY))?;
    Ok(summary)
}

/// Returns `true` for an upload that is still being received.
fn is_part(name: &Path) -> bool {
    name.starts_with("samples")
        && name.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'))
}

/// Appends a file, if it is still there.
fn append(
    tar: &mut tar::Builder<impl Write>,
    path: &Path,
    name: &Path,
    summary: &mut Summary,
) -> Result<(), Error> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        file => file.map_err(io_error(path))?,
    };
    let bytes = file.metadata().map_err(io_error(path))?.len();
    tar.append_data(&mut header(bytes), name, file.take(bytes)).map_err(io_error(path))?;
    summary.files += 1;
    summary.bytes += bytes;
    Ok(())
}

fn header(bytes: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes);
    header.set_mode(0o600);
    header.set_entry_type(tar::EntryType::Regular);
    header
}

/// Restores the data folder `root` from a backup. The database is renamed into place last, so that a folder that was restored in
/// part has none.
///
/// # Errors
/// The folder is not empty or cannot be written; the file is no whole backup. What was written is removed again.
pub fn read(file: impl Read, root: &Path) -> Result<Summary, Error> {
    let is_foreign = |entry: &fs::DirEntry| entry.file_name() != "lost+found";
    let is_used = fs::read_dir(root).is_ok_and(|entries| entries.flatten().any(|entry| is_foreign(&entry)));
    if is_used {
        return Err(Error::NotEmpty(root.to_owned()));
    }
    fs::create_dir_all(root).map_err(io_error(root))?;
    let restored = unpack(file, root);
    if restored.is_err() {
        for name in FOLDERS {
            let _ = fs::remove_dir_all(root.join(name));
        }
        for name in [part(root), root.join(KEYS), root.join(LOCK)] {
            let _ = fs::remove_file(name);
        }
    }
    restored
}

/// Path of a database that is not yet whole.
fn part(root: &Path) -> PathBuf {
    root.join("limpid.db.part")
}

fn unpack(file: impl Read, root: &Path) -> Result<Summary, Error> {
    let invalid = |reason: String| Error::Invalid(reason);
    let (mut files, mut bytes) = (0, 0);
    for entry in tar::Archive::new(file).entries().map_err(|e| invalid(e.to_string()))? {
        let mut entry = entry.map_err(|e| invalid(e.to_string()))?;
        let name = entry.path().map_err(|e| invalid(e.to_string()))?.into_owned();
        if name == Path::new(SUMMARY) {
            let summary = parse(entry)?;
            if (summary.files, summary.bytes) != (files, bytes) {
                let (said, all) = (summary.files, summary.bytes);
                return Err(invalid(format!("it holds {files} files of {bytes} bytes, not {said} of {all}")));
            }
            return finish(root).map(|()| summary);
        }
        if !is_known(&name) || !entry.header().entry_type().is_file() {
            let shown: String = name.display().to_string().chars().take(80).collect();
            return Err(invalid(format!("{shown:?} has no place in it")));
        }
        let path = if name == Path::new(DATABASE) { part(root) } else { root.join(&name) };
        bytes += store(&mut entry, &path).map_err(io_error(&path))?;
        files += 1;
    }
    Err(invalid(format!("it ends before {SUMMARY}")))
}

fn parse(entry: impl Read) -> Result<Summary, Error> {
    let mut text = Vec::new();
    entry.take(SUMMARY_BYTES).read_to_end(&mut text).map_err(|e| Error::Invalid(e.to_string()))?;
    serde_json::from_slice(&text).map_err(|e| Error::Invalid(format!("{SUMMARY}: {e}")))
}

/// Returns `true` if a backup may hold a file of this name; no other is written.
fn is_known(name: &Path) -> bool {
    let is_plain = name.components().all(|part| matches!(part, Component::Normal(_)));
    let is_single = [DATABASE, KEYS, LOCK].iter().any(|single| name == Path::new(single));
    is_single
        || is_plain && name.components().count() > 1 && FOLDERS.iter().any(|folder| name.starts_with(folder))
}

/// Writes one file through to the disk, readable by its owner alone; its size.
fn store(entry: &mut impl Read, path: &Path) -> io::Result<u64> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    let bytes = io::copy(entry, &mut file)?;
    file.sync_all()?;
    Ok(bytes)
}

/// Gives the database its name.
fn finish(root: &Path) -> Result<(), Error> {
    let (part, whole) = (part(root), root.join(DATABASE));
    if !part.exists() {
        return Err(Error::Invalid(format!("{DATABASE} is missing")));
    }
    fs::rename(&part, &whole).and_then(|()| File::open(root)?.sync_all()).map_err(io_error(&whole))
}

fn io_error(path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Error {
    let path = path.as_ref().to_owned();
    move |source| Error::Io { path, source }
}

#[cfg(test)]
mod tests;
