//! Cores: how many the kernels may use, for one piece of work or in all.

use crate::kernel::parallel;

/// Cores this process may use. Starts the kernels' threads, so that they have this thread's priority
/// and not that of a training that comes first.
pub(super) fn start() -> usize {
    parallel::start();
    parallel::threads()
}

/// Runs `work` with the kernels on all cores, or on this thread alone. Results do not depend on it.
pub(super) fn run<T>(on_all: bool, work: impl FnOnce() -> T) -> T {
    if on_all { work() } else { parallel::with_threads(1, work) }
}
