//! Noise of a camera's finished image: sensor noise, then demosaicing, white balance, colour matrix and tone curve.

mod bayer;
mod color;
mod tone;

pub use bayer::Demosaic;
pub(super) use bayer::{Mosaic, Pattern};
use color::Color;
pub(super) use tone::ToneCurve;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Error, Parameter, Parameters, Span};
use crate::rng::Rng;
use crate::sample::Shape;

/// Converts an sRGB image back to raw sensor values, adds shot and read noise to them, and develops it again.
///
/// The target passes through the same mosaic and development without noise, so that a network does not learn to undo
/// the development. A gray image is treated as a colour image with equal channels; its result is the luma (BT.601).
///
/// # Source
/// T. Brooks et al., "Unprocessing images for learned raw denoising", CVPR 2019: unprocessing, gains, colour matrices and the
/// read noise of phones. The read noise of large sensors is a line fitted to the noise profiles of 433 cameras that darktable
/// publishes: log10 read = 1.24 log10 shot - 1.42, deviation 0.44.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CameraCorruption, example = json!({"shot": [0.0001, 0.01], "demosaic": ["malvar"]}))]
pub struct Camera {
    /// Variance of the shot noise at white, as a share of the full scale squared, drawn log-uniformly: 3e-6 is a
    /// large sensor at ISO 100, 0.012 a phone in the dark.
    #[serde(default = "default_shot")]
    #[schema(default = default_shot)]
    pub shot: Span,
    /// Demosaicing methods; one entry is drawn, each equally likely.
    #[serde(default = "Demosaic::all")]
    #[schema(default = Demosaic::all, min_items = 1, max_items = 32)]
    pub demosaic: Vec<Demosaic>,
}

fn default_shot() -> Span {
    Span::new(3e-6, 0.02)
}

impl Parameters for Camera {
    const KIND: &'static str = "camera";
    const PARAMETERS: &'static [Parameter<Self>] = &[Parameter::new("shot", |it| it.shot, 1e-8, 1.0)];
}

impl Camera {
    pub(super) fn check(&self) -> Result<(), Error> {
        self.check_ranges()?;
        super::check_choices("camera.demosaic", &self.demosaic)
    }

    pub(super) fn apply(&self, noisy: &mut [f32], target: &mut [f32], shape: Shape, rng: &mut Rng) {
        let (_, height, width) = shape.extents();
        let sensor = Sensor {
            noise: SensorNoise::draw(self.shot, rng),
            mosaic: Mosaic { height, width, pattern: Pattern::draw(rng) },
            demosaic: super::choose(&self.demosaic, rng),
            color: Color::draw(rng),
            tone: ToneCurve::draw(rng),
        };
        super::each_picture(noisy, target, shape, |noisy, target| sensor.develop(noisy, target, rng));
    }
}

/// Parameters of sensor noise; its variance is `shot` times the value plus `read`.
struct SensorNoise {
    shot: f32,
    read: f32,
}

impl SensorNoise {
    fn draw(shot: Span, rng: &mut Rng) -> Self {
        let log = rng.range(shot.low().ln(), shot.high().ln());
        let spread = rng.normal();
        // Phones and large sensors, equally often.
        let read = if rng.below(2) == 0 {
            (2.18 * log + 1.20 + 0.26 * spread).exp()
        } else {
            10f32.powf(1.24 * log * std::f32::consts::LOG10_E - 1.42 + 0.44 * spread)
        };
        Self { shot: log.exp(), read: read.min(0.01) }
    }

    fn add(&self, raw: &mut [f32], rng: &mut Rng) {
        let mut noise = vec![0.0; raw.len()];
        rng.fill_normal(&mut noise);
        raw.iter_mut()
            .zip(noise)
            .for_each(|(v, n)| *v = (*v + n * (self.shot * v.max(0.0) + self.read).sqrt()).min(1.0));
    }
}

/// Simulated camera with its settings.
struct Sensor {
    noise: SensorNoise,
    mosaic: Mosaic,
    demosaic: Demosaic,
    color: Color,
    tone: ToneCurve,
}

impl Sensor {
    /// Passes both images, three planes each, through the camera: the first with noise.
    fn develop(&self, noisy: &mut [f32], target: &mut [f32], rng: &mut Rng) {
        // Usually both are equal, but earlier corruptions of a list may have made them differ.
        let mut raw = self.raw(noisy);
        self.noise.add(&mut raw, rng);
        self.finish(&raw, noisy);
        let raw = self.raw(target);
        self.finish(&raw, target);
    }

    fn raw(&self, planes: &[f32]) -> Vec<f32> {
        let mut linear: Vec<f32> = planes.iter().map(|v| self.tone.linear(*v)).collect();
        self.color.to_camera(&mut linear);
        self.mosaic.sample(&linear)
    }

    fn finish(&self, raw: &[f32], planes: &mut [f32]) {
        self.mosaic.fill(raw, self.demosaic, planes);
        self.color.to_srgb(planes);
        planes.iter_mut().for_each(|v| *v = self.tone.display(*v));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Purpose;
    use crate::sample::Stats;

    #[test]
    fn raw_noise_has_the_stated_variance_at_each_brightness() {
        let noise = SensorNoise { shot: 0.01, read: 0.0004 };
        for value in [0.0, 0.1, 0.5] {
            let mut raw = vec![value; 200_000];
            noise.add(&mut raw, &mut Rng::new(1, Purpose::Corrupt, 0));
            let seen = Stats::of(&raw);
            let expected = 0.01 * value + 0.0004;
            assert!((seen.std.powi(2) / expected - 1.0).abs() < 0.02, "{seen:?} at {value}");
            assert!((seen.mean - value).abs() < 0.001);
        }
    }

    #[test]
    fn read_noise_follows_the_lines_of_phones_and_of_large_sensors() {
        let mut rng = Rng::new(2, Purpose::Corrupt, 0);
        let mut reads: Vec<f32> =
            (0..4000).map(|_| SensorNoise::draw(Span::at(0.001), &mut rng).read.log10()).collect();
        reads.sort_by(f32::total_cmp);
        // At a shot noise of 0.001: 10^-6.02 for phones, 10^-5.14 for large sensors.
        let phone = (2.18 * 0.001f32.ln() + 1.20) * std::f32::consts::LOG10_E;
        let large = 1.24 * -3.0 - 1.42;
        assert!((phone + 6.019).abs() < 0.01 && (large + 5.14f32).abs() < 0.01);
        let near = |center: f32| reads.iter().filter(|r| (*r - center).abs() < 0.3).count();
        assert!(near(phone) > 1500 && near(large) > 800, "{} {}", near(phone), near(large));
    }

    #[test]
    fn without_noise_input_and_target_are_equal_and_near_the_picture() {
        let shape = Shape::image(3, 40, 48);
        let clean: Vec<f32> = (0..shape.numbers())
            .map(|i| {
                let (c, y, x) = (i / 1920, i / 48 % 40, i % 48);
                0.4 + 0.25 * (x as f32 * 0.13).sin() * (y as f32 * 0.09 + c as f32).cos()
            })
            .collect();
        let (mut noisy, mut target) = (clean.clone(), clean.clone());
        let kind = Camera { shot: Span::at(1e-8), demosaic: Demosaic::all() };
        kind.apply(&mut noisy, &mut target, shape, &mut Rng::new(1, Purpose::Corrupt, 3));
        let rmse = |a: &[f32], b: &[f32]| {
            (a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f32>() / a.len() as f32).sqrt()
        };
        assert!(rmse(&noisy, &target) < 0.002, "{}", rmse(&noisy, &target));
        assert!(rmse(&target, &clean) < 0.02, "{}", rmse(&target, &clean));
    }

    #[test]
    fn noise_grows_with_the_light_and_is_correlated_between_neighbours() {
        let shape = Shape::image(3, 128, 128);
        let clean: Vec<f32> = (0..shape.numbers()).map(|i| if i % 128 < 64 { 0.1 } else { 0.5 }).collect();
        let (mut noisy, mut target) = (clean.clone(), clean);
        let kind = Camera { shot: Span::at(0.003), demosaic: vec![Demosaic::Bilinear] };
        kind.apply(&mut noisy, &mut target, shape, &mut Rng::new(1, Purpose::Corrupt, 0));
        let noise: Vec<f32> = noisy.iter().zip(&target).map(|(a, b)| a - b).collect();
        // Upper half of green, away from the edge in the middle.
        let green = &noise[128 * 128..2 * 128 * 128];
        let rows = || green.chunks_exact(128);
        let (mut product, mut square) = (0.0, 0.0);
        rows().for_each(|row| {
            row[70..127].windows(2).for_each(|w| {
                product += w[0] * w[1];
                square += w[0] * w[0];
            });
        });
        assert!(product / square > 0.2, "{}", product / square);
    }
}
