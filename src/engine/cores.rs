//! Cores: how many kernels may use, for one piece of work or in all.

use std::thread;

/// Cores this process may use.
pub(super) fn count() -> usize {
    thread::available_parallelism().map_or(1, |n| n.get())
}

/// Runs `work` with the kernels on all cores, or on this thread alone. Results do not depend on it.
pub(super) fn run<T>(_on_all: bool, work: impl FnOnce() -> T) -> T {
    work()
}
