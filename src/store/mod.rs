//! Store: uploaded files by their content, checkpoints by their job, and reserved space for a full disk.
//!
//! All files are below one folder, which several machines may share. A file is written under a temporary name, synced to disk
//! and renamed: it is complete or absent. Stored files are named by their SHA-256, never by a name that a client chose.

pub mod backup;
mod space;

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use sha2::{Digest as _, Sha256};

use crate::file::{Flush, Part};
use crate::hex::hex;

pub use space::Reserve;

/// Maximum age of partial uploads, and of files that no job has requested.
const PART_AGE: Duration = Duration::from_secs(24 * 3600);

/// Need for a stored file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// A job needs it.
    Wanted,
    /// The jobs that needed it have ended.
    Over,
    /// No known job has requested it: it may be one of the first files of a request that is still being sent.
    Never,
}

/// Stored file, identified by its content.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Blob {
    /// SHA-256, hexadecimal.
    pub sha256: String,
    /// Size in bytes.
    pub bytes: u64,
}

/// Storage folder. All calls may block on files.
#[derive(Debug)]
pub struct Store {
    root: PathBuf,
    /// Locked while an existing file is reused and while one is removed, so that a reused file is not removed.
    turn: Mutex<()>,
}

impl Store {
    /// Opens the folder, creating it if needed.
    ///
    /// # Errors
    /// The folder cannot be created.
    pub fn open(root: &Path) -> io::Result<Self> {
        for folder in ["samples", "checkpoints/jobs"] {
            fs::create_dir_all(root.join(folder))?;
        }
        Ok(Self { root: root.to_owned(), turn: Mutex::default() })
    }

    /// Root folder of the store.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Stores a stream of chunks; if a chunk is an error, nothing is stored.
    ///
    /// # Errors
    /// Error of the chunk, or of the disk.
    pub fn put<B: AsRef<[u8]>, E: From<io::Error>>(
        &self,
        chunks: impl IntoIterator<Item = Result<B, E>>,
    ) -> Result<Blob, E> {
        let part = Part::create(&self.samples())?;
        let (mut file, mut digest, mut bytes) = (&part.file, Sha256::new(), 0);
        for chunk in chunks {
            let chunk = chunk?;
            digest.update(chunk.as_ref());
            file.write_all(chunk.as_ref())?;
            bytes += chunk.as_ref().len() as u64;
        }
        let sha256 = hex(digest.finalize());
        let blob = Blob { sha256, bytes };

        let place = self.path(&blob.sha256);
        let turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        if is_whole(&place, bytes) {
            // Updates the modification time, so that the file is not removed before the job that needs it is known.
            File::options().append(true).open(&place)?.set_modified(SystemTime::now())?;
            return Ok(blob);
        }
        drop(turn);
        part.place(&place, Flush::Now)?;
        Ok(blob)
    }

    /// Path of the file with this SHA-256.
    pub fn path(&self, sha256: &str) -> PathBuf {
        self.samples().join(sha256)
    }

    /// Path of a job's checkpoint between two attempts.
    pub fn checkpoint(&self, job: &str) -> PathBuf {
        self.root.join("checkpoints/jobs").join(format!("{job}.safetensors"))
    }

    /// Removes files if their jobs have ended and they were stored longer than `age` ago, or if no job has requested
    /// them within a day. Returns the number of removed files.
    ///
    /// # Errors
    /// Errors of `claim`, which is called with a SHA-256, or the folder cannot be read.
    pub fn remove_unwanted<E: From<io::Error>>(
        &self,
        age: Duration,
        mut claim: impl FnMut(&str) -> Result<Claim, E>,
    ) -> Result<usize, E> {
        let mut removed = 0;
        for entry in fs::read_dir(self.samples())? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let claim = if name.starts_with('.') { Claim::Never } else { claim(&name)? };
            let age = match claim {
                Claim::Wanted => continue,
                Claim::Over => age,
                Claim::Never => PART_AGE,
            };
            let turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
            // It may have been uploaded again since `claim` was called.
            if is_older(&entry.path(), age) && fs::remove_file(entry.path()).is_ok() {
                removed += 1;
            }
            drop(turn);
        }
        Ok(removed)
    }

    /// Jobs that have a checkpoint.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn checkpoints(&self) -> io::Result<Vec<String>> {
        let mut jobs = Vec::new();
        for entry in fs::read_dir(self.root.join("checkpoints/jobs"))? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            jobs.extend(name.split_once('.').map(|(job, _)| job.to_owned()));
        }
        Ok(jobs)
    }

    /// Removes the files of a job, if there are any.
    pub fn forget(&self, job: &str) {
        let Ok(kept) = fs::read_dir(self.root.join("checkpoints/jobs")) else { return };
        for file in kept.flatten() {
            // The checkpoint, and a partial one left by a killed worker.
            if file.file_name().to_string_lossy().split('.').next() == Some(job) {
                let _ = fs::remove_file(file.path());
            }
        }
    }

    fn samples(&self) -> PathBuf {
        self.root.join("samples")
    }
}

fn is_whole(path: &Path, bytes: u64) -> bool {
    fs::metadata(path).is_ok_and(|about| about.len() == bytes)
}

fn is_older(path: &Path, age: Duration) -> bool {
    let modified = fs::metadata(path).and_then(|about| about.modified());
    modified.is_ok_and(|time| time.elapsed().is_ok_and(|since| since >= age))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        (folder, store)
    }

    fn put(store: &Store, text: &str) -> Blob {
        store.put::<_, io::Error>(text.as_bytes().chunks(2).map(Ok)).unwrap()
    }

    fn files(store: &Store) -> usize {
        fs::read_dir(store.samples()).unwrap().count()
    }

    #[test]
    fn content_is_stored_once_under_its_digest() {
        let (_folder, store) = store();
        let blob = put(&store, "abc");
        // Example of FIPS 180-2, appendix B.1.
        assert_eq!(blob.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!((put(&store, "abc"), files(&store)), (blob.clone(), 1));
        assert_eq!(fs::read(store.path(&blob.sha256)).unwrap(), b"abc");
    }

    #[test]
    fn what_breaks_off_leaves_nothing() {
        let (_folder, store) = store();
        let chunks = [Ok("abc"), Err(io::Error::other("gone"))];
        assert!(store.put(chunks).is_err());
        assert_eq!(files(&store), 0);
    }

    #[test]
    fn a_file_that_was_cut_is_written_anew() {
        let (_folder, store) = store();
        let blob = put(&store, "abcdef");
        fs::write(store.path(&blob.sha256), "abc").unwrap();
        put(&store, "abcdef");
        assert_eq!(fs::read(store.path(&blob.sha256)).unwrap(), b"abcdef");
    }

    #[test]
    fn a_job_that_is_forgotten_leaves_nothing_and_others_stay() {
        let (_folder, store) = store();
        let (own, other) = (store.checkpoint("a"), store.checkpoint("ab"));
        let half = own.with_extension("0.part");
        for path in [&own, &half, &other] {
            fs::write(path, "x").unwrap();
        }
        store.forget("a");
        assert_eq!([own, half, other].map(|path| path.exists()), [false, false, true]);
    }

    #[test]
    fn only_old_and_unwanted_files_go() {
        let (_folder, store) = store();
        let [wanted, over, new, old] = ["wanted", "over", "new", "old"].map(|text| put(&store, text));
        let old = store.path(&old.sha256);
        File::options().append(true).open(&old).unwrap().set_modified(SystemTime::now() - PART_AGE).unwrap();
        let claim = |sha256: &str| {
            Ok::<_, io::Error>(match sha256 {
                _ if sha256 == wanted.sha256 => Claim::Wanted,
                _ if sha256 == over.sha256 => Claim::Over,
                _ => Claim::Never,
            })
        };
        assert_eq!(store.remove_unwanted(Duration::from_secs(60), claim).unwrap(), 1);
        assert!(!old.exists() && store.path(&over.sha256).exists());
        assert_eq!(store.remove_unwanted(Duration::ZERO, claim).unwrap(), 1);
        assert!([wanted, new].iter().all(|blob| store.path(&blob.sha256).exists()));
    }
}
