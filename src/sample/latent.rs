//! The latent of a sample: what the encoder keeps and all the decoder sees.

use super::Shape;

/// Mean and standard deviation of a sample, taken out before the network and put back after it, so
/// that scale and offset of the input do not matter.
///
/// # Source
/// "Normalization equivariance for arbitrary backbones", arXiv 2605.08193.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Stats {
    /// Mean of all numbers.
    pub mean: f32,
    /// Standard deviation of all numbers; 1 for a constant sample, so that dividing is safe.
    pub std: f32,
}

impl Stats {
    /// The statistics of `data`.
    pub fn of(data: &[f32]) -> Self {
        let (mean, variance) = Self::moments(data);
        Self::from_moments(mean, variance)
    }

    /// The statistics of `count` numbers, any part of which `read` writes out: so that all of them need not be
    /// in memory. Summed in `f64` in a fixed order.
    pub(super) fn of_parts(count: usize, read: impl Fn(usize, &mut [f32])) -> Self {
        let (mean, variance) = moments(count, read);
        Self::from_moments(mean, variance)
    }

    /// Mean and variance of `data`.
    pub fn moments(data: &[f32]) -> (f64, f64) {
        moments(data.len(), |start, out| out.copy_from_slice(&data[start..start + out.len()]))
    }

    /// The statistics of numbers of which mean and variance are known.
    pub fn from_moments(mean: f64, variance: f64) -> Self {
        let std = variance.sqrt() as f32;
        // Below this the differences are rounding of the mean, not content.
        let floor = (mean.abs() as f32) * 1e-6 + f32::MIN_POSITIVE;
        Self { mean: mean as f32, std: if std > floor { std } else { 1.0 } }
    }

    /// Takes the statistics out of `data`.
    pub fn normalize(&self, data: &mut [f32]) {
        data.iter_mut().for_each(|v| *v = (*v - self.mean) / self.std);
    }

    /// Puts them back.
    pub fn restore(&self, data: &mut [f32]) {
        data.iter_mut().for_each(|v| *v = *v * self.std + self.mean);
    }
}

/// Mean and variance of `count` numbers, any part of which `read` writes out.
fn moments(count: usize, read: impl Fn(usize, &mut [f32])) -> (f64, f64) {
    let n = count.max(1) as f64;
    let mean = sum(count, &read, |v| v) / n;
    (mean, sum(count, &read, |v| (v - mean) * (v - mean)) / n)
}

/// The sum of `of` over all numbers, in 8 chains, so that one addition need not wait for the one before.
fn sum(count: usize, read: impl Fn(usize, &mut [f32]), of: impl Fn(f64) -> f64) -> f64 {
    let mut part = [0.0; 4096];
    let mut sums = [0.0; 8];
    for start in (0..count).step_by(part.len()) {
        let part = &mut part[..4096.min(count - start)];
        read(start, part);
        for eight in part.chunks(8) {
            sums.iter_mut().zip(eight).for_each(|(sum, v)| *sum += of(f64::from(*v)));
        }
    }
    sums.iter().sum()
}

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
    /// The sample's statistics, where the model takes them per sample.
    pub stats: Option<Stats>,
    /// The maps, coarsest first: dropping maps or channels from the end leaves a smaller, valid
    /// latent (nested latents).
    pub planes: Vec<Plane>,
}

impl Latent {
    /// How many numbers the latent holds, statistics included.
    pub fn numbers(&self) -> usize {
        let planes: usize = self.planes.iter().map(|p| p.data.len()).sum();
        planes + if self.stats.is_some() { 2 } else { 0 }
    }
}
