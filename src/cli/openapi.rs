//! `limpid openapi`: OpenAPI description of the HTTP API.

use super::config::Config;
use super::{Error, out};
use crate::api;

const EXAMPLES: &str = "\
Examples:
  limpid openapi > openapi.yaml
  limpid openapi --json | jq .paths";

/// Print the OpenAPI 3.1 description of the service.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Print JSON instead of YAML.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
///
/// # Errors
/// Standard output is closed.
pub fn run(args: Args, _config: &Config) -> Result<(), Error> {
    if !args.json {
        return out(&api::openapi_yaml());
    }
    let json = api::openapi().to_pretty_json().map_err(|error| Error::Failed(error.to_string()))?;
    out(&format!("{json}\n"))
}
