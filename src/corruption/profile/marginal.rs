//! Marginal: the distribution of single numbers of noise, as a map from normal ones.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Normal score of the first and the last value of a map.
const REACH: f64 = 3.5;

/// Number of values of a map.
const VALUES: usize = 57;

/// Number of terms of the series of a map in Hermite polynomials.
const TERMS: usize = 10;

/// Fewest numbers beyond a value of a map; beyond it the map continues in a straight line.
const FEWEST: usize = 20;

/// Excess of the fourth moment below which noise counts as normal.
const NORMAL: f64 = 0.25;

/// Distribution of noise of mean 0 and variance 1: its values at normal scores of -3.5 to 3.5, evenly spaced. Empty for
/// normal noise.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NoiseDistribution)]
pub struct Marginal {
    /// Excess kurtosis: 0 for normal noise, above for noise with outliers.
    pub kurtosis: f32,
    /// Values, ascending: 57, or none.
    #[serde(default)]
    #[schema(default = Vec::<f32>::new, max_items = 57)]
    pub values: Vec<f32>,
}

impl Marginal {
    /// Measures the distribution of numbers of noise; normal if they are too few or close to it.
    pub fn of_numbers(mut numbers: Vec<f32>) -> Self {
        numbers.retain(|v| v.is_finite());
        let n = numbers.len() as f64;
        let moment = |power: i32, mean: f64| {
            numbers.iter().map(|v| (f64::from(*v) - mean).powi(power)).sum::<f64>() / n
        };
        let mean = moment(1, 0.0);
        let variance = moment(2, mean);
        let kurtosis = moment(4, mean) / (variance * variance) - 3.0;
        // Both moments of normal noise of n numbers vary by these.
        let skew = moment(3, mean) / variance.powf(1.5);
        if numbers.len() < 50 * FEWEST
            || kurtosis.abs() < NORMAL.max(5.0 * (24.0 / n).sqrt()) && skew.abs() < 0.2
        {
            return Self {
                kurtosis: if kurtosis.is_finite() { kurtosis as f32 } else { 0.0 },
                values: Vec::new(),
            };
        }
        numbers.sort_unstable_by(f32::total_cmp);
        let at = |score: f64| {
            let place = (below(score) * n).clamp(0.0, n - 1.0);
            (f64::from(numbers[place as usize]) - mean) / variance.sqrt()
        };
        // The last score with enough numbers beyond it.
        let most =
            (0..VALUES / 2).map(score_of).map(|z| -z).find(|z| below(-z) * n >= FEWEST as f64).unwrap_or(1.0);
        let value = |score: f64| {
            let inner = score.clamp(-most, most);
            at(inner) + (score - inner) * (at(most) - at(-most)).abs() / (2.0 * most)
        };
        let values = (0..VALUES).map(|i| value(score_of(i)) as f32).collect();
        Self { kurtosis: kurtosis as f32, values }.standard()
    }

    pub(super) fn check(&self) -> Result<(), String> {
        let count = self.values.len();
        if count != 0 && count != VALUES {
            return Err(format!("has {count} values, must have {VALUES}, or none for normal noise"));
        }
        let is_ascending = self.values.windows(2).all(|pair| pair[0] <= pair[1]);
        if !self.kurtosis.is_finite() || !is_ascending || self.values.iter().any(|v| !v.is_finite()) {
            return Err("must be finite and ascending".to_owned());
        }
        Ok(())
    }

    /// Maps a normal number to one of the distribution.
    pub(super) fn of(&self, score: f32) -> f32 {
        if self.values.is_empty() {
            return score;
        }
        let step = (2.0 * REACH) as f32 / (VALUES - 1) as f32;
        let place = (score + REACH as f32) / step;
        let left = (place.floor().max(0.0) as usize).min(VALUES - 2);
        let share = place - left as f32;
        self.values[left] + share * (self.values[left + 1] - self.values[left])
    }

    /// Returns the correlation of normal numbers that the map turns into `wanted`.
    pub(super) fn normal_correlation(&self, wanted: f64) -> f64 {
        if self.values.is_empty() || wanted == 0.0 || wanted >= 1.0 {
            return wanted;
        }
        let powers = self.powers();
        let mapped = |rho: f64| {
            powers.iter().enumerate().map(|(k, power)| power * rho.powi(k as i32 + 1)).sum::<f64>()
        };
        let (mut low, mut high) = (-1.0, 1.0);
        for _ in 0..40 {
            let middle = 0.5 * (low + high);
            if mapped(middle) < wanted { low = middle } else { high = middle }
        }
        0.5 * (low + high)
    }

    /// Returns the share of the variance in each Hermite polynomial from the first on.
    fn powers(&self) -> Vec<f64> {
        let mut sums = [0.0; TERMS];
        quadrature(|z, weight| {
            // Polynomials of unit variance: h1 = z, h(k+1) = (z h(k) - sqrt(k) h(k-1)) / sqrt(k+1).
            let (mut before, mut here) = (1.0, z);
            let value = f64::from(self.of(z as f32));
            for (k, sum) in sums.iter_mut().enumerate() {
                *sum += weight * value * here;
                let k = (k + 1) as f64;
                (before, here) = (here, (z * here - k.sqrt() * before) / (k + 1.0).sqrt());
            }
        });
        let squares: Vec<f64> = sums.iter().map(|sum| sum * sum).collect();
        let all = squares.iter().sum::<f64>().max(f64::MIN_POSITIVE);
        squares.into_iter().map(|square| square / all).collect()
    }

    /// Scales to mean 0 and variance 1.
    fn standard(mut self) -> Self {
        let (mut mean, mut square) = (0.0, 0.0);
        quadrature(|z, weight| {
            let value = f64::from(self.of(z as f32));
            mean += weight * value;
            square += weight * value * value;
        });
        let deviation = (square - mean * mean).sqrt();
        self.values.iter_mut().for_each(|v| *v = ((f64::from(*v) - mean) / deviation) as f32);
        self
    }
}

fn score_of(index: usize) -> f64 {
    2.0 * REACH * index as f64 / (VALUES - 1) as f64 - REACH
}

/// Calls `each` with normal scores and their weights.
fn quadrature(mut each: impl FnMut(f64, f64)) {
    let step = 0.02;
    for i in -300..=300 {
        let z = f64::from(i) * step;
        each(z, step * (-0.5 * z * z).exp() / std::f64::consts::TAU.sqrt());
    }
}

/// Returns the share of normal numbers below a score.
///
/// # Source
/// W. J. Cody's erfc as in "Numerical recipes" (6.2.2), within 1.2e-7.
fn below(score: f64) -> f64 {
    let x = score.abs() / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.5 * x);
    const TERMS: [f64; 10] = [
        -1.265_512_23,
        1.000_023_68,
        0.374_091_96,
        0.096_784_18,
        -0.186_288_06,
        0.278_868_07,
        -1.135_203_98,
        1.488_515_87,
        -0.822_152_23,
        0.170_872_77,
    ];
    let series = TERMS.iter().rev().fold(0.0, |sum, term| sum * t + term);
    let beyond = 0.5 * t * (-x * x + series).exp();
    if score < 0.0 { beyond } else { 1.0 - beyond }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, Rng};

    #[test]
    fn shares_below_a_score_are_those_of_the_normal_distribution() {
        for (score, share) in [(0.0, 0.5), (1.0, 0.841_344_746), (-1.959_964, 0.025), (3.5, 0.999_767_371)] {
            assert!((below(score) - share).abs() < 1e-6, "{score}: {}", below(score));
        }
    }

    #[test]
    fn outliers_are_kept_and_normal_noise_is_normal() {
        let mut rng = Rng::new(3, Purpose::Evaluate, 0);
        let mut normal = vec![0.0; 100_000];
        rng.fill_normal(&mut normal);
        assert!(Marginal::of_numbers(normal.clone()).values.is_empty());
        // Laplace noise has an excess kurtosis of 3.
        let laplace =
            |u: f32| if u < 0.5 { (2.0 * u).max(1e-9).ln() } else { -(2.0 * (1.0 - u)).max(1e-9).ln() };
        let map = Marginal::of_numbers((0..100_000).map(|_| laplace(rng.uniform())).collect());
        assert!((map.kurtosis - 3.0).abs() < 0.4, "{}", map.kurtosis);
        let made = Marginal::of_numbers(normal.iter().map(|z| map.of(*z)).collect());
        assert!((made.kurtosis - map.kurtosis).abs() < 0.7, "{} for {}", made.kurtosis, map.kurtosis);
        let higher = map.normal_correlation(0.5);
        assert!((0.5..0.56).contains(&higher), "{higher}");
    }
}
