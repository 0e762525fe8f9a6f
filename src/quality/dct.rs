//! Classical baseline: sliding DCT with a hard threshold.

use crate::sample::Shape;

/// Threshold of coefficients in standard deviations of the noise; smaller ones count as noise.
const THRESHOLD: f32 = 2.7;

/// Block that slides over a plane.
#[derive(Debug, Clone, Copy)]
struct Block {
    rows: usize,
    columns: usize,
    stride: usize,
}

/// Removes white noise of standard deviation `sigma` (on the scale of the sample) without learning: each 8x8 block at
/// every second position (32 numbers at every fourth in signals and vectors) is transformed by a DCT, coefficients
/// below 2.7 sigma become 0, and overlapping blocks are averaged, with higher weights for sparser ones.
///
/// # Source
/// L. Yaroslavsky, "Local adaptive image restoration and enhancement with the use of DFT and DCT in a running window"
/// (1996), with the weights of O. Guleryuz, "Weighted averaging for denoising with overcomplete dictionaries" (2007).
///
/// # Panics
/// The number of values does not match the shape.
pub fn denoise_dct(data: &[f32], shape: Shape, sigma: f32) -> Vec<f32> {
    assert!(data.len() == shape.numbers(), "{} numbers do not fit {shape}", data.len());
    let (_, height, width) = shape.extents();
    let block = match shape {
        Shape::Image { .. } => Block { rows: 8, columns: 8, stride: 2 },
        Shape::Signal { .. } | Shape::Vector { .. } => Block { rows: 1, columns: 32, stride: 4 },
    };
    // Planes shorter than the block use a shorter block.
    let block = Block { rows: block.rows.min(height), columns: block.columns.min(width), ..block };
    let planes = data.chunks_exact(height * width);
    planes.flat_map(|plane| denoise_plane(plane, height, width, block, sigma)).collect()
}

fn denoise_plane(plane: &[f32], height: usize, width: usize, block: Block, sigma: f32) -> Vec<f32> {
    let (down, across) = (Dct::new(block.rows), Dct::new(block.columns));
    let mut sums = vec![0.0f32; plane.len()];
    let mut weights = vec![0.0f32; plane.len()];
    let mut buffers = [vec![0.0; block.rows * block.columns], vec![0.0; block.rows * block.columns]];
    for top in places(height, block.rows, block.stride) {
        for left in places(width, block.columns, block.stride) {
            let [numbers, scratch] = &mut buffers;
            for (y, row) in numbers.chunks_exact_mut(block.columns).enumerate() {
                row.copy_from_slice(&plane[(top + y) * width + left..][..block.columns]);
            }
            let kept = shrink(numbers, scratch, &down, &across, THRESHOLD * sigma);
            let weight = 1.0 / (kept + 1) as f32;
            for (y, row) in numbers.chunks_exact(block.columns).enumerate() {
                let at = (top + y) * width + left;
                for (x, value) in row.iter().enumerate() {
                    sums[at + x] += weight * value;
                    weights[at + x] += weight;
                }
            }
        }
    }
    sums.iter().zip(&weights).map(|(sum, weight)| sum / weight).collect()
}

/// Returns the starts of blocks along an axis: every `stride`, and the last one flush with the end.
fn places(axis: usize, block: usize, stride: usize) -> impl Iterator<Item = usize> {
    let last = axis - block;
    (0..last).step_by(stride).chain([last])
}

/// Transforms a block, drops weak coefficients except the mean, and transforms it back. Returns the number of kept
/// coefficients.
fn shrink(block: &mut [f32], scratch: &mut [f32], down: &Dct, across: &Dct, threshold: f32) -> usize {
    across.rows(block, scratch);
    down.columns(scratch, block);
    let mut kept = 1;
    for value in &mut block[1..] {
        if value.abs() < threshold {
            *value = 0.0;
        } else {
            kept += 1;
        }
    }
    down.columns_back(block, scratch);
    across.rows_back(scratch, block);
    kept
}

/// Orthonormal DCT-II of one length, as a matrix: for 8 numbers no other method is faster.
pub(super) struct Dct {
    n: usize,
    /// Matrix; row `k` holds the cosine of frequency `k`.
    forward: Vec<f32>,
    /// Transpose of `forward`.
    back: Vec<f32>,
}

impl Dct {
    pub(super) fn new(n: usize) -> Self {
        let entry = |k: usize, i: usize| {
            let scale = if k == 0 { 1.0 / n as f64 } else { 2.0 / n as f64 }.sqrt();
            (scale * (std::f64::consts::PI * (i as f64 + 0.5) * k as f64 / n as f64).cos()) as f32
        };
        let forward = (0..n * n).map(|at| entry(at / n, at % n)).collect();
        let back = (0..n * n).map(|at| entry(at % n, at / n)).collect();
        Self { n, forward, back }
    }

    pub(super) fn rows(&self, from: &[f32], to: &mut [f32]) {
        // (rows, n) times the transpose of `forward`: the inner loop runs along a row of `back`.
        multiply(from, &self.back, to, self.n);
    }

    fn rows_back(&self, from: &[f32], to: &mut [f32]) {
        multiply(from, &self.forward, to, self.n);
    }

    pub(super) fn columns(&self, from: &[f32], to: &mut [f32]) {
        multiply(&self.forward, from, to, from.len() / self.n);
    }

    fn columns_back(&self, from: &[f32], to: &mut [f32]) {
        multiply(&self.back, from, to, from.len() / self.n);
    }
}

/// Computes `to = a b`, where `b` and `to` have `columns` columns.
fn multiply(a: &[f32], b: &[f32], to: &mut [f32], columns: usize) {
    let inner = b.len() / columns;
    for (a, to) in a.chunks_exact(inner).zip(to.chunks_exact_mut(columns)) {
        to.fill(0.0);
        for (a, b) in a.iter().zip(b.chunks_exact(columns)) {
            to.iter_mut().zip(b).for_each(|(to, b)| *to += a * b);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quality::psnr;
    use crate::rng::{Purpose, Rng};

    #[test]
    fn the_transform_is_orthonormal_and_goes_back() {
        let (down, across) = (Dct::new(4), Dct::new(8));
        let start: Vec<f32> = (0..32).map(|i| ((i * 7) % 11) as f32).collect();
        let (mut block, mut scratch) = (start.clone(), vec![0.0; 32]);
        assert_eq!(shrink(&mut block, &mut scratch, &down, &across, 0.0), 32);
        assert!(block.iter().zip(&start).all(|(a, b)| (a - b).abs() < 1e-4));
        across.rows(&start, &mut scratch);
        let energy = |v: &[f32]| v.iter().map(|x| x * x).sum::<f32>();
        assert!((energy(&scratch) / energy(&start) - 1.0).abs() < 1e-5);
    }

    #[test]
    fn a_constant_comes_through() {
        for shape in [Shape::image(1, 1, 1), Shape::image(2, 9, 5), Shape::image(1, 17, 20)] {
            let out = denoise_dct(&vec![0.3; shape.numbers()], shape, 0.1);
            assert!(out.iter().all(|v| (v - 0.3).abs() < 1e-5), "{shape}");
        }
    }

    #[test]
    fn noise_on_a_smooth_image_falls_by_10_db() {
        let shape = Shape::image(1, 64, 64);
        let clean: Vec<f32> =
            (0..4096).map(|i| 0.5 + 0.3 * ((i % 64 + i / 64) as f32 * 0.05).sin()).collect();
        let mut noise = vec![0.0; 4096];
        Rng::new(1, Purpose::Evaluate, 0).fill_normal(&mut noise);
        let noisy: Vec<f32> = clean.iter().zip(&noise).map(|(c, n)| c + 0.1 * n).collect();
        let gain = psnr(&clean, &denoise_dct(&noisy, shape, 0.1)) - psnr(&clean, &noisy);
        assert!(gain > 10.0, "{gain}");
    }

    #[test]
    fn signals_are_denoised_along_time() {
        let shape = Shape::Signal { channels: 1, length: 500 };
        let clean: Vec<f32> = (0..500).map(|i| (i as f32 * 0.05).sin()).collect();
        let mut noise = vec![0.0; 500];
        Rng::new(1, Purpose::Evaluate, 0).fill_normal(&mut noise);
        let noisy: Vec<f32> = clean.iter().zip(&noise).map(|(c, n)| c + 0.3 * n).collect();
        assert!(psnr(&clean, &denoise_dct(&noisy, shape, 0.3)) > psnr(&clean, &noisy) + 5.0);
    }

    #[test]
    fn blocks_reach_the_end_of_every_axis() {
        assert_eq!(places(8, 8, 2).collect::<Vec<_>>(), [0]);
        assert_eq!(places(13, 8, 2).collect::<Vec<_>>(), [0, 2, 4, 5]);
        assert_eq!(places(12, 8, 2).collect::<Vec<_>>(), [0, 2, 4]);
    }
}
