//! Sharpening: the unsharp mask of cameras and programs, which amplifies noise.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::blur::blurred;
use super::{Parameter, Parameters, Span};
use crate::rng::Rng;
use crate::sample::Shape;

/// Adds to an image, noisy and target alike, `amount` times its difference from a blurred copy.
///
/// # Source
/// The unsharp mask; as a degradation: K. Zhang et al., "Designing a practical degradation model for deep blind image
/// super-resolution", ICCV 2021.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SharpenCorruption, example = json!({"amount": [0.3, 1]}))]
pub struct Sharpen {
    /// Factor of the difference, 0 to 5.
    pub amount: Span,
    /// Standard deviation of the blur in pixels, 0.3 to 10.
    #[serde(default = "default_radius")]
    #[schema(default = default_radius)]
    pub radius: Span,
}

fn default_radius() -> Span {
    Span::new(0.5, 1.5)
}

impl Parameters for Sharpen {
    const KIND: &'static str = "sharpen";
    const PARAMETERS: &'static [Parameter<Self>] = &[
        Parameter::new("amount", |it| it.amount, 0.0, 5.0),
        Parameter::new("radius", |it| it.radius, 0.3, 10.0),
    ];
}

impl Sharpen {
    pub(super) fn apply(&self, noisy: &mut [f32], target: &mut [f32], shape: Shape, rng: &mut Rng) {
        let (amount, radius) = (self.amount.draw(rng), self.radius.draw(rng));
        for data in [noisy, target] {
            let smooth = blurred(data, shape, radius);
            data.iter_mut().zip(smooth).for_each(|(v, s)| *v += amount * (*v - s));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Purpose;

    #[test]
    fn an_edge_overshoots_on_both_sides_and_flat_places_stay() {
        let shape = Shape::image(1, 8, 64);
        let edge: Vec<f32> = (0..512).map(|i| if i % 64 < 32 { 0.25 } else { 0.75 }).collect();
        let (mut noisy, mut target) = (edge.clone(), edge);
        let kind = Sharpen { amount: Span::at(1.0), radius: Span::at(1.0) };
        kind.apply(&mut noisy, &mut target, shape, &mut Rng::new(1, Purpose::Corrupt, 0));
        assert_eq!(noisy, target);
        // A Gaussian of deviation 1 at half a pixel from a step of 0.5: 0.25 + 0.5 * 0.3085.
        assert!((target[31] - (0.25 - 0.154)).abs() < 0.02 && (target[32] - 0.904).abs() < 0.02);
        assert!((target[20] - 0.25).abs() < 1e-3 && (target[45] - 0.75).abs() < 1e-3);
    }
}
