//! Structural similarity (SSIM).

use crate::sample::Shape;

/// Side of the window; shorter axes use the largest odd window that fits.
const WINDOW: usize = 11;
const WINDOW_SIGMA: f64 = 1.5;
/// (K1 L)^2 and (K2 L)^2 for K1 = 0.01, K2 = 0.03 and values on [0, 1].
const C1: f64 = 0.01 * 0.01;
const C2: f64 = 0.03 * 0.03;

/// Structural similarity of two images on [0, 1]: 1 when equal, about 0 when unrelated. The mean over all positions
/// with the window completely inside, and over channels.
///
/// Signals and vectors are treated as images of one row per channel; scale them to [0, 1] first.
///
/// # Source
/// Z. Wang et al., "Image quality assessment: from error visibility to structural similarity" (2004): 11x11 Gaussian
/// window of deviation 1.5, without the authors' later downsampling.
///
/// # Panics
/// The lengths do not match the shape.
pub fn ssim(clean: &[f32], other: &[f32], shape: Shape) -> f32 {
    assert!(clean.len() == shape.numbers() && other.len() == clean.len(), "numbers do not fit {shape}");
    let (channels, height, width) = shape.extents();
    let planes = clean.chunks_exact(height * width).zip(other.chunks_exact(height * width));
    let sum: f64 = planes.map(|(clean, other)| plane(clean, other, height, width)).sum();
    (sum / channels as f64) as f32
}

/// Computes the SSIM of one channel. Holds as many filtered rows as the window is high, not whole maps.
fn plane(clean: &[f32], other: &[f32], height: usize, width: usize) -> f64 {
    let (across, down) = (window(width), window(height));
    let columns = width - across.len() + 1;
    let mut rows: Vec<Vec<[f64; 5]>> = Vec::with_capacity(down.len());
    let mut sum = 0.0;
    for (y, (a, b)) in clean.chunks_exact(width).zip(other.chunks_exact(width)).enumerate() {
        let row = (0..columns).map(|x| moments(&a[x..], &b[x..], &across)).collect();
        if rows.len() == down.len() {
            rows.remove(0);
        }
        rows.push(row);
        if y + 1 >= down.len() {
            sum += (0..columns).map(|x| similarity(column(&rows, x, &down))).sum::<f64>();
        }
    }
    sum / (columns * (height - down.len() + 1)) as f64
}

/// Weighted means along a row: a, b, a^2, b^2, ab.
fn moments(a: &[f32], b: &[f32], weights: &[f64]) -> [f64; 5] {
    let mut sums = [0.0; 5];
    for ((&a, &b), w) in a.iter().zip(b).zip(weights) {
        let (a, b) = (f64::from(a), f64::from(b));
        for (sum, term) in sums.iter_mut().zip([a, b, a * a, b * b, a * b]) {
            *sum += w * term;
        }
    }
    sums
}

/// Returns the weighted mean of the moments of the rows at column `x`.
fn column(rows: &[Vec<[f64; 5]>], x: usize, weights: &[f64]) -> [f64; 5] {
    let mut sums = [0.0; 5];
    for (row, w) in rows.iter().zip(weights) {
        for (sum, moment) in sums.iter_mut().zip(row[x]) {
            *sum += w * moment;
        }
    }
    sums
}

fn similarity([a, b, aa, bb, ab]: [f64; 5]) -> f64 {
    let (variances, covariance) = (aa - a * a + bb - b * b, ab - a * b);
    (2.0 * a * b + C1) * (2.0 * covariance + C2) / ((a * a + b * b + C1) * (variances + C2))
}

/// A Gaussian window of sum 1, odd and no longer than the axis.
fn window(axis: usize) -> Vec<f64> {
    let length = if axis >= WINDOW { WINDOW } else { axis - (axis + 1) % 2 };
    let middle = (length / 2) as f64;
    let weight = |i: usize| (-0.5 * ((i as f64 - middle) / WINDOW_SIGMA).powi(2)).exp();
    let sum: f64 = (0..length).map(weight).sum();
    (0..length).map(|i| weight(i) / sum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(shape: Shape) -> Vec<f32> {
        (0..shape.numbers()).map(|i| 0.5 + 0.4 * (i as f32 * 0.7).sin()).collect()
    }

    #[test]
    fn equal_images_score_1_at_every_size() {
        for shape in [Shape::image(1, 1, 1), Shape::image(3, 2, 30), Shape::image(1, 20, 24)] {
            let image = pattern(shape);
            assert!((ssim(&image, &image, shape) - 1.0).abs() < 1e-6, "{shape}");
        }
    }

    #[test]
    fn constant_images_score_by_brightness_alone() {
        let shape = Shape::image(1, 16, 16);
        // (2 * 0.4 * 0.6 + C1) / (0.4^2 + 0.6^2 + C1)
        let expected = (0.48 + 1e-4) / (0.52 + 1e-4);
        assert!((ssim(&[0.4; 256], &[0.6; 256], shape) - expected).abs() < 1e-5);
    }

    #[test]
    fn a_negative_has_negative_structure() {
        let shape = Shape::image(1, 16, 16);
        let image = pattern(shape);
        let negative: Vec<f32> = image.iter().map(|v| 1.0 - v).collect();
        assert!(ssim(&image, &negative, shape) < -0.5);
    }

    #[test]
    fn a_window_of_one_pixel_is_the_formula_itself() {
        let expected = (2.0 * 0.2 * 0.5 + 1e-4) / (0.04 + 0.25 + 1e-4);
        assert!((ssim(&[0.2], &[0.5], Shape::image(1, 1, 1)) - expected).abs() < 1e-6);
    }
}
