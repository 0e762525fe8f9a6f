//! Held-out truth: scores on samples that training never sees, through the code that serves.

use serde::Serialize;

use super::Error;
use crate::corruption::Corruption;
use crate::dataset::Item;
use crate::infer::{self, Mode, Options, Session, familiarity};
use crate::quality;
use crate::registry::Familiarity;
use crate::sample::{Kind, Sample, Shape};

/// Larger held-out images are scored on their middle: enough to rank models, quick enough to repeat.
const SIDE: usize = 256;

/// At most so many held-out samples are scored.
const MOST: usize = 64;

/// Fixed pairs to score on.
#[derive(Debug)]
pub(super) struct HeldOut {
    pairs: Vec<Pair>,
}

#[derive(Debug)]
struct Pair {
    noisy: Sample,
    clean: Sample,
}

/// Mean scores over the held-out samples, dB: PSNR for images, SNR for other kinds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Scores {
    /// How many samples were scored.
    pub samples: usize,
    /// The noisy input against the clean sample.
    pub noisy_db: f32,
    /// What the latent alone gives.
    pub strict_db: f32,
    /// What `/denoise` gives.
    pub full_db: f32,
}

impl HeldOut {
    /// Pairs of `items`: their own noisy twin, or `corruption` with noise fixed by `seed`.
    pub(super) fn new(items: &[&Item], corruption: &Corruption, seed: u64) -> Self {
        let pair = |(i, item): (usize, &&Item)| Pair {
            noisy: middle(&item.noisy_or(corruption, seed, i as u64)),
            clean: middle(&item.clean),
        };
        Self { pairs: items.iter().take(MOST).enumerate().map(pair).collect() }
    }

    /// Mean scores of a model.
    ///
    /// # Errors
    /// The samples do not fit the model.
    pub(super) fn score(&self, session: &Session) -> Result<Scores, Error> {
        let mut sums = [0f64; 3];
        for pair in &self.pairs {
            let denoise = |mode| session.denoise(&pair.noisy, &Options { mode, ..Options::default() });
            let (strict, full) = (denoise(Mode::Strict)?, denoise(Mode::Full)?);
            for (sum, sample) in sums.iter_mut().zip([&pair.noisy, &strict.sample, &full.sample]) {
                *sum += f64::from(decibels(&pair.clean, sample));
            }
        }
        let mean = |i: usize| (sums[i] / self.pairs.len().max(1) as f64) as f32;
        Ok(Scores { samples: self.pairs.len(), noisy_db: mean(0), strict_db: mean(1), full_db: mean(2) })
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

/// PSNR for images, SNR for other kinds; capped so that a perfect sample does not make a mean infinite.
fn decibels(clean: &Sample, other: &Sample) -> f32 {
    let score = if clean.shape().kind() == Kind::Image { quality::psnr } else { quality::snr };
    score(clean.data(), other.data()).min(100.0)
}

fn middle(sample: &Sample) -> Sample {
    let Shape::Image { channels, height, width } = sample.shape() else { return sample.clone() };
    if height <= SIDE && width <= SIDE {
        return sample.clone();
    }
    let (h, w) = (height.min(SIDE), width.min(SIDE));
    let (top, left) = ((height - h) / 2, (width - w) / 2);
    let rows = (0..channels).flat_map(|c| (0..h).map(move |y| (c * height + top + y) * width + left));
    let data = rows.flat_map(|start| sample.data()[start..start + w].iter().copied()).collect();
    Sample::new(Shape::image(channels, h, w), data).expect("a part of a sample is one")
}
