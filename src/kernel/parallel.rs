//! Threads: one pool for all kernels, sized from the machine and the cgroup's quota.
//!
//! [`for_each`] splits work into numbered tasks that write to disjoint places, so results do not depend
//! on who ran which. The caller works too. A second caller that finds the pool busy runs its tasks
//! itself: with several requests at work each already has a core, and nothing queues.

use std::cell::{Cell, OnceCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use super::{GRAIN, quota};

/// How long an idle worker looks for new work before it sleeps: longer than what lies between two layers of a
/// network, since to wake a core of a virtual machine takes about as long as a small layer.
const AWAKE: Duration = Duration::from_micros(100);

static THREADS: OnceLock<usize> = OnceLock::new();

/// Threads that kernels may use: the cores of this machine, capped by the cgroup's quota, unless
/// [`set_threads`] was called before. Computed once.
pub fn threads() -> usize {
    *THREADS.get_or_init(quota::cores)
}

/// Fixes the number of threads that kernels may use, at least 1. Whether it was in time: before the
/// first call of [`threads`].
pub fn set_threads(n: usize) -> bool {
    THREADS.set(n.max(1)).is_ok()
}

thread_local! {
    static LIMIT: Cell<usize> = const { Cell::new(usize::MAX) };
    static OWN: OnceCell<Box<dyn Fn() -> usize>> = const { OnceCell::new() };
}

/// Lets kernels called on this thread use as many threads as `limit` tells each of them, outside of [`with_threads`]. To be
/// called once on a thread.
pub fn limit_by(limit: impl Fn() -> usize + 'static) {
    OWN.with(|own| _ = own.set(Box::new(limit)));
}

/// Runs `f` with the kernels it calls on this thread limited to `n` threads; with 1 they run right
/// here. More than [`threads`] is allowed, for tests.
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

/// Threads that a kernel called here and now would use.
pub fn limit() -> usize {
    match LIMIT.get() {
        usize::MAX => OWN.with(|own| own.get().map_or_else(threads, |limit| limit().max(1))),
        n => n,
    }
}

/// Calls `task(0)`, ..., `task(count - 1)`, each once, in any order, on any thread, and returns when all
/// are done.
pub(super) fn for_each(count: usize, task: impl Fn(usize) + Sync) {
    let helpers = limit().min(count).saturating_sub(1);
    let pool = (helpers > 0).then(|| pool(helpers)).flatten();
    match pool {
        Some(pool) => pool.run(count, helpers, &task),
        None => (0..count).for_each(task),
    }
}

/// `f(i, row)` for each row of `width` places, and what each gave, in order. Rows are long, and shared out some at a time.
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

/// Starts the pool's threads now. They inherit the priority of the thread that starts them, which must
/// not be one that was lowered.
pub fn start() {
    drop(pool(threads().saturating_sub(1)));
}

/// The pool, with at least `helpers` workers, unless someone else uses it.
fn pool(helpers: usize) -> Option<Claim> {
    static POOL: OnceLock<&'static Pool> = OnceLock::new();
    let pool = *POOL.get_or_init(|| Box::leak(Box::default()));
    let mut workers = match pool.workers.try_lock() {
        Ok(workers) => workers,
        // A task of whoever had it panicked; the pool is whole.
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

/// What one caller asks of the workers.
struct Job {
    task: *const (dyn Fn(usize) + Sync),
    count: usize,
    next: AtomicUsize,
    panicked: AtomicBool,
}

impl Job {
    /// Takes tasks until none is left.
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

/// A pointer to the job on its caller's stack.
#[derive(Clone, Copy)]
struct JobPtr(*const Job);

// SAFETY: all of a Job's fields may be shared (its task is Sync), and it outlives its helpers.
unsafe impl Send for JobPtr {}

#[derive(Default)]
struct State {
    job: Option<JobPtr>,
    /// Helpers still wanted.
    wanted: usize,
}

/// On cache lines of its own: what one thread polls should not be slowed by what another writes beside it.
#[derive(Default)]
#[repr(align(128))]
struct Apart<T>(T);

#[derive(Default)]
struct Pool {
    /// How many there are; held by the caller whose job it is.
    workers: Mutex<usize>,
    state: Mutex<State>,
    wake: Condvar,
    left: Condvar,
    sleepers: AtomicUsize,
    /// The caller sleeps until the last helper has left.
    awaited: AtomicBool,
    /// Grows with each job: what idle workers watch.
    posted: Apart<AtomicUsize>,
    /// Helpers at work: what the caller watches.
    inside: Apart<AtomicUsize>,
}

/// The right to use the pool.
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

/// Withdraws the job and waits for its helpers, whatever happens.
struct Leave(&'static Pool);

impl Drop for Leave {
    fn drop(&mut self) {
        let Pool { inside: Apart(inside), awaited, left, .. } = self.0;
        {
            let mut state = self.0.lock();
            state.job = None;
            state.wanted = 0;
        }
        // No one enters now; helpers are within their last task: look a while before sleeping.
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

/// Looks for `done` for as long as a thread stays awake; whether it came. Whoever else wants the core goes first, above all
/// the one that is waited for, where the system has put both on one core.
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

    /// A worker's life.
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
            // The caller either sees this, or says before it looks that it waits, and then is told under the lock.
            if inside.fetch_sub(1, Ordering::SeqCst) == 1 && self.awaited.load(Ordering::SeqCst) {
                let _state = self.lock();
                self.left.notify_all();
            }
        }
    }
}

/// A mutable slice that tasks write disjoint parts of.
#[derive(Clone, Copy)]
pub(super) struct Shared<T> {
    start: *mut T,
    len: usize,
}

// SAFETY: whoever takes parts of it promises that they are disjoint.
unsafe impl<T: Send> Sync for Shared<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Send for Shared<T> {}

impl<T> Shared<T> {
    pub(super) fn new(slice: &mut [T]) -> Self {
        Self { start: slice.as_mut_ptr(), len: slice.len() }
    }

    /// `len` places from `start` on that may not be written yet; they are there as long as it is used.
    pub(super) fn raw(start: *mut T, len: usize) -> Self {
        Self { start, len }
    }

    /// `len` places from `start`.
    ///
    /// # Safety
    /// No one else uses these places until the part is dropped, and the slice outlives it.
    #[inline(always)]
    #[allow(clippy::mut_from_ref)]
    pub(super) unsafe fn part(&self, start: usize, len: usize) -> &mut [T] {
        assert!(start + len <= self.len, "a part must lie inside its slice");
        // SAFETY: inside the slice, by the check; exclusive, by the caller's contract.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(start), len) }
    }

    /// The place `at`, for writes that are not in one piece.
    ///
    /// # Safety
    /// As for `part`, for every place written through it.
    #[inline(always)]
    pub(super) unsafe fn at(&self, at: usize) -> *mut T {
        assert!(at < self.len, "a place must lie inside its slice");
        // SAFETY: inside the slice, by the check.
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
        // Other tests use the pool too, and then this one works alone.
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
