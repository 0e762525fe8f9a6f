//! Dead and hot pixels.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Parameter, Parameters, Span, extremes};
use crate::rng::Rng;
use crate::sample::Shape;

/// Replaces random values by black or white, each equally likely. Channels are treated separately.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SaltPepperCorruption, example = json!({"amount": [0, 0.1]}))]
pub struct SaltPepper {
    /// Share of values that are replaced, 0 to 1.
    pub amount: Span,
}

impl Parameters for SaltPepper {
    const KIND: &'static str = "salt_pepper";
    const PARAMETERS: &'static [Parameter<Self>] = &[Parameter::new("amount", |it| it.amount, 0.0, 1.0)];
}

impl SaltPepper {
    pub(super) fn apply(&self, data: &mut [f32], shape: Shape, rng: &mut Rng) {
        let amount = self.amount.draw(rng);
        let (black, white) = extremes(data, shape);
        for value in data {
            // One draw decides both if a value is replaced and by which colour.
            let u = rng.uniform();
            if u < amount {
                *value = if u < 0.5 * amount { black } else { white };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Purpose;

    #[test]
    fn the_stated_share_is_hit_half_black_half_white() {
        let mut data = vec![0.5; 100_000];
        let kind = SaltPepper { amount: Span::at(0.1) };
        kind.apply(&mut data, Shape::image(1, 250, 400), &mut Rng::new(1, Purpose::Corrupt, 0));
        let share = |of: f32| data.iter().filter(|&&v| v == of).count() as f32 / 1e5;
        assert!((share(0.0) - 0.05).abs() < 0.003 && (share(1.0) - 0.05).abs() < 0.003);
        assert_eq!(share(0.5) + share(0.0) + share(1.0), 1.0);
    }

    #[test]
    fn amount_zero_changes_nothing() {
        let mut data = [0.3; 64];
        SaltPepper { amount: Span::at(0.0) }.apply(
            &mut data,
            Shape::image(1, 8, 8),
            &mut Rng::new(1, Purpose::Corrupt, 0),
        );
        assert_eq!(data, [0.3; 64]);
    }
}
