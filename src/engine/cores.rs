//! Cores: their number, and the threads that use them.

use crate::kernel::parallel;

/// Returns the number of cores that this process may use. Starts the threads of the kernels and of rayon (for operations that
/// candle computes itself), so that they inherit this thread's priority and not that of a training job that runs first.
pub(super) fn start() -> usize {
    let threads = parallel::threads();
    parallel::start();
    let named = rayon::ThreadPoolBuilder::new().thread_name(|index| format!("limpid-rayon-{index}"));
    // Fails only if the global pool already exists, for example for a second engine.
    let _ = named.num_threads(threads).build_global();
    threads
}
