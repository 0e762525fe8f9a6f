//! Indexes of latents by model and name, in the data folder: `indexes/MODEL/NAME.index`.

use std::collections::HashMap;
use std::fs;
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::SystemTime;

use crate::file::{self, Flush};
use crate::index::{self, Index};
use crate::memory;
use crate::name::Name;

/// Share of the memory that indexes may take to stay in it.
const KEPT_SHARE: usize = 8;

/// Stored indexes.
#[derive(Debug, Clone)]
pub struct Indexes {
    folder: PathBuf,
}

/// Error of stored indexes.
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
    /// The index itself.
    #[error(transparent)]
    Index(#[from] index::Error),
}

/// State of a file, which changes whenever it is replaced.
type Stamp = (u64, Option<SystemTime>);

/// Indexes in memory, with the state of their file and the time of their last use.
type Kept = HashMap<PathBuf, (Stamp, u64, Arc<Index>)>;

static KEPT: LazyLock<Mutex<Kept>> = LazyLock::new(Mutex::default);
/// Serializes the changes of this process.
static TURN: Mutex<()> = Mutex::new(());

impl Indexes {
    /// Returns the indexes in a data folder, which need not exist yet.
    pub fn of(data: &Path) -> Self {
        Self { folder: data.join("indexes") }
    }

    /// Returns the names of the indexes of a model, in order.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn list(&self, model: &Name) -> Result<Vec<Name>, Error> {
        let folder = self.folder.join(model.as_str());
        let entries = match fs::read_dir(&folder) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(fault(&folder))?,
        };
        let mut names = Vec::new();
        for entry in entries {
            let name = entry.map_err(fault(&folder))?.file_name();
            let stem = name.to_str().and_then(|name| name.strip_suffix(".index"));
            names.extend(stem.and_then(|stem| stem.parse::<Name>().ok()));
        }
        names.sort();
        Ok(names)
    }

    /// Returns the size of an index's file in bytes; `None` if there is none of this name.
    ///
    /// # Errors
    /// The file cannot be looked at.
    pub fn file_bytes(&self, model: &Name, name: &Name) -> Result<Option<u64>, Error> {
        Ok(stamp(&self.path(model, name))?.map(|(bytes, _)| bytes))
    }

    /// Returns an index; `None` if there is none of this name. Indexes that were used last stay in memory.
    ///
    /// # Errors
    /// The file cannot be read, or is damaged.
    pub fn get(&self, model: &Name, name: &Name) -> Result<Option<Arc<Index>>, Error> {
        let path = self.path(model, name);
        let Some(now) = stamp(&path)? else { return Ok(None) };
        if let Some(kept) = recall(&path, now) {
            return Ok(Some(kept));
        }
        if now.0 > Index::MOST_FILE_BYTES {
            return Err(index::Error::Damaged(format!("it has {} bytes", now.0)).into());
        }
        let bytes = fs::read(&path).map_err(fault(&path))?;
        let index = Arc::new(Index::parse(&bytes)?);
        keep(path, now, &index);
        Ok(Some(index))
    }

    /// Changes an index, or makes one: `change` gets that which is there, if any, and returns the new one, with its own result. The file
    /// is replaced as a whole, and searches go on in the index before.
    ///
    /// # Errors
    /// Errors of `change`, or of the disk; the index before stays.
    pub fn update<T, E: From<Error>>(
        &self,
        model: &Name,
        name: &Name,
        change: impl FnOnce(Option<Arc<Index>>) -> Result<(Index, T), E>,
    ) -> Result<T, E> {
        let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let (index, result) = change(self.get(model, name)?)?;
        let path = self.path(model, name);
        let folder = self.folder.join(model.as_str());
        fs::create_dir_all(&folder).map_err(fault(&folder))?;
        let written = file::replace(&path, Flush::Now, |file| {
            let mut out = BufWriter::new(file);
            index.write(&mut out)?;
            out.flush()
        });
        written.map_err(fault(&path))?;
        if let Some(now) = stamp(&path)? {
            keep(path, now, &Arc::new(index));
        }
        Ok(result)
    }

    /// Removes an index; returns `false` if there is none of this name.
    ///
    /// # Errors
    /// The file cannot be removed.
    pub fn remove(&self, model: &Name, name: &Name) -> Result<bool, Error> {
        let path = self.path(model, name);
        lock().remove(&path);
        match fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(source) => Err(Error::Io { path, source }),
        }
    }

    fn path(&self, model: &Name, name: &Name) -> PathBuf {
        self.folder.join(model.as_str()).join(format!("{name}.index"))
    }
}

impl Error {
    /// Returns `true` if the disk is full.
    pub fn is_disk_full(&self) -> bool {
        matches!(self, Error::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull)
    }
}

fn lock() -> std::sync::MutexGuard<'static, Kept> {
    KEPT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns the index of a file in this state, if it is in memory.
fn recall(path: &Path, now: Stamp) -> Option<Arc<Index>> {
    let mut kept = lock();
    let turn = 1 + kept.values().map(|(_, turn, _)| *turn).max().unwrap_or(0);
    let (stamp, last, index) = kept.get_mut(path)?;
    *last = turn;
    (*stamp == now).then(|| Arc::clone(index))
}

/// Keeps an index in memory, in place of those that were used longest ago.
fn keep(path: PathBuf, now: Stamp, index: &Arc<Index>) {
    let mut kept = lock();
    let turn = 1 + kept.values().map(|(_, turn, _)| *turn).max().unwrap_or(0);
    kept.insert(path, (now, turn, Arc::clone(index)));
    let most = memory::limit() / KEPT_SHARE;
    while kept.values().map(|(_, _, index)| index.bytes()).sum::<usize>() > most {
        let Some(oldest) = kept.iter().min_by_key(|(_, (_, turn, _))| *turn).map(|(path, _)| path.clone())
        else {
            return;
        };
        kept.remove(&oldest);
    }
}

fn stamp(path: &Path) -> Result<Option<Stamp>, Error> {
    match fs::metadata(path) {
        Ok(about) => Ok(Some((about.len(), about.modified().ok()))),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(fault(path)(e)),
    }
}

fn fault(path: &Path) -> impl Fn(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { path: path.clone(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(names: &[&str]) -> Index {
        let mut index = Index::new([1; 32], 1);
        names.iter().enumerate().for_each(|(i, name)| index.add(name, &[i as f32]).unwrap());
        index
    }

    #[test]
    fn an_index_is_kept_added_to_and_removed() {
        let folder = tempfile::tempdir().unwrap();
        let (indexes, model, name) =
            (Indexes::of(folder.path()), "m".parse().unwrap(), "faces".parse().unwrap());
        assert!(indexes.get(&model, &name).unwrap().is_none() && indexes.list(&model).unwrap().is_empty());
        let put = |names: &'static [&str]| {
            indexes.update(&model, &name, |before| {
                Ok::<_, Error>((index(names), before.map_or(0, |before| before.len())))
            })
        };
        assert_eq!(put(&["a"]).unwrap(), 0);
        let first = indexes.get(&model, &name).unwrap().unwrap();
        assert_eq!(put(&["a", "b"]).unwrap(), 1);
        // A search that began before the change still finds the old vectors.
        assert_eq!((first.len(), indexes.get(&model, &name).unwrap().unwrap().len()), (1, 2));
        assert_eq!(indexes.list(&model).unwrap(), std::slice::from_ref(&name));
        // Another process replaces the file.
        let path = folder.path().join("indexes/m/faces.index");
        let mut bytes = Vec::new();
        index(&["x", "y", "z"]).write(&mut bytes).unwrap();
        fs::write(&path, &bytes).unwrap();
        assert_eq!(indexes.get(&model, &name).unwrap().unwrap().len(), 3);
        bytes[60] ^= 1;
        bytes.push(0);
        fs::write(&path, &bytes).unwrap();
        assert!(indexes.get(&model, &name).unwrap_err().to_string().contains("damaged"));
        assert!(indexes.remove(&model, &name).unwrap() && !indexes.remove(&model, &name).unwrap());
        assert!(indexes.get(&model, &name).unwrap().is_none());
    }

    #[test]
    fn a_failed_change_leaves_the_index_before() {
        let folder = tempfile::tempdir().unwrap();
        let (indexes, model, name) = (Indexes::of(folder.path()), "m".parse().unwrap(), "a".parse().unwrap());
        indexes.update(&model, &name, |_| Ok::<_, Error>((index(&["a"]), ()))).unwrap();
        let full: Error = index::Error::Full(1).into();
        assert!(indexes.update::<(), Error>(&model, &name, |_| Err(full)).is_err());
        assert_eq!(indexes.get(&model, &name).unwrap().unwrap().len(), 1);
    }
}
