//! Camera noise: shot noise of the light, then read noise of the electronics.

use serde::{Deserialize, Serialize};

use super::poisson::count_photons;
use super::{Error, Gaussian, Span};
use crate::rng::Rng;
use crate::sample::Shape;

/// Shot noise followed by white normal noise.
///
/// # Source
/// A. Foi et al., "Practical Poissonian-Gaussian noise modeling and fitting for single-image raw-data"
/// (2008).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PoissonGaussian {
    /// Photons at white, as in `poisson`.
    pub peak: Span,
    /// Standard deviation of the read noise, as in `gaussian`.
    pub sigma: Span,
}

impl PoissonGaussian {
    pub(super) fn check(&self) -> Result<(), Error> {
        self.peak.check("poisson_gaussian.peak", 0.1, 1e6)?;
        self.sigma.check("poisson_gaussian.sigma", 0.0, 1000.0)
    }

    pub(super) fn apply(&self, data: &mut [f32], shape: Shape, rng: &mut Rng) {
        count_photons(data, shape, self.peak.draw(rng), rng);
        Gaussian { sigma: self.sigma, ..Gaussian::default() }.apply(data, shape, rng);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Purpose;
    use crate::sample::Stats;

    #[test]
    fn variances_of_both_noises_add() {
        let mut data = vec![0.5; 100_000];
        let kind = PoissonGaussian { peak: Span::at(50.0), sigma: Span::at(25.5) };
        kind.apply(&mut data, Shape::image(1, 250, 400), &mut Rng::new(1, Purpose::Corrupt, 0));
        let variance = Stats::of(&data).std.powi(2);
        assert!((variance - (0.5 / 50.0 + 0.1 * 0.1)).abs() < 0.0003, "{variance}");
    }
}
