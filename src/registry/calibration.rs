//! Calibration of predicted quality, measured on images whose clean twins are known.

use serde::{Deserialize, Serialize};

/// Deviations of the true PSNR from the predicted one, by the strength of the noise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// Strengths of the noise in levels of 255, ascending.
    sigmas: Vec<f32>,
    /// Deviations if the noise is known: in units of the deviation by sampling of the noise.
    told: Vec<Spread>,
    /// Deviations if the noise is estimated, dB.
    blind: Vec<Spread>,
}

/// Quantiles of the true PSNR minus the predicted one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spread {
    /// Median.
    pub bias: f32,
    /// 10 % quantile.
    pub low: f32,
    /// 90 % quantile.
    pub high: f32,
}

impl Calibration {
    /// Creates a calibration from strengths, in any order, with the deviations for known and for estimated noise; `None` if there
    /// are none, or if a number is not finite.
    pub fn new(mut rows: Vec<(f32, Spread, Spread)>) -> Option<Self> {
        rows.sort_by(|a, b| a.0.total_cmp(&b.0));
        let calibration = Self {
            sigmas: rows.iter().map(|row| row.0).collect(),
            told: rows.iter().map(|row| row.1).collect(),
            blind: rows.iter().map(|row| row.2).collect(),
        };
        calibration.is_sound().then_some(calibration)
    }

    /// Returns a calibration whose deviations are all one unit.
    pub fn unit(sigma: f32) -> Self {
        let one = vec![Spread { bias: 1.0, low: 1.0, high: 1.0 }];
        Self { sigmas: vec![sigma], told: one.clone(), blind: one }
    }

    /// Returns `true` if there are as many deviations as strengths, all of them finite and in order.
    pub(super) fn is_sound(&self) -> bool {
        let is_sound = |all: &[Spread]| {
            let finite = |s: &Spread| [s.bias, s.low, s.high].iter().all(|v| v.is_finite());
            all.len() == self.sigmas.len() && all.iter().all(|s| finite(s) && s.low <= s.high)
        };
        let ascend = self.sigmas.windows(2).all(|two| two[0] < two[1]);
        let positive = self.sigmas.iter().all(|sigma| *sigma > 0.0 && sigma.is_finite());
        !self.sigmas.is_empty() && ascend && positive && is_sound(&self.told) && is_sound(&self.blind)
    }

    /// Returns the deviations at a strength, interpolated over its logarithm; beyond the ends those of the ends.
    pub fn at(&self, sigma: f32, is_told: bool) -> Option<Spread> {
        let all = if is_told { &self.told } else { &self.blind };
        let next = self.sigmas.partition_point(|known| *known < sigma);
        if next == 0 || next == self.sigmas.len() {
            return all.get(next.min(all.len().checked_sub(1)?)).copied();
        }
        let [from, to] = [self.sigmas[next - 1], self.sigmas[next]];
        let share = (sigma / from).ln() / (to / from).ln();
        let mix = |of: fn(&Spread) -> f32| of(&all[next - 1]) * (1.0 - share) + of(&all[next]) * share;
        Some(Spread { bias: mix(|s| s.bias), low: mix(|s| s.low), high: mix(|s| s.high) })
    }
}

impl Spread {
    /// Returns the quantiles of `deviations`; `None` if there are fewer than ten.
    pub fn of(mut deviations: Vec<f32>) -> Option<Self> {
        if deviations.len() < 10 {
            return None;
        }
        deviations.sort_by(f32::total_cmp);
        let quantile = |share: f32| {
            let at = share * (deviations.len() - 1) as f32;
            let (low, rest) = (at.floor() as usize, at.fract());
            deviations[low] * (1.0 - rest) + deviations[(low + 1).min(deviations.len() - 1)] * rest
        };
        Some(Self { bias: quantile(0.5), low: quantile(0.1), high: quantile(0.9) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deviations_are_interpolated_over_the_logarithm_of_the_strength() {
        let spread = |bias: f32| Spread { bias, low: bias - 1.0, high: bias + 1.0 };
        let row = |sigma, bias| (sigma, spread(bias), spread(-bias));
        let calibration = Calibration::new(vec![row(40.0, 3.0), row(10.0, 1.0)]).unwrap();
        let at = |sigma, is_told| calibration.at(sigma, is_told).unwrap().bias;
        assert_eq!([at(5.0, true), at(10.0, true), at(40.0, true), at(90.0, false)], [1.0, 1.0, 3.0, -3.0]);
        assert!((at(20.0, true) - 2.0).abs() < 1e-6);
        assert!(
            Calibration::new(Vec::new()).is_none() && Calibration::new(vec![row(1.0, f32::NAN)]).is_none()
        );
    }

    #[test]
    fn quantiles_are_those_of_numpy() {
        // numpy.quantile(numpy.arange(11) ** 2, [0.5, 0.1, 0.9])
        let squares = (0..11).map(|v| (v * v) as f32).collect();
        assert_eq!(Spread::of(squares), Some(Spread { bias: 25.0, low: 1.0, high: 81.0 }));
        assert_eq!(Spread::of(vec![0.0; 9]), None);
    }
}
