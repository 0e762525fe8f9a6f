//! Scores of one sample.

use std::time::Instant;

use serde::Serialize;

use crate::corruption::{self, Corruption};
use crate::dataset::{self, Item};
use crate::infer::{self, Mode, Options, Session};
use crate::quality::{self, Shrinkage, Strokes};
use crate::rng::{Purpose, Rng};
use crate::sample::{Compared, Kind, Sample, Shape};

/// Source of the noise.
#[derive(Debug, Clone)]
pub(super) enum Noise {
    /// Noise of the samples themselves, which are pairs.
    Own,
    /// Noise added to clean samples; `sigma` is its strength if it is white.
    Made { corruption: Corruption, sigma: Option<f32> },
}

/// Similarity of a sample to the clean one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Nearness {
    /// PSNR of images, SNR of other kinds.
    pub db: f32,
    /// Structural similarity, for images.
    pub ssim: Option<f32>,
    /// Root mean squared error, on the sample's own scale.
    pub rmse: f32,
    /// Share of the ink that is still ink, for gray images with ink.
    pub ink_recall: Option<f32>,
    /// Share of the centre lines of the ink that is still ink, if requested.
    pub stroke_recall: Option<f32>,
}

/// Clean sample that results are compared with.
pub(super) struct Truth<'a> {
    clean: &'a Sample,
    /// Places of numbers that are missing neither in it nor in the noisy sample.
    compared: Compared,
    strokes: Option<Strokes>,
}

/// Scores of one sample.
#[derive(Debug, Clone)]
pub(super) struct Score {
    pub noisy: Nearness,
    pub dct: Option<Nearness>,
    /// Results of the other classical methods for signals, by name, in the order of [`METHODS`].
    pub classical: Vec<Nearness>,
    pub strict: Nearness,
    pub full: Nearness,
    /// Count of numbers in the sample, and in its latent.
    pub numbers: usize,
    pub latent: usize,
    /// Number of pixels of an image, or of time steps of a signal.
    pub places: usize,
    pub familiarity: Option<f32>,
    /// Duration of denoising in seconds; not compared between runs.
    pub seconds: f64,
}

/// Classical methods for signals besides the sliding DCT: names in tables.
pub(super) const METHODS: [&str; 4] =
    ["moving average", "Savitzky-Golay", "VisuShrink wavelet", "BayesShrink wavelet"];

/// Settings of the evaluation, the same for all samples.
pub(super) struct Task<'a> {
    pub session: &'a Session,
    pub options: Options,
    pub baseline: bool,
    /// `true` to score strokes.
    pub ink: bool,
}

impl Noise {
    /// Checks that the noise can be added to samples of `kind`.
    pub(super) fn check(&self, kind: Kind) -> Result<(), corruption::Error> {
        match self {
            Noise::Own => Ok(()),
            Noise::Made { corruption, .. } => corruption.check(kind),
        }
    }

    /// Returns its name in tables.
    pub(super) fn label(&self) -> String {
        match self {
            Noise::Own => "pairs".into(),
            Noise::Made { sigma: Some(sigma), .. } => format!("sigma {sigma}"),
            Noise::Made { corruption, .. } => serde_json::to_string(corruption).unwrap_or_default(),
        }
    }

    /// Returns the noisy version of a sample.
    pub(super) fn noisy(&self, item: &Item, seed: u64) -> Sample {
        self.pair(item, seed).0
    }

    /// Returns the noisy version of a sample and the clean target. The sample's own numbers choose the random stream, so that its
    /// noise does not depend on the other samples.
    pub(super) fn pair(&self, item: &Item, seed: u64) -> (Sample, Sample) {
        let Noise::Made { corruption, .. } = self else {
            return (item.noisy.clone().unwrap_or_else(|| item.clean.clone()), item.clean.clone());
        };
        let mut bytes = crc32fast::Hasher::new();
        item.clean.data().iter().for_each(|v| bytes.update(&v.to_le_bytes()));
        let mut rng = Rng::new(seed, Purpose::Evaluate, u64::from(bytes.finalize()));
        // The channels of a signal have units of their own.
        let units = match item.clean.shape() {
            Shape::Signal { channels: 2.., .. } => item.clean.channel_stats(),
            _ => Vec::new(),
        };
        dataset::pair(corruption, &item.clean, &units, &mut rng)
    }

    /// Returns the strength of the noise on the sample's own scale, for the baseline; estimated if unknown.
    fn strength(&self, clean: &Sample, noisy: &Sample) -> f32 {
        match self {
            Noise::Made { sigma: Some(sigma), .. } if clean.shape().kind() == Kind::Image => sigma / 255.0,
            Noise::Made { sigma: Some(sigma), .. } => sigma * clean.stats().std,
            _ => quality::estimate_sigma(&noisy.known(), noisy.shape()),
        }
    }
}

impl<'a> Truth<'a> {
    /// Creates the reference, with the strokes of gray images if `ink` is set.
    pub(super) fn new(clean: &'a Sample, noisy: &Sample, ink: bool) -> Self {
        let strokes = match clean.shape() {
            Shape::Image { channels: 1, height, width } if ink => {
                Some(Strokes::of(clean.data(), height, width))
            }
            _ => None,
        };
        Self { clean, compared: Compared::of(&[clean, noisy]), strokes }
    }

    /// Scores `other` against the clean sample.
    pub(super) fn nearness(&self, other: &[f32]) -> Nearness {
        let (clean, shape) = (self.clean.data(), self.clean.shape());
        let is_image = shape.kind() == Kind::Image;
        let is_page = is_image && shape.channels() == 1;
        let (known, seen) = (self.compared.known(clean), self.compared.known(other));
        let whole = self.compared.over(other, clean);
        Nearness {
            db: if is_image { quality::psnr(&known, &seen) } else { quality::snr(&known, &seen) },
            ssim: is_image.then(|| quality::ssim(clean, &whole, shape)),
            rmse: quality::rmse(&known, &seen),
            ink_recall: is_page.then(|| quality::ink_recall(clean, &whole)).flatten(),
            stroke_recall: self.strokes.as_ref().and_then(|strokes| strokes.recall(&whole)),
        }
    }
}

impl Task<'_> {
    /// Scores one sample.
    ///
    /// # Errors
    /// The sample does not fit the model.
    pub(super) fn score(&self, item: &Item, noise: &Noise, seed: u64) -> infer::Result<Score> {
        let (noisy, clean) = noise.pair(item, seed);
        let clean = &clean;
        let truth = Truth::new(clean, &noisy, self.ink);
        let start = Instant::now();
        let full = self.session.denoise(&noisy, &self.options)?;
        let seconds = start.elapsed().as_secs_f64();
        let strict = self.session.denoise(&noisy, &Options { mode: Mode::Strict, ..self.options })?;
        let latent = self.session.encode(&noisy, self.options.ratio)?.numbers();
        let dct = self.baseline.then(|| {
            let strength = noise.strength(clean, &noisy);
            truth.nearness(&quality::denoise_dct(noisy.data(), noisy.shape(), strength))
        });
        let classical = if self.baseline { classical(&noisy) } else { Vec::new() };
        Ok(Score {
            noisy: truth.nearness(noisy.data()),
            dct,
            classical: classical.iter().map(|result| truth.nearness(result)).collect(),
            strict: truth.nearness(strict.sample.data()),
            full: truth.nearness(full.sample.data()),
            numbers: clean.shape().numbers(),
            latent,
            places: clean.shape().numbers() / clean.shape().channels(),
            familiarity: full.familiarity,
            seconds,
        })
    }
}

/// Denoises a signal by each of [`METHODS`], channel by channel, with the noise that is estimated in the channel.
fn classical(noisy: &Sample) -> Vec<Vec<f32>> {
    let Shape::Signal { length, .. } = noisy.shape() else { return Vec::new() };
    let (data, sigmas) = (noisy.data(), quality::estimate_noise(noisy));
    let each = |method: &dyn Fn(&[f32], f32) -> Vec<f32>| {
        data.chunks_exact(length).zip(&sigmas).flat_map(|(channel, sigma)| method(channel, *sigma)).collect()
    };
    vec![
        each(&quality::moving_average),
        each(&quality::savitzky_golay),
        each(&|channel, _| quality::denoise_wavelet(channel, Shrinkage::Visu)),
        each(&|channel, _| quality::denoise_wavelet(channel, Shrinkage::Bayes)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(offset: f32) -> Item {
        let data = (0..64).map(|i| offset + i as f32 / 100.0).collect();
        Item { name: "a".into(), clean: Sample::new(Shape::image(1, 8, 8), data).unwrap(), noisy: None }
    }

    fn white(sigma: f32) -> Noise {
        Noise::Made { corruption: Corruption::white(sigma), sigma: Some(sigma) }
    }

    #[test]
    fn noise_depends_on_the_sample_and_the_seed_alone() {
        let noisy = |offset, seed| white(25.0).noisy(&item(offset), seed);
        assert_eq!(noisy(0.0, 1), noisy(0.0, 1));
        assert_ne!(noisy(0.0, 1), noisy(0.0, 2));
        let difference = |offset: f32| -> Vec<f32> {
            let noisy = noisy(offset, 1);
            noisy.data().iter().zip(item(offset).clean.data()).map(|(n, c)| n - c).collect()
        };
        assert!(difference(0.0).iter().zip(difference(0.3)).any(|(a, b)| (a - b).abs() > 0.01));
    }

    #[test]
    fn noise_of_one_item_has_the_strength_asked_for() {
        let flat = Sample::new(Shape::image(1, 100, 100), vec![0.5; 10_000]).unwrap();
        let item = Item { name: "flat".into(), clean: flat.clone(), noisy: None };
        let noisy = white(25.5).noisy(&item, 0);
        let near = Truth::new(&flat, &noisy, true).nearness(noisy.data());
        assert!((near.db - 20.0).abs() < 0.2, "{near:?}");
        assert_eq!(white(25.5).strength(&flat, &noisy), 0.1);
    }

    #[test]
    fn strokes_are_those_of_gray_images_of_which_it_is_asked() {
        let recall = |channels: usize, ink: bool| {
            let mut data = vec![1.0; channels * 25];
            data[10..15].fill(0.0);
            let page = Sample::new(Shape::image(channels, 5, 5), data.clone()).unwrap();
            data[11] = 1.0;
            Truth::new(&page, &page, ink).nearness(&data).stroke_recall
        };
        assert_eq!([recall(1, true), recall(1, false), recall(3, true)], [Some(0.8), None, None]);
    }

    #[test]
    fn pairs_keep_their_own_noise() {
        let twin = item(0.5).clean;
        let pair = Item { noisy: Some(twin.clone()), ..item(0.0) };
        assert_eq!(Noise::Own.noisy(&pair, 9), twin);
    }
}
