//! Camera noise: shot noise of the light, then read noise of the electronics.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::poisson::count_photons;
use super::{Gaussian, Parameter, Parameters, Span};
use crate::rng::Rng;
use crate::sample::Shape;

/// Shot noise followed by white normal noise.
///
/// # Source
/// A. Foi et al., "Practical Poissonian-Gaussian noise modeling and fitting for single-image raw-data"
/// (2008).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PoissonGaussianCorruption, example = json!({"peak": [10, 200], "sigma": [1, 5]}))]
pub struct PoissonGaussian {
    /// Photons at white, as in `poisson`.
    pub peak: Span,
    /// Standard deviation of the read noise, as in `gaussian`.
    pub sigma: Span,
}

impl Parameters for PoissonGaussian {
    const KIND: &'static str = "poisson_gaussian";
    const PARAMETERS: &'static [Parameter<Self>] = &[
        Parameter::new("peak", |it| it.peak, 0.1, 1e6),
        Parameter::new("sigma", |it| it.sigma, 0.0, 1000.0),
    ];
}

impl PoissonGaussian {
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
