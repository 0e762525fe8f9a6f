//! Submission of jobs: checks, dry runs and insertion into the queue.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::Serialize;
use sha2::{Digest as _, Sha256};
use sqlx::Row as _;

use super::{Error, Job, Jobs, rows, webhook};
use crate::dataset::Dataset;
use crate::db::Conn;
use crate::hex::hex;
use crate::limits::Limits;
use crate::name::ModelRef;
use crate::{registry, train};

/// Request for a training job.
#[derive(Debug, Clone)]
pub struct Order {
    /// Training config.
    pub config: train::Config,
    /// URL that is called when the job is finished.
    pub webhook: Option<String>,
    /// Samples, already in the store.
    pub files: Vec<File>,
    /// Idempotency key: a repeated request with the same key returns the same job.
    pub idempotency_key: Option<String>,
    /// Name of the API key that asks for it; empty where there is none.
    pub owner: String,
}

/// Uploaded file, which may be an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct File {
    /// Name given by the client.
    pub name: String,
    /// SHA-256 of its content, hexadecimal.
    pub sha256: String,
    /// Size in bytes.
    pub bytes: u64,
}

impl Jobs {
    /// Runs the checks that do not need the samples.
    ///
    /// # Errors
    /// The config is invalid, the registry is read-only, the disk is full, the webhook is not allowed, the base model does not
    /// exist, or the service is stopping.
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
        registry.check_home().map_err(train::Error::from)?;
        if !place.reserve.is_there() && !place.reserve.restore().unwrap_or(false) {
            return Err(Error::DiskFull);
        }
        if let Some(url) = webhook {
            webhook::check(url, &self.0.config)?;
        }
        // A missing base model is reported now, not after the job has waited in the queue.
        if let Some(base) = &config.base {
            let invalid =
                |e: crate::name::Error| train::Error::Invalid { field: "base".into(), reason: e.to_string() };
            let base: ModelRef = base.parse().map_err(invalid)?;
            registry.resolve(&base).map_err(train::Error::from)?;
        }
        Ok(())
    }

    /// Dry run: returns the plan of a job with the evidence for it; writes nothing and trains no step.
    ///
    /// # Errors
    /// Errors of [`Jobs::check`], and those of the training before its first step.
    pub fn plan(&self, order: &Order, limits: &Limits) -> Result<train::Plan, Error> {
        self.check(&order.config, order.webhook.as_deref())?;
        let place = self.0.place()?;
        let registry = self.0.engine.registry();
        let wanted = order.config.wanted(registry)?;
        let read = |file: &File| Ok((file.name.clone(), std::fs::read(place.store.path(&file.sha256))?));
        let files = order.files.iter().map(read).collect::<Result<Vec<_>, std::io::Error>>()?;
        let dataset = Dataset::from_uploads_as(files, limits, wanted);
        let (data, recipe, labels) = Default::default();
        let config = &order.config;
        let run = train::Run { config, dataset: &dataset, registry, checkpoint: None, data, recipe, labels };
        Ok(run.plan(false)?)
    }

    /// Adds a job to the queue. Returns the job, and `true` if it is new rather than one with the same key.
    ///
    /// # Errors
    /// Errors of [`Jobs::check`], the queue is full, or the key was used for another request.
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
            self.check_key(conn, &order.owner).await?;
            self.check_room(conn, bytes).await?;
            let now = place.queue.db.now(conn).await?;
            if !insert(conn, &id, order, &digest, now).await? {
                // A concurrent request with this key was inserted after the check above.
                let known = known(conn, key, &digest).await?;
                return known.map(|job| (job, false)).ok_or_else(|| Error::Idempotency(key.to_owned()));
            }
            rows::say_status(conn, &id, super::Status::Queued, now, self.0.config.keep_events).await?;
            Ok((rows::get(conn, &id).await?.job, true))
        })
    }

    async fn check_key(&self, conn: &mut Conn, owner: &str) -> Result<(), Error> {
        let limit = self.0.config.queue_per_key;
        if limit == 0 {
            return Ok(());
        }
        let sql = "SELECT COUNT(*) FROM jobs WHERE owner = $1 AND status NOT IN ('succeeded', 'failed', 'cancelled')";
        let jobs: i64 = sqlx::query_scalar(sql).bind(owner).fetch_one(conn).await?;
        if jobs < limit as i64 { Ok(()) } else { Err(Error::KeyFull { limit }) }
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

    /// Returns the SHA-256 of config, webhook and files.
    fn digest(&self) -> String {
        let text = rows::json(&(&self.config, &self.webhook, &self.files));
        hex(Sha256::digest(text))
    }
}

/// Returns the job that was submitted with this key.
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

/// Inserts the job. Returns `false` if another job has its key.
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
