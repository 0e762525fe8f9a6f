//! Effect of an 8-bit file on noise: rounding and clipping.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Rounds values to 8 bits and clips them to [0, 1]. After `gaussian` it makes the noise of an 8-bit noisy file; most
/// published tables omit it, so state which of the two was used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ClipCorruption, example = json!({}))]
pub struct Clip {}

impl Clip {
    pub(super) fn apply(&self, data: &mut [f32]) {
        for value in data {
            *value = (value.clamp(0.0, 1.0) * 255.0).round() / 255.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_become_those_of_an_8_bit_file() {
        let mut data = [-0.5, 0.001, 0.003, 0.5, 1.5];
        Clip {}.apply(&mut data);
        assert_eq!(data, [0.0, 0.0, 1.0 / 255.0, 128.0 / 255.0, 1.0]);
    }
}
