//! History: finds that a picture was a JPEG file once, and how coarsely it was quantised, from the picture alone.

use std::f32::consts::{FRAC_1_SQRT_2, TAU};

/// Side of a block of the transform, in pixels.
const SIDE: usize = 8;
/// Frequencies examined, down and across: the lowest ones keep most of their values at coarse steps.
const FREQUENCIES: [(usize, usize); 6] = [(0, 1), (1, 0), (1, 1), (0, 2), (2, 0), (1, 2)];
/// Number of frequencies, of those, that must show a step.
const ENOUGH: usize = 3;
/// Maximum number of blocks examined.
const BLOCKS: usize = 768;
/// Coarsest step searched, in levels of 255: that of quality 10 for these frequencies is 70.
const COARSEST: usize = 96;
/// Minimum mean cosine of values that are multiples of a step. Rounding to 8 bits leaves 0.65 at a step of 2 and 0.83 at 3; a
/// picture that was never a JPEG file has about 0, with a standard deviation of `1 / sqrt(2 * count)`.
const ALIKE: f32 = 0.5;
/// Minimum of that mean in standard deviations, and minimum number of values.
const CERTAIN: f32 = 6.0;
const FEWEST: usize = 30;

/// Returns the quantisation step of the lowest frequencies, the median of those found, in levels of 255; `None` if `plane`,
/// `rows` by `columns` on [0, 1] and a gray picture or a luma, shows none.
///
/// The grid of the blocks starts at `down` and `across`, 0 to 7. The transform of each block is compared with the multiples of
/// each step: the mean of `cos(2 pi c / step)` over all `c` that are larger than half a step is near 1 at the right step.
/// Steps of 1, those of the highest qualities, leave no trace in 8-bit numbers.
///
/// # Source
/// Z. Fan and R. L. de Queiroz, "Identification of bitmap compression history: JPEG detection and quantizer estimation", IEEE
/// Transactions on Image Processing 12 (2003).
pub(super) fn jpeg_step(plane: &[f32], columns: usize, (down, across): (usize, usize)) -> Option<f32> {
    let rows = plane.len() / columns.max(1);
    if rows < SIDE + down || columns < SIDE + across {
        return None;
    }
    let (high, wide) = ((rows - down) / SIDE, (columns - across) / SIDE);
    // An odd stride does not stay in one column of blocks.
    let stride = (high * wide).div_ceil(BLOCKS) | 1;
    let basis = basis();
    let mut values: [Vec<f32>; FREQUENCIES.len()] = Default::default();
    for at in (0..high * wide).step_by(stride) {
        let start = (down + at / wide * SIDE) * columns + across + at % wide * SIDE;
        if let Some(block) = transform(&basis, plane, start, columns) {
            values.iter_mut().zip(block).for_each(|(all, value)| all.push(value.abs()));
        }
    }
    let mut found: Vec<f32> = values.iter_mut().filter_map(|values| step_of(values)).collect();
    (found.len() >= ENOUGH).then(|| super::median(&mut found))
}

/// Lowest functions of the discrete cosine transform (ITU-T T.81, A.3.3), orthonormal.
type Basis = [[f32; SIDE]; 3];

fn basis() -> Basis {
    let value = |k: usize, n: usize| {
        let norm = if k == 0 { 0.5 * FRAC_1_SQRT_2 } else { 0.5 };
        norm * (TAU / 32.0 * ((2 * n + 1) * k) as f32).cos()
    };
    std::array::from_fn(|k| std::array::from_fn(|n| value(k, n)))
}

/// Returns the transform of a block at [`FREQUENCIES`], in levels of 255; `None` if it is clipped, because clipping moves the
/// values off the steps.
fn transform(basis: &Basis, plane: &[f32], start: usize, columns: usize) -> Option<[f32; FREQUENCIES.len()]> {
    let dot = |a: &[f32], b: &[f32; SIDE]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    let mut across = [[0.0; SIDE]; 3];
    for y in 0..SIDE {
        let row = &plane[start + y * columns..][..SIDE];
        if !row.iter().all(|v| *v > 0.0 && *v < 1.0) {
            return None;
        }
        across.iter_mut().zip(basis).for_each(|(to, of)| to[y] = 255.0 * dot(row, of));
    }
    Some(FREQUENCIES.map(|(u, v)| dot(&across[v], &basis[u])))
}

/// Returns the coarsest step whose multiples the values are.
fn step_of(values: &mut [f32]) -> Option<f32> {
    values.sort_unstable_by(f32::total_cmp);
    // Mean cosine of the values above half of a step, and their count.
    let alike = |step: usize| {
        let above = &values[values.partition_point(|v| *v <= 0.5 * step as f32)..];
        let sum: f32 = above.iter().map(|v| (TAU * v / step as f32).cos()).sum();
        (sum / above.len().max(1) as f32, above.len())
    };
    let is_certain = |step: &usize| {
        let (mean, count) = alike(*step);
        count >= FEWEST && mean > ALIKE && mean * (2.0 * count as f32).sqrt() > CERTAIN
    };
    let mut step = (2..=COARSEST).rev().find(is_certain)?;
    // Few multiples are nearly those of coarser steps too: the right one is at the top of the slope.
    while step > 2 && alike(step - 1).0 > alike(step).0 {
        step -= 1;
    }
    Some(step as f32)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use image::ImageDecoder;
    use image::codecs::jpeg::JpegDecoder;

    use super::*;
    use crate::rng::{Purpose, Rng};

    const COLUMNS: usize = 256;
    const ROWS: usize = 192;

    /// A picture of slopes, an edge and fine texture in 8 bits.
    fn picture() -> Vec<u8> {
        let mut texture = vec![0.0; ROWS * COLUMNS];
        Rng::new(5, Purpose::Evaluate, 0).fill_normal(&mut texture);
        let level = |i: usize| {
            let (y, x) = ((i / COLUMNS) as f32, (i % COLUMNS) as f32);
            let edge = if (x - 90.0).hypot(y - 70.0) < 50.0 { 60.0 } else { 0.0 };
            90.0 + 25.0 * (x / 17.0).sin() * (y / 13.0).cos() + edge + 5.0 * texture[i]
        };
        (0..ROWS * COLUMNS).map(|i| level(i).round() as u8).collect()
    }

    fn plane(pixels: &[u8]) -> Vec<f32> {
        pixels.iter().map(|v| f32::from(*v) / 255.0).collect()
    }

    /// The picture of a JPEG file of this quality.
    fn file(quality: u8) -> Vec<f32> {
        let mut file = Vec::new();
        let encoder = jpeg_encoder::Encoder::new(&mut file, quality);
        encoder.encode(&picture(), COLUMNS as u16, ROWS as u16, jpeg_encoder::ColorType::Luma).unwrap();
        let mut pixels = vec![0; ROWS * COLUMNS];
        JpegDecoder::new(Cursor::new(file)).unwrap().read_image(&mut pixels).unwrap();
        plane(&pixels)
    }

    #[test]
    fn the_steps_of_a_file_are_those_of_its_table() {
        // Quality 50 has the table of the standard (ITU-T T.81, K.1): 11, 12, 12, 10, 14, 14 at these frequencies.
        for (quality, scale) in [(90, 0.2), (75, 0.5), (50, 1.0), (25, 2.0)] {
            let step = jpeg_step(&file(quality), COLUMNS, (0, 0)).unwrap();
            assert!((step / (12.0 * scale) - 1.0).abs() < 0.2, "{step} at quality {quality}");
        }
    }

    #[test]
    fn other_pictures_show_none() {
        assert_eq!(jpeg_step(&plane(&picture()), COLUMNS, (0, 0)), None);
        assert_eq!(jpeg_step(&file(100), COLUMNS, (0, 0)), None);
        assert_eq!(jpeg_step(&[0.5; 64], 8, (1, 0)), None);
        assert_eq!(jpeg_step(&[0.5; 40_000], 200, (0, 0)), None);
    }

    #[test]
    fn a_grid_elsewhere_is_found_there_alone() {
        let whole = file(60);
        let cut: Vec<f32> = whole.chunks_exact(COLUMNS).skip(3).flat_map(|row| &row[5..]).copied().collect();
        assert_eq!(jpeg_step(&cut, COLUMNS - 5, (0, 0)), None);
        assert!(jpeg_step(&cut, COLUMNS - 5, (5, 3)).is_some());
    }
}
