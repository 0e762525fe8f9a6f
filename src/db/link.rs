//! Link to a database: a pool of connections, which is replaced by a new one when one of them goes silent.
//!
//! A connection can go silent without an end: its server is lost, a firewall forgot it. It may be waited for without limit then,
//! and so may its return to the pool. Each use therefore has a time limit, and one that exceeds it gives up all connections
//! of the pool, which went the same way.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use sqlx::any::AnyPoolOptions;
use sqlx::pool::PoolConnection;
use sqlx::{Any, AnyConnection, AnyPool, AssertSqlSafe, Connection as _, Executor as _};
use tokio::runtime::Runtime;
use tokio::time::timeout;

use super::{Config, Error, Failure, Result};

/// Connections of one process.
const CONNECTIONS: u32 = 4;

/// Time to get a connection to Postgres; requests wait for it.
const ACQUIRE: Duration = Duration::from_secs(2);

/// Time to get a connection to a file, on which another process may hold a lock.
const ACQUIRE_FILE: Duration = Duration::from_secs(10);

/// Time that the connections of a replaced pool have to close.
const CLOSE: Duration = Duration::from_secs(5);

/// Time for which a database that let one wait in vain for as long is not asked again: many requests must not wait for it in turn.
const REST: Duration = Duration::from_secs(1);

/// Pool of connections to one database.
pub(super) struct Link {
    url: String,
    /// Limit of one use of a connection; none for a file.
    limit: Option<Duration>,
    is_required: bool,
    current: Mutex<Current>,
    outage: Mutex<Option<Outage>>,
}

/// Pool in use.
#[derive(Clone)]
struct Current {
    pool: AnyPool,
    /// Number of pools before it.
    number: u64,
}

/// Time in which the database is not reached.
#[derive(Debug, Clone)]
pub struct Outage {
    /// Its beginning.
    pub since: Instant,
    /// First error.
    pub reason: String,
    /// `true` if the service is not to run without the database.
    pub is_required: bool,
    /// End of the time in which the database is not asked.
    rest_until: Instant,
}

impl Link {
    /// Opens a file of SQLite.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn to_file(url: &str, runtime: &Runtime) -> Result<Self> {
        let pool = runtime.block_on(async {
            // A pool tries again and again to open a damaged file, until its time is over.
            let mut conn = AnyConnection::connect(url).await?;
            conn.execute("SELECT COUNT(*) FROM sqlite_schema").await?;
            conn.close().await?;
            options(None).connect(url).await
        });
        let pool = pool.map_err(|error| match error.into() {
            damaged @ Error::Damaged(_) => damaged,
            other => Error::Open(other.to_string()),
        })?;
        Ok(Self::new(url, None, true, pool))
    }

    /// Prepares a link to the Postgres of `config`; connects on first use.
    ///
    /// # Errors
    /// The URL is malformed.
    pub fn to_server(config: &Config, runtime: &Runtime) -> Result<Self> {
        let (_inside, limit) = (runtime.enter(), Some(config.timeout()));
        let pool = options(limit).connect_lazy(&config.url).map_err(|e| Error::Open(e.to_string()))?;
        Ok(Self::new(&config.url, limit, config.required, pool))
    }

    fn new(url: &str, limit: Option<Duration>, is_required: bool, pool: AnyPool) -> Self {
        let current = Mutex::new(Current { pool, number: 0 });
        Self { url: url.to_owned(), limit, is_required, current, outage: Mutex::default() }
    }

    /// Returns `true` for Postgres.
    pub fn is_postgres(&self) -> bool {
        self.limit.is_some()
    }

    /// Pool in use.
    pub fn pool(&self) -> AnyPool {
        self.current().pool
    }

    /// Runs `work` on a connection, within the time limit.
    ///
    /// # Errors
    /// Errors of `work`; [`Error::Gone`] if no connection is got, or the database does not answer in time. Then `work` may have
    /// had its effect.
    pub async fn with<T, E: Failure>(
        &self,
        work: impl AsyncFnOnce(&mut PoolConnection<Any>) -> Result<T, E>,
    ) -> Result<T, E> {
        let begun = Instant::now();
        let done = match self.acquire().await {
            Ok((conn, number)) => self.within_limit(conn, number, work).await,
            Err(error) => Err(error.into()),
        };
        match done.as_ref().err().and_then(Failure::database) {
            Some(Error::Gone(reason)) => self.note_outage(reason, begun.elapsed()),
            _ => self.note_answer(),
        }
        done
    }

    async fn within_limit<T, E: Failure>(
        &self,
        mut conn: PoolConnection<Any>,
        number: u64,
        work: impl AsyncFnOnce(&mut PoolConnection<Any>) -> Result<T, E>,
    ) -> Result<T, E> {
        let Some(limit) = self.limit else { return work(&mut conn).await };
        if let Ok(done) = timeout(limit, work(&mut conn)).await {
            return done;
        }
        // Its return to the pool would wait for the same answer.
        conn.close_on_drop();
        self.replace(number);
        Err(Error::Gone(format!("no answer in {} s", limit.as_secs_f64())).into())
    }

    async fn acquire(&self) -> Result<(PoolConnection<Any>, u64)> {
        if let Some(reason) = self.rest() {
            return Err(Error::Gone(reason));
        }
        loop {
            let Current { pool, number } = self.current();
            match pool.acquire().await {
                Ok(conn) => return Ok((conn, number)),
                // Replaced meanwhile, by another thread.
                Err(sqlx::Error::PoolClosed) if self.current().number > number => {}
                Err(error @ sqlx::Error::PoolTimedOut) if self.is_postgres() => {
                    self.replace(number);
                    return Err(error.into());
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Replaces pool `number`, unless another thread has done so.
    fn replace(&self, number: u64) {
        let Ok(pool) = options(self.limit).connect_lazy(&self.url) else { return };
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.number != number || current.pool.is_closed() {
            return;
        }
        let old = std::mem::replace(&mut *current, Current { pool, number: number + 1 }).pool;
        drop(current);
        tokio::spawn(async move { timeout(CLOSE, old.close()).await });
    }

    fn current(&self) -> Current {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns the outage that lasts, if there is one.
    pub fn outage(&self) -> Option<Outage> {
        self.outage.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns the reason for not asking the database now.
    fn rest(&self) -> Option<String> {
        let outage = self.outage().filter(|outage| Instant::now() < outage.rest_until)?;
        Some(outage.reason)
    }

    fn note_outage(&self, reason: &str, waited: Duration) {
        let now = Instant::now();
        let mut outage = self.outage.lock().unwrap_or_else(PoisonError::into_inner);
        let outage = outage.get_or_insert_with(|| {
            tracing::error!(%reason, "the database is not reached");
            Outage { since: now, reason: reason.to_owned(), is_required: self.is_required, rest_until: now }
        });
        // A file is asked at once: nothing is waited for there but a lock.
        if waited >= REST && self.is_postgres() {
            outage.rest_until = now + REST;
        }
    }

    fn note_answer(&self) {
        let mut outage = self.outage.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(outage) = outage.take() {
            tracing::info!(after = ?outage.since.elapsed(), "the database is reached again");
        }
    }
}

/// Options of a pool; `limit` is that of a transaction on Postgres.
fn options(limit: Option<Duration>) -> AnyPoolOptions {
    let setup = match limit {
        None => {
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 10000".to_owned()
        }
        Some(limit) => postgres_limits(limit),
    };
    AnyPoolOptions::new()
        .max_connections(CONNECTIONS)
        .acquire_timeout(if limit.is_some() { ACQUIRE } else { ACQUIRE_FILE })
        .after_connect(move |conn, _| {
            let setup = AssertSqlSafe(setup.clone());
            Box::pin(async move {
                conn.execute(setup).await?;
                Ok(())
            })
        })
}

/// Statement that limits the times of a session, except those that the URL or the database sets: a server must not hold the
/// locks of a client that has given up.
fn postgres_limits(limit: Duration) -> String {
    let ms = limit.as_millis();
    let (lock, idle) = (ms * 2 / 3, ms * 2);
    format!(
        "SELECT set_config(name, value, false) FROM (VALUES ('statement_timeout', '{ms}ms'), ('lock_timeout', '{lock}ms'),
         ('idle_in_transaction_session_timeout', '{idle}ms'), ('application_name', 'limpid')) AS wanted (name, value)
         WHERE current_setting(name) IN ('0', '')"
    )
}

#[cfg(all(test, unix))]
mod tests;
