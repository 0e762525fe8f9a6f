//! Command line: reads flags, environment and files, and runs the commands.
//!
//! Results go to stdout, progress and errors to stderr. The exit code is 0 on success, 1 on failure, 2 if the command line or
//! the configuration is invalid, 130 after Ctrl-C.

mod backup;
mod calibrate;
mod compare;
mod completions;
pub mod config;
mod content;
mod decode;
mod denoise;
mod docs;
mod encode;
mod error;
mod evaluate;
mod files;
mod health;
mod interrupt;
mod kept;
mod keys;
mod logging;
mod man;
mod map;
mod models;
mod nearest;
mod noise;
mod openapi;
mod place;
mod progress;
mod recipe;
mod samples;
mod serve;
mod size;
mod source;
mod stream;
#[cfg(feature = "otel")]
mod traces;
mod train;
mod worker;
mod workers;
mod zoo;

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser};

pub use config::Config;
pub use error::Error;

use crate::registry::Registry;

const EXAMPLES: &str = "\
Examples:
  limpid                                           serve on 127.0.0.1:8080
  limpid denoise noisy.png -o clean.png            one image
  limpid denoise scans/ -o cleaned/                a folder
  limpid train --name my-scans --samples scans/    a model of your own
  curl --data-binary @noisy.png -H 'Content-Type: image/png' localhost:8080/denoise -o clean.png

`limpid COMMAND --help` has more of them.";

/// A self-hosted denoising service: denoising autoencoders over HTTP, on a plain CPU.
#[derive(Debug, Parser)]
#[command(name = "limpid", version, max_term_width = 100, after_help = EXAMPLES)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

/// Flags of every command.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Settings of every command")]
struct Common {
    /// Configuration file [default: limpid.toml, if it exists].
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Folder of bundled models [default: models].
    #[arg(long, global = true, value_name = "DIR")]
    models: Option<PathBuf>,
    /// Folder for trained models and API keys [default: data].
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Number of cores to use [default: all].
    #[arg(long, global = true, value_name = "N")]
    threads: Option<usize>,
    /// Format of the logs [default: text].
    #[arg(long, global = true, value_enum, value_name = "FORMAT")]
    log_format: Option<config::LogFormat>,
    /// error, warn, info, debug, trace, or a filter [default: info].
    #[arg(long, global = true, value_name = "LEVEL")]
    log_level: Option<String>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Serve(serve::Args),
    Train(train::Args),
    Denoise(denoise::Args),
    Encode(encode::Args),
    Decode(decode::Args),
    Evaluate(evaluate::Args),
    Compare(compare::Args),
    Models(models::Args),
    Map(map::Args),
    Nearest(nearest::Args),
    Noise(noise::Args),
    Openapi(openapi::Args),
    Docs(docs::Args),
    Config(config::command::Args),
    Keys(keys::Args),
    Health(health::Args),
    Worker(worker::Args),
    Completions(completions::Args),
    Man(man::Args),
    Backup(backup::Args),
    Restore(backup::RestoreArgs),
}

/// Runs the command in the arguments of this process; `serve` if there is none.
pub fn run() -> ExitCode {
    let cli = Cli::parse_from(with_command(std::env::args_os().collect()));
    let result = dispatch(cli);
    #[cfg(feature = "otel")]
    traces::finish();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if !matches!(error, Error::ClosedPipe) {
                // If stderr is closed, too, the error cannot be reported.
                let _ = writeln!(io::stderr(), "error: {error}");
            }
            error.exit_code()
        }
    }
}

fn dispatch(cli: Cli) -> Result<(), Error> {
    let Cli { common, command } = cli;
    let mut flags = common.flags();
    if let Command::Serve(args) = &command {
        flags.extend(args.flags());
    }
    let variables =
        std::env::vars_os().filter_map(|(n, v)| Some((n.into_string().ok()?, v.into_string().ok()?)));
    let mut loaded = config::load(&flags, variables, common.config.as_deref())?;
    if let Command::Worker(args) = &command {
        args.take_config(&mut loaded.config)?;
    }
    let config = &loaded.config;
    logging::start(&config.log)?;
    if let Some(threads) = config.threads {
        crate::kernel::parallel::set_threads(threads);
    }
    match command {
        Command::Serve(args) => serve::run(args, config),
        Command::Train(args) => train::run(args, config),
        Command::Denoise(args) => denoise::run(args, config),
        Command::Encode(args) => encode::run(args, config),
        Command::Decode(args) => decode::run(args, config),
        Command::Evaluate(args) => evaluate::run(args, config),
        Command::Compare(args) => compare::run(&args, config),
        Command::Models(args) => models::run(args, config),
        Command::Map(args) => map::run(&args, config),
        Command::Nearest(args) => nearest::run(&args, config),
        Command::Noise(args) => noise::run(args, config),
        Command::Openapi(args) => openapi::run(args, config),
        Command::Docs(args) => docs::run(args, config),
        Command::Config(args) => config::command::run(&args, &loaded),
        Command::Keys(args) => keys::run(args, config),
        Command::Health(args) => health::run(args, config),
        Command::Worker(args) => worker::run(&args, config),
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => man::run(&args),
        Command::Backup(args) => backup::run(&args, config),
        Command::Restore(args) => backup::restore(&args, config),
    }
}

impl Common {
    /// Returns the settings of these flags.
    fn flags(&self) -> Vec<config::Flag> {
        let path = |path: &PathBuf| path.display().to_string();
        let format = |format: &config::LogFormat| format!("{format:?}").to_lowercase();
        [
            ("--models", "models.dir", self.models.as_ref().map(path)),
            ("--data-dir", "models.data_dir", self.data_dir.as_ref().map(path)),
            ("--threads", "threads", self.threads.map(|n| n.to_string())),
            ("--log-format", "log.format", self.log_format.as_ref().map(format)),
            ("--log-level", "log.level", self.log_level.clone()),
        ]
        .into_iter()
        .filter_map(|(flag, key, value)| Some((flag, key, value?)))
        .collect()
    }
}

/// Inserts `serve` in front of the flags if no command is named.
fn with_command(mut args: Vec<OsString>) -> Vec<OsString> {
    let cli = Cli::command();
    let is_command = |arg: &OsString| {
        let name = arg.to_str().unwrap_or_default();
        name == "help" || cli.get_subcommands().any(|command| command.get_name() == name)
    };
    let asks_for_help = |arg: &OsString| ["-h", "--help", "-V", "--version"].iter().any(|flag| arg == flag);
    let rest = args.get(1..).unwrap_or_default();
    let stands_alone = rest.first().is_none_or(|arg| arg.to_string_lossy().starts_with('-'));
    if stands_alone && !rest.iter().any(is_command) && !rest.iter().any(asks_for_help) {
        args.insert(args.len().min(1), "serve".into());
    }
    args
}

/// Opens the configured models for reading, without the database. The folder of trained models is skipped if it does not
/// exist.
///
/// # Errors
/// A folder cannot be read.
pub(crate) fn open_registry(config: &Config) -> Result<Registry, Error> {
    let trained = config.trained().filter(|folder| folder.is_dir());
    Ok(Registry::open(config.bundled(), trained)?)
}

/// Writes a result to standard output.
///
/// # Errors
/// Standard output is closed.
pub(crate) fn out(text: &str) -> Result<(), Error> {
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    written.map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Error::ClosedPipe,
        _ => Error::Io { path: "standard output".into(), source: error },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completed(args: &[&str]) -> Vec<String> {
        let args = std::iter::once(&"limpid").chain(args).map(OsString::from).collect();
        with_command(args).into_iter().skip(1).map(|arg| arg.into_string().unwrap()).collect()
    }

    #[test]
    fn the_flags_are_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn serving_is_what_happens_without_a_command() {
        assert_eq!(completed(&[]), ["serve"]);
        assert_eq!(completed(&["--bind", "127.0.0.1:1"]), ["serve", "--bind", "127.0.0.1:1"]);
    }

    #[test]
    fn a_command_or_a_mistake_stays_as_it_is() {
        for args in
            [&["keys", "list"][..], &["--log-level", "debug", "keys", "list"], &["--help"], &["sevre"]]
        {
            assert_eq!(completed(args), args);
        }
    }

    #[test]
    fn flags_of_every_command_may_stand_on_either_side() {
        for args in [["limpid", "--models", "m", "keys", "list"], ["limpid", "keys", "list", "--models", "m"]]
        {
            let cli = Cli::try_parse_from(args).unwrap();
            assert_eq!(cli.common.flags(), [("--models", "models.dir", "m".to_owned())]);
        }
    }
}
