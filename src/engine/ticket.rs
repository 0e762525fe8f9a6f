//! A ticket: one request inside the engine, from its admission to its reply, with all the work it asks for.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::admission::{Entry, Held};
use super::batch::{self, Item};
use super::pool::Place;
use super::wanted::Wanted;
use super::{Done, Engine, Error};
use crate::infer::{self, Denoised, Options, Pace, Session};
use crate::kernel::{pages, parallel};
use crate::sample::{Depth, Latent, Sample};
use crate::telemetry;

/// Work on fewer bytes is done sooner than a thread is woken for it; see [`Ticket::convert`].
pub const BRIEF: usize = 1 << 16;

/// The right to have work done; clones are the same request. Work is done in the order in which requests were admitted,
/// so that one that was begun is brought to its end before newer ones.
///
/// Dropping the future of any piece of work takes it out of the queue; once begun, it ends with the piece that
/// is being computed. The same happens when the deadline passes.
#[derive(Debug, Clone)]
pub struct Ticket {
    pub(super) engine: Engine,
    pub(super) entry: Arc<Entry>,
}

/// What scheduling wants to know of a piece of work.
#[derive(Debug, Clone, Copy)]
struct Size {
    /// Bytes it needs at most.
    bytes: usize,
    /// It may take long: some workers are kept free of such work.
    is_wide: bool,
}

/// What a piece of work holds until it is done.
pub(super) struct Room {
    _held: Held,
    _memory: OwnedSemaphorePermit,
    _wide: Option<OwnedSemaphorePermit>,
}

impl Ticket {
    /// Counts bytes that the request holds outside of work, such as its body, until the result is dropped.
    ///
    /// # Errors
    /// No room.
    pub fn hold(&self, bytes: usize) -> Result<Held, Error> {
        self.engine.hold(bytes)
    }

    /// Counts bytes that are in memory already, until the result is dropped: these are never refused, but those who come after
    /// may be.
    pub fn count(&self, bytes: usize) -> Held {
        self.engine.0.admission.count(bytes)
    }

    /// [`Session::denoise_at`] in its turn; small samples together with others like them.
    ///
    /// # Errors
    /// Those of the session, or no room.
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

    /// [`Session::encode_at`] in its turn.
    ///
    /// # Errors
    /// Those of the session, or no room.
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

    /// [`Session::decode_at`] in its turn.
    ///
    /// # Errors
    /// Those of the session, or no room.
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

    /// Computes `work`, which needs `bytes` of memory beside its captures, on one of the engine's threads.
    ///
    /// # Errors
    /// No room, never room, a panic in `work`, the deadline, or the engine is stopping.
    pub async fn run<T: Send + 'static>(
        &self,
        bytes: usize,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<Done<T>, Error> {
        let is_wide = bytes >= self.engine.config().wide_numbers * size_of::<f32>();
        // Reading and writing files, loading a model, scores.
        self.work("other", Size { bytes, is_wide }, move |_| parallel::with_threads(1, work)).await
    }

    /// [`Ticket::run`] for work that takes no longer than its `bytes` tell, such as reading a file: what is brief is done right
    /// here, on the thread that asks.
    ///
    /// # Errors
    /// Those of [`Ticket::run`].
    pub async fn convert<T: Send + 'static>(
        &self,
        bytes: usize,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        if bytes >= BRIEF {
            pages::make_room(bytes);
            return Ok(self.run(bytes, work).await?.value);
        }
        let _held = self.hold(bytes)?;
        let begun = Instant::now();
        let value = catch_unwind(AssertUnwindSafe(work));
        self.entry.record(begun.elapsed());
        value.map_err(panicked)
    }

    /// Work of a model, counted.
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
            // Before the answer: who has it may count on the room.
            drop((room, ticket));
            let done = |value| Done { value, queued: begun - arrived, ran };
            let _ = reply.send(value.map(done).map_err(panicked));
        });
        // The task is dropped unanswered where the pool was closed, or the deadline passed.
        let answer = result.await;
        queued.forget();
        answer.unwrap_or_else(|_| Err(self.unanswered()))
    }

    /// Denoises a small sample in a batch with others that wait.
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

    /// The room for a piece of work: first the right to take long, then memory, since memory must not lie idle while its
    /// owner waits.
    async fn room(&self, size: Size) -> Result<Room, Error> {
        let held = self.engine.hold(size.bytes)?;
        let inner = &self.engine.0;
        let wide = if size.is_wide { Arc::clone(&inner.wide).acquire_owned().await.ok() } else { None };
        let memory = inner.admission.memory(size.bytes).await?;
        Ok(Room { _held: held, _memory: memory, _wide: wide })
    }

    /// Why work ended without an answer.
    fn unanswered(&self) -> Error {
        if self.entry.is_late() { Error::Deadline } else { Error::Draining }
    }
}

/// Work in the queue; dropped together with the future that waits for it, it is taken out again.
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

    /// It was answered: there is nothing to take out.
    fn forget(&mut self) {
        (self.place, self.key) = (None, None);
    }
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        let inner = &self.ticket.engine.0;
        // A sample that another's task has taken leaves its own task to one that still waits, for whom there may be no other.
        let is_spare = self.key.is_none_or(|key| inner.batches.sweep(&key));
        if is_spare {
            self.place.into_iter().for_each(|place| inner.pool.withdraw(place));
        }
    }
}

/// One operation of a model, counted when it ends: also when the future that waits for it is dropped.
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

/// What a panic said.
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
