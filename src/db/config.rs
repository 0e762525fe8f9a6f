//! Database section of the configuration.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Error, Result};

/// Bounds of `timeout_seconds`.
const TIMEOUT: std::ops::RangeInclusive<f64> = 0.1..=600.0;

/// Database section of the configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = DatabaseSettings)]
pub struct Config {
    /// `postgres://user:password@host/database`; if empty, SQLite in `limpid.db` in the data folder.
    pub url: String,
    /// Seconds that Postgres has to answer a transaction, 0.1 to 600; then its connections are replaced by new ones.
    pub timeout_seconds: f64,
    /// Refuse to start the service while Postgres cannot be reached, and report it as not ready then. Otherwise it serves the
    /// models of its folders meanwhile, and training waits.
    pub required: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self { url: String::new(), timeout_seconds: 15.0, required: false }
    }
}

impl Config {
    /// Time that Postgres has to answer a transaction.
    pub(super) fn timeout(&self) -> Duration {
        Duration::from_secs_f64(self.timeout_seconds.clamp(*TIMEOUT.start(), *TIMEOUT.end()))
    }

    /// # Errors
    /// The URL is of another kind of database, or the time is out of its range.
    pub(super) fn check(&self) -> Result<()> {
        if !TIMEOUT.contains(&self.timeout_seconds) {
            let (low, high, given) = (TIMEOUT.start(), TIMEOUT.end(), self.timeout_seconds);
            return Err(Error::Open(format!(
                "database.timeout_seconds: expected {low} to {high}, not {given}"
            )));
        }
        let known = ["postgres://", "postgresql://"];
        if self.url.is_empty() || known.iter().any(|scheme| self.url.starts_with(scheme)) {
            return Ok(());
        }
        let reason = "expected postgres://user:password@host/database, or nothing for SQLite";
        Err(Error::Open(format!("database.url: {reason}")))
    }
}
