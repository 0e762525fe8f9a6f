//! Reserved disk space: a file that is deleted when the disk is full.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// Size of the reserve in bytes: enough for thousands of rows.
const BYTES: u64 = 16 << 20;

/// Reserved space on the disk of one folder.
#[derive(Debug, Clone)]
pub struct Reserve {
    file: PathBuf,
}

impl Reserve {
    /// Describes the reserve in `folder`; [`Reserve::restore`] creates it.
    pub fn new(folder: &Path) -> Self {
        Self { file: folder.join("reserve") }
    }

    /// Returns `true` if the reserve exists: it was not released, or the disk had room to create it again.
    pub fn is_there(&self) -> bool {
        fs::metadata(&self.file).is_ok_and(|about| about.len() == BYTES)
    }

    /// Deletes the reserve, so that essential data can be written. Returns `true` if there was one.
    pub fn release(&self) -> bool {
        let is_released = fs::remove_file(&self.file).is_ok();
        if is_released {
            tracing::error!(bytes = BYTES, "the disk is full: the reserve is given up; make room");
        }
        is_released
    }

    /// Creates the reserve if it is missing and the disk has room for it twice. Returns `true` if it exists.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn restore(&self) -> io::Result<bool> {
        if self.is_there() {
            return Ok(true);
        }
        if self.free()? < 2 * BYTES {
            return Ok(false);
        }
        let file = File::create(&self.file)?;
        if let Err(error) = fill(&file) {
            let _ = fs::remove_file(&self.file);
            return Err(error);
        }
        Ok(true)
    }

    /// Number of free bytes on this disk.
    ///
    /// # Errors
    /// The system call fails.
    #[cfg(unix)]
    pub fn free(&self) -> io::Result<u64> {
        let about = rustix::fs::statvfs(self.file.parent().unwrap_or(Path::new(".")))?;
        Ok(about.f_bavail.saturating_mul(about.f_frsize))
    }

    /// Number of free bytes on this disk: unknown on this platform, so only writing shows if there is room.
    #[cfg(not(unix))]
    pub fn free(&self) -> io::Result<u64> {
        Ok(u64::MAX)
    }
}

/// Allocates the blocks of a file: a sparse file reserves nothing.
fn fill(file: &File) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    if rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), 0, BYTES).is_ok() {
        return Ok(());
    }
    let mut file = file;
    let zeros = vec![0; 1 << 20];
    (0..BYTES >> 20).try_for_each(|_| file.write_all(&zeros)).and_then(|()| file.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reserve_is_made_given_up_and_made_again() {
        let folder = tempfile::tempdir().unwrap();
        let reserve = Reserve::new(folder.path());
        assert!(!reserve.release());
        assert!(reserve.restore().unwrap() && reserve.is_there());
        assert!(reserve.release() && !reserve.is_there());
        assert!(reserve.restore().unwrap());
    }
}
