//! What a residual tells about the noise: whether neighbours are alike.

use crate::sample::{Shape, Stats};

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

    #[test]
    fn what_has_no_neighbours_has_none() {
        assert_eq!(neighbor_correlation(&[0.3], Shape::image(1, 1, 1)), [0.0, 0.0]);
        assert_eq!(neighbor_correlation(&[0.3; 12], Shape::image(1, 3, 4)), [0.0, 0.0]);
    }
}
