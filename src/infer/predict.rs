//! Prediction: PSNR of a denoised image without its clean one.
//!
//! If the noise is known, the error is estimated by Stein's unbiased risk estimate. If it is estimated, the estimate of its variance
//! would enter Stein's directly, and is not exact enough by far; the divergence identity takes it as a factor alone
//! ([`Response`]). Both hold for white Gaussian noise. A calibration per model corrects the mean deviation from the truth, and gives
//! the interval that holds it in four of five images.

use std::fmt;

use super::Session;
use super::fit::{Traits, Wishes};
use crate::quality::{GrainKind, Response, mean_response};
use crate::registry::{Calibration, Spread};
use crate::sample::Kind;

/// Weakest noise for which a prediction is made, in levels of 255: below, texture cannot be told from noise, and rounding to 8 bits is
/// as strong.
const WEAKEST: f32 = 2.0;
/// Lower bound of the estimated error as a share of the variance of the noise: estimates of nearly nothing may be negative.
const LEAST: f64 = 1e-3;
/// Lower bound of the deviation by sampling of the noise, dB, in units of which errors are calibrated if the noise is known.
const LEAST_DEVIATION: f64 = 0.02;

/// Options of a prediction.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct PredictOptions {
    /// Standard deviation of the white noise in levels of 255, if it is known.
    pub sigma: Option<f32>,
}

/// Predicted PSNR of a denoised image, or the reason why there is none.
#[derive(Debug, Clone, PartialEq)]
pub enum Prediction {
    /// The prediction.
    Known(Predicted),
    /// One line.
    Unknown(String),
}

impl From<Unpredictable> for Prediction {
    fn from(reason: Unpredictable) -> Self {
        Prediction::Unknown(reason.to_string())
    }
}

impl fmt::Display for Prediction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Prediction::Known(known) => match known.interval {
                Some([low, high]) => {
                    write!(
                        f,
                        "predicted PSNR {:.2} dB ({low:.2} to {high:.2} in four of five images)",
                        known.db
                    )
                }
                None => write!(f, "predicted PSNR {:.2} dB", known.db),
            },
            Prediction::Unknown(reason) => write!(f, "PSNR unknown: {reason}"),
        }
    }
}

/// Reason why the quality of a result cannot be predicted.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Unpredictable {
    /// Noise below [`WEAKEST`].
    #[error("there is no noise to remove: sigma {0:.2} of 255, below {WEAKEST}")]
    Clean(f32),
    /// Signals and vectors.
    #[error("PSNR is a measure of images, this is a {0}")]
    Kind(Kind),
    /// Noise of cameras and of enlarged images.
    #[error("the noise of adjacent pixels is correlated ({0:.2})")]
    Correlated(f32),
    /// Noise that the channels share.
    #[error("the noise of the channels is correlated ({0:.2})")]
    Shared(f32),
    /// JPEG files.
    #[error("the image has the blocks of a JPEG file")]
    Blocked,
    /// Dead and hot pixels.
    #[error("the image has isolated black or white pixels")]
    Impulses,
    /// Noise with a known deviation, but clipped at black or white, where it is weaker.
    #[error("{:.1} % of the values are black or white, where noise is weaker than stated; leave sigma out", 100.0 * .0)]
    Clipped(f32),
    /// Known noise that the image does not have.
    #[error("the noise is weaker than the stated sigma; leave it out")]
    Weaker,
    /// Pages.
    #[error("the image is a page, whose strokes are put back after the model")]
    Page,
    /// Changes after the model.
    #[error("strength_chroma and detail change the result after the model")]
    Wishes,
}

/// Predicted PSNR.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Predicted {
    /// PSNR in dB, with full scale as the peak.
    pub db: f32,
    /// Ends of the interval that holds the true PSNR in four of five images, dB; `None` if the model is not calibrated.
    pub interval: Option<[f32; 2]>,
}

/// White noise of an image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NoiseLevel {
    /// Standard deviation in levels of 255.
    levels: f32,
    /// `true` if the caller knows it, `false` if it is estimated.
    is_told: bool,
    /// Full scale of the image.
    full_scale: f32,
}

impl NoiseLevel {
    /// Returns the noise of a sample that is denoised with these wishes, as a page or not.
    ///
    /// # Errors
    /// As [`NoiseLevel::of`]; what is done after the model has no derivative.
    pub fn for_result(
        traits: &Traits,
        kind: Kind,
        (wishes, is_page): (Wishes, bool),
        options: PredictOptions,
    ) -> Result<Self, Unpredictable> {
        if is_page {
            return Err(Unpredictable::Page);
        }
        if wishes != Wishes::default() {
            return Err(Unpredictable::Wishes);
        }
        Self::of(traits, kind, options.sigma)
    }

    /// Returns the noise of a sample: the stated standard deviation, in levels of 255, else the estimated one.
    ///
    /// # Errors
    /// The sample is no image under white noise.
    pub fn of(traits: &Traits, kind: Kind, told: Option<f32>) -> Result<Self, Unpredictable> {
        if kind != Kind::Image {
            return Err(Unpredictable::Kind(kind));
        }
        let grain = &traits.grain;
        match if traits.is_gray { grain.kind_of_gray() } else { grain.kind() } {
            GrainKind::White => {}
            GrainKind::Correlated => return Err(Unpredictable::Correlated(grain.correlation)),
            GrainKind::Shared => return Err(Unpredictable::Shared(grain.between_channels)),
            GrainKind::Blocked => return Err(Unpredictable::Blocked),
            GrainKind::Impulses => return Err(Unpredictable::Impulses),
        }
        // Stein's estimate takes the missing noise for an error many times as large as the true one.
        if told.is_some() && traits.is_clipped() {
            return Err(Unpredictable::Clipped(traits.clipped));
        }
        let sigmas = traits.sigmas(kind);
        let seen = sigmas.iter().sum::<f32>() / sigmas.len().max(1) as f32;
        let levels = told.unwrap_or(seen);
        if levels < WEAKEST {
            return Err(Unpredictable::Clean(levels));
        }
        Ok(Self { levels, is_told: told.is_some(), full_scale: traits.full_scale })
    }

    /// Returns the PSNR of the noisy image itself.
    pub fn of_input(&self) -> Prediction {
        let db = -20.0 * (self.levels / 255.0).log10();
        Prediction::Known(Predicted { db, interval: None })
    }

    /// Returns the standard deviation on the scale of the sample.
    pub fn sigma(&self) -> f32 {
        self.levels / 255.0 * self.full_scale
    }

    /// Predicts the PSNR of the result of a denoiser with this response, blended by `strength`.
    pub fn predict(
        &self,
        response: &Response,
        strength: f32,
        calibration: Option<&Calibration>,
    ) -> Predicted {
        let variance = f64::from(self.sigma()).powi(2);
        let error = match self.is_told {
            true => response.stein(variance),
            false => response.tweedie(variance, f64::from(strength)),
        };
        let error = error.max(LEAST * variance);
        let db = -10.0 * (error / f64::from(self.full_scale).powi(2)).log10();
        // One part in a hundred of the error is 0.0434 dB.
        let deviation = 10.0 / std::f64::consts::LN_10 * response.sampling(variance) / error;
        let unit = if self.is_told { deviation.max(LEAST_DEVIATION) } else { 1.0 };
        let spread = calibration.and_then(|calibration| calibration.at(self.levels, self.is_told));
        let at = |share: f32| (db + unit * f64::from(share)) as f32;
        match spread {
            Some(Spread { bias, low, high }) => {
                Predicted { db: at(bias), interval: Some([at(low), at(high)]) }
            }
            None => Predicted { db: db as f32, interval: None },
        }
    }

    /// Predicts the PSNR from the responses of `session` at the parts of an image; `strength` is that of the result, and still to be
    /// applied if the result `is_finished` after the model.
    pub fn judge(
        &self,
        session: &Session,
        parts: &[Response],
        strength: f32,
        is_finished: bool,
    ) -> Prediction {
        let mean = mean_response(parts);
        let response = if is_finished { mean.blended(strength.into()) } else { mean };
        // Sampling alone does not make an error of the size of the noise vanish.
        let variance = f64::from(self.sigma()).powi(2);
        if self.is_told && response.stein(variance) <= LEAST * variance {
            return Unpredictable::Weaker.into();
        }
        let calibration = session.manifest().prediction.as_ref();
        Prediction::Known(self.predict(&response, strength, calibration))
    }

    /// Returns the true PSNR minus the uncalibrated prediction, in the units of a [`Spread`].
    pub fn deviation(&self, response: &Response, strength: f32, true_db: f32) -> f32 {
        let plain = self.predict(response, strength, None).db;
        let one = Calibration::unit(self.levels);
        let unit = self.predict(response, strength, Some(&one)).db - plain;
        (true_db - plain) / unit
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, Rng};
    use crate::sample::{Sample, Shape};

    fn level(levels: f32, is_told: bool) -> NoiseLevel {
        NoiseLevel { levels, is_told, full_scale: 1.0 }
    }

    /// Response whose estimates are both a tenth of a variance of 0.01, so 30 dB.
    fn response() -> Response {
        Response { residual: 0.009, divergence: 0.1, numbers: 20_000 }
    }

    #[test]
    fn both_ways_give_the_error_of_a_known_response() {
        for is_told in [true, false] {
            let seen = level(25.5, is_told).predict(&response(), 1.0, None);
            assert!((seen.db - 30.0).abs() < 1e-4, "{seen:?}");
            assert_eq!(seen.interval, None);
        }
    }

    #[test]
    fn a_calibration_moves_the_prediction_and_gives_its_interval_by_the_size() {
        let spread = |bias, low, high| Spread { bias, low, high };
        let calibration = Calibration::new(vec![
            (15.0, spread(9.0, 9.0, 9.0), spread(9.0, 9.0, 9.0)),
            (25.5, spread(0.0, -2.0, 1.0), spread(0.5, -0.5, 1.5)),
        ])
        .unwrap();
        let told = level(25.5, true).predict(&response(), 1.0, Some(&calibration));
        // 4.343 dB times the deviation of the power of the noise, 0.01 of it for 20,000 numbers, over an error of a tenth.
        let [low, high] = told.interval.unwrap();
        assert!((low - (30.0 - 0.8686)).abs() < 1e-3 && (high - 30.4343).abs() < 1e-3, "{told:?}");
        let blind = level(25.5, false).predict(&response(), 1.0, Some(&calibration));
        assert!(
            (blind.db - 30.5).abs() < 1e-4 && (blind.interval.unwrap()[1] - 31.5).abs() < 1e-4,
            "{blind:?}"
        );
        let (one, two) = (level(25.5, true), level(25.5, false));
        assert!((one.deviation(&response(), 1.0, 30.4343) - 1.0).abs() < 1e-3);
        assert!((two.deviation(&response(), 1.0, 28.0) + 2.0).abs() < 1e-3);
    }

    fn image(channels: usize, of: impl Fn(usize) -> f32) -> Sample {
        let shape = Shape::image(channels, 96, 96);
        Sample::new(shape, (0..shape.numbers()).map(of).collect()).unwrap()
    }

    #[test]
    fn what_cannot_be_predicted_is_said() {
        let mut noise = vec![0.0; 3 * 96 * 96];
        Rng::new(1, Purpose::Evaluate, 0).fill_normal(&mut noise);
        let of = |sample: &Sample, told| {
            let level = NoiseLevel::of(&Traits::of(sample), sample.shape().kind(), told);
            level.map(|level| (level.is_told, level.levels)).map_err(|reason| reason.to_string())
        };
        let white = image(1, |i| 0.5 + 0.1 * noise[i]);
        let (is_told, levels) = of(&white, None).unwrap();
        assert!(!is_told && (levels - 25.5).abs() < 1.5, "{levels}");
        assert_eq!(of(&white, Some(20.0)), Ok((true, 20.0)));
        assert!(of(&white, Some(1.0)).unwrap_err().contains("no noise to remove: sigma 1.00"));
        let clean = image(1, |i| 0.3 + (i % 96) as f32 * 0.004);
        assert!(of(&clean, None).unwrap_err().contains("no noise to remove"));
        let smooth = image(1, |i| 0.5 + 0.05 * (noise[i] + noise[i + 1] + noise[i + 96] + noise[i + 97]));
        assert!(of(&smooth, None).unwrap_err().contains("adjacent pixels is correlated"));
        let shared = image(3, |i| 0.5 + (i / 9216) as f32 * 0.05 + 0.1 * noise[i % 9216]);
        assert!(of(&shared, Some(25.0)).unwrap_err().contains("channels is correlated"));
        let signal = Sample::new(Shape::Signal { channels: 1, length: 96 }, noise[..96].to_vec()).unwrap();
        assert!(of(&signal, Some(9.0)).unwrap_err().contains("PSNR is a measure of images"));
    }
}
