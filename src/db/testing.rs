//! Databases for tests: SQLite in a folder, and Postgres where Debian's package is installed.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};

use sqlx::Executor as _;

use super::{Config, Conn, Db, Error, Result};

/// A failure of the disk.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Strike {
    Full,
    Io,
}

/// Failures of the disk to come, each at the end of a transaction.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    plan: Mutex<Plan>,
    /// Commits to come whose answers are lost.
    lost: AtomicU32,
}

#[derive(Debug, Default)]
struct Plan {
    /// Commits to fail, and how.
    next: u32,
    kind: Option<Strike>,
    /// Fail the first try of every transaction.
    is_every: bool,
}

impl Faults {
    /// Lets the next `count` commits fail.
    pub fn next(&self, count: u32, kind: Strike) {
        *self.plan.lock().unwrap() = Plan { next: count, kind: Some(kind), is_every: false };
    }

    /// Lets the first commit of every transaction fail.
    pub fn every_first(&self, kind: Strike) {
        *self.plan.lock().unwrap() = Plan { next: 0, kind: Some(kind), is_every: true };
    }

    /// Lets the answers to the next `count` commits be lost, after they took effect.
    pub fn lose_next(&self, count: u32) {
        self.lost.store(count, Ordering::Relaxed);
    }

    pub(super) fn lose(&self) -> Result<()> {
        let left = self.lost.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        left.map_or(Ok(()), |_| Err(Error::Gone("injected".into())))
    }

    /// Leaves the connection as a failed commit does: the database has undone the transaction, sqlx counts it as open.
    pub(super) async fn strike(&self, conn: &mut Conn, tries: u32) -> Result<()> {
        let kind = {
            let mut plan = self.plan.lock().unwrap();
            if !(plan.is_every && tries == 0 || plan.next > 0) {
                return Ok(());
            }
            plan.next = plan.next.saturating_sub(1);
            plan.kind
        };
        conn.execute("ROLLBACK").await?;
        Err(match kind {
            Some(Strike::Full) => Error::Full,
            _ => Error::Io("injected".into()),
        })
    }
}

impl Db {
    /// Failures to come.
    pub(crate) fn faults(&self) -> &Faults {
        &self.0.faults
    }
}

/// Runs `test` on a fresh database of each kind; prints a note if Postgres is not installed.
pub(crate) fn on_each(test: impl Fn(Db)) {
    let folder = tempfile::tempdir().unwrap();
    test(Db::open(&Config::default(), &folder.path().join("limpid.db"), || false).unwrap());
    match postgres() {
        Ok(url) => {
            let config = Config { url, ..Config::default() };
            test(Db::open(&config, &folder.path().join("unused"), || false).unwrap());
        }
        Err(reason) => eprintln!("skipped on Postgres: {reason}"),
    }
}

/// Returns the URL of a fresh database on the Postgres server of this test run.
pub(crate) fn postgres() -> Result<String, String> {
    static SERVER: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let socket = SERVER.get_or_init(start).clone()?;
    let name = format!("test{}", COUNT.fetch_add(1, Ordering::Relaxed));
    psql(&socket, &format!("CREATE DATABASE {name}"))?;
    Ok(format!("postgres://limpid@localhost/{name}?host={}", socket.display()))
}

/// Starts a server in a temporary folder; `tests/postgres` stops it when this process ends.
fn start() -> Result<PathBuf, String> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/postgres");
    let out = Command::new(script)
        .arg(std::process::id().to_string())
        .stdin(Stdio::null())
        .output()
        .map_err(|e| format!("{script}: {e}"))?;
    match out.status.code() {
        Some(0) => Ok(String::from_utf8_lossy(&out.stdout).trim().into()),
        Some(3) => Err(String::from_utf8_lossy(&out.stderr).trim().to_owned()),
        _ => panic!("{script} failed: {}", String::from_utf8_lossy(&out.stderr)),
    }
}

fn psql(socket: &PathBuf, sql: &str) -> Result<(), String> {
    let out = Command::new("psql")
        .args(["-qX", "-U", "limpid", "-d", "postgres", "-c", sql, "-h"])
        .arg(socket)
        .output()
        .map_err(|e| e.to_string())?;
    out.status.success().then_some(()).ok_or_else(|| String::from_utf8_lossy(&out.stderr).into_owned())
}
