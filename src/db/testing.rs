//! Databases for tests: SQLite in a folder, and Postgres where Debian's package is installed.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use super::{Config, Db};

/// Runs `test` on a fresh database of each kind; prints a note if Postgres is not installed.
pub(crate) fn on_each(test: impl Fn(Db)) {
    let folder = tempfile::tempdir().unwrap();
    test(Db::open(&Config::default(), &folder.path().join("limpid.db"), || false).unwrap());
    match postgres() {
        Ok(url) => test(Db::open(&Config { url }, &folder.path().join("unused"), || false).unwrap()),
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
