//! Output of a command: the place of each result, and its writing.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use super::{Existing, Made, Outcome, STREAM};
use crate::cli::Error;
use crate::cli::source::Source;
use crate::file::{self, Flush};

/// Destination of the results.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Output {
    /// Standard output.
    Stream,
    /// One file.
    File(PathBuf),
    /// A folder, which may not exist yet.
    Folder(PathBuf),
}

impl Output {
    /// Returns the destination that `-o PATH` means for `sources`; `watch` requires a folder.
    ///
    /// # Errors
    /// The inputs do not fit it, or it may be meant as a file or as a folder.
    pub(super) fn of(
        path: Option<&Path>,
        inputs: &[PathBuf],
        sources: &[Source],
        watch: bool,
    ) -> Result<Self, Error> {
        let usage = |reason: String| Err(Error::Usage(reason));
        let only_stream = matches!(sources, [Source { path: None, .. }]);
        let Some(path) = path else {
            return match only_stream {
                true => Ok(Output::Stream),
                false => usage("say where the result goes: -o FILE, -o FOLDER or -o -".into()),
            };
        };
        if sources.is_empty() && !watch {
            return Err(Error::Failed("there is no file for this command in what was given".into()));
        }
        let one = sources.len() == 1 && !inputs.iter().any(|input| input.is_dir());
        let shown = path.display();
        if path == Path::new(STREAM) {
            return if one { Ok(Output::Stream) } else { usage(several(sources.len(), "standard output")) };
        }
        if path.is_dir() || path.as_os_str().to_string_lossy().ends_with('/') {
            return match only_stream {
                true => usage(format!("{shown} is a folder; name a file for what standard input becomes")),
                false => Ok(Output::Folder(path.to_owned())),
            };
        }
        match (one, path.exists(), path.extension()) {
            // It could as well be a folder that does not exist yet.
            (true, false, None) => usage(format!(
                "-o {shown} has no ending: write {shown}/ for a folder, or {shown}.png or the like for a file"
            )),
            (true, ..) => Ok(Output::File(path.to_owned())),
            (false, true, _) => usage(several(sources.len(), &shown.to_string())),
            (false, false, _) => Ok(Output::Folder(path.to_owned())),
        }
    }
}

fn several(count: usize, output: &str) -> String {
    format!("{count} file(s) of a folder cannot all go to {output}; name a folder with -o")
}

/// Writes results, and never replaces an input.
pub(super) struct Writer {
    output: Output,
    existing: Existing,
    /// Files written by this run.
    written: Mutex<HashSet<PathBuf>>,
}

impl Writer {
    /// Creates a writer. Without a stated action a folder keeps what it has, and a single file is replaced.
    pub(super) fn new(output: Output, existing: Option<Existing>) -> Self {
        let usual = if matches!(output, Output::Folder(_)) { Existing::Skip } else { Existing::Overwrite };
        Self { output, existing: existing.unwrap_or(usual), written: Mutex::default() }
    }

    /// Returns the place of a source's result for messages; the extension may not be known yet.
    pub(super) fn place(&self, source: &Source, extension: Option<&'static str>) -> String {
        match (self.target(source, extension), &self.output) {
            (Some(target), _) => target.display().to_string(),
            (None, Output::Folder(folder)) => format!("a file in {}", folder.display()),
            (None, _) => "standard output".into(),
        }
    }

    /// Returns the place of a result that is there already and is to be kept.
    ///
    /// # Errors
    /// It is there and must not be.
    pub(super) fn kept(
        &self,
        source: &Source,
        extension: Option<&'static str>,
    ) -> Result<Option<String>, String> {
        let Some(target) = self.target(source, extension) else { return Ok(None) };
        let shown = target.display().to_string();
        let is_own = self.written.lock().unwrap_or_else(PoisonError::into_inner).contains(&target);
        // A device or a pipe is there to be written to.
        if is_own || !target.is_file() {
            return Ok(None);
        }
        match self.existing {
            Existing::Overwrite => Ok(None),
            Existing::Skip => Ok(Some(shown)),
            Existing::Fail => Err(format!("{shown} is there already; --existing overwrite replaces it")),
        }
    }

    fn target(&self, source: &Source, extension: Option<&'static str>) -> Option<PathBuf> {
        match &self.output {
            Output::Stream => None,
            Output::File(path) => Some(path.clone()),
            Output::Folder(folder) => Some(folder.join(source.result_name(extension?))),
        }
    }

    /// Writes one result and returns its destination, or keeps the file that is there.
    ///
    /// # Errors
    /// One line: it would replace an input or another result, or cannot be written.
    pub(super) fn write(&self, source: &Source, made: Made, inputs: &Inputs<'_>) -> Result<Outcome, String> {
        let Some(target) = self.target(source, Some(made.extension)) else {
            let mut stdout = io::stdout().lock();
            let written = stdout.write_all(&made.bytes).and_then(|()| stdout.flush());
            return written.map(|()| Outcome::Written("standard output".into())).map_err(|e| e.to_string());
        };
        if let Some(kept) = self.kept(source, Some(made.extension))? {
            return Ok(Outcome::Kept(kept));
        }
        inputs.spare(&target)?;
        let shown = target.display().to_string();
        let is_new = self.written.lock().unwrap_or_else(PoisonError::into_inner).insert(target.clone());
        if matches!(self.output, Output::Folder(_)) && !is_new && !source.is_changed {
            return Err(format!("{shown} is the result of another input already; give them different names"));
        }
        put(&target, &made.bytes).map_err(|e| format!("{shown}: {e}"))?;
        if let (Output::Folder(_), Some(path)) = (&self.output, &source.path) {
            keep_time(path, &target);
        }
        Ok(Outcome::Written(shown))
    }
}

/// Input files of a run by their places on the disk, which are looked up once.
pub(super) struct Inputs<'a> {
    sources: &'a [Source],
    places: OnceLock<HashMap<PathBuf, &'a Source>>,
}

impl<'a> Inputs<'a> {
    pub(super) fn new(sources: &'a [Source]) -> Self {
        Self { sources, places: OnceLock::new() }
    }

    /// Checks that `target` is none of the inputs.
    fn spare(&self, target: &Path) -> Result<(), String> {
        let Ok(there) = target.canonicalize() else { return Ok(()) };
        let place = |source: &'a Source| Some((source.path.as_ref()?.canonicalize().ok()?, source));
        let places = self.places.get_or_init(|| self.sources.iter().filter_map(place).collect());
        match places.get(&there) {
            Some(input) => Err(format!("{} is an input; results never replace inputs", input.name())),
            None => Ok(()),
        }
    }
}

/// Copies the modification time of the source, by which photographs are sorted. Errors are ignored: some file systems do not
/// store times.
fn keep_time(source: &Path, target: &Path) {
    let time = fs::metadata(source).and_then(|metadata| metadata.modified());
    let _ = time.and_then(|time| fs::File::options().write(true).open(target)?.set_modified(time));
}

/// Writes a file atomically, and creates its folders.
pub(super) fn put(target: &Path, bytes: &[u8]) -> io::Result<()> {
    if target.exists() && !target.is_file() {
        // A device or a pipe must be written to, not replaced.
        return fs::write(target, bytes);
    }
    if let Some(folder) = target.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder)?;
    }
    file::replace(target, Flush::Later, |file| file.write_all(bytes))
}
