//! Jobs: training as long work that is asked for, watched, cancelled and followed by a new version.
//!
//! One thread trains, one job after another; its priority is lower than that of the threads that serve.
//! The table lives in memory: a restart forgets its jobs, not the models they published.

mod config;
mod error;
mod model;
mod runner;
mod source;
mod state;
mod table;

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use table::{Entry, Table};

pub use config::Config;
pub use error::Error;
pub use model::{Failure, Job, Outcome, Progress, Samples, Scheme, Skipped};
pub use source::{Source, wanted};
pub use state::Status;

use crate::engine::Engine;
use crate::limits::Limits;
use crate::name::ModelRef;
use crate::{registry, train};

/// The jobs of this service; clones share them.
#[derive(Debug, Clone)]
pub struct Jobs(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: Config,
    limits: Limits,
    engine: Engine,
    table: Mutex<Table>,
    /// Rung when a job is added or the service stops.
    bell: Condvar,
    /// Becomes true when the runner has come to its end.
    has_ended: watch::Sender<bool>,
}

/// Some of the jobs, newest first.
#[derive(Debug, Clone, PartialEq, serde::Serialize, utoipa::ToSchema)]
pub struct Page {
    /// The jobs.
    pub jobs: Vec<Job>,
    /// Whether there are older ones; ask for those with `after` the last id.
    pub has_more: bool,
}

impl Jobs {
    /// An empty table and the thread that works it off.
    ///
    /// # Panics
    /// The system gives no thread: nothing can be trained then.
    pub fn start(config: Config, limits: Limits, engine: Engine) -> Self {
        let (has_ended, _) = watch::channel(false);
        let table = Mutex::default();
        let inner = Arc::new(Inner { config, limits, engine, table, bell: Condvar::new(), has_ended });
        runner::start(Arc::clone(&inner)).expect("the system gives a thread to a process that starts");
        Self(inner)
    }

    /// Takes a job on; it starts when those before it are done.
    ///
    /// # Errors
    /// The config cannot be trained on, there is nowhere to publish, or there is no room.
    pub fn submit(&self, config: train::Config, source: Source) -> Result<Job, Error> {
        config.validate()?;
        self.check_registry(&config)?;
        let bytes = source.bytes();
        let limit = self.0.config.queue_bytes;
        if bytes > limit {
            return Err(Error::TooLarge { limit, actual: bytes });
        }
        let mut table = self.0.lock();
        if table.is_stopping {
            return Err(Error::Draining);
        }
        let is_full = table.unfinished() > self.0.config.queue || table.bytes().saturating_add(bytes) > limit;
        if is_full {
            return Err(Error::QueueFull { retry_after: table.retry_after() });
        }
        let entry = Entry::new(config, source, bytes);
        let job = entry.job();
        table.add(entry, self.0.config.keep);
        self.0.bell.notify_one();
        Ok(job)
    }

    /// One job as it is now.
    ///
    /// # Errors
    /// There is none of this id.
    pub fn get(&self, id: &str) -> Result<Job, Error> {
        self.0.lock().find(id).map(Entry::job)
    }

    /// One job as it changes; the channel closes when the job is forgotten.
    ///
    /// # Errors
    /// There is none of this id.
    pub fn watch(&self, id: &str) -> Result<watch::Receiver<Job>, Error> {
        self.0.lock().find(id).map(Entry::watch)
    }

    /// At most `limit` jobs, newest first; those behind `after` where it is given.
    ///
    /// # Errors
    /// There is no job `after`.
    pub fn list(&self, limit: usize, after: Option<&str>) -> Result<Page, Error> {
        let table = self.0.lock();
        if let Some(after) = after {
            table.find(after)?;
        }
        Ok(table.page(limit, after))
    }

    /// Stops a job: one that waits at once, one that runs within a step. One that is over stays as it is.
    ///
    /// # Errors
    /// There is none of this id.
    pub fn cancel(&self, id: &str) -> Result<Job, Error> {
        let mut table = self.0.lock();
        table.cancel(id)?;
        table.find(id).map(Entry::job)
    }

    /// Takes no new jobs, stops those there are and waits for the runner, at most for `deadline`.
    /// Whether it came to its end.
    pub async fn shutdown(&self, deadline: Duration) -> bool {
        {
            let mut table = self.0.lock();
            table.is_stopping = true;
            table.cancel_all();
        }
        self.0.bell.notify_all();
        let mut ended = self.0.has_ended.subscribe();
        tokio::time::timeout(deadline, ended.wait_for(|ended| *ended)).await.is_ok()
    }

    /// What would make a job fail at its end is said at its start.
    fn check_registry(&self, config: &train::Config) -> Result<(), Error> {
        let registry = self.0.engine.registry();
        if !registry.is_writable() {
            return Err(train::Error::from(registry::Error::ReadOnly).into());
        }
        if let Some(base) = &config.base {
            let invalid =
                |e: crate::name::Error| train::Error::Invalid { field: "base".into(), reason: e.to_string() };
            let base: ModelRef = base.parse().map_err(invalid)?;
            registry.resolve(&base).map_err(train::Error::from)?;
        }
        Ok(())
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, Table> {
        // Changes are single steps that do not panic: whole even if poisoned.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
