//! Shot noise: each value becomes a photon count.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Parameter, Parameters, Span};
use crate::rng::Rng;
use crate::sample::{Kind, Shape};

/// Replaces each value by a Poisson count with that mean, in units of `1 / peak`.
///
/// Counts have no sign: in signals and vectors the absolute value is counted and the sign preserved; in images,
/// values below black count as black.
///
/// # Source
/// D. E. Knuth, "The art of computer programming", volume 2, 3.4.1; W. Hörmann, "The transformed rejection method for
/// generating Poisson random variables" (1993).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PoissonCorruption, example = json!({"peak": [10, 200]}))]
pub struct Poisson {
    /// Photons at white (1 in images, the largest absolute value in signals and vectors); fewer photons mean more noise.
    pub peak: Span,
}

impl Parameters for Poisson {
    const KIND: &'static str = "poisson";
    const PARAMETERS: &'static [Parameter<Self>] = &[Parameter::new("peak", |it| it.peak, 0.1, 1e6)];
}

impl Poisson {
    pub(super) fn apply(&self, data: &mut [f32], shape: Shape, rng: &mut Rng) {
        count_photons(data, shape, self.peak.draw(rng), rng);
    }
}

/// Adds shot noise, also for the mixed noise of cameras.
pub(super) fn count_photons(data: &mut [f32], shape: Shape, peak: f32, rng: &mut Rng) {
    let signed = shape.kind() != Kind::Image;
    let white = if signed { data.iter().fold(0.0f32, |m, v| m.max(v.abs())) } else { 1.0 };
    if white == 0.0 {
        return;
    }
    let gain = f64::from(peak) / f64::from(white);
    for value in data {
        let light = if signed { value.abs() } else { value.max(0.0) };
        let seen = (count(f64::from(light) * gain, rng) / gain) as f32;
        *value = if signed { seen.copysign(*value) } else { seen };
    }
}

/// Draws a Poisson number of the given mean.
///
/// # Source
/// Below 10 by multiplying uniforms (D. E. Knuth); from 10 on by transformed rejection, algorithm PTRS
/// of W. Hörmann, "The transformed rejection method for generating Poisson random variables" (1993).
fn count(mean: f64, rng: &mut Rng) -> f64 {
    if mean < 10.0 {
        let floor = (-mean).exp();
        let (mut k, mut product) = (0.0, uniform(rng));
        while product > floor {
            k += 1.0;
            product *= uniform(rng);
        }
        return k;
    }
    let b = 0.931 + 2.53 * mean.sqrt();
    let a = -0.059 + 0.02483 * b;
    let inverse_alpha = 1.1239 + 1.1328 / (b - 3.4);
    let squeeze = 0.9277 - 3.6224 / (b - 2.0);
    loop {
        let u = uniform(rng) - 0.5;
        let v = uniform(rng);
        let us = 0.5 - u.abs();
        let k = ((2.0 * a / us + b) * u + mean + 0.43).floor();
        if us >= 0.07 && v <= squeeze {
            return k;
        }
        if k < 0.0 || (us < 0.013 && v > us) {
            continue;
        }
        let bound = k * mean.ln() - mean - ln_factorial(k);
        if (v * inverse_alpha / (a / (us * us) + b)).ln() <= bound {
            return k;
        }
    }
}

/// Uniform in (0, 1], so that its logarithm is finite.
fn uniform(rng: &mut Rng) -> f64 {
    1.0 - f64::from(rng.uniform())
}

/// `ln(k!)` by Stirling's series, exact to 1e-10 from 10 on, and by the sum of logarithms below.
fn ln_factorial(k: f64) -> f64 {
    if k < 10.0 {
        return (2..=k as u32).map(|i| f64::from(i).ln()).sum();
    }
    let correction = 1.0 / (12.0 * k) - 1.0 / (360.0 * k.powi(3)) + 1.0 / (1260.0 * k.powi(5));
    (k + 0.5) * k.ln() - k + 0.5 * std::f64::consts::TAU.ln() + correction
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Purpose;
    use crate::sample::Stats;

    #[test]
    fn mean_and_variance_are_those_of_a_poisson_number() {
        for mean in [0.3, 3.0, 9.9, 10.1, 40.0, 1000.0] {
            let mut rng = Rng::new(1, Purpose::Corrupt, 0);
            let draws: Vec<f32> = (0..100_000).map(|_| count(mean, &mut rng) as f32).collect();
            let stats = Stats::of(&draws);
            let error = (f64::from(stats.mean) - mean).abs() / (mean / 1e5).sqrt();
            assert!(error < 4.0, "mean {mean} became {}", stats.mean);
            assert!((f64::from(stats.std).powi(2) / mean - 1.0).abs() < 0.02, "mean {mean}: {stats:?}");
        }
    }

    #[test]
    fn noise_grows_with_the_root_of_the_light() {
        let deviation = |light: f32| {
            let mut data = vec![light; 50_000];
            let kind = Poisson { peak: Span::at(100.0) };
            kind.apply(&mut data, Shape::image(1, 200, 250), &mut Rng::new(1, Purpose::Corrupt, 0));
            Stats::of(&data).std
        };
        assert!((deviation(0.81) - 0.09).abs() < 0.002);
        assert!((deviation(0.09) - 0.03).abs() < 0.001);
    }

    #[test]
    fn black_stays_black_and_signs_stay() {
        let mut black = [0.0, -0.1];
        count_photons(&mut black, Shape::image(1, 1, 2), 50.0, &mut Rng::new(1, Purpose::Corrupt, 0));
        assert_eq!(black, [0.0, 0.0]);
        let mut signal = [-300.0, 300.0];
        let shape = Shape::Signal { channels: 1, length: 2 };
        count_photons(&mut signal, shape, 50.0, &mut Rng::new(1, Purpose::Corrupt, 0));
        assert!(signal[0] < -100.0 && signal[1] > 100.0, "{signal:?}");
    }

    #[test]
    fn the_logarithm_of_a_factorial_joins_its_two_ways() {
        let product: f64 = (2..=12).map(|i| f64::from(i).ln()).sum();
        assert!((ln_factorial(12.0) - product).abs() < 1e-9);
        assert!((ln_factorial(9.0) - 362_880f64.ln()).abs() < 1e-9);
    }
}
