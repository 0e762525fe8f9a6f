//! Lock: a file in the data folder that says that a service once had API keys.
//!
//! Key files get lost: a typo in a path, a secret that is not mounted, the last key removed. Without this record, the next start
//! would serve everyone.

use std::fs;
use std::path::PathBuf;

use super::{Error, remove_file};

/// Text of the file.
const TEXT: &str = "This service has had API keys and does not start without them.\n\
                    `limpid keys unlock` removes this file, so that everyone is let in.\n";

/// The lock of a data folder; without a folder, nothing is remembered.
#[derive(Debug, Clone, Default)]
pub struct Lock(Option<PathBuf>);

impl Lock {
    /// The lock in this file.
    pub fn new(file: Option<PathBuf>) -> Self {
        Self(file)
    }

    /// Returns `true` if the service once had keys. A file that cannot be examined counts as set.
    pub(super) fn is_set(&self) -> bool {
        self.0.as_deref().is_some_and(|file| file.try_exists().unwrap_or(true))
    }

    /// Records that the service has keys.
    pub(super) fn set(&self) {
        let Some(file) = self.0.as_deref().filter(|_| !self.is_set()) else { return };
        let written = file.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(file, TEXT));
        if let Err(error) = written {
            let path = file.display();
            tracing::warn!(%path, %error, "a later start without keys would let everyone in");
        }
    }

    /// Removes the record.
    pub(super) fn clear(&self) -> Result<(), Error> {
        self.0.as_deref().map_or(Ok(()), remove_file)
    }
}
