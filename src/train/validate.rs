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

mod pair;
mod scenes;
mod tally;

use serde::Serialize;

use super::Error;
use super::window::{cut, middle, windows};
use crate::dataset::{Item, Learn};
use crate::infer::{self, Options, Session, familiarity};
use crate::nn::model::Normalize;
use crate::quality::{self, NoiseCurve, Patches, Pca};
use crate::registry::Familiarity;
use crate::rng::{Purpose, Rng};
use crate::sample::{Kind, Sample, Shape, Stats};
use pair::{Pair, from_units, in_units, variance_of};
use scenes::Scenes;
use tally::Tally;

/// Largest number of held-out samples scored.
const MOST: usize = 64;

/// Number of pairs scored during training. If there are only a few large images, several windows of each make up about this
/// many pairs.
const ENOUGH: usize = 24;

/// Difference of the residual correlation errors up to which two models count as equal.
const ROUGHER: f32 = 0.15;

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
        Tally::new(self.ink_weight)
    }

    /// Scores `/denoise` on the first pairs only, for use during training.
    ///
    /// # Errors
    /// The samples do not fit the model, or its results are not finite.
    pub(super) fn glance(&self, session: &Session) -> Result<Glance, Error> {
        let mut tally = self.tally();
        for pair in self.pairs.iter().take(ENOUGH) {
            let denoise = |sample: &Sample| session.denoise(sample, &Options::default());
            let (whole, moved) = (denoise(&pair.noisy)?, pair.probe.as_ref().map(denoise).transpose()?);
            tally.add(pair, whole.sample.data(), moved.as_ref().map(|moved| moved.sample.data()));
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
            let stages = |sample: &Sample| session.stages(sample, &Options::default());
            let (whole, moved) = (stages(&pair.noisy)?, pair.probe.as_ref().map(stages).transpose()?);
            noisy.add(pair, pair.noisy.data(), pair.probe.as_ref().map(Sample::data));
            strict.add(pair, whole.strict.data(), moved.as_ref().map(|moved| moved.strict.data()));
            full.add(pair, whole.full.sample.data(), moved.as_ref().map(|moved| moved.full.sample.data()));
            if let Some(correlation) = pair.correlation {
                apart.push(pair.residual(whole.full.sample.data(), correlation));
            }
            if beside && let Some(result) = self.classical(&pair.noisy) {
                let moved = pair.probe.as_ref().and_then(|probe| self.classical(probe));
                baseline.add(pair, &result, moved.as_deref());
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

#[cfg(test)]
mod tests;
