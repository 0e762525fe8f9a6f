//! Traits: properties of a sample, measured before any model is run.

use crate::page::Look;
use crate::quality::Grain;
use crate::sample::{Depth, Kind, Sample};

/// Maximum difference between channels (root mean square, on [0, 1]) of a gray picture: JPEG causes about half a level
/// of 255.
const GRAY: f32 = 1.5 / 255.0;
/// Minimum fraction of numbers at black or white for noise to count as clipped.
const CLIPPED: f32 = 0.002;
/// Approximate number of values examined per channel.
const ENOUGH: usize = 1 << 18;

/// Measured properties of a sample.
#[derive(Debug, Clone, PartialEq)]
pub struct Traits {
    /// Noise.
    pub grain: Grain,
    /// `true` if three channels hold one gray picture.
    pub is_gray: bool,
    /// Fraction of the numbers at black or white, 0 to 1; 0 for floats, which are not clipped there.
    pub clipped: f32,
    /// Full scale for stating noise in levels of 255: 1 for images within about 0..1, else the range of the numbers.
    pub full_scale: f32,
    /// Properties as a page, if requested and the sample is an image of brightness 0 to 1.
    pub page: Option<Look>,
}

impl Traits {
    /// Measures the traits of `sample`.
    pub fn of(sample: &Sample) -> Self {
        let mut rows = Rows::default();
        if sample.shape().kind() == Kind::Image {
            rows.look(sample);
        }
        let (channels, ..) = sample.shape().extents();
        let is_gray = channels == 3 && rows.count > 0 && rows.difference() < GRAY;
        let is_whole = sample.depth() != Depth::F32;
        let clipped = if is_whole { rows.clipped as f32 / rows.count.max(1) as f32 } else { 0.0 };
        Self { grain: Grain::of(sample), is_gray, clipped, full_scale: rows.full_scale(), page: None }
    }

    /// Returns `true` if noise is clipped at black or white.
    pub fn is_clipped(&self) -> bool {
        self.clipped > CLIPPED
    }

    /// Adds the properties as a page, if `is_wanted`.
    #[must_use]
    pub fn with_page(self, sample: &Sample, is_wanted: bool) -> Self {
        let page = if is_wanted && self.full_scale == 1.0 { Look::of(sample) } else { None };
        Self { page, ..self }
    }

    /// Returns the noise of each channel: in levels of 255 to full scale for images, else on the scale of the sample.
    pub fn sigmas(&self, kind: Kind) -> Vec<f32> {
        let scale = if kind == Kind::Image { 255.0 / self.full_scale } else { 1.0 };
        self.grain.sigmas.iter().map(|sigma| sigma * scale).collect()
    }
}

/// Statistics of some rows of an image.
#[derive(Default)]
struct Rows {
    /// Number of values.
    count: usize,
    /// Number of values at black or white.
    clipped: usize,
    /// Sum of squares of the differences of the first and the last channel from the middle one, and their number.
    squares: f64,
    pairs: usize,
    /// Lowest and highest of the 64 quantiles of each row, so that outliers have no effect.
    low: Option<f32>,
    high: Option<f32>,
}

impl Rows {
    fn look(&mut self, sample: &Sample) {
        let (channels, height, width) = sample.shape().extents();
        let step = (height * width).div_ceil(ENOUGH) | 1;
        let mut row = vec![0.0; width];
        let mut middle = vec![0.0; width];
        for y in (0..height).step_by(step.min(height)) {
            sample.read((channels / 2 * height + y) * width, &mut middle);
            for c in 0..channels {
                sample.read((c * height + y) * width, &mut row);
                self.count += width;
                self.clipped += row.iter().filter(|v| **v == 0.0 || **v == 1.0).count();
                if channels == 3 && c != 1 {
                    self.pairs += width;
                    self.squares +=
                        row.iter().zip(&middle).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>();
                }
                self.range(&mut row);
            }
        }
    }

    fn range(&mut self, row: &mut [f32]) {
        let edge = row.len() / 64;
        let low = *row.select_nth_unstable_by(edge, f32::total_cmp).1;
        let high = *row.select_nth_unstable_by(row.len() - 1 - edge, f32::total_cmp).1;
        self.low = Some(self.low.map_or(low, |v| v.min(low)));
        self.high = Some(self.high.map_or(high, |v| v.max(high)));
    }

    fn difference(&self) -> f32 {
        (self.squares / self.pairs.max(1) as f64).sqrt() as f32
    }

    fn full_scale(&self) -> f32 {
        match (self.low, self.high) {
            (Some(low), Some(high)) if low < -1.0 || high > 2.0 => (high - low).max(f32::MIN_POSITIVE),
            _ => 1.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::Shape;

    fn picture(of: impl Fn(usize, usize) -> u8) -> Sample {
        let shape = Shape::image(3, 64, 80);
        Sample::from_bytes(shape, (0..shape.numbers()).map(|i| of(i / 5120, i % 5120)).collect()).unwrap()
    }

    #[test]
    fn gray_content_is_seen_through_what_jpeg_leaves_and_a_tint_is_no_gray() {
        assert!(Traits::of(&picture(|_, i| (i * 7 % 255) as u8)).is_gray);
        assert!(Traits::of(&picture(|c, i| (i * 7 % 200 + (c + i) % 2) as u8)).is_gray);
        assert!(!Traits::of(&picture(|c, i| (i * 7 % 200 + 4 * c) as u8)).is_gray);
    }

    #[test]
    fn numbers_at_black_and_white_are_counted_in_files_alone() {
        let sample = picture(|_, i| if i % 4 == 0 { 0 } else { 128 });
        assert!((Traits::of(&sample).clipped - 0.25).abs() < 0.01);
        assert_eq!(Traits::of(&sample.into_float()).clipped, 0.0);
    }

    #[test]
    fn noise_of_large_numbers_is_told_on_their_own_scale() {
        let shape = Shape::image(1, 64, 64);
        let mut noise = vec![0.0; 4096];
        crate::rng::Rng::new(1, crate::rng::Purpose::Evaluate, 0).fill_normal(&mut noise);
        let data = noise.iter().enumerate().map(|(i, n)| (i % 64) as f32 * 65.0 + 100.0 * n).collect();
        let traits = Traits::of(&Sample::new(shape, data).unwrap());
        let seen = traits.sigmas(Kind::Image)[0];
        // 100 in a range of about 4095 and the noise: 5 to 6 of 255.
        assert!((4.5..6.5).contains(&seen), "{seen}");
    }
}
