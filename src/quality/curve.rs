//! Strength of noise by brightness, estimated from the noisy sample alone.

use super::evenness::{Cell, cells};
use super::median;
use crate::sample::Shape;

/// Number of levels of brightness.
const LEVELS: usize = 12;

/// Minimum number of cells per level.
const FEWEST: usize = 24;

/// Median of the absolute value of a standard normal.
const NORMAL_MEDIAN: f32 = 0.674_489_75;

/// Variance of the noise by level, for example of photons, speckle and amplifiers.
#[derive(Debug, Clone, PartialEq)]
pub struct NoiseCurve {
    /// Levels, ascending, each with the variance of the noise there.
    knots: Vec<(f32, f64)>,
}

impl NoiseCurve {
    /// Measures the curve of a sample, for all channels together; `None` for a vector or a sample that is too small.
    ///
    /// # Panics
    /// The number of values does not match the shape.
    pub fn of(data: &[f32], shape: Shape) -> Option<Self> {
        let mut cells = cells(data, shape)?;
        if cells.len() < LEVELS * FEWEST {
            return None;
        }
        cells.sort_unstable_by(|a, b| a.level.total_cmp(&b.level));
        let each = cells.len().div_ceil(LEVELS);
        let knots = cells.chunks_mut(each).map(knot).collect();
        Some(Self { knots })
    }

    /// Returns the mean variance over the sample.
    pub fn variance(&self) -> f64 {
        self.knots.iter().map(|(_, variance)| variance).sum::<f64>() / self.knots.len() as f64
    }

    /// Returns the standard deviation at a level, interpolated, and constant beyond the darkest and the brightest
    /// level.
    pub fn deviation(&self, level: f32) -> f32 {
        let above = self.knots.partition_point(|(at, _)| *at < level);
        let variance = match (above.checked_sub(1).map(|i| self.knots[i]), self.knots.get(above)) {
            (Some((low, a)), Some((high, b))) => {
                let share = if *high > low { f64::from((level - low) / (high - low)) } else { 0.0 };
                a + share * (b - a)
            }
            (Some((_, only)), None) => only,
            (None, Some((_, only))) => *only,
            (None, None) => 0.0,
        };
        variance.sqrt() as f32
    }
}

/// Returns the mean level of some cells, and the variance of the noise in the smoother half of them.
fn knot(cells: &mut [Cell]) -> (f32, f64) {
    let level = cells.iter().map(|cell| cell.level).sum::<f32>() / cells.len() as f32;
    let half = cells.len() / 2;
    cells.select_nth_unstable_by(half, |a, b| a.slope.total_cmp(&b.slope));
    let mut details: Vec<f32> = cells[..=half].iter().map(|cell| cell.detail).collect();
    (level, f64::from(median(&mut details) / NORMAL_MEDIAN).powi(2))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, Rng};

    #[test]
    fn speckle_is_as_strong_as_the_picture_is_bright() {
        let (shape, mut noise) = (Shape::image(1, 160, 160), vec![0.0; 160 * 160]);
        Rng::new(1, Purpose::Evaluate, 0).fill_normal(&mut noise);
        let clean = |i: usize| 0.1 + 0.8 * (i % 160) as f32 / 160.0;
        let data: Vec<f32> = noise.iter().enumerate().map(|(i, n)| clean(i) * (1.0 + 0.25 * n)).collect();
        let curve = NoiseCurve::of(&data, shape).unwrap();
        let expected = (0..160).map(|i| f64::from(0.25 * clean(i)).powi(2)).sum::<f64>() / 160.0;
        assert!((curve.variance() / expected - 1.0).abs() < 0.1, "{} for {expected}", curve.variance());
        for level in [0.3, 0.5, 0.7] {
            let seen = curve.deviation(level);
            assert!((seen / (0.25 * level) - 1.0).abs() < 0.15, "{seen} at {level}");
        }
        assert!(NoiseCurve::of(&data[..64], Shape::image(1, 8, 8)).is_none());
        assert!(NoiseCurve::of(&[0.5; 4], Shape::Vector { features: 4 }).is_none());
    }
}
