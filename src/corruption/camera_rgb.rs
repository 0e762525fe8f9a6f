//! Camera noise by a simpler model: noise on linear colours, with or without a mosaic.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::camera::{Demosaic, Mosaic, Pattern, ToneCurve};
use super::{Parameter, Parameters, Span};
use crate::rng::Rng;
use crate::sample::Shape;

/// Converts an image to linear light, adds noise that grows with the light to each channel, and converts it back; in
/// four cases of five through a Bayer mosaic and its interpolation, which correlates the noise of neighbours.
///
/// The target is converted the same way without noise. A gray image is treated as a colour image with equal channels.
///
/// # Source
/// S. Guo et al., "Toward convolutional blind denoising of real photographs" (CBDNet), CVPR 2019, section 3.1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CameraRgbCorruption, example = json!({"shot": [0.01, 0.1], "read": [0.01, 0.05]}))]
pub struct CameraRgb {
    /// Standard deviation of the shot noise at white, 0 to 1 of full scale, drawn log-uniformly.
    #[serde(default = "default_shot")]
    #[schema(default = default_shot)]
    pub shot: Span,
    /// Standard deviation of the read noise, in the same unit, drawn log-uniformly.
    #[serde(default = "default_read")]
    #[schema(default = default_read)]
    pub read: Span,
}

fn default_shot() -> Span {
    Span::new(1e-4, 0.16)
}

fn default_read() -> Span {
    Span::new(1e-4, 0.06)
}

impl Parameters for CameraRgb {
    const KIND: &'static str = "camera_rgb";
    const PARAMETERS: &'static [Parameter<Self>] =
        &[Parameter::new("shot", |it| it.shot, 1e-6, 1.0), Parameter::new("read", |it| it.read, 1e-6, 1.0)];
}

impl CameraRgb {
    pub(super) fn apply(&self, noisy: &mut [f32], target: &mut [f32], shape: Shape, rng: &mut Rng) {
        let (_, height, width) = shape.extents();
        let log = |span: Span, rng: &mut Rng| rng.range(span.low().ln(), span.high().ln()).exp();
        let (shot, read) = (log(self.shot, rng), log(self.read, rng));
        let tone = ToneCurve::draw(rng);
        let mosaic = Mosaic { height, width, pattern: Pattern::draw(rng) };
        let demosaic = (rng.below(5) > 0).then(|| super::choose(&Demosaic::all(), rng));
        let develop = |planes: &mut [f32], noise: Option<&mut Rng>| {
            planes.iter_mut().for_each(|v| *v = tone.linear(*v));
            if let Some(rng) = noise {
                let mut normals = vec![0.0; planes.len()];
                rng.fill_normal(&mut normals);
                let each = planes.iter_mut().zip(normals);
                each.for_each(|(v, n)| *v += n * (*v * shot * shot + read * read).sqrt());
            }
            if let Some(how) = demosaic {
                let raw = mosaic.sample(planes);
                mosaic.fill(&raw, how, planes);
            }
            planes.iter_mut().for_each(|v| *v = tone.display(*v));
        };
        super::each_picture(noisy, target, shape, |noisy, target| {
            develop(noisy, Some(rng));
            develop(target, None);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Purpose;

    #[test]
    fn noise_is_that_of_linear_light_through_the_curve() {
        // A flat image: on linear light L the variance is L shot^2 + read^2, scaled by the slope of the curve.
        let shape = Shape::image(3, 96, 96);
        let kind = CameraRgb { shot: Span::at(0.02), read: Span::at(0.01) };
        let mut seen = 0;
        for index in 0..40 {
            let (mut noisy, mut target) = (vec![0.5; shape.numbers()], vec![0.5; shape.numbers()]);
            kind.apply(&mut noisy, &mut target, shape, &mut Rng::new(1, Purpose::Corrupt, index));
            let first = target[5];
            assert!(target.iter().all(|v| (v - first).abs() < 1e-5));
            let variance =
                noisy.iter().zip(&target).map(|(a, b)| (a - b).powi(2)).sum::<f32>() / noisy.len() as f32;
            // Slopes of gamma 1.8 to 2.4 at 0.5 are 1 to 2.3, the S-curve's at most 1.5; a mosaic removes at most 5/8.
            assert!((0.006..0.05).contains(&variance.sqrt()), "{}", variance.sqrt());
            seen += 1;
        }
        assert_eq!(seen, 40);
    }
}
