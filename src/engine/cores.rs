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

/// The share of the cores that one piece of work has: all that nobody else uses, asked anew before each tile. Large
/// work so gives way to small work, and no more threads compute than there are cores.
pub(super) struct Share<'a> {
    pub(super) cores: usize,
    /// Workers at work, this one included.
    pub(super) busy: &'a AtomicUsize,
    /// Whether somebody still waits for the result.
    pub(super) is_wanted: &'a dyn Fn() -> bool,
    /// Counts the tiles.
    pub(super) tiles: &'a AtomicUsize,
}

impl Pace for Share<'_> {
    fn next(&self) -> Option<usize> {
        if !(self.is_wanted)() {
            return None;
        }
        self.tiles.fetch_add(1, Ordering::Relaxed);
        let others = self.busy.load(Ordering::Relaxed).saturating_sub(1);
        Some(self.cores.saturating_sub(others).max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_has_the_cores_that_others_leave_and_ends_when_nobody_waits() {
        let (busy, tiles, wanted) = (AtomicUsize::new(1), AtomicUsize::new(0), AtomicUsize::new(1));
        let is_wanted = || wanted.load(Ordering::Relaxed) == 1;
        let share = Share { cores: 4, busy: &busy, is_wanted: &is_wanted, tiles: &tiles };
        assert_eq!(share.next(), Some(4));
        busy.store(3, Ordering::Relaxed);
        assert_eq!(share.next(), Some(2));
        busy.store(9, Ordering::Relaxed);
        assert_eq!(share.next(), Some(1));
        wanted.store(0, Ordering::Relaxed);
        assert_eq!((share.next(), tiles.into_inner()), (None, 3));
    }
}
