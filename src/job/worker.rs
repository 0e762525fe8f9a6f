//! Worker: takes queued jobs, trains them and publishes the results.
//!
//! One thread trains; another renews the lease, writes progress and polls for requests, so that training never waits for
//! the database. The fence of the attempt guards every change that must not happen twice.

use std::any::Any;
use std::collections::HashMap;
use std::fs;
use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::claim::Right;
use super::preview;
use super::queue::{End, News, Queue, Taken, Unwritten, Wanted};
use super::rows;
use super::{Config, CurvePoint, Error, Failure, Progress, Scheme, lock};
use crate::code::Code;
use crate::dataset::Dataset;
use crate::db::Db;
use crate::limits::Limits;
use crate::registry::{self, Registry};
use crate::store::{Reserve, Store};
use crate::train::{self, Checkpoint, Control, Run};

/// Interval at which an idle worker polls the queue.
const IDLE: Duration = Duration::from_millis(300);

/// Interval of polling for requests while a job runs.
const LOOK: Duration = Duration::from_millis(200);

/// Time for which a worker leaves a job whose samples it does not see to other workers.
const PASS_OVER: Duration = Duration::from_secs(60);

/// Shortest interval between two reports of progress.
const BEAT: Duration = Duration::from_millis(1000);

/// Worker with its queue, store and registry.
#[derive(Debug, Clone)]
pub struct Worker {
    queue: Queue,
    store: Arc<Store>,
    reserve: Reserve,
    registry: Registry,
    limits: Limits,
    id: String,
    /// Jobs whose samples were not in this worker's folder, and when.
    passed_over: Arc<Mutex<HashMap<String, Instant>>>,
    /// Ends the process, where a step takes too long to stop.
    exit: Option<fn()>,
}

impl Worker {
    /// Creates a worker; `id` must be unique.
    pub fn new(
        config: Config,
        limits: Limits,
        db: Db,
        store: Arc<Store>,
        registry: Registry,
        id: String,
    ) -> Self {
        let reserve = Reserve::new(store.root());
        let passed_over = Arc::default();
        Self { queue: Queue { db, config }, store, reserve, registry, limits, id, passed_over, exit: None }
    }

    /// Returns a worker that calls `exit`, which ends its process, when a step is not over `jobs.stop_seconds` after the job was
    /// lost, cancelled or paused. Its job is put back before.
    #[must_use]
    pub fn with_exit(self, exit: fn()) -> Self {
        Self { exit: Some(exit), ..self }
    }

    /// Takes jobs until `stop` is set; then a running job returns to the queue with a checkpoint.
    pub fn run(&self, stop: &AtomicBool) {
        let mut pause = IDLE;
        while !stop.load(Ordering::Acquire) {
            match self.run_one(stop) {
                Ok(true) => pause = IDLE,
                Ok(false) => {
                    pause = IDLE;
                    sleep(pause, stop);
                }
                Err(error) => {
                    tracing::warn!(%error, wait = ?pause, "no work can be taken");
                    sleep(pause, stop);
                    pause = (pause * 2).min(Duration::from_secs(10));
                }
            }
        }
    }

    /// Returns `true` for a job that another worker may have more luck with: its samples were not here a moment ago.
    fn passes_over(&self, job: &str) -> bool {
        let mut passed_over = lock(&self.passed_over);
        passed_over.retain(|_, since| since.elapsed() < PASS_OVER);
        passed_over.contains_key(job)
    }

    /// Takes one job and works on it until its attempt ends. Returns `false` if there was none.
    ///
    /// # Errors
    /// The database is unreachable.
    pub fn run_one(&self, stop: &AtomicBool) -> Result<bool, Error> {
        self.registry.check_home().map_err(train::Error::from)?;
        let step_of = |job: &str| saved_step(&self.store, job);
        let Some(taken) = self.queue.take(&self.id, &|job| !self.passes_over(job), &step_of)? else {
            return Ok(false);
        };
        let (id, model) = (&taken.id, &taken.config.name);
        tracing::info!(job = %id, %model, "training begins");
        let attempt = Attempt::new(self, &taken, stop);
        let result = thread::scope(|scope| {
            scope.spawn(|| attempt.attend());
            let result = catch_unwind(AssertUnwindSafe(|| attempt.train()));
            attempt.is_over.store(true, Ordering::Release);
            result
        });
        let end = match result {
            Ok(Ok(version)) => {
                tracing::info!(job = %id, %model, version, "training succeeded");
                return Ok(true);
            }
            Ok(Err(error)) => attempt.end(error),
            Err(cause) => Some(End::Fault(format!("training panicked: {}", message(&*cause)))),
        };
        match end {
            Some(end) => {
                tracing::info!(job = %id, %model, ?end, "training ends");
                self.queue.end(&taken, &end, &lock(&attempt.events))?;
            }
            None => tracing::info!(job = %id, "the job was cancelled, or is another worker's by now"),
        }
        Ok(true)
    }
}

/// Attempt at a job.
struct Attempt<'a> {
    worker: &'a Worker,
    taken: &'a Taken,
    stop: &'a AtomicBool,
    /// Last request read from the database.
    wanted: Mutex<Wanted>,
    is_full: AtomicBool,
    is_over: AtomicBool,
    /// Last progress, for the row and for the result.
    last: Arc<Mutex<Option<Progress>>>,
    /// Events that are not known to be written yet.
    events: Arc<Mutex<Vec<Unwritten>>>,
}

impl<'a> Attempt<'a> {
    fn new(worker: &'a Worker, taken: &'a Taken, stop: &'a AtomicBool) -> Self {
        Self {
            worker,
            taken,
            stop,
            wanted: Mutex::new(Wanted::Work),
            is_full: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
            last: Arc::default(),
            events: Arc::default(),
        }
    }

    /// Reads the samples, trains, publishes a new version, and returns its number.
    fn train(&self) -> Result<u32, Stopped> {
        let Self { worker, taken, .. } = self;
        let config = &taken.config;
        worker.registry.refresh().map_err(train::Error::from)?;
        // The default version is compared with at the end: quarantine it now if it is damaged, rather than lose the training.
        worker.registry.check(Some(&config.name)).map_err(train::Error::from)?;
        let dataset = self.read()?;
        if self.control() != Control::Continue {
            return Err(train::Error::Cancelled.into());
        }
        let scheme = match dataset.items.is_empty() {
            true => None,
            false => {
                let (scheme, reason) = config.choose_scheme(&dataset)?;
                let name = scheme.name().to_owned();
                Some(Scheme { name, reason })
            }
        };
        if !worker.queue.begin(taken, &(&dataset).into(), scheme.as_ref())? {
            return Err(train::Error::Cancelled.into());
        }
        let (queue, last) = (worker.queue.clone(), Arc::clone(&self.last));
        let events = Arc::clone(&self.events);
        let right = Right { queue, taken: Taken::clone(taken), last, events };
        let registry = worker.registry.with_claim(Arc::new(right));
        let recipe = serde_json::to_string(config).unwrap_or_default();
        let path = worker.store.checkpoint(&taken.id);
        let every = Duration::from_secs_f64(worker.queue.config.checkpoint_seconds.clamp(0.01, 86_400.0));
        let run = Run {
            config,
            dataset: &dataset,
            registry: &registry,
            checkpoint: Some(Checkpoint { every, ..Checkpoint::new(path, true) }),
            data: format!("{} uploaded samples", dataset.items.len()),
            recipe: format!("POST /train with the config {recipe}"),
            labels: Vec::new(),
        };
        let (mut psnr_db, mut shown) = (None, None::<Arc<train::Preview>>);
        let outcome = run.run(&mut |progress| {
            if let Some(score) = progress.psnr_db.filter(|score| Some(*score) != psnr_db) {
                psnr_db = Some(score);
                let loss = Some(progress.loss).filter(|loss| loss.is_finite());
                let point = CurvePoint { step: progress.step, loss, psnr_db: score };
                lock(&self.events).push(("metrics", rows::json(&point)));
            }
            if let Some(preview) = &progress.preview
                && !shown.as_ref().is_some_and(|shown| Arc::ptr_eq(shown, preview))
            {
                lock(&self.events).push(("sample", preview::describe(progress.step, preview)));
                shown = Some(Arc::clone(preview));
            }
            *lock(&self.last) = Some(progress.into());
            self.control()
        })?;
        Ok(outcome.version)
    }

    /// Reads the samples of the job, for the input of its model.
    fn read(&self) -> Result<Dataset, Stopped> {
        let Self { worker, taken, .. } = self;
        let checkpoint = Checkpoint::new(worker.store.checkpoint(&taken.id), true);
        let wanted = taken.config.wanted_to_resume(&worker.registry, &checkpoint)?;
        let mut files = Vec::new();
        for file in &taken.files {
            let bytes = fs::read(worker.store.path(&file.sha256)).map_err(|error| {
                lock(&worker.passed_over).insert(taken.id.clone(), Instant::now());
                Stopped::Samples(format!("{}: the uploaded file cannot be read: {error}", file.name))
            })?;
            files.push((file.name.clone(), bytes));
        }
        Ok(Dataset::from_uploads_as(files, &worker.limits, wanted))
    }

    fn control(&self) -> Control {
        let must_stop = self.is_full.load(Ordering::Acquire) || self.stop.load(Ordering::Acquire);
        match *lock(&self.wanted) {
            Wanted::Nothing => Control::Abandon,
            Wanted::Work if !must_stop => Control::Continue,
            _ => Control::Cancel,
        }
    }

    /// Renews the lease, writes progress and polls for requests, until the attempt is over.
    fn attend(&self) {
        let queue = &self.worker.queue;
        let lease = Duration::from_millis(queue.config.lease_ms() as u64) / 4;
        let mut beaten = Instant::now();
        let (mut shown, mut unwanted) = (0, None);
        while !self.is_over.load(Ordering::Acquire) {
            let is_full = !self.worker.reserve.is_there();
            self.is_full.store(is_full, Ordering::Release);
            let progress = lock(&self.last).clone().filter(|progress| progress.step != shown);
            let has_news = progress.is_some() || !lock(&self.events).is_empty();
            let is_due = beaten.elapsed() >= if has_news { BEAT.min(lease) } else { lease };
            let wanted = if is_due {
                beaten = Instant::now();
                let events = lock(&self.events).clone();
                let (step, count) = (progress.as_ref().map(|progress| progress.step), events.len());
                let saved_step = saved_step(&self.worker.store, &self.taken.id);
                let wanted = queue.beat(self.taken, &News { progress, saved_step, events });
                // Events of a heartbeat that was lost are written by the next one, or at the end of the attempt.
                if wanted.as_ref().is_ok_and(|wanted| *wanted != Wanted::Nothing) {
                    lock(&self.events).drain(..count);
                }
                shown = step.unwrap_or(shown);
                wanted
            } else {
                queue.look(self.taken)
            };
            match wanted {
                Ok(wanted) => *lock(&self.wanted) = wanted,
                // Training continues: if the lease expires, the fence rejects whatever this attempt still writes.
                Err(error) => tracing::warn!(%error, job = %self.taken.id, "progress cannot be written"),
            }
            if *lock(&self.wanted) == Wanted::Work {
                unwanted = None;
            } else if unwanted.get_or_insert_with(Instant::now).elapsed() > queue.config.stop_time() {
                self.give_up();
            }
            thread::sleep(LOOK);
        }
    }

    /// Ends the process, since its training does not.
    fn give_up(&self) {
        let Worker { queue, id, exit: Some(exit), .. } = self.worker else { return };
        let job = &self.taken.id;
        let fault = "its step did not end in jobs.stop_seconds after it was to stop";
        tracing::error!(%job, "{fault}; the process is ended");
        if let Err(error) = queue.release(id, fault) {
            tracing::warn!(%error, %job, "the job waits for the end of its lease");
        }
        exit();
    }

    /// Maps an error to the end of the attempt; none if another worker holds the job.
    fn end(&self, stopped: Stopped) -> Option<End> {
        let error = match stopped {
            Stopped::Train(error) => error,
            Stopped::Samples(detail) => return Some(End::Fault(detail)),
            Stopped::Jobs(error) => return Some(End::Fault(error.to_string())),
        };
        let is_full = self.is_full.load(Ordering::Acquire);
        Some(match &error {
            train::Error::Cancelled => match *lock(&self.wanted) {
                Wanted::Cancel => End::Cancelled,
                Wanted::Pause => End::Paused,
                Wanted::Nothing => return None,
                Wanted::Work if is_full => End::DiskFull("the disk is full".into()),
                Wanted::Work => End::Stopped,
            },
            train::Error::Registry(registry::Error::Lost(_)) => return None,
            error if is_full || is_disk_full(error) => {
                // Gives the reserve back to the disk, so that the end of the attempt can be written.
                self.worker.reserve.release();
                End::DiskFull(error.to_string())
            }
            train::Error::Registry(registry::Error::Db(_) | registry::Error::Io { .. })
            | train::Error::Io { .. } => End::Fault(error.to_string()),
            train::Error::Checkpoint { .. } => {
                // A damaged checkpoint cannot be resumed from: the next attempt starts from the beginning.
                self.worker.store.forget(&self.taken.id);
                End::Fault(error.to_string())
            }
            error => End::Failed(describe(error)),
        })
    }
}

/// Reason why an attempt published no version.
#[derive(Debug, thiserror::Error)]
enum Stopped {
    #[error(transparent)]
    Train(#[from] train::Error),
    #[error("{0}")]
    Samples(String),
    #[error(transparent)]
    Jobs(#[from] Error),
}

fn is_disk_full(error: &train::Error) -> bool {
    match error {
        train::Error::Registry(error) => error.is_disk_full(),
        train::Error::Io { source, .. } => {
            matches!(source.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
        }
        _ => false,
    }
}

/// Describes an error, with the error code of the API.
fn describe(error: &train::Error) -> Failure {
    use train::Error::{Dataset, Diverged, Invalid, Registry};
    let code = match error {
        Invalid { .. } | Dataset(_) | Diverged { .. } => Code::InvalidInput,
        Registry(registry::Error::ModelNotFound(_)) => Code::ModelNotFound,
        Registry(registry::Error::VersionNotFound { .. } | registry::Error::NoDefault { .. }) => {
            Code::VersionNotFound
        }
        _ => Code::Internal,
    };
    Failure::new(code, error.to_string())
}

/// Returns the step of a job's checkpoint; 0 if there is none.
fn saved_step(store: &Store, job: &str) -> u64 {
    Checkpoint::new(store.checkpoint(job), true).step().unwrap_or(0)
}

/// Sleeps for `time`, or until `stop` is set.
fn sleep(time: Duration, stop: &AtomicBool) {
    let until = Instant::now() + time;
    while Instant::now() < until && !stop.load(Ordering::Acquire) {
        thread::sleep(Duration::from_millis(20));
    }
}

/// Returns the message of a panic.
fn message(cause: &(dyn Any + Send)) -> String {
    let text = cause.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| cause.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without words".to_owned())
}

#[cfg(test)]
mod tests;
