//! State that handlers share: the parts of the service, and the choice of a model.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

use super::config::Config;
use super::error::{Code, Problem};
use super::feed::Feeds;
use super::keys::{Entry, Keys};
use super::rate::{Account, Rates};
use crate::engine::Engine;
use crate::infer::Session;
use crate::job::Jobs;
use crate::limits::Limits;
use crate::name::ModelRef;
use crate::registry::{Input, Registry, Summary};
use crate::sample::{Kind, Shape};

/// Uploads of training samples at a time.
const UPLOADS: usize = 4;

/// Reads of earlier events at a time, each on a thread of its own.
const BACKLOGS: usize = 4;

/// The parts of a service; clones share them.
#[derive(Debug, Clone)]
pub struct App(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    config: Config,
    limits: Limits,
    engine: Engine,
    jobs: Jobs,
    keys: Keys,
    is_draining: AtomicBool,
    uploads: Semaphore,
    rates: Rates,
    feeds: Feeds,
    listeners: Arc<Semaphore>,
    backlogs: Semaphore,
}

impl App {
    /// Puts the parts together.
    pub fn new(config: Config, limits: Limits, engine: Engine, jobs: Jobs, keys: Keys) -> Self {
        let (is_draining, uploads) = (AtomicBool::new(false), Semaphore::new(UPLOADS));
        let (rates, feeds) = (Rates::default(), Feeds::default());
        let listeners = config.event_streams.min(Semaphore::MAX_PERMITS);
        let (listeners, backlogs) = (Arc::new(Semaphore::new(listeners)), Semaphore::new(BACKLOGS));
        Self(Arc::new(Parts {
            config,
            limits,
            engine,
            jobs,
            keys,
            is_draining,
            uploads,
            rates,
            feeds,
            listeners,
            backlogs,
        }))
    }

    /// The settings.
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// Limits of a request.
    pub fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// The scheduler.
    pub fn engine(&self) -> &Engine {
        &self.0.engine
    }

    /// The training jobs.
    pub fn jobs(&self) -> &Jobs {
        &self.0.jobs
    }

    /// The models there are.
    pub fn registry(&self) -> &Arc<Registry> {
        self.0.engine.registry()
    }

    /// API keys.
    pub fn keys(&self) -> &Keys {
        &self.0.keys
    }

    /// The account of a key; none where nothing is limited for it.
    pub(super) fn account(&self, key: Option<&Entry>) -> Option<Arc<Account>> {
        self.0.rates.account(key, self.config().rate)
    }

    /// Returns `true` once the service stops.
    pub fn is_draining(&self) -> bool {
        self.0.is_draining.load(Ordering::Acquire)
    }

    /// Makes `/readyz` report that the service stops.
    pub(super) fn start_draining(&self) {
        self.0.is_draining.store(true, Ordering::Release);
    }

    /// Runs `work`, which blocks on files, outside the async threads.
    pub(super) async fn block<T: Send + 'static>(
        &self,
        work: impl FnOnce(&App) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let app = self.clone();
        tokio::task::spawn_blocking(move || work(&app)).await.map_err(Problem::internal)?
    }

    /// The loaded model of a reference.
    pub(super) async fn session(&self, reference: &ModelRef) -> Result<Arc<Session>, Problem> {
        Ok(self.engine().session(reference).await?)
    }

    /// The model for a sample that names none: for images the configured one, else the only one there is
    /// for its kind and channels.
    ///
    /// # Errors
    /// 400 that asks for `model` where the choice is not clear, 404 where there is none.
    pub(super) fn default_model(&self, shape: Shape) -> Result<ModelRef, Problem> {
        let configured = match (shape.kind(), shape.channels()) {
            (Kind::Image, 1) => Some(&self.config().gray_model),
            (Kind::Image, _) => Some(&self.config().color_model),
            _ => None,
        };
        if let Some(name) =
            configured.filter(|name| self.registry().get(name).is_ok_and(|m| m.default.is_some()))
        {
            return Ok(ModelRef { name: name.clone(), version: None });
        }
        if shape.kind() != Kind::Image {
            return self.registry().usual(shape).map_err(Problem::from);
        }
        let fits = |input: &Input| input.kind == shape.kind() && input.channels == shape.channels();
        let serves = |m: &Summary| m.default.is_some() && fits(&m.input);
        let models: Vec<_> = self.registry().list().into_iter().filter(serves).collect();
        match models.as_slice() {
            [only] => Ok(ModelRef { name: only.name.clone(), version: None }),
            [] => {
                let detail =
                    format!("no model here takes an input like this ({shape}); train one with POST /train");
                Err(Problem::new(Code::ShapeMismatch, detail))
            }
            several => {
                let names: Vec<_> = several.iter().map(|model| model.name.as_str()).collect();
                let detail = format!("say which model: one of {} is for {}s", names.join(", "), shape.kind());
                Err(Problem::invalid_at("/model", detail))
            }
        }
    }

    /// The model to denoise a sample with that names none: [`App::default_model`], or one for each channel of a signal.
    ///
    /// # Errors
    /// None can be chosen.
    pub(super) fn model_to_denoise(&self, shape: Shape) -> Result<ModelRef, Problem> {
        match shape.kind() {
            Kind::Image => self.default_model(shape),
            Kind::Signal | Kind::Vector => Ok(self.registry().usual_to_denoise(shape)?),
        }
    }

    /// The right to send samples to train on: few may come at a time, so that the disk keeps up.
    ///
    /// # Errors
    /// 429 while others send theirs.
    pub(super) fn upload(&self) -> Result<SemaphorePermit<'_>, Problem> {
        self.0.uploads.try_acquire().map_err(|_| {
            let detail = format!("{UPLOADS} uploads are under way; try again when one is done");
            Problem::new(Code::QueueFull, detail).retry_after(Duration::from_secs(5))
        })
    }

    /// The new events of jobs, shared by all that listen.
    pub(super) fn feeds(&self) -> &Feeds {
        &self.0.feeds
    }

    /// The right to listen to a job.
    ///
    /// # Errors
    /// 429 while `server.event_streams` others do.
    pub(super) fn listener(&self) -> Result<OwnedSemaphorePermit, Problem> {
        Arc::clone(&self.0.listeners).try_acquire_owned().map_err(|_| {
            let limit = self.config().event_streams;
            let detail = format!(
                "{limit} event streams are open, server.event_streams allows no more; close one, or poll GET /train/{{id}}"
            );
            let problem = Problem::new(Code::QueueFull, detail).over(limit as u64, limit as u64 + 1);
            problem.retry_after(Duration::from_secs(10))
        })
    }

    /// Waits for the turn to read events that came before.
    pub(super) async fn backlog(&self) -> Option<SemaphorePermit<'_>> {
        self.0.backlogs.acquire().await.ok()
    }

    /// Seconds that requests in flight have once the service stops.
    pub(super) fn drain_time(&self) -> Duration {
        Duration::from_secs(self.config().drain_seconds)
    }
}
