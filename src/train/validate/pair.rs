//! Pair: a held-out sample and what its result is compared with.

use std::borrow::Cow;

use super::tally::SUREST;
use crate::corruption::NoiseProfile;
use crate::dataset::hide;
use crate::quality::{self, NoiseCurve, Patches};
use crate::rng::Rng;
use crate::sample::{Kind, Sample, Shape, Stats};

/// Noisy sample and the target that its result is compared with.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) noisy: Sample,
    pub(super) target: Sample,
    /// Variance of the target's own noise; 0 if it is clean.
    pub(super) variance: f64,
    /// Weight of each number; none if all count equally.
    pub(super) weights: Option<Vec<f32>>,
    /// Perturbed noisy sample, if the noisy sample is its own target.
    pub(super) probe: Option<Sample>,
    /// Units of the errors per channel or column, if these have units of their own.
    pub(super) units: Vec<Stats>,
    /// Correlation of the noise to the right and down, if the residual of a result is compared with it.
    pub(super) correlation: Option<[f64; 2]>,
}

impl Pair {
    /// Compares the sample with itself, with a perturbation of a tenth of its noise.
    pub(super) fn probed(noisy: Sample, variance: f64, units: Vec<Stats>, rng: &mut Rng) -> Self {
        let steps = match units.is_empty() {
            true => vec![0.1 * variance.sqrt() as f32],
            false => quality::estimate_noise(&noisy).iter().map(|sigma| 0.1 * sigma).collect(),
        };
        let numbers = noisy.shape().numbers() / steps.len();
        let mut moved = noisy.data().to_vec();
        for (part, step) in moved.chunks_mut(numbers).zip(steps) {
            part.iter_mut().for_each(|v| *v += if rng.below(2) == 0 { step } else { -step });
        }
        let probe = moved_to(&noisy, moved).filter(|_| variance > 0.0);
        let correlation = (variance > 0.0).then_some([0.0; 2]);
        Self { target: noisy.clone(), noisy, variance, weights: None, probe, units, correlation }
    }

    /// [`Pair::probed`] for noise with a strength that depends on the brightness. The curve is in `units`.
    pub(super) fn uneven(noisy: Sample, curve: &NoiseCurve, units: Vec<Stats>, rng: &mut Rng) -> Self {
        let mut moved = in_units(noisy.data(), &units).into_owned();
        let levels = levels(&moved, noisy.shape());
        for (v, level) in moved.iter_mut().zip(levels) {
            let step = 0.1 * curve.deviation(level);
            *v += if rng.below(2) == 0 { step } else { -step };
        }
        from_units(&mut moved, &units);
        let (probe, variance) = (moved_to(&noisy, moved), curve.variance());
        let correlation = (variance > 0.0).then_some([0.0; 2]);
        Self { target: noisy.clone(), noisy, variance, weights: None, probe, units, correlation }
    }

    /// Compares the sample with itself, with a perturbation of a tenth of similar noise. The patches are in `units`.
    pub(super) fn like(noisy: Sample, patches: &Patches, units: Vec<Stats>, rng: &mut Rng) -> Self {
        let mut moved = in_units(noisy.data(), &units).into_owned();
        let noise = patches.noise(noisy.shape(), rng);
        moved.iter_mut().zip(noise).for_each(|(v, n)| *v += 0.1 * n);
        from_units(&mut moved, &units);
        let probe = moved_to(&noisy, moved);
        let (variance, correlation) = (patches.variance(), Some(patches.correlation()));
        Self { target: noisy.clone(), noisy, variance, weights: None, probe, units, correlation }
    }

    /// Compares the sample with itself, with a perturbation of a tenth of the noise of a profile.
    pub(super) fn profiled(noisy: Sample, profile: &NoiseProfile, units: Vec<Stats>, rng: &mut Rng) -> Self {
        let shape = noisy.shape();
        let noise = profile.noise(noisy.data(), shape, rng);
        let moved = noisy.data().iter().zip(&noise).map(|(v, n)| v + 0.1 * n).collect();
        let probe = moved_to(&noisy, moved);
        let variance = match units.as_slice() {
            [] => profile.variance(noisy.data(), shape),
            // In units of the channels: as large as that of the noise that was drawn.
            units => {
                let numbers = shape.numbers() / units.len();
                let channels = noise.chunks_exact(numbers).zip(units).filter(|(_, unit)| unit.std > 0.0);
                let power = |(noise, unit): (&[f32], &Stats)| {
                    noise.iter().map(|n| f64::from(n / unit.std).powi(2)).sum::<f64>()
                };
                channels.map(power).sum::<f64>() / shape.numbers() as f64
            }
        };
        let (_, height, width) = shape.extents();
        let correlation = Some(quality::neighbor_correlation(noise.chunks_exact(height * width), width));
        Self { target: noisy.clone(), noisy, variance, weights: None, probe, units, correlation }
    }

    /// Returns the share of a small random change of the input that appears in the result: 1 for the identity.
    pub(super) fn response(&self, probe: &Sample, result: &[f32], moved: &[f32]) -> f64 {
        let [input, probe, result, moved] =
            [self.noisy.data(), probe.data(), result, moved].map(|data| in_units(data, &self.units));
        let (mut product, mut power) = (0.0, 0.0);
        let all = input.iter().zip(&*probe).zip(&*result).zip(&*moved).enumerate();
        for (_, (((x, p), r), m)) in all.filter(|(at, _)| self.is_known(*at)) {
            let change = f64::from(p - x);
            product += change * f64::from(m - r);
            power += change * change;
        }
        if power > 0.0 { product / power } else { 0.0 }
    }

    /// Returns the largest difference between the correlation of neighbours in the residual of `result` and in the noise.
    pub(super) fn residual(&self, result: &[f32], [right, down]: [f64; 2]) -> f32 {
        let (_, height, width) = self.noisy.shape().extents();
        let left: Vec<f32> = self.noisy.data().iter().zip(result).map(|(x, r)| x - r).collect();
        let left = in_units(&left, &self.units);
        let seen = quality::neighbor_correlation(left.chunks_exact(height * width), width);
        (seen[0] - right).abs().max((seen[1] - down).abs()) as f32
    }

    /// Masks positions of the sample, to compare the result with the original values there.
    pub(super) fn hidden(target: Sample, reach: (usize, usize), units: Vec<Stats>, rng: &mut Rng) -> Self {
        let mut data = target.data().to_vec();
        let weights = hide(&mut data, target.shape(), reach, rng);
        let noisy = moved_to(&target, data).expect("finite numbers were moved");
        // Differences of neighbours underestimate correlated noise; its spectrum does not.
        let seen = quality::noise_correlation(&in_units(&target.known(), &units), target.shape());
        let (variance, weights) = (f64::from(seen.power), Some(weights));
        Self { noisy, target, variance, weights, probe: None, units, correlation: None }
    }

    /// Returns `true` if neither the input nor the target is missing a number.
    pub(super) fn is_known(&self, at: usize) -> bool {
        [&self.noisy, &self.target].iter().all(|half| half.missing().is_none_or(|missing| !missing[at]))
    }

    /// Returns the mean squared difference from the target, with squared errors towards lighter multiplied by `lighter`, and the
    /// reference power of the error: 1 for images (PSNR), that of the target for other kinds (SNR).
    pub(super) fn errors(&self, result: &[f32], lighter: f64) -> (f64, f64) {
        let (target, result) = (in_units(self.target.data(), &self.units), in_units(result, &self.units));
        let is_known = |at: usize| self.is_known(at);
        let square = |(i, (t, r)): (usize, (&f32, &f32))| {
            let weight = self.weights.as_ref().map_or(1.0, |weights| f64::from(weights[i]));
            f64::from(t - r).powi(2) * if r > t { lighter * weight } else { weight }
        };
        let count = (0..target.len()).filter(|at| is_known(*at)).count().max(1) as f64;
        let known = target.iter().zip(&*result).enumerate().filter(|(at, _)| is_known(*at));
        let seen = known.map(square).sum::<f64>() / count;
        let power = match self.target.shape().kind() {
            Kind::Image => 1.0,
            _ if !self.units.is_empty() => {
                let known = target.iter().enumerate().filter(|(at, _)| is_known(*at));
                let power = known.map(|(_, v)| f64::from(*v).powi(2)).sum::<f64>() / count;
                (power - self.variance).max(SUREST * power)
            }
            _ => {
                let power = f64::from(self.target.stats().std).powi(2);
                (power - self.variance).max(SUREST * power)
            }
        };
        (seen, power)
    }
}

/// Returns a sample with other numbers, in which the same ones are missing; `None` if one is not finite.
fn moved_to(sample: &Sample, numbers: Vec<f32>) -> Option<Sample> {
    Some(Sample::new(sample.shape(), numbers).ok()?.with_gaps_of(sample))
}

/// Converts numbers to units of their channels or columns.
pub(super) fn in_units<'a>(data: &'a [f32], units: &[Stats]) -> Cow<'a, [f32]> {
    if units.is_empty() {
        return Cow::Borrowed(data);
    }
    let mut data = data.to_vec();
    let numbers = data.len() / units.len();
    data.chunks_mut(numbers).zip(units).for_each(|(part, unit)| unit.normalize(part));
    Cow::Owned(data)
}

/// Estimates the brightness at each position: the mean of a few neighbours in the row, in which noise is weaker.
fn levels(data: &[f32], shape: Shape) -> Vec<f32> {
    let (_, _, width) = shape.extents();
    let row = |row: &[f32]| -> Vec<f32> {
        let mean = |x: usize| {
            let near = &row[x.saturating_sub(3)..(x + 4).min(row.len())];
            near.iter().sum::<f32>() / near.len() as f32
        };
        (0..row.len()).map(mean).collect()
    };
    data.chunks(width).flat_map(row).collect()
}

/// Inverse of [`in_units`].
pub(super) fn from_units(data: &mut [f32], units: &[Stats]) {
    let numbers = data.len() / units.len().max(1);
    data.chunks_mut(numbers).zip(units).for_each(|(part, unit)| unit.restore(part));
}

/// Estimates the variance of the noise of a sample, in its units.
pub(super) fn variance_of(sample: &Sample, units: &[Stats]) -> f64 {
    if units.is_empty() {
        return f64::from(quality::estimate_sigma(&sample.known(), sample.shape())).powi(2);
    }
    let share = |(sigma, unit): (f32, &Stats)| {
        if unit.std > 0.0 { f64::from(sigma / unit.std).powi(2) } else { 0.0 }
    };
    quality::estimate_noise(sample).into_iter().zip(units).map(share).sum::<f64>() / units.len() as f64
}
