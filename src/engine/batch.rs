//! Batches: small queued samples of the same model and shape are computed together.
//!
//! No sample waits for a batch to fill. Each sample is queued for a worker like any other work; a free worker takes,
//! with the oldest sample, its share of all that are queued and running. So an idle service computes each sample at
//! once and alone, and batches grow with the load. Results do not depend on the other samples of the batch.
//!
//! Waiting for clients that were just answered and may send another request would make batches larger, but leave cores idle
//! meanwhile: in a test with 28x28 and 8 connections, a request took 8 % less of a core, but throughput did not rise.

use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tracing::Span;

use super::admission::Entry;
use super::ticket::{Room, panicked};
use super::{Config, Done, Error, Inner};
use crate::infer::{Denoised, Mode, Options, Session};
use crate::kernel::parallel;
use crate::sample::{Sample, Shape};
use crate::telemetry;

/// Batches of fewer numbers are computed on one thread, since waking others takes longer.
const TINY: usize = 512;

/// Queued sample, with its request's resources.
pub(super) struct Item {
    pub(super) sample: Sample,
    pub(super) reply: oneshot::Sender<Result<Done<Denoised>, Error>>,
    pub(super) arrived: Instant,
    pub(super) room: Room,
    pub(super) entry: Arc<Entry>,
    /// Span of its request; while it is computed, a child of that.
    pub(super) span: Span,
}

/// Properties that the samples of one batch share: the loaded model (by its address), the shape and the options.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key {
    session: usize,
    shape: Shape,
    is_strict: bool,
    strength: u32,
    ratio: Option<u32>,
}

/// Queued and running samples, grouped by key.
#[derive(Default)]
pub(super) struct Batches(Mutex<Groups>);

#[derive(Default)]
struct Groups {
    by_key: HashMap<Key, Group>,
    /// `true` once nothing is computed any more.
    is_closed: bool,
}

struct Group {
    session: Arc<Session>,
    options: Options,
    items: VecDeque<Item>,
    /// Number of samples being computed.
    running: usize,
}

/// Returns `true` if a sample is small enough to be batched.
pub(super) fn fits(session: &Session, shape: Shape, options: &Options, config: &Config) -> bool {
    config.batch > 1
        && shape.numbers() <= config.batch_numbers
        && options.ensemble == 1
        && session.is_whole(shape)
}

/// Number of queued samples that one of `workers` takes into its next batch: an even share of all queued and running
/// samples. An even share of the queued ones alone would keep batches at half of that.
fn share(waiting: usize, running: usize, workers: usize) -> usize {
    (waiting + running).div_ceil(workers).min(waiting)
}

impl Batches {
    /// Adds a sample; once closed, drops it unanswered. The caller must ensure that [`Batches::run`] is called once
    /// for it: there are always at least as many pending calls as queued samples.
    pub(super) fn push(&self, session: &Arc<Session>, options: Options, item: Item) -> Key {
        let key = Key {
            session: Arc::as_ptr(session) as usize,
            shape: item.sample.shape(),
            is_strict: options.mode == Mode::Strict,
            strength: options.strength.to_bits(),
            ratio: options.ratio.map(f32::to_bits),
        };
        let new = || Group { session: Arc::clone(session), options, items: VecDeque::new(), running: 0 };
        let mut groups = self.lock();
        if !groups.is_closed {
            groups.by_key.entry(key).or_insert_with(new).items.push_back(item);
        }
        key
    }

    /// Drops queued samples unanswered, and accepts no more.
    pub(super) fn close(&self) {
        let mut groups = self.lock();
        groups.is_closed = true;
        let left: Vec<Item> = groups.by_key.values_mut().flat_map(|group| group.items.drain(..)).collect();
        groups.by_key.retain(|_, group| !group.is_over());
        drop(groups);
        // Outside the lock, as in `sweep`.
        drop(left);
    }

    /// Computes a batch of samples queued under `key`, if there are any: the share of one worker.
    pub(super) fn run(&self, key: &Key, engine: &Inner) {
        let Inner { config, pool, .. } = engine;
        let Some((session, options, items)) = self.take(key, pool.workers(), config) else { return };
        let _running = Running { batches: self, key, count: items.len() };
        let (mut wanted, left): (Vec<_>, Vec<_>) =
            items.into_iter().partition(|item| !item.reply.is_closed() && !item.entry.is_late());
        drop(left);
        if wanted.is_empty() {
            return;
        }
        let (op, batch) = ("denoise", wanted.len());
        telemetry::Infer::new(session.id().name.as_str(), session.id().version, op).batch(batch);
        for item in &mut wanted {
            item.span = tracing::info_span!(parent: &item.span, "compute", op, batch);
        }
        let begun = Instant::now();
        let denoise = |items: &[Item]| {
            engine.pieces.fetch_add(1, Ordering::Relaxed);
            let samples: Vec<&Sample> = items.iter().map(|item| &item.sample).collect();
            let is_tiny = key.shape.numbers() * items.len() < TINY;
            let work = || session.denoise_batch(&samples, &options);
            let work = || if is_tiny { parallel::with_threads(1, work) } else { work() };
            catch_unwind(AssertUnwindSafe(work))
                .map_err(panicked)
                .and_then(|result| result.map_err(Error::from))
        };
        if wanted.len() > 1
            && let Ok(all) = denoise(&wanted)
        {
            let ran = begun.elapsed();
            wanted.into_iter().zip(all).for_each(|(item, one)| item.answer(Ok(one), begun, ran, batch));
            return;
        }
        // If one of several fails, each is computed alone, so that only the faulty one is rejected.
        for item in wanted {
            let begun = Instant::now();
            let one = denoise(std::slice::from_ref(&item)).map(|mut all| all.remove(0));
            item.answer(one, begun, begun.elapsed(), 1);
        }
    }

    /// Drops the samples under `key` whose clients have left; returns `true` if there were any.
    pub(super) fn sweep(&self, key: &Key) -> bool {
        let mut groups = self.lock();
        let Some(group) = groups.by_key.get_mut(key) else { return false };
        let (kept, left) =
            std::mem::take(&mut group.items).into_iter().partition(|item| !item.reply.is_closed());
        let left: VecDeque<Item> = left;
        group.items = kept;
        if group.is_over() {
            groups.by_key.remove(key);
        }
        drop(groups);
        // Outside the lock: dropping an item frees its permits, and wakes tasks that wait for them.
        let is_any = !left.is_empty();
        drop(left);
        is_any
    }

    /// Takes one of `workers`' share of the samples that are queued or running under `key`, limited to the queued ones.
    fn take(&self, key: &Key, workers: usize, config: &Config) -> Option<(Arc<Session>, Options, Vec<Item>)> {
        let mut groups = self.lock();
        let group = groups.by_key.get_mut(key).filter(|group| !group.items.is_empty())?;
        let most = config.batch.min((config.batch_numbers * 4 / key.shape.numbers().max(1)).max(1));
        let count = share(group.items.len(), group.running, workers).min(most);
        group.running += count;
        Some((Arc::clone(&group.session), group.options, group.items.drain(..count).collect()))
    }

    fn lock(&self) -> MutexGuard<'_, Groups> {
        // No model runs while it is locked, so the state is consistent even if poisoned.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Group {
    /// Returns `true` if the group is empty and can be removed.
    fn is_over(&self) -> bool {
        self.items.is_empty() && self.running == 0
    }
}

/// Samples that count as running until this is dropped.
struct Running<'a> {
    batches: &'a Batches,
    key: &'a Key,
    count: usize,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let mut groups = self.batches.lock();
        let Some(group) = groups.by_key.get_mut(self.key) else { return };
        group.running -= self.count;
        if group.is_over() {
            groups.by_key.remove(self.key);
        }
    }
}

impl Item {
    /// Sends the result of a batch of `batch` samples that ran for `ran`.
    fn answer(self, result: Result<Denoised, Error>, begun: Instant, ran: Duration, batch: usize) {
        let Self { reply, arrived, room, entry, span, .. } = self;
        // Its share of the time: admission estimates the time of running requests from it.
        entry.record(ran / u32::try_from(batch).unwrap_or(u32::MAX));
        // Before the reply: a client that has it may rely on the freed permits.
        drop((room, entry, span));
        let _ = reply.send(result.map(|value| Done::new(value, arrived, begun, ran)));
    }
}

impl std::fmt::Debug for Batches {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Batches").field("groups", &self.lock().by_key.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap as Map;
    use std::sync::mpsc;

    use super::super::Engine;
    use super::*;
    use crate::name::ModelId;
    use crate::nn::model::{self, DenseConfig, Family, Model, Normalize};
    use crate::nn::{Device, Weights};
    use crate::registry::{Manifest, Registry};
    use crate::sample::{Depth, Stats};

    fn session(std: f32) -> Arc<Session> {
        let normalize = Normalize::Fixed(Stats { mean: 0.0, std });
        let model = model::Config { family: Family::Dense(DenseConfig::new(6, 2)), normalize, rate: None };
        let drawn = Weights::to_train(Map::new(), 7);
        let network = Model::new(&model, drawn.builder(&Device::Cpu)).unwrap();
        let name: crate::name::Name = "test".parse().unwrap();
        let id = ModelId { name: name.clone(), version: 1, digest: [1; 32] };
        Arc::new(Session::new(id, Manifest::unpublished(name, model), network))
    }

    fn sample(value: f32) -> Sample {
        Sample::new(Shape::Vector { features: 6 }, vec![value, 0.1, 0.2, 0.3, 0.4, 0.5]).unwrap()
    }

    fn engine() -> Engine {
        let config = Config { workers: Some(1), ..Config::default() };
        Engine::start(config, Arc::new(Registry::open(None, None).unwrap()))
    }

    /// Returns the results of samples that were queued while the only worker was busy, and the number of model runs for them.
    async fn together(engine: &Engine, std: f32, values: &[f32]) -> (Vec<Result<Sample, Error>>, usize) {
        let (go, wait) = mpsc::channel::<()>();
        let busy = tokio::spawn({
            let engine = engine.clone();
            async move { engine.run(0, move || _ = wait.recv()).await.unwrap() }
        });
        while engine.health().requests == 0 {
            tokio::task::yield_now().await;
        }
        let (session, before) = (session(std), engine.pieces());
        let asked = values.iter().map(|value| {
            let ticket = engine.admit(None).unwrap();
            let (session, sample) = (Arc::clone(&session), sample(*value));
            tokio::spawn(
                async move { ticket.denoise(&session, sample, Options::default(), Depth::F32).await },
            )
        });
        let asked: Vec<_> = asked.collect();
        while engine.health().bytes < asked.len() * session.working_bytes(Shape::Vector { features: 6 }) / 2 {
            tokio::task::yield_now().await;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        drop(go);
        busy.await.unwrap();
        let mut answers = Vec::new();
        for one in asked {
            answers.push(one.await.unwrap().map(|done| done.value.sample));
        }
        (answers, engine.pieces() - before)
    }

    #[tokio::test]
    async fn samples_that_wait_go_through_together_and_come_out_as_alone() {
        let engine = engine();
        let (answers, runs) = together(&engine, 0.5, &[1.0, 2.0, 3.0, 4.0, 5.0]).await;
        assert_eq!(runs, 1);
        for (answer, value) in answers.into_iter().zip([1.0, 2.0, 3.0, 4.0, 5.0]) {
            let alone = session(0.5).denoise(&sample(value), &Options::default()).unwrap().sample;
            assert_eq!(answer.unwrap(), alone);
        }
        assert_eq!((engine.health().requests, engine.health().bytes), (0, 0));
        while !engine.0.batches.lock().by_key.is_empty() {
            tokio::task::yield_now().await;
        }
    }

    #[test]
    fn a_share_counts_what_is_at_work_and_takes_only_what_waits() {
        assert_eq!([share(6, 0, 2), share(3, 3, 2), share(1, 3, 2), share(5, 2, 1)], [3, 3, 1, 5]);
    }

    /// With values near the end of the range, the result of the large sample exceeds it.
    #[tokio::test]
    async fn one_that_fails_costs_its_batch_nothing_but_time() {
        let (answers, runs) = together(&engine(), 3e38, &[1.0, 3e38, 2.0]).await;
        assert!(answers[0].is_ok() && answers[1].is_err() && answers[2].is_ok(), "{answers:?}");
        assert_eq!(runs, 4);
    }

    /// Blocks the only worker until the sender is dropped.
    async fn occupy(engine: &Engine) -> mpsc::Sender<()> {
        let (go, wait) = mpsc::channel::<()>();
        let busy = engine.admit(None).unwrap();
        let (begun, is_busy) = tokio::sync::oneshot::channel::<()>();
        let work = move || {
            let _ = begun.send(());
            let _ = wait.recv();
        };
        tokio::spawn(async move { busy.run(0, work).await });
        is_busy.await.unwrap();
        go
    }

    const MOMENT: Duration = Duration::from_millis(20);

    #[tokio::test]
    async fn who_leaves_while_another_computes_his_sample_leaves_his_turn_to_who_still_waits() {
        let engine = engine();
        let go = occupy(&engine).await;
        let session = session(0.5);
        let (first, second) = (engine.admit(None).unwrap(), engine.admit(None).unwrap());
        let mut leaves = Box::pin(second.denoise(&session, sample(2.0), Options::default(), Depth::F32));
        assert!(tokio::time::timeout(MOMENT, &mut leaves).await.is_err());
        let mut waits = Box::pin(first.denoise(&session, sample(1.0), Options::default(), Depth::F32));
        assert!(tokio::time::timeout(MOMENT, &mut waits).await.is_err());
        // One of two workers starts with the task of the first request, and finds the sample of the second.
        engine.0.pool.withdraw((first.entry.number(), 3));
        let key = *engine.0.batches.lock().by_key.keys().next().unwrap();
        let (.., taken) = engine.0.batches.take(&key, 2, engine.config()).unwrap();
        assert_eq!((taken.len(), taken[0].sample.data()[0]), (1, 2.0));
        drop(leaves);
        drop(go);
        assert!(tokio::time::timeout(Duration::from_secs(20), waits).await.unwrap().is_ok());
    }

    #[tokio::test]
    async fn what_waits_when_the_engine_closes_is_told_so() {
        let engine = engine();
        let _go = occupy(&engine).await;
        let (session, ticket) = (session(0.5), engine.admit(None).unwrap());
        let mut waits = Box::pin(ticket.denoise(&session, sample(1.0), Options::default(), Depth::F32));
        assert!(tokio::time::timeout(MOMENT, &mut waits).await.is_err());
        assert!(!engine.shutdown(MOMENT).await);
        assert!(matches!(waits.await, Err(Error::Draining)));
        let late = ticket.denoise(&session, sample(1.0), Options::default(), Depth::F32);
        assert!(matches!(late.await, Err(Error::Draining)));
    }

    #[tokio::test]
    async fn who_leaves_is_taken_out_of_the_batch_at_once() {
        let engine = engine();
        let _go = occupy(&engine).await;
        let ticket = engine.admit(None).unwrap();
        let session = session(0.5);
        let left = ticket.denoise(&session, sample(1.0), Options::default(), Depth::F32);
        assert!(tokio::time::timeout(MOMENT, left).await.is_err());
        assert!(engine.0.batches.lock().by_key.is_empty());
        drop(ticket);
        assert_eq!((engine.health().requests, engine.health().bytes), (1, 0));
    }
}
