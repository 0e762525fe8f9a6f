//! Resampling: converts a signal to the sample rate of the model, and the result back.
//!
//! Works in the frequency domain: frequencies that both rates can represent are kept exactly, without a time shift.
//! Frequencies that only the higher rate can represent are lost in downsampling; a signal with content there is
//! rejected.

use realfft::RealFftPlanner;
use realfft::num_complex::Complex;

use super::{Error, Result, Session};
use crate::sample::{Kind, Sample, Shape};

/// Maximum ratio of the rate of the model to that of the signal.
const LOWEST: f32 = 4.0;

/// Maximum ratio of the rate of the signal to that of the model.
const HIGHEST: f32 = 8.0;

/// Number of mirrored steps before and after the signal, which absorb the ringing.
const RIM: usize = 512;

/// Maximum ratio of the lost power density to that of the upper half of the kept frequencies: white noise has the same
/// density everywhere.
const CONTENT: f64 = 4.0;

/// Relative difference below which two rates are equal.
const SAME: f32 = 1e-3;

/// Maximum period of the ratio of two rates, in steps.
const LONGEST_PERIOD: usize = 1 << 16;

/// Sample rates of a signal and of a model with another rate, in Hz.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Resampling {
    /// Rate of the signal.
    pub from: f32,
    /// Rate of the model.
    pub to: f32,
}

impl Session {
    /// Returns the resampling that a signal needs; `None` if model or signal has no rate, or if the rates are equal.
    ///
    /// # Errors
    /// The rates are too far apart, or their ratio has too long a period.
    pub fn resampling(&self, sample: &Sample) -> Result<Option<Resampling>> {
        let (Some(to), Some(from)) = (self.manifest().model.rate, sample.rate()) else { return Ok(None) };
        if (from / to - 1.0).abs() < SAME {
            return Ok(None);
        }
        let change = Resampling { from, to };
        if from > HIGHEST * to || from * LOWEST < to || change.period().is_none() {
            let reason = format!(
                "model {} takes signals of {to} Hz, this one states {from} Hz; rates from {} to {} Hz are resampled: send \
                 the signal at another rate, or name another model",
                self.id(),
                to / LOWEST,
                to * HIGHEST,
            );
            return Err(Error::Parameter { name: "rate", reason });
        }
        Ok(Some(change))
    }

    /// Rejects a signal that needs resampling, because a latent holds it at the rate of the model only.
    ///
    /// # Errors
    /// The signal needs resampling.
    pub(super) fn check_rate(&self, sample: &Sample) -> Result<()> {
        let Some(Resampling { from, to }) = self.resampling(sample)? else { return Ok(()) };
        let reason = format!(
            "model {} takes signals of {to} Hz, this one states {from} Hz; only mode=full resamples it: a latent holds the \
             signal at the model's rate",
            self.id()
        );
        Err(Error::Parameter { name: "rate", reason })
    }
}

impl Resampling {
    /// Returns the period of both rates: the numbers of steps of each after which they coincide.
    fn period(&self) -> Option<(usize, usize)> {
        let whole = |rate: f32| (f64::from(rate) * 1000.0).round() as u64;
        let (from, to) = (whole(self.from), whole(self.to));
        let common = gcd(from, to);
        let (from, to) = ((from / common.max(1)) as usize, (to / common.max(1)) as usize);
        (from > 0 && to > 0 && from.max(to) <= LONGEST_PERIOD).then_some((from, to))
    }

    /// Resamples a signal to the rate of the model.
    ///
    /// # Errors
    /// The signal has content that the rate of the model cannot represent.
    pub fn forth(&self, sample: &Sample) -> Result<Sample> {
        let (_, length) = steps(sample.shape());
        let to = ((length as f64 * f64::from(self.to) / f64::from(self.from)).round() as usize).max(1);
        self.resample(sample, to, Some(self.to))
    }

    /// Resamples a result of the model to the rate of the signal, `length` steps long.
    ///
    /// # Errors
    /// A resampled number is not finite. Content is not checked: the rate of the signal represents all that was in it.
    pub fn back(&self, result: &Sample, length: usize) -> Result<Sample> {
        let back = Self { from: self.to, to: self.from };
        back.resample(result, length, None)
    }

    fn resample(&self, sample: &Sample, length: usize, checked: Option<f32>) -> Result<Sample> {
        let (channels, before) = steps(sample.shape());
        let period = self.period().unwrap_or((1, 1));
        let mut data = Vec::with_capacity(channels * length);
        for channel in sample.data().chunks_exact(before) {
            let moved = resample(channel, period, length);
            if let Some(to) = checked.filter(|_| moved.lost > CONTENT) {
                let reason = format!(
                    "the signal of {} Hz has content above {} Hz, which the model's {to} Hz cannot hold; filter it, or name \
                     another model",
                    self.from,
                    to / 2.0
                );
                return Err(Error::Parameter { name: "rate", reason });
            }
            data.extend(moved.data);
        }
        let fault = |e: crate::sample::Error| Error::Parameter { name: "rate", reason: e.to_string() };
        let shape = Shape::Signal { channels, length };
        let resampled = Sample::new(shape, data).map_err(fault)?.with_rate(Some(self.to));
        let Some(missing) = sample.missing() else { return Ok(resampled) };
        let nearest = |at: usize| (at as f64 * f64::from(self.from) / f64::from(self.to)).round() as usize;
        let of_channel = |missing: &[bool]| -> Vec<bool> {
            (0..length).map(|at| missing[nearest(at).min(before - 1)]).collect()
        };
        Ok(resampled.masked(missing.chunks_exact(before).flat_map(of_channel).collect()))
    }
}

/// A resampled channel.
struct Moved {
    data: Vec<f32>,
    /// Ratio of the lost power density to that of the upper half of the kept frequencies; 0 for upsampling.
    lost: f64,
}

/// Resamples a channel to `length` steps; `from` steps of the old rate are `to` steps of the new one.
fn resample(channel: &[f32], (from, to): (usize, usize), length: usize) -> Moved {
    // Pads by whole periods, so that steps of both rates coincide at the first step of the signal.
    let rim = RIM.div_ceil(from) * from;
    let extended = (channel.len() + 2 * rim).next_multiple_of(from);
    let count = extended / from * to;
    let mean = channel.iter().map(|v| f64::from(*v)).sum::<f64>() / channel.len() as f64;
    let value = |i: usize| {
        let at = i as isize - rim as isize;
        let (last, n) = (channel.len() as isize - 1, channel.len() as isize);
        // The padding is mirrored and fades to the mean, because the transform is periodic: the last step is next to
        // the first.
        let (beyond, room) = if at < 0 {
            (-at, rim as isize)
        } else {
            ((at - last).max(0), extended as isize - rim as isize - n)
        };
        let share = 1.0 - beyond as f64 / (room + 1) as f64;
        share * (f64::from(channel[fold(at, n)]) - mean)
    };
    let mut planner = RealFftPlanner::<f64>::new();
    let forward = planner.plan_fft_forward(extended);
    let (mut input, mut spectrum) = (forward.make_input_vec(), forward.make_output_vec());
    input.iter_mut().enumerate().for_each(|(i, v)| *v = value(i));
    forward.process(&mut input, &mut spectrum).expect("the buffers are those of the plan");
    let kept = (count / 2 + 1).min(spectrum.len());
    let lost = density(&spectrum[kept..]) / density(&spectrum[kept / 2..kept]).max(f64::MIN_POSITIVE);
    let inverse = planner.plan_fft_inverse(count);
    let (mut narrow, mut output) = (inverse.make_input_vec(), inverse.make_output_vec());
    let both = narrow.len().min(spectrum.len());
    narrow[..both].copy_from_slice(&spectrum[..both]);
    // The first coefficient and, for an even length, the last one must be real.
    narrow[0].im = 0.0;
    if count.is_multiple_of(2) {
        narrow[count / 2].im = 0.0;
    }
    inverse.process(&mut narrow, &mut output).expect("the buffers are those of the plan");
    let first = rim / from * to;
    let scale = 1.0 / extended as f64;
    let data = (0..length).map(|i| (mean + scale * output[(first + i).min(count - 1)]) as f32).collect();
    Moved { data, lost }
}

/// Returns the mean power of the given frequencies; 0 if there are none.
fn density(spectrum: &[Complex<f64>]) -> f64 {
    spectrum.iter().map(Complex::norm_sqr).sum::<f64>() / spectrum.len().max(1) as f64
}

/// Returns the mirrored index of a step beyond the ends of a signal of `n` steps.
fn fold(at: isize, n: isize) -> usize {
    let period = (2 * n - 2).max(1);
    let at = at.rem_euclid(period);
    at.min(period - at).min(n - 1) as usize
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Returns channels and steps of a signal; other kinds have no rate.
fn steps(shape: Shape) -> (usize, usize) {
    debug_assert_eq!(shape.kind(), Kind::Signal);
    let (channels, _, length) = shape.extents();
    (channels, length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, Rng};

    fn wave(rate: f32, seconds: f32, hertz: f32) -> Vec<f32> {
        let value = |i: usize| 7.0 + (std::f32::consts::TAU * hertz * i as f32 / rate).sin();
        (0..(rate * seconds) as usize).map(value).collect()
    }

    fn signal(data: Vec<f32>, rate: f32) -> Sample {
        let shape = Shape::Signal { channels: 1, length: data.len() };
        Sample::new(shape, data).unwrap().with_rate(Some(rate))
    }

    #[test]
    fn what_both_rates_can_hold_goes_there_and_back_without_a_shift() {
        for (from, to) in [(1000.0, 360.0), (250.0, 360.0), (44.1, 40.0)] {
            let change = Resampling { from, to };
            let sample = signal(wave(from, 4000.0 / from, from * 0.03), from);
            let there = change.forth(&sample).unwrap();
            assert_eq!(there.rate(), Some(to));
            let expected = wave(to, 4000.0 / from, from * 0.03);
            // Values beyond the ends are unknown; each pass of the filter reaches 60 samples of the coarser rate.
            let apart = |a: &[f32], b: &[f32], rate: f32, passes: f32| {
                let margin = (60.0 * passes * rate / from.min(to)).ceil() as usize;
                let inside = margin..a.len().min(b.len()) - margin;
                a[inside.clone()].iter().zip(&b[inside]).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
            };
            let forth = apart(there.data(), &expected, to, 1.0);
            assert!(forth < 2e-3, "{from} -> {to}: {forth}");
            let back = change.back(&there, sample.data().len()).unwrap();
            assert_eq!((back.shape(), back.rate()), (sample.shape(), Some(from)));
            let back = apart(back.data(), sample.data(), from, 2.0);
            assert!(back < 2e-3, "{from} -> {to} -> {from}: {back}");
        }
    }

    #[test]
    fn noise_is_lost_and_content_is_not() {
        let mut noise = vec![0.0; 4000];
        Rng::new(1, Purpose::Evaluate, 0).fill_normal(&mut noise);
        let change = Resampling { from: 1000.0, to: 360.0 };
        let noisy = |hertz: f32| {
            let data = wave(1000.0, 4.0, hertz).iter().zip(&noise).map(|(v, n)| v + 0.2 * n).collect();
            change.forth(&signal(data, 1000.0))
        };
        assert!(noisy(10.0).is_ok());
        let error = noisy(300.0).unwrap_err().to_string();
        assert!(error.contains("content above 180 Hz"), "{error}");
    }
}
