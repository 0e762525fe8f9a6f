//! Database access: SQLite in the data folder, or Postgres by URL, with the same queries.
//!
//! All SQL works on both: `$1` placeholders, only `BIGINT` and `TEXT` columns, no NULL. Each change is one transaction. A
//! transaction that fails to begin or commit because the database is busy or full is retried, so it must have no other side
//! effects.

mod error;
mod schema;
#[cfg(test)]
pub(crate) mod testing;

use std::path::Path;
use std::sync::{Arc, Once};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sqlx::any::AnyPoolOptions;
use sqlx::{AnyConnection, AnyPool, Executor as _};
use tokio::runtime::Runtime;

pub use error::Error;

/// Result of a database call.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Connection on which a transaction or a read runs.
pub type Conn = AnyConnection;

/// Row of a query result.
pub type Row = sqlx::any::AnyRow;

/// Number of times a transaction is attempted while the database is busy.
const TRIES: u32 = 8;

/// Database section of the configuration.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// `postgres://user:password@host/database`; if empty, SQLite in `limpid.db` in the data folder.
    pub url: String,
}

/// Database handle; clones share the connection pool. All calls block: do not call them from async code.
#[derive(Clone)]
pub struct Db(Arc<Inner>);

struct Inner {
    pool: AnyPool,
    is_postgres: bool,
    /// Runtime that drives the connections; taken when the last handle is dropped.
    runtime: Option<Runtime>,
    /// Frees space on a full disk; returns `false` if there was nothing to free.
    make_room: Box<dyn Fn() -> bool + Send + Sync>,
}

impl Db {
    /// Opens the database of `config`, or the SQLite file `default`, and migrates its tables to the current schema.
    /// `make_room` is called when the disk is full, before the transaction is retried.
    ///
    /// # Errors
    /// The database cannot be reached or opened, or a newer program created it.
    pub fn open(
        config: &Config,
        default: &Path,
        make_room: impl Fn() -> bool + Send + Sync + 'static,
    ) -> Result<Self> {
        if config.url.is_empty() {
            return Self::connect(&sqlite_url(default), Box::new(make_room));
        }
        if !["postgres://", "postgresql://"].iter().any(|scheme| config.url.starts_with(scheme)) {
            let reason = "expected postgres://user:password@host/database, or nothing for SQLite";
            return Err(Error::Open(format!("database.url: {reason}")));
        }
        Self::connect(&config.url, Box::new(make_room))
    }

    fn connect(url: &str, make_room: Box<dyn Fn() -> bool + Send + Sync>) -> Result<Self> {
        static DRIVERS: Once = Once::new();
        DRIVERS.call_once(sqlx::any::install_default_drivers);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("limpid-db")
            .enable_all()
            .build()
            .map_err(|e| Error::Open(format!("no thread for the database: {e}")))?;
        let is_postgres = url.starts_with("postgres");
        let options = AnyPoolOptions::new()
            .max_connections(4)
            .acquire_timeout(Duration::from_secs(10))
            .after_connect(move |conn, _| {
                Box::pin(async move {
                    if !is_postgres {
                        conn.execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 10000")
                            .await?;
                    }
                    Ok(())
                })
            });
        let pool = runtime.block_on(options.connect(url)).map_err(|e| Error::Open(e.to_string()))?;
        let db = Self(Arc::new(Inner { pool, is_postgres, runtime: Some(runtime), make_room }));
        schema::migrate(&db)?;
        Ok(db)
    }

    /// Returns `true` for Postgres, `false` for SQLite.
    pub fn is_postgres(&self) -> bool {
        self.0.is_postgres
    }

    /// Runs `work` in one transaction, which is committed whole or rolled back. An error of `work` rolls it back and is
    /// returned without a retry.
    ///
    /// # Errors
    /// Errors of `work`; the database is unreachable, busy or full.
    pub fn transact<T, E: From<Error>>(&self, work: impl AsyncFn(&mut Conn) -> Result<T, E>) -> Result<T, E> {
        let mut tries = 0;
        loop {
            match self.try_transact(&work) {
                Err(Failed::Ours(error)) => {
                    let error = Error::from(error);
                    tries += 1;
                    let again = match error {
                        Error::Busy(_) => tries < TRIES,
                        Error::Full => (self.0.make_room)() && tries < TRIES,
                        _ => false,
                    };
                    if !again {
                        return Err(error.into());
                    }
                    std::thread::sleep(Duration::from_millis(5 << tries));
                }
                Err(Failed::Theirs(error)) => return Err(error),
                Ok(value) => return Ok(value),
            }
        }
    }

    fn try_transact<T, E: From<Error>>(
        &self,
        work: &impl AsyncFn(&mut Conn) -> Result<T, E>,
    ) -> Result<T, Failed<E>> {
        // `IMMEDIATE` takes SQLite's write lock at once: a transaction that reads first and writes later could fail to upgrade.
        let begin = if self.0.is_postgres { "BEGIN" } else { "BEGIN IMMEDIATE" };
        self.runtime().block_on(async {
            let mut transaction = self.0.pool.begin_with(begin).await.map_err(Failed::Ours)?;
            let value = work(&mut transaction).await.map_err(Failed::Theirs)?;
            transaction.commit().await.map_err(Failed::Ours)?;
            Ok(value)
        })
    }

    /// Runs `work`, which must only read, outside a transaction.
    ///
    /// # Errors
    /// Errors of `work`; the database is unreachable.
    pub fn read<T, E: From<Error>>(&self, work: impl AsyncFnOnce(&mut Conn) -> Result<T, E>) -> Result<T, E> {
        self.runtime().block_on(async {
            let mut conn = self.0.pool.acquire().await.map_err(|e| E::from(e.into()))?;
            work(&mut conn).await
        })
    }

    /// Returns milliseconds since 1970 by the clock of the database, the only clock that all machines share.
    ///
    /// # Errors
    /// The database is unreachable.
    pub async fn now(&self, conn: &mut Conn) -> Result<i64> {
        let sql = if self.0.is_postgres {
            "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)"
        } else {
            "SELECT CAST(unixepoch('subsec') * 1000 AS BIGINT)"
        };
        Ok(sqlx::query_scalar(sql).fetch_one(conn).await?)
    }

    fn runtime(&self) -> &Runtime {
        self.0.runtime.as_ref().expect("the runtime goes with the last owner")
    }
}

/// Error that ended a transaction: the database's (`Ours`) or that of its work (`Theirs`).
enum Failed<E> {
    Ours(sqlx::Error),
    Theirs(E),
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // The last handle may be dropped in an async task, where blocking on the runtime's shutdown would panic.
            runtime.shutdown_background();
        }
    }
}

impl std::fmt::Debug for Db {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Db").field("is_postgres", &self.0.is_postgres).finish_non_exhaustive()
    }
}

fn sqlite_url(path: &Path) -> String {
    let text = path.display().to_string();
    let escaped = text.replace('%', "%25").replace('?', "%3f").replace('#', "%23").replace(' ', "%20");
    format!("sqlite://{escaped}?mode=rwc")
}

#[cfg(test)]
mod tests;
