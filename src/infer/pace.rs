//! Pace: how whoever waits for long work steers it, piece by piece: a band of a large image, or a small one as a whole.

/// Asked before each piece.
pub trait Pace {
    /// Whether to go on; the work is given up otherwise.
    fn next(&self) -> bool;
}

/// Goes on to the end.
#[derive(Debug, Clone, Copy, Default)]
pub struct Steady;

impl Pace for Steady {
    fn next(&self) -> bool {
        true
    }
}
