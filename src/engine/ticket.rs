//! Ticket: one admitted request, until its reply, with all its work.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{OwnedMutexGuard, OwnedSemaphorePermit, oneshot};

use super::admission::{Entry, Held};
use super::batch::{self, Item};
use super::gate::Pass;
use super::pool::Place;
use super::wanted::Wanted;
use super::{Done, Engine, Error};
use crate::infer::{self, Denoised, Options, Pace, Probe, Session, Stages};
use crate::kernel::parallel;
use crate::memory::pages;
use crate::quality::Response;
use crate::sample::{Depth, Latent, Sample};
use crate::telemetry;

/// Work on fewer bytes takes less time than waking a thread for it; see [`Ticket::convert`].
pub const BRIEF: usize = 1 << 16;

/// Permit to have work done; clones belong to the same request. Work is ordered by the admission of its request, and one with
/// large work keeps its permit for it, so that started requests are finished before newer ones.
///
/// Dropping the future of a piece of work removes it from the queue; once started, it stops after the step that is
/// being computed. The same happens when the deadline passes.
#[derive(Debug, Clone)]
pub struct Ticket {
    pub(super) engine: Engine,
    pub(super) entry: Arc<Entry>,
}

/// Scheduling parameters of a piece of work.
#[derive(Debug, Clone, Copy)]
struct Size {
    /// Peak working memory in bytes.
    bytes: usize,
    /// `true` for work that may take long: some workers are reserved for other work.
    is_wide: bool,
}

/// Resources that a piece of work holds until it is done.
pub(super) struct Room {
    _memory: OwnedSemaphorePermit,
    _wide: Option<OwnedMutexGuard<Option<Pass>>>,
}

impl Ticket {
    /// Accounts for bytes that the request holds outside of work (its body, for example), until the result is dropped.
    ///
    /// # Errors
    /// No room.
    pub fn hold(&self, bytes: usize) -> Result<Held, Error> {
        self.engine.hold(bytes)
    }

    /// [`Ticket::hold`] for samples that reading is expected to give; none for large ones, which have a share of their own while
    /// the request has its permit.
    ///
    /// # Errors
    /// No room.
    pub fn hold_samples(&self, bytes: usize) -> Result<Option<Held>, Error> {
        if self.is_large(bytes) { Ok(None) } else { self.hold(bytes).map(Some) }
    }

    /// Accounts for bytes that are already in memory, until the result is dropped: never rejected, but later requests may be.
    pub fn count(&self, bytes: usize) -> Held {
        self.engine.0.admission.count(bytes)
    }

    /// Queues [`Session::denoise_at`]; small samples are batched.
    ///
    /// # Errors
    /// Errors of the session, or no room.
    pub async fn denoise(
        &self,
        session: &Arc<Session>,
        sample: Sample,
        options: Options,
        depth: Depth,
    ) -> Result<Done<Denoised>, Error> {
        let shape = sample.shape();
        let bytes = session.bytes_to_denoise(shape, sample.depth(), depth, &options);
        let config = self.engine.config();
        if batch::fits(session, shape, &options, config) {
            let op = Op::new(session, "denoise", self);
            return op.end(self.denoise_together(session, sample, options, bytes).await);
        }
        let size = Size { bytes, is_wide: shape.numbers() >= config.wide_numbers };
        let work =
            move |session: &Session, pace: &dyn Pace| session.denoise_at(&sample, &options, depth, pace);
        self.infer(session, "denoise", size, work).await
    }

    /// Queues [`Session::respond_at`].
    ///
    /// # Errors
    /// Errors of the session, or no room.
    pub async fn respond(
        &self,
        session: &Arc<Session>,
        sample: Arc<Sample>,
        result: Arc<Sample>,
        options: Options,
        probe: Probe,
    ) -> Result<Done<Response>, Error> {
        let shape = sample.shape();
        let is_wide = shape.numbers() >= self.engine.config().wide_numbers;
        let size = Size { bytes: session.bytes_to_probe(shape, &options), is_wide };
        let work = move |session: &Session, pace: &dyn Pace| {
            session.respond_at(&sample, &result, &options, probe, pace)
        };
        self.infer(session, "respond", size, work).await
    }

    /// Queues [`Session::encode_at`].
    ///
    /// # Errors
    /// Errors of the session, or no room.
    pub async fn encode(
        &self,
        session: &Arc<Session>,
        sample: Sample,
        ratio: Option<f32>,
    ) -> Result<Done<Latent>, Error> {
        let shape = sample.shape();
        let is_wide = shape.numbers() >= self.engine.config().wide_numbers;
        let size = Size { bytes: session.working_bytes(shape), is_wide };
        let work = move |session: &Session, pace: &dyn Pace| session.encode_at(&sample, ratio, pace);
        self.infer(session, "encode", size, work).await
    }

    /// Queues [`Session::decode_at`].
    ///
    /// # Errors
    /// Errors of the session, or no room.
    pub async fn decode(
        &self,
        session: &Arc<Session>,
        latent: Latent,
        depth: Depth,
    ) -> Result<Done<Sample>, Error> {
        let is_wide = latent.shape.numbers() >= self.engine.config().wide_numbers;
        let size = Size { bytes: session.working_bytes(latent.shape), is_wide };
        let work = move |session: &Session, pace: &dyn Pace| session.decode_at(&latent, depth, pace);
        self.infer(session, "decode", size, work).await
    }

    /// Queues [`Session::stages_at`].
    ///
    /// # Errors
    /// Errors of the session, or no room.
    pub async fn stages(
        &self,
        session: &Arc<Session>,
        sample: Sample,
        options: Options,
    ) -> Result<Done<Stages>, Error> {
        let shape = sample.shape();
        let is_wide = shape.numbers() >= self.engine.config().wide_numbers;
        let size = Size { bytes: session.working_bytes(shape), is_wide };
        let work = move |session: &Session, pace: &dyn Pace| session.stages_at(&sample, &options, pace);
        self.infer(session, "evaluate", size, work).await
    }

    /// Returns `true` for work on so many `bytes` that the request needs a permit for it.
    pub fn is_large(&self, bytes: usize) -> bool {
        bytes >= self.engine.config().wide_numbers * size_of::<f32>()
    }

    /// Runs `work`, which needs `bytes` of memory in addition to its captures, on one of the engine's threads.
    ///
    /// # Errors
    /// No room now or ever, a panic in `work`, the deadline, or the engine is stopping.
    pub async fn run<T: Send + 'static>(
        &self,
        bytes: usize,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<Done<T>, Error> {
        let is_wide = self.is_large(bytes);
        // Files, model loading and scores need only one thread.
        self.work("other", Size { bytes, is_wide }, move |_| parallel::with_threads(1, work)).await
    }

    /// [`Ticket::run`] for work that takes time in proportion to `bytes`, such as reading a file: small work runs on
    /// the calling thread.
    ///
    /// # Errors
    /// Errors of [`Ticket::run`].
    pub async fn convert<T: Send + 'static>(
        &self,
        bytes: usize,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        if bytes >= BRIEF {
            pages::make_room(bytes);
            return Ok(self.run(bytes, work).await?.value);
        }
        let begun = Instant::now();
        let value = catch_unwind(AssertUnwindSafe(work));
        self.entry.record(begun.elapsed());
        value.map_err(panicked)
    }

    /// Gives back the permit of large work, which a request otherwise keeps until it is dropped: for one that has no end.
    pub async fn rest(&self) {
        *self.entry.pass().await = None;
    }

    /// Runs `work` that looks at `bytes` which are held already: on the calling thread if they are few, else on one of the
    /// engine's threads, without waiting for large work.
    ///
    /// # Errors
    /// A panic in `work`, the deadline, or the engine is stopping.
    pub async fn examine<T: Send + 'static>(
        &self,
        bytes: usize,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        if bytes < BRIEF {
            return self.convert(bytes, work).await;
        }
        let size = Size { bytes: 0, is_wide: false };
        Ok(self.work("other", size, move |_| parallel::with_threads(1, work)).await?.value)
    }

    /// Queues an operation of a model, and counts it in the metrics.
    async fn infer<T: Send + 'static>(
        &self,
        session: &Arc<Session>,
        op: &'static str,
        size: Size,
        work: impl FnOnce(&Session, &dyn Pace) -> infer::Result<T> + Send + 'static,
    ) -> Result<Done<T>, Error> {
        let counted = Op::new(session, op, self);
        let session = Arc::clone(session);
        let done = self.work(op, size, move |pace| work(&session, pace)).await;
        counted.end(done.and_then(flatten))
    }

    async fn work<T: Send + 'static>(
        &self,
        op: &'static str,
        size: Size,
        work: impl FnOnce(&dyn Pace) -> T + Send + 'static,
    ) -> Result<Done<T>, Error> {
        let arrived = Instant::now();
        let room = self.room(size).await?;
        let mut queued = Queued { ticket: self, place: None, key: None };
        let (reply, result) = oneshot::channel();
        let (ticket, span) = (self.clone(), tracing::Span::current());
        queued.submit(move || {
            if reply.is_closed() || ticket.entry.is_late() {
                return;
            }
            let compute = tracing::info_span!(parent: &span, "compute", op);
            let begun = Instant::now();
            let is_wanted = || !reply.is_closed() && !ticket.entry.is_late();
            let pace = Wanted { is_wanted: &is_wanted, pieces: &ticket.engine.0.pieces };
            let large = pages::Large::begin(size.bytes);
            let value = compute.in_scope(|| catch_unwind(AssertUnwindSafe(|| work(&pace))));
            drop(large);
            let ran = begun.elapsed();
            drop((compute, span));
            ticket.entry.record(ran);
            // Before the reply: a client that has it may rely on the freed permits.
            drop((room, ticket));
            let done = |value| Done { value, queued: begun - arrived, ran };
            let _ = reply.send(value.map(done).map_err(panicked));
        });
        // The task is dropped without a reply if the pool was closed or the deadline passed.
        let answer = result.await;
        queued.forget();
        answer.unwrap_or_else(|_| Err(self.unanswered()))
    }

    /// Queues a small sample to be denoised in a batch.
    async fn denoise_together(
        &self,
        session: &Arc<Session>,
        sample: Sample,
        options: Options,
        bytes: usize,
    ) -> Result<Done<Denoised>, Error> {
        let arrived = Instant::now();
        let room = self.room(Size { bytes, is_wide: false }).await?;
        let mut queued = Queued { ticket: self, place: None, key: None };
        let (reply, result) = oneshot::channel();
        let span = tracing::Span::current();
        let item = Item { sample, reply, arrived, room, entry: Arc::clone(&self.entry), span: span.clone() };
        let key = self.engine.0.batches.push(session, options, item);
        queued.key = Some(key);
        let engine = self.engine.clone();
        queued.submit(move || {
            let _inside = span.enter();
            engine.0.batches.run(&key, &engine.0);
        });
        let answer = result.await;
        queued.forget();
        answer.unwrap_or_else(|_| Err(self.unanswered()))
    }

    /// Acquires the permits of a piece of work: first the one for large work, then memory, which must not stay
    /// reserved while its owner waits.
    async fn room(&self, size: Size) -> Result<Room, Error> {
        let inner = &self.engine.0;
        inner.admission.check_work(size.bytes)?;
        let wide = match size.is_wide {
            // Locked while it works: one large piece of a request at a time.
            true => {
                let mut pass = self.entry.pass().await;
                if pass.is_none() {
                    *pass = Some(inner.wide.enter(self.entry.number(), size.bytes).await);
                }
                Some(pass)
            }
            false => None,
        };
        let memory = inner.admission.memory(size.bytes).await?;
        Ok(Room { _memory: memory, _wide: wide })
    }

    /// Reason why work ended without a result.
    fn unanswered(&self) -> Error {
        if self.entry.is_late() { Error::Deadline } else { Error::Draining }
    }
}

/// Queued work; dropping this, with the future that waits for it, removes it from the queue.
struct Queued<'a> {
    ticket: &'a Ticket,
    place: Option<Place>,
    key: Option<batch::Key>,
}

impl Queued<'_> {
    fn submit(&mut self, task: impl FnOnce() + Send + 'static) {
        let Ticket { engine, entry } = self.ticket;
        self.place = Some(engine.0.pool.submit(entry.number(), Box::new(task)));
    }

    /// Marks the work as answered, so that it is not removed.
    fn forget(&mut self) {
        (self.place, self.key) = (None, None);
    }
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        let inner = &self.ticket.engine.0;
        // If another request's task has taken this sample, this task must stay queued for a sample that still waits.
        let is_spare = self.key.is_none_or(|key| inner.batches.sweep(&key));
        if is_spare {
            self.place.into_iter().for_each(|place| inner.pool.withdraw(place));
        }
    }
}

/// One operation of a model, counted when it ends, also if its future is dropped.
struct Op {
    labels: telemetry::Infer,
    entry: Arc<Entry>,
    is_counted: bool,
}

impl Op {
    fn new(session: &Session, op: &'static str, ticket: &Ticket) -> Self {
        let id = session.id();
        let labels = telemetry::Infer::new(id.name.as_str(), id.version, op);
        Self { labels, entry: Arc::clone(&ticket.entry), is_counted: false }
    }

    fn end<T>(mut self, result: Result<Done<T>, Error>) -> Result<Done<T>, Error> {
        self.is_counted = true;
        match &result {
            Ok(done) => self.labels.done(done.queued, done.ran),
            Err(error) => self.labels.failed(error.outcome()),
        }
        result
    }
}

impl Drop for Op {
    fn drop(&mut self) {
        if !self.is_counted {
            self.labels.failed(if self.entry.is_late() { "deadline" } else { "cancelled" });
        }
    }
}

fn flatten<T>(done: Done<infer::Result<T>>) -> Result<Done<T>, Error> {
    let Done { value, queued, ran } = done;
    Ok(Done { value: value?, queued, ran })
}

/// Converts a panic to an error.
pub(super) fn panicked(cause: Box<dyn Any + Send>) -> Error {
    telemetry::panicked("compute");
    let text = cause.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| cause.downcast_ref::<String>().cloned());
    Error::Panicked(text.unwrap_or_else(|| "a panic without words".to_owned()))
}

/// A result with the times of its work.
impl<T> Done<T> {
    pub(super) fn new(value: T, arrived: Instant, begun: Instant, ran: Duration) -> Self {
        Self { value, queued: begun.saturating_duration_since(arrived), ran }
    }
}
