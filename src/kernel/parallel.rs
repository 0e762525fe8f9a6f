//! Threads: one pool for all kernels, sized from the machine and the cgroup's quota.
//!
//! [`for_each`] splits work into numbered tasks that write to disjoint positions, so results do not depend on which
//! thread ran which task. The caller runs tasks too. A second caller that finds the pool busy runs its tasks itself:
//! with several requests running, each already has a core, and nothing queues.

use std::cell::{Cell, OnceCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use super::GRAIN;

/// Time that an idle worker spins for new work before it sleeps: longer than the gap between two layers of a network,
/// since waking a core of a virtual machine takes about as long as a small layer.
const AWAKE: Duration = Duration::from_micros(100);

static THREADS: OnceLock<usize> = OnceLock::new();

/// Number of threads that kernels may use: the cores of this machine, capped by the cgroup's quota, unless
/// [`set_threads`] was called before. Computed once.
pub fn threads() -> usize {
    *THREADS.get_or_init(|| std::thread::available_parallelism().map_or(1, |n| n.get()))
}

/// Fixes the number of threads that kernels may use, at least 1. Returns `false`, without effect, if the number is
/// already fixed, by this function or by the first call of [`threads`].
pub fn set_threads(n: usize) -> bool {
    THREADS.set(n.max(1)).is_ok()
}

thread_local! {
    static LIMIT: Cell<usize> = const { Cell::new(usize::MAX) };
    static OWN: OnceCell<Box<dyn Fn() -> usize>> = const { OnceCell::new() };
}

/// Limits kernels called on this thread, outside of [`with_threads`], to `limit()` threads, evaluated for each
/// kernel. Only the first call on a thread has an effect.
pub fn limit_by(limit: impl Fn() -> usize + 'static) {
    OWN.with(|own| _ = own.set(Box::new(limit)));
}

/// Runs `f` with the kernels that it calls on this thread limited to `n` threads; with 1 they run on this thread.
/// More than [`threads`] is allowed, for tests.
pub fn with_threads<R>(n: usize, f: impl FnOnce() -> R) -> R {
    struct Restore(usize);
    impl Drop for Restore {
        fn drop(&mut self) {
            LIMIT.set(self.0);
        }
    }
    let _restore = Restore(LIMIT.replace(n.max(1)));
    f()
}

/// Number of threads that a kernel called now on this thread would use.
pub fn limit() -> usize {
    match LIMIT.get() {
        usize::MAX => OWN.with(|own| own.get().map_or_else(threads, |limit| limit().max(1))),
        n => n,
    }
}

/// Calls `task(0)`, ..., `task(count - 1)`, each once, in any order, on any thread, and returns when all are done.
pub(super) fn for_each(count: usize, task: impl Fn(usize) + Sync) {
    let helpers = limit().min(count).saturating_sub(1);
    let pool = (helpers > 0).then(|| pool(helpers)).flatten();
    match pool {
        Some(pool) => pool.run(count, helpers, &task),
        None => (0..count).for_each(task),
    }
}

/// Calls `f(i, row)` for each row of `width` elements and returns the results in order. Each task takes several rows
/// if they are short.
///
/// # Panics
/// `width` is 0.
pub fn map_rows<T: Send, R: Send + Default>(
    data: &mut [T],
    width: usize,
    f: impl Fn(usize, &mut [T]) -> R + Sync,
) -> Vec<R> {
    let (rows, step) = (data.len() / width, (GRAIN / width).max(1));
    let mut results: Vec<R> = (0..rows).map(|_| R::default()).collect();
    let (data, to) = (Shared::new(data), Shared::new(&mut results));
    for_each(rows.div_ceil(step), |task| {
        for i in task * step..rows.min((task + 1) * step) {
            // SAFETY: each task has its own rows.
            unsafe { to.part(i, 1)[0] = f(i, data.part(i * width, width)) };
        }
    });
    results
}

/// Starts the pool's threads now. They inherit the priority of the calling thread, which must not be one whose
/// priority was lowered.
pub fn start() {
    drop(pool(threads().saturating_sub(1)));
}

/// Claims the pool, with at least `helpers` workers; `None` if another caller uses it.
fn pool(helpers: usize) -> Option<Claim> {
    static POOL: OnceLock<&'static Pool> = OnceLock::new();
    let pool = *POOL.get_or_init(|| Box::leak(Box::default()));
    let mut workers = match pool.workers.try_lock() {
        Ok(workers) => workers,
        // A task of the previous claim panicked; the pool itself is intact.
        Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
        Err(TryLockError::WouldBlock) => return None,
    };
    while *workers < helpers {
        let spawned =
            std::thread::Builder::new().name(format!("limpid-kernel-{workers}")).spawn(move || pool.work());
        if spawned.is_err() {
            break; // fewer helpers: slower, not wrong
        }
        *workers += 1;
    }
    Some(Claim { pool, _workers: workers })
}

/// Work that one caller posts to the workers.
struct Job {
    task: *const (dyn Fn(usize) + Sync),
    count: usize,
    next: AtomicUsize,
    panicked: AtomicBool,
}

impl Job {
    /// Runs tasks until none is left.
    fn help(&self) {
        loop {
            let i = self.next.fetch_add(1, Ordering::Relaxed);
            if i >= self.count {
                return;
            }
            // SAFETY: the caller of `run` keeps the task alive until every helper has left.
            let task = unsafe { &*self.task };
            if catch_unwind(AssertUnwindSafe(|| task(i))).is_err() {
                self.panicked.store(true, Ordering::Relaxed);
            }
        }
    }
}

/// Pointer to the job on its caller's stack.
#[derive(Clone, Copy)]
struct JobPtr(*const Job);

// SAFETY: all of a Job's fields may be shared (its task is Sync), and it outlives its helpers.
unsafe impl Send for JobPtr {}

#[derive(Default)]
struct State {
    job: Option<JobPtr>,
    /// Number of helpers that may still join.
    wanted: usize,
}

/// Value on cache lines of its own: writes to its neighbours must not slow the thread that polls it.
#[derive(Default)]
#[repr(align(128))]
struct Apart<T>(T);

#[derive(Default)]
struct Pool {
    /// Number of workers; locked by the caller that runs a job.
    workers: Mutex<usize>,
    state: Mutex<State>,
    wake: Condvar,
    left: Condvar,
    sleepers: AtomicUsize,
    /// `true` while the caller sleeps until the last helper has left.
    awaited: AtomicBool,
    /// Incremented with each job; idle workers poll it.
    posted: Apart<AtomicUsize>,
    /// Number of helpers that run tasks; the caller polls it.
    inside: Apart<AtomicUsize>,
}

/// Exclusive right to use the pool.
struct Claim {
    pool: &'static Pool,
    _workers: MutexGuard<'static, usize>,
}

impl Claim {
    fn run(self, count: usize, helpers: usize, task: &(dyn Fn(usize) + Sync)) {
        // SAFETY: only the lifetime changes; `Leave` below waits for every helper to leave
        // before the borrow ends, also when this thread unwinds.
        let task = unsafe {
            std::mem::transmute::<*const (dyn Fn(usize) + Sync), *const (dyn Fn(usize) + Sync + 'static)>(
                task,
            )
        };
        let job = Job { task, count, next: AtomicUsize::new(0), panicked: AtomicBool::new(false) };
        self.pool.post(&job, helpers);
        {
            let _leave = Leave(self.pool);
            job.help();
        }
        assert!(!job.panicked.load(Ordering::Relaxed), "a kernel task panicked");
    }
}

/// Guard that withdraws the job and waits for its helpers, also while unwinding.
struct Leave(&'static Pool);

impl Drop for Leave {
    fn drop(&mut self) {
        let Pool { inside: Apart(inside), awaited, left, .. } = self.0;
        {
            let mut state = self.0.lock();
            state.job = None;
            state.wanted = 0;
        }
        // No helper can join now; those left run their last task: spin for a while before sleeping.
        if spin_until(|| inside.load(Ordering::Acquire) == 0) {
            return;
        }
        let mut state = self.0.lock();
        awaited.store(true, Ordering::SeqCst);
        while inside.load(Ordering::SeqCst) > 0 {
            state = left.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        awaited.store(false, Ordering::SeqCst);
    }
}

/// Spins until `done` or for [`AWAKE`]; returns `true` if `done`. Yields between rounds, since the system may have
/// put the thread that it waits for on the same core.
fn spin_until(done: impl Fn() -> bool) -> bool {
    let start = Instant::now();
    loop {
        for _ in 0..32 {
            if done() {
                return true;
            }
            std::hint::spin_loop();
        }
        if start.elapsed() > AWAKE {
            return false;
        }
        std::thread::yield_now();
    }
}

impl Pool {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while the state is locked, so it is whole even if poisoned.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn post(&self, job: &Job, helpers: usize) {
        let mut state = self.lock();
        state.job = Some(JobPtr(job));
        state.wanted = helpers;
        self.posted.0.fetch_add(1, Ordering::Release);
        drop(state);
        if self.sleepers.load(Ordering::SeqCst) > 0 {
            self.wake.notify_all();
        }
    }

    /// Main loop of a worker.
    fn work(&self) {
        let Pool { posted: Apart(posted), inside: Apart(inside), .. } = self;
        let mut seen = 0;
        loop {
            spin_until(|| posted.load(Ordering::Acquire) != seen);
            let mut state = self.lock();
            while posted.load(Ordering::Acquire) == seen {
                self.sleepers.fetch_add(1, Ordering::SeqCst);
                state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
                self.sleepers.fetch_sub(1, Ordering::SeqCst);
            }
            seen = posted.load(Ordering::Acquire);
            let Some(JobPtr(job)) = state.job.filter(|_| state.wanted > 0) else { continue };
            state.wanted -= 1;
            inside.fetch_add(1, Ordering::SeqCst);
            drop(state);
            // SAFETY: the job lives until its caller has seen `inside` fall to 0.
            unsafe { &*job }.help();
            // The caller either sees this decrement, or has set `awaited` before it checks `inside`, and is then
            // notified under the lock.
            if inside.fetch_sub(1, Ordering::SeqCst) == 1 && self.awaited.load(Ordering::SeqCst) {
                let _state = self.lock();
                self.left.notify_all();
            }
        }
    }
}

/// Mutable slice of which tasks write disjoint parts.
#[derive(Clone, Copy)]
pub(super) struct Shared<T> {
    start: *mut T,
    len: usize,
}

// SAFETY: the callers of `part` and `at` promise that their parts are disjoint.
unsafe impl<T: Send> Sync for Shared<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Send for Shared<T> {}

impl<T> Shared<T> {
    pub(super) fn new(slice: &mut [T]) -> Self {
        Self { start: slice.as_mut_ptr(), len: slice.len() }
    }

    /// Wraps `len` elements from `start` on, which may be uninitialized and must outlive this value.
    pub(super) fn raw(start: *mut T, len: usize) -> Self {
        Self { start, len }
    }

    /// Returns the `len` elements from `start` on.
    ///
    /// # Safety
    /// No other code uses these elements until the part is dropped, and the slice outlives it.
    #[inline(always)]
    #[allow(clippy::mut_from_ref)]
    pub(super) unsafe fn part(&self, start: usize, len: usize) -> &mut [T] {
        assert!(start + len <= self.len, "a part must lie inside its slice");
        // SAFETY: in bounds, by the check; exclusive, by the caller's contract.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(start), len) }
    }

    /// Returns a pointer to element `at`, for writes that are not contiguous.
    ///
    /// # Safety
    /// As for `part`, for every element written through it.
    #[inline(always)]
    pub(super) unsafe fn at(&self, at: usize) -> *mut T {
        assert!(at < self.len, "a place must lie inside its slice");
        // SAFETY: in bounds, by the check.
        unsafe { self.start.add(at) }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_task_runs_once_for_any_number_of_threads() {
        for threads in [1, 2, 3, 5] {
            let runs: Vec<AtomicUsize> = (0..1000).map(|_| AtomicUsize::new(0)).collect();
            with_threads(threads, || for_each(1000, |i| _ = runs[i].fetch_add(1, Ordering::Relaxed)));
            assert!(runs.iter().all(|n| n.load(Ordering::Relaxed) == 1));
        }
    }

    #[test]
    fn callers_at_the_same_time_each_get_their_work_done() {
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        let sum = AtomicUsize::new(0);
                        with_threads(3, || for_each(50, |i| _ = sum.fetch_add(i, Ordering::Relaxed)));
                        assert_eq!(sum.into_inner(), 49 * 50 / 2);
                    }
                });
            }
        });
    }

    #[test]
    fn a_panic_in_a_task_reaches_the_caller_and_the_pool_works_on() {
        let result = catch_unwind(|| with_threads(2, || for_each(8, |i| assert!(i != 5))));
        assert!(result.is_err());
        // Other tests use the pool too; retry until it is free.
        let start = Instant::now();
        let mut threads = 0;
        while threads < 2 {
            assert!(start.elapsed() < Duration::from_secs(60), "no second thread helps any more");
            let seen = Mutex::new(HashSet::new());
            let task = |_| {
                seen.lock().unwrap().insert(std::thread::current().id());
                std::thread::sleep(Duration::from_millis(1));
            };
            with_threads(2, || for_each(8, task));
            threads = seen.into_inner().unwrap().len();
        }
    }

    #[test]
    fn a_limit_ends_with_its_scope() {
        assert_eq!(with_threads(1, || (limit(), with_threads(3, limit), limit())), (1, 3, 1));
        assert_eq!(limit(), threads());
    }
}
