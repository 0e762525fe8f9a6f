//! Distance between two samples, number by number: MSE, RMSE, PSNR, SNR.

use crate::sample::Stats;

/// Mean squared error, summed in `f64` in order.
///
/// # Panics
/// The lengths differ or are 0; compare shapes first.
pub fn mse(clean: &[f32], other: &[f32]) -> f64 {
    assert!(
        clean.len() == other.len() && !clean.is_empty(),
        "{} against {} numbers",
        clean.len(),
        other.len()
    );
    let squares = clean.iter().zip(other).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2));
    squares.sum::<f64>() / clean.len() as f64
}

/// Root of the mean squared error, on the samples' own scale.
///
/// # Panics
/// As [`mse`].
pub fn rmse(clean: &[f32], other: &[f32]) -> f32 {
    mse(clean, other).sqrt() as f32
}

/// Peak signal-to-noise ratio of images on [0, 1], dB: `10 log10(1 / mse)` over the whole image and all channels (RGB,
/// not luma), without clipping, rounding or cropping. Infinite if both are equal.
///
/// # Panics
/// As [`mse`].
pub fn psnr(clean: &[f32], other: &[f32]) -> f32 {
    (10.0 * (1.0 / mse(clean, other)).log10()) as f32
}

/// Signal-to-noise ratio, dB: the variance of the clean sample over the mean squared error. The mean is subtracted from
/// the signal, so that an offset (a temperature in kelvin) does not count as signal. Infinite if both are equal.
///
/// # Panics
/// As [`mse`].
pub fn snr(clean: &[f32], other: &[f32]) -> f32 {
    let error = mse(clean, other);
    let signal = f64::from(Stats::of(clean).std).powi(2);
    (10.0 * (signal / error).log10()) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_a_tenth_everywhere_is_20_db() {
        let (clean, other) = ([0.2, 0.5, 0.8, 0.4], [0.3, 0.4, 0.9, 0.5]);
        assert!((psnr(&clean, &other) - 20.0).abs() < 1e-4);
        assert!((rmse(&clean, &other) - 0.1).abs() < 1e-7);
    }

    #[test]
    fn equal_samples_are_infinitely_alike() {
        assert_eq!(psnr(&[0.1, 0.2], &[0.1, 0.2]), f32::INFINITY);
        assert_eq!(snr(&[0.1, 0.2], &[0.1, 0.2]), f32::INFINITY);
    }

    #[test]
    fn the_offset_of_a_signal_does_not_count_as_signal() {
        let near = snr(&[-1.0, 1.0], &[-1.1, 0.9]);
        let far = snr(&[999.0, 1001.0], &[998.9, 1000.9]);
        assert!((near - 20.0).abs() < 1e-4 && (far - 20.0).abs() < 1e-2, "{near} {far}");
    }

    #[test]
    #[should_panic = "2 against 1 numbers"]
    fn samples_of_different_length_are_not_compared() {
        mse(&[0.0, 0.0], &[0.0]);
    }
}
