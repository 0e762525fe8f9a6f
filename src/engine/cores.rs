//! Cores: how many there are for all work, and the threads that use them.

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
