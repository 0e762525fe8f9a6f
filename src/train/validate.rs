//! Validation: scores on held-out samples that training never sees, computed by the inference code of the service.
//!
//! If no clean samples are known, errors are estimated:
//!
//! - A result is compared with noisy numbers that have independent noise (another repeat, masked positions). The mean
//!   squared difference is then too large by exactly the variance of that noise, which is subtracted (J. Batson and
//!   L. Royer, "Noise2Self: blind denoising by self-supervision", ICML 2019, proposition 1).
//! - A result is compared with its own input, of which it has seen the white noise. A second, randomly perturbed input
//!   shows the share of the noise that passes through (Stein's unbiased risk estimate; S. Ramani, T. Blu and M. Unser,
//!   "Monte-Carlo SURE", IEEE Transactions on Image Processing, 2008). For correlated noise the perturbation has the same
//!   correlation, sampled from the flattest blocks of the sample ([`quality::Patches`]).

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Serialize;

use super::Error;
use super::window::{cut, middle, windows};
use crate::corruption::NoiseProfile;
use crate::dataset::{Item, Learn, hide};
use crate::infer::{self, Mode, Options, Session, familiarity};
use crate::nn::model::Normalize;
use crate::quality::{self, NoiseCurve, Patches, Pca};
use crate::registry::Familiarity;
use crate::rng::{Purpose, Rng};
use crate::sample::{Kind, Sample, Shape, Stats};

/// Largest number of held-out samples scored.
const MOST: usize = 64;

/// Number of pairs scored during training. If there are only a few large images, several windows of each make up about this
/// many pairs.
const ENOUGH: usize = 24;

/// Difference of the residual correlation errors up to which two models count as equal.
const ROUGHER: f32 = 0.15;

/// Lower bound of an estimated error, as a share of the variance of the noise in the estimate.
const SUREST: f64 = 1e-3;

/// Settings of the held-out pairs and of the error measure.
#[derive(Debug)]
pub(super) struct Scoring<'a> {
    /// Inputs and targets of the training.
    pub(super) learn: &'a Learn,
    /// Normalisation of the model: channels and columns with units of their own are scored in these.
    pub(super) normalize: &'a Normalize,
    /// Factor on squared errors that make a sample lighter, if not 1.
    pub(super) ink_weight: Option<f64>,
}

/// Held-out pairs to score on.
#[derive(Debug)]
pub(super) struct HeldOut {
    pairs: Vec<Pair>,
    /// Statistics of each column of vectors, if columns have units of their own.
    columns: Vec<Stats>,
    /// Factor on squared errors that make a sample lighter, if not 1.
    ink_weight: Option<f64>,
    /// PCA fitted to the training vectors, with its number of components: the classical method for vectors.
    pca: Option<(Pca, usize)>,
}

#[derive(Debug)]
struct Pair {
    noisy: Sample,
    target: Sample,
    /// Variance of the target's own noise; 0 if it is clean.
    variance: f64,
    /// Weight of each number; none if all count equally.
    weights: Option<Vec<f32>>,
    /// Perturbed noisy sample, if the noisy sample is its own target.
    probe: Option<Sample>,
    /// Units of the errors per channel or column, if these have units of their own.
    units: Vec<Stats>,
    /// Correlation of the noise to the right and down, if the residual of a result is compared with it.
    correlation: Option<[f64; 2]>,
}

/// Held-out sample, or a small part of it, before and after denoising by the model in training.
#[derive(Debug, Clone, PartialEq)]
pub struct Preview {
    /// Input of the model.
    pub noisy: Sample,
    /// Output of the model.
    pub denoised: Sample,
    /// Clean sample, if known.
    pub clean: Option<Sample>,
}

/// Mean scores over the held-out samples, dB: PSNR for images, SNR for other kinds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Scores {
    /// Number of samples, or of windows of large ones, that were scored.
    pub samples: usize,
    /// Score of the noisy input.
    pub noisy_db: f32,
    /// Score of decoding the latent only (mode strict).
    pub strict_db: f32,
    /// Score of `/denoise` (mode full).
    pub full_db: f32,
    /// Score by which models are compared, dB: `full_db` with errors weighted as in training.
    #[serde(skip)]
    pub judged_db: f32,
    /// Score of a method without learning: sliding DCT with the noise it estimates, PCA for vectors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baseline_db: Option<f32>,
    /// Difference between the correlation of neighbours in the residual (input minus result) and in the noise, 0 to 2: near 0 if
    /// only noise was removed. None if the clean samples are known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub residual: Option<f32>,
}

impl Scores {
    /// Returns `true` if the residual is clearly less similar to the noise than that of `other`.
    pub(super) fn is_rougher_than(&self, other: &Scores) -> bool {
        self.residual.zip(other.residual).is_some_and(|(own, other)| own > other + ROUGHER)
    }
}

/// Scores of a validation.
#[derive(Debug, Clone, Copy)]
pub(super) struct Glance {
    /// Score to report, dB.
    pub(super) shown: f32,
    /// Score by which weights are compared, dB.
    pub(super) judged: f32,
}

impl HeldOut {
    /// Builds the pairs of `items` for the training scheme; `seed` fixes all random draws.
    pub(super) fn new(items: &[&Item], scoring: &Scoring<'_>, seed: u64) -> Self {
        let Scoring { learn, normalize, ink_weight } = *scoring;
        let each = (ENOUGH / items.len().max(1)).max(1);
        let items = &items[..items.len().min(MOST)];
        let scenes = Scenes::new(items);
        let mut pairs = Vec::new();
        for (i, item) in items.iter().enumerate() {
            let chance = |window: usize| Rng::new(seed, Purpose::Evaluate, (i * ENOUGH + window) as u64);
            let exact = |noisy: Sample| (noisy, item.clean.clone(), 0.0);
            let units = normalize.units(&item.clean);
            let (noisy, target, variance) = match learn {
                Learn::Clean(corruption) => {
                    let (noisy, target) = item.corrupted_in(corruption, &units, seed, i as u64);
                    (noisy, target, 0.0)
                }
                Learn::Pairs => exact(item.noisy.clone().unwrap_or_else(|| item.clean.clone())),
                Learn::Repeats => match scenes.rest(item, &units) {
                    Some((mean, variance)) => (item.clean.clone(), mean, variance),
                    None => continue,
                },
                Learn::Recorrupted | Learn::Profiled(_) | Learn::Neighbors | Learn::Hidden(..) => {
                    (item.clean.clone(), item.clean.clone(), variance_of(&item.clean, &units))
                }
            };
            let patches = match learn {
                Learn::Hidden(down, right) if down + right > 0 => {
                    Patches::of(&in_units(&noisy.known(), &units), noisy.shape())
                }
                _ => None,
            };
            // White noise of varying strength: estimate its strength as a function of brightness.
            let curve = match learn {
                Learn::Neighbors => NoiseCurve::of(&in_units(&noisy.known(), &units), noisy.shape()),
                _ => None,
            };
            for (w, area) in windows(item.clean.shape(), each).iter().enumerate() {
                let (noisy, target, units) = (cut(&noisy, area), cut(&target, area), units.clone());
                pairs.extend(match learn {
                    Learn::Neighbors if curve.is_some() => {
                        curve.as_ref().map(|curve| Pair::uneven(target, curve, units, &mut chance(w)))
                    }
                    Learn::Recorrupted | Learn::Neighbors => {
                        Some(Pair::probed(target, variance, units, &mut chance(w)))
                    }
                    Learn::Profiled(profile) => Some(Pair::profiled(target, profile, units, &mut chance(w))),
                    Learn::Hidden(down, right) => Some(match &patches {
                        Some(patches) => Pair::like(target, patches, units, &mut chance(w)),
                        None => Pair::hidden(target, (*down, *right), units, &mut chance(w)),
                    }),
                    _ => {
                        let (weights, probe, correlation) = (None, None, None);
                        Some(Pair { noisy, target, variance, weights, probe, units, correlation })
                    }
                });
            }
        }
        let columns = if let Normalize::Columns(columns) = normalize { columns.clone() } else { Vec::new() };
        Self { pairs, columns, ink_weight, pca: None }
    }

    /// Fits PCA with `k` components to the training vectors, as the classical method.
    pub(super) fn fit_pca(&mut self, train: &[&Item], k: usize) {
        let Some(Shape::Vector { features }) = train.first().map(|item| item.clean.shape()) else { return };
        let points: Vec<_> =
            train.iter().take(1 << 14).map(|item| in_units(item.clean.data(), &self.columns)).collect();
        let k = k.min(features);
        self.pca = Pca::fit(points.iter().map(|point| &**point), features, k).map(|pca| (pca, k));
    }

    /// Returns `true` if the scores are estimates, because there are no clean samples.
    pub(super) fn is_estimate(&self) -> bool {
        self.pairs.iter().any(|pair| pair.variance > 0.0)
    }

    /// Returns the number of pairs.
    pub(super) fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Returns the approximate duration of the final comparison relative to a call of `glance`: all pairs, in both modes, for the
    /// model and for the models it is compared with.
    pub(super) fn rounds(&self) -> f64 {
        4.0 * (self.pairs.len() as f64 / ENOUGH as f64).max(1.0)
    }

    fn tally(&self) -> Tally {
        Tally { ink_weight: self.ink_weight, ..Tally::default() }
    }

    /// Scores `/denoise` on the first pairs only, for use during training.
    ///
    /// # Errors
    /// The samples do not fit the model, or its results are not finite.
    pub(super) fn glance(&self, session: &Session) -> Result<Glance, Error> {
        let mut tally = self.tally();
        for pair in self.pairs.iter().take(ENOUGH) {
            tally.measure(pair, |sample| {
                Ok(Some(session.denoise(sample, &Options::default())?.sample.data().to_vec()))
            })?;
        }
        Ok(Glance { shown: tally.decibels(), judged: tally.judged() })
    }

    /// Returns the mean scores of a model, and those of the classical method if `beside` is set.
    ///
    /// # Errors
    /// The samples do not fit the model.
    pub(super) fn score(&self, session: &Session, beside: bool) -> Result<Scores, Error> {
        let [mut noisy, mut strict, mut full, mut baseline] = [(); 4].map(|()| self.tally());
        let mut apart = Vec::new();
        for pair in &self.pairs {
            let denoise = |sample: &Sample, mode| {
                let options = Options { mode, ..Options::default() };
                Ok(Some(session.denoise(sample, &options)?.sample.data().to_vec()))
            };
            noisy.measure(pair, |sample| Ok(Some(sample.data().to_vec())))?;
            strict.measure(pair, |sample| denoise(sample, Mode::Strict))?;
            full.measure(pair, |sample| denoise(sample, Mode::Full))?;
            if let Some(correlation) = pair.correlation {
                apart.push(pair.residual(denoise(&pair.noisy, Mode::Full)?.unwrap_or_default(), correlation));
            }
            if beside {
                baseline.measure(pair, |sample| Ok(self.classical(sample)))?;
            }
        }
        Ok(Scores {
            samples: self.pairs.len(),
            noisy_db: noisy.decibels(),
            strict_db: strict.decibels(),
            full_db: full.decibels(),
            judged_db: full.judged(),
            baseline_db: (baseline.count > 0).then(|| baseline.decibels()),
            residual: (!apart.is_empty()).then(|| apart.iter().sum::<f32>() / apart.len() as f32),
        })
    }

    /// Denoises a sample with the classical method.
    fn classical(&self, noisy: &Sample) -> Option<Vec<f32>> {
        if noisy.shape().kind() == Kind::Vector {
            let (pca, k) = self.pca.as_ref()?;
            let mut rebuilt = pca.rebuild(&pca.project(&in_units(noisy.data(), &self.columns), *k));
            from_units(&mut rebuilt, &self.columns);
            return Some(rebuilt);
        }
        // Per channel, because the channels of a signal have units and noise strengths of their own.
        let Shape::Signal { length, .. } = noisy.shape() else {
            let sigma = quality::estimate_sigma(&noisy.known(), noisy.shape());
            return Some(quality::denoise_dct(noisy.data(), noisy.shape(), sigma));
        };
        let shape = Shape::Signal { channels: 1, length };
        let known = noisy.known();
        let alone = |(channel, known): (&[f32], &[f32])| {
            quality::denoise_dct(channel, shape, quality::estimate_sigma(known, shape))
        };
        Some(noisy.data().chunks_exact(length).zip(known.chunks_exact(length)).flat_map(alone).collect())
    }

    /// Returns the middle of the first held-out sample, before and after denoising.
    ///
    /// # Errors
    /// The samples do not fit the model.
    pub(super) fn preview(&self, session: &Session) -> Result<Option<Preview>, Error> {
        let Some(Pair { noisy, target, variance, .. }) = self.pairs.first() else { return Ok(None) };
        let denoised = session.denoise(noisy, &Options::default())?.sample;
        let middle = middle(noisy.shape());
        let cut = |sample: &Sample| cut(sample, &middle);
        let clean = (*variance == 0.0).then(|| cut(target));
        Ok(Some(Preview { noisy: cut(noisy), denoised: cut(&denoised), clean }))
    }

    /// Computes the feature statistics of the held-out samples.
    ///
    /// # Errors
    /// The samples do not fit the model.
    pub(super) fn calibrate(&self, session: &Session) -> Result<Option<Familiarity>, Error> {
        let features = self.pairs.iter().map(|pair| session.features(&pair.noisy));
        Ok(familiarity::calibrate(&features.collect::<infer::Result<Vec<_>>>()?))
    }
}

impl Pair {
    /// Compares the sample with itself, with a perturbation of a tenth of its noise.
    fn probed(noisy: Sample, variance: f64, units: Vec<Stats>, rng: &mut Rng) -> Self {
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
    fn uneven(noisy: Sample, curve: &NoiseCurve, units: Vec<Stats>, rng: &mut Rng) -> Self {
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
    fn like(noisy: Sample, patches: &Patches, units: Vec<Stats>, rng: &mut Rng) -> Self {
        let mut moved = in_units(noisy.data(), &units).into_owned();
        let noise = patches.noise(noisy.shape(), rng);
        moved.iter_mut().zip(noise).for_each(|(v, n)| *v += 0.1 * n);
        from_units(&mut moved, &units);
        let probe = moved_to(&noisy, moved);
        let (variance, correlation) = (patches.variance(), Some(patches.correlation()));
        Self { target: noisy.clone(), noisy, variance, weights: None, probe, units, correlation }
    }

    /// Compares the sample with itself, with a perturbation of a tenth of the noise of a profile.
    fn profiled(noisy: Sample, profile: &NoiseProfile, units: Vec<Stats>, rng: &mut Rng) -> Self {
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
    fn response(&self, probe: &Sample, result: &[f32], moved: &[f32]) -> f64 {
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
    fn residual(&self, mut result: Vec<f32>, [right, down]: [f64; 2]) -> f32 {
        let (_, height, width) = self.noisy.shape().extents();
        result.iter_mut().zip(self.noisy.data()).for_each(|(r, x)| *r = x - *r);
        let result = in_units(&result, &self.units);
        let seen = quality::neighbor_correlation(result.chunks_exact(height * width), width);
        (seen[0] - right).abs().max((seen[1] - down).abs()) as f32
    }

    /// Masks positions of the sample, to compare the result with the original values there.
    fn hidden(target: Sample, reach: (usize, usize), units: Vec<Stats>, rng: &mut Rng) -> Self {
        let mut data = target.data().to_vec();
        let weights = hide(&mut data, target.shape(), reach, rng);
        let noisy = moved_to(&target, data).expect("finite numbers were moved");
        // Differences of neighbours underestimate correlated noise; its spectrum does not.
        let seen = quality::noise_correlation(&in_units(&target.known(), &units), target.shape());
        let (variance, weights) = (f64::from(seen.power), Some(weights));
        Self { noisy, target, variance, weights, probe: None, units, correlation: None }
    }

    /// Returns `true` if neither the input nor the target is missing a number.
    fn is_known(&self, at: usize) -> bool {
        [&self.noisy, &self.target].iter().all(|half| half.missing().is_none_or(|missing| !missing[at]))
    }

    /// Returns the mean squared difference from the target, with squared errors towards lighter multiplied by `lighter`, and the
    /// reference power of the error: 1 for images (PSNR), that of the target for other kinds (SNR).
    fn errors(&self, result: &[f32], lighter: f64) -> (f64, f64) {
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

/// Accumulated errors of one method over all pairs.
#[derive(Debug, Default)]
struct Tally {
    ink_weight: Option<f64>,
    count: usize,
    /// Sum of the scores of the pairs.
    decibels: f64,
    /// The same with weighted errors.
    weighed: f64,
    /// Sums of the squared differences from noisy targets, of the variances of their noise, and of the reference powers.
    seen: f64,
    variance: f64,
    power: f64,
}

impl Tally {
    /// Adds the result of a method on a pair; does nothing if the method returns none.
    fn measure(
        &mut self,
        pair: &Pair,
        method: impl Fn(&Sample) -> Result<Option<Vec<f32>>, Error>,
    ) -> Result<(), Error> {
        let Some(result) = method(&pair.noisy)? else { return Ok(()) };
        let (mut seen, power) = pair.errors(&result, 1.0);
        let weighed = self.ink_weight.map(|lighter| pair.errors(&result, lighter).0);
        if let Some(probe) = &pair.probe
            && let Some(moved) = method(probe)?
        {
            seen += 2.0 * pair.variance * pair.response(probe, &result, &moved);
        }
        self.count += 1;
        self.seen += seen;
        self.variance += pair.variance;
        self.power += power;
        // Capped so that a perfect result does not make a mean infinite.
        let decibels = |error: f64| (10.0 * (power / error.max(f64::MIN_POSITIVE)).log10()).min(100.0);
        self.decibels += decibels(seen);
        self.weighed += decibels(weighed.unwrap_or(seen));
        Ok(())
    }

    /// Returns the mean of the pairs' scores. Estimates of single pairs are too inexact, so their errors are summed first.
    fn decibels(&self) -> f32 {
        if self.variance == 0.0 {
            return (self.decibels / self.count.max(1) as f64) as f32;
        }
        let error = (self.seen - self.variance).max(SUREST * self.variance);
        (10.0 * (self.power / error).log10()) as f32
    }

    /// Returns a score that is monotonic in `decibels`, but stable when the estimated error approaches zero.
    fn judged(&self) -> f32 {
        if self.variance == 0.0 {
            (self.weighed / self.count.max(1) as f64) as f32
        } else {
            (10.0 * (self.power / self.seen.max(SUREST * self.variance)).log10()) as f32
        }
    }
}

/// Returns a sample with other numbers, in which the same ones are missing; `None` if one is not finite.
fn moved_to(sample: &Sample, numbers: Vec<f32>) -> Option<Sample> {
    Some(Sample::new(sample.shape(), numbers).ok()?.with_gaps_of(sample))
}

/// Converts numbers to units of their channels or columns.
fn in_units<'a>(data: &'a [f32], units: &[Stats]) -> Cow<'a, [f32]> {
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
fn from_units(data: &mut [f32], units: &[Stats]) {
    let numbers = data.len() / units.len().max(1);
    data.chunks_mut(numbers).zip(units).for_each(|(part, unit)| unit.restore(part));
}

/// Estimates the variance of the noise of a sample, in its units.
fn variance_of(sample: &Sample, units: &[Stats]) -> f64 {
    if units.is_empty() {
        return f64::from(quality::estimate_sigma(&sample.known(), sample.shape())).powi(2);
    }
    let share = |(sigma, unit): (f32, &Stats)| {
        if unit.std > 0.0 { f64::from(sigma / unit.std).powi(2) } else { 0.0 }
    };
    quality::estimate_noise(sample).into_iter().zip(units).map(share).sum::<f64>() / units.len() as f64
}

/// Repeats by scene and shape.
struct Scenes<'a>(BTreeMap<(&'a str, Vec<usize>), Vec<&'a Item>>);

impl<'a> Scenes<'a> {
    fn new(items: &[&'a Item]) -> Self {
        let mut scenes: BTreeMap<_, Vec<&Item>> = BTreeMap::new();
        for item in items {
            scenes.entry((item.scene(), item.clean.shape().dims())).or_default().push(item);
        }
        Self(scenes)
    }

    /// Returns the mean of the other repeats of an item's scene, and the variance of its remaining noise, estimated from the
    /// differences of the repeats.
    fn rest(&self, item: &Item, units: &[Stats]) -> Option<(Sample, f64)> {
        let all = self.0.get(&(item.scene(), item.clean.shape().dims()))?;
        let others: Vec<&[f32]> =
            all.iter().filter(|other| other.name != item.name).map(|other| other.clean.data()).collect();
        let count = others.len();
        if count == 0 {
            return None;
        }
        let numbers = item.clean.data().len();
        let mean: Vec<f32> =
            (0..numbers).map(|i| others.iter().map(|other| other[i]).sum::<f32>() / count as f32).collect();
        // A number that is missing in any repeat is missing in the mean.
        let is_missing =
            |at: usize| all.iter().any(|one| one.clean.missing().is_some_and(|missing| missing[at]));
        let mean = Sample::new(item.clean.shape(), mean).ok()?.masked((0..numbers).map(is_missing).collect());
        // The difference of a repeat and the mean of n others has (1 + 1/n) times the variance of one repeat.
        let (own, rest) = (in_units(item.clean.data(), units), in_units(mean.data(), units));
        let known = |at: &usize| mean.missing().is_none_or(|missing| !missing[*at]);
        let (own, rest): (Vec<f32>, Vec<f32>) =
            (0..numbers).filter(known).map(|at| (own[at], rest[at])).unzip();
        let variance = quality::mse(&own, &rest) / (1.0 + 1.0 / count as f64);
        Some((mean, variance / count as f64))
    }
}

#[cfg(test)]
mod tests;
