//! Database access: SQLite in the data folder, or Postgres by URL, with the same queries.
//!
//! All SQL works on both: `$1` placeholders, only `BIGINT` and `TEXT` columns, no NULL. Each change is one transaction. A
//! transaction that a busy, full or failing database undid is retried, so it must have no other side effects.

mod config;
mod error;
mod file;
mod link;
mod schema;
#[cfg(test)]
pub(crate) mod testing;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::{Any, AnyConnection, Connection as _, Executor as _, Transaction};
use tokio::runtime::Runtime;

pub use config::Config;
pub use error::Error;
use link::Link;
pub use link::Outage;

/// Result of a database call.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Connection on which a transaction or a read runs.
pub type Conn = AnyConnection;

/// Row of a query result.
pub type Row = sqlx::any::AnyRow;

/// Number of times a transaction is attempted while the database is busy.
const TRIES: u32 = 8;

/// Database handle; clones share the connection pool. All calls block: do not call them from async code.
#[derive(Clone)]
pub struct Db(Arc<Inner>);

struct Inner {
    link: Link,
    /// `true` once the tables have the current schema.
    is_migrated: AtomicBool,
    /// Serializes the migrations of this process.
    migration: Mutex<()>,
    /// Runtime that drives the connections; taken when the last handle is dropped.
    runtime: Option<Runtime>,
    /// Frees space on a full disk; returns `false` if there was nothing to free.
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
        let db = Self::connect(config, default, Box::new(make_room))?;
        db.ready()?;
        Ok(db)
    }

    /// [`Db::open`] that also returns a handle to a Postgres that cannot be reached: each call then tries again to reach it.
    ///
    /// # Errors
    /// Errors of [`Db::open`], except that of a Postgres that cannot be reached.
    pub fn open_soon(
        config: &Config,
        default: &Path,
        make_room: impl Fn() -> bool + Send + Sync + 'static,
    ) -> Result<Self> {
        let db = Self::connect(config, default, Box::new(make_room))?;
        match db.ready() {
            Err(Error::Gone(reason)) if db.is_postgres() => {
                tracing::warn!(%reason, "started without the database; training waits for it");
                Ok(db)
            }
            done => done.map(|()| db),
        }
    }

    fn connect(
        config: &Config,
        default: &Path,
        make_room: Box<dyn Fn() -> bool + Send + Sync>,
    ) -> Result<Self> {
        config.check()?;
        install_drivers();
        let runtime = runtime()?;
        let link = match config.url.as_str() {
            "" => Link::to_file(&sqlite_url(default), &runtime)?,
            _ => Link::to_server(config, &runtime)?,
        };
        Ok(Self(Arc::new(Inner {
            link,
            is_migrated: AtomicBool::new(false),
            migration: Mutex::default(),
            runtime: Some(runtime),
            make_room,
            trouble: Mutex::default(),
            #[cfg(test)]
            faults: testing::Faults::default(),
        })))
    }

    /// Migrates the tables, unless this process has done so.
    fn ready(&self) -> Result<()> {
        if self.0.is_migrated.load(Ordering::Acquire) {
            return Ok(());
        }
        let _turn = self.0.migration.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.0.is_migrated.load(Ordering::Acquire) {
            schema::migrate(self)?;
            self.0.is_migrated.store(true, Ordering::Release);
        }
        Ok(())
    }

    /// Returns `true` for Postgres, `false` for SQLite.
    pub fn is_postgres(&self) -> bool {
        self.0.link.is_postgres()
    }

    /// Returns the outage that lasts; none while the database is reached.
    pub fn outage(&self) -> Option<Outage> {
        self.0.link.outage()
    }

    /// Runs `work` in one transaction, which is committed whole or rolled back. After an error of the database it is retried as
    /// long as that may help; any other error of `work` rolls it back and is returned.
    ///
    /// # Errors
    /// Errors of `work`; the database is unreachable or cannot be written.
    pub fn transact<T, E: Failure>(&self, work: impl AsyncFn(&mut Conn) -> Result<T, E>) -> Result<T, E> {
        self.ready()?;
        self.transact_now(work)
    }

    /// [`Db::transact`] on tables of whichever schema.
    fn transact_now<T, E: Failure>(&self, work: impl AsyncFn(&mut Conn) -> Result<T, E>) -> Result<T, E> {
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
        // `IMMEDIATE` takes SQLite's write lock at once: a transaction that reads first and writes later could fail to upgrade.
        let begin = if self.is_postgres() { "BEGIN" } else { "BEGIN IMMEDIATE" };
        self.runtime().block_on(self.0.link.with(async |conn: &mut PoolConnection<Any>| {
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
        }))
    }

    #[cfg_attr(not(test), expect(unused_mut, unused_variables, reason = "tests let commits fail"))]
    async fn commit(&self, mut transaction: Transaction<'_, Any>, tries: u32) -> Result<()> {
        #[cfg(test)]
        self.0.faults.strike(&mut transaction, tries).await?;
        transaction.commit().await?;
        #[cfg(test)]
        self.0.faults.lose()?;
        Ok(())
    }

    /// Runs `work`, which must only read, outside a transaction.
    ///
    /// # Errors
    /// Errors of `work`; the database is unreachable.
    pub fn read<T, E: Failure>(&self, work: impl AsyncFnOnce(&mut Conn) -> Result<T, E>) -> Result<T, E> {
        self.ready()?;
        let work = async |conn: &mut PoolConnection<Any>| work(conn).await;
        self.runtime().block_on(self.0.link.with(work))
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

    /// Returns milliseconds since 1970 by the clock of the database, the only clock that all machines share.
    ///
    /// # Errors
    /// The database is unreachable.
    pub async fn now(&self, conn: &mut Conn) -> Result<i64> {
        let sql = if self.is_postgres() {
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
            // The last handle may be dropped in an async task, where blocking on the runtime's shutdown would panic.
            runtime.shutdown_background();
        }
    }
}

impl std::fmt::Debug for Db {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Db").field("is_postgres", &self.is_postgres()).finish_non_exhaustive()
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
