//! Logs: to stderr, as text for people or JSON lines for machines.

use std::io::{self, IsTerminal as _};

use tracing_subscriber::EnvFilter;

use super::Error;
use super::config::{Log, LogFormat};

/// Starts logging as configured; from here on `tracing` is heard.
///
/// # Errors
/// The level is not one.
pub(super) fn start(log: &Log) -> Result<(), Error> {
    let filter = EnvFilter::try_new(&log.level).map_err(|error| {
        let expected = "expected error, warn, info, debug, trace or a filter such as info,limpid::api=debug";
        Error::Usage(format!("log.level: {:?}: {error}; {expected}", log.level))
    })?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    match log.format {
        LogFormat::Text => builder.with_ansi(io::stderr().is_terminal()).with_target(false).init(),
        LogFormat::Json => builder.json().flatten_event(true).with_current_span(true).init(),
    }
    Ok(())
}
