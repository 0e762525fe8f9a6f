//! Restraint: the bounds on the change of a signal by a model of white noise, which cannot know the fine structure of every
//! sensor from noise.

use crate::infer::Session;
use crate::registry::Removes;
use crate::sample::{Kind, Sample};

/// Largest change of one number, in standard deviations of the noise: one of 370 numbers of normal noise is beyond it.
const MOST: f32 = 3.0;
/// Largest root mean square of the change, in the same unit: that of the noise, and a tenth for the error of the estimate.
const MOST_IN_ALL: f32 = 1.1;
/// Differences whose noise is measured: those of fourth order pass white noise at the highest frequencies, where sensors have
/// the least content.
const BINOMIALS: [f32; 5] = [1.0, -4.0, 6.0, -4.0, 1.0];
/// Root of the sum of the squares of [`BINOMIALS`].
const GAIN: f32 = 8.366_6;
/// Median of the absolute value of a standard normal.
const MEDIAN: f32 = 0.674_489_8;

/// Noise of each channel of a signal, which bounds its change.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Restraint {
    sigmas: Vec<f32>,
}

impl Restraint {
    /// Measures the bounds for `sample`; `None` if `session` has no model of white noise in signals.
    ///
    /// The noise is the median of absolute fourth differences, as in D. L. Donoho and I. M. Johnstone, "Ideal spatial adaptation
    /// by wavelet shrinkage" (1994), section 4.2, with the finest wavelet coefficients.
    pub fn of(session: &Session, sample: &Sample) -> Option<Self> {
        if sample.shape().kind() != Kind::Signal || session.manifest().removes() != Some(Removes::White) {
            return None;
        }
        let (_, _, length) = sample.shape().extents();
        Some(Self { sigmas: sample.known().chunks_exact(length).map(sigma).collect() })
    }

    /// Bounds the change from `before` to `after` of a channel.
    pub fn apply(&self, channel: usize, before: &[f32], after: &mut [f32]) {
        let most = MOST * self.sigmas[channel];
        let mut power = 0.0;
        for (after, before) in after.iter_mut().zip(before) {
            let change = (*after - before).clamp(-most, most);
            power += f64::from(change).powi(2);
            *after = before + change;
        }
        let change = (power / before.len() as f64).sqrt() as f32;
        let share = MOST_IN_ALL * self.sigmas[channel] / change;
        if share < 1.0 {
            after
                .iter_mut()
                .zip(before)
                .for_each(|(after, before)| *after = before + share * (*after - before));
        }
    }
}

/// Estimates the standard deviation of white noise; unbounded if there are too few numbers in a row to tell.
fn sigma(channel: &[f32]) -> f32 {
    let difference = |w: &[f32]| w.iter().zip(BINOMIALS).map(|(v, b)| v * b).sum::<f32>().abs();
    // A missing number (NaN) takes its neighbours with it.
    let mut all: Vec<f32> = channel.windows(5).map(difference).filter(|v| !v.is_nan()).collect();
    if all.len() < 8 {
        return f32::INFINITY;
    }
    let middle = all.len() / 2;
    *all.select_nth_unstable_by(middle, f32::total_cmp).1 / (MEDIAN * GAIN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, Rng};

    #[test]
    fn the_noise_of_a_signal_with_steps_and_gaps_is_estimated() {
        let mut noise = vec![0.0; 4000];
        Rng::new(1, Purpose::Evaluate, 0).fill_normal(&mut noise);
        let value = |(i, n): (usize, &f32)| match i % 97 {
            0 => f32::NAN,
            _ => (i as f32 / 40.0).sin() + if i % 500 < 200 { 3.0 } else { 0.0 } + 0.2 * n,
        };
        let seen = sigma(&noise.iter().enumerate().map(value).collect::<Vec<_>>());
        assert!((seen / 0.2 - 1.0).abs() < 0.06, "{seen}");
        assert_eq!(sigma(&[1.0, 2.0, 1.0]), f32::INFINITY);
        assert_eq!(sigma(&[5.0; 50]), 0.0);
    }

    #[test]
    fn no_number_changes_by_more_than_noise_does_nor_all_together() {
        let restraint = Restraint { sigmas: vec![0.1, f32::INFINITY, 0.0] };
        let before = [0.0; 100];
        let mut after = [0.0; 100];
        after[3] = -9.0;
        restraint.apply(0, &before, &mut after);
        assert!((after[3] + 0.3).abs() < 1e-6, "{}", after[3]);
        let mut after = [0.25; 100];
        restraint.apply(0, &before, &mut after);
        assert!(after.iter().all(|v| (v - 0.11).abs() < 1e-6), "{}", after[0]);
        let mut after = [7.0; 100];
        restraint.apply(1, &before, &mut after);
        assert_eq!(after, [7.0; 100]);
        restraint.apply(2, &before, &mut after);
        assert_eq!(after, before);
    }
}
