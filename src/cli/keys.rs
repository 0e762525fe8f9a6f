//! `limpid keys`: API keys of the service.

use super::config::Config;
use super::{Error, out};
use crate::api::OwnRate;
use crate::api::keys::{self, Scope};
use crate::name::Name;

const EXAMPLES: &str = "\
Examples:
  limpid keys add lab                              a key that may denoise, encode and decode
  limpid keys add ci --scope infer --scope train   one that may train, too
  limpid keys add guest --requests-per-minute 60   with a limit of its own
  limpid keys list
  limpid keys remove lab
  limpid keys unlock                               serve without keys again

A key is shown once, when it is made; the file holds only its hash. A running service reads the file
again when it changes. A service that once had keys does not start without them until it is unlocked.
Send a key as `Authorization: Bearer KEY` or `X-Api-Key: KEY`.";

/// Create, list and remove API keys.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Create a key and print it once.
    Add {
        /// Name of the key: a-z, 0-9, '.', '_' and '-'.
        name: Name,
        /// Permission of the key; repeat for several.
        #[arg(long, value_enum, default_value = "infer")]
        scope: Vec<ScopeArg>,
        #[command(flatten)]
        rate: RateArgs,
    },
    /// List the keys by name.
    List,
    /// Remove a key; it becomes invalid within a second.
    Remove {
        /// Name of the key.
        name: Name,
    },
    /// Let everyone in again: forget that the service once had keys.
    Unlock,
}

/// Limits of one key on the command line.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Limits of this key, in place of those of server.rate; 0 is none")]
struct RateArgs {
    /// Requests a minute.
    #[arg(long, value_name = "N")]
    requests_per_minute: Option<u64>,
    /// Numbers in samples (pixels times channels) a minute.
    #[arg(long, value_name = "N")]
    numbers_per_minute: Option<u64>,
    /// Bytes of request bodies a minute.
    #[arg(long, value_name = "N")]
    bytes_per_minute: Option<u64>,
    /// Minutes of training in 24 hours.
    #[arg(long, value_name = "N")]
    training_minutes_per_day: Option<u64>,
}

impl RateArgs {
    fn own(&self) -> Option<OwnRate> {
        let own = OwnRate {
            requests_per_minute: self.requests_per_minute,
            numbers_per_minute: self.numbers_per_minute,
            bytes_per_minute: self.bytes_per_minute,
            training_minutes_per_day: self.training_minutes_per_day,
        };
        (own != OwnRate::default()).then_some(own)
    }
}

/// Scope on the command line.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum ScopeArg {
    /// Denoise, encode, decode, evaluate.
    Infer,
    /// Submit samples for training.
    Train,
    /// Everything.
    Admin,
}

impl From<ScopeArg> for Scope {
    fn from(scope: ScopeArg) -> Self {
        match scope {
            ScopeArg::Infer => Scope::Infer,
            ScopeArg::Train => Scope::Train,
            ScopeArg::Admin => Scope::Admin,
        }
    }
}

/// Runs the command.
///
/// # Errors
/// The key file cannot be read or written, or the name is taken or unknown.
pub fn run(args: Args, config: &Config) -> Result<(), Error> {
    let source = config.keys();
    let path = source.file.clone().ok_or_else(|| {
        Error::Usage("there is no place for keys; give --data-dir DIR or set server.keys_file".into())
    })?;
    match args.action {
        Action::Add { name, scope, rate } => {
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder).map_err(Error::io(folder))?;
            }
            let key =
                keys::add_limited(&path, name, scope.into_iter().map(Scope::from).collect(), rate.own())?;
            out(&format!("{key}\n"))
        }
        Action::List => {
            let lines = keys::list(&path)?.into_iter().map(|entry| {
                let scopes: Vec<_> =
                    entry.scopes.iter().map(|scope| format!("{scope:?}").to_lowercase()).collect();
                format!("{:<24} {:<20} {}\n", entry.name.as_str(), scopes.join(","), entry.created_at)
            });
            out(&lines.collect::<String>())
        }
        Action::Remove { name } => Ok(keys::remove(&path, &name)?),
        Action::Unlock => Ok(source.unlock()?),
    }
}
