//! `limpid config`: prints the settings with their origins, or checks them.

use super::{Loaded, print};
use crate::cli::{Error, out};

const EXAMPLES: &str = "\
Examples:
  limpid config print                                     every setting with its origin
  limpid config print --secrets > limpid.toml             a file to start from
  LIMPID_SERVER__BIND=0.0.0.0:80 limpid config print      a variable of the environment
  limpid --config site.toml config check                  is the file right?

The first that says something wins: flags, then LIMPID_SECTION__KEY in the environment, then the file
(--config FILE, else limpid.toml if it is there), then the defaults. Sizes may be written as 64MiB,
durations as 30s.";

/// Show and check the configuration.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Print every setting with its origin, as TOML.
    Print {
        /// Print passwords and secrets, too.
        #[arg(long)]
        secrets: bool,
    },
    /// Check that all settings are known and valid.
    Check,
}

/// Runs the command. `check` has nothing to do: an invalid configuration has failed to load.
///
/// # Errors
/// Standard output is closed.
pub fn run(args: &Args, loaded: &Loaded) -> Result<(), Error> {
    match args.action {
        Action::Print { secrets } => out(&print(loaded, secrets)),
        Action::Check => out("the configuration is right\n"),
    }
}
