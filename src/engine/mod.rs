//! Engine: the scheduler between many requests and few cores.
//!
//! A request is admitted by [`Engine::admit`], gets its model from [`Engine::session`] and then calls
//! [`Ticket::denoise`], [`Ticket::encode`], [`Ticket::decode`] (or [`Ticket::run`] for other work). Work is queued
//! until a worker and its memory are free, and is computed on the engine's own threads; async threads do no
//! computation, and read and write only small data.

mod admission;
mod batch;
mod config;
mod cores;
mod error;
mod gate;
mod models;
mod pool;
mod shares;
mod ticket;
mod wanted;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tracing::Instrument as _;

use admission::{Admission, Bounds};
use batch::Batches;
use gate::Gate;
use models::Models;
use pool::Pool;

pub use admission::Held;
pub use config::Config;
pub use error::Error;
pub use shares::Shares;
pub use ticket::{BRIEF, Ticket};

use crate::infer::Session;
use crate::memory;
use crate::name::{ModelRef, Name};
use crate::registry::Registry;
use crate::telemetry;

/// Handle of the engine; clones share it. Dropping the last one stops its threads.
#[derive(Debug, Clone)]
pub struct Engine(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: Config,
    shares: Shares,
    registry: Arc<Registry>,
    models: Models<Session>,
    admission: Arc<Admission>,
    pool: Pool,
    batches: Batches,
    /// Permits of requests with large work, so that some workers are always free of it.
    wide: Arc<Gate>,
    /// Number of steps of work that were computed.
    pieces: AtomicUsize,
    is_started: AtomicBool,
}

/// Result with the time it took, for `Server-Timing`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Done<T> {
    /// Result of the work.
    pub value: T,
    /// Time from arrival to the start of the work.
    pub queued: Duration,
    /// Time of the work itself.
    pub ran: Duration,
}

/// State of the engine, for `/readyz`, `/startupz` and start-up logs.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Health {
    /// `true` once [`Engine::preload`] has finished.
    pub is_started: bool,
    /// `true` if no new work is accepted.
    pub is_draining: bool,
    /// Number of worker threads.
    pub workers: usize,
    /// Number of workers that have been busy with one sample for longer than `engine.stuck_after_seconds`.
    pub stuck: usize,
    /// Loaded models, as `name@version`.
    pub models: Vec<String>,
    /// Number of admitted requests, queued or running.
    pub requests: usize,
    /// Bytes that they hold, and that running work uses.
    pub bytes: usize,
    /// Total bytes of running work.
    pub memory_bytes: usize,
}

impl Health {
    /// Returns `true` if requests should be sent to this instance. Overload alone does not make it `false`: it is
    /// answered with 429, and removing an instance would increase the load of the others.
    pub fn is_ready(&self) -> bool {
        self.is_started && !self.is_draining && self.stuck < self.workers
    }
}

impl Engine {
    /// Starts the worker threads; models are loaded on first use or by [`Engine::preload`].
    ///
    /// # Panics
    /// The system cannot create threads: no request can be served then.
    pub fn start(config: Config, registry: Arc<Registry>) -> Self {
        let cores = cores::start();
        // At least 2, also on a single core: a small request must not wait until a large one is done.
        let workers = config.workers.unwrap_or(cores.max(2)).max(1);
        let shares = Shares::new(&config, memory::limit());
        let bounds =
            Bounds { workers, queue: config.queue, memory_bytes: shares.work, queue_bytes: shares.held };
        Self(Arc::new(Inner {
            registry,
            models: Models::new(shares.models),
            admission: Arc::new(Admission::new(bounds)),
            pool: Pool::start(workers, cores).expect("the system gives threads to a process that starts"),
            batches: Batches::default(),
            wide: Gate::new((workers / 2).max(1), shares.large),
            pieces: AtomicUsize::new(0),
            is_started: AtomicBool::new(false),
            shares,
            config,
        }))
    }

    /// Memory for each purpose.
    pub fn shares(&self) -> Shares {
        self.0.shares
    }

    /// Registry of the available models.
    pub fn registry(&self) -> &Arc<Registry> {
        &self.0.registry
    }

    /// Returns the loaded model that `reference` refers to now; loads it on first use.
    ///
    /// # Errors
    /// The model or version does not exist or is damaged, or there is no room for loading it.
    pub async fn session(&self, reference: &ModelRef) -> Result<Arc<Session>, Error> {
        loop {
            let (name, version) = self.resolve(reference).await?;
            if let Some(session) = self.0.models.find(&(name.clone(), version)) {
                return Ok(session);
            }
            // As a task of its own: if the caller is cancelled, the load continues for later callers.
            let load = self.clone().load(name.clone(), version).in_current_span();
            let error = match tokio::spawn(load).await.unwrap_or(Err(Error::Draining)) {
                Err(error) if error.is_damage() => error,
                // Another process removed the default version, and made another one the default.
                Err(_)
                    if reference.version.is_none()
                        && self.0.registry.resolve(reference)? != (name, version) =>
                {
                    continue;
                }
                result => return result,
            };
            self.0.registry.quarantine(&name, version, error.to_string());
            // The previous version is used instead, unless the request named a version.
            if reference.version.is_some() || self.0.registry.resolve(reference).is_err() {
                return Err(error);
            }
        }
    }

    /// Resolves a reference; one that is unknown is looked for among the changes of other processes first.
    async fn resolve(&self, reference: &ModelRef) -> Result<(Name, u32), Error> {
        use crate::registry::Error::{ModelNotFound, VersionNotFound};
        let missing = match self.0.registry.resolve(reference) {
            Err(error @ (ModelNotFound(_) | VersionNotFound { .. })) => error,
            known => return Ok(known?),
        };
        let engine = self.clone();
        let look = tokio::task::spawn_blocking(move || {
            engine.0.registry.look_again().map(|c| engine.reload_all(&c))
        });
        match look.await {
            Ok(Ok(())) => Ok(self.0.registry.resolve(reference)?),
            // The list of models is as good as it can be while the database is away.
            _ => Err(missing.into()),
        }
    }

    /// Loads a model, unless another caller has done so or is loading it.
    async fn load(self, name: Name, version: u32) -> Result<Arc<Session>, Error> {
        let exact = ModelRef { name: name.clone(), version: Some(version) };
        let load = || async {
            let registry = Arc::clone(&self.0.registry);
            let work = move || {
                let artifact = registry.read(&exact)?;
                let bytes = artifact.weights.len();
                Ok((Session::load(artifact)?, bytes))
            };
            // Admitted requests depend on it, so it is never rejected.
            let entry = Arc::new(self.0.admission.enter_always());
            let loaded = Ticket { engine: self.clone(), entry }.run(0, work).await?.value;
            telemetry::model_loaded(name.as_str(), loaded.is_ok());
            loaded
        };
        self.0.models.get((name.clone(), version), load).await
    }

    /// Loads these models, so that first requests need not wait, and marks the engine as started for `/readyz`.
    /// Returns the models that failed, with the reason; loading them is retried on first use.
    pub async fn preload(&self, models: &[ModelRef]) -> Vec<(ModelRef, Error)> {
        let mut failed = Vec::new();
        for model in models {
            if let Err(error) = self.session(model).await {
                failed.push((model.clone(), error));
            }
        }
        self.0.is_started.store(true, Ordering::Release);
        failed
    }

    /// Unloads versions of `name` other than its default one, after a version was added or removed or the default
    /// changed. Running requests finish with the version they started with.
    pub fn reload(&self, name: &Name) {
        let default = self.0.registry.get(name).ok().and_then(|summary| summary.default);
        self.0.models.forget(name, default);
    }

    /// [`Engine::reload`] of several models.
    pub fn reload_all(&self, names: &[Name]) {
        names.iter().for_each(|name| self.reload(name));
    }

    /// Unloads all versions of `name`; the next request for one loads it again. Running requests finish with theirs.
    pub fn unload(&self, name: &Name) {
        self.0.models.forget(name, None);
    }

    /// Admits one request, which is cancelled at `deadline`.
    ///
    /// # Errors
    /// Too many requests are admitted, or the engine is stopping.
    pub fn admit(&self, deadline: Option<Instant>) -> Result<Ticket, Error> {
        Ok(Ticket { engine: self.clone(), entry: Arc::new(self.0.admission.enter(deadline)?) })
    }

    /// Checks if [`Engine::admit`] would admit a request now; called before the request's body is read.
    ///
    /// # Errors
    /// As [`Engine::admit`].
    pub fn peek(&self) -> Result<(), Error> {
        self.0.admission.peek()
    }

    /// Accounts for bytes that a request holds outside of work (its body, for example), until the result is dropped.
    ///
    /// # Errors
    /// This exceeds the limit, or there is no room now.
    pub fn hold(&self, bytes: usize) -> Result<Held, Error> {
        self.0.admission.hold(bytes)
    }

    /// [`Ticket::run`] as a separate request.
    ///
    /// # Errors
    /// No room now or ever, a panic in `work`, or the engine is stopping.
    pub async fn run<T: Send + 'static>(
        &self,
        bytes: usize,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<Done<T>, Error> {
        self.admit(None)?.run(bytes, work).await
    }

    /// Settings of the engine.
    fn config(&self) -> &Config {
        &self.0.config
    }

    /// Current state of the engine.
    pub fn health(&self) -> Health {
        let load = self.0.admission.load();
        let limit = Duration::try_from_secs_f64(self.0.config.stuck_after_seconds).unwrap_or(Duration::MAX);
        Health {
            is_started: self.0.is_started.load(Ordering::Acquire),
            is_draining: self.0.admission.is_draining(),
            workers: self.0.pool.workers(),
            stuck: self.0.pool.stuck(limit),
            models: self.models().into_iter().map(|(model, _)| model).collect(),
            requests: load.requests,
            bytes: load.bytes + self.0.admission.running_bytes(),
            memory_bytes: self.0.admission.memory_bytes(),
        }
    }

    /// Loaded models, as `name@version`, with the bytes of their weights.
    pub fn models(&self) -> Vec<(String, usize)> {
        let loaded = self.0.models.loaded().into_iter();
        loaded.map(|((name, version), bytes)| (format!("{name}@{version}"), bytes)).collect()
    }

    /// Stops accepting work and drains admitted requests for at most `deadline`; then drops queued work. Returns
    /// `true` if all requests were completed.
    pub async fn shutdown(&self, deadline: Duration) -> bool {
        let drained = tokio::time::timeout(deadline, self.0.admission.drain()).await.is_ok();
        self.0.pool.close();
        self.0.batches.close();
        drained
    }

    /// Number of steps computed since the start, which shows that dropped work was not computed.
    pub fn pieces(&self) -> usize {
        self.0.pieces.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests;
