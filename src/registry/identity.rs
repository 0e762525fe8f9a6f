//! Identity: a marker in the folder of trained models that the database knows.
//!
//! Programs on one Postgres share one folder. A folder that is not the shared one, such as the empty one below a mount that
//! is missing, would otherwise go unnoticed: models would be missing, and jobs would fail for want of their samples.

use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::Path;
use std::thread;
use std::time::Duration;

use super::{Error, Result};
use crate::db::{self, Db};
use crate::file::sync_folder;

/// Name of the marker.
const FILE: &str = "store-id";

/// Number of looks at a marker that another program is just writing, and the time between them.
const LOOKS: (u32, Duration) = (20, Duration::from_millis(50));

/// Checks that `root` belongs to the database, and makes them belong together if neither is marked. Returns the id; none for
/// SQLite, whose file lies beside the folder.
///
/// # Errors
/// [`Error::Foreign`], or the folder or the database cannot be read or written.
pub(super) fn settle(root: &Path, db: &Db) -> Result<Option<String>> {
    if !db.is_postgres() {
        return Ok(None);
    }
    if let Some(known) = known(db)? {
        check(root, &known)?;
        return Ok(Some(known));
    }
    let (id, is_new) = find_or_make(root)?;
    let known = register(db, &id)?;
    if known != id && is_new {
        // Another folder was first; this marker says nothing.
        let _ = fs::remove_file(root.join(FILE));
    }
    check(root, &known)?;
    Ok(Some(known))
}

/// Checks that the marker of `root` holds `known`.
///
/// # Errors
/// [`Error::Foreign`], or the marker cannot be read.
pub(super) fn check(root: &Path, known: &str) -> Result<()> {
    let found = find(root)?;
    if found.as_deref() == Some(known) {
        return Ok(());
    }
    let found = found.map_or_else(|| "is missing".to_owned(), |id| format!("holds {id}"));
    Err(Error::Foreign { folder: root.to_owned(), marker: FILE, found, known: known.to_owned() })
}

fn known(db: &Db) -> Result<Option<String>> {
    Ok(db.read(async |conn| {
        let sql = "SELECT value FROM facts WHERE name = 'store_id'";
        Ok::<_, db::Error>(sqlx::query_scalar(sql).fetch_optional(conn).await?)
    })?)
}

/// Stores `id` unless there is one, and returns the one there is.
fn register(db: &Db, id: &str) -> Result<String> {
    Ok(db.transact(async |conn| {
        let sql = "INSERT INTO facts (name, value) VALUES ('store_id', $1) ON CONFLICT (name) DO NOTHING";
        sqlx::query(sql).bind(id).execute(&mut *conn).await?;
        let sql = "SELECT value FROM facts WHERE name = 'store_id'";
        Ok::<_, db::Error>(sqlx::query_scalar(sql).fetch_one(conn).await?)
    })?)
}

fn find(root: &Path) -> Result<Option<String>> {
    let path = root.join(FILE);
    match fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text.trim().to_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::Io { path, source }),
    }
}

/// Returns the id of `root`, and `true` if this call has made it.
fn find_or_make(root: &Path) -> Result<(String, bool)> {
    let path = root.join(FILE);
    let id = uuid::Uuid::now_v7().to_string();
    let written = File::create_new(&path).and_then(|mut file| {
        writeln!(file, "{id}")?;
        file.sync_all()?;
        sync_folder(root)
    });
    match written {
        Ok(()) => return Ok((id, true)),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(source) => return Err(Error::Io { path, source }),
    }
    for _ in 0..LOOKS.0 {
        if let Some(id) = find(root)?.filter(|id| !id.is_empty()) {
            return Ok((id, false));
        }
        thread::sleep(LOOKS.1);
    }
    Err(Error::Io { path, source: ErrorKind::UnexpectedEof.into() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::testing::on_each;

    #[test]
    fn a_folder_that_is_not_the_shared_one_is_refused() {
        on_each(|db| {
            let (shared, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
            let first = settle(shared.path(), &db).unwrap();
            assert_eq!(first.is_some(), db.is_postgres());
            assert_eq!(settle(shared.path(), &db).unwrap(), first);
            let Some(id) = first else { return };
            let refused = settle(other.path(), &db).unwrap_err().to_string();
            assert!(refused.contains("is missing") && refused.contains(&id), "{refused}");
            assert!(!other.path().join(FILE).exists());
            fs::write(other.path().join(FILE), "another").unwrap();
            assert!(matches!(settle(other.path(), &db), Err(Error::Foreign { .. })));
        });
    }

    #[test]
    fn a_folder_with_a_marker_is_taken_by_a_database_without_one() {
        on_each(|db| {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join(FILE), "of an older database\n").unwrap();
            let id = settle(folder.path(), &db).unwrap();
            assert_eq!(id.as_deref(), db.is_postgres().then_some("of an older database"));
        });
    }
}
