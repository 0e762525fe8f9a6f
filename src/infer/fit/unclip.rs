//! Unclip: estimates the level of a clean picture where noise was clipped at black and white.

/// Number of intervals of a curve.
const NODES: usize = 1024;

/// Inverse of the mean of clipped noise. A network trained on files learns noise that was clipped at black, so its
/// result there is the mean of the clipped noise, which is too high; the true level is lower.
///
/// # Source
/// A. Foi, "Clipped noisy images: heteroskedastic modeling and practical denoising", Signal Processing 89 (2009),
/// section 4: the declipping transformation.
#[derive(Debug, Clone, PartialEq)]
pub struct Unclip(Vec<f32>);

impl Unclip {
    /// Creates `share`, 0 to 1, of the curve for noise of standard deviation `sigma`, on [0, 1].
    pub fn new(sigma: f32, share: f32) -> Self {
        let mean = |level: f32| {
            let below = crate::quality::clipped_mean(level / sigma);
            let above = crate::quality::clipped_mean((1.0 - level) / sigma);
            // Clipping at white mirrors clipping at black; if sigma is small, one of them is zero.
            sigma * below - (sigma * above - (1.0 - level))
        };
        let level = |seen: f32| {
            let (mut low, mut high) = (0.0, 1.0);
            for _ in 0..20 {
                let middle = 0.5 * (low + high);
                if mean(middle) < seen { low = middle } else { high = middle }
            }
            0.5 * (low + high)
        };
        let whole = |seen: f32| match seen {
            seen if seen <= mean(0.0) => 0.0,
            seen if seen >= mean(1.0) => 1.0,
            seen => level(seen),
        };
        let nodes = (0..=NODES).map(|i| i as f32 / NODES as f32);
        Self(nodes.map(|seen| seen + share * (whole(seen) - seen)).collect())
    }

    /// Returns the level for a mean.
    pub fn level(&self, seen: f32) -> f32 {
        let at = seen.clamp(0.0, 1.0) * NODES as f32;
        let i = (at as usize).min(NODES - 1);
        self.0[i] + (self.0[i + 1] - self.0[i]) * (at - i as f32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, Rng};

    #[test]
    fn means_of_clipped_noise_give_their_level_back() {
        let mut noise = vec![0.0; 400_000];
        Rng::new(3, Purpose::Evaluate, 0).fill_normal(&mut noise);
        for sigma in [0.04, 0.1, 0.2] {
            let unclip = Unclip::new(sigma, 1.0);
            for level in [0.0, 0.02, 0.1, 0.5, 0.9, 0.99, 1.0] {
                let sum: f64 = noise.iter().map(|n| f64::from((level + sigma * n).clamp(0.0, 1.0))).sum();
                let seen = (sum / noise.len() as f64) as f32;
                assert!((unclip.level(seen) - level).abs() < 0.003, "{level} at {sigma}: {seen}");
            }
        }
    }
}
