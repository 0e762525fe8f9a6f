//! Space: a file that is kept in reserve, and given up when the disk is full.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// Bytes in reserve: enough for thousands of rows.
const BYTES: u64 = 16 << 20;

/// The reserve of one folder's disk.
#[derive(Debug, Clone)]
pub struct Reserve {
    file: PathBuf,
}

impl Reserve {
    /// The reserve in `folder`; see [`Reserve::restore`].
    pub fn new(folder: &Path) -> Self {
        Self { file: folder.join("reserve") }
    }

    /// Whether the reserve is there: it was not given up, or the disk had room to make it again.
    pub fn is_there(&self) -> bool {
        fs::metadata(&self.file).is_ok_and(|about| about.len() == BYTES)
    }

    /// Gives the reserve up, so that what must be written can be. Whether there was one.
    pub fn release(&self) -> bool {
        let is_released = fs::remove_file(&self.file).is_ok();
        if is_released {
            tracing::error!(bytes = BYTES, "the disk is full: the reserve is given up; make room");
        }
        is_released
    }

    /// Makes the reserve where it is missing and the disk has room for it twice. Whether it is there.
    ///
    /// # Errors
    /// The disk says no.
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

    /// Bytes that are free on this disk.
    ///
    /// # Errors
    /// The system does not tell.
    #[cfg(unix)]
    pub fn free(&self) -> io::Result<u64> {
        let about = rustix::fs::statvfs(self.file.parent().unwrap_or(Path::new(".")))?;
        Ok(about.f_bavail.saturating_mul(about.f_frsize))
    }

    /// Bytes that are free on this disk: not told here, so writing alone finds out.
    #[cfg(not(unix))]
    pub fn free(&self) -> io::Result<u64> {
        Ok(u64::MAX)
    }
}

/// Gives a file its blocks: one with holes reserves nothing.
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
