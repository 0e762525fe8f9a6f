//! Few brightness levels.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Parameter, Parameters, Span, extremes};
use crate::rng::Rng;
use crate::sample::Shape;

/// Rounds values to `2^bits` even levels from black to white and clips values outside.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = QuantizeCorruption, example = json!({"bits": [2, 4]}))]
pub struct Quantize {
    /// Bits per value, 1 to 16; whole numbers of the range are drawn.
    pub bits: Span,
}

impl Parameters for Quantize {
    const KIND: &'static str = "quantize";
    const PARAMETERS: &'static [Parameter<Self>] = &[Parameter::new("bits", |it| it.bits, 1.0, 16.0)];
}

impl Quantize {
    pub(super) fn apply(&self, data: &mut [f32], shape: Shape, rng: &mut Rng) {
        let bits = self.bits.draw_whole(rng).clamp(1, 16);
        let (black, white) = extremes(data, shape);
        if white <= black {
            return;
        }
        let steps = ((1u32 << bits) - 1) as f32;
        for value in data {
            let level = ((*value - black) / (white - black)).clamp(0.0, 1.0);
            *value = black + (level * steps).round() / steps * (white - black);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Purpose;

    #[test]
    fn two_bits_are_four_levels() {
        let mut data = [-0.2, 0.1, 0.3, 0.51, 0.9, 1.4];
        let kind = Quantize { bits: Span::at(2.0) };
        kind.apply(&mut data, Shape::image(1, 1, 6), &mut Rng::new(1, Purpose::Corrupt, 0));
        assert_eq!(data, [0.0, 0.0, 1.0 / 3.0, 2.0 / 3.0, 1.0, 1.0]);
    }

    #[test]
    fn a_constant_vector_stays() {
        let mut data = [7.0; 3];
        let kind = Quantize { bits: Span::at(1.0) };
        kind.apply(&mut data, Shape::Vector { features: 3 }, &mut Rng::new(1, Purpose::Corrupt, 0));
        assert_eq!(data, [7.0; 3]);
    }
}
