//! Enlargement of an image after its noise.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Parameter, Parameters, Span};
use crate::rng::Rng;
use crate::sample::Shape;

/// Enlarges a part of the image to the size of the whole, noisy and target alike, which correlates noise that was
/// added before; the interpolation is bilinear or cubic (Catmull-Rom), each equally likely.
///
/// # Source
/// K. Zhang et al., "Designing a practical degradation model for deep blind image super-resolution", ICCV 2021, section 3.2;
/// R. Keys, "Cubic convolution interpolation for digital image processing" (1981), a = -0.5.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ResizeCorruption, example = json!({"factor": [1.2, 2]}))]
pub struct Resize {
    /// Scale factor, 1 to 4.
    pub factor: Span,
}

impl Parameters for Resize {
    const KIND: &'static str = "resize";
    const PARAMETERS: &'static [Parameter<Self>] = &[Parameter::new("factor", |it| it.factor, 1.0, 4.0)];
}

impl Resize {
    pub(super) fn apply(&self, noisy: &mut [f32], target: &mut [f32], shape: Shape, rng: &mut Rng) {
        let (_, height, width) = shape.extents();
        let factor = self.factor.draw(rng);
        let kernel = if rng.below(2) == 0 { linear } else { cubic };
        let (down, across) = (Taps::of(height, factor, kernel), Taps::of(width, factor, kernel));
        for plane in noisy.chunks_exact_mut(height * width).chain(target.chunks_exact_mut(height * width)) {
            let rows: Vec<f32> = plane.chunks_exact(width).flat_map(|row| across.along(row, 1)).collect();
            for x in 0..width {
                let column = down.along(&rows[x..], width);
                plane[x..].iter_mut().step_by(width).zip(column).for_each(|(to, v)| *to = v);
            }
        }
    }
}

fn linear(t: f32) -> f32 {
    (1.0 - t.abs()).max(0.0)
}

fn cubic(t: f32) -> f32 {
    match t.abs() {
        t if t < 1.0 => (1.5 * t - 2.5) * t * t + 1.0,
        t if t < 2.0 => ((-0.5 * t + 2.5) * t - 4.0) * t + 2.0,
        _ => 0.0,
    }
}

/// Indices and weights of the four taps of each position of an axis.
struct Taps(Vec<([usize; 4], [f32; 4])>);

impl Taps {
    fn of(axis: usize, factor: f32, kernel: fn(f32) -> f32) -> Self {
        let place = |i: usize| {
            let from = (i as f32 + 0.5) / factor - 0.5;
            let first = from.floor() as isize - 1;
            let at = std::array::from_fn(|k| (first + k as isize).clamp(0, axis as isize - 1) as usize);
            (at, std::array::from_fn(|k| kernel(from - (first + k as isize) as f32)))
        };
        Self((0..axis).map(place).collect())
    }

    /// Enlarges every `stride`-th number of `line`.
    fn along<'a>(&'a self, line: &'a [f32], stride: usize) -> impl Iterator<Item = f32> + 'a {
        self.0.iter().map(move |(at, weights)| (0..4).map(|k| weights[k] * line[at[k] * stride]).sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Purpose;

    #[test]
    fn a_slope_becomes_flatter_by_the_factor_and_noise_correlated() {
        let shape = Shape::image(1, 64, 64);
        let slope: Vec<f32> = (0..4096).map(|i| (i % 64) as f32 / 64.0).collect();
        let (mut target, mut noisy) = (slope, vec![0.0; 4096]);
        Rng::new(2, Purpose::Corrupt, 0).fill_normal(&mut noisy);
        let kind = Resize { factor: Span::at(2.0) };
        kind.apply(&mut noisy, &mut target, shape, &mut Rng::new(1, Purpose::Corrupt, 0));
        let row = &target[20 * 64..21 * 64];
        assert!((10..50).all(|x| (row[x + 1] - row[x] - 0.5 / 64.0).abs() < 1e-5));
        let product: f32 = noisy.windows(2).map(|w| w[0] * w[1]).sum();
        let square: f32 = noisy.iter().map(|v| v * v).sum();
        assert!(product / square > 0.6, "{}", product / square);
    }

    #[test]
    fn factor_1_changes_nothing() {
        let before: Vec<f32> = (0..35).map(|i| (i * 7 % 11) as f32).collect();
        let (mut noisy, mut target) = (before.clone(), before.clone());
        let kind = Resize { factor: Span::at(1.0) };
        kind.apply(&mut noisy, &mut target, Shape::image(1, 5, 7), &mut Rng::new(1, Purpose::Corrupt, 0));
        assert_eq!((&noisy, &target), (&before, &before));
    }
}
