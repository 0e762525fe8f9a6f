//! Latent of a sample: the encoder's output and the decoder's only input.

use super::{Shape, Stats};

/// One map or vector of a latent.
#[derive(Debug, Clone, PartialEq)]
pub struct Plane {
    /// Extents, channels first: `(Z, H, W)`, `(Z, L)` or `(Z)`.
    pub dims: Vec<usize>,
    /// Numbers, in the order of `dims`.
    pub data: Vec<f32>,
}

/// Complete input of the decoder to reconstruct a sample.
#[derive(Debug, Clone, PartialEq)]
pub struct Latent {
    /// Shape of the sample that it decodes to.
    pub shape: Shape,
    /// Statistics of the sample, if the model normalizes each sample: one entry, or one for each channel.
    pub stats: Vec<Stats>,
    /// Maps, coarsest first: dropping maps or channels from the end leaves a smaller, valid latent (nested latents).
    pub planes: Vec<Plane>,
}

impl Latent {
    /// Number of values of the latent, statistics included.
    pub fn numbers(&self) -> usize {
        let planes: usize = self.planes.iter().map(|p| p.data.len()).sum();
        planes + 2 * self.stats.len()
    }
}
