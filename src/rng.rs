//! Random numbers: all are seeded, and a pure function of their purpose.
//!
//! A stream is identified by `(seed, purpose, index)`, for example crop number 7 of step 120. No state has to be
//! saved to resume a run, and a draw added in one place does not change draws in another.

use std::sync::LazyLock;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

/// Purpose of a random stream; each has its own streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub enum Purpose {
    /// Initial weights of a model.
    Init = 1,
    /// Selection of samples and crops for a batch.
    Crop = 2,
    /// Flips and rotations.
    Augment = 3,
    /// Noise on training crops.
    Corrupt = 4,
    /// Length of the latent prefix that a step trains.
    Prefix = 5,
    /// Noise on validation and evaluation samples.
    Evaluate = 6,
    /// Neighbours to compare, pixels to hide and noise to add, in training from noisy samples only.
    Conceal = 7,
}

/// Seeded stream of random numbers (ChaCha8, RFC 8439's construction with 8 rounds).
#[derive(Debug, Clone)]
pub struct Rng(ChaCha8Rng);

impl Rng {
    /// Creates the stream of draw `index` of `purpose` under `seed`.
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

    /// Fills `out` with standard normals, several times faster than repeated [`Rng::normal`]: noise on a training
    /// batch needs a million of them per step.
    ///
    /// # Source
    /// The ziggurat of G. Marsaglia and W. W. Tsang (2000) with 256 layers; layer and abscissa come
    /// from different bits of the word (J. A. Doornik, 2005).
    pub fn fill_normal(&mut self, out: &mut [f32]) {
        let layers = &*LAYERS;
        for slot in out {
            *slot = self.ziggurat(layers);
        }
    }

    fn ziggurat(&mut self, layers: &Layers) -> f32 {
        loop {
            let bits = self.0.next_u32();
            let layer = (bits & 0xff) as usize;
            // The upper 24 bits, signed: uniform in [-1, 1).
            let x = ((bits as i32) >> 8) as f32 * (1.0 / (1 << 23) as f32) * layers.x[layer];
            if x.abs() < layers.x[layer + 1] {
                return x;
            }
            if layer == 0 {
                return self.normal_tail().copysign(x);
            }
            let (low, high) = (layers.density[layer], layers.density[layer + 1]);
            if low + (high - low) * self.uniform() < (-0.5 * x * x).exp() {
                return x;
            }
        }
    }

    /// Draws a normal number beyond the base layer (G. Marsaglia, 1964).
    fn normal_tail(&mut self) -> f32 {
        let edge = LAYER_EDGE as f32;
        loop {
            let x = -(1.0 - self.uniform()).ln() / edge;
            let y = -(1.0 - self.uniform()).ln();
            if 2.0 * y > x * x {
                return edge + x;
            }
        }
    }
}

/// Right edge of the ziggurat's base layer, where the tail begins, for 256 layers of equal area.
const LAYER_EDGE: f64 = 3.654_152_885_361_009;
/// Area of each layer.
const LAYER_AREA: f64 = 0.004_928_673_233_99;

static LAYERS: LazyLock<Layers> = LazyLock::new(Layers::new);

/// Layers of the ziggurat: right edges from the base up, and the density there.
struct Layers {
    x: [f32; 257],
    density: [f32; 257],
}

impl Layers {
    fn new() -> Self {
        let density = |x: f64| (-0.5 * x * x).exp();
        let mut x = [0.0f64; 257];
        // The base layer's area includes the tail, so its box is wider than its edge.
        x[0] = LAYER_AREA / density(LAYER_EDGE);
        x[1] = LAYER_EDGE;
        for i in 1..255 {
            x[i + 1] = (-2.0 * (LAYER_AREA / x[i] + density(x[i])).ln()).sqrt();
        }
        Self { x: x.map(|v| v as f32), density: x.map(|v| density(v) as f32) }
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

    #[test]
    fn filled_normals_have_the_moments_and_tails_of_a_normal() {
        let mut draws = vec![0.0; 2_000_000];
        Rng::new(5, Purpose::Corrupt, 0).fill_normal(&mut draws);
        let n = draws.len() as f64;
        let moment = |p: i32| draws.iter().map(|&v| f64::from(v).powi(p)).sum::<f64>() / n;
        assert!(moment(1).abs() < 0.003, "{}", moment(1));
        assert!((moment(2) - 1.0).abs() < 0.004, "{}", moment(2));
        assert!(moment(3).abs() < 0.01, "{}", moment(3));
        assert!((moment(4) - 3.0).abs() < 0.03, "{}", moment(4));
        // Beyond 1, 2, 3 and 4: 0.317311, 0.045500, 0.002700 and 0.0000633 of a normal.
        for (edge, share, slack) in
            [(1.0, 0.317_311, 0.002), (2.0, 0.045_5, 0.001), (3.0, 0.0027, 0.0002), (4.0, 6.33e-5, 2.5e-5)]
        {
            let seen = draws.iter().filter(|v| v.abs() > edge).count() as f64 / n;
            assert!((seen - share).abs() < slack, "beyond {edge}: {seen}");
        }
    }

    #[test]
    fn filled_normals_go_on_where_the_last_fill_ended() {
        let mut whole = [0.0; 100];
        Rng::new(5, Purpose::Corrupt, 0).fill_normal(&mut whole);
        let mut rng = Rng::new(5, Purpose::Corrupt, 0);
        let mut parts = [0.0; 100];
        rng.fill_normal(&mut parts[..33]);
        rng.fill_normal(&mut parts[33..]);
        assert_eq!(whole, parts);
    }
}
