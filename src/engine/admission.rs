//! Admission: who may come in, how many may wait, and what those refused are told.
//!
//! A request holds one ticket from its arrival to the end of its work. The ticket counts against two
//! bounds at the door, requests and bytes; work begins when the memory it needs is free, in order of
//! arrival.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use super::Error;

/// Weight of the newest service time in the running mean.
const WEIGHT: f64 = 0.1;

/// The bounds of the door.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Threads that do the work.
    pub workers: usize,
    /// Requests that may wait beside those at work.
    pub queue: usize,
    /// Bytes that work under way may hold.
    pub memory_bytes: usize,
    /// Bytes that work inside, waiting or under way, may need beyond that.
    pub queue_bytes: usize,
}

/// The door.
#[derive(Debug)]
pub(super) struct Admission {
    bounds: Bounds,
    /// Free memory, in KiB.
    memory: Arc<Semaphore>,
    load: Mutex<Load>,
    is_draining: AtomicBool,
    left: Notify,
}

/// What is inside.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Load {
    /// Requests, waiting or at work.
    pub requests: usize,
    /// Bytes they need.
    pub bytes: usize,
    /// Running mean of the time one piece of work takes; none until the first is done.
    pub mean_seconds: Option<f64>,
}

/// The right to be inside; ends when dropped.
#[derive(Debug)]
pub(super) struct Ticket {
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
            is_draining: AtomicBool::new(false),
            left: Notify::new(),
        }
    }

    /// A ticket for work that needs `bytes`.
    ///
    /// # Errors
    /// The work could never fit, too much waits already, or the service is stopping.
    pub(super) fn enter(self: &Arc<Self>, bytes: usize) -> Result<Ticket, Error> {
        let Bounds { workers, queue, memory_bytes, queue_bytes } = self.bounds;
        if bytes > memory_bytes {
            return Err(Error::TooLarge { limit: memory_bytes, actual: bytes });
        }
        if self.is_draining() {
            return Err(Error::Draining);
        }
        let mut load = self.lock();
        let is_full = load.requests >= workers.saturating_add(queue)
            || load.bytes.saturating_add(bytes) > memory_bytes.saturating_add(queue_bytes);
        if is_full {
            return Err(Error::QueueFull { retry_after: retry_after(*load, workers) });
        }
        load.requests += 1;
        load.bytes += bytes;
        Ok(Ticket { admission: Arc::clone(self), bytes })
    }

    /// Bytes that work under way may hold.
    pub(super) fn memory_bytes(&self) -> usize {
        self.bounds.memory_bytes
    }

    /// What is inside now.
    pub(super) fn load(&self) -> Load {
        *self.lock()
    }

    /// Whether no one is let in any more.
    pub(super) fn is_draining(&self) -> bool {
        self.is_draining.load(Ordering::Acquire)
    }

    /// Lets no one in any more, and waits until all have left.
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

    fn lock(&self) -> MutexGuard<'_, Load> {
        // Counts only, changed in one step each: whole even if poisoned.
        self.load.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ticket {
    /// The memory of this ticket, when it is free; first come, first served.
    pub(super) async fn memory(&self) -> Result<OwnedSemaphorePermit, Error> {
        let memory = Arc::clone(&self.admission.memory);
        memory.acquire_many_owned(kib(self.bytes)).await.map_err(|_| Error::Draining)
    }

    /// Whether no other request is inside.
    pub(super) fn is_alone(&self) -> bool {
        self.admission.lock().requests <= 1
    }

    /// Counts one more piece of work of this length into the mean.
    pub(super) fn record(&self, ran: Duration) {
        let mut load = self.admission.lock();
        let new = ran.as_secs_f64();
        load.mean_seconds = Some(load.mean_seconds.map_or(new, |old| old + WEIGHT * (new - old)));
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut load = self.admission.lock();
        load.requests -= 1;
        load.bytes -= self.bytes;
        drop(load);
        self.admission.left.notify_waiters();
    }
}

/// How long the work inside takes, so that a caller who waits that long finds room: 1 to 60 s.
fn retry_after(load: Load, workers: usize) -> Duration {
    let rounds = load.requests as f64 / workers.max(1) as f64;
    let seconds = (load.mean_seconds.unwrap_or(1.0) * rounds).ceil();
    Duration::from_secs(seconds.clamp(1.0, 60.0) as u64)
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
        let (first, _second) = (door.enter(0).unwrap(), door.enter(0).unwrap());
        assert!(matches!(door.enter(0), Err(Error::QueueFull { .. })));
        drop(first);
        assert!(door.enter(0).is_ok());
    }

    #[test]
    fn bytes_inside_are_bounded_too() {
        let door = door(100, 4096, 4096);
        let _inside = [door.enter(4096).unwrap(), door.enter(4000).unwrap()];
        assert!(matches!(door.enter(97), Err(Error::QueueFull { .. })));
        assert!(door.enter(96).is_ok());
    }

    #[test]
    fn what_never_fits_is_refused_with_both_sizes() {
        let error = door(1, 4096, 0).enter(4097).unwrap_err();
        assert!(matches!(error, Error::TooLarge { limit: 4096, actual: 4097 }), "{error}");
    }

    #[test]
    fn the_time_to_wait_follows_the_work_inside_and_its_speed() {
        let load = |requests, mean| Load { requests, bytes: 0, mean_seconds: mean };
        let after = |load, workers| retry_after(load, workers).as_secs();
        assert_eq!(after(load(8, Some(0.5)), 2), 2);
        assert_eq!(after(load(8, Some(1e-3)), 2), 1);
        assert_eq!(after(load(1000, Some(9.0)), 2), 60);
        assert_eq!(after(load(4, None), 2), 2);
    }

    #[test]
    fn the_mean_moves_towards_new_times() {
        let door = door(1, 4096, 0);
        let ticket = door.enter(0).unwrap();
        ticket.record(Duration::from_secs(1));
        ticket.record(Duration::from_secs(2));
        assert!((door.load().mean_seconds.unwrap() - 1.1).abs() < 1e-9);
    }

    #[tokio::test]
    async fn memory_is_given_in_order_and_when_free() {
        let door = door(9, 4096, 9999);
        let (a, b) = (door.enter(4096).unwrap(), door.enter(1024).unwrap());
        let held = a.memory().await.unwrap();
        let waiting = tokio::time::timeout(Duration::from_millis(20), b.memory()).await;
        assert!(waiting.is_err());
        drop(held);
        assert!(b.memory().await.is_ok());
    }

    #[tokio::test]
    async fn draining_refuses_and_waits_for_those_inside() {
        let door = door(9, 4096, 0);
        let ticket = door.enter(0).unwrap();
        let drained = tokio::spawn({
            let door = Arc::clone(&door);
            async move { door.drain().await }
        });
        tokio::task::yield_now().await;
        assert!(matches!(door.enter(0), Err(Error::Draining)) && !drained.is_finished());
        drop(ticket);
        drained.await.unwrap();
    }
}
