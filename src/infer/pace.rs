//! Pace: cancellation of long work between its pieces: bands of a large image, or a small image as a whole.

/// Cancellation token, checked before each piece.
pub trait Pace {
    /// Returns `true` to continue, `false` to cancel the work.
    fn next(&self) -> bool;
}

/// Token that never cancels.
#[derive(Debug, Clone, Copy, Default)]
pub struct Steady;

impl Pace for Steady {
    fn next(&self) -> bool {
        true
    }
}
