//! The keys of a running service, read again when their file changes.

use std::fs;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use super::{Entry, Error, Lock, Source, digest, list};

/// Time between two looks at the file.
pub(super) const CHECK_EVERY: Duration = Duration::from_secs(1);

/// The keys of a running service.
#[derive(Debug)]
pub struct Keys {
    source: Source,
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

impl State {
    /// Takes new entries over; the first ones lock the service, also for later starts.
    fn take(&mut self, entries: Vec<Entry>, lock: &Lock) {
        if !entries.is_empty() {
            self.is_locked = true;
            lock.set();
        }
        self.entries = entries;
    }
}

impl Keys {
    /// Reads the key file, if there is one.
    ///
    /// # Errors
    /// The file cannot be read, or a line is not an entry; it is configured and missing; it holds no key though there were keys
    /// before: a service that is set to check keys must not start without them.
    pub fn open(source: Source) -> Result<Self, Error> {
        let stamp = source.file.as_deref().and_then(stamp);
        let mut state = State { entries: Vec::new(), is_locked: false, stamp, checked: Instant::now() };
        state.take(source.read()?, &source.lock);
        Ok(Self { source, state: Mutex::new(state) })
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
        if let Some(file) = self.source.file.as_deref().filter(|_| state.checked.elapsed() >= CHECK_EVERY) {
            state.checked = Instant::now();
            let seen = stamp(file);
            if seen != state.stamp {
                match list(file) {
                    Ok(entries) => {
                        tracing::info!(keys = entries.len(), "key file read again");
                        state.take(entries, &self.source.lock);
                        state.stamp = seen;
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
