//! The command line: stand-in until the engine's is merged.

pub mod config;
mod content;
mod decode;
mod denoise;
mod encode;
mod error;
mod evaluate;
mod files;
mod interrupt;
mod models;
mod place;
mod progress;
mod samples;
mod train;
mod workers;
mod zoo;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use config::Config;
pub use error::Error;

use crate::registry::Registry;

/// A self-hosted denoising service.
#[derive(Debug, Parser)]
#[command(name = "limpid", version, max_term_width = 100)]
struct Cli {
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[arg(long, global = true, value_name = "DIR")]
    models: Option<PathBuf>,
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Train(train::Args),
    Denoise(denoise::Args),
    Encode(encode::Args),
    Decode(decode::Args),
    Evaluate(evaluate::Args),
    Models(models::Args),
}

/// Runs the program and gives its exit code.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let mut config = Config::default();
    config.models.dir = cli.models.unwrap_or(config.models.dir);
    config.models.data_dir = cli.data_dir.unwrap_or(config.models.data_dir);
    let done = match cli.command {
        Command::Train(args) => train::run(args, &config),
        Command::Denoise(args) => denoise::run(args, &config),
        Command::Encode(args) => encode::run(args, &config),
        Command::Decode(args) => decode::run(args, &config),
        Command::Evaluate(args) => evaluate::run(args, &config),
        Command::Models(args) => models::run(args, &config),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            error.exit_code()
        }
    }
}

pub(crate) fn open_registry(config: &Config, is_writing: bool) -> Result<Registry, Error> {
    let trained = config.trained().filter(|folder| is_writing || folder.is_dir());
    Ok(Registry::open(config.bundled(), trained)?)
}

pub(crate) fn out(text: &str) -> Result<(), Error> {
    let mut stdout = std::io::stdout().lock();
    let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    written.map_err(|error| match error.kind() {
        std::io::ErrorKind::BrokenPipe => Error::ClosedPipe,
        _ => Error::Io { path: "standard output".into(), source: error },
    })
}
