//! Sources: input files of a command, and the names of their results in an output folder.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::fs;
use std::io::{self, Read as _};
use std::path::PathBuf;

use crate::codec::Format;

/// Input file.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// Path of the file; none is standard input.
    pub(super) path: Option<PathBuf>,
    /// Path relative to the named folder; the file name if the file itself was named.
    pub(super) below: PathBuf,
    /// Path of a result of another format below an output folder, without extension.
    stem: OsString,
    /// Path of a result of the same format: that of the file, or one with a number.
    own: PathBuf,
    /// `true` if it was processed before by this run, and has changed since.
    pub(super) is_changed: bool,
    /// Reason why it cannot be read, if already known.
    pub(super) fault: Option<String>,
}

impl Source {
    pub(super) fn new(path: Option<PathBuf>, below: PathBuf) -> Self {
        let stem = below.with_extension("").into_os_string();
        Self { path, own: below.clone(), below, stem, is_changed: false, fault: None }
    }

    /// Returns the path of the result with the format of `extension`.
    pub(super) fn result_name(&self, extension: &str) -> PathBuf {
        let own = self.own.extension().and_then(|ending| ending.to_str()).and_then(Format::from_extension);
        if own.is_some() && own == Format::from_extension(extension) {
            return self.own.clone();
        }
        let mut name = self.stem.clone();
        name.push(".");
        name.push(extension);
        name.into()
    }

    /// Returns the name for messages.
    pub fn name(&self) -> String {
        self.path.as_ref().map_or_else(|| "standard input".into(), |path| path.display().to_string())
    }

    /// Reads the whole file, of at most `most` bytes.
    pub(super) fn read(&self, most: usize) -> Result<Vec<u8>, String> {
        let over = |size: u64| format!("has {size} bytes, over the limit of {most}");
        let mut bytes = Vec::new();
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        match &self.path {
            Some(path) => {
                let size = fs::metadata(path).map_err(|e| e.to_string())?.len();
                if size > most as u64 {
                    return Err(over(size));
                }
                bytes = fs::read(path).map_err(|e| e.to_string())?;
            }
            None => {
                let stdin = io::stdin().lock().take(most as u64 + 1);
                { stdin }.read_to_end(&mut bytes).map_err(|e| e.to_string())?;
            }
        }
        if bytes.len() > most { Err(over(bytes.len() as u64)) } else { Ok(bytes) }
    }
}

/// Makes the names of results unique: inputs that differ only in their extension keep it in the names of results of another
/// format; inputs of the same name from several folders are numbered, with numbers that no input has.
pub(super) fn tell_apart(sources: &mut [Source]) {
    let mut stems: HashMap<OsString, usize> = HashMap::new();
    for source in sources.iter() {
        *stems.entry(source.stem.clone()).or_default() += 1;
    }
    let names: HashSet<PathBuf> = sources.iter().map(|source| source.below.clone()).collect();
    let mut taken: HashSet<PathBuf> = HashSet::new();
    for source in sources.iter_mut() {
        let mut number = 1;
        while !taken.insert(source.own.clone()) || number > 1 && names.contains(&source.own) {
            number += 1;
            let mut name = source.below.with_extension("").into_os_string();
            name.push(format!("-{number}"));
            source.own = match source.below.extension() {
                Some(ending) => PathBuf::from(name).with_added_extension(ending),
                None => name.into(),
            };
        }
        if stems[&source.stem] > 1 {
            source.stem = source.own.clone().into_os_string();
        }
    }
}
