//! Admission: limits of concurrent requests, queue length and memory, and the reply to rejected requests.
//!
//! A request is admitted once, by count, and counts until its reply is made; the bytes of the reply count until they
//! are sent. The memory that it holds and that its work needs is counted in bytes once it is known. Work starts when
//! the memory it needs is free, in order of arrival.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};

use super::Error;
use super::gate::Pass;

/// Weight of the newest request in the running mean.
const WEIGHT: f64 = 0.1;

/// Limits of admission.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Number of worker threads.
    pub workers: usize,
    /// Maximum number of queued requests, in addition to running ones.
    pub queue: usize,
    /// Maximum bytes of running work.
    pub memory_bytes: usize,
    /// Maximum bytes that requests hold: bodies, samples and replies.
    pub queue_bytes: usize,
}

/// Admission control of the engine.
#[derive(Debug)]
pub(super) struct Admission {
    bounds: Bounds,
    /// Free memory, in KiB.
    memory: Arc<Semaphore>,
    load: Mutex<Load>,
    /// Number of requests admitted since the start.
    count: AtomicU64,
    is_draining: AtomicBool,
    left: Notify,
}

/// Current load.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Load {
    /// Number of requests, queued or running.
    pub requests: usize,
    /// Bytes that they hold.
    pub bytes: usize,
    /// Running mean of the work of one request, in seconds; `None` until the first is done.
    pub mean_seconds: Option<f64>,
}

/// One admitted request, until it is dropped.
#[derive(Debug)]
pub(super) struct Entry {
    admission: Arc<Admission>,
    number: u64,
    deadline: Option<Instant>,
    /// Nanoseconds of work done for it.
    worked: AtomicU64,
    /// Permit of large work, once it has asked for it.
    pass: Arc<tokio::sync::Mutex<Option<Pass>>>,
}

/// Bytes that count against the limits until this is dropped.
#[derive(Debug)]
pub struct Held {
    admission: Arc<Admission>,
    bytes: usize,
}

impl Admission {
    pub(super) fn new(bounds: Bounds) -> Self {
        let memory = Arc::new(Semaphore::new(kib(bounds.memory_bytes) as usize));
        Self {
            bounds,
            memory,
            load: Mutex::default(),
            count: AtomicU64::new(0),
            is_draining: AtomicBool::new(false),
            left: Notify::new(),
        }
    }

    /// Admits one request; its result is useless after `deadline`.
    ///
    /// # Errors
    /// Too many requests are admitted, or the service is stopping.
    pub(super) fn enter(self: &Arc<Self>, deadline: Option<Instant>) -> Result<Entry, Error> {
        let mut load = self.lock();
        self.check(&load)?;
        load.requests += 1;
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        Ok(self.entry(number, deadline))
    }

    /// Admits work that already admitted requests depend on, bypassing the queue limit.
    pub(super) fn enter_always(self: &Arc<Self>) -> Entry {
        self.lock().requests += 1;
        // Number 0 puts it before all other work, which depends on it.
        self.entry(0, None)
    }

    fn entry(self: &Arc<Self>, number: u64, deadline: Option<Instant>) -> Entry {
        let (admission, worked, pass) = (Arc::clone(self), AtomicU64::new(0), Arc::default());
        Entry { admission, number, deadline, worked, pass }
    }

    /// Checks if one more request would be admitted now; called before its body is read.
    ///
    /// # Errors
    /// As [`Admission::enter`].
    pub(super) fn peek(&self) -> Result<(), Error> {
        self.check(&self.lock())
    }

    fn check(&self, load: &Load) -> Result<(), Error> {
        if self.is_draining() {
            return Err(Error::Draining);
        }
        let Bounds { workers, queue, .. } = self.bounds;
        if load.requests >= workers.saturating_add(queue) {
            return Err(self.full(load));
        }
        Ok(())
    }

    /// Counts `bytes` against the limits until the result is dropped.
    ///
    /// # Errors
    /// This exceeds the limit, or there is no room now.
    pub(super) fn hold(self: &Arc<Self>, bytes: usize) -> Result<Held, Error> {
        let limit = self.bounds.queue_bytes;
        if bytes > limit {
            return Err(Error::BodyTooLarge { limit, actual: bytes });
        }
        let mut load = self.lock();
        if load.bytes.saturating_add(bytes) > limit {
            return Err(self.full(&load));
        }
        load.bytes += bytes;
        drop(load);
        Ok(Held { admission: Arc::clone(self), bytes })
    }

    /// Counts `bytes` that are already allocated until the result is dropped.
    pub(super) fn count(self: &Arc<Self>, bytes: usize) -> Held {
        let mut load = self.lock();
        // Counted bytes are in memory, so the sum cannot overflow.
        load.bytes += bytes;
        Held { admission: Arc::clone(self), bytes }
    }

    /// Checks if work of `bytes` can ever run.
    ///
    /// # Errors
    /// It needs more than all the memory for work.
    pub(super) fn check_work(&self, bytes: usize) -> Result<(), Error> {
        let limit = self.bounds.memory_bytes;
        if bytes > limit { Err(Error::TooLarge { limit, actual: bytes }) } else { Ok(()) }
    }

    /// Bytes of running work.
    pub(super) fn running_bytes(&self) -> usize {
        (kib(self.bounds.memory_bytes) as usize).saturating_sub(self.memory.available_permits()) << 10
    }

    /// Waits until memory for work is free; first come, first served.
    pub(super) async fn memory(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Error> {
        Arc::clone(&self.memory).acquire_many_owned(kib(bytes)).await.map_err(|_| Error::Draining)
    }

    /// Maximum bytes of running work.
    pub(super) fn memory_bytes(&self) -> usize {
        self.bounds.memory_bytes
    }

    /// Current load.
    pub(super) fn load(&self) -> Load {
        *self.lock()
    }

    /// Returns `true` if no request is admitted any more.
    pub(super) fn is_draining(&self) -> bool {
        self.is_draining.load(Ordering::Acquire)
    }

    /// Stops admission, and waits until all requests have left.
    pub(super) async fn drain(&self) {
        self.is_draining.store(true, Ordering::Release);
        loop {
            let left = self.left.notified();
            if self.load().requests == 0 {
                return;
            }
            left.await;
        }
    }

    fn full(&self, load: &Load) -> Error {
        let seed = self.count.load(Ordering::Relaxed).wrapping_add(load.bytes as u64);
        Error::QueueFull { retry_after: retry_after(*load, self.bounds.workers, seed) }
    }

    fn lock(&self) -> MutexGuard<'_, Load> {
        // Plain counters, each changed in one step: consistent even if poisoned.
        self.load.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    /// Locks the permit of large work.
    pub(super) async fn pass(&self) -> OwnedMutexGuard<Option<Pass>> {
        Arc::clone(&self.pass).lock_owned().await
    }

    /// Number of requests admitted before it.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Returns `true` if its deadline has passed.
    pub(super) fn is_late(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// Adds the time of work done for it.
    pub(super) fn record(&self, ran: Duration) {
        self.worked.fetch_add(ran.as_nanos() as u64, Ordering::Relaxed);
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let worked = self.worked.load(Ordering::Relaxed) as f64 / 1e9;
        let mut load = self.admission.lock();
        load.requests -= 1;
        if worked > 0.0 {
            let mean = load.mean_seconds.map_or(worked, |old| old + WEIGHT * (worked - old));
            load.mean_seconds = Some(mean);
        }
        drop(load);
        self.admission.left.notify_waiters();
    }
}

impl Held {
    /// Counts `bytes` more.
    ///
    /// # Errors
    /// As [`Admission::hold`].
    pub fn grow(&mut self, bytes: usize) -> Result<(), Error> {
        let mut more = self.admission.hold(bytes)?;
        self.bytes += std::mem::take(&mut more.bytes);
        Ok(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.admission.lock().bytes -= self.bytes;
    }
}

/// Time after which a client is likely to find room: admitted requests times their measured mean, 1 to 60 s, with up
/// to a fifth of jitter from `seed`, so that rejected clients do not all retry at once.
fn retry_after(load: Load, workers: usize, seed: u64) -> Duration {
    let rounds = load.requests as f64 / workers.max(1) as f64;
    let seconds = (load.mean_seconds.unwrap_or(1.0) * rounds).clamp(1.0, 60.0);
    // Multiplicative hash (D. Knuth, The Art of Computer Programming 3, 6.4).
    let jitter = (seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as f64 / f64::from(u32::MAX);
    Duration::from_secs_f64((seconds * (1.0 + 0.2 * jitter)).min(60.0))
}

fn kib(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn door(queue: usize, memory_bytes: usize, queue_bytes: usize) -> Arc<Admission> {
        Arc::new(Admission::new(Bounds { workers: 1, queue, memory_bytes, queue_bytes }))
    }

    #[test]
    fn one_more_than_may_wait_is_refused_until_one_leaves() {
        let door = door(1, 1 << 20, 1 << 20);
        let (first, _second) = (door.enter(None).unwrap(), door.enter(None).unwrap());
        assert!(matches!(door.enter(None), Err(Error::QueueFull { .. })) && door.peek().is_err());
        drop(first);
        assert!(door.peek().is_ok() && door.enter(None).is_ok());
    }

    #[test]
    fn held_bytes_are_bounded_too() {
        let door = door(100, 0, 8192);
        let mut held = door.hold(4096).unwrap();
        let _more = door.hold(4000).unwrap();
        assert!(matches!(door.hold(97), Err(Error::QueueFull { .. })) && held.grow(97).is_err());
        held.grow(96).unwrap();
        assert_eq!(door.load().bytes, 8192);
        drop(held);
        assert_eq!(door.load().bytes, 4000);
    }

    #[test]
    fn what_never_fits_is_refused_with_both_sizes() {
        let door = door(1, 4096, 100);
        let error = door.check_work(4097).unwrap_err();
        assert!(matches!(error, Error::TooLarge { limit: 4096, actual: 4097 }), "{error}");
        let error = door.hold(101).unwrap_err();
        assert!(matches!(error, Error::BodyTooLarge { limit: 100, actual: 101 }), "{error}");
        assert!(door.check_work(4096).is_ok() && door.hold(100).is_ok());
    }

    #[test]
    fn the_time_to_wait_follows_the_work_inside_and_its_speed() {
        let load = |requests, mean| Load { requests, bytes: 0, mean_seconds: mean };
        for seed in 0..1000 {
            let after = |load, workers| retry_after(load, workers, seed).as_secs_f64();
            assert!((2.0..2.5).contains(&after(load(8, Some(0.5)), 2)));
            assert!((1.0..1.3).contains(&after(load(8, Some(1e-3)), 2)));
            assert_eq!(after(load(1000, Some(9.0)), 2), 60.0);
            assert!((2.0..2.5).contains(&after(load(4, None), 2)));
        }
        let waits: Vec<_> = (0..9).map(|seed| retry_after(load(8, Some(0.5)), 2, seed)).collect();
        assert!(waits.iter().any(|wait| *wait != waits[0]));
    }

    #[test]
    fn the_mean_counts_all_work_of_a_request_and_moves_towards_new_ones() {
        let door = door(1, 4096, 0);
        for seconds in [1, 2] {
            let entry = door.enter(None).unwrap();
            (0..10).for_each(|_| entry.record(Duration::from_millis(100 * seconds)));
        }
        assert!((door.load().mean_seconds.unwrap() - 1.1).abs() < 1e-9);
        drop(door.enter(None).unwrap());
        assert!((door.load().mean_seconds.unwrap() - 1.1).abs() < 1e-9, "no work says nothing of its speed");
    }

    #[tokio::test]
    async fn memory_is_given_in_order_and_when_free() {
        let door = door(9, 4096, 9999);
        let held = door.memory(4096).await.unwrap();
        assert_eq!(door.running_bytes(), 4096);
        let waiting = tokio::time::timeout(Duration::from_millis(20), door.memory(1024)).await;
        assert!(waiting.is_err());
        drop(held);
        assert!(door.memory(1024).await.is_ok());
    }

    #[tokio::test]
    async fn draining_refuses_and_waits_for_those_inside() {
        let door = door(9, 4096, 0);
        let entry = door.enter(None).unwrap();
        let drained = tokio::spawn({
            let door = Arc::clone(&door);
            async move { door.drain().await }
        });
        tokio::task::yield_now().await;
        assert!(matches!(door.enter(None), Err(Error::Draining)) && !drained.is_finished());
        drop(entry);
        drained.await.unwrap();
    }

    #[test]
    fn a_deadline_passes() {
        let door = door(9, 4096, 0);
        let now = Instant::now();
        assert!(door.enter(Some(now)).unwrap().is_late());
        assert!(!door.enter(Some(now + Duration::from_secs(9))).unwrap().is_late());
    }
}
