//! Cores: how many the kernels may use, for one piece of work or in all.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::infer::Pace;
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

/// Runs `work` with the kernels on this thread alone. Results do not depend on it.
pub(super) fn alone<T>(work: impl FnOnce() -> T) -> T {
    parallel::with_threads(1, work)
}

/// Steers one piece of work.
pub(super) struct Wanted<'a> {
    /// Whether somebody still waits for the result.
    pub(super) is_wanted: &'a dyn Fn() -> bool,
    /// Counts the tiles.
    pub(super) tiles: &'a AtomicUsize,
}

impl Pace for Wanted<'_> {
    fn next(&self) -> bool {
        let goes_on = (self.is_wanted)();
        self.tiles.fetch_add(usize::from(goes_on), Ordering::Relaxed);
        goes_on
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_ends_when_nobody_waits() {
        let (tiles, wanted) = (AtomicUsize::new(0), AtomicUsize::new(1));
        let is_wanted = || wanted.load(Ordering::Relaxed) == 1;
        let pace = Wanted { is_wanted: &is_wanted, tiles: &tiles };
        assert!(pace.next());
        wanted.store(0, Ordering::Relaxed);
        assert_eq!((pace.next(), tiles.load(Ordering::Relaxed)), (false, 1));
    }
}
