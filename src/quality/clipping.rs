//! Clipping: mean and variance of normal noise that a file clipped at black.

/// Returns mean and variance of `max(0, level + z)` for a standard normal `z`.
///
/// # Source
/// A. Foi, "Clipped noisy images: heteroskedastic modeling and practical denoising", Signal Processing 89 (2009),
/// section 3.
pub fn moments(level: f32) -> (f32, f32) {
    let (density, share) = (density(level), cumulative(level));
    let mean = level * share + density;
    let square = (level * level + 1.0) * share + level * density;
    (mean, (square - mean * mean).max(f32::MIN_POSITIVE))
}

/// Returns the mean of `max(0, level + z)` for a standard normal `z`; see [`moments`].
pub fn clipped_mean(level: f32) -> f32 {
    moments(level).0
}

/// Density of a standard normal.
fn density(x: f32) -> f32 {
    (-0.5 * x * x).exp() / std::f32::consts::TAU.sqrt()
}

/// Probability that a standard normal is below `x`, to 2e-7.
///
/// # Source
/// M. Abramowitz and I. A. Stegun, "Handbook of mathematical functions", 26.2.17.
fn cumulative(x: f32) -> f32 {
    const B: [f32; 5] = [0.319_381_53, -0.356_563_78, 1.781_477_9, -1.821_255_9, 1.330_274_4];
    let t = 1.0 / (1.0 + 0.231_641_9 * x.abs());
    let tail = density(x) * t * B.iter().rev().fold(0.0, |sum, b| sum * t + b);
    if x > 0.0 { 1.0 - tail } else { tail }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_those_of_clipped_noise() {
        // At level 0: mean 1 / sqrt(2 pi), variance 1/2 - 1 / (2 pi).
        let (mean, variance) = moments(0.0);
        assert!((mean - 0.398_942).abs() < 1e-5 && (variance - 0.340_845).abs() < 1e-5);
        let (mean, variance) = moments(5.0);
        assert!((mean - 5.0).abs() < 1e-4 && (variance - 1.0).abs() < 1e-3);
        let (mean, _) = moments(-1.0);
        assert!((mean - 0.083_315).abs() < 1e-5, "{mean}");
    }
}
