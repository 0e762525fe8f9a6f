//! Parallel execution of independent work items, with results in order.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock, mpsc};
use std::thread;

use crate::kernel;

/// Size from which a sample gets all cores, one sample at a time; smaller ones run in parallel on one core each. As in the
/// service.
pub const WIDE_NUMBERS: usize = 1 << 20;

/// Calls `work` on every item, in parallel on all cores, and `done` on this thread as results arrive. The results are in the
/// order of the items.
pub fn each<T: Sync, R: Send>(
    items: &[T],
    work: impl Fn(usize, &T) -> R + Sync,
    mut done: impl FnMut(usize, &R),
) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let mut results: Vec<Option<R>> = items.iter().map(|_| None).collect();
    let (sender, receiver) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..kernel::threads().min(items.len()) {
            let (sender, next, work) = (sender.clone(), &next, &work);
            scope.spawn(move || {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(at) else { break };
                    if sender.send((at, work(at, item))).is_err() {
                        break;
                    }
                }
            });
        }
        drop(sender);
        for (at, result) in receiver {
            done(at, &result);
            results[at] = Some(result);
        }
    });
    results
        .into_iter()
        .map(|r| r.expect("every item was worked on, or its thread's panic ended the scope"))
        .collect()
}

/// Allocation of cores to work items.
#[derive(Debug, Default)]
pub struct Cores {
    /// Read-locked by work on one core, write-locked by work on all cores.
    turn: RwLock<()>,
    always_wide: bool,
}

impl Cores {
    /// Creates the allocation for `count` items: if they are fewer than the cores, each gets all cores, one after another.
    pub fn for_count(count: usize) -> Self {
        Self { turn: RwLock::default(), always_wide: count < kernel::threads() }
    }

    /// Runs work on a sample of `numbers` numbers. The result does not depend on the cores.
    pub fn run<R>(&self, numbers: usize, work: impl FnOnce() -> R) -> R {
        if self.always_wide || numbers >= WIDE_NUMBERS {
            let _turn = self.turn.write().unwrap_or_else(PoisonError::into_inner);
            work()
        } else {
            let _turn = self.turn.read().unwrap_or_else(PoisonError::into_inner);
            kernel::with_threads(1, work)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_the_order_of_the_items() {
        let items: Vec<u64> = (0..50).collect();
        let mut seen = 0;
        let squares = each(&items, |_, i| i * i, |_, _| seen += 1);
        assert_eq!(squares, items.iter().map(|i| i * i).collect::<Vec<_>>());
        assert_eq!(seen, 50);
    }

    #[test]
    fn wide_work_is_alone() {
        let cores = Cores { turn: RwLock::default(), always_wide: false };
        cores.run(WIDE_NUMBERS, || assert!(cores.turn.try_read().is_err()));
        cores.run(10, || assert!(cores.turn.try_read().is_ok() && cores.turn.try_write().is_err()));
    }
}
