//! Scores of one sample.

use std::time::Instant;

use crate::corruption::{self, Corruption};
use crate::dataset::{self, Item};
use crate::infer::fit::{self, Fitted, Strict, Traits, Wishes, takes_pages};
use crate::infer::{self, Options, Session, Steady};
use crate::quality::{self, Nearness, Reference, Shrinkage};
use crate::rng::{Purpose, Rng};
use crate::sample::{Kind, Latent, Sample, Shape};

/// Source of the noise.
#[derive(Debug, Clone)]
pub(super) enum Noise {
    /// Noise of the samples themselves, which are pairs.
    Own,
    /// Noise added to clean samples; `sigma` is its strength if it is white.
    Made { corruption: Corruption, sigma: Option<f32> },
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

/// Results of one sample as `limpid denoise` gives them, and from the latents alone.
pub(super) struct Served {
    pub full: Fitted,
    pub strict: Strict,
    /// Duration of denoising in seconds.
    pub seconds: f64,
}

impl Task<'_> {
    /// Denoises one sample as `limpid denoise` does, and decodes its latents.
    ///
    /// # Errors
    /// The sample does not fit the model.
    pub(super) fn serve(&self, noisy: &Sample) -> infer::Result<Served> {
        let Self { session, options, .. } = self;
        let start = Instant::now();
        let is_page = takes_pages(session, noisy.shape(), options.mode);
        let traits = Traits::of(noisy).with_page(noisy, is_page);
        let full = fit::denoise(session, noisy, &traits, options, Wishes::default(), None)?;
        let seconds = start.elapsed().as_secs_f64();
        let strict = fit::strict(session, noisy, &traits, options.ratio, &Steady)?;
        Ok(Served { full, strict, seconds })
    }

    /// Scores one sample.
    ///
    /// # Errors
    /// The sample does not fit the model.
    pub(super) fn score(&self, item: &Item, noise: &Noise, seed: u64) -> infer::Result<Score> {
        let (noisy, clean) = noise.pair(item, seed);
        let clean = &clean;
        let truth = Reference::new(clean, &noisy, self.ink);
        let Served { full, strict, seconds } = self.serve(&noisy)?;
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
            full: truth.nearness(full.denoised.sample.data()),
            numbers: clean.shape().numbers(),
            latent: strict.latents.iter().map(Latent::numbers).sum(),
            places: clean.shape().numbers() / clean.shape().channels(),
            familiarity: full.denoised.familiarity,
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
        let near = Reference::new(&flat, &noisy, true).nearness(noisy.data());
        assert!((near.db - 20.0).abs() < 0.2, "{near:?}");
        assert_eq!(white(25.5).strength(&flat, &noisy), 0.1);
    }

    #[test]
    fn pairs_keep_their_own_noise() {
        let twin = item(0.5).clean;
        let pair = Item { noisy: Some(twin.clone()), ..item(0.0) };
        assert_eq!(Noise::Own.noisy(&pair, 9), twin);
    }
}
