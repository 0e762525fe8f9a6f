//! Tone curve from linear light to the values of a finished image, and back.

use crate::rng::Rng;

/// Number of intervals of the tables.
const STEPS: usize = 1024;

/// Gamma and S-curve, as tables.
///
/// # Source
/// T. Brooks et al., "Unprocessing images for learned raw denoising", CVPR 2019: gamma 2.2 and the smoothstep 3x^2 - 2x^3; here
/// the gamma varies, and the S-curve is blended in by a random share, because cameras differ.
pub struct ToneCurve {
    /// Value by the square root of linear light: near black the curve is too steep for even steps of light.
    display: Vec<f32>,
    /// Linear light by value.
    linear: Vec<f32>,
}

impl ToneCurve {
    /// Draws a gamma of 1.8 to 2.4, and a share of the S-curve of 0 to 1.
    pub fn draw(rng: &mut Rng) -> Self {
        Self::new(rng.range(1.8, 2.4), rng.uniform())
    }

    /// Creates the curve of a gamma and a share of the S-curve, 0 to 1.
    pub fn new(gamma: f32, share: f32) -> Self {
        let bend = |y: f32| y + share * (y * y * (3.0 - 2.0 * y) - y);
        let unbend = |value: f32| {
            let (mut low, mut high) = (0.0, 1.0);
            for _ in 0..24 {
                let middle = 0.5 * (low + high);
                if bend(middle) < value { low = middle } else { high = middle }
            }
            0.5 * (low + high)
        };
        let nodes = || (0..=STEPS).map(|i| i as f32 / STEPS as f32);
        Self {
            display: nodes().map(|root| bend(root.powf(2.0 / gamma))).collect(),
            linear: nodes().map(|value| unbend(value).powf(gamma)).collect(),
        }
    }

    /// Converts linear light to a value, 0 to 1.
    pub fn display(&self, linear: f32) -> f32 {
        look_up(&self.display, linear.max(0.0).sqrt())
    }

    /// Converts a value to linear light, 0 to 1.
    pub fn linear(&self, value: f32) -> f32 {
        look_up(&self.linear, value)
    }
}

fn look_up(table: &[f32], at: f32) -> f32 {
    let at = at.clamp(0.0, 1.0) * STEPS as f32;
    let i = (at as usize).min(STEPS - 1);
    table[i] + (table[i + 1] - table[i]) * (at - i as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_curve_is_that_of_the_formula_and_its_inverse_undoes_it() {
        let curve = ToneCurve::new(2.2, 1.0);
        // 0.5^(1/2.2) = 0.7297; its smoothstep is 0.8203.
        assert!((curve.display(0.5) - 0.8203).abs() < 1e-3, "{}", curve.display(0.5));
        for value in [0.0, 0.02, 0.1, 0.5, 0.9, 1.0] {
            let back = curve.display(curve.linear(value));
            assert!((back - value).abs() < 2e-3, "{value} became {back}");
        }
        assert!((ToneCurve::new(2.0, 0.0).display(0.25) - 0.5).abs() < 1e-4);
    }
}
