//! Rows of jobs: reading them, and the basic updates that larger changes consist of.

use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::Row as _;

use super::queue::Unwritten;
use super::{CurvePoint, Error, Event, Failure, File, Job, Status};
use crate::db::{Conn, Row};

type Result<T> = std::result::Result<T, Error>;

/// Job with its internal columns.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub job: Job,
    /// Training config of the request, JSON.
    pub config: String,
    /// Request to the worker: empty, `cancel` or `pause`.
    pub wanted: String,
    /// Number of consecutive attempts without a new checkpoint, including the current one.
    pub strikes: u32,
    /// Step of the last known checkpoint.
    pub saved_step: u64,
    /// Reason why the last attempt ended.
    pub fault: String,
    /// Grows with every attempt; a worker with an older fence may change nothing.
    pub fence: i64,
    /// End of the lease by the clock of the database, ms since 1970.
    pub lease_until: i64,
}

/// Returns the job of this id.
///
/// # Errors
/// There is no job of this id.
pub(super) async fn get(conn: &mut Conn, id: &str) -> Result<Held> {
    let row = sqlx::query("SELECT * FROM jobs WHERE id = $1").bind(id).fetch_optional(conn).await?;
    // The id is the caller's: it is echoed only up to the length of a real one.
    held(&row.ok_or_else(|| Error::NotFound(id.chars().take(64).collect()))?)
}

/// Reads a row of `jobs`.
///
/// # Errors
/// The row was not written by this program.
pub(super) fn held(row: &Row) -> Result<Held> {
    let id: String = row.try_get("id")?;
    let odd = |what: &str| Error::Row { id: id.clone(), reason: format!("its {what} is not understood") };
    let number = |column: &str| row.try_get::<i64, _>(column);
    let time = |column: &str| number(column).map(time);
    let job = Job {
        id: id.clone(),
        name: row.try_get::<String, _>("name")?.parse().map_err(|_| odd("name"))?,
        status: Status::parse(&row.try_get::<String, _>("status")?).ok_or_else(|| odd("status"))?,
        created_at: time("created_at")?.unwrap_or(Timestamp::UNIX_EPOCH),
        started_at: time("started_at")?,
        finished_at: time("finished_at")?,
        attempt: number("attempt")? as u32,
        scheme: part(row, "scheme")?,
        samples: part(row, "samples")?,
        progress: part(row, "progress")?,
        curve: Vec::new(),
        result: part(row, "result")?,
        error: part(row, "error")?,
    };
    Ok(Held {
        job,
        config: row.try_get("config")?,
        wanted: row.try_get("wanted")?,
        strikes: number("strikes")? as u32,
        saved_step: number("saved_step")? as u64,
        fault: row.try_get("fault")?,
        fence: number("fence")?,
        lease_until: number("lease_until")?,
    })
}

/// Converts milliseconds since 1970 to a time; 0 is none.
fn time(ms: i64) -> Option<Timestamp> {
    (ms > 0).then(|| Timestamp::from_millisecond(ms).ok()).flatten()
}

/// Parses a JSON column; none if it is empty or not understood, for example written by a newer program.
fn part<T: DeserializeOwned>(row: &Row, column: &str) -> Result<Option<T>> {
    Ok(serde_json::from_str(&row.try_get::<String, _>(column)?).ok())
}

/// Serializes a value for a column.
pub(super) fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// Returns the uploaded files of a job, in order.
pub(super) async fn files(conn: &mut Conn, job: &str) -> Result<Vec<File>> {
    let sql = "SELECT name, sha256, bytes FROM files WHERE job = $1 ORDER BY position";
    let rows = sqlx::query(sql).bind(job).fetch_all(conn).await?;
    let file = |row: &Row| {
        Ok(File { name: row.try_get(0)?, sha256: row.try_get(1)?, bytes: row.try_get::<i64, _>(2)? as u64 })
    };
    rows.iter().map(file).collect()
}

/// Moves a job from the state and fence in `held` to `to`. Returns `false` if it is no longer in them.
pub(super) async fn change(conn: &mut Conn, held: &Held, to: Status, fault: &str) -> Result<bool> {
    let sql = "UPDATE jobs SET status = $1, fault = $2, wanted = '', worker = '', lease_until = 0,
               fence = fence + 1 WHERE id = $3 AND status = $4 AND fence = $5";
    let query = sqlx::query(sql).bind(to.as_str()).bind(fault).bind(&held.job.id);
    let query = query.bind(held.job.status.as_str()).bind(held.fence);
    Ok(query.execute(conn).await?.rows_affected() == 1)
}

/// Moves a job that no worker holds to another state, and clears its strikes and error. Returns `false` if its state or
/// fence changed.
pub(super) async fn put(
    conn: &mut Conn,
    held: &Held,
    to: Status,
    now: i64,
    keep_events: usize,
) -> Result<bool> {
    if !change(conn, held, to, "").await? {
        return Ok(false);
    }
    let sql = "UPDATE jobs SET error = '', strikes = 0 WHERE id = $1";
    sqlx::query(sql).bind(&held.job.id).execute(&mut *conn).await?;
    if held.job.status != to {
        say_status(conn, &held.job.id, to, now, keep_events).await?;
    }
    Ok(true)
}

/// Moves a job to a final state. Returns `false` if its state or fence changed.
pub(super) async fn finish(
    conn: &mut Conn,
    held: &Held,
    to: Status,
    error: Option<&Failure>,
    now: i64,
    keep_events: usize,
) -> Result<bool> {
    if !change(conn, held, to, "").await? {
        return Ok(false);
    }
    let sql = "UPDATE jobs SET finished_at = $1, error = $2 WHERE id = $3";
    let error = error.map(json).unwrap_or_default();
    sqlx::query(sql).bind(now).bind(error).bind(&held.job.id).execute(&mut *conn).await?;
    over(conn, &held.job.id, now, keep_events).await?;
    Ok(true)
}

/// Adds the final events of a job, and schedules its webhook.
pub(super) async fn over(conn: &mut Conn, id: &str, now: i64, keep_events: usize) -> Result<()> {
    let job = get(conn, id).await?.job;
    let job = with_curve(conn, job).await?;
    add_event(conn, id, "status", &json(&serde_json::json!({ "status": job.status })), now, keep_events)
        .await?;
    add_event(conn, id, "done", &json(&job), now, keep_events).await?;
    let sql = "INSERT INTO deliveries (job, url, tries, due_at)
               SELECT id, webhook, 0, 0 FROM jobs WHERE id = $1 AND webhook <> ''
               ON CONFLICT (job) DO NOTHING";
    sqlx::query(sql).bind(id).execute(conn).await?;
    Ok(())
}

/// Adds a status event.
pub(super) async fn say_status(
    conn: &mut Conn,
    id: &str,
    status: Status,
    now: i64,
    keep: usize,
) -> Result<()> {
    add_event(conn, id, "status", &json(&serde_json::json!({ "status": status })), now, keep).await
}

/// Adds the learning curve to a job. Steps that were repeated after a resume have the scores of their last time.
pub(super) async fn with_curve(conn: &mut Conn, mut job: Job) -> Result<Job> {
    let sql = "SELECT data FROM events WHERE job = $1 AND kind = 'metrics' ORDER BY id";
    let points: Vec<String> = sqlx::query_scalar(sql).bind(&job.id).fetch_all(conn).await?;
    for point in points.iter().filter_map(|data| serde_json::from_str::<CurvePoint>(data).ok()) {
        job.curve.retain(|earlier| earlier.step < point.step);
        job.curve.push(point);
    }
    Ok(job)
}

/// Adds events in their order, as [`add_event`] does.
pub(super) async fn add_events(
    conn: &mut Conn,
    job: &str,
    events: &[Unwritten],
    now: i64,
    keep: usize,
) -> Result<()> {
    for (kind, data) in events {
        add_event(conn, job, kind, data, now, keep).await?;
    }
    Ok(())
}

/// Adds an event, and deletes the oldest beyond `keep`, except the points of the curve; previews, which are large, beyond 20.
pub(super) async fn add_event(
    conn: &mut Conn,
    job: &str,
    kind: &str,
    data: &str,
    now: i64,
    keep: usize,
) -> Result<()> {
    let sql = "UPDATE jobs SET last_event = last_event + 1 WHERE id = $1 RETURNING last_event";
    let id: i64 = sqlx::query_scalar(sql).bind(job).fetch_one(&mut *conn).await?;
    let sql = "INSERT INTO events (job, id, at, kind, data) VALUES ($1, $2, $3, $4, $5)";
    sqlx::query(sql).bind(job).bind(id).bind(now).bind(kind).bind(data).execute(&mut *conn).await?;
    let oldest = id.saturating_sub_unsigned(keep as u64);
    sqlx::query("DELETE FROM events WHERE job = $1 AND id <= $2 AND kind <> 'metrics'")
        .bind(job)
        .bind(oldest)
        .execute(&mut *conn)
        .await?;
    if kind == "sample" {
        let sql = "DELETE FROM events WHERE job = $1 AND kind = 'sample' AND id NOT IN
                   (SELECT id FROM events WHERE job = $1 AND kind = 'sample' ORDER BY id DESC LIMIT 20)";
        sqlx::query(sql).bind(job).execute(conn).await?;
    }
    Ok(())
}

/// Adds `more` to a counter over all jobs, including deleted ones.
pub(super) async fn count(conn: &mut Conn, name: &str, more: u64) -> Result<()> {
    if more > 0 {
        let sql = "INSERT INTO counters (name, value) VALUES ($1, $2)
                   ON CONFLICT (name) DO UPDATE SET value = counters.value + excluded.value";
        sqlx::query(sql).bind(name).bind(more as i64).execute(conn).await?;
    }
    Ok(())
}

/// Returns the value of a counter over all jobs.
pub(super) async fn counted(conn: &mut Conn, name: &str) -> Result<u64> {
    let sql = "SELECT value FROM counters WHERE name = $1";
    let value: Option<i64> = sqlx::query_scalar(sql).bind(name).fetch_optional(conn).await?;
    Ok(value.unwrap_or(0) as u64)
}

/// Returns at most `limit` events of a job after event `after`.
pub(super) async fn events(conn: &mut Conn, job: &str, after: i64, limit: i64) -> Result<Vec<Event>> {
    let sql = "SELECT id, kind, data FROM events WHERE job = $1 AND id > $2 ORDER BY id LIMIT $3";
    let rows = sqlx::query(sql).bind(job).bind(after).bind(limit).fetch_all(conn).await?;
    let event = |row: &Row| Ok(Event { id: row.try_get(0)?, kind: row.try_get(1)?, data: row.try_get(2)? });
    rows.iter().map(event).collect()
}
