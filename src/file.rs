//! Files that are whole or absent: written under a name of their own, then renamed to their place.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// Time by which a written file must be on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flush {
    /// Before it gets its name, so that it outlives a power cut.
    Now,
    /// Whenever the system writes its cache.
    Later,
}

/// A file under construction; removed when dropped before [`Part::place`] succeeded.
#[derive(Debug)]
pub struct Part {
    path: PathBuf,
    /// The open file.
    pub file: File,
}

impl Part {
    /// Creates an empty file in `folder`, hidden and under a name that no other process uses.
    ///
    /// # Errors
    /// Error of the disk.
    pub fn create(folder: &Path) -> io::Result<Self> {
        let path = folder.join(format!(".{}.part", uuid::Uuid::now_v7().simple()));
        Ok(Self { file: File::create_new(&path)?, path })
    }

    /// Renames the file to `place`, in the same folder, where it replaces an earlier file.
    ///
    /// # Errors
    /// Error of the disk; an earlier file stays as it was.
    pub fn place(self, place: &Path, flush: Flush) -> io::Result<()> {
        if flush == Flush::Now {
            self.file.sync_all()?;
        }
        fs::rename(&self.path, place)?;
        match flush {
            Flush::Now => sync_folder(folder_of(place)),
            Flush::Later => Ok(()),
        }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // After a rename there is nothing to remove.
        let _ = fs::remove_file(&self.path);
    }
}

/// Replaces the file at `place` by the bytes that `fill` writes; its folder must exist.
///
/// # Errors
/// Error of `fill` or of the disk; an earlier file stays as it was.
pub fn replace(place: &Path, flush: Flush, fill: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let mut part = Part::create(folder_of(place))?;
    fill(&mut part.file)?;
    part.place(place, flush)
}

/// Makes the names in a folder durable.
///
/// # Errors
/// Error of the disk.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn folder_of(place: &Path) -> &Path {
    place.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn a_failed_write_leaves_the_earlier_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("a");
        replace(&place, Flush::Now, |file| file.write_all(b"first")).unwrap();
        let failed = replace(&place, Flush::Now, |file| {
            file.write_all(b"second")?;
            Err(io::Error::other("no"))
        });
        assert_eq!(failed.unwrap_err().to_string(), "no");
        assert_eq!(fs::read(&place).unwrap(), b"first");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        replace(&place, Flush::Later, |file| file.write_all(b"third")).unwrap();
        assert_eq!(fs::read(&place).unwrap(), b"third");
    }
}
