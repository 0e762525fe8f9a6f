//! Training schemes: kind of the samples, and source of inputs and targets.

use std::collections::BTreeMap;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Error;
use super::config::invalid;
use super::noise::{described, image_noise, is_white, signal_noise, typical_noise};
use crate::dataset::{Dataset, Item};
use crate::sample::{Kind, Sample, Shape};

/// Kind of the samples, which determines inputs and targets of the training.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ValueEnum, ToSchema)]
#[serde(rename_all = "lowercase")]
#[value(rename_all = "lower")]
pub enum Scheme {
    /// Chosen from the samples.
    #[default]
    Auto,
    /// Clean samples, to which a corruption is added.
    Clean,
    /// Noisy samples with their clean counterparts.
    Pairs,
    /// Several noisy samples of each scene, one folder per scene.
    Repeats,
    /// Noisy samples only.
    Noisy,
}

impl Scheme {
    /// Returns the name of the scheme in a config.
    pub fn name(self) -> &'static str {
        match self {
            Scheme::Auto => "auto",
            Scheme::Clean => "clean",
            Scheme::Pairs => "pairs",
            Scheme::Repeats => "repeats",
            Scheme::Noisy => "noisy",
        }
    }
}

/// Median noise estimate above which images count as noisy, in 1/255 of the range of their own values. Of 35 photographs of
/// BSDS, which are clean, the median estimate is 0.9 and the largest 5.5.
const NOISY_IMAGES: f32 = 5.0;

/// The same for signals, in standard deviations of the signal. The estimate counts fine structure of a clean signal as noise,
/// so this threshold is high.
const NOISY_SIGNALS: f32 = 0.3;

/// The same for signals in which it is white: fine structure of clean signals fades towards high frequencies. Of the clean
/// leads of the MIT-BIH arrhythmia database, the columns of ETT and those of NAB, none is both white and above it.
const WHITE_SIGNALS: f32 = 0.1;

/// Smallest correlation between block means of two repeats of a scene.
const ALIKE: f64 = 0.95;

/// Number of pairs of neighbouring samples in a folder that are compared.
const COMPARED: usize = 4;

/// Largest ratio of the variance of block means to that of white noise, for the difference of two repeats of a signal.
const COURSE: f64 = 4.0;

/// Number of blocks per axis into which samples of any size are divided for comparison.
const BLOCKS: usize = 12;

/// Returns the scheme for these samples, and the reason.
///
/// # Errors
/// The stated scheme does not fit the samples.
pub(super) fn choose(asked: Scheme, dataset: &Dataset) -> Result<(Scheme, String), Error> {
    let items = &dataset.items;
    let (all, pairs) = (items.len(), items.iter().filter(|item| item.noisy.is_some()).count());
    match asked {
        Scheme::Clean => Ok((Scheme::Clean, "as asked".into())),
        Scheme::Pairs if pairs == all => Ok((Scheme::Pairs, "as asked".into())),
        Scheme::Auto if pairs == all => Ok((Scheme::Pairs, format!("every one of {all} samples is a pair"))),
        Scheme::Pairs => Err(invalid(
            "samples",
            format!(
                "{pairs} of {all} samples have a noisy twin; pairs need noisy/NAME and clean/NAME for each"
            ),
        )),
        Scheme::Auto if pairs > 0 => Err(invalid(
            "samples",
            format!("{pairs} of {all} samples are pairs and the rest are not; train on them apart"),
        )),
        Scheme::Repeats => {
            let scenes = scenes(items);
            match scenes.values().find(|repeats| repeats.len() < 2) {
                None => Ok((Scheme::Repeats, format!("as asked; {}", counted(&scenes)))),
                Some(lonely) => Err(invalid(
                    "samples",
                    format!(
                        "{} has no repeat: repeats of one scene must share a folder and a shape",
                        lonely[0].name
                    ),
                )),
            }
        }
        Scheme::Noisy => {
            check_noisy(dataset).map(|()| (Scheme::Noisy, format!("as asked; {}", described(items))))
        }
        Scheme::Auto => match dataset.unmatched_halves() {
            None => Ok(look(dataset)),
            Some((noisy, clean)) => Err(invalid(
                "scheme",
                format!(
                    "{noisy} and {clean} look like halves of pairs by their folders, but no two names are alike: name twins \
                     alike for pairs, or say scheme clean or noisy"
                ),
            )),
        },
    }
}

fn check_noisy(dataset: &Dataset) -> Result<(), Error> {
    if dataset.is_pairs() {
        let reason = "the samples are pairs, which teach more than noisy samples alone; use scheme pairs";
        return Err(invalid("scheme", reason.into()));
    }
    if dataset.kind() == Some(Kind::Vector) {
        let reason = "the numbers of a vector are no neighbours, so noise cannot be told from content; train \
                      on clean vectors, on pairs or on repeats";
        return Err(invalid("scheme", reason.into()));
    }
    Ok(())
}

/// Chooses between repeats, clean and noisy samples by examining them.
fn look(dataset: &Dataset) -> (Scheme, String) {
    let items = &dataset.items;
    let scenes = scenes(items);
    let are_repeats = |repeats: &Vec<&Item>| {
        repeats.len() >= 2 && repeats.windows(2).take(COMPARED).all(|two| alike(two[0], two[1]))
    };
    if scenes.values().all(are_repeats) {
        let reason = format!(
            "the samples of each folder show one scene: {}; --scheme clean overrides",
            counted(&scenes)
        );
        return (Scheme::Repeats, reason);
    }
    let taken = format!("{} samples without a noisy twin are taken as", items.len());
    let (sigma, mark, unit) = match dataset.kind() {
        Some(Kind::Image) => (typical_noise(items, image_noise), NOISY_IMAGES, "of 255 of their own range"),
        Some(Kind::Signal) => {
            let mark = if is_white(items) { WHITE_SIGNALS } else { NOISY_SIGNALS };
            (typical_noise(items, signal_noise), mark, "deviations of the signal")
        }
        _ => return (Scheme::Clean, format!("{taken} clean")),
    };
    let numbers = format!("their noise is estimated at {sigma:.2} {unit} in the median");
    if sigma > mark {
        let reason =
            format!("{taken} noisy: {numbers}, above {mark}; scheme clean overrides; {}", described(items));
        return (Scheme::Noisy, reason);
    }
    (Scheme::Clean, format!("{taken} clean: {numbers}, not above {mark}; scheme noisy overrides"))
}

/// Groups items by folder and shape.
fn scenes(items: &[Item]) -> BTreeMap<(&str, Vec<usize>), Vec<&Item>> {
    let mut scenes: BTreeMap<(&str, Vec<usize>), Vec<&Item>> = BTreeMap::new();
    for item in items {
        scenes.entry((item.scene(), item.clean.shape().dims())).or_default().push(item);
    }
    scenes
}

fn counted(scenes: &BTreeMap<(&str, Vec<usize>), Vec<&Item>>) -> String {
    let repeats: usize = scenes.values().map(Vec::len).sum();
    format!("{repeats} repeats of {} scene(s)", scenes.len())
}

/// Returns `true` if two samples differ only by noise.
fn alike(a: &Item, b: &Item) -> bool {
    let (a, b) = (&a.clean, &b.clean);
    if a.data() == b.data() || a.shape().kind() == Kind::Vector {
        return false;
    }
    let kind = a.shape().kind();
    let numbers = a.data().len() / a.shape().channels();
    let (means_a, means_b) = (block_means(a), block_means(b));
    let each = means_a.len() / a.shape().channels();
    let channels = means_a.chunks(each).zip(means_b.chunks(each));
    let planes = a.data().chunks(numbers).zip(b.data().chunks(numbers));
    // Compared per channel: the different units of sensors alone would correlate.
    channels.zip(planes).all(|(means, planes)| {
        correlate(means.0, means.1) && (kind == Kind::Image || differ_by_noise(means, planes))
    })
}

/// Returns `true` if the block means of a channel are correlated, or if one of them is constant.
fn correlate(a: &[f64], b: &[f64]) -> bool {
    let n = a.len() as f64;
    let (mean_a, mean_b) = (a.iter().sum::<f64>() / n, b.iter().sum::<f64>() / n);
    let (mut product, mut power_a, mut power_b) = (0.0, 0.0, 0.0);
    for (a, b) in a.iter().zip(b) {
        product += (a - mean_a) * (b - mean_b);
        power_a += (a - mean_a).powi(2);
        power_b += (b - mean_b).powi(2);
    }
    product >= ALIKE * (power_a * power_b).sqrt()
}

/// Returns `true` if two signals differ by noise, which averages out in block means, and not by their course: days of one
/// sensor are correlated, but are not repeats.
fn differ_by_noise((means_a, means_b): (&[f64], &[f64]), (a, b): (&[f32], &[f32])) -> bool {
    let variance = |all: &[f64]| {
        let mean = all.iter().sum::<f64>() / all.len() as f64;
        all.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / all.len() as f64
    };
    let of_means: Vec<f64> = means_a.iter().zip(means_b).map(|(a, b)| a - b).collect();
    let of_steps: Vec<f64> = a.iter().zip(b).map(|(a, b)| f64::from(a - b)).collect();
    let in_block = (a.len() / means_a.len()).max(1) as f64;
    variance(&of_means) * in_block <= COURSE * variance(&of_steps)
}

/// Returns means over a grid of blocks, in which noise averages out.
fn block_means(sample: &Sample) -> Vec<f64> {
    let (height, width) = match sample.shape() {
        Shape::Image { height, width, .. } => (height, width),
        Shape::Signal { length, .. } => (1, length),
        Shape::Vector { features } => (1, features),
    };
    let (rows, columns) = (BLOCKS.min(height), (BLOCKS * BLOCKS / BLOCKS.min(height)).min(width));
    let mut sums = vec![(0.0, 0usize); rows * columns * sample.shape().channels()];
    for (c, plane) in sample.data().chunks_exact(height * width).enumerate() {
        for (i, value) in plane.iter().enumerate() {
            let (y, x) = (i / width * rows / height, i % width * columns / width);
            let (sum, count) = &mut sums[(c * rows + y) * columns + x];
            *sum += f64::from(*value);
            *count += 1;
        }
    }
    sums.into_iter().map(|(sum, count)| sum / count.max(1) as f64).collect()
}

#[cfg(test)]
mod tests;
