//! Cores: how many the kernels may use, for one piece of work or in all.

use crate::kernel::parallel;

/// Cores this process may use. Starts the threads of the kernels and those of rayon (for what candle
/// computes itself), so that they have this thread's priority and not that of a training that comes first.
pub(super) fn start() -> usize {
    let threads = parallel::threads();
    parallel::start();
    let named = rayon::ThreadPoolBuilder::new().thread_name(|index| format!("limpid-rayon-{index}"));
    // It fails only where the pool is there already, such as for a second engine.
    let _ = named.num_threads(threads).build_global();
    threads
}

/// Runs `work` with the kernels on all cores, or on this thread alone. Results do not depend on it.
pub(super) fn run<T>(on_all: bool, work: impl FnOnce() -> T) -> T {
    if on_all { work() } else { parallel::with_threads(1, work) }
}
