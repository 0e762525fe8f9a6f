//! Normal noise: white, or correlated between neighbours and between channels.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Parameter, Parameters, Span, amplitude};
use crate::rng::Rng;
use crate::sample::Shape;

/// Adds normal noise of mean 0.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = GaussianCorruption, example = json!({"sigma": [0, 55], "blur": [0, 1.5]}))]
pub struct Gaussian {
    /// Standard deviation: on the 0..255 scale for images, otherwise in standard deviations of the sample.
    pub sigma: Span,
    /// Extent of the correlation: standard deviation, in pixels, of the Gaussian that blurs the noise. 0 is white
    /// noise. Blurred noise keeps the strength `sigma`.
    #[serde(default)]
    #[schema(default = Span::default)]
    pub blur: Span,
    /// Share of the variance, 0 to 1, that is common to all channels: 1 is gray noise on a colour image.
    #[serde(default)]
    #[schema(default = Span::default)]
    pub shared: Span,
}

impl Parameters for Gaussian {
    const KIND: &'static str = "gaussian";
    const PARAMETERS: &'static [Parameter<Self>] = &[
        Parameter::new("sigma", |it| it.sigma, 0.0, 1000.0),
        Parameter::new("blur", |it| it.blur, 0.0, 32.0),
        Parameter::new("shared", |it| it.shared, 0.0, 1.0),
    ];
}

impl Gaussian {
    pub(super) fn apply(&self, data: &mut [f32], shape: Shape, rng: &mut Rng) {
        let sigma = amplitude(self.sigma.draw(rng), data, shape);
        let blur = self.blur.draw(rng);
        let mut noise = vec![0.0; data.len()];
        rng.fill_normal(&mut noise);
        // Drawn only if requested, so that older configs produce the same noise as before.
        if self.shared != Span::default() && shape.channels() > 1 {
            share(&mut noise, shape.channels(), self.shared.draw(rng), rng);
        }
        if blur > 0.0 {
            color(&mut noise, shape, blur);
        }
        for (value, n) in data.iter_mut().zip(&noise) {
            *value += sigma * n;
        }
    }
}

/// Replaces `share` of the variance of each channel by noise common to all channels.
fn share(noise: &mut [f32], channels: usize, share: f32, rng: &mut Rng) {
    let mut common = vec![0.0; noise.len() / channels];
    rng.fill_normal(&mut common);
    let (own, all) = ((1.0 - share).sqrt(), share.sqrt());
    for plane in noise.chunks_exact_mut(common.len()) {
        plane.iter_mut().zip(&common).for_each(|(n, c)| *n = own * *n + all * c);
    }
}

/// Blurs white noise, channel by channel, preserving a variance of 1.
fn color(noise: &mut [f32], shape: Shape, blur: f32) {
    let (channels, height, width) = shape.extents();
    for plane in noise.chunks_exact_mut((noise.len() / channels).max(1)) {
        let along_rows = kernel(blur, width);
        for row in plane.chunks_exact_mut(width) {
            circular(row, 1, &along_rows);
        }
        let along_columns = kernel(blur, height);
        for column in 0..width {
            circular(&mut plane[column..], width, &along_columns);
        }
    }
}

/// Gaussian of unit energy, so that white noise keeps its variance; shorter than the axis, so that a wrapped window
/// never contains the same number twice.
fn kernel(blur: f32, axis: usize) -> Vec<f32> {
    let reach = ((3.0 * blur).ceil() as usize).min((axis.max(1) - 1) / 2);
    let taps: Vec<f32> = (0..=2 * reach)
        .map(|i| {
            let distance = i as f32 - reach as f32;
            (-0.5 * (distance / blur).powi(2)).exp()
        })
        .collect();
    let energy = taps.iter().map(|t| t * t).sum::<f32>().sqrt();
    taps.into_iter().map(|t| t / energy).collect()
}

/// Circular convolution of every `stride`-th number of `line`: noise has no border, so wrapping makes its variance
/// equal everywhere.
fn circular(line: &mut [f32], stride: usize, kernel: &[f32]) {
    let source: Vec<f32> = line.iter().step_by(stride).copied().collect();
    let (n, reach) = (source.len(), kernel.len() / 2);
    for (i, out) in line.iter_mut().step_by(stride).enumerate() {
        *out = kernel.iter().enumerate().map(|(k, tap)| tap * source[(i + n + k - reach) % n]).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Purpose;
    use crate::sample::Stats;

    fn noise(sigma: f32, blur: f32, shape: Shape) -> Vec<f32> {
        let mut data = vec![0.5; shape.numbers()];
        let kind = Gaussian { sigma: Span::at(sigma), blur: Span::at(blur), ..Gaussian::default() };
        kind.apply(&mut data, shape, &mut Rng::new(1, Purpose::Corrupt, 0));
        data
    }

    /// Correlation of horizontal neighbours.
    fn neighbours(data: &[f32]) -> f32 {
        let stats = Stats::of(data);
        let product: f32 = data.windows(2).map(|w| (w[0] - stats.mean) * (w[1] - stats.mean)).sum();
        product / data.len() as f32 / stats.std.powi(2)
    }

    #[test]
    fn white_noise_has_the_stated_strength_and_no_correlation() {
        let data = noise(25.0, 0.0, Shape::image(1, 300, 300));
        let stats = Stats::of(&data);
        assert!((stats.mean - 0.5).abs() < 0.002, "{stats:?}");
        assert!((stats.std * 255.0 - 25.0).abs() < 0.2, "{stats:?}");
        assert!(neighbours(&data).abs() < 0.015);
    }

    #[test]
    fn coloured_noise_keeps_its_strength_and_is_correlated() {
        let data = noise(25.0, 1.5, Shape::image(1, 400, 400));
        assert!((Stats::of(&data).std * 255.0 - 25.0).abs() < 1.0);
        // exp(-1 / (4 * 1.5^2)) for noise blurred by a Gaussian.
        assert!((neighbours(&data) - 0.895).abs() < 0.02, "{}", neighbours(&data));
    }

    #[test]
    fn shared_noise_keeps_its_strength_and_is_correlated_between_channels() {
        let shape = Shape::image(3, 200, 200);
        let mut data = vec![0.0; shape.numbers()];
        let kind = Gaussian { sigma: Span::at(25.5), shared: Span::at(0.7), ..Gaussian::default() };
        kind.apply(&mut data, shape, &mut Rng::new(1, Purpose::Corrupt, 0));
        let planes: Vec<&[f32]> = data.chunks_exact(40_000).collect();
        let covariance =
            |a: usize, b: usize| planes[a].iter().zip(planes[b]).map(|(x, y)| x * y).sum::<f32>() / 40_000.0;
        assert!((covariance(0, 0).sqrt() - 0.1).abs() < 0.002, "{}", covariance(0, 0));
        assert!((covariance(0, 2) / 0.01 - 0.7).abs() < 0.03, "{}", covariance(0, 2));
    }

    #[test]
    fn sigma_zero_changes_nothing() {
        assert_eq!(noise(0.0, 0.0, Shape::image(1, 4, 4)), [0.5; 16]);
    }

    #[test]
    fn sigma_is_relative_to_a_signal_of_any_unit() {
        let shape = Shape::Signal { channels: 1, length: 40_000 };
        let clean: Vec<f32> = (0..40_000).map(|i| 1e4 + 300.0 * (i as f32 * 0.1).sin()).collect();
        let mut data = clean.clone();
        let kind = Gaussian { sigma: Span::at(0.5), ..Gaussian::default() };
        kind.apply(&mut data, shape, &mut Rng::new(1, Purpose::Corrupt, 0));
        let residual: Vec<f32> = data.iter().zip(&clean).map(|(a, b)| a - b).collect();
        let expected = 0.5 * 300.0 / 2.0f32.sqrt();
        assert!((Stats::of(&residual).std / expected - 1.0).abs() < 0.02);
    }
}
