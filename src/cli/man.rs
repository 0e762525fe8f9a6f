//! `limpid man`: manual pages of the program and its commands.

use std::path::PathBuf;

use clap::CommandFactory as _;

use super::{Cli, Error};

const EXAMPLES: &str = "\
Examples:
  limpid man /usr/local/share/man/man1
        then `man limpid` and `man limpid-denoise`";

/// Write the manual pages, one per command.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Folder to write them to; created if it does not exist.
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
}

/// Runs the command.
///
/// # Errors
/// A page cannot be written.
pub fn run(args: &Args) -> Result<(), Error> {
    let folder = &args.folder;
    let write = || {
        std::fs::create_dir_all(folder)?;
        clap_mangen::generate_to(Cli::command(), folder)
    };
    write().map_err(Error::io(folder))
}
