//! Cancellation: a piece of work continues only while a client waits for its result.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::infer::Pace;

/// Cancellation check of one piece of work, called before each step.
pub(super) struct Wanted<'a> {
    /// Returns `true` while a client waits for the result.
    pub(super) is_wanted: &'a dyn Fn() -> bool,
    /// Counter of computed steps.
    pub(super) pieces: &'a AtomicUsize,
}

impl Pace for Wanted<'_> {
    fn next(&self) -> bool {
        let goes_on = (self.is_wanted)();
        self.pieces.fetch_add(usize::from(goes_on), Ordering::Relaxed);
        goes_on
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_ends_when_nobody_waits() {
        let (pieces, wanted) = (AtomicUsize::new(0), AtomicUsize::new(1));
        let is_wanted = || wanted.load(Ordering::Relaxed) == 1;
        let pace = Wanted { is_wanted: &is_wanted, pieces: &pieces };
        assert!(pace.next());
        wanted.store(0, Ordering::Relaxed);
        assert_eq!((pace.next(), pieces.load(Ordering::Relaxed)), (false, 1));
    }
}
