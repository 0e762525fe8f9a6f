//! Noise of the samples of a training: its strength, its type, and its description.

use serde::Serialize;
use utoipa::ToSchema;

use crate::dataset::{Dataset, Item};
use crate::quality::{self, Correlation, Evenness};
use crate::sample::{Kind, Sample, Shape, Stats};

/// Number of samples examined to estimate noise and its correlation.
const LOOKED_AT: usize = 32;

/// Shortest signal with a spectrum good enough to find that noise is white.
const SPECTRUM: usize = 256;

/// Returns up to [`LOOKED_AT`] items, evenly spaced.
fn some_items(items: &[Item]) -> impl Iterator<Item = &Item> {
    items.iter().step_by(items.len().div_ceil(LOOKED_AT).max(1))
}

/// Returns the samples of up to [`LOOKED_AT`] items, evenly spaced.
fn some(items: &[Item]) -> impl Iterator<Item = &Sample> {
    some_items(items).map(|item| &item.clean)
}

/// Estimates the noise of an image in 1/255 of the range of its own values: a 12-bit camera uses a sixteenth of the range of
/// a 16-bit file.
pub(super) fn image_noise(image: &Sample) -> f32 {
    let range = image.span();
    if range > 0.0 { 255.0 * quality::estimate_sigma(&image.known(), image.shape()) / range } else { 0.0 }
}

/// Estimates the noise of a signal in standard deviations of each channel; mean over the channels that vary.
pub(super) fn signal_noise(signal: &Sample) -> f32 {
    let units = signal.channel_stats();
    let share = |(sigma, unit): (f32, &Stats)| (unit.std > 0.0).then(|| sigma / unit.std);
    let shares: Vec<f32> =
        quality::estimate_noise(signal).into_iter().zip(&units).filter_map(share).collect();
    shares.iter().sum::<f32>() / shares.len().max(1) as f32
}

/// Returns `true` if the fine structure of at least half of the signals is white in each channel that varies.
pub(super) fn is_white(items: &[Item]) -> bool {
    let one = |signal: &Sample| {
        let Shape::Signal { length, .. } = signal.shape() else { return false };
        let shape = Shape::Signal { channels: 1, length };
        let known = signal.known();
        let varying =
            known.chunks_exact(length).zip(signal.channel_stats()).filter(|(_, unit)| unit.std > 0.0);
        let mut reaches = varying.map(|(channel, _)| quality::noise_correlation(channel, shape).reach());
        length >= SPECTRUM && reaches.all(|reach| reach == (0, 0))
    };
    let all: Vec<bool> = some(items).map(one).collect();
    2 * all.iter().filter(|white| **white).count() >= all.len()
}

/// Returns the median of the noise estimates.
pub(super) fn typical_noise(items: &[Item], estimate: impl Fn(&Sample) -> f32) -> f32 {
    let mut all: Vec<f32> = some(items).map(estimate).collect();
    all.sort_by(f32::total_cmp);
    all.get(all.len() / 2).copied().unwrap_or(0.0)
}

/// Type of noise, which determines the training without clean samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Noise {
    /// White and of uniform strength.
    Even,
    /// White, of varying or unknown strength.
    White,
    /// Correlated over this many steps down and to the right.
    Correlated(usize, usize),
}

impl Noise {
    /// Estimates the type of noise from some of the samples.
    pub(super) fn of(items: &[Item]) -> Self {
        Self::of_seen(&correlation(items), evenness(items))
    }

    fn of_seen(correlation: &Correlation, evenness: Option<Evenness>) -> Self {
        match correlation.reach() {
            (0, 0) if evenness.is_some_and(|evenness| evenness.is_even()) => Noise::Even,
            (0, 0) => Noise::White,
            (down, right) => Noise::Correlated(down, right),
        }
    }
}

fn correlation(items: &[Item]) -> Correlation {
    let of = |sample: &Sample| quality::noise_correlation(&sample.known(), sample.shape());
    Correlation::mean(&some(items).map(of).collect::<Vec<_>>())
}

fn evenness(items: &[Item]) -> Option<Evenness> {
    let of = |sample: &Sample| quality::noise_evenness(&sample.known(), sample.shape());
    Evenness::median(&some(items).filter_map(of).collect::<Vec<_>>())
}

/// Statistics of the noise in the samples.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct NoiseSeen {
    /// Strength in the median sample, in `unit`.
    pub level: f32,
    /// `of 255 of their own range` or `deviations of the signal`.
    pub unit: &'static str,
    /// Standard deviation of the noise per channel, median over the samples, on the samples' own scale.
    pub channels: Vec<f32>,
    /// Correlation of adjacent noise values down and to the right, -1 to 1.
    pub correlation: [f32; 2],
    /// Ratio of the strength in bright and in dark areas; none if it cannot be estimated.
    pub rise: Option<f32>,
    /// Outliers relative to those of normal noise; none if they cannot be estimated.
    pub tails: Option<f32>,
}

/// Estimates the noise of some of the samples (of the noisy halves of pairs); none for vectors.
pub(super) fn noise_seen(dataset: &Dataset) -> Option<NoiseSeen> {
    let noisy: Vec<Item> = some_items(&dataset.items)
        .map(|item| Item {
            name: String::new(),
            clean: item.noisy.clone().unwrap_or_else(|| item.clean.clone()),
            noisy: None,
        })
        .collect();
    let (level, unit) = match dataset.kind()? {
        Kind::Image => (typical_noise(&noisy, image_noise), "of 255 of their own range"),
        Kind::Signal => (typical_noise(&noisy, signal_noise), "deviations of the signal"),
        Kind::Vector => return None,
    };
    let each: Vec<Vec<f32>> = noisy.iter().map(|item| quality::estimate_noise(&item.clean)).collect();
    let channel = |c: usize| {
        let mut all: Vec<f32> = each.iter().filter_map(|sigmas| sigmas.get(c).copied()).collect();
        all.sort_by(f32::total_cmp);
        all[all.len() / 2]
    };
    let (seen, evenness) = (correlation(&noisy), evenness(&noisy));
    Some(NoiseSeen {
        level,
        unit,
        channels: (0..dataset.channels()).map(channel).collect(),
        correlation: [seen.down[0], seen.right[0]],
        rise: evenness.map(|e| e.rise),
        tails: evenness.map(|e| e.tails),
    })
}

/// Describes the noise and the training method that follows from it.
pub(super) fn described(items: &[Item]) -> String {
    let (seen, evenness) = (correlation(items), evenness(items));
    let spread = evenness.map_or_else(
        || "too few places to tell how it is spread".to_owned(),
        |e| {
            format!(
                "{:.2} times as strong in bright places as in dark ones, outliers {:.2} times those of normal noise",
                e.rise, e.tails
            )
        },
    );
    let how = match Noise::of_seen(&seen, evenness) {
        Noise::Even => format!(
            "white and even ({spread}), so noise of the same strength is added to one copy and taken off another \
             (Recorrupted2Recorrupted)"
        ),
        Noise::White => format!(
            "white ({spread}), so neighbours are compared (Neighbor2Neighbor), or places hidden (Noise2Void) where \
             the model takes one size alone"
        ),
        Noise::Correlated(down, right) => format!(
            "correlated over {down} step(s) down and {right} to the right, so places are hidden with their \
             neighbours that far (structured Noise2Void)"
        ),
    };
    format!(
        "correlation of the noise at lag 1: {:.2} down, {:.2} to the right: {how}",
        seen.down[0], seen.right[0]
    )
}
