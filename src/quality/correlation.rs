//! Correlation of noise between nearby positions, estimated from the noisy sample alone.

use super::dct::Dct;
use super::median;
use crate::sample::Shape;

/// Number of lags.
pub const LAGS: usize = 4;

/// Side of a block of an image, in pixels.
const BLOCK: usize = 8;

/// Length of a block along a line.
const LINE: usize = 32;

/// Maximum sum of the indices of frequencies that belong to the picture.
const LOW: usize = 2;

/// Number of frequencies along a line that belong to the signal.
const LOW_OF_LINE: usize = 6;

/// Median of the square of a standard normal.
const MEDIAN_SQUARE: f64 = 0.454_936_42;

/// Threshold of correlation: a lower one cannot be distinguished from white noise, because of the picture under the
/// noise and the limited number of blocks.
const WHITE: f32 = 0.2;

/// Autocorrelation of the noise of a sample, -1 to 1; index 0 is lag 1.
#[derive(Debug, Clone, Copy, PartialEq, Default, serde::Serialize)]
pub struct Correlation {
    /// Correlation of a row with those below it.
    pub down: [f32; LAGS],
    /// Correlation of a column (or a step in time) with those to the right of it.
    pub right: [f32; LAGS],
    /// Mean square of the noise.
    pub power: f32,
}

impl Correlation {
    /// Returns the number of lags down and to the right with correlated noise; (0, 0) for white noise.
    pub fn reach(&self) -> (usize, usize) {
        let reach = |lags: &[f32; LAGS]| lags.iter().take_while(|lag| lag.abs() > WHITE).count();
        (reach(&self.down), reach(&self.right))
    }

    /// Computes the correlation from the power at each frequency of a DCT, as a cosine series.
    fn of_spectrum(power: &[f64], rows: usize, columns: usize) -> Self {
        let total = power.iter().sum::<f64>();
        if total <= 0.0 {
            return Self::default();
        }
        let by_row: Vec<f64> = power.chunks(columns).map(|row| row.iter().sum()).collect();
        let by_column: Vec<f64> = (0..columns).map(|v| power.iter().skip(v).step_by(columns).sum()).collect();
        let lags = |spectrum: &[f64]| {
            let n = spectrum.len();
            // Trapezoidal rule over 0..=n; the highest frequency has the power of the one below.
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

    /// Returns the mean of several correlations.
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

/// Estimates the correlation of the noise in a sample, from the sample alone.
///
/// The power of the noise at each frequency is the median over blocks of their squared DCT coefficients, divided by
/// that of a normal: smooth or sparse content, for example edges, does not change a median. The lowest frequencies,
/// where content is everywhere, get the power of the nearest higher ones; the correlation then follows from the
/// spectrum. Fine texture everywhere is mistaken for noise. Blocks in which a number is missing (NaN) are left out.
///
/// # Panics
/// The number of values does not match the shape.
pub fn noise_correlation(data: &[f32], shape: Shape) -> Correlation {
    assert!(data.len() == shape.numbers(), "{} numbers do not fit {shape}", data.len());
    let (_, height, width) = shape.extents();
    let (rows, columns) = if height == 1 { (1, LINE) } else { (BLOCK, BLOCK) };
    if height < rows || width < columns {
        return Correlation::default();
    }
    let (down, across) = (Dct::new(rows), Dct::new(columns));
    let mut squares: Vec<Vec<f32>> = vec![Vec::new(); rows * columns];
    let mut block = vec![0.0; rows * columns];
    let mut scratch = block.clone();
    for plane in data.chunks_exact(height * width) {
        for top in (0..=height - rows).step_by(rows) {
            for left in (0..=width - columns).step_by(columns) {
                for (y, row) in block.chunks_exact_mut(columns).enumerate() {
                    row.copy_from_slice(&plane[(top + y) * width + left..][..columns]);
                }
                across.rows(&block, &mut scratch);
                down.columns(&scratch, &mut block);
                // A block that varies only by rounding was clipped, or never had noise. No comparison with NaN holds.
                let rounding = 1e-6 * block[0].abs();
                if block[1..].iter().any(|v| v.abs() > rounding) {
                    squares.iter_mut().zip(&block).for_each(|(all, v)| all.push(v * v));
                }
            }
        }
    }
    if squares[0].is_empty() {
        return Correlation::default();
    }
    let power = |all: &mut Vec<f32>| f64::from(median(all)) / MEDIAN_SQUARE;
    let mut power: Vec<f64> = squares.iter_mut().map(power).collect();
    fill_low(&mut power, rows, columns);
    Correlation::of_spectrum(&power, rows, columns)
}

/// Replaces the power of the lowest frequencies by that of the nearest higher ones.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, Rng};

    fn white(count: usize) -> Vec<f32> {
        let mut noise = vec![0.0; count];
        Rng::new(1, Purpose::Evaluate, 0).fill_normal(&mut noise);
        noise
    }

    /// Adds a picture of slopes and an edge to the noise.
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
}
