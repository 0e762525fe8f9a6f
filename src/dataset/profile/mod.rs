//! Profile: the noise of your own samples, measured from even frames, from repeats of a scene or from ordinary samples.
//!
//! | samples | level of a number | noise |
//! |---|---|---|
//! | even or dark frames | a quadratic surface fitted to the frame | the rest |
//! | repeats of one scene | their mean | difference from the mean, times sqrt(n / (n - 1)) |
//! | five or more ordinary samples | mean of a block | blocks without their plane, the flattest tenth of each level |
//!
//! The variance is fitted as `shot * level + read` (photon transfer; J. R. Janesick, "Photon transfer", 2007). Stripes are
//! offsets of whole rows and columns; the autocorrelation, the correlation of channels and the distribution are those of the
//! noise without them.

mod blocks;
mod even;
mod frames;
mod line;

use crate::corruption::{Autocorrelation, Method, NoiseProfile};
use crate::sample::{Kind, Sample, Shape};

/// Fewest ordinary samples: their content must differ for it not to count as noise.
pub const FEWEST_NOISY: usize = 5;

/// Side of the smallest image that is measured, in pixels, and length of the shortest signal, in steps.
const SMALLEST: (usize, usize) = (32, 256);

/// Smallest correlation of the block means of two repeats of one scene.
const ALIKE: f64 = 0.9;

/// Largest lag of the autocorrelation of images, in pixels, and of signals, in steps.
const LAGS: (usize, usize) = (8, 32);

/// A correlation below so many standard errors is 0.
const SIGNIFICANT: f64 = 4.0;

/// Error of a measurement of noise.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// Samples that cannot be measured together.
    #[error("{0}")]
    Samples(String),
}

/// Result of a measurement.
pub type Result<T> = std::result::Result<T, Error>;

fn fault<T>(reason: impl Into<String>) -> Result<T> {
    Err(Error::Samples(reason.into()))
}

/// Measures the noise of `samples`; without a method, one frame is taken as even, samples of one shape that are alike as
/// repeats, and five or more others as ordinary ones.
///
/// # Errors
/// There are no samples, they are vectors, too small or of several kinds, or the method does not fit them.
pub fn measure_profile(samples: &[&Sample], method: Option<Method>) -> Result<NoiseProfile> {
    let Some(first_sample) = samples.first() else {
        return fault("there is no sample");
    };
    let first = first_sample.shape();
    let kind = first.kind();
    if kind == Kind::Vector {
        return fault("the numbers of a vector are no neighbours, so noise cannot be told from content");
    }
    let make = |shape: Shape| (shape.kind(), shape.channels());
    if let Some(other) = samples.iter().map(|sample| sample.shape()).find(|shape| make(*shape) != make(first))
    {
        return fault(format!("the first sample is a {first}, another a {other}; measure them apart"));
    }
    if let Some(small) = samples.iter().map(|sample| sample.shape()).find(|shape| is_small(*shape)) {
        let (side, length) = SMALLEST;
        return fault(format!(
            "{small} is too small; images need {side}x{side} pixels, signals {length} steps"
        ));
    }
    let are_repeats = || samples.len() > 1 && samples.iter().all(|sample| sample.shape() == first);
    let method = match method {
        Some(method) => method,
        None if samples.len() == 1 && even::is_even(first_sample) => Method::Flat,
        None if samples.len() == 1 => {
            return fault(format!(
                "one sample that does not look like an even frame: its content would count as noise; send an even or dark frame, \
                 repeats of one scene, or at least {FEWEST_NOISY} ordinary samples (or say method flat)"
            ));
        }
        None if are_repeats() && samples.windows(2).all(|two| alike(two[0], two[1])) => Method::Repeats,
        None if samples.len() >= FEWEST_NOISY => Method::Noisy,
        None => {
            return fault(format!(
                "{} samples that are no repeats of one scene: say that they are even frames (method flat), or send at least \
                 {FEWEST_NOISY} ordinary ones",
                samples.len()
            ));
        }
    };
    match method {
        Method::Repeats if !are_repeats() => fault("repeats must be at least two samples of one shape"),
        Method::Noisy if samples.len() < FEWEST_NOISY => {
            fault(format!("{} ordinary samples are too few; send at least {FEWEST_NOISY}", samples.len()))
        }
        Method::Flat | Method::Repeats => frames::measure(samples, method),
        Method::Noisy => blocks::measure(samples),
    }
}

fn is_small(shape: Shape) -> bool {
    let (_, height, width) = shape.extents();
    match shape.kind() {
        Kind::Image => height.min(width) < SMALLEST.0,
        _ => width < SMALLEST.1,
    }
}

/// Returns `true` if two samples of one shape show one scene, by the means of coarse blocks; two even frames do too.
fn alike(a: &Sample, b: &Sample) -> bool {
    let (channels, height, width) = a.shape().extents();
    let means = |sample: &Sample| {
        let (rows, columns) = (height.min(12), width.min(12));
        let mut sums = vec![(0.0, 0usize); channels * rows * columns];
        for (i, v) in sample.data().iter().enumerate() {
            let (c, y, x) = (i / (height * width), i / width % height, i % width);
            let (sum, count) = &mut sums[(c * rows + y * rows / height) * columns + x * columns / width];
            *sum += f64::from(*v);
            *count += 1;
        }
        sums.into_iter().map(|(sum, count)| sum / count.max(1) as f64).collect::<Vec<_>>()
    };
    let (a, b) = (means(a), means(b));
    let mean = |all: &[f64]| all.iter().sum::<f64>() / all.len() as f64;
    let (mean_a, mean_b) = (mean(&a), mean(&b));
    let sum =
        |of: &dyn Fn(f64, f64) -> f64| a.iter().zip(&b).map(|(a, b)| of(a - mean_a, b - mean_b)).sum::<f64>();
    sum(&|a, b| a * b) >= ALIKE * (sum(&|a, _| a * a) * sum(&|_, b| b * b)).sqrt()
}

/// Covariances of noise at lags `-down..=down` by `-across..=across`, summed over planes.
#[derive(Debug, Clone)]
struct Covariance {
    down: usize,
    across: usize,
    sums: Vec<f64>,
    pairs: Vec<f64>,
}

impl Covariance {
    fn new(kind: Kind) -> Self {
        let (down, across) = if kind == Kind::Image { (LAGS.0, LAGS.0) } else { (0, LAGS.1) };
        let count = (2 * down + 1) * (2 * across + 1);
        Self { down, across, sums: vec![0.0; count], pairs: vec![0.0; count] }
    }

    fn index(&self, dy: isize, dx: isize) -> usize {
        ((dy + self.down as isize) * (2 * self.across as isize + 1) + dx + self.across as isize) as usize
    }

    /// Adds the products of a plane of noise; numbers that are NaN are left out.
    fn add(&mut self, plane: &[f32], width: usize) {
        let height = plane.len() / width;
        for dy in 0..=self.down.min(height - 1) {
            for dx in -(self.across as isize)..=self.across as isize {
                if dy == 0 && dx < 0 || dx.unsigned_abs() >= width {
                    continue;
                }
                let (mut sum, mut pairs) = (0.0f64, 0usize);
                let (left, right) = (dx.min(0).unsigned_abs(), dx.max(0) as usize);
                for y in 0..height - dy {
                    let here = &plane[y * width + left..(y + 1) * width - right];
                    let there = &plane[(y + dy) * width + right..(y + dy + 1) * width - left];
                    for (a, b) in here.iter().zip(there) {
                        let product = a * b;
                        if !product.is_nan() {
                            sum += f64::from(product);
                            pairs += 1;
                        }
                    }
                }
                for index in [self.index(dy as isize, dx), self.index(-(dy as isize), -dx)] {
                    self.sums[index] += sum;
                    self.pairs[index] += pairs as f64;
                }
            }
        }
    }

    /// Returns the mean covariances.
    fn means(&self) -> Vec<f64> {
        self.sums.iter().zip(&self.pairs).map(|(sum, pairs)| sum / pairs.max(1.0)).collect()
    }

    /// Returns the autocorrelation of covariances `means` at these lags; a value that is not significant is 0.
    fn correlation(&self, means: &[f64]) -> Autocorrelation {
        let middle = means[self.index(0, 0)].max(f64::MIN_POSITIVE);
        let error = SIGNIFICANT / self.pairs[self.index(0, 0)].max(1.0).sqrt();
        let one = |v: &f64| {
            let share = (v / middle).clamp(-1.0, 1.0);
            if share.abs() < error { 0.0 } else { share as f32 }
        };
        let mut values: Vec<f32> = means.iter().map(one).collect();
        values[self.index(0, 0)] = 1.0;
        cut(&Autocorrelation { down: self.down, across: self.across, values })
    }
}

/// Removes lags at the border at which nothing is correlated.
fn cut(correlation: &Autocorrelation) -> Autocorrelation {
    let is_used = |dy: usize, dx: usize| {
        let (dy, dx) = (dy as isize, dx as isize);
        [(dy, dx), (dy, -dx)].iter().any(|(dy, dx)| correlation.at(*dy, *dx) != 0.0)
    };
    let (most_down, most_across) = (correlation.down, correlation.across);
    let down = (0..=most_down).rev().find(|dy| (0..=most_across).any(|dx| is_used(*dy, dx))).unwrap_or(0);
    let across = (0..=most_across).rev().find(|dx| (0..=down).any(|dy| is_used(dy, *dx))).unwrap_or(0);
    let rows = -(down as isize)..=down as isize;
    let values = rows.flat_map(|dy| (-(across as isize)..=across as isize).map(move |dx| (dy, dx)));
    let values = values.map(|(dy, dx)| correlation.at(dy, dx)).collect();
    Autocorrelation { down, across, values }
}

/// Returns the median, the upper of two.
fn median(values: &mut [f32]) -> f32 {
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f32::total_cmp).1
}

/// Returns the correlation of channels from the sums of their products.
fn between(products: &[f64], channels: usize) -> Vec<Vec<f32>> {
    let one = |a: usize, b: usize| {
        let norm = (products[a * channels + a] * products[b * channels + b]).sqrt();
        if a == b {
            1.0
        } else {
            (products[a * channels + b] / norm.max(f64::MIN_POSITIVE)).clamp(-1.0, 1.0) as f32
        }
    };
    (0..channels).map(|a| (0..channels).map(|b| one(a, b)).collect()).collect()
}

/// Returns the square of the standard deviation of the offsets of lines, from offsets of adjacent lines that are measured
/// with an error of variance `own`, in which content is rare.
fn stripes_of_steps(steps: &mut [f32], own: f64) -> f64 {
    if steps.len() < 8 {
        return 0.0;
    }
    steps.iter_mut().for_each(|v| *v = v.abs());
    let spread = f64::from(median(steps)) / 0.674_489_75;
    let square = 0.5 * spread * spread - own;
    // Less than a quarter of the error is not significant.
    if square > 0.25 * own { square } else { 0.0 }
}

#[cfg(test)]
mod tests;
