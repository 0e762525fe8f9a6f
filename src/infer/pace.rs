//! Pace: how whoever waits for long work steers it, tile by tile.

use crate::kernel::parallel;

/// Asked before each tile.
pub trait Pace {
    /// Threads that the next tile may use, or `None` to give the work up. Results do not depend on it.
    fn next(&self) -> Option<usize>;
}

/// Goes on to the end with the threads of the caller.
#[derive(Debug, Clone, Copy, Default)]
pub struct Steady;

impl Pace for Steady {
    fn next(&self) -> Option<usize> {
        Some(parallel::limit())
    }
}
