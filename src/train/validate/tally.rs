//! Tally: accumulated errors of one method.

use super::pair::Pair;

/// Lower bound of an estimated error, as a share of the variance of the noise in the estimate.
pub(super) const SUREST: f64 = 1e-3;

/// Accumulated errors of one method over all pairs.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Factor on squared errors that make a sample lighter, if not 1.
    ink_weight: Option<f64>,
    /// Number of pairs.
    pub(super) count: usize,
    /// Sum of the scores of the pairs.
    decibels: f64,
    /// The same with weighted errors.
    weighed: f64,
    /// Sums of the squared differences from noisy targets, of the variances of their noise, and of the reference powers.
    seen: f64,
    variance: f64,
    power: f64,
}

impl Tally {
    /// Creates an empty tally.
    pub(super) fn new(ink_weight: Option<f64>) -> Self {
        Self { ink_weight, ..Self::default() }
    }

    /// Adds the result of a method on a pair, and that on the probe of the pair.
    pub(super) fn add(&mut self, pair: &Pair, result: &[f32], moved: Option<&[f32]>) {
        let (mut seen, power) = pair.errors(result, 1.0);
        let weighed = self.ink_weight.map(|lighter| pair.errors(result, lighter).0);
        if let Some((probe, moved)) = pair.probe.as_ref().zip(moved) {
            seen += 2.0 * pair.variance * pair.response(probe, result, moved);
        }
        self.count += 1;
        self.seen += seen;
        self.variance += pair.variance;
        self.power += power;
        // Capped so that a perfect result does not make a mean infinite.
        let decibels = |error: f64| (10.0 * (power / error.max(f64::MIN_POSITIVE)).log10()).min(100.0);
        self.decibels += decibels(seen);
        self.weighed += decibels(weighed.unwrap_or(seen));
    }

    /// Returns the mean of the pairs' scores. Estimates of single pairs are too inexact, so their errors are summed first.
    pub(super) fn decibels(&self) -> f32 {
        if self.variance == 0.0 {
            return (self.decibels / self.count.max(1) as f64) as f32;
        }
        let error = (self.seen - self.variance).max(SUREST * self.variance);
        (10.0 * (self.power / error).log10()) as f32
    }

    /// Returns a score that is monotonic in `decibels`, but stable when the estimated error approaches zero.
    pub(super) fn judged(&self) -> f32 {
        if self.variance == 0.0 {
            (self.weighed / self.count.max(1) as f64) as f32
        } else {
            (10.0 * (self.power / self.seen.max(SUREST * self.variance)).log10()) as f32
        }
    }
}
