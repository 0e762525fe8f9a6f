//! Rows of the registry: versions and defaults, shared by all programs on one database.

use std::collections::HashMap;

use sqlx::Row as _;

use crate::db::{Conn, Db, Result};
use crate::name::Name;

/// State of a version; stored as its name in lower case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// The folder is in place, or staged and about to be renamed.
    Ready,
    /// The folder is about to be deleted.
    Removing,
    /// The folder is deleted; the number is not reused.
    Removed,
}

/// All rows of the registry.
#[derive(Debug, Default)]
pub(super) struct Rows {
    /// Grows with every change.
    pub generation: i64,
    pub versions: Vec<VersionRow>,
    /// Stated default (0 for none) and revision.
    pub models: HashMap<Name, (u32, i64)>,
}

/// Row of one version.
#[derive(Debug)]
pub(super) struct VersionRow {
    pub name: Name,
    pub version: u32,
    pub sha256: String,
    /// Name of the staging folder; empty if the version was put in place by hand.
    pub staged: String,
    pub state: State,
}

/// Reads the generation, a number that grows with every change.
pub(super) fn generation(db: &Db) -> Result<i64> {
    db.read(async |conn| {
        Ok(sqlx::query_scalar("SELECT value FROM counters WHERE name = 'registry'").fetch_one(conn).await?)
    })
}

/// Reads all rows. The generation is read first, so that a concurrent change is seen by the next refresh.
pub(super) fn read(db: &Db) -> Result<Rows> {
    let generation = generation(db)?;
    db.read(async |conn| {
        let mut rows = Rows { generation, ..Rows::default() };
        for row in sqlx::query("SELECT name, version, sha256, staged, state FROM versions")
            .fetch_all(&mut *conn)
            .await?
        {
            let (name, state): (String, String) = (row.try_get(0)?, row.try_get(4)?);
            // Skipped: rows of a newer program that this one does not understand.
            let (Ok(name), Some(state)) = (name.parse(), State::parse(&state)) else { continue };
            let version = row.try_get::<i64, _>(1)? as u32;
            let (sha256, staged) = (row.try_get(2)?, row.try_get(3)?);
            rows.versions.push(VersionRow { name, version, sha256, staged, state });
        }
        for row in sqlx::query("SELECT name, default_version, revision FROM models").fetch_all(conn).await? {
            let Ok(name) = row.try_get::<String, _>(0)?.parse() else { continue };
            rows.models.insert(name, (row.try_get::<i64, _>(1)? as u32, row.try_get(2)?));
        }
        Ok(rows)
    })
}

/// Returns the highest number that a version of `name` ever had; 0 if there was none.
pub(super) fn last(db: &Db, name: &Name) -> Result<u32> {
    let sql = "SELECT CAST(COALESCE(MAX(version), 0) AS BIGINT) FROM versions WHERE name = $1";
    let last: i64 = db.read(async |conn| {
        Ok::<_, crate::db::Error>(sqlx::query_scalar(sql).bind(name.as_str()).fetch_one(conn).await?)
    })?;
    Ok(last as u32)
}

/// Adds a version. Returns `false` if the number is taken, also by a removed version.
pub(super) async fn insert(
    conn: &mut Conn,
    name: &Name,
    version: u32,
    (sha256, staged): (&str, &str),
    now: i64,
) -> Result<bool> {
    let sql = "INSERT INTO versions (name, version, sha256, staged, state, created_at)
               VALUES ($1, $2, $3, $4, 'ready', $5) ON CONFLICT (name, version) DO NOTHING";
    let query = sqlx::query(sql).bind(name.as_str()).bind(i64::from(version)).bind(sha256).bind(staged);
    Ok(query.bind(now).execute(conn).await?.rows_affected() == 1)
}

/// Returns the name of a version's staging folder; none if there is no such version.
pub(super) async fn staged(conn: &mut Conn, name: &Name, version: u32) -> Result<Option<String>> {
    let sql = "SELECT staged FROM versions WHERE name = $1 AND version = $2";
    let query = sqlx::query_scalar(sql).bind(name.as_str()).bind(i64::from(version));
    Ok(query.fetch_optional(conn).await?)
}

/// Adds a version that was put in place by hand, even if its number was removed before.
pub(super) async fn adopt(conn: &mut Conn, name: &Name, version: u32, sha256: &str, now: i64) -> Result<()> {
    let sql = "INSERT INTO versions (name, version, sha256, staged, state, created_at)
               VALUES ($1, $2, $3, '', 'ready', $4)
               ON CONFLICT (name, version) DO UPDATE
               SET state = 'ready', sha256 = EXCLUDED.sha256, staged = ''
               WHERE versions.state = 'removed'";
    let query = sqlx::query(sql).bind(name.as_str()).bind(i64::from(version)).bind(sha256).bind(now);
    query.execute(&mut *conn).await?;
    touch(conn, name).await
}

/// Moves a version from state `from` to `to`. Returns `false` if it was not in state `from`.
pub(super) async fn change(
    conn: &mut Conn,
    name: &Name,
    version: u32,
    from: State,
    to: State,
) -> Result<bool> {
    let sql = "UPDATE versions SET state = $1 WHERE name = $2 AND version = $3 AND state = $4";
    let query = sqlx::query(sql).bind(to.as_str()).bind(name.as_str()).bind(i64::from(version));
    Ok(query.bind(from.as_str()).execute(conn).await?.rows_affected() == 1)
}

/// Returns the stated default of `name`; 0 if there is none.
pub(super) async fn default(conn: &mut Conn, name: &Name) -> Result<u32> {
    let sql = "SELECT default_version FROM models WHERE name = $1";
    let stated: Option<i64> = sqlx::query_scalar(sql).bind(name.as_str()).fetch_optional(conn).await?;
    Ok(stated.unwrap_or(0) as u32)
}

/// Increments the revision of `name` and the generation.
pub(super) async fn touch(conn: &mut Conn, name: &Name) -> Result<()> {
    let stated = default(conn, name).await?;
    set_default(conn, name, stated, None).await.map(drop)
}

/// Sets the default; if `revision` is given, only if the model is still at it. Returns `false` if it is not.
pub(super) async fn set_default(
    conn: &mut Conn,
    name: &Name,
    version: u32,
    revision: Option<i64>,
) -> Result<bool> {
    let sql = "INSERT INTO models (name, default_version, revision) VALUES ($1, 0, 0)
               ON CONFLICT (name) DO NOTHING";
    sqlx::query(sql).bind(name.as_str()).execute(&mut *conn).await?;
    let sql = "UPDATE models SET default_version = $1, revision = revision + 1
               WHERE name = $2 AND ($3 < 0 OR revision = $3)";
    let query = sqlx::query(sql).bind(i64::from(version)).bind(name.as_str()).bind(revision.unwrap_or(-1));
    let is_set = query.execute(&mut *conn).await?.rows_affected() == 1;
    sqlx::query("UPDATE counters SET value = value + 1 WHERE name = 'registry'").execute(conn).await?;
    Ok(is_set)
}

impl State {
    fn as_str(self) -> &'static str {
        match self {
            State::Ready => "ready",
            State::Removing => "removing",
            State::Removed => "removed",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [State::Ready, State::Removing, State::Removed].into_iter().find(|state| state.as_str() == text)
    }
}
