//! Watching of folders: files that appear or change are processed once they are complete.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime};

use crate::cli::interrupt::Interrupt;
use crate::cli::source::{Source, tell_apart};

/// Interval between two looks at the folders. A file counts as complete when two looks find it unchanged: scanners and cameras
/// write for some seconds. Notifications of the file system are not used, because network folders do not send them.
const INTERVAL: Duration = Duration::from_secs(1);

/// Size and modification time of a file.
type Stamp = (u64, Option<SystemTime>);

/// State of watched files.
pub(super) struct Watch {
    /// Files that were processed, with their stamps at that time.
    done: HashMap<PathBuf, Stamp>,
    /// Files that were new or changed at the last look.
    pending: HashMap<PathBuf, Stamp>,
}

impl Watch {
    /// Creates the state in which `sources`, as they are now, count as processed.
    pub(super) fn new(sources: &[Source]) -> Self {
        let paths = sources.iter().filter_map(|source| source.path.clone());
        let done = paths.filter_map(|path| stamp(&path).map(|stamp| (path, stamp)));
        Self { done: done.collect(), pending: HashMap::new() }
    }

    /// Processes complete files that are new or changed, until Ctrl-C. `look` lists all files of the folders.
    pub(super) fn follow(mut self, look: impl Fn() -> Vec<Source>, process: impl Fn(&[Source])) {
        let interrupt = Interrupt::listen();
        eprintln!("watching for new files; Ctrl-C ends");
        while !interrupt.is_asked() {
            let complete = self.complete(look());
            if complete.is_empty() {
                thread::sleep(INTERVAL);
            } else {
                process(&complete);
            }
        }
    }

    /// Returns the files that are new or changed since they were processed, and unchanged since the last call.
    fn complete(&mut self, mut sources: Vec<Source>) -> Vec<Source> {
        tell_apart(&mut sources);
        let mut pending = HashMap::new();
        let mut complete = Vec::new();
        for mut source in sources {
            let Some(path) = source.path.clone() else { continue };
            let Some(now) = stamp(&path) else { continue };
            let before = self.done.get(&path);
            if before == Some(&now) {
                continue;
            }
            if self.pending.get(&path) == Some(&now) {
                source.is_changed = before.is_some();
                self.done.insert(path, now);
                complete.push(source);
            } else {
                pending.insert(path, now);
            }
        }
        self.pending = pending;
        complete
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let about = fs::metadata(path).ok()?;
    Some((about.len(), about.modified().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_processed_once_it_is_complete_and_again_when_it_changed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        let look = || vec![Source::new(Some(path.clone()), "a.png".into())];
        let mut watch = Watch::new(&[]);
        let names = |watch: &mut Watch| -> Vec<bool> {
            watch.complete(look()).iter().map(|source| source.is_changed).collect()
        };
        assert!(names(&mut watch).is_empty(), "not there");
        fs::write(&path, "half").unwrap();
        assert!(names(&mut watch).is_empty(), "just seen");
        fs::write(&path, "half and more").unwrap();
        assert!(names(&mut watch).is_empty(), "still growing");
        assert_eq!(names(&mut watch), [false]);
        assert!(names(&mut watch).is_empty(), "done");
        fs::write(&path, "another content").unwrap();
        assert!(names(&mut watch).is_empty());
        assert_eq!(names(&mut watch), [true]);
    }

    #[test]
    fn files_that_were_there_at_the_start_are_done() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        fs::write(&path, "whole").unwrap();
        let source = Source::new(Some(path), "a.png".into());
        let mut watch = Watch::new(std::slice::from_ref(&source));
        assert!(watch.complete(vec![source.clone()]).is_empty());
        assert!(watch.complete(vec![source]).is_empty());
    }
}
