//! Wavelets: shrinkage of the coefficients of a signal, the classical method for signals with abrupt changes.

use super::median;

/// Scaling filter of Daubechies' wavelet of four vanishing moments (db4): I. Daubechies, "Orthonormal bases of compactly
/// supported wavelets" (1988), table 1.
const SCALING: [f64; 8] = [
    0.230_377_813_308_855_23,
    0.714_846_570_552_541_5,
    0.630_880_767_929_590_4,
    -0.027_983_769_416_983_85,
    -0.187_034_811_718_881_14,
    0.030_841_381_835_986_965,
    0.032_883_011_666_982_945,
    -0.010_597_401_784_997_278,
];

/// Largest number of scales.
const SCALES: usize = 8;

/// Median of the absolute value of a standard normal.
const NORMAL_MEDIAN: f64 = 0.674_489_75;

/// Rule for the threshold of a scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shrinkage {
    /// One threshold, sigma times the root of 2 ln n: D. L. Donoho and I. M. Johnstone, "Ideal spatial adaptation by wavelet
    /// shrinkage", Biometrika 81 (1994).
    Visu,
    /// One threshold for each scale, the variance of the noise over the deviation of the content: S. G. Chang, B. Yu and M.
    /// Vetterli, "Adaptive wavelet thresholding for image denoising and compression", IEEE Transactions on Image Processing
    /// 9 (2000).
    Bayes,
}

/// Denoises a signal of one channel: soft thresholds on its db4 coefficients, with the noise estimated from the median of
/// the finest ones. The signal is mirrored at its ends; one of fewer than 16 steps is returned unchanged.
pub fn denoise_wavelet(signal: &[f32], shrinkage: Shrinkage) -> Vec<f32> {
    if signal.len() < 2 * SCALING.len() {
        return signal.to_vec();
    }
    // Mirrored to twice its length, so that it is periodic without a step.
    let scales = ((signal.len() / SCALING.len()).ilog2() as usize).clamp(1, SCALES);
    let half = signal.len().next_multiple_of(1 << scales);
    let at = |i: usize| {
        let i = if i < half { i } else { 2 * half - 1 - i };
        let last = signal.len() - 1;
        f64::from(signal[if i > last { (2 * last + 1).saturating_sub(i) } else { i }])
    };
    let mut smooth: Vec<f64> = (0..2 * half).map(at).collect();
    let mut details = Vec::with_capacity(scales);
    for _ in 0..scales {
        let (low, high) = split(&smooth);
        details.push(high);
        smooth = low;
    }
    let mut finest: Vec<f32> = details[0].iter().map(|v| v.abs() as f32).collect();
    let sigma = f64::from(median(&mut finest)) / NORMAL_MEDIAN;
    for scale in &mut details {
        let threshold = match shrinkage {
            Shrinkage::Visu => sigma * (2.0 * (signal.len() as f64).ln()).sqrt(),
            Shrinkage::Bayes => {
                let power = scale.iter().map(|v| v * v).sum::<f64>() / scale.len() as f64;
                let content = (power - sigma * sigma).max(0.0).sqrt();
                // Without content, all is noise.
                if content > 0.0 { sigma * sigma / content } else { f64::INFINITY }
            }
        };
        scale.iter_mut().for_each(|v| *v = v.signum() * (v.abs() - threshold).max(0.0));
    }
    for high in details.iter().rev() {
        smooth = join(&smooth, high);
    }
    smooth[..signal.len()].iter().map(|v| *v as f32).collect()
}

/// Returns the tap of the wavelet's own filter.
fn wavelet(k: usize) -> f64 {
    let tap = SCALING[SCALING.len() - 1 - k];
    if k.is_multiple_of(2) { tap } else { -tap }
}

/// Splits a periodic signal into its averages and its details.
fn split(signal: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let n = signal.len();
    let sum = |of: &dyn Fn(usize) -> f64, at: usize| {
        (0..SCALING.len()).map(|k| of(k) * signal[(2 * at + k) % n]).sum()
    };
    let all = |of: &dyn Fn(usize) -> f64| (0..n / 2).map(|at| sum(of, at)).collect();
    (all(&|k| SCALING[k]), all(&wavelet))
}

/// Inverse of [`split`]: its transpose, because the wavelet is orthogonal.
fn join(low: &[f64], high: &[f64]) -> Vec<f64> {
    let n = 2 * low.len();
    let mut signal = vec![0.0; n];
    for (at, (low, high)) in low.iter().zip(high).enumerate() {
        for k in 0..SCALING.len() {
            signal[(2 * at + k) % n] += SCALING[k] * low + wavelet(k) * high;
        }
    }
    signal
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, Rng};

    #[test]
    fn the_filter_is_orthonormal_and_blind_to_cubics() {
        for shift in [0, 2, 4, 6] {
            let product: f64 = (shift..8).map(|k| SCALING[k] * SCALING[k - shift]).sum();
            assert!((product - f64::from(u8::from(shift == 0))).abs() < 1e-10, "{shift}: {product}");
        }
        for power in 0..4 {
            let moment: f64 = (0..8).map(|k| wavelet(k) * (k as f64).powi(power)).sum();
            assert!(moment.abs() < 1e-7, "{power}: {moment}");
        }
    }

    #[test]
    fn what_is_split_joins_again() {
        let signal: Vec<f64> = (0..64).map(|t| (f64::from(t) * 0.7).sin() + f64::from(t % 5)).collect();
        let (low, high) = split(&signal);
        assert!(join(&low, &high).iter().zip(&signal).all(|(a, b)| (a - b).abs() < 1e-10));
    }

    #[test]
    fn noise_on_waves_and_steps_is_removed() {
        let clean: Vec<f32> =
            (0..3001).map(|t| (t as f32 * 0.01).sin() + if t > 1234 { 2.0 } else { 0.0 }).collect();
        let mut noise = vec![0.0; clean.len()];
        Rng::new(1, Purpose::Evaluate, 0).fill_normal(&mut noise);
        let noisy: Vec<f32> = clean.iter().zip(noise).map(|(v, n)| v + 0.3 * n).collect();
        for shrinkage in [Shrinkage::Visu, Shrinkage::Bayes] {
            let result = denoise_wavelet(&noisy, shrinkage);
            let gain = super::super::snr(&clean, &result) - super::super::snr(&clean, &noisy);
            assert!(gain > 8.0, "{shrinkage:?}: {gain}");
        }
        for length in [1, 15, 16, 17, 100] {
            assert_eq!(denoise_wavelet(&noisy[..length], Shrinkage::Visu).len(), length);
        }
        let flat = vec![5.0; 100];
        assert!(denoise_wavelet(&flat, Shrinkage::Bayes).iter().all(|v| (v - 5.0).abs() < 1e-5));
    }
}
