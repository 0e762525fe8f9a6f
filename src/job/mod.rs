//! Training jobs: submitted, monitored, paused, cancelled, and ended by the publication of a new version.
//!
//! A job is a row of the database and files in the store, so it survives the end of any process. A worker takes a queued
//! job with a lease and a fence, trains it in a separate process, and publishes the result in the transaction that ends the
//! job. This module is the client side of the queue: it submits, controls and reads jobs.

mod address;
mod claim;
mod config;
mod error;
mod keeper;
mod model;
mod preview;
mod queue;
mod rows;
mod state;
mod steering;
mod submit;
mod supervisor;
mod usage;
mod webhook;
mod worker;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use keeper::Helper;
use queue::Queue;
use rows::Held;
use sqlx::Row as _;
use supervisor::Supervisor;

pub use config::Config;
pub use error::Error;
pub use model::{CurvePoint, Failure, Job, Outcome, Progress, Samples, Scheme, Skipped};
pub use state::Status;
pub use submit::{File, Order};
pub use supervisor::Program;
pub use worker::Worker;

use crate::db::{Db, Outage, Row};
use crate::engine::Engine;
use crate::name::Name;
use crate::store::{Reserve, Store};
use crate::{registry, telemetry, train};

/// Handle to the jobs of this service; clones share its state. All calls block on the database.
#[derive(Debug, Clone)]
pub struct Jobs(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: Config,
    engine: Engine,
    /// Database and store; none if the service has no data folder and therefore no jobs.
    place: Option<Arc<Place>>,
    supervisor: Option<Supervisor>,
    is_stopping: AtomicBool,
    helpers: Mutex<Vec<Helper>>,
    /// Reason why the data folder is not used: it is not the one of the database.
    foreign: Mutex<Option<String>>,
    /// `true` while the jobs are counted for telemetry.
    is_counting: AtomicBool,
}

/// Database and files of the jobs.
#[derive(Debug)]
struct Place {
    queue: Queue,
    store: Arc<Store>,
    reserve: Reserve,
}

/// Page of a list of jobs, newest first.
#[derive(Debug, Clone, PartialEq, serde::Serialize, utoipa::ToSchema)]
pub struct Page {
    /// The jobs.
    pub jobs: Vec<Job>,
    /// `true` if there are older jobs; request them with `after` set to the last id.
    pub has_more: bool,
}

/// Filter of a list of jobs.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only jobs older than the one with this id.
    pub after: Option<String>,
    /// Only jobs in this state.
    pub status: Option<Status>,
    /// Only jobs of this model.
    pub name: Option<Name>,
}

/// Event of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Number of the event within the job, from 1.
    pub id: i64,
    /// `status`, `progress`, `metrics`, `sample` or `done`.
    pub kind: String,
    /// JSON.
    pub data: String,
}

impl Jobs {
    /// Opens the jobs in `db` and `store` and starts the training process `program`. Without `place` there are no jobs, and
    /// none can be submitted.
    ///
    /// # Panics
    /// The system cannot start a thread, so that nothing could be trained.
    pub fn start(
        config: Config,
        engine: Engine,
        place: Option<(Db, Arc<Store>)>,
        program: Option<Program>,
    ) -> Self {
        let place = place.map(|(db, store)| {
            let queue = Queue { db, config: config.clone() };
            let reserve = Reserve::new(store.root());
            if let Err(error) = reserve.restore() {
                tracing::warn!(%error, "nothing can be kept in reserve for a full disk");
            }
            Arc::new(Place { queue, store, reserve })
        });
        let threads = "the system gives threads to a process that starts";
        let program = program.filter(|_| config.workers > 0);
        let supervisor = place
            .as_ref()
            .zip(program)
            .map(|(place, program)| Supervisor::start(program, place.queue.clone()).expect(threads));
        let inner = Arc::new(Inner {
            config,
            engine,
            place: place.clone(),
            supervisor,
            is_stopping: AtomicBool::new(false),
            helpers: Mutex::default(),
            foreign: Mutex::default(),
            is_counting: AtomicBool::new(false),
        });
        if let Some(place) = place {
            // The threads hold only a weak reference to `inner`, so that they end when the last handle is dropped.
            let (weak, kept) = (Arc::downgrade(&inner), Arc::clone(&place));
            let keep = move |stop: &AtomicBool| keeper::run(&weak, &kept, stop);
            let tell = move |stop: &AtomicBool| webhook::run(&place, stop);
            let keeper = Helper::start("limpid-keeper", keep).expect(threads);
            let webhooks = Helper::start("limpid-webhooks", tell).expect(threads);
            *lock(&inner.helpers) = vec![keeper, webhooks];
        }
        Self(inner)
    }

    /// Returns the store for uploads.
    ///
    /// # Errors
    /// The service has no data folder.
    pub fn store(&self) -> Result<Arc<Store>, Error> {
        Ok(Arc::clone(&self.0.place()?.store))
    }

    /// Reason why nothing can be written down, as far as that is known.
    pub fn trouble(&self) -> Option<String> {
        let foreign = lock(&self.0.foreign).clone();
        foreign.or_else(|| self.0.place().ok()?.queue.db.trouble())
    }

    /// Outage of the database that lasts; none while it is reached.
    pub fn outage(&self) -> Option<Outage> {
        self.0.place().ok()?.queue.db.outage()
    }

    /// Returns one job in its current state.
    ///
    /// # Errors
    /// There is no job of this id.
    pub fn get(&self, id: &str) -> Result<Job, Error> {
        let Ok(place) = self.0.place() else { return Err(Error::NotFound(id.chars().take(64).collect())) };
        let job = place.queue.db.read(async |conn| {
            let job = rows::get(conn, id).await?.job;
            rows::with_curve(conn, job).await
        })?;
        if job.status == Status::Succeeded {
            // A client that sees the success must be able to use the new version at once.
            self.0.refresh();
        }
        Ok(job)
    }

    /// Lists at most `limit` jobs, newest first.
    ///
    /// # Errors
    /// There is no job `filter.after`.
    pub fn list(&self, limit: usize, filter: &Filter) -> Result<Page, Error> {
        let after = filter.after.clone().unwrap_or_default();
        let Ok(place) = self.0.place() else {
            return if after.is_empty() {
                Ok(Page { jobs: vec![], has_more: false })
            } else {
                Err(Error::NotFound(after))
            };
        };
        let jobs = place.queue.db.read(async |conn| {
            if !after.is_empty() {
                rows::get(conn, &after).await?;
            }
            let sql = "SELECT * FROM jobs WHERE ($1 = '' OR id < $1) AND ($2 = '' OR status = $2)
                       AND ($3 = '' OR name = $3) ORDER BY id DESC LIMIT $4";
            let query = sqlx::query(sql).bind(&after).bind(filter.status.map_or("", Status::as_str));
            let query = query.bind(filter.name.as_ref().map_or("", Name::as_str)).bind(limit as i64 + 1);
            let rows = query.fetch_all(conn).await?;
            Ok::<_, Error>(rows.iter().filter_map(|row| rows::held(row).ok()).collect::<Vec<Held>>())
        })?;
        if jobs.iter().any(|held| held.job.status == Status::Succeeded) {
            self.0.refresh();
        }
        let mut jobs: Vec<Job> = jobs.into_iter().map(|held| held.job).collect();
        let has_more = jobs.len() > limit;
        jobs.truncate(limit);
        Ok(Page { jobs, has_more })
    }

    /// Exports the state of the jobs of all workers on this database to telemetry, unless another thread is just doing so.
    ///
    /// # Errors
    /// The database is unreachable.
    pub fn tell(&self) -> Result<(), Error> {
        let Ok(place) = self.0.place() else { return Ok(()) };
        if self.0.is_counting.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        let counted = self.count(place);
        self.0.is_counting.store(false, Ordering::Release);
        counted
    }

    fn count(&self, place: &Place) -> Result<(), Error> {
        let (rows, running, interruptions) = place.queue.db.read(async |conn| {
            let rows = sqlx::query("SELECT status, COUNT(*) FROM jobs GROUP BY status")
                .fetch_all(&mut *conn)
                .await?;
            let row = |row: &Row| Ok((row.try_get(0)?, row.try_get(1)?));
            let rows = rows.iter().map(row).collect::<Result<Vec<(String, i64)>, Error>>()?;
            let running =
                sqlx::query("SELECT * FROM jobs WHERE status = 'running' ORDER BY id DESC LIMIT 100");
            let running = running.fetch_all(&mut *conn).await?;
            let running = running.iter().filter_map(|row| rows::held(row).ok()).collect::<Vec<Held>>();
            let resumes = rows::counted(conn, "resumes").await?;
            let interruptions =
                telemetry::Interruptions { resumes, lost_steps: rows::counted(conn, "lost_steps").await? };
            Ok::<_, Error>((rows, running, interruptions))
        })?;
        let of = |status: &str| rows.iter().find(|row| row.0 == status).map_or(0, |row| row.1);
        let counts = Status::ALL.map(|status| (status.as_str(), of(status.as_str())));
        let running = running.into_iter().filter_map(|Held { job, saved_step, .. }| {
            let Progress { step, loss, steps_per_second, checkpoint_seconds, .. } = job.progress?;
            let unsaved_steps = step.saturating_sub(saved_step) as i64;
            let step_seconds = f64::from(steps_per_second).recip();
            Some(telemetry::Training {
                job: job.id,
                loss: loss.into(),
                step_seconds,
                unsaved_steps,
                checkpoint_seconds: checkpoint_seconds.map(f64::from),
            })
        });
        telemetry::set_jobs(&counts, &interruptions, &running.collect::<Vec<_>>());
        Ok(())
    }

    /// Returns at most 100 events of a job after event `after`, oldest first.
    ///
    /// # Errors
    /// There is no job of this id.
    pub fn events(&self, id: &str, after: i64) -> Result<Vec<Event>, Error> {
        let Ok(place) = self.0.place() else { return Err(Error::NotFound(id.chars().take(64).collect())) };
        let events = place.queue.db.read(async |conn| {
            let events = rows::events(conn, id, after, 100).await?;
            if events.is_empty() {
                rows::get(conn, id).await?;
            }
            Ok::<_, Error>(events)
        })?;
        if events.iter().any(|event| event.kind == "done") {
            self.0.refresh();
        }
        Ok(events)
    }

    /// Data folder of the jobs, in which noise profiles are kept, too.
    ///
    /// # Errors
    /// The service has no data folder.
    pub fn data_folder(&self) -> Result<PathBuf, Error> {
        Ok(self.0.place()?.store.root().to_owned())
    }

    /// Rejects new jobs and stops the worker; its running job returns to the queue with a checkpoint.
    pub fn begin_shutdown(&self) {
        self.0.is_stopping.store(true, Ordering::Release);
        if let Some(supervisor) = &self.0.supervisor {
            supervisor.begin_stop();
        }
    }

    /// Calls [`Jobs::begin_shutdown`] and waits at most `deadline` for the worker to end. Returns `false` if it had to be killed.
    pub async fn shutdown(&self, deadline: Duration) -> bool {
        self.begin_shutdown();
        lock(&self.0.helpers).clear();
        let inner = Arc::clone(&self.0);
        let stop = move || inner.supervisor.as_ref().is_none_or(|supervisor| supervisor.stop(deadline));
        tokio::task::spawn_blocking(stop).await.unwrap_or(false)
    }
}

impl Inner {
    fn place(&self) -> Result<&Place, Error> {
        let missing = || Error::Train(train::Error::from(registry::Error::ReadOnly));
        self.place.as_deref().ok_or_else(missing)
    }

    /// Checks that the data folder is still the one of the database.
    fn check_home(&self) {
        let registry = self.engine.registry();
        let foreign = registry.check_home().err().map(|error| error.to_string());
        let mut known = lock(&self.foreign);
        if foreign.is_some() && *known != foreign {
            tracing::error!(reason = foreign.as_deref(), "the data folder is lost");
        }
        *known = foreign;
    }

    /// Loads models that other processes published, and unloads those they removed.
    fn refresh(&self) {
        match self.engine.registry().refresh() {
            Ok(changed) => self.engine.reload_all(&changed),
            Err(error) => tracing::warn!(%error, "the models cannot be looked at"),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each value is replaced as a whole, so it is consistent even if the lock is poisoned.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
