//! Missing pixels and rectangles.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Parameter, Parameters, Span, extremes};
use crate::rng::Rng;
use crate::sample::Shape;

/// Replaces single pixels and whole rectangles, in all channels at once, by one value.
///
/// # Source
/// P. Vincent et al., "Extracting and composing robust features with denoising autoencoders", ICML 2008 (masking noise).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = MaskingCorruption, example = json!({"pixels": [0.1, 0.5], "rectangles": [1, 3]}))]
pub struct Masking {
    /// Share of single pixels that are missing, 0 to 1.
    #[serde(default)]
    #[schema(default = Span::default)]
    pub pixels: Span,
    /// Number of missing rectangles (intervals, in signals and vectors).
    #[serde(default)]
    #[schema(default = Span::default)]
    pub rectangles: Span,
    /// Sides of a rectangle, as shares of the image's sides.
    #[serde(default = "default_size")]
    #[schema(default = default_size)]
    pub size: Span,
    /// Value of missing pixels: 0 black, 1 white (smallest and largest value in signals and vectors).
    #[serde(default)]
    #[schema(default = Span::default)]
    pub fill: Span,
}

fn default_size() -> Span {
    Span::new(0.05, 0.25)
}

impl Parameters for Masking {
    const KIND: &'static str = "masking";
    const PARAMETERS: &'static [Parameter<Self>] = &[
        Parameter::new("pixels", |it| it.pixels, 0.0, 1.0),
        Parameter::new("rectangles", |it| it.rectangles, 0.0, 100.0),
        Parameter::new("size", |it| it.size, 0.0, 1.0),
        Parameter::new("fill", |it| it.fill, 0.0, 1.0),
    ];
}

impl Masking {
    pub(super) fn apply(&self, data: &mut [f32], shape: Shape, rng: &mut Rng) {
        let (black, white) = extremes(data, shape);
        let fill = black + self.fill.draw(rng) * (white - black);
        let (_, height, width) = shape.extents();
        let mut missing = vec![false; height * width];
        let share = self.pixels.draw(rng);
        if share > 0.0 {
            missing.iter_mut().for_each(|hole| *hole = rng.uniform() < share);
        }
        for _ in 0..self.rectangles.draw_whole(rng) {
            let (top, rows) = self.stretch(height, rng);
            let (left, columns) = self.stretch(width, rng);
            for row in missing.chunks_exact_mut(width).skip(top).take(rows) {
                row[left..left + columns].fill(true);
            }
        }
        for plane in data.chunks_exact_mut(height * width) {
            let holes = plane.iter_mut().zip(&missing).filter(|(_, missing)| **missing);
            holes.for_each(|(value, _)| *value = fill);
        }
    }

    /// Draws start and length along an axis: whole numbers, length at least 1, inside the axis.
    fn stretch(&self, axis: usize, rng: &mut Rng) -> (usize, usize) {
        let length = ((self.size.draw(rng) * axis as f32).round() as usize).clamp(1, axis);
        (rng.below(axis - length + 1), length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Purpose;

    fn masked(json: &str, shape: Shape) -> Vec<f32> {
        let mut data = vec![0.5; shape.numbers()];
        let kind: Masking = serde_json::from_str(json).unwrap();
        kind.apply(&mut data, shape, &mut Rng::new(1, Purpose::Corrupt, 0));
        data
    }

    #[test]
    fn the_stated_share_is_missing_in_all_channels_at_once() {
        let data = masked(r#"{"pixels": 0.3}"#, Shape::image(3, 100, 100));
        let holes = data.iter().filter(|&&v| v == 0.0).count();
        assert!((holes as f32 / 3e4 - 0.3).abs() < 0.02);
        assert_eq!(data[..10_000], data[10_000..20_000]);
        assert_eq!(data[..10_000], data[20_000..]);
    }

    #[test]
    fn a_rectangle_has_the_stated_size_and_fill() {
        let data = masked(r#"{"rectangles": 1, "size": 0.5, "fill": 1}"#, Shape::image(1, 20, 40));
        assert_eq!(data.iter().filter(|&&v| v == 1.0).count(), 10 * 20);
    }

    #[test]
    fn nothing_asked_nothing_missing() {
        assert_eq!(masked("{}", Shape::image(1, 4, 4)), [0.5; 16]);
    }
}
