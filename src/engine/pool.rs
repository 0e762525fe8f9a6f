//! Worker pool: a fixed number of named threads for long computations, with a queue ordered by request.
//!
//! The runtime's blocking pool is not used: it grows to hundreds of threads, and its queue is shared with all other
//! blocking work.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::kernel::parallel;
use crate::memory::pages;

/// Work for one thread. It must not panic: its creator catches panics.
pub(super) type Task = Box<dyn FnOnce() + Send>;

/// Position of a task in the queue: by the number of its request, then in order of arrival.
pub(super) type Place = (u64, u64);

/// Pool of worker threads.
#[derive(Debug)]
pub(super) struct Pool {
    shared: Arc<Shared>,
}

struct Shared {
    queue: Mutex<Queue>,
    wake: Condvar,
    born: Instant,
    /// Start of each worker's current task, in milliseconds since `born` plus 1; 0 while it is idle.
    since: Vec<AtomicU64>,
    /// Number of workers that run a task.
    busy: AtomicUsize,
}

#[derive(Default)]
struct Queue {
    tasks: BTreeMap<Place, Task>,
    arrived: u64,
    is_closed: bool,
}

impl Pool {
    /// Starts `workers` threads (at least 1) named `limpid-work-0` and so on. The kernels of each use the cores that
    /// the other busy workers leave of `cores`, evaluated for each kernel: long work so yields cores to small work,
    /// and takes cores that become free.
    ///
    /// # Errors
    /// The system cannot create more threads.
    pub(super) fn start(workers: usize, cores: usize) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            wake: Condvar::new(),
            born: Instant::now(),
            since: (0..workers.max(1)).map(|_| AtomicU64::new(0)).collect(),
            busy: AtomicUsize::new(0),
        });
        let pool = Self { shared };
        for index in 0..pool.workers() {
            let shared = Arc::clone(&pool.shared);
            thread::Builder::new().name(format!("limpid-work-{index}")).spawn(move || {
                let others = Arc::clone(&shared);
                parallel::limit_by(move || others.free(cores));
                shared.work(index);
            })?;
        }
        Ok(pool)
    }

    /// Number of worker threads.
    pub(super) fn workers(&self) -> usize {
        self.shared.since.len()
    }

    /// Queues a task of request `number`, behind those of earlier requests and before those of later ones; after
    /// [`Pool::close`] it is dropped without being run.
    pub(super) fn submit(&self, number: u64, task: Task) -> Place {
        let mut queue = self.shared.lock();
        queue.arrived += 1;
        let place = (number, queue.arrived);
        if !queue.is_closed {
            queue.tasks.insert(place, task);
            self.shared.wake.notify_one();
        }
        place
    }

    /// Drops the task at a position, if it has not started.
    pub(super) fn withdraw(&self, place: Place) {
        let task = self.shared.lock().tasks.remove(&place);
        // Outside the lock: dropping a task runs code of its owner.
        drop(task);
    }

    /// Number of threads that have been busy with one task for longer than `limit`.
    pub(super) fn stuck(&self, limit: Duration) -> usize {
        let now = self.shared.born.elapsed().as_millis() as u64;
        let is_stuck = |since: u64| since > 0 && now.saturating_sub(since - 1) > limit.as_millis() as u64;
        self.shared.since.iter().filter(|since| is_stuck(since.load(Ordering::Relaxed))).count()
    }

    /// Drops queued tasks; each thread ends after its current task.
    pub(super) fn close(&self) {
        let mut queue = self.shared.lock();
        queue.is_closed = true;
        let waiting = std::mem::take(&mut queue.tasks);
        drop(queue);
        // Outside the lock: dropping a task runs code of its owner.
        drop(waiting);
        self.shared.wake.notify_all();
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        // No task runs while the queue is locked, so it is consistent even if poisoned.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Number of cores that the other workers leave for a busy one.
    fn free(&self, cores: usize) -> usize {
        let others = self.busy.load(Ordering::Relaxed).saturating_sub(1);
        cores.saturating_sub(others).max(1)
    }

    /// Main loop of a worker.
    fn work(&self, index: usize) {
        while let Some(task) = self.next() {
            pages::settle();
            let now = self.born.elapsed().as_millis() as u64 + 1;
            self.since[index].store(now, Ordering::Relaxed);
            self.busy.fetch_add(1, Ordering::Relaxed);
            task();
            self.busy.fetch_sub(1, Ordering::Relaxed);
            self.since[index].store(0, Ordering::Relaxed);
            pages::settle();
        }
    }

    /// Takes the task of the earliest request; sleeps until there is one, `None` once the pool is closed.
    fn next(&self) -> Option<Task> {
        let mut queue = self.lock();
        loop {
            if let Some((_, task)) = queue.tasks.pop_first() {
                return Some(task);
            }
            if queue.is_closed {
                return None;
            }
            let (woken, wait) =
                self.wake.wait_timeout(queue, pages::LOOK).unwrap_or_else(PoisonError::into_inner);
            queue = woken;
            if wait.timed_out() && queue.tasks.is_empty() {
                // Another thread may have freed memory that this one allocated, such as an unloaded model.
                drop(queue);
                pages::settle();
                queue = self.lock();
            }
        }
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("workers", &self.since.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn tasks_of_one_worker_run_in_order() {
        let pool = Pool::start(1, 1).unwrap();
        let (tx, rx) = mpsc::channel();
        for i in 0..100 {
            let tx = tx.clone();
            pool.submit(7, Box::new(move || tx.send(i).unwrap()));
        }
        drop(tx);
        assert_eq!(rx.iter().collect::<Vec<_>>(), (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn earlier_requests_go_first() {
        let pool = Pool::start(1, 1).unwrap();
        let (go, wait) = mpsc::channel::<()>();
        let (begun_tx, begun) = mpsc::channel();
        pool.submit(
            0,
            Box::new(move || {
                begun_tx.send(()).unwrap();
                let _ = wait.recv();
            }),
        );
        begun.recv().unwrap();
        let (tx, rx) = mpsc::channel();
        for number in [5, 3, 9, 3] {
            let tx = tx.clone();
            pool.submit(number, Box::new(move || tx.send(number).unwrap()));
        }
        drop((go, tx));
        assert_eq!(rx.iter().collect::<Vec<_>>(), [3, 3, 5, 9]);
    }

    #[test]
    fn kernels_have_the_cores_that_other_workers_leave() {
        let pool = Pool::start(3, 4).unwrap();
        let (go, wait) = mpsc::channel::<()>();
        let (tx, rx) = mpsc::channel();
        let begun = tx.clone();
        pool.submit(
            0,
            Box::new(move || {
                begun.send(0).unwrap();
                let _ = wait.recv();
            }),
        );
        assert_eq!(rx.recv(), Ok(0));
        let limit = || {
            let tx = tx.clone();
            pool.submit(1, Box::new(move || tx.send(parallel::limit()).unwrap()));
            rx.recv().unwrap()
        };
        assert_eq!(limit(), 3);
        drop(go);
        while pool.shared.busy.load(Ordering::Relaxed) > 0 {
            thread::yield_now();
        }
        assert_eq!(limit(), 4);
    }

    #[test]
    fn a_task_that_was_withdrawn_is_dropped_at_once() {
        let pool = Pool::start(1, 1).unwrap();
        let (go, wait) = mpsc::channel::<()>();
        pool.submit(0, Box::new(move || _ = wait.recv()));
        let (tx, rx) = mpsc::channel::<()>();
        let place = pool.submit(1, Box::new(move || tx.send(()).unwrap()));
        pool.withdraw(place);
        assert_eq!(rx.try_recv(), Err(mpsc::TryRecvError::Disconnected));
        drop(go);
    }

    #[test]
    fn a_worker_busy_for_too_long_counts_as_stuck() {
        let pool = Pool::start(2, 1).unwrap();
        let (begun_tx, begun) = mpsc::channel();
        let (go, wait) = mpsc::channel::<()>();
        pool.submit(
            0,
            Box::new(move || {
                begun_tx.send(()).unwrap();
                let _ = wait.recv();
            }),
        );
        begun.recv().unwrap();
        thread::sleep(Duration::from_millis(30));
        assert_eq!((pool.stuck(Duration::from_millis(10)), pool.stuck(Duration::from_secs(60))), (1, 0));
        drop(go);
    }

    #[test]
    fn a_closed_pool_drops_what_waits() {
        let pool = Pool::start(1, 1).unwrap();
        let (begun_tx, begun) = mpsc::channel();
        let (go, wait) = mpsc::channel::<()>();
        pool.submit(
            0,
            Box::new(move || {
                begun_tx.send(()).unwrap();
                let _ = wait.recv();
            }),
        );
        begun.recv().unwrap();
        let (tx, rx) = mpsc::channel::<()>();
        pool.submit(0, Box::new(move || tx.send(()).unwrap()));
        pool.close();
        drop(go);
        assert!(rx.recv().is_err());
    }
}
