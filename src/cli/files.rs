//! Input and output files of a command, and failures of single files.

use std::collections::HashSet;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use indicatif::ProgressBar;

use super::source::{Source, tell_apart};
use super::workers::{self, Cores};
use super::{Error, progress};
use crate::file::{self, Flush};

/// Name for standard input and output.
const STREAM: &str = "-";

/// File arguments of a command.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Files, folders (including subfolders), or - for standard input.
    #[arg(required = true, value_name = "IN")]
    inputs: Vec<PathBuf>,
    /// Output file, folder for several results, or - for standard output.
    #[arg(short, long, value_name = "OUT")]
    output: Option<PathBuf>,
    /// Replace files that are already in the output folder.
    #[arg(long)]
    overwrite: bool,
    /// Print one line per file.
    #[arg(short, long)]
    verbose: bool,
}

/// Destination of the results.
#[derive(Debug, Clone, PartialEq)]
enum Output {
    Stream,
    File(PathBuf),
    Folder(PathBuf),
}

/// Result, ready to be written.
#[derive(Debug)]
pub struct Made {
    /// Content of the file.
    pub bytes: Vec<u8>,
    /// Extension in an output folder, unless the source has a different one of the same format.
    pub extension: &'static str,
    /// Description for `--verbose`.
    pub about: String,
}

impl Args {
    /// Returns `true` if only standard input is read, and standard output is written.
    pub fn is_pipe(&self) -> bool {
        let is_stream = |path: &PathBuf| path == Path::new(STREAM);
        matches!(self.inputs.as_slice(), [one] if is_stream(one))
            && self.output.as_ref().is_none_or(is_stream)
    }

    /// Returns the extension of a single output file, which may determine the format.
    pub fn stated_extension(&self) -> Option<&str> {
        match &self.output {
            Some(path) if !path.is_dir() => path.extension()?.to_str(),
            _ => None,
        }
    }

    /// Reads, processes and writes every file: many in parallel, each on the number of cores that suits its size. A file that
    /// fails is reported, and the others continue.
    ///
    /// `takes` filters the files found in folders by extension; `work` computes the result of one file.
    ///
    /// # Errors
    /// The output does not suit the inputs, or, at the end, at least one file failed.
    pub fn each(
        &self,
        most_bytes: usize,
        takes: impl Fn(&str) -> bool,
        work: impl Fn(&[u8], &Cores) -> Result<Made, String> + Sync,
    ) -> Result<(), Error> {
        let mut sources = self.sources(takes);
        tell_apart(&mut sources);
        let output = self.output(&sources)?;
        let writer = Writer { output, overwrite: self.overwrite, written: Mutex::default() };
        let (cores, bar) = (Cores::for_count(sources.len()), progress::files(sources.len()));
        let one = |source: &Source| {
            let made = work(&source.read(most_bytes)?, &cores)?;
            let written = writer.write(source, &made, &sources)?;
            Ok(format!("{written}: {}", made.about))
        };
        let told = |at: usize, result: &Result<String, String>| self.tell(&bar, &sources[at], result);
        let results = workers::each(&sources, |_, source| one(source), told);
        bar.finish_and_clear();
        match results.iter().filter(|result| result.is_err()).count() {
            0 => Ok(()),
            failed => Err(Error::Some { failed, all: sources.len() }),
        }
    }

    fn tell(&self, bar: &ProgressBar, source: &Source, result: &Result<String, String>) {
        bar.inc(1);
        match result {
            Ok(about) if self.verbose => bar.suspend(|| eprintln!("{} -> {about}", source.name())),
            Ok(_) => {}
            Err(reason) => bar.suspend(|| eprintln!("{}: {reason}", source.name())),
        }
    }

    /// Returns all inputs, folders in order of names. A missing path fails when it is read, so that the others continue.
    fn sources(&self, takes: impl Fn(&str) -> bool) -> Vec<Source> {
        let mut sources = Vec::new();
        for input in &self.inputs {
            if input == Path::new(STREAM) {
                sources.push(Source::new(None, PathBuf::from("stdin")));
            } else if input.is_dir() {
                self.walk(input, &takes, &mut sources);
            } else {
                let below = input.file_name().map(PathBuf::from).unwrap_or_default();
                sources.push(Source::new(Some(input.clone()), below));
            }
        }
        sources
    }

    fn walk(&self, folder: &Path, takes: &impl Fn(&str) -> bool, sources: &mut Vec<Source>) {
        // An output folder inside the input must not become input of the next run.
        let output = self.output.as_ref().and_then(|output| output.canonicalize().ok());
        let is_output = |path: &Path| output.is_some() && path.canonicalize().ok() == output;
        let walk = walkdir::WalkDir::new(folder).follow_links(true).sort_by_file_name().into_iter();
        let is_hidden = |name: &std::ffi::OsStr| name.to_string_lossy().starts_with('.');
        let mut others = 0;
        for entry in walk.filter_entry(|e| {
            e.depth() == 0 || !(is_hidden(e.file_name()) || e.file_type().is_dir() && is_output(e.path()))
        }) {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    let path = error.path().unwrap_or(folder).to_owned();
                    if error.depth() == 0 || !path.file_name().is_some_and(is_hidden) {
                        let below = path.strip_prefix(folder).unwrap_or(&path).to_owned();
                        let fault = error.io_error().map_or_else(|| error.to_string(), |e| e.to_string());
                        let mut source = Source::new(Some(path), below);
                        source.fault = Some(fault);
                        sources.push(source);
                    }
                    continue;
                }
            };
            if !entry.file_type().is_file() {
                continue;
            }
            let extension =
                entry.path().extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
            if !takes(&extension) {
                others += 1;
                continue;
            }
            let below = entry.path().strip_prefix(folder).unwrap_or(entry.path()).to_owned();
            sources.push(Source::new(Some(entry.into_path()), below));
        }
        if others > 0 {
            eprintln!("note: {others} file(s) of other kinds in {} are left alone", folder.display());
        }
    }

    fn output(&self, sources: &[Source]) -> Result<Output, Error> {
        let only_stream = matches!(sources, [Source { path: None, .. }]);
        let Some(path) = &self.output else {
            return match only_stream {
                true => Ok(Output::Stream),
                false => Err(Error::Usage("say where the result goes: -o FILE, -o FOLDER or -o -".into())),
            };
        };
        if sources.is_empty() {
            return Err(Error::Failed("there is no file for this command in what was given".into()));
        }
        let from_folder = self.inputs.iter().any(|input| input.is_dir());
        let one = sources.len() == 1 && !from_folder;
        let shown = path.display();
        if path == Path::new(STREAM) {
            return if one {
                Ok(Output::Stream)
            } else {
                Err(Error::Usage(several(sources.len(), "standard output")))
            };
        }
        if path.is_dir() || path.as_os_str().to_string_lossy().ends_with('/') {
            return match only_stream {
                true => Err(Error::Usage(format!(
                    "{shown} is a folder; name a file for what standard input becomes"
                ))),
                false => Ok(Output::Folder(path.clone())),
            };
        }
        match (one, path.exists()) {
            (true, _) => Ok(Output::File(path.clone())),
            (false, true) => Err(Error::Usage(several(sources.len(), &shown.to_string()))),
            (false, false) => Ok(Output::Folder(path.clone())),
        }
    }
}

fn several(count: usize, output: &str) -> String {
    format!("{count} file(s) of a folder cannot all go to {output}; name a folder with -o")
}

/// Writes results, and never replaces an input.
struct Writer {
    output: Output,
    overwrite: bool,
    /// Files written by this run.
    written: Mutex<HashSet<PathBuf>>,
}

impl Writer {
    /// Writes one result and returns its destination.
    fn write(&self, source: &Source, made: &Made, sources: &[Source]) -> Result<String, String> {
        let target = match &self.output {
            Output::Stream => {
                let mut stdout = io::stdout().lock();
                let written = stdout.write_all(&made.bytes).and_then(|()| stdout.flush());
                return written.map(|()| "standard output".into()).map_err(|e| e.to_string());
            }
            Output::File(path) => path.clone(),
            Output::Folder(folder) => {
                let target = folder.join(source.result_name(made.extension));
                if target.exists() && !self.overwrite {
                    return Err(format!("{} is already there; --overwrite replaces it", target.display()));
                }
                target
            }
        };
        self.check(&target, sources)?;
        let shown = target.display().to_string();
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(self.output, Output::Folder(_)) && !written.insert(target.clone()) {
            return Err(format!("{shown} is the result of another input already; give them different names"));
        }
        drop(written);
        put(&target, &made.bytes).map_err(|e| format!("{shown}: {e}"))?;
        if let (Output::Folder(_), Some(path)) = (&self.output, &source.path) {
            keep_time(path, &target);
        }
        Ok(shown)
    }

    fn check(&self, target: &Path, sources: &[Source]) -> Result<(), String> {
        let Ok(there) = target.canonicalize() else { return Ok(()) };
        let is_input = |source: &Source| {
            source.path.as_ref().and_then(|p| p.canonicalize().ok()).as_ref() == Some(&there)
        };
        match sources.iter().find(|source| is_input(source)) {
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
fn put(target: &Path, bytes: &[u8]) -> io::Result<()> {
    if target.exists() && !target.is_file() {
        // A device or a pipe must be written to, not replaced.
        return fs::write(target, bytes);
    }
    if let Some(folder) = target.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder)?;
    }
    file::replace(target, Flush::Later, |file| file.write_all(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(inputs: &[&Path], output: Option<&Path>) -> Args {
        Args {
            inputs: inputs.iter().map(|p| p.to_path_buf()).collect(),
            output: output.map(Path::to_path_buf),
            overwrite: false,
            verbose: false,
        }
    }

    fn folder(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            put(&folder.path().join(file), file.as_bytes()).unwrap();
        }
        folder
    }

    /// Copies every file.
    fn copy(args: &Args) -> Result<(), Error> {
        let made = |bytes: &[u8]| Made { bytes: bytes.to_vec(), extension: "png", about: String::new() };
        args.each(1000, |e| e == "png" || e == "jpg", |bytes, _| Ok(made(bytes)))
    }

    fn found(root: &Path) -> Vec<String> {
        let files = walkdir::WalkDir::new(root).sort_by_file_name().into_iter().map(Result::unwrap);
        let below = |e: walkdir::DirEntry| e.path().strip_prefix(root).unwrap().display().to_string();
        files.filter(|e| e.file_type().is_file()).map(below).collect()
    }

    #[test]
    fn folders_keep_their_paths_and_leave_other_files_alone() {
        let from = folder(&["a.png", "b/c.jpg", "notes.txt", ".hidden.png"]);
        let to = tempfile::tempdir().unwrap();
        let out = to.path().join("new");
        copy(&args(&[from.path()], Some(&out))).unwrap();
        assert_eq!(found(&out), ["a.png", "b/c.png"]);
    }

    #[test]
    fn files_of_one_stem_do_not_replace_each_other() {
        let from = folder(&["a.png", "a.jpg"]);
        let to = tempfile::tempdir().unwrap();
        copy(&args(&[from.path()], Some(to.path()))).unwrap();
        assert_eq!(found(to.path()), ["a.jpg.png", "a.png"]);
        assert_eq!(fs::read(to.path().join("a.jpg.png")).unwrap(), b"a.jpg");
    }

    #[test]
    fn files_of_one_name_from_two_folders_are_numbered() {
        let (one, two, to) = (folder(&["a.b.png"]), folder(&["a.b.png"]), tempfile::tempdir().unwrap());
        copy(&args(&[one.path(), two.path()], Some(to.path()))).unwrap();
        assert_eq!(found(to.path()), ["a.b-2.png", "a.b.png"]);
    }

    #[test]
    fn numbers_are_none_that_another_input_has() {
        let (one, two) = (folder(&["a.png", "a-2.png"]), folder(&["a.png", "a-3.png"]));
        let to = tempfile::tempdir().unwrap();
        copy(&args(&[one.path(), two.path()], Some(to.path()))).unwrap();
        assert_eq!(found(to.path()), ["a-2.png", "a-3.png", "a-4.png", "a.png"]);
        assert_eq!(fs::read(to.path().join("a-2.png")).unwrap(), b"a-2.png");
    }

    #[test]
    fn endings_and_times_are_kept() {
        let from = folder(&["Scan.PNG"]);
        let time = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
        let file = fs::File::options().write(true).open(from.path().join("Scan.PNG")).unwrap();
        file.set_modified(time).unwrap();
        let to = tempfile::tempdir().unwrap();
        copy(&args(&[from.path()], Some(to.path()))).unwrap();
        assert_eq!(found(to.path()), ["Scan.PNG"]);
        assert_eq!(fs::metadata(to.path().join("Scan.PNG")).unwrap().modified().unwrap(), time);
    }

    #[test]
    fn a_result_never_replaces_an_input() {
        let from = folder(&["a.png"]);
        let file = from.path().join("a.png");
        assert!(copy(&args(&[&file], Some(&file))).is_err());
        let mut into = args(&[from.path()], Some(from.path()));
        into.overwrite = true;
        assert!(copy(&into).is_err());
        assert_eq!(fs::read(&file).unwrap(), b"a.png");
    }

    #[test]
    fn a_file_in_the_output_folder_is_replaced_only_when_asked() {
        let (from, to) = (folder(&["a.png"]), tempfile::tempdir().unwrap());
        fs::write(to.path().join("a.png"), "old").unwrap();
        let mut args = args(&[&from.path().join("a.png")], Some(to.path()));
        assert!(copy(&args).is_err());
        assert_eq!(fs::read(to.path().join("a.png")).unwrap(), b"old");
        args.overwrite = true;
        copy(&args).unwrap();
        assert_eq!(fs::read(to.path().join("a.png")).unwrap(), b"a.png");
    }

    #[test]
    fn an_output_folder_within_the_input_is_not_read_again() {
        let from = folder(&["a.png"]);
        let out = from.path().join("clean");
        copy(&args(&[from.path()], Some(&out))).unwrap();
        let again = copy(&args(&[from.path()], Some(&out))).unwrap_err().to_string();
        assert!(again.starts_with("1 of 1 files failed"), "{again}");
        assert_eq!(found(from.path()), ["a.png", "clean/a.png"]);
    }

    #[test]
    fn a_bad_file_does_not_stop_the_rest() {
        let (from, to) = (folder(&["b.png"]), tempfile::tempdir().unwrap());
        let args = args(&[&from.path().join("none.png"), &from.path().join("b.png")], Some(to.path()));
        assert!(matches!(copy(&args), Err(Error::Some { failed: 1, all: 2 })));
        assert_eq!(found(to.path()), ["b.png"]);
    }

    #[test]
    fn what_cannot_be_walked_through_fails_and_the_rest_goes_on() {
        use std::os::unix::fs::symlink;
        let (from, to) = (folder(&["a.png", "b/c.png"]), tempfile::tempdir().unwrap());
        symlink("nowhere", from.path().join("gone.png")).unwrap();
        symlink("..", from.path().join("b/loop")).unwrap();
        symlink("nowhere", from.path().join(".#lock")).unwrap();
        let result = copy(&args(&[from.path()], Some(to.path())));
        assert!(matches!(result, Err(Error::Some { failed: 2, all: 4 })), "{result:?}");
        assert_eq!(found(to.path()), ["a.png", "b/c.png"]);
    }

    #[test]
    fn several_files_do_not_go_to_one() {
        let from = folder(&["a.png", "b.png", "out.bin"]);
        let file = from.path().join("out.bin");
        for output in [Some(file.as_path()), Some(Path::new("-")), None] {
            assert!(matches!(copy(&args(&[from.path()], output)), Err(Error::Usage(_))), "{output:?}");
        }
    }

    #[test]
    fn a_file_over_the_limit_is_not_read() {
        let from = folder(&["a.png"]);
        let source = Source::new(Some(from.path().join("a.png")), "a.png".into());
        assert_eq!(source.read(4).unwrap_err(), "has 5 bytes, over the limit of 4");
    }
}
