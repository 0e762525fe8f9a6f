//! Queue operations of workers. Each change states the fence of its attempt, so that a worker that lost its job changes
//! nothing.

use super::rows::{self, Held};
use super::{Config, Error, Failure, File, Progress, Samples, Scheme, Status};
use crate::code::Code;
use crate::db::{Conn, Db};
use crate::train;

type Result<T, E = Error> = std::result::Result<T, E>;

/// Fault of a job that is paused because the disk is full; it resumes by itself.
pub(super) const DISK_FULL: &str = "disk_full";

/// The next jobs, in order of submission.
const IN_ORDER: &str = "SELECT * FROM jobs WHERE status = 'queued' ORDER BY id LIMIT 10";

/// The next jobs, those first whose owner has fewest running ones and has started one longest ago.
const IN_TURNS: &str = "SELECT jobs.* FROM jobs JOIN (
        SELECT owner, MAX(started_at) AS last, SUM(CASE WHEN status IN ('validating', 'running') THEN 1 ELSE 0 END) AS busy
        FROM jobs GROUP BY owner
    ) AS turns ON turns.owner = jobs.owner
    WHERE jobs.status = 'queued' ORDER BY turns.busy, turns.last, jobs.id LIMIT 10";

/// Queue of the jobs, as used by workers.
#[derive(Debug, Clone)]
pub(super) struct Queue {
    pub db: Db,
    pub config: Config,
}

/// Job that a worker has taken.
#[derive(Debug, Clone)]
pub(super) struct Taken {
    pub id: String,
    pub config: train::Config,
    pub files: Vec<File>,
    pub fence: i64,
}

/// Request to the worker that holds a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Continue.
    Work,
    /// Cancel the job.
    Cancel,
    /// Write a checkpoint and stop.
    Pause,
    /// Abandon the job: another worker holds it, or it is finished.
    Nothing,
}

/// End of an attempt without a new version.
#[derive(Debug, Clone)]
pub(super) enum End {
    /// Cancelled as requested.
    Cancelled,
    /// Paused as requested.
    Paused,
    /// The worker had to stop: the job returns to the queue, and the attempt does not count as a strike.
    Stopped,
    /// The disk is full: the job is paused until there is space.
    DiskFull(String),
    /// Failure that may not recur: the job is retried.
    Fault(String),
    /// Failure that would recur: the job fails.
    Failed(Failure),
}

impl Queue {
    /// Assigns the longest waiting job that `suits` to `worker` as `validating`, after requeueing jobs whose lease has expired.
    /// `step_of` returns the step of a job's checkpoint.
    pub fn take(
        &self,
        worker: &str,
        suits: &dyn Fn(&str) -> bool,
        step_of: &dyn Fn(&str) -> u64,
    ) -> Result<Option<Taken>> {
        // Read first: idle workers that poll must not take the write lock.
        let is_there = self.db.read(async |conn| {
            let now = self.db.now(conn).await?;
            let sql = "SELECT COUNT(*) FROM jobs WHERE status = 'queued'
                       OR (status IN ('validating', 'running') AND (lease_until < $1 OR lease_until > $2))";
            let query = sqlx::query_scalar(sql).bind(now).bind(now + self.config.longest_lease_ms());
            Ok::<i64, Error>(query.fetch_one(conn).await?)
        })?;
        if is_there == 0 {
            return Ok(None);
        }
        self.db.transact(async |conn| {
            let now = self.db.now(conn).await?;
            self.reclaim(conn, now).await?;
            let sql = if self.config.fair { IN_TURNS } else { IN_ORDER };
            for row in sqlx::query(sql).fetch_all(&mut *conn).await? {
                // An unreadable row must not block the jobs behind it.
                let Ok(held) =
                    rows::held(&row).inspect_err(|error| tracing::warn!(%error, "job passed over"))
                else {
                    continue;
                };
                if !suits(&held.job.id) {
                    continue;
                }
                if let Some(taken) = self.take_one(conn, &held, worker, step_of, now).await? {
                    return Ok(Some(taken));
                }
            }
            Ok(None)
        })
    }

    /// Requeues the jobs with an expired lease, or applies the cancellation or pause requested of them. A lease that ends later than
    /// any does was given by a clock that was ahead: its worker renews it if it lives, and would be waited for in vain if not.
    async fn reclaim(&self, conn: &mut Conn, now: i64) -> Result<()> {
        let sql = "SELECT * FROM jobs WHERE status IN ('validating', 'running') AND (lease_until < $1 OR lease_until > $2)";
        let query = sqlx::query(sql).bind(now).bind(now + self.config.longest_lease_ms());
        for row in query.fetch_all(&mut *conn).await? {
            let Ok(held) = rows::held(&row) else { continue };
            let fault = "its worker was not heard of any more";
            let fault = if held.fault.is_empty() { fault } else { &held.fault };
            self.put_back(conn, &held, fault, now).await?;
        }
        Ok(())
    }

    /// Requeues a job that lost its worker, or applies the cancellation or pause requested of it.
    async fn put_back(&self, conn: &mut Conn, held: &Held, fault: &str, now: i64) -> Result<()> {
        let keep = self.config.keep_events;
        match held.wanted.as_str() {
            "cancel" => rows::finish(conn, held, Status::Cancelled, None, now, keep).await.map(drop),
            wanted => {
                let to = if wanted == "pause" { Status::Paused } else { Status::Queued };
                if rows::change(conn, held, to, fault).await? {
                    rows::say_status(conn, &held.job.id, to, now, keep).await?;
                }
                Ok(())
            }
        }
    }

    async fn take_one(
        &self,
        conn: &mut Conn,
        held: &Held,
        worker: &str,
        step_of: &dyn Fn(&str) -> u64,
        now: i64,
    ) -> Result<Option<Taken>> {
        let (id, keep) = (&held.job.id, self.config.keep_events);
        let config = match serde_json::from_str(&held.config) {
            Ok(config) => config,
            Err(error) => {
                let detail = format!("its config is not understood by this program: {error}");
                let failure = Failure::new(Code::Internal, detail);
                rows::finish(conn, held, Status::Failed, Some(&failure), now, keep).await?;
                return Ok(None);
            }
        };
        // Progress since the last attempt clears the strikes, however often the job's workers were killed.
        let step = step_of(id);
        let strikes = if step > held.saved_step { 0 } else { held.strikes };
        if strikes >= self.config.attempts.max(1) {
            let fault = if held.fault.is_empty() { "its worker ended" } else { &held.fault };
            let detail = format!("{strikes} attempts in a row came to nothing; the last one: {fault}");
            let failure = Failure::new(Code::Internal, detail);
            rows::finish(conn, held, Status::Failed, Some(&failure), now, keep).await?;
            return Ok(None);
        }
        // Steps reported after the last checkpoint are lost: report the progress of the checkpoint, and count them once.
        let undone = held.job.progress.clone().filter(|progress| progress.step > step);
        let lost_steps = undone.as_ref().map_or(0, |progress| progress.step - step);
        let progress = undone.map(|progress| rows::json(&progress.back_at(step))).unwrap_or_default();
        let sql =
            "UPDATE jobs SET status = 'validating', attempt = attempt + 1, strikes = $1, saved_step = $2,
                   fence = fence + 1, worker = $3, lease_until = $4, wanted = '', fault = '', error = '',
                   started_at = CASE WHEN started_at = 0 THEN $5 ELSE started_at END,
                   progress = CASE WHEN $6 = '' THEN progress ELSE $6 END
                   WHERE id = $7 AND status = 'queued' AND fence = $8";
        let query = sqlx::query(sql).bind(i64::from(strikes) + 1).bind(step.max(held.saved_step) as i64);
        let query = query.bind(worker).bind(now + self.config.lease_ms()).bind(now).bind(progress);
        if query.bind(id).bind(held.fence).execute(&mut *conn).await?.rows_affected() == 0 {
            return Ok(None);
        }
        rows::count(conn, "resumes", u64::from(held.job.attempt > 0)).await?;
        rows::count(conn, "lost_steps", lost_steps).await?;
        rows::say_status(conn, id, Status::Validating, now, keep).await?;
        let files = rows::files(conn, id).await?;
        Ok(Some(Taken { id: id.clone(), config, files, fence: held.fence + 1 }))
    }

    /// Heartbeat: renews the lease and reports progress. Returns the request to the worker.
    pub fn beat(&self, taken: &Taken, news: &News) -> Result<Wanted> {
        self.db.transact(async |conn| {
            let now = self.db.now(conn).await?;
            let sql = "UPDATE jobs SET lease_until = $1,
                       progress = CASE WHEN $2 = '' THEN progress ELSE $2 END,
                       strikes = CASE WHEN $3 > saved_step THEN 0 ELSE strikes END,
                       saved_step = CASE WHEN $3 > saved_step THEN $3 ELSE saved_step END
                       WHERE id = $4 AND fence = $5 AND status IN ('validating', 'running')";
            let progress = news.progress.as_ref().map(rows::json).unwrap_or_default();
            let query = sqlx::query(sql).bind(now + self.config.lease_ms()).bind(&progress);
            let query = query.bind(news.saved_step as i64).bind(&taken.id).bind(taken.fence);
            if query.execute(&mut *conn).await?.rows_affected() == 0 {
                return Ok(Wanted::Nothing);
            }
            let keep = self.config.keep_events;
            if !progress.is_empty() {
                rows::add_event(conn, &taken.id, "progress", &progress, now, keep).await?;
            }
            rows::add_events(conn, &taken.id, &news.events, now, keep).await?;
            wanted(conn, taken).await
        })
    }

    /// Returns the request to the worker, without a heartbeat.
    pub fn look(&self, taken: &Taken) -> Result<Wanted> {
        self.db.read(async |conn| wanted(conn, taken).await)
    }

    /// Records the samples and the training scheme, and sets the job `running`. Returns `false` if this worker no longer holds
    /// the job.
    pub fn begin(&self, taken: &Taken, samples: &Samples, scheme: Option<&Scheme>) -> Result<bool> {
        self.db.transact(async |conn| {
            let now = self.db.now(conn).await?;
            let sql = "UPDATE jobs SET status = 'running', samples = $1, scheme = $2, lease_until = $3
                       WHERE id = $4 AND fence = $5 AND status = 'validating'";
            let query =
                sqlx::query(sql).bind(rows::json(samples)).bind(scheme.map(rows::json).unwrap_or_default());
            let query = query.bind(now + self.config.lease_ms()).bind(&taken.id).bind(taken.fence);
            if query.execute(&mut *conn).await?.rows_affected() == 0 {
                return Ok(false);
            }
            rows::say_status(conn, &taken.id, Status::Running, now, self.config.keep_events).await?;
            Ok(true)
        })
    }

    /// Ends an attempt, and writes its last events. Does nothing if this worker no longer holds the job.
    pub fn end(&self, taken: &Taken, end: &End, events: &[Unwritten]) -> Result<()> {
        self.db.transact(async |conn| {
            let now = self.db.now(conn).await?;
            let held = rows::get(conn, &taken.id).await?;
            if held.fence != taken.fence || !held.job.status.is_held() {
                return Ok(());
            }
            let keep = self.config.keep_events;
            rows::add_events(conn, &taken.id, events, now, keep).await?;
            match end {
                End::Cancelled => {
                    rows::finish(conn, &held, Status::Cancelled, None, now, keep).await.map(drop)
                }
                End::Failed(failure) => {
                    rows::finish(conn, &held, Status::Failed, Some(failure), now, keep).await.map(drop)
                }
                End::Paused => self.rest(conn, &held, "", None, now).await,
                End::DiskFull(detail) => {
                    let failure = Failure::new(Code::DiskFull, detail.clone());
                    self.rest(conn, &held, DISK_FULL, Some(&failure), now).await
                }
                End::Fault(fault) => self.put_back(conn, &held, fault, now).await,
                End::Stopped => {
                    let sql = "UPDATE jobs SET strikes = CASE WHEN strikes > 0 THEN strikes - 1 ELSE 0 END WHERE id = $1";
                    sqlx::query(sql).bind(&taken.id).execute(&mut *conn).await?;
                    self.put_back(conn, &held, "", now).await
                }
            }
        })
    }

    async fn rest(
        &self,
        conn: &mut Conn,
        held: &Held,
        fault: &str,
        failure: Option<&Failure>,
        now: i64,
    ) -> Result<()> {
        if rows::change(conn, held, Status::Paused, fault).await? {
            let sql = "UPDATE jobs SET error = $1, strikes = 0 WHERE id = $2";
            let error = failure.map(rows::json).unwrap_or_default();
            sqlx::query(sql).bind(error).bind(&held.job.id).execute(&mut *conn).await?;
            rows::say_status(conn, &held.job.id, Status::Paused, now, self.config.keep_events).await?;
        }
        Ok(())
    }

    /// Immediately requeues the jobs of a worker that has ended, with `fault` as the reason.
    pub fn release(&self, worker: &str, fault: &str) -> Result<()> {
        self.db.transact(async |conn| {
            let now = self.db.now(conn).await?;
            let sql = "SELECT * FROM jobs WHERE worker = $1 AND status IN ('validating', 'running')";
            for row in sqlx::query(sql).bind(worker).fetch_all(&mut *conn).await? {
                let Ok(held) = rows::held(&row) else { continue };
                self.put_back(conn, &held, fault, now).await?;
            }
            Ok(())
        })
    }

    /// Returns `true` if a job of `worker` has a lease that has been over for `jobs.stop_seconds`.
    pub fn is_overdue(&self, worker: &str) -> Result<bool> {
        let late: i64 = self.db.read(async |conn| {
            let least = self.db.now(conn).await? - self.config.stop_time().as_millis() as i64;
            let sql = "SELECT COUNT(*) FROM jobs WHERE worker = $1 AND status IN ('validating', 'running')
                       AND lease_until < $2";
            Ok::<_, Error>(sqlx::query_scalar(sql).bind(worker).bind(least).fetch_one(conn).await?)
        })?;
        Ok(late > 0)
    }

    /// Requeues the jobs that are paused because of a full disk.
    pub fn wake(&self) -> Result<()> {
        let sql = "SELECT * FROM jobs WHERE status = 'paused' AND fault = $1";
        let resting = self
            .db
            .read(async |conn| Ok::<_, Error>(sqlx::query(sql).bind(DISK_FULL).fetch_all(conn).await?))?;
        if resting.is_empty() {
            return Ok(());
        }
        self.db.transact(async |conn| {
            let now = self.db.now(conn).await?;
            for held in resting.iter().filter_map(|row| rows::held(row).ok()) {
                rows::put(conn, &held, Status::Queued, now, self.config.keep_events).await?;
            }
            Ok(())
        })
    }
}

async fn wanted(conn: &mut Conn, taken: &Taken) -> Result<Wanted> {
    let held = rows::get(conn, &taken.id).await?;
    Ok(match held.wanted.as_str() {
        _ if held.fence != taken.fence || !held.job.status.is_held() => Wanted::Nothing,
        "cancel" => Wanted::Cancel,
        "pause" => Wanted::Pause,
        _ => Wanted::Work,
    })
}

/// Report of a worker since its last heartbeat.
#[derive(Debug, Clone, Default)]
pub(super) struct News {
    /// Progress of the training, if it changed.
    pub progress: Option<Progress>,
    /// Step of the last checkpoint.
    pub saved_step: u64,
    /// Events that were not written before.
    pub events: Vec<Unwritten>,
}

/// Event that is not written yet: its kind, and its data as JSON.
pub(super) type Unwritten = (&'static str, String);
