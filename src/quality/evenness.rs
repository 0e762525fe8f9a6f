//! Evenness of noise: equal strength in bright and dark places, and no outliers.

use super::median;
use crate::sample::Shape;

/// Minimum number of cells for an estimate.
const ENOUGH: usize = 150;

/// Median and 99th percentile of the absolute value of a standard normal.
const NORMAL: [f32; 2] = [0.674_489_75, 2.575_829_3];

/// Ranges of the two ratios for even noise. Of 32 photographs of BSDS the medians are 1.01 and 1.02 under white noise
/// of sigma 15 to 50, and 0.99 to 1.03 where that is clipped to 8 bits; 1.5 and more in the first under Poisson noise
/// or speckle; 5.8 in the second where a tenth of the pixels is black or white.
const EVEN: [std::ops::Range<f32>; 2] = [0.8..1.25, 0.75..1.25];

/// Evenness of noise.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Evenness {
    /// Ratio of the standard deviations in the brightest and the darkest third of all cells.
    pub rise: f32,
    /// Ratio of the 99th percentile of the noise to that of normal noise with the same median.
    pub tails: f32,
}

impl Evenness {
    /// Returns `true` if the noise cannot be distinguished from white normal noise by its evenness.
    pub fn is_even(&self) -> bool {
        EVEN[0].contains(&self.rise) && EVEN[1].contains(&self.tails)
    }

    /// Returns the medians of several; `None` if there are none.
    pub fn median(all: &[Self]) -> Option<Self> {
        let middle = |of: fn(&Self) -> f32| {
            let mut values: Vec<f32> = all.iter().map(of).collect();
            median(&mut values)
        };
        (!all.is_empty()).then(|| Self { rise: middle(|e| e.rise), tails: middle(|e| e.tails) })
    }
}

/// Measures the evenness of the noise in a sample, from the sample alone; `None` for a sample that is too small or
/// without noise, and for a vector.
///
/// It examines cells of 2x2 pixels, or of three steps in time: the noise in their diagonal (second) difference, if the
/// other differences show that the cell is smooth.
///
/// # Panics
/// The number of values does not match the shape.
pub fn noise_evenness(data: &[f32], shape: Shape) -> Option<Evenness> {
    let mut cells = cells(data, shape)?;
    if cells.len() < ENOUGH {
        return None;
    }
    cells.sort_unstable_by(|a, b| a.level.total_cmp(&b.level));
    let third = cells.len() / 3;
    let (mut dark, mut bright) = (smooth(&cells[..third]), smooth(&cells[cells.len() - third..]));
    let mut all = smooth(&cells);
    let last = all.len() - all.len() / 100 - 1;
    let outer = *all.select_nth_unstable_by(last, f32::total_cmp).1;
    let [dark, bright, all] = [&mut dark, &mut bright, &mut all].map(|details| median(details));
    (dark > 0.0 && all > 0.0)
        .then(|| Evenness { rise: bright / dark, tails: outer / all * NORMAL[0] / NORMAL[1] })
}

/// Group of adjacent numbers.
#[derive(Clone, Copy)]
pub(super) struct Cell {
    /// Mean of the numbers.
    pub(super) level: f32,
    /// Squared slope.
    pub(super) slope: f32,
    /// Absolute difference that is neither level nor slope; its standard deviation is that of the noise.
    pub(super) detail: f32,
}

/// Splits a sample into cells, all channels together, without those in which a number is missing (NaN); `None` for a vector.
///
/// # Panics
/// The number of values does not match the shape.
pub(super) fn cells(data: &[f32], shape: Shape) -> Option<Vec<Cell>> {
    assert!(data.len() == shape.numbers(), "{} numbers do not fit {shape}", data.len());
    match shape {
        Shape::Image { height, width, .. } => {
            let all = data.chunks_exact(height * width).flat_map(|plane| squares(plane, width));
            Some(all.filter(|cell| !cell.detail.is_nan()).collect())
        }
        Shape::Signal { length, .. } => {
            let all = data.chunks_exact(length).flat_map(steps);
            Some(all.filter(|cell| !cell.detail.is_nan()).collect())
        }
        Shape::Vector { .. } => None,
    }
}

fn squares(plane: &[f32], width: usize) -> impl Iterator<Item = Cell> {
    plane.chunks_exact(2 * width).flat_map(move |rows| {
        let (top, bottom) = rows.split_at(width);
        top.chunks_exact(2).zip(bottom.chunks_exact(2)).map(|(top, bottom)| {
            let (a, b, c, d) = (top[0], top[1], bottom[0], bottom[1]);
            Cell {
                level: (a + b + c + d) / 4.0,
                slope: (a + b - c - d).powi(2) + (a - b + c - d).powi(2),
                detail: (a - b - c + d).abs() / 2.0,
            }
        })
    })
}

fn steps(line: &[f32]) -> impl Iterator<Item = Cell> {
    line.chunks_exact(3).map(|x| Cell {
        level: (x[0] + x[1] + x[2]) / 3.0,
        slope: (x[2] - x[0]).powi(2),
        detail: (x[0] - 2.0 * x[1] + x[2]).abs() / 6f32.sqrt(),
    })
}

/// Returns the details of the smoother half of the cells.
fn smooth(cells: &[Cell]) -> Vec<f32> {
    let mut cells = cells.to_vec();
    let half = cells.len() / 2;
    cells.select_nth_unstable_by(half, |a, b| a.slope.total_cmp(&b.slope));
    cells[..half].iter().map(|cell| cell.detail).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, Rng};

    /// A slope from dark to bright with an edge; `noise` adds noise to a number.
    fn seen(shape: Shape, mut noise: impl FnMut(f32, &mut Rng) -> f32) -> Evenness {
        let mut rng = Rng::new(1, Purpose::Evaluate, 0);
        let count = shape.numbers();
        let clean = |i: usize| 0.2 + 0.5 * i as f32 / count as f32 + if i % 50 > 30 { 0.1 } else { 0.0 };
        let data: Vec<f32> = (0..count).map(|i| noise(clean(i), &mut rng)).collect();
        noise_evenness(&data, shape).unwrap()
    }

    #[test]
    fn white_noise_is_even_and_what_grows_with_the_signal_or_has_outliers_is_not() {
        for shape in [Shape::image(1, 128, 128), Shape::Signal { channels: 2, length: 8192 }] {
            let white = seen(shape, |v, rng| v + 0.1 * rng.normal());
            assert!(white.is_even() && (white.rise - 1.0).abs() < 0.15, "{white:?}");
            let growing = seen(shape, |v, rng| v * (1.0 + 0.2 * rng.normal()));
            assert!(growing.rise > 1.4 && !growing.is_even(), "{growing:?}");
            let outliers = seen(shape, |v, rng| match rng.below(10) {
                0 => 1.0,
                _ => v + 0.03 * rng.normal(),
            });
            assert!(!outliers.is_even(), "{outliers:?}");
        }
    }

    #[test]
    fn what_cannot_be_told_is_not() {
        assert_eq!(noise_evenness(&[0.5; 100], Shape::image(1, 10, 10)), None);
        assert_eq!(noise_evenness(&[0.5; 10_000], Shape::image(1, 100, 100)), None);
        assert_eq!(noise_evenness(&[0.5; 5000], Shape::Vector { features: 5000 }), None);
        assert_eq!(Evenness::median(&[]), None);
    }
}
