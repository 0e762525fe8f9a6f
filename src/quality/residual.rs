//! What a residual tells about the noise: whether neighbours are alike.

use super::dct::Dct;
use crate::sample::{Shape, Stats};

/// Lags that are looked at.
pub const LAGS: usize = 4;

/// Side of the blocks that noise is looked for in.
const BLOCK: usize = 8;

/// Length of the blocks along a line.
const LINE: usize = 32;

/// Frequencies whose indices add up to at most this are the picture's.
const LOW: usize = 2;

/// As many are the signal's along a line.
const LOW_OF_LINE: usize = 6;

/// The median of the square of a standard normal.
const MEDIAN_SQUARE: f64 = 0.454_936_42;

/// Below this a correlation is not told from that of white noise, which the picture under the noise and the
/// count of blocks blur.
const WHITE: f32 = 0.2;

/// How alike the noise of a sample is at places that lie apart, -1 to 1; index 0 is one step apart.
#[derive(Debug, Clone, Copy, PartialEq, Default, serde::Serialize)]
pub struct Correlation {
    /// From a row to those below it.
    pub down: [f32; LAGS],
    /// From a column (or a step in time) to those right of it.
    pub right: [f32; LAGS],
    /// Mean square of the noise.
    pub power: f32,
}

impl Correlation {
    /// How many steps down and to the right the noise is still alike; (0, 0) for white noise.
    pub fn reach(&self) -> (usize, usize) {
        let reach = |lags: &[f32; LAGS]| lags.iter().take_while(|lag| lag.abs() > WHITE).count();
        (reach(&self.down), reach(&self.right))
    }

    /// From the power at each frequency of a DCT; a cosine series gives the correlation.
    fn of_spectrum(power: &[f64], rows: usize, columns: usize) -> Self {
        let total = power.iter().sum::<f64>();
        if total <= 0.0 {
            return Self::default();
        }
        let by_row: Vec<f64> = power.chunks(columns).map(|row| row.iter().sum()).collect();
        let by_column: Vec<f64> = (0..columns).map(|v| power.iter().skip(v).step_by(columns).sum()).collect();
        let lags = |spectrum: &[f64]| {
            let n = spectrum.len();
            // The trapezoidal rule over 0..=n; the highest frequency has the power of the one below.
            let weight = |k: usize| if k == 0 || k == n { 0.5 } else { 1.0 };
            let sum = |lag: usize| {
                let term = |k: usize| {
                    let phase = std::f64::consts::PI * (k * lag) as f64 / n as f64;
                    weight(k) * spectrum[k.min(n - 1)] * phase.cos()
                };
                (0..=n).map(term).sum::<f64>()
            };
            [1, 2, 3, 4].map(|lag| if n > lag { (sum(lag) / sum(0)) as f32 } else { 0.0 })
        };
        let power = (total / (rows * columns) as f64) as f32;
        Self { down: lags(&by_row), right: lags(&by_column), power }
    }

    /// The mean of several.
    pub fn mean(all: &[Self]) -> Self {
        let average = |of: &dyn Fn(&Self) -> [f32; LAGS]| {
            let mut sums = [0.0; LAGS];
            for one in all {
                sums.iter_mut().zip(of(one)).for_each(|(sum, v)| *sum += v / all.len() as f32);
            }
            sums
        };
        let power = all.iter().map(|c| c.power).sum::<f32>() / all.len().max(1) as f32;
        Self { down: average(&|c| c.down), right: average(&|c| c.right), power }
    }
}

/// The correlation of the noise in a sample, from the sample alone.
///
/// The noise's power at each frequency is the median over blocks of the squares of their DCT, over that of a
/// normal: content that is smooth, or sparse such as edges, does not move a median. The lowest frequencies,
/// where content is everywhere, take over the power of the nearest higher ones; the correlation then follows
/// from the spectrum. Fine texture all over is taken for noise.
///
/// # Panics
/// The count of numbers differs from the shape.
pub fn noise_correlation(data: &[f32], shape: Shape) -> Correlation {
    assert!(data.len() == shape.numbers(), "{} numbers do not fit {shape}", data.len());
    let (channels, height, width) = match shape {
        Shape::Image { channels, height, width } => (channels, height, width),
        Shape::Signal { channels, length } => (channels, 1, length),
        Shape::Vector { features } => (1, 1, features),
    };
    let (rows, columns) = if height == 1 { (1, LINE) } else { (BLOCK, BLOCK) };
    if height < rows || width < columns {
        return Correlation::default();
    }
    let (down, across) = (Dct::new(rows), Dct::new(columns));
    let mut squares: Vec<Vec<f32>> = vec![Vec::new(); rows * columns];
    let mut block = vec![0.0; rows * columns];
    let mut scratch = block.clone();
    for plane in data.chunks_exact(height * width).take(channels) {
        for top in (0..=height - rows).step_by(rows) {
            for left in (0..=width - columns).step_by(columns) {
                for (y, row) in block.chunks_exact_mut(columns).enumerate() {
                    row.copy_from_slice(&plane[(top + y) * width + left..][..columns]);
                }
                across.rows(&block, &mut scratch);
                down.columns(&scratch, &mut block);
                // What varies by no more than rounding was clipped, or never had noise.
                let rounding = 1e-6 * block[0].abs();
                if block[1..].iter().any(|v| v.abs() > rounding) {
                    squares.iter_mut().zip(&block).for_each(|(all, v)| all.push(v * v));
                }
            }
        }
    }
    let median = |mut all: Vec<f32>| {
        let middle = all.len() / 2;
        if all.is_empty() { 0.0 } else { f64::from(*all.select_nth_unstable_by(middle, f32::total_cmp).1) }
    };
    let mut power: Vec<f64> = squares.into_iter().map(|all| median(all) / MEDIAN_SQUARE).collect();
    fill_low(&mut power, rows, columns);
    Correlation::of_spectrum(&power, rows, columns)
}

/// Gives the lowest frequencies, in place, the power of the nearest that are not.
fn fill_low(power: &mut [f64], rows: usize, columns: usize) {
    if rows == 1 {
        let near = power[LOW_OF_LINE..2 * LOW_OF_LINE].iter().sum::<f64>() / LOW_OF_LINE as f64;
        power[..LOW_OF_LINE].fill(near);
        return;
    }
    let at = |u: usize, v: usize| u * columns + v;
    let (along_columns, along_rows) = (power[at(0, LOW + 1)], power[at(LOW + 1, 0)]);
    let between = 0.5 * (power[at(1, LOW)] + power[at(LOW, 1)]);
    for u in 0..=LOW {
        for v in 0..=LOW - u {
            power[at(u, v)] = match (u, v) {
                (0, 0) => 0.5 * (along_columns + along_rows),
                (0, _) => along_columns,
                (_, 0) => along_rows,
                _ => between,
            };
        }
    }
}

/// Correlation of a residual (noisy minus denoised, or noisy minus clean) with itself one step down and
/// one step to the right, -1 to 1, averaged over channels: near 0 for white noise, towards 1 for noise
/// that is blurred or striped that way. Axes of one number, and constant residuals, have correlation 0.
///
/// Signals and vectors have one row: look at the second number.
///
/// # Panics
/// The count of numbers differs from the shape.
pub fn neighbor_correlation(residual: &[f32], shape: Shape) -> [f32; 2] {
    assert!(residual.len() == shape.numbers(), "{} numbers do not fit {shape}", residual.len());
    let (channels, width) = match shape {
        Shape::Image { channels, width, .. } => (channels, width),
        Shape::Signal { channels, length } => (channels, length),
        Shape::Vector { features } => (1, features),
    };
    let mut sums = [0.0; 2];
    for plane in residual.chunks_exact(residual.len() / channels) {
        let mean = Stats::of(plane).mean;
        let down = plane.iter().zip(&plane[width..]);
        let right = plane.chunks_exact(width).flat_map(|row| row.iter().zip(&row[1..]));
        sums[0] += correlation(down, mean);
        sums[1] += correlation(right, mean);
    }
    sums.map(|sum| (sum / channels as f64) as f32)
}

fn correlation<'a>(pairs: impl Iterator<Item = (&'a f32, &'a f32)>, mean: f32) -> f64 {
    let (mut product, mut power) = (0.0, 0.0);
    for (a, b) in pairs {
        let (a, b) = (f64::from(a - mean), f64::from(b - mean));
        product += a * b;
        power += 0.5 * (a * a + b * b);
    }
    if power > 0.0 { product / power } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, Rng};

    fn white(count: usize) -> Vec<f32> {
        let mut noise = vec![0.0; count];
        Rng::new(1, Purpose::Evaluate, 0).fill_normal(&mut noise);
        noise
    }

    #[test]
    fn white_noise_has_none() {
        let [down, right] = neighbor_correlation(&white(20_000), Shape::image(2, 100, 100));
        assert!(down.abs() < 0.03 && right.abs() < 0.03, "{down} {right}");
    }

    #[test]
    fn stripes_and_the_mean_of_neighbours_are_seen() {
        let noise = white(10_001);
        let striped: Vec<f32> = (0..10_000).map(|i| noise[i / 100]).collect();
        let [down, right] = neighbor_correlation(&striped, Shape::image(1, 100, 100));
        assert!(down.abs() < 0.3 && right > 0.999, "{down} {right}");
        // Averages of two have correlation 1/2.
        let averaged: Vec<f32> = noise.windows(2).map(|w| w[0] + w[1]).collect();
        let [_, right] = neighbor_correlation(&averaged, Shape::Signal { channels: 1, length: 10_000 });
        assert!((right - 0.5).abs() < 0.03, "{right}");
    }

    /// A picture of slopes and an edge under the noise.
    fn under(noise: &[f32]) -> Vec<f32> {
        let picture = |i: usize| (i % 128) as f32 * 0.01 + if i / 128 > 70 { 0.9 } else { 0.0 };
        noise.iter().enumerate().map(|(i, n)| picture(i) + 0.1 * n).collect()
    }

    #[test]
    fn the_noise_in_a_picture_is_told_white_or_correlated_by_direction() {
        let shape = Shape::image(1, 128, 128);
        let noise = white(128 * 128 + 128);
        let seen = noise_correlation(&under(&noise[..128 * 128]), shape);
        assert!(seen.down[0].abs() < 0.1 && seen.right[0].abs() < 0.1, "{seen:?}");
        assert_eq!(seen.reach(), (0, 0));
        assert!((seen.power / 0.01 - 1.0).abs() < 0.15, "{seen:?}");
        let across: Vec<f32> = noise[..128 * 128 + 1].windows(2).map(|w| 0.7 * (w[0] + w[1])).collect();
        let seen = noise_correlation(&under(&across), shape);
        assert!((seen.right[0] - 0.5).abs() < 0.12 && seen.right[1].abs() < 0.15, "{seen:?}");
        assert_eq!(seen.reach(), (0, 1));
        let down: Vec<f32> = (0..128 * 128).map(|i| 0.7 * (noise[i] + noise[i + 128])).collect();
        assert_eq!(noise_correlation(&under(&down), shape).reach(), (1, 0));
    }

    #[test]
    fn samples_without_noise_or_room_have_no_correlation() {
        for shape in
            [Shape::image(1, 1, 1), Shape::image(3, 40, 40), Shape::Signal { channels: 2, length: 5 }]
        {
            assert_eq!(noise_correlation(&vec![0.5; shape.numbers()], shape).reach(), (0, 0));
        }
    }

    #[test]
    fn what_has_no_neighbours_has_none() {
        assert_eq!(neighbor_correlation(&[0.3], Shape::image(1, 1, 1)), [0.0, 0.0]);
        assert_eq!(neighbor_correlation(&[0.3; 12], Shape::image(1, 3, 4)), [0.0, 0.0]);
    }
}
