//! Training schemes: kind of the samples, and source of inputs and targets.

use std::collections::BTreeMap;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Error;
use super::config::invalid;
use crate::dataset::{Dataset, Item};
use crate::quality::{self, Correlation, Evenness};
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

/// Number of samples examined to estimate noise and its correlation.
const LOOKED_AT: usize = 32;

/// Median noise estimate above which images count as noisy, in 1/255 of the range of their own values. Of 35 photographs of
/// BSDS, which are clean, the median estimate is 0.9 and the largest 5.5.
const NOISY_IMAGES: f32 = 5.0;

/// The same for signals, in standard deviations of the signal. The estimate counts fine structure of a clean signal as noise,
/// so this threshold is high.
const NOISY_SIGNALS: f32 = 0.3;

/// The same for signals in which it is white: fine structure of clean signals fades towards high frequencies. Of the clean
/// leads of the MIT-BIH arrhythmia database, the columns of ETT and those of NAB, none is both white and above it.
const WHITE_SIGNALS: f32 = 0.1;

/// Shortest signal with a spectrum good enough to find that noise is white.
const SPECTRUM: usize = 256;

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
                None => Ok((Scheme::Repeats, format!("as asked; {}", told(&scenes)))),
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
            check_noisy(dataset).map(|()| (Scheme::Noisy, format!("as asked; {}", spoken(items))))
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
        let reason =
            format!("the samples of each folder show one scene: {}; --scheme clean overrides", told(&scenes));
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
            format!("{taken} noisy: {numbers}, above {mark}; scheme clean overrides; {}", spoken(items));
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

fn told(scenes: &BTreeMap<(&str, Vec<usize>), Vec<&Item>>) -> String {
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
fn image_noise(image: &Sample) -> f32 {
    let range = image.span();
    if range > 0.0 { 255.0 * quality::estimate_sigma(&image.known(), image.shape()) / range } else { 0.0 }
}

/// Estimates the noise of a signal in standard deviations of each channel; mean over the channels that vary.
fn signal_noise(signal: &Sample) -> f32 {
    let units = signal.channel_stats();
    let share = |(sigma, unit): (f32, &crate::sample::Stats)| (unit.std > 0.0).then(|| sigma / unit.std);
    let shares: Vec<f32> =
        quality::estimate_noise(signal).into_iter().zip(&units).filter_map(share).collect();
    shares.iter().sum::<f32>() / shares.len().max(1) as f32
}

/// Returns `true` if the fine structure of at least half of the signals is white in each channel that varies.
fn is_white(items: &[Item]) -> bool {
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
fn typical_noise(items: &[Item], estimate: impl Fn(&Sample) -> f32) -> f32 {
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
        Self::told(&correlation(items), evenness(items))
    }

    fn told(correlation: &Correlation, evenness: Option<Evenness>) -> Self {
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
fn spoken(items: &[Item]) -> String {
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
    let how = match Noise::told(&seen, evenness) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corruption::Corruption;

    /// Returns an image of waves with noise of `sigma`.
    fn picture(name: &str, scene: usize, sigma: f32, draw: u64) -> Item {
        let pixel = |i: usize| {
            0.5 + 0.3
                * (0.04 * (1 + scene % 3) as f32 * (i % 64) as f32 + (i / 64) as f32 * 0.07 + scene as f32)
                    .sin()
        };
        let clean = Sample::new(Shape::image(1, 64, 64), (0..4096).map(pixel).collect()).unwrap();
        let clean = Item { name: name.into(), clean, noisy: None };
        Item { clean: clean.corrupted(&Corruption::white(sigma), 1, draw).0, ..clean }
    }

    fn chosen(items: Vec<Item>) -> (Scheme, String) {
        choose(Scheme::Auto, &Dataset { items, skipped: vec![] }).unwrap()
    }

    #[test]
    fn samples_are_clean_noisy_or_repeats_by_what_they_show() {
        let (scheme, reason) = chosen((0..6).map(|i| picture(&format!("{i}"), i, 0.5, 0)).collect());
        assert_eq!(scheme, Scheme::Clean, "{reason}");
        assert!(reason.contains("scheme noisy overrides"), "{reason}");
        let (scheme, reason) = chosen((0..6).map(|i| picture(&format!("{i}"), i, 25.0, i as u64)).collect());
        assert_eq!(scheme, Scheme::Noisy, "{reason}");
        assert!(reason.contains("white and even"), "{reason}");
        let repeats =
            (0..6).map(|i| picture(&format!("scene{}/{i}", i / 3), i / 3, 25.0, i as u64)).collect();
        let (scheme, reason) = chosen(repeats);
        assert_eq!(scheme, Scheme::Repeats, "{reason}");
        assert!(reason.contains("6 repeats of 2 scene(s)"), "{reason}");
    }

    #[test]
    fn days_of_sensors_are_no_repeats_and_recordings_of_one_beat_are() {
        let signal = |i: usize, phase: f32| {
            let clean = |c: usize, t: f32| {
                if c == 0 { 20.0 + (0.01 * t + phase).sin() } else { 1013.0 + 4.0 * (0.02 * t).cos() }
            };
            let data = (0..2880).map(|j| clean(j / 1440, (j % 1440) as f32)).collect();
            let shape = Shape::Signal { channels: 2, length: 1440 };
            let clean = Sample::new(shape, data).unwrap();
            let units = clean.channel_stats();
            let item = Item { name: format!("set/{i}"), clean, noisy: None };
            Item { clean: item.corrupted_in(&Corruption::white(0.5), &units, 1, i as u64).0, ..item }
        };
        let (scheme, reason) = chosen((0..5).map(|i| signal(i, 0.3 * i as f32)).collect());
        assert_eq!(scheme, Scheme::Noisy, "{reason}");
        let (scheme, reason) = chosen((0..5).map(|i| signal(i, 0.0)).collect());
        assert_eq!(scheme, Scheme::Repeats, "{reason}");
    }

    #[test]
    fn weak_white_noise_makes_a_signal_noisy_and_fine_structure_does_not() {
        let shape = Shape::Signal { channels: 2, length: 2000 };
        // A slow course in two units; with pulses of a few steps, as of a heart, when `sharp`.
        let clean = |sharp: bool, item: u64| {
            let value = |i: usize| {
                let t = (i % 2000) as f32 + 170.0 * item as f32;
                let pulse = if sharp { 3.0 * (-((t % 90.0) - 40.0).powi(2) / 8.0).exp() } else { 0.0 };
                (if i < 2000 { 20.0 } else { 1013.0 }) + (t / 80.0).sin() + 0.5 * (t / 23.0).sin() + pulse
            };
            Sample::new(shape, (0..4000).map(value).collect()).unwrap()
        };
        let item = |sharp: bool, sigma: f32, i: u64| {
            let clean = clean(sharp, i);
            let units = clean.channel_stats();
            let item = Item { name: format!("{i}"), clean, noisy: None };
            Item { clean: item.corrupted_in(&Corruption::white(sigma), &units, 1, i).0, ..item }
        };
        let scheme = |sharp, sigma| chosen((0..3).map(|i| item(sharp, sigma, i)).collect());
        let (seen, reason) = scheme(false, 0.2);
        assert_eq!(seen, Scheme::Noisy, "{reason}");
        for (sharp, sigma) in [(false, 0.0), (true, 0.0), (false, 0.03)] {
            let (seen, reason) = scheme(sharp, sigma);
            assert_eq!(seen, Scheme::Clean, "{sharp} {sigma}: {reason}");
        }
    }

    #[test]
    fn doubles_are_no_repeats() {
        let items = (0..4).map(|i| picture(&format!("a/{i}"), 1, 0.5, 0)).collect();
        assert_eq!(chosen(items).0, Scheme::Clean);
    }

    #[test]
    fn what_does_not_fit_the_scheme_is_refused_by_name() {
        let refused =
            |scheme, items| choose(scheme, &Dataset { items, skipped: vec![] }).unwrap_err().to_string();
        let lonely = vec![picture("a/1", 0, 9.0, 0), picture("b/1", 1, 9.0, 1)];
        assert!(refused(Scheme::Repeats, lonely).contains("a/1 has no repeat"));
        let mut pair = picture("a", 0, 9.0, 0);
        pair.noisy = Some(pair.clean.clone());
        assert!(refused(Scheme::Noisy, vec![pair]).starts_with("scheme: "));
        let halves = vec![picture("gt/7", 0, 0.5, 0), picture("input/frame-7", 1, 9.0, 1)];
        let asks = refused(Scheme::Auto, halves);
        assert!(asks.contains("input/frame-7 and gt/7 look like halves of pairs"), "{asks}");
        let vector = Sample::new(Shape::Vector { features: 2 }, vec![1.0, 2.0]).unwrap();
        let vector = Item { name: "v".into(), clean: vector, noisy: None };
        assert!(refused(Scheme::Noisy, vec![vector]).contains("no neighbours"));
    }
}
