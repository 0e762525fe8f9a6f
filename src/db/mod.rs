//! Rows: SQLite in the data folder, or Postgres by its address, behind the same queries.
//!
//! SQL is written for both: `$1` for values, `BIGINT` and `TEXT` alone, no NULL. Every change is one
//! transaction; one that a busy, full or failing database undid is run again, so it must not do anything else.

mod error;
mod file;
mod schema;
#[cfg(test)]
pub(crate) mod testing;

use std::path::Path;
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sqlx::any::AnyPoolOptions;
use sqlx::{Any, AnyConnection, AnyPool, Connection as _, Executor as _, Transaction};
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
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
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
    /// Reason of the last write that failed for want of a disk; none once one was made again.
    trouble: Mutex<Option<String>>,
    #[cfg(test)]
    faults: testing::Faults,
}

/// An error of work in a transaction: one of the database, or one of its own.
pub trait Failure: From<Error> {
    /// The error of the database that it is.
    fn database(&self) -> Option<&Error>;
}

impl Failure for Error {
    fn database(&self) -> Option<&Error> {
        Some(self)
    }
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
        install_drivers();
        let runtime = runtime()?;
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
        let db = Self(Arc::new(Inner {
            pool,
            is_postgres,
            runtime: Some(runtime),
            make_room,
            trouble: Mutex::default(),
            #[cfg(test)]
            faults: testing::Faults::default(),
        }));
        schema::migrate(&db)?;
        Ok(db)
    }

    /// Whether this is Postgres.
    pub fn is_postgres(&self) -> bool {
        self.0.is_postgres
    }

    /// Runs `work` in one transaction: all of it happens, or nothing does. An error of the database undoes it, and it is run
    /// again while that may help; any other error of `work` undoes it and is returned.
    ///
    /// # Errors
    /// Those of `work`; the database is out of reach or cannot be written.
    pub fn transact<T, E: Failure>(&self, work: impl AsyncFn(&mut Conn) -> Result<T, E>) -> Result<T, E> {
        let mut tries = 0;
        loop {
            let error = match self.try_transact(&work, tries) {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            tries += 1;
            let again = match error.database() {
                Some(Error::Busy(_)) => tries < TRIES,
                // Once more in any case: the connection was part of the trouble, and the next one is a new one.
                Some(Error::Full) => ((self.0.make_room)() && tries < TRIES) || tries == 1,
                Some(Error::Io(_)) => tries == 1,
                _ => false,
            };
            if !again {
                self.note_trouble(error.database());
                return Err(error);
            }
            std::thread::sleep(Duration::from_millis(5 << tries));
        }
    }

    /// Runs `work` once. A connection whose transaction came to no certain end is closed: after a COMMIT that failed, SQLite has
    /// none any more, sqlx counts it as open still, and no other could begin there.
    fn try_transact<T, E: Failure>(
        &self,
        work: &impl AsyncFn(&mut Conn) -> Result<T, E>,
        tries: u32,
    ) -> Result<T, E> {
        // SQLite: a transaction that reads first and writes later could lose to another and fail.
        let begin = if self.0.is_postgres { "BEGIN" } else { "BEGIN IMMEDIATE" };
        self.runtime().block_on(async {
            let mut conn = self.0.pool.acquire().await.map_err(Error::from)?;
            let (done, is_settled) = match conn.begin_with(begin).await {
                Ok(mut transaction) => match work(&mut transaction).await {
                    Ok(value) => match self.commit(transaction, tries).await {
                        Ok(()) => (Ok(value), true),
                        Err(error) => (Err(error.into()), false),
                    },
                    // Its drop would roll back too, without reporting a failure.
                    Err(error) => (Err(error), transaction.rollback().await.is_ok()),
                },
                Err(error) => (Err(Error::from(error).into()), false),
            };
            if !is_settled {
                conn.close_on_drop();
            }
            done
        })
    }

    #[cfg_attr(not(test), expect(unused_mut, unused_variables, reason = "tests let commits fail"))]
    async fn commit(&self, mut transaction: Transaction<'_, Any>, tries: u32) -> Result<()> {
        #[cfg(test)]
        self.0.faults.strike(&mut transaction, tries).await?;
        Ok(transaction.commit().await?)
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

    /// Reason why nothing can be written, as long as [`Db::probe`] has not found that it can be again.
    pub fn trouble(&self) -> Option<String> {
        self.0.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Repeats a write that changes nothing, if one failed before, and clears [`Db::trouble`] when it succeeds.
    ///
    /// # Errors
    /// The write fails again.
    pub fn probe(&self) -> Result<()> {
        if self.trouble().is_none() {
            return Ok(());
        }
        self.transact(async |conn| {
            // A row is written even where its values stay the same.
            conn.execute("UPDATE limpid_schema SET version = version").await?;
            Ok::<_, Error>(())
        })?;
        tracing::info!("the database can be written again");
        *self.0.trouble.lock().unwrap_or_else(PoisonError::into_inner) = None;
        Ok(())
    }

    fn note_trouble(&self, error: Option<&Error>) {
        let Some(error @ (Error::Full | Error::Io(_))) = error else { return };
        let mut trouble = self.0.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        if trouble.is_none() {
            tracing::error!(%error, "nothing can be written");
        }
        *trouble = Some(error.to_string());
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

/// Makes both kinds of database known to sqlx.
fn install_drivers() {
    static DRIVERS: Once = Once::new();
    DRIVERS.call_once(sqlx::any::install_default_drivers);
}

/// The thread that connections live on.
fn runtime() -> Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("limpid-db")
        .enable_all()
        .build()
        .map_err(|e| Error::Open(format!("no thread for the database: {e}")))
}

fn sqlite_url(path: &Path) -> String {
    let text = path.display().to_string();
    let escaped = text.replace('%', "%25").replace('?', "%3f").replace('#', "%23").replace(' ', "%20");
    format!("sqlite://{escaped}?mode=rwc")
}

#[cfg(test)]
mod tests;
