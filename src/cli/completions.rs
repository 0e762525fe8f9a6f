//! `limpid completions`: completion script of a shell.

use clap::CommandFactory as _;
use clap_complete::{Shell, generate};

use super::{Cli, Error, out};

const EXAMPLES: &str = "\
Examples:
  limpid completions bash > /etc/bash_completion.d/limpid
  limpid completions zsh > ~/.zfunc/_limpid
  limpid completions fish > ~/.config/fish/completions/limpid.fish";

/// Print the completion script of a shell.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Shell to print it for.
    #[arg(value_enum, value_name = "SHELL")]
    shell: Shell,
}

/// Runs the command.
///
/// # Errors
/// Standard output is closed.
pub fn run(args: &Args) -> Result<(), Error> {
    let mut script = Vec::new();
    generate(args.shell, &mut Cli::command(), "limpid", &mut script);
    out(&String::from_utf8_lossy(&script))
}
