//! Submission: what is asked for, checked, and written down as a job.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::Serialize;
use sha2::{Digest as _, Sha256};
use sqlx::Row as _;

use super::{Error, Job, Jobs, rows, webhook};
use crate::dataset::Dataset;
use crate::db::Conn;
use crate::limits::Limits;
use crate::name::ModelRef;
use crate::{registry, train};

/// A job to be done.
#[derive(Debug, Clone)]
pub struct Order {
    /// What to train.
    pub config: train::Config,
    /// The address that is told when the job is over.
    pub webhook: Option<String>,
    /// The samples, in the store already.
    pub files: Vec<File>,
    /// The same key with the same order is the same job.
    pub idempotency_key: Option<String>,
    /// Name of the API key that asks for it; empty where there is none.
    pub owner: String,
}

/// An uploaded file, which may be an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct File {
    /// The name it came with.
    pub name: String,
    /// SHA-256 of its content, hexadecimal.
    pub sha256: String,
    /// Its size.
    pub bytes: u64,
}

impl Jobs {
    /// Checks what of an order can be checked before its samples are there.
    ///
    /// # Errors
    /// The config cannot be trained on, there is nowhere to publish, or the webhook is not allowed.
    pub fn check(&self, config: &train::Config, webhook: Option<&str>) -> Result<(), Error> {
        if self.0.is_stopping.load(Ordering::Acquire) {
            return Err(Error::Draining);
        }
        config.validate()?;
        let registry = self.0.engine.registry();
        let place = self.0.place()?;
        if !registry.is_writable() {
            return Err(train::Error::from(registry::Error::ReadOnly).into());
        }
        if !place.reserve.is_there() && !place.reserve.restore().unwrap_or(false) {
            return Err(Error::DiskFull);
        }
        if let Some(url) = webhook {
            webhook::check(url, &self.0.config)?;
        }
        // What would make a job fail at its end is said at its start.
        if let Some(base) = &config.base {
            let invalid =
                |e: crate::name::Error| train::Error::Invalid { field: "base".into(), reason: e.to_string() };
            let base: ModelRef = base.parse().map_err(invalid)?;
            registry.resolve(&base).map_err(train::Error::from)?;
        }
        Ok(())
    }

    /// What a job would do with its samples, with the evidence; nothing is written down, and no step is taken.
    ///
    /// # Errors
    /// Those of [`Jobs::check`], and those of the training that show before its first step.
    pub fn plan(&self, order: &Order, limits: &Limits) -> Result<train::Plan, Error> {
        self.check(&order.config, order.webhook.as_deref())?;
        let place = self.0.place()?;
        let registry = self.0.engine.registry();
        let wanted = order.config.wanted(registry)?;
        let read = |file: &File| Ok((file.name.clone(), std::fs::read(place.store.path(&file.sha256))?));
        let files = order.files.iter().map(read).collect::<Result<Vec<_>, std::io::Error>>()?;
        let dataset = Dataset::from_uploads_as(files, limits, wanted);
        let (data, recipe) = (String::new(), String::new());
        let run =
            train::Run { config: &order.config, dataset: &dataset, registry, checkpoint: None, data, recipe };
        Ok(run.plan(false)?)
    }

    /// Takes a job on; it starts when those before it are done. The job, and whether it is a new one.
    ///
    /// # Errors
    /// Those of [`Jobs::check`], there is no room, or the key was used for something else.
    pub fn submit(&self, order: &Order) -> Result<(Job, bool), Error> {
        self.check(&order.config, order.webhook.as_deref())?;
        let place = self.0.place()?;
        let (bytes, limit) = (order.bytes(), self.0.config.queue_bytes as u64);
        if bytes > limit {
            return Err(Error::TooLarge { limit, actual: bytes });
        }
        let id = format!("job-{}", uuid::Uuid::now_v7());
        let digest = order.digest();
        let key = order.idempotency_key.as_deref().unwrap_or_default();
        place.queue.db.transact(async |conn| {
            if let Some(known) = known(conn, key, &digest).await? {
                return Ok((known, false));
            }
            self.check_room(conn, bytes).await?;
            let now = place.queue.db.now(conn).await?;
            if !insert(conn, &id, order, &digest, now).await? {
                // Another request with this key was taken on since the look.
                let known = known(conn, key, &digest).await?;
                return known.map(|job| (job, false)).ok_or_else(|| Error::Idempotency(key.to_owned()));
            }
            rows::say_status(conn, &id, super::Status::Queued, now, self.0.config.keep_events).await?;
            Ok((rows::get(conn, &id).await?.job, true))
        })
    }

    async fn check_room(&self, conn: &mut Conn, bytes: u64) -> Result<(), Error> {
        let sql = "SELECT COUNT(*), CAST(COALESCE(SUM(bytes), 0) AS BIGINT) FROM jobs
                   WHERE status NOT IN ('succeeded', 'failed', 'cancelled')";
        let row = sqlx::query(sql).fetch_one(&mut *conn).await?;
        let (jobs, held): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
        let config = &self.0.config;
        let is_full = jobs > config.queue as i64 || held as u64 + bytes > config.queue_bytes as u64;
        if !is_full {
            return Ok(());
        }
        let sql = "SELECT * FROM jobs WHERE status = 'running' LIMIT 1";
        let running = sqlx::query(sql).fetch_optional(conn).await?.map(|row| rows::held(&row)).transpose()?;
        let eta = running.and_then(|held| held.job.progress).and_then(|progress| progress.eta_seconds);
        let seconds = f64::from(eta.unwrap_or(60.0)).ceil().clamp(1.0, 60.0);
        Err(Error::QueueFull { retry_after: Duration::from_secs(seconds as u64) })
    }
}

impl Order {
    fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// SHA-256 of all that makes the job what it is.
    fn digest(&self) -> String {
        let text = rows::json(&(&self.config, &self.webhook, &self.files));
        Sha256::digest(text).iter().map(|b| format!("{b:02x}")).collect()
    }
}

/// The job that a key stands for already.
async fn known(conn: &mut Conn, key: &str, digest: &str) -> Result<Option<Job>, Error> {
    if key.is_empty() {
        return Ok(None);
    }
    let sql = "SELECT * FROM jobs WHERE idempotency_key = $1";
    let Some(row) = sqlx::query(sql).bind(key).fetch_optional(conn).await? else { return Ok(None) };
    if row.try_get::<String, _>("body_sha256")? != digest {
        return Err(Error::Idempotency(key.to_owned()));
    }
    Ok(Some(rows::held(&row)?.job))
}

/// Whether it was written down: not where another job has its key.
async fn insert(conn: &mut Conn, id: &str, order: &Order, digest: &str, now: i64) -> Result<bool, Error> {
    let sql = "INSERT INTO jobs (id, name, status, config, webhook, idempotency_key, body_sha256, bytes, created_at,
               started_at, finished_at, wanted, attempt, strikes, saved_step, fault, fence, worker, lease_until,
               last_event, scheme, samples, progress, result, error, owner)
               VALUES ($1, $2, 'queued', $3, $4, $5, $6, $7, $8, 0, 0, '', 0, 0, 0, '', 0, '', 0, 0, '', '', '', '', '', $9)
               ON CONFLICT DO NOTHING";
    let written = sqlx::query(sql)
        .bind(id)
        .bind(order.config.name.as_str())
        .bind(rows::json(&order.config))
        .bind(order.webhook.as_deref().unwrap_or_default())
        .bind(order.idempotency_key.as_deref().unwrap_or_default())
        .bind(digest)
        .bind(order.bytes() as i64)
        .bind(now)
        .bind(&order.owner)
        .execute(&mut *conn)
        .await?;
    if written.rows_affected() == 0 {
        return Ok(false);
    }
    let sql = "INSERT INTO files (job, position, name, sha256, bytes) VALUES ($1, $2, $3, $4, $5)";
    for (position, file) in order.files.iter().enumerate() {
        let query = sqlx::query(sql).bind(id).bind(position as i64).bind(&file.name);
        query.bind(&file.sha256).bind(file.bytes as i64).execute(&mut *conn).await?;
    }
    Ok(true)
}
