//! Chance: the only source of it, seeded, and a pure function of what it is for.
//!
//! A draw is named by `(seed, purpose, index)`, for example crop number 7 of step 120. No state has to
//! be saved to resume a run, and a draw added in one place moves no draw in another.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

/// What a stream of chance is for; each purpose has its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub enum Purpose {
    /// First weights of a model.
    Init = 1,
    /// Which samples and crops make a batch.
    Crop = 2,
    /// Flips and turns.
    Augment = 3,
    /// Noise on training crops.
    Corrupt = 4,
    /// Which prefix of the latent a step trains.
    Prefix = 5,
    /// Noise on validation and evaluation samples.
    Evaluate = 6,
}

/// A seeded stream of random numbers (ChaCha8, RFC 8439's construction with 8 rounds).
#[derive(Debug, Clone)]
pub struct Rng(ChaCha8Rng);

impl Rng {
    /// The stream for draw `index` of `purpose` under `seed`.
    pub fn new(seed: u64, purpose: Purpose, index: u64) -> Self {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[8..16].copy_from_slice(&(purpose as u64).to_le_bytes());
        key[16..24].copy_from_slice(&index.to_le_bytes());
        Self(ChaCha8Rng::from_seed(key))
    }

    /// Uniform in [0, 1), 24 bits.
    pub fn uniform(&mut self) -> f32 {
        (self.0.next_u32() >> 8) as f32 * (1.0 / (1 << 24) as f32)
    }

    /// Uniform in [low, high).
    pub fn range(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.uniform()
    }

    /// Uniform whole number below `n`; 0 when `n` is 0. The bias of the multiply-shift is below 2^-32.
    pub fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.0.next_u64()) * n as u128) >> 64) as usize
    }

    /// Standard normal (Box-Muller; G. E. P. Box and M. E. Muller, 1958).
    pub fn normal(&mut self) -> f32 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f32::consts::TAU * self.uniform()).cos()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_names_give_equal_draws_and_other_names_others() {
        let draw = |seed, purpose, index| Rng::new(seed, purpose, index).uniform();
        assert_eq!(draw(1, Purpose::Crop, 7), draw(1, Purpose::Crop, 7));
        assert_ne!(draw(1, Purpose::Crop, 7), draw(1, Purpose::Crop, 8));
        assert_ne!(draw(1, Purpose::Crop, 7), draw(1, Purpose::Corrupt, 7));
        assert_ne!(draw(1, Purpose::Crop, 7), draw(2, Purpose::Crop, 7));
    }

    #[test]
    fn normal_draws_have_mean_0_and_deviation_1() {
        let mut rng = Rng::new(3, Purpose::Corrupt, 0);
        let draws: Vec<f32> = (0..100_000).map(|_| rng.normal()).collect();
        let stats = crate::sample::Stats::of(&draws);
        assert!(stats.mean.abs() < 0.01 && (stats.std - 1.0).abs() < 0.01, "{stats:?}");
    }
}
