//! The latent of a sample: what the encoder keeps and all the decoder sees.

use super::{Shape, Stats};

/// One map or vector of a latent.
#[derive(Debug, Clone, PartialEq)]
pub struct Plane {
    /// Extents, channels first: `(Z, H, W)`, `(Z, L)` or `(Z)`.
    pub dims: Vec<usize>,
    /// The numbers, in the order of `dims`.
    pub data: Vec<f32>,
}

/// Everything the decoder needs to rebuild a sample, and nothing else.
#[derive(Debug, Clone, PartialEq)]
pub struct Latent {
    /// The shape of the sample it decodes to.
    pub shape: Shape,
    /// The sample's statistics, where the model takes them per sample: one, or one for each channel.
    pub stats: Vec<Stats>,
    /// The maps, coarsest first: dropping maps or channels from the end leaves a smaller, valid
    /// latent (nested latents).
    pub planes: Vec<Plane>,
}

impl Latent {
    /// How many numbers the latent holds, statistics included.
    pub fn numbers(&self) -> usize {
        let planes: usize = self.planes.iter().map(|p| p.data.len()).sum();
        planes + 2 * self.stats.len()
    }
}
