//! Patches: the flattest blocks of a noisy sample, which hold little but its noise, and synthesis of similar noise.

use crate::rng::Rng;
use crate::sample::Shape;

/// Side of a block of an image, in pixels.
const SIDE: usize = 16;

/// Length of a block of a signal, in steps.
const LENGTH: usize = 32;

/// Divisor of the number of blocks: one in ten is taken, the flattest first.
const SHARE: usize = 10;

/// Minimum number of blocks: a variance from fewer would be a guess.
const FEWEST: usize = 8;

/// Blocks of noise. Unmodified, they keep its spectrum, the correlation of its channels and its marginal distribution.
#[derive(Debug, Clone)]
pub struct Patches {
    channels: usize,
    rows: usize,
    columns: usize,
    /// One block after another, channels first, each minus its best-fitting plane.
    blocks: Vec<Vec<f32>>,
}

impl Patches {
    /// Takes the flattest tenth of the blocks of a sample; `None` for a vector, a sample that is too small, or one
    /// without noise in its flat blocks.
    ///
    /// Fine texture everywhere is mistaken for noise. The flattest blocks have a little less noise than the others, so
    /// the variance tends to be too small. Blocks in which a number is missing (NaN) are left out.
    ///
    /// # Panics
    /// The number of values does not match the shape.
    pub fn of(data: &[f32], shape: Shape) -> Option<Self> {
        assert!(data.len() == shape.numbers(), "{} numbers do not fit {shape}", data.len());
        let (channels, height, width) = shape.extents();
        let (rows, columns) = match shape {
            Shape::Image { .. } => (SIDE, SIDE),
            Shape::Signal { .. } => (1, LENGTH),
            Shape::Vector { .. } => return None,
        };
        if height < rows || width < columns {
            return None;
        }
        let mut all: Vec<(f64, Vec<f32>)> = Vec::new();
        for top in (0..=height - rows).step_by(rows) {
            for left in (0..=width - columns).step_by(columns) {
                let mut block = Vec::with_capacity(channels * rows * columns);
                for c in 0..channels {
                    for y in top..top + rows {
                        block.extend_from_slice(&data[(c * height + y) * width + left..][..columns]);
                    }
                }
                block.chunks_exact_mut(rows * columns).for_each(|plane| level(plane, columns));
                let power = block.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>();
                all.push((power, block));
            }
        }
        // The power of a block with missing numbers is NaN.
        all.retain(|(power, _)| !power.is_nan());
        // Completely clipped blocks show no noise.
        let loudest = all.iter().map(|(power, _)| *power).fold(0.0, f64::max);
        all.retain(|(power, _)| *power > 1e-9 * loudest);
        all.sort_by(|a, b| a.0.total_cmp(&b.0));
        all.truncate(all.len().div_ceil(SHARE).max(FEWEST));
        let blocks: Vec<Vec<f32>> = all.into_iter().map(|(_, block)| block).collect();
        (blocks.len() >= FEWEST).then_some(Self { channels, rows, columns, blocks })
    }

    /// Returns the variance of the noise, the mean over channels.
    pub fn variance(&self) -> f64 {
        let numbers = (self.blocks.len() * self.channels * self.rows * self.columns) as f64;
        // Corrects for the noise that was removed with the fitted plane.
        let places = (self.rows * self.columns) as f64;
        let lost = if self.rows > 1 { 3.0 } else { 2.0 };
        let sum = self.blocks.iter().flatten().map(|v| f64::from(*v).powi(2)).sum::<f64>();
        sum / numbers * places / (places - lost)
    }

    /// Returns the correlation of the noise one step to the right and one step down, -1 to 1; 0 down in a signal.
    pub fn correlation(&self) -> [f64; 2] {
        let plane = self.rows * self.columns;
        let planes = || self.blocks.iter().flat_map(|block| block.chunks_exact(plane));
        neighbor_correlation(planes(), self.columns)
    }

    /// Synthesizes similar noise for a whole sample: adjacent patches, each drawn at random with a random sign.
    ///
    /// # Panics
    /// The number of channels differs.
    pub fn noise(&self, shape: Shape, rng: &mut Rng) -> Vec<f32> {
        let (channels, height, width) = shape.extents();
        assert!(channels == self.channels, "{channels} channels do not fit {}", self.channels);
        let mut noise = vec![0.0; shape.numbers()];
        for top in (0..height).step_by(self.rows) {
            for left in (0..width).step_by(self.columns) {
                let block = &self.blocks[rng.below(self.blocks.len())];
                let sign = if rng.below(2) == 0 { 1.0 } else { -1.0 };
                let (rows, columns) = (self.rows.min(height - top), self.columns.min(width - left));
                for c in 0..channels {
                    for y in 0..rows {
                        let from = &block[(c * self.rows + y) * self.columns..][..columns];
                        let to = &mut noise[(c * height + top + y) * width + left..][..columns];
                        to.iter_mut().zip(from).for_each(|(to, from)| *to = sign * from);
                    }
                }
            }
        }
        noise
    }
}

/// Returns the correlation between neighbours to the right and below over all planes; 0 if there are none, or no power.
pub fn neighbor_correlation<'a>(planes: impl Iterator<Item = &'a [f32]>, columns: usize) -> [f64; 2] {
    let (mut power, mut numbers) = (0.0, 0usize);
    let (mut right, mut down, mut pairs_right, mut pairs_down) = (0.0, 0.0, 0usize, 0usize);
    for plane in planes {
        let mean = plane.iter().map(|v| f64::from(*v)).sum::<f64>() / plane.len().max(1) as f64;
        let at = |v: f32| f64::from(v) - mean;
        power += plane.iter().map(|v| at(*v).powi(2)).sum::<f64>();
        numbers += plane.len();
        for row in plane.chunks_exact(columns) {
            right += row.windows(2).map(|w| at(w[0]) * at(w[1])).sum::<f64>();
            pairs_right += row.len() - 1;
        }
        for (above, below) in plane.iter().zip(plane.iter().skip(columns)) {
            down += at(*above) * at(*below);
            pairs_down += 1;
        }
    }
    let power = power / numbers.max(1) as f64;
    let share =
        |sum: f64, pairs: usize| if power > 0.0 && pairs > 0 { sum / pairs as f64 / power } else { 0.0 };
    [share(right, pairs_right), share(down, pairs_down)]
}

/// Subtracts the best-fitting plane (in one row: line).
fn level(plane: &mut [f32], columns: usize) {
    let rows = plane.len() / columns;
    let (middle_y, middle_x) = ((rows as f64 - 1.0) / 2.0, (columns as f64 - 1.0) / 2.0);
    let (mut mean, mut rise_y, mut rise_x, mut power_y, mut power_x) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for (i, v) in plane.iter().enumerate() {
        let (y, x, v) = ((i / columns) as f64 - middle_y, (i % columns) as f64 - middle_x, f64::from(*v));
        mean += v;
        rise_y += y * v;
        rise_x += x * v;
        power_y += y * y;
        power_x += x * x;
    }
    mean /= plane.len() as f64;
    let slope = |rise: f64, power: f64| if power > 0.0 { rise / power } else { 0.0 };
    let (slope_y, slope_x) = (slope(rise_y, power_y), slope(rise_x, power_x));
    for (i, v) in plane.iter_mut().enumerate() {
        let (y, x) = ((i / columns) as f64 - middle_y, (i % columns) as f64 - middle_x);
        *v = (f64::from(*v) - mean - slope_y * y - slope_x * x) as f32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Purpose;

    /// A picture of a slope, a flat half and fine stripes, under noise of deviation 0.1 that is blurred to the right.
    fn picture() -> (Vec<f32>, Shape) {
        let (shape, mut white) = (Shape::image(1, 128, 128), vec![0.0; 128 * 129]);
        Rng::new(1, Purpose::Evaluate, 0).fill_normal(&mut white);
        let noise = |i: usize| 0.1 * std::f32::consts::FRAC_1_SQRT_2 * (white[i] + white[i + 1]);
        let clean = |y: usize, x: usize| match (y, x) {
            (..64, _) => 0.004 * x as f32,
            (_, x) if x % 4 < 2 => 0.8,
            _ => 0.2,
        };
        let data = (0..128 * 128).map(|i| clean(i / 128, i % 128) + noise(i / 128 * 129 + i % 128));
        (data.collect(), shape)
    }

    #[test]
    fn patches_have_the_noise_of_a_picture_and_not_its_texture() {
        let (data, shape) = picture();
        let patches = Patches::of(&data, shape).unwrap();
        let variance = patches.variance();
        assert!((0.0065..0.0105).contains(&variance), "{variance}");
        let [right, down] = patches.correlation();
        assert!((right - 0.5).abs() < 0.15 && down.abs() < 0.15, "{right} {down}");
        let mut rng = Rng::new(2, Purpose::Evaluate, 0);
        let noise = patches.noise(Shape::image(1, 50, 70), &mut rng);
        let seen = noise.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / noise.len() as f64;
        assert!((seen / variance - 1.0).abs() < 0.15, "{seen} {variance}");
        let [right, _] = neighbor_correlation(std::iter::once(noise.as_slice()), 70);
        assert!((right - 0.5).abs() < 0.2, "{right}");
    }

    #[test]
    fn what_has_no_noise_or_no_room_has_no_patches() {
        assert!(Patches::of(&[0.5; 1024], Shape::image(1, 32, 32)).is_none());
        assert!(Patches::of(&vec![0.5; 128 * 128], Shape::image(1, 128, 128)).is_none());
        assert!(Patches::of(&[0.1, 0.2], Shape::Vector { features: 2 }).is_none());
    }

    #[test]
    fn a_plane_is_taken_out_whole() {
        let mut plane: Vec<f32> =
            (0..256).map(|i| 3.0 + 0.5 * (i / 16) as f32 - 0.25 * (i % 16) as f32).collect();
        level(&mut plane, 16);
        assert!(plane.iter().all(|v| v.abs() < 1e-5), "{plane:?}");
        let mut line: Vec<f32> = (0..32).map(|i| 7.0 - 0.125 * i as f32).collect();
        level(&mut line, 32);
        assert!(line.iter().all(|v| v.abs() < 1e-5), "{line:?}");
    }
}
