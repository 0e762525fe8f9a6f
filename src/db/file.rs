//! Files of SQLite: a snapshot of one that is in use, the check of one that was restored, and a clean end.

use std::path::Path;
use std::time::Duration;

use sqlx::{AnyConnection, Connection as _, Executor as _};

use super::{Conn, Db, Error, Result, install_drivers, runtime, sqlite_url};

/// Longest time that a database has to close, seconds.
const CLOSE: Duration = Duration::from_secs(5);

impl Db {
    /// Copies the present contents of the database `file` to the new or empty file `to`, also while other programs use it
    /// (SQLite's `VACUUM INTO`).
    ///
    /// # Errors
    /// `file` cannot be read, or `to` cannot be written.
    pub fn snapshot(file: &Path, to: &Path) -> Result<()> {
        let to = to.to_str().ok_or_else(|| Error::Open(format!("{} is not UTF-8", to.display())))?;
        on_file(file, async |conn| {
            sqlx::query("VACUUM INTO $1").bind(to).execute(conn).await?;
            Ok(())
        })
    }

    /// Checks the whole database `file` (SQLite's `integrity_check`).
    ///
    /// # Errors
    /// The database is damaged or cannot be read.
    pub fn check(file: &Path) -> Result<()> {
        let first: String = on_file(file, async |conn| {
            Ok(sqlx::query_scalar("PRAGMA integrity_check").fetch_one(conn).await?)
        })?;
        if first == "ok" {
            Ok(())
        } else {
            Err(Error::Open(format!("{} is damaged: {first}", file.display())))
        }
    }

    /// Ends all connections, after which nothing can be read or written. The file of SQLite then holds everything: its log is
    /// folded in.
    pub fn close(&self) {
        let end = async {
            let pool = self.0.link.pool();
            if !self.is_postgres()
                && let Err(error) = pool.execute("PRAGMA wal_checkpoint(TRUNCATE)").await
            {
                tracing::warn!(%error, "limpid.db-wal is not folded into limpid.db");
            }
            pool.close().await;
        };
        let closed = self.runtime().block_on(async { tokio::time::timeout(CLOSE, end).await });
        if closed.is_err() {
            tracing::warn!("the database is in use still; limpid.db-wal belongs to limpid.db");
        }
    }
}

/// Runs `work` on a database that is there, on a connection of its own.
fn on_file<T>(file: &Path, work: impl AsyncFnOnce(&mut Conn) -> Result<T>) -> Result<T> {
    install_drivers();
    let url = sqlite_url(file).replace("mode=rwc", "mode=rw");
    runtime()?.block_on(async {
        let mut conn = AnyConnection::connect(&url)
            .await
            .map_err(|e| Error::Open(format!("{}: {e}", file.display())))?;
        let done = work(&mut conn).await;
        conn.close().await?;
        done
    })
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    async fn add(conn: &mut Conn) -> Result<()> {
        conn.execute("UPDATE counters SET value = value + 1 WHERE name = 'registry'").await?;
        Ok(())
    }

    fn value(file: &Path) -> i64 {
        let value = on_file(file, async |conn| {
            Ok(sqlx::query_scalar("SELECT value FROM counters WHERE name = 'registry'")
                .fetch_one(conn)
                .await?)
        });
        value.unwrap()
    }

    #[test]
    fn a_snapshot_holds_what_was_committed_before_it() {
        let folder = tempfile::tempdir().unwrap();
        let (file, copy) = (folder.path().join("limpid.db"), folder.path().join("it's a copy"));
        let db = Db::open(&Config::default(), &file, || false).unwrap();
        db.transact(add).unwrap();
        Db::snapshot(&file, &copy).unwrap();
        db.transact(add).unwrap();
        Db::check(&copy).unwrap();
        assert_eq!((value(&copy), value(&file)), (1, 2));
        assert!(Db::snapshot(&file, &copy).is_err(), "a file is not overwritten");
        assert!(Db::snapshot(&folder.path().join("none"), &folder.path().join("new")).is_err());
    }

    #[test]
    fn a_database_that_was_closed_is_one_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("limpid.db");
        let db = Db::open(&Config::default(), &file, || false).unwrap();
        db.transact(add).unwrap();
        let log = folder.path().join("limpid.db-wal");
        assert!(log.metadata().unwrap().len() > 0);
        db.close();
        assert!(!log.exists());
        assert!(matches!(db.transact(add), Err(Error::Gone(_))));
        let copy = folder.path().join("copy");
        std::fs::copy(&file, &copy).unwrap();
        assert_eq!(value(&copy), 1);
    }

    #[test]
    fn a_damaged_database_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("limpid.db");
        let db = Db::open(&Config::default(), &file, || false).unwrap();
        db.transact(add).unwrap();
        db.close();
        let mut bytes = std::fs::read(&file).unwrap();
        bytes[4096 + 100..8192].fill(0xa5);
        std::fs::write(&file, bytes).unwrap();
        assert!(Db::check(&file).is_err());
        std::fs::write(&file, "no database at all, but text of some length").unwrap();
        assert!(Db::check(&file).is_err());
        let error = Db::open(&Config::default(), &file, || false).unwrap_err();
        assert!(
            matches!(&error, Error::Damaged(_)) && error.to_string().contains("limpid restore"),
            "{error}"
        );
    }
}
