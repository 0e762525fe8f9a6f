//! Speckle: noise proportional to the value, as in radar, ultrasound and laser light.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Parameter, Parameters, Span};
use crate::rng::Rng;

/// Multiplies each value by a normal factor of mean 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SpeckleCorruption, example = json!({"spread": [0.1, 0.3]}))]
pub struct Speckle {
    /// Standard deviation of the factor: 0.2 is noise of 20 % of the value.
    pub spread: Span,
}

impl Parameters for Speckle {
    const KIND: &'static str = "speckle";
    const PARAMETERS: &'static [Parameter<Self>] = &[Parameter::new("spread", |it| it.spread, 0.0, 10.0)];
}

impl Speckle {
    pub(super) fn apply(&self, data: &mut [f32], rng: &mut Rng) {
        let spread = self.spread.draw(rng);
        let mut noise = vec![0.0; data.len()];
        rng.fill_normal(&mut noise);
        for (value, n) in data.iter_mut().zip(&noise) {
            *value *= 1.0 + spread * n;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Purpose;
    use crate::sample::Stats;

    #[test]
    fn noise_is_in_proportion_to_the_value() {
        for value in [0.2, 0.8] {
            let mut data = vec![value; 50_000];
            Speckle { spread: Span::at(0.1) }.apply(&mut data, &mut Rng::new(1, Purpose::Corrupt, 0));
            let stats = Stats::of(&data);
            assert!((stats.mean / value - 1.0).abs() < 0.002, "{stats:?}");
            assert!((stats.std / value - 0.1).abs() < 0.002, "{stats:?}");
        }
    }

    #[test]
    fn spread_zero_changes_nothing() {
        let mut data = [0.1, 0.2];
        Speckle { spread: Span::at(0.0) }.apply(&mut data, &mut Rng::new(1, Purpose::Corrupt, 0));
        assert_eq!(data, [0.1, 0.2]);
    }
}
