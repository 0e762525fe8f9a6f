//! Rows: SQLite in the data folder, or Postgres by its address, behind the same queries.
//!
//! SQL is written for both: `$1` for values, `BIGINT` and `TEXT` alone, no NULL. Every change is one
//! transaction; one that a busy or full database did not let begin or commit is run again, so it must not do
//! anything else.

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

/// What calls of this module give.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A connection within its transaction.
pub type Conn = AnyConnection;

/// A row of a result.
pub type Row = sqlx::any::AnyRow;

/// How often a transaction is run again when the database was busy with another.
const TRIES: u32 = 8;

/// The database's part of the configuration.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = DatabaseSettings)]
pub struct Config {
    /// `postgres://user:password@host/database`; without it, `limpid.db` in the data folder (SQLite).
    pub url: String,
}

/// The database; clones share it. All calls block: they are for threads that may.
#[derive(Clone)]
pub struct Db(Arc<Inner>);

struct Inner {
    pool: AnyPool,
    is_postgres: bool,
    /// Where connections live; taken when the last owner goes.
    runtime: Option<Runtime>,
    /// Makes room on a full disk; whether there was any to be made.
    make_room: Box<dyn Fn() -> bool + Send + Sync>,
}

impl Db {
    /// Opens the database of `config`, or the file `default`, and brings its tables up to date.
    /// `make_room` is called when the disk is full, before a transaction is tried a last time.
    ///
    /// # Errors
    /// It cannot be reached or opened, or a newer program made it.
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

    /// Whether this is Postgres.
    pub fn is_postgres(&self) -> bool {
        self.0.is_postgres
    }

    /// Runs `work` in one transaction: all of it happens, or nothing does. An error of `work` undoes it and is
    /// not tried again.
    ///
    /// # Errors
    /// Those of `work`; the database is out of reach or full.
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
        // SQLite: a transaction that reads first and writes later could lose to another and fail.
        let begin = if self.0.is_postgres { "BEGIN" } else { "BEGIN IMMEDIATE" };
        self.runtime().block_on(async {
            let mut transaction = self.0.pool.begin_with(begin).await.map_err(Failed::Ours)?;
            let value = work(&mut transaction).await.map_err(Failed::Theirs)?;
            transaction.commit().await.map_err(Failed::Ours)?;
            Ok(value)
        })
    }

    /// Runs `work`, which only reads.
    ///
    /// # Errors
    /// Those of `work`; the database is out of reach.
    pub fn read<T, E: From<Error>>(&self, work: impl AsyncFnOnce(&mut Conn) -> Result<T, E>) -> Result<T, E> {
        self.runtime().block_on(async {
            let mut conn = self.0.pool.acquire().await.map_err(|e| E::from(e.into()))?;
            work(&mut conn).await
        })
    }

    /// Milliseconds since 1970 by the clock of the database: the one clock all machines share.
    ///
    /// # Errors
    /// The database is out of reach.
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

/// Whose error ended a transaction.
enum Failed<E> {
    Ours(sqlx::Error),
    Theirs(E),
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // The last owner may be a task, in which a runtime must not wait for its end.
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
