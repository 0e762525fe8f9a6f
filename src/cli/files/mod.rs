//! Input and output files of a command, and failures of single files.

mod output;
#[cfg(test)]
mod tests;
mod watch;

use std::path::{Path, PathBuf};

use indicatif::ProgressBar;

use super::source::{Source, tell_apart};
use super::workers::{self, Cores};
use super::{Error, out, progress};
use output::{Inputs, Output, Writer};
use watch::Watch;

/// Name for standard input and output.
const STREAM: &str = "-";

/// Number of files of other kinds that a note lists by name.
const NAMED: usize = 5;

/// File arguments of a command.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Args {
    /// Files, folders (including subfolders), or - for standard input.
    #[arg(required = true, value_name = "IN")]
    inputs: Vec<PathBuf>,
    /// Output file, folder for several results, or - for standard output.
    #[arg(short, long, value_name = "OUT")]
    output: Option<PathBuf>,
    /// Action for results that are there already [default: skip in a folder, overwrite a single file].
    #[arg(long, value_enum, value_name = "ACTION")]
    existing: Option<Existing>,
    /// Short for --existing overwrite.
    #[arg(long, conflicts_with = "existing")]
    overwrite: bool,
    /// Print what would be read and written; compute and write nothing.
    #[arg(long)]
    dry_run: bool,
    /// Continue with files that appear in the input folders, until Ctrl-C.
    #[arg(long, conflicts_with = "dry_run")]
    watch: bool,
    /// Print one line per file.
    #[arg(short, long)]
    verbose: bool,
    /// Print errors only.
    #[arg(short, long, conflicts_with = "verbose")]
    quiet: bool,
}

/// Action for a result that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Existing {
    /// Keep it, before anything is computed: an interrupted run continues where it was.
    Skip,
    /// Replace it.
    Overwrite,
    /// Report it as an error.
    Fail,
}

/// Computation of the results of a command, file by file.
pub trait Work: Sync {
    /// Returns the extension of the result of a file, if it is known before the result is computed.
    fn extension(&self, bytes: &[u8]) -> Option<&'static str>;

    /// Computes the result of a file.
    ///
    /// # Errors
    /// One line.
    fn run(&self, bytes: &[u8], cores: &Cores) -> Result<Made, String>;
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

/// Outcome of one file.
#[derive(Debug, Clone, PartialEq)]
enum Outcome {
    /// Written, or with `--dry-run` to be written; with a description.
    Written(String),
    /// Not computed: its result, at this place, is there already.
    Kept(String),
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
    /// fails is reported, and the others continue. `takes` filters the files found in folders by extension.
    ///
    /// # Errors
    /// The output does not suit the inputs, or, at the end, at least one file failed.
    pub fn each(
        &self,
        most_bytes: usize,
        takes: impl Fn(&str) -> bool,
        work: &impl Work,
    ) -> Result<(), Error> {
        if self.watch && !self.inputs.iter().any(|input| input.is_dir()) {
            return Err(Error::Usage("--watch needs a folder to watch".into()));
        }
        let mut sources = self.sources(&takes, !self.quiet);
        tell_apart(&mut sources);
        let output = Output::of(self.output.as_deref(), &self.inputs, &sources, self.watch)?;
        let writer = Writer::new(output, self.existing());
        if self.dry_run {
            return self.rehearse(&sources, most_bytes, &writer, work);
        }
        // As the files are before they are read: one that changes meanwhile is processed again.
        let watch = self.watch.then(|| Watch::new(&sources));
        let failed = self.run(&sources, most_bytes, &writer, work);
        if let Some(watch) = watch {
            watch.follow(
                || self.sources(&takes, false),
                |sources| _ = self.run(sources, most_bytes, &writer, work),
            );
            return Ok(());
        }
        match failed {
            0 => Ok(()),
            failed => Err(Error::Some { failed, all: sources.len() }),
        }
    }

    fn existing(&self) -> Option<Existing> {
        if self.overwrite { Some(Existing::Overwrite) } else { self.existing }
    }

    /// Processes `sources` and reports on them; returns the number of those that failed.
    fn run(&self, sources: &[Source], most_bytes: usize, writer: &Writer, work: &impl Work) -> usize {
        let (cores, inputs) = (Cores::for_count(sources.len()), Inputs::new(sources));
        let bar = if self.quiet { ProgressBar::hidden() } else { progress::files(sources.len()) };
        let one = |source: &Source| {
            let bytes = source.read(most_bytes)?;
            if let Some(kept) = writer.kept(source, work.extension(&bytes))? {
                return Ok(Outcome::Kept(kept));
            }
            let made = work.run(&bytes, &cores)?;
            let about = made.about.clone();
            Ok(match writer.write(source, made, &inputs)? {
                Outcome::Written(place) => Outcome::Written(format!("{place}: {about}")),
                kept => kept,
            })
        };
        let told = |at: usize, result: &Result<Outcome, String>| self.tell(&bar, &sources[at], result);
        let results = workers::each(sources, |_, source| one(source), told);
        bar.finish_and_clear();
        let kept = results.iter().filter(|result| matches!(result, Ok(Outcome::Kept(_)))).count();
        if kept > 0 && !self.quiet {
            eprintln!(
                "note: {kept} result(s) were there already and are kept; --existing overwrite replaces them"
            );
        }
        results.iter().filter(|result| result.is_err()).count()
    }

    /// Prints the result's place of each file, without computing it.
    fn rehearse(
        &self,
        sources: &[Source],
        most_bytes: usize,
        writer: &Writer,
        work: &impl Work,
    ) -> Result<(), Error> {
        let mut failed = 0;
        for source in sources {
            let planned = source.read(most_bytes).and_then(|bytes| {
                let extension = work.extension(&bytes);
                Ok(match writer.kept(source, extension)? {
                    Some(kept) => format!("{kept} (there already, kept)"),
                    None => writer.place(source, extension),
                })
            });
            match planned {
                Ok(place) => out(&format!("{} -> {place}\n", source.name()))?,
                Err(reason) => {
                    failed += 1;
                    eprintln!("{}: {reason}", source.name());
                }
            }
        }
        if failed > 0 { Err(Error::Some { failed, all: sources.len() }) } else { Ok(()) }
    }

    fn tell(&self, bar: &ProgressBar, source: &Source, result: &Result<Outcome, String>) {
        bar.inc(1);
        match result {
            Ok(Outcome::Written(about)) if self.verbose => {
                bar.suspend(|| eprintln!("{} -> {about}", source.name()));
            }
            Ok(Outcome::Kept(place)) if self.verbose => {
                bar.suspend(|| eprintln!("{} -> {place}: there already, kept", source.name()));
            }
            Ok(_) => {}
            Err(reason) => bar.suspend(|| eprintln!("{}: {reason}", source.name())),
        }
    }

    /// Returns all inputs, folders in order of names. A missing path fails when it is read, so that the others continue.
    /// Files of other kinds are passed over, and listed if `notes` is set.
    fn sources(&self, takes: impl Fn(&str) -> bool, notes: bool) -> Vec<Source> {
        let mut sources = Vec::new();
        for input in &self.inputs {
            if input == Path::new(STREAM) {
                sources.push(Source::new(None, PathBuf::from("stdin")));
            } else if input.is_dir() {
                let others = self.walk(input, &takes, &mut sources);
                if notes && !others.is_empty() {
                    eprintln!("note: {}", passed_over(input, &others));
                }
            } else {
                let below = input.file_name().map(PathBuf::from).unwrap_or_default();
                sources.push(Source::new(Some(input.clone()), below));
            }
        }
        sources
    }

    /// Adds the files of a folder to `sources`; returns the names of those of other kinds.
    fn walk(&self, folder: &Path, takes: &impl Fn(&str) -> bool, sources: &mut Vec<Source>) -> Vec<PathBuf> {
        // An output folder inside the input must not become input of the next run.
        let output = self.output.as_ref().and_then(|output| output.canonicalize().ok());
        let is_output = |path: &Path| output.is_some() && path.canonicalize().ok() == output;
        let walk = walkdir::WalkDir::new(folder).follow_links(true).sort_by_file_name().into_iter();
        let is_hidden = |name: &std::ffi::OsStr| name.to_string_lossy().starts_with('.');
        let mut others = Vec::new();
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
            let below = entry.path().strip_prefix(folder).unwrap_or(entry.path()).to_owned();
            if !takes(&extension) {
                others.push(below);
                continue;
            }
            sources.push(Source::new(Some(entry.into_path()), below));
        }
        others
    }
}

/// Returns a sentence with the names of files that are no input of the command.
fn passed_over(folder: &Path, others: &[PathBuf]) -> String {
    let names: Vec<String> = others.iter().take(NAMED).map(|name| name.display().to_string()).collect();
    let more = if others.len() > NAMED { ", ..." } else { "" };
    let (count, folder) = (others.len(), folder.display());
    format!("{count} file(s) of other kinds in {folder} are left alone: {}{more}", names.join(", "))
}
