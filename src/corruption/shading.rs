//! Shadows and stains on paper, drift of a signal: low-frequency corruption.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Parameter, Parameters, Span, amplitude};
use crate::rng::Rng;
use crate::sample::{Kind, Shape};

/// Darkens images by a smooth random field and by round stains with a darker rim (as from a cup); adds a smooth
/// random drift to signals and vectors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ShadingCorruption, example = json!({"strength": [0.2, 0.5], "stains": [1, 3]}))]
pub struct Shading {
    /// Maximum darkening: 0.3 removes 30 % of the light. In signals and vectors: maximum amplitude of the drift, in
    /// standard deviations of the sample.
    pub strength: Span,
    /// Width of a shadow, as a share of the longer side.
    #[serde(default = "default_scale")]
    #[schema(default = default_scale)]
    pub scale: Span,
    /// Number of stains; images only.
    #[serde(default)]
    #[schema(default = Span::default)]
    pub stains: Span,
}

fn default_scale() -> Span {
    Span::new(0.2, 0.6)
}

impl Parameters for Shading {
    const KIND: &'static str = "shading";
    const PARAMETERS: &'static [Parameter<Self>] = &[
        Parameter::new("strength", |it| it.strength, 0.0, 10.0),
        Parameter::new("scale", |it| it.scale, 0.01, 10.0),
        Parameter::new("stains", |it| it.stains, 0.0, 100.0),
    ];
}

impl Shading {
    pub(super) fn apply(&self, data: &mut [f32], shape: Shape, rng: &mut Rng) {
        let (_, height, width) = shape.extents();
        let strength = self.strength.draw(rng);
        let cell = (self.scale.draw(rng) * height.max(width) as f32).max(1.0);
        let mut field = smooth_field(height, width, cell, rng);
        if shape.kind() != Kind::Image {
            let amplitude = amplitude(strength, data, shape);
            let drifts = field.iter().map(|f| amplitude * (2.0 * f - 1.0)).cycle();
            data.iter_mut().zip(drifts).for_each(|(value, drift)| *value += drift);
            return;
        }
        field.iter_mut().for_each(|f| *f *= strength);
        for _ in 0..self.stains.draw_whole(rng) {
            stain(&mut field, width, strength, cell, rng);
        }
        for plane in data.chunks_exact_mut(height * width) {
            plane.iter_mut().zip(&field).for_each(|(value, dark)| *value *= 1.0 - dark.min(1.0));
        }
    }
}

/// Random numbers of [0, 1) on a grid of `cell` pixels, interpolated smoothly ("value noise").
fn smooth_field(height: usize, width: usize, cell: f32, rng: &mut Rng) -> Vec<f32> {
    let columns = (width as f32 / cell) as usize + 3;
    let rows = (height as f32 / cell) as usize + 3;
    let grid: Vec<f32> = (0..rows * columns).map(|_| rng.uniform()).collect();
    // Random offset, so that the knots are not always on the border.
    let (dy, dx) = (rng.uniform(), rng.uniform());
    let ease = |t: f32| t * t * (3.0 - 2.0 * t);
    let at = |y: usize, x: usize| {
        let (v, u) = (y as f32 / cell + dy, x as f32 / cell + dx);
        let (row, column) = (v as usize, u as usize);
        let (ty, tx) = (ease(v - row as f32), ease(u - column as f32));
        let knot = |r: usize, c: usize| grid[(row + r) * columns + column + c];
        let mix = |a: f32, b: f32, t: f32| a + (b - a) * t;
        mix(mix(knot(0, 0), knot(0, 1), tx), mix(knot(1, 0), knot(1, 1), tx), ty)
    };
    (0..height * width).map(|i| at(i / width, i % width)).collect()
}

/// Adds a round stain at a random position: an even tint inside, a rim about twice as dark, nothing outside.
fn stain(field: &mut [f32], width: usize, strength: f32, cell: f32, rng: &mut Rng) {
    let height = field.len() / width;
    let (cy, cx) = (rng.range(0.0, height as f32), rng.range(0.0, width as f32));
    let radius = cell * rng.range(0.2, 0.6);
    let rim = (0.1 * radius).max(1.0);
    let tint = strength * rng.range(0.2, 0.7);
    for (i, dark) in field.iter_mut().enumerate() {
        let distance = ((i / width) as f32 - cy).hypot((i % width) as f32 - cx);
        let inside = ((radius - distance) / rim + 0.5).clamp(0.0, 1.0);
        let edge = (-((distance - radius) / rim).powi(2)).exp();
        *dark += tint * (inside + edge);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Purpose;

    fn shaded(json: &str, shape: Shape) -> Vec<f32> {
        let mut data: Vec<f32> = (0..shape.numbers()).map(|i| 0.9 + 0.1 * (i % 2) as f32).collect();
        let kind: Shading = serde_json::from_str(json).unwrap();
        kind.apply(&mut data, shape, &mut Rng::new(1, Purpose::Corrupt, 0));
        data
    }

    #[test]
    fn light_is_only_taken_and_never_more_than_stated() {
        let data = shaded(r#"{"strength": 0.4}"#, Shape::image(1, 64, 64));
        assert!(data.iter().all(|&v| (0.9 * 0.6 - 1e-6..=1.0).contains(&v)));
        assert!(data.iter().any(|&v| v < 0.8));
    }

    #[test]
    fn shadows_are_smooth() {
        let data = shaded(r#"{"strength": 0.5, "scale": 0.5}"#, Shape::image(1, 64, 64));
        let jump =
            data.chunks(64).flat_map(|row| row.windows(3).map(|w| (w[2] - w[0]).abs())).fold(0.0, f32::max);
        // The slope of smoothstep is at most 1.5: 2 pixels of a cell of 32 change the light by 0.5 * 1.5 * 2 / 32.
        assert!(jump < 0.05, "{jump}");
    }

    #[test]
    fn stains_darken_further() {
        let shape = Shape::image(1, 64, 64);
        let sum = |json: &str| shaded(json, shape).iter().sum::<f32>();
        assert!(sum(r#"{"strength": 0.4, "stains": 4}"#) < sum(r#"{"strength": 0.4}"#) - 10.0);
    }

    #[test]
    fn strength_zero_changes_nothing() {
        let shape = Shape::image(1, 8, 8);
        assert_eq!(shaded(r#"{"strength": 0, "stains": 2}"#, shape), shaded(r#"{"strength": 0}"#, shape));
        assert_eq!(shaded(r#"{"strength": 0}"#, shape)[0], 0.9);
    }

    #[test]
    fn signals_drift_up_and_down_within_the_amplitude() {
        let shape = Shape::Signal { channels: 1, length: 1000 };
        let data = shaded(r#"{"strength": 2, "scale": 0.1}"#, shape);
        let drift: Vec<f32> = data.iter().enumerate().map(|(i, v)| v - 0.9 - 0.1 * (i % 2) as f32).collect();
        assert!(drift.iter().all(|d| d.abs() <= 2.0 * 0.05 + 1e-4));
        assert!(drift.iter().any(|&d| d > 0.02) && drift.iter().any(|&d| d < -0.02));
    }
}
