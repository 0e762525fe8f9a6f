//! (being built)
use super::{Config, Error};
/// .
#[derive(Debug, clap::Args)]
pub struct Args {}
/// .
pub fn run(_: Args, _: &Config) -> Result<(), Error> {
    Ok(())
}
