//! Restraint: bounds on the change of a signal by a model, which takes something out of clean signals too.
//!
//! A model of white noise cannot know the fine structure of every sensor from noise: its change is bounded by the noise that is
//! measured. Where noise is not white, only the change itself can be measured: one that is as large for clean signals is
//! undone.

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
/// Typical number of steps over which a change is compared with the floor: noise comes and goes in long recordings.
const SPAN: usize = 4096;
/// Steepness at the floor: a change of twice the floor keeps 15/16. Of 1, 2 and 4, this costs the least where noise is strong
/// (`ecg` on the patients it was trained on, 0 dB: 6.8, 8.4 and 8.9 of 8.9 dB) and spares as many windows at 24 dB.
const STEEPNESS: i32 = 4;

/// Bounds on the change of a signal.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Restraint {
    /// By the noise of each channel, of which it takes away white noise alone.
    Noise(Vec<f32>),
    /// By the change of clean signals, as a share of the power of the result.
    Floor(f32),
}

impl Restraint {
    /// Returns the bounds for `sample`; `None` if `session` needs none.
    ///
    /// The noise is the median of absolute fourth differences, as in D. L. Donoho and I. M. Johnstone, "Ideal spatial adaptation
    /// by wavelet shrinkage" (1994), section 4.2, with the finest wavelet coefficients.
    pub fn of(session: &Session, sample: &Sample) -> Option<Self> {
        let manifest = session.manifest();
        if sample.shape().kind() != Kind::Signal {
            return None;
        }
        let (_, _, length) = sample.shape().extents();
        match manifest.removes() {
            Some(Removes::White) => {
                Some(Self::Noise(sample.known().chunks_exact(length).map(sigma).collect()))
            }
            _ => manifest.floor().map(Self::Floor),
        }
    }

    /// Bounds the change from `before` to `after` of a channel.
    pub fn apply(&self, channel: usize, before: &[f32], after: &mut [f32]) {
        match self {
            Self::Noise(sigmas) => by_noise(sigmas[channel], before, after),
            Self::Floor(floor) => by_floor(*floor, before, after),
        }
    }
}

fn by_noise(sigma: f32, before: &[f32], after: &mut [f32]) {
    let most = MOST * sigma;
    let mut power = 0.0;
    for (after, before) in after.iter_mut().zip(before) {
        let change = (*after - before).clamp(-most, most);
        power += f64::from(change).powi(2);
        *after = before + change;
    }
    let change = (power / before.len() as f64).sqrt() as f32;
    let share = MOST_IN_ALL * sigma / change;
    if share < 1.0 {
        let shrink = |(after, before): (&mut f32, &f32)| *after = before + share * (*after - before);
        after.iter_mut().zip(before).for_each(shrink);
    }
}

/// Multiplies the change by a share, measured in spans and interpolated between their middles.
fn by_floor(floor: f32, before: &[f32], after: &mut [f32]) {
    let count = (after.len() as f64 / SPAN as f64).round().max(1.0) as usize;
    let span = after.len().div_ceil(count);
    let spans = before.chunks(span).zip(after.chunks(span));
    let shares: Vec<f32> = spans.map(|(before, after)| share_kept(floor, before, after)).collect();
    for (i, (after, before)) in after.iter_mut().zip(before).enumerate() {
        let at = ((i as f32 + 0.5) / span as f32 - 0.5).clamp(0.0, (shares.len() - 1) as f32);
        let (left, part) = (at as usize, at.fract());
        let share = shares[left] + part * (shares[(left + 1).min(shares.len() - 1)] - shares[left]);
        // Exact at both ends: nothing is rounded where all of the change is undone, or none of it.
        *after = if share == 0.0 { *before } else { *after + (1.0 - share) * (before - *after) };
    }
}

/// Returns the share of a change that is kept, 0 to 1: 0 up to the floor.
fn share_kept(floor: f32, before: &[f32], after: &[f32]) -> f32 {
    let count = after.len() as f64;
    let mean = after.iter().map(|v| f64::from(*v)).sum::<f64>() / count;
    let power: f64 = after.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum();
    let shifts = || before.iter().zip(after).map(|(before, after)| f64::from(before - after));
    let shift = shifts().sum::<f64>() / count;
    let change: f64 = shifts().map(|v| (v - shift).powi(2)).sum();
    // Written so that a change of a constant result, which has no power, is kept, and no change is no division by zero.
    let ratio = f64::from(floor) * power / change.max(f64::MIN_POSITIVE);
    (1.0 - ratio.powi(STEEPNESS)).max(0.0) as f32
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
        let restraint = Restraint::Noise(vec![0.1, f32::INFINITY, 0.0]);
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
    /// A sine of power 1/2, and one of another frequency and of power `power`.
    fn sines(length: usize, power: f32) -> (Vec<f32>, Vec<f32>) {
        let sine = |i: usize, period: f32| (std::f32::consts::TAU * i as f32 / period).sin();
        let clean: Vec<f32> = (0..length).map(|i| sine(i, 64.0)).collect();
        let noisy = (0..length).map(|i| clean[i] + (2.0 * power).sqrt() * sine(i, 4.0)).collect();
        (noisy, clean)
    }

    #[test]
    fn a_change_as_large_as_that_of_clean_signals_is_undone() {
        // Shares of the power of the clean sine: 0.19, and twice the floor.
        let (before, clean) = sines(3200, 0.095);
        let mut after = clean.clone();
        Restraint::Floor(0.2).apply(0, &before, &mut after);
        assert_eq!(after, before);
        let (before, clean) = sines(3200, 0.2);
        let mut after = clean.clone();
        Restraint::Floor(0.2).apply(0, &before, &mut after);
        let expected = |i: usize| before[i] + 15.0 / 16.0 * (clean[i] - before[i]);
        let apart = (0..3200).map(|i| (after[i] - expected(i)).abs()).fold(0.0, f32::max);
        assert!(apart < 1e-4, "{apart}");
        // A constant result, and one that is the input.
        let mut after = vec![2.0; 3200];
        Restraint::Floor(0.2).apply(0, &before, &mut after);
        assert_eq!(after, [2.0; 3200]);
        let mut after = before.clone();
        Restraint::Floor(0.2).apply(0, &before, &mut after);
        assert_eq!(after, before);
    }

    #[test]
    fn noise_of_a_part_of_a_recording_is_removed_there_alone() {
        let (noisy, clean) = sines(16384, 1.0);
        let (weak, _) = sines(16384, 0.05);
        let before: Vec<f32> = (0..16384).map(|i| if i < 8192 { noisy[i] } else { weak[i] }).collect();
        let mut after = clean.clone();
        Restraint::Floor(0.2).apply(0, &before, &mut after);
        let apart = |range: std::ops::Range<usize>, other: &[f32]| {
            range.map(|i| (after[i] - other[i]).abs()).fold(0.0, f32::max)
        };
        assert!(apart(0..6144, &clean) < 0.01 && apart(10240..16384, &weak) == 0.0);
    }
}
