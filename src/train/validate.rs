//! Held-out truth: scores on samples that training never sees, through the code that serves.
//!
//! Where no clean sample is known, a result is held against a second noisy one whose noise is its own. The mean
//! squared error is then too large by just the variance of that noise, which is taken off (J. Batson and
//! L. Royer, "Noise2Self: blind denoising by self-supervision", ICML 2019, proposition 1).

use std::collections::BTreeMap;

use serde::Serialize;

use super::Error;
use super::window::{cut, middle, windows};
use crate::dataset::{Item, Learn, Neighbors, hide};
use crate::infer::{self, Mode, Options, Session, familiarity};
use crate::quality::{self, Pca};
use crate::registry::Familiarity;
use crate::rng::{Purpose, Rng};
use crate::sample::{Kind, Sample, Shape};

/// At most so many held-out samples are scored.
const MOST: usize = 64;

/// Where a few large images are all there is, several windows of each make up about this many pairs. It is also
/// how many are scored while training goes on.
const ENOUGH: usize = 24;

/// No estimated error is below this share of the noise it was estimated through.
const SUREST: f64 = 1e-3;

/// Fixed pairs to score on.
#[derive(Debug)]
pub(super) struct HeldOut {
    pairs: Vec<Pair>,
    /// Fitted to the training vectors; the classical method where there are no neighbours.
    pca: Option<(Pca, usize)>,
}

#[derive(Debug)]
struct Pair {
    noisy: Sample,
    target: Sample,
    /// Of the target's own noise; 0 where it is clean.
    variance: f64,
    /// The weight of each number, where not all count.
    weights: Option<Vec<f32>>,
}

/// One held-out sample, or a small part of it, as the model in training leaves it.
#[derive(Debug, Clone, PartialEq)]
pub struct Preview {
    /// What goes in.
    pub noisy: Sample,
    /// What comes out.
    pub denoised: Sample,
    /// What should come out, where that is known.
    pub clean: Option<Sample>,
}

/// Mean scores over the held-out samples, dB: PSNR for images, SNR for other kinds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Scores {
    /// How many samples, or windows of large ones, were scored.
    pub samples: usize,
    /// The noisy input against the clean sample.
    pub noisy_db: f32,
    /// What the latent alone gives.
    pub strict_db: f32,
    /// What `/denoise` gives.
    pub full_db: f32,
    /// What a method without learning gives: sliding DCT with the noise it estimates, PCA for vectors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baseline_db: Option<f32>,
}

/// What a validation saw.
#[derive(Debug, Clone, Copy)]
pub(super) struct Glance {
    /// The score, dB.
    pub(super) shown: f32,
    /// What weights are compared by, dB.
    pub(super) judged: f32,
}

impl HeldOut {
    /// Pairs of `items`, by what is learnt; chance is fixed by `seed`.
    pub(super) fn new(items: &[&Item], learn: &Learn, seed: u64) -> Self {
        let each = (ENOUGH / items.len().max(1)).max(1);
        let items = &items[..items.len().min(MOST)];
        let scenes = Scenes::new(items);
        let mut pairs = Vec::new();
        for (i, item) in items.iter().enumerate() {
            let chance = |window: usize| Rng::new(seed, Purpose::Evaluate, (i * ENOUGH + window) as u64);
            let exact = |noisy: Sample| (noisy, item.clean.clone(), 0.0);
            let (noisy, target, variance) = match learn {
                Learn::Clean(corruption) => exact(item.corrupted(corruption, seed, i as u64)),
                Learn::Pairs => exact(item.noisy.clone().unwrap_or_else(|| item.clean.clone())),
                Learn::Repeats => match scenes.rest(item) {
                    Some((mean, variance)) => (item.clean.clone(), mean, variance),
                    None => continue,
                },
                Learn::Neighbors | Learn::Hidden(..) => {
                    let noise = quality::estimate_sigma(item.clean.data(), item.clean.shape());
                    (item.clean.clone(), item.clean.clone(), f64::from(noise).powi(2))
                }
            };
            // Neighbours halve a window.
            let side = if *learn == Learn::Neighbors { 2 } else { 1 };
            for (w, area) in windows(item.clean.shape(), each, side).iter().enumerate() {
                let (noisy, target) = (cut(&noisy, area), cut(&target, area));
                pairs.extend(match learn {
                    Learn::Neighbors => Pair::halves(&target, variance, &mut chance(w)),
                    Learn::Hidden(down, right) => Some(Pair::hidden(target, (*down, *right), &mut chance(w))),
                    _ => Some(Pair { noisy, target, variance, weights: None }),
                });
            }
        }
        Self { pairs, pca: None }
    }

    /// Fits PCA with `k` components to the vectors trained on, to be the classical method.
    pub(super) fn fit_pca(&mut self, train: &[&Item], k: usize) {
        let Some(Shape::Vector { features }) = train.first().map(|item| item.clean.shape()) else { return };
        // The covariance of longer ones would take longer than the training.
        if features <= 512 {
            let points: Vec<f32> =
                train.iter().take(1 << 14).flat_map(|item| item.clean.data().iter().copied()).collect();
            self.pca = Some((Pca::fit(&points, features, k.min(features)), k.min(features)));
        }
    }

    /// Whether the scores are estimates, for want of clean samples.
    pub(super) fn is_estimate(&self) -> bool {
        self.pairs.iter().any(|pair| pair.variance > 0.0)
    }

    /// How many pairs there are.
    pub(super) fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Scores what `/denoise` gives on the first pairs only: for use while training goes on.
    ///
    /// # Errors
    /// The samples do not fit the model, or its results are not finite.
    pub(super) fn glance(&self, session: &Session) -> Result<Glance, Error> {
        let mut tally = Tally::default();
        for pair in self.pairs.iter().take(ENOUGH) {
            let full = session.denoise(&pair.noisy, &Options::default())?;
            tally.add(pair, full.sample.data());
        }
        Ok(Glance { shown: tally.decibels(), judged: tally.judged() })
    }

    /// Mean scores of a model, and of the classical method where `beside` says so.
    ///
    /// # Errors
    /// The samples do not fit the model.
    pub(super) fn score(&self, session: &Session, beside: bool) -> Result<Scores, Error> {
        let mut tallies: [Tally; 4] = Default::default();
        for pair in &self.pairs {
            let denoise = |mode| session.denoise(&pair.noisy, &Options { mode, ..Options::default() });
            let (strict, full) = (denoise(Mode::Strict)?, denoise(Mode::Full)?);
            let baseline = beside.then(|| self.classical(&pair.noisy)).flatten();
            let results = [
                Some(pair.noisy.data()),
                Some(strict.sample.data()),
                Some(full.sample.data()),
                baseline.as_deref(),
            ];
            for (tally, data) in tallies.iter_mut().zip(results) {
                data.into_iter().for_each(|data| tally.add(pair, data));
            }
        }
        let [noisy, strict, full, baseline] = tallies;
        Ok(Scores {
            samples: self.pairs.len(),
            noisy_db: noisy.decibels(),
            strict_db: strict.decibels(),
            full_db: full.decibels(),
            baseline_db: (baseline.count > 0).then(|| baseline.decibels()),
        })
    }

    /// What the classical method makes of a sample.
    fn classical(&self, noisy: &Sample) -> Option<Vec<f32>> {
        if noisy.shape().kind() == Kind::Vector {
            return self.pca.as_ref().map(|(pca, k)| pca.rebuild(&pca.project(noisy.data(), *k)));
        }
        let sigma = quality::estimate_sigma(noisy.data(), noisy.shape());
        Some(quality::denoise_dct(noisy.data(), noisy.shape(), sigma))
    }

    /// The middle of the first held-out sample, before and after the model.
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

    /// What is typical of samples like these.
    ///
    /// # Errors
    /// The samples do not fit the model.
    pub(super) fn calibrate(&self, session: &Session) -> Result<Option<Familiarity>, Error> {
        let features = self.pairs.iter().map(|pair| session.features(&pair.noisy));
        Ok(familiarity::calibrate(&features.collect::<infer::Result<Vec<_>>>()?))
    }
}

impl Pair {
    /// One half of the places, to be held against the other.
    fn halves(sample: &Sample, variance: f64, rng: &mut Rng) -> Option<Self> {
        let half = Neighbors::half(sample.shape())?;
        let [noisy, target] = Neighbors::draw(sample.shape(), rng)?.pick(sample.data());
        let sample = |data| Sample::new(half, data).expect("a part of a sample is one");
        Some(Self { noisy: sample(noisy), target: sample(target), variance, weights: None })
    }

    /// The sample with places hidden, to be held against what stood there.
    fn hidden(target: Sample, reach: (usize, usize), rng: &mut Rng) -> Self {
        let mut data = target.data().to_vec();
        let weights = hide(&mut data, target.shape(), reach, rng);
        let noisy = Sample::new(target.shape(), data).expect("finite numbers were moved");
        // Noise that is correlated hides from differences of neighbours, but not from its spectrum.
        let variance = f64::from(quality::noise_correlation(target.data(), target.shape()).power);
        Self { noisy, target, variance, weights: Some(weights) }
    }

    /// The mean squared difference from the target, and the power that an error is held against: 1 for images
    /// (PSNR), the target's own for other kinds (SNR).
    fn errors(&self, result: &[f32]) -> (f64, f64) {
        let target = self.target.data();
        let square = |(i, (t, r)): (usize, (&f32, &f32))| {
            f64::from(t - r).powi(2) * self.weights.as_ref().map_or(1.0, |weights| f64::from(weights[i]))
        };
        let seen = target.iter().zip(result).enumerate().map(square).sum::<f64>() / target.len() as f64;
        let power = match self.target.shape().kind() {
            Kind::Image => 1.0,
            _ => {
                let power = f64::from(self.target.stats().std).powi(2);
                (power - self.variance).max(SUREST * power)
            }
        };
        (seen, power)
    }
}

/// The errors of one method over all pairs.
#[derive(Debug, Default)]
struct Tally {
    count: usize,
    /// Of exact scores.
    decibels: f64,
    /// Differences from noisy targets, the variance of their noise, and the power they are held against.
    seen: f64,
    variance: f64,
    power: f64,
}

impl Tally {
    fn add(&mut self, pair: &Pair, result: &[f32]) {
        let (seen, power) = pair.errors(result);
        self.count += 1;
        self.seen += seen;
        self.variance += pair.variance;
        self.power += power;
        // Capped so that a perfect sample does not make a mean infinite.
        self.decibels += (10.0 * (power / seen.max(f64::MIN_POSITIVE)).log10()).min(100.0);
    }

    /// The mean of the pairs' scores. Estimates are too rough for that one by one, so their errors are added up
    /// first.
    fn decibels(&self) -> f32 {
        if self.variance == 0.0 {
            return (self.decibels / self.count.max(1) as f64) as f32;
        }
        let error = (self.seen - self.variance).max(SUREST * self.variance);
        (10.0 * (self.power / error).log10()) as f32
    }

    /// Grows and falls with the score, and stays calm where an estimate nears an error of nothing.
    fn judged(&self) -> f32 {
        if self.variance == 0.0 { self.decibels() } else { (10.0 * (self.power / self.seen).log10()) as f32 }
    }
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

    /// The mean of the other repeats of an item's scene, and the variance of the noise left in it, which the
    /// differences of repeats tell.
    fn rest(&self, item: &Item) -> Option<(Sample, f64)> {
        let all = self.0.get(&(item.scene(), item.clean.shape().dims()))?;
        let others: Vec<&[f32]> =
            all.iter().filter(|other| other.name != item.name).map(|other| other.clean.data()).collect();
        let count = others.len();
        if count == 0 {
            return None;
        }
        let mean: Vec<f32> = (0..item.clean.data().len())
            .map(|i| others.iter().map(|other| other[i]).sum::<f32>() / count as f32)
            .collect();
        // A repeat less the mean of n others has (1 + 1/n) times the variance of one.
        let apart = quality::mse(item.clean.data(), &mean);
        let variance = f64::from(apart) / (1.0 + 1.0 / count as f64);
        Some((Sample::new(item.clean.shape(), mean).ok()?, variance / count as f64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Items of one clean image under noise of 25 of 255.
    fn noisy(count: usize) -> (Sample, Vec<Item>) {
        let pixel = |i: usize| 0.5 + 0.3 * (0.05 * (i % 96) as f32).sin() * (0.03 * (i / 96) as f32).cos();
        let clean = Sample::new(Shape::image(1, 96, 96), (0..96 * 96).map(pixel).collect()).unwrap();
        let item = Item { name: String::new(), clean: clean.clone(), noisy: None };
        let one = |i: usize| {
            let clean = item.corrupted(&crate::corruption::Corruption::white(25.0), 7, i as u64);
            Item { name: format!("a/{i}"), clean, noisy: None }
        };
        (clean, (0..count).map(one).collect())
    }

    /// The estimate from noisy samples alone against the truth: a result with a known error.
    #[test]
    fn scores_without_clean_samples_are_near_the_true_ones() {
        let (clean, items) = noisy(5);
        let all: Vec<&Item> = items.iter().collect();
        let truth = -10.0 * (0.02f32 * 0.02).log10();
        for learn in [Learn::Repeats, Learn::Hidden(0, 0)] {
            let held_out = HeldOut::new(&all, &learn, 1);
            assert!(held_out.is_estimate());
            let mut tally = Tally::default();
            for pair in &held_out.pairs {
                let off: Vec<f32> = clean
                    .data()
                    .iter()
                    .enumerate()
                    .map(|(i, v)| v + if i % 2 == 0 { 0.02 } else { -0.02 })
                    .collect();
                tally.add(pair, &off);
            }
            let seen = tally.decibels();
            assert!((seen - truth).abs() < 1.5, "{learn:?}: {seen} for {truth}");
        }
        // Neighbours differ by content too, but a smooth image has little between them.
        let held_out = HeldOut::new(&all, &Learn::Neighbors, 1);
        let half = Neighbors::half(clean.shape()).unwrap();
        assert_eq!(held_out.pairs[0].noisy.shape(), half);
        let db = |pair: &Pair| {
            let mut tally = Tally::default();
            tally.add(pair, pair.noisy.data());
            tally.decibels()
        };
        let noisy_db = db(&held_out.pairs[0]);
        assert!((noisy_db - 20.2).abs() < 1.0, "{noisy_db}");
    }

    #[test]
    fn clean_truth_is_exact() {
        let (clean, items) = noisy(1);
        let pair = Item { name: "a".into(), noisy: Some(items[0].clean.clone()), clean };
        let held_out = HeldOut::new(&[&pair], &Learn::Pairs, 1);
        assert!(!held_out.is_estimate());
        let mut tally = Tally::default();
        tally.add(&held_out.pairs[0], held_out.pairs[0].noisy.data());
        let db = tally.decibels();
        assert!((db - quality::psnr(pair.clean.data(), items[0].clean.data())).abs() < 1e-3);
    }
}
