//! Tables and schema migrations.

use sqlx::Executor as _;

use super::{Db, Error, Result};

/// Migration steps: step `n` leads from version `n` to `n + 1`. A released step is never changed; new ones are appended.
const STEPS: [&[&str]; 3] = [
    &[
        // Versions of models. A removed version keeps its row, so that its number is never reused.
        "CREATE TABLE versions (
        name TEXT NOT NULL,
        version BIGINT NOT NULL,
        sha256 TEXT NOT NULL,
        staged TEXT NOT NULL,
        state TEXT NOT NULL,
        created_at BIGINT NOT NULL,
        PRIMARY KEY (name, version)
    )",
        // Default version of each model; `revision` grows with every change of the model.
        "CREATE TABLE models (
        name TEXT PRIMARY KEY,
        default_version BIGINT NOT NULL,
        revision BIGINT NOT NULL
    )",
        // `registry` grows with every change of any model, `resumes` with every resumed job, `lost_steps` by the training steps
        // repeated after a resume.
        "CREATE TABLE counters (name TEXT PRIMARY KEY, value BIGINT NOT NULL)",
        "INSERT INTO counters (name, value) VALUES ('registry', 0)",
        "CREATE TABLE jobs (
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL,
        status TEXT NOT NULL,
        config TEXT NOT NULL,
        webhook TEXT NOT NULL,
        idempotency_key TEXT NOT NULL,
        body_sha256 TEXT NOT NULL,
        bytes BIGINT NOT NULL,
        created_at BIGINT NOT NULL,
        started_at BIGINT NOT NULL,
        finished_at BIGINT NOT NULL,
        wanted TEXT NOT NULL,
        attempt BIGINT NOT NULL,
        strikes BIGINT NOT NULL,
        saved_step BIGINT NOT NULL,
        fault TEXT NOT NULL,
        fence BIGINT NOT NULL,
        worker TEXT NOT NULL,
        lease_until BIGINT NOT NULL,
        last_event BIGINT NOT NULL,
        scheme TEXT NOT NULL,
        samples TEXT NOT NULL,
        progress TEXT NOT NULL,
        result TEXT NOT NULL,
        error TEXT NOT NULL
    )",
        "CREATE INDEX jobs_by_status ON jobs (status, id)",
        "CREATE UNIQUE INDEX jobs_by_key ON jobs (idempotency_key) WHERE idempotency_key <> ''",
        // Uploaded files of a job, by content.
        "CREATE TABLE files (
        job TEXT NOT NULL,
        position BIGINT NOT NULL,
        name TEXT NOT NULL,
        sha256 TEXT NOT NULL,
        bytes BIGINT NOT NULL,
        PRIMARY KEY (job, position)
    )",
        "CREATE INDEX files_by_content ON files (sha256)",
        "CREATE TABLE events (
        job TEXT NOT NULL,
        id BIGINT NOT NULL,
        at BIGINT NOT NULL,
        kind TEXT NOT NULL,
        data TEXT NOT NULL,
        PRIMARY KEY (job, id)
    )",
        "CREATE TABLE deliveries (
        job TEXT PRIMARY KEY,
        url TEXT NOT NULL,
        tries BIGINT NOT NULL,
        due_at BIGINT NOT NULL
    )",
    ],
    &[
        // Name of the API key that asked for a job; empty where there was none.
        "ALTER TABLE jobs ADD COLUMN owner TEXT NOT NULL DEFAULT ''",
        "CREATE INDEX jobs_by_owner ON jobs (owner, id)",
    ],
    &[
        // Facts about the whole installation: `store_id` is that of the data folder which belongs to the database.
        "CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
    ],
];

/// Migrates the tables to the current schema; a lock keeps other programs out meanwhile.
///
/// # Errors
/// A newer program created the tables.
pub(super) fn migrate(db: &Db) -> Result<()> {
    db.transact_now(async |conn| {
        if db.is_postgres() {
            // Arbitrary constant, the same in every Limpid process; the lock is released at the end of the transaction.
            conn.execute("SELECT pg_advisory_xact_lock(7311014537)").await?;
        }
        conn.execute("CREATE TABLE IF NOT EXISTS limpid_schema (version BIGINT NOT NULL)").await?;
        let found: Option<i64> =
            sqlx::query_scalar("SELECT version FROM limpid_schema").fetch_optional(&mut *conn).await?;
        let (found, known) = (found.unwrap_or(0), STEPS.len() as i64);
        if found > known {
            return Err(Error::Newer { found, known });
        }
        for statement in STEPS[found as usize..].iter().copied().flatten() {
            conn.execute(*statement).await?;
        }
        if found < known {
            conn.execute("DELETE FROM limpid_schema").await?;
            sqlx::query("INSERT INTO limpid_schema (version) VALUES ($1)").bind(known).execute(conn).await?;
        }
        Ok(())
    })
}
