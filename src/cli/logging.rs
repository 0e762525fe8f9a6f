//! Logs: to stderr, as text for people or JSON lines for machines.

use std::io::{self, IsTerminal as _};

use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, fmt};

use super::Error;
use super::config::{Log, LogFormat};

/// Starts logging as configured.
///
/// # Errors
/// The level is not valid.
pub(super) fn start(log: &Log) -> Result<(), Error> {
    let filter = EnvFilter::try_new(&log.level).map_err(|error| {
        let expected = "expected error, warn, info, debug, trace or a filter such as info,limpid::api=debug";
        Error::Usage(format!("log.level: {:?}: {error}; {expected}", log.level))
    })?;
    let lines = fmt::layer().with_writer(io::stderr);
    let lines = match log.format {
        LogFormat::Text => lines.with_ansi(io::stderr().is_terminal()).with_target(false).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(true).boxed(),
    };
    let heard = tracing_subscriber::registry().with(filter).with(lines);
    #[cfg(feature = "otel")]
    let heard = heard.with(super::traces::layer()?);
    heard.init();
    Ok(())
}
