//! Smoothing: moving average and Savitzky-Golay filter, the classical methods for signals.

/// Largest number of steps of a window.
const LONGEST: usize = 201;

/// Filters a signal of one channel by its moving average, with the window of least expected error.
///
/// The window is the odd one for which Stein's unbiased estimate of the error is lowest, given noise of deviation `sigma`.
/// Steps beyond the ends are mirrored.
///
/// # Source
/// The estimate: S. R. Krishnan and C. S. Seelamantula, "On the selection of optimum Savitzky-Golay filters", IEEE
/// Transactions on Signal Processing 61 (2013), of which the moving average is the filter of order 0.
pub fn moving_average(signal: &[f32], sigma: f32) -> Vec<f32> {
    best(signal, sigma, &[0])
}

/// Filters a signal of one channel by the Savitzky-Golay filter of order 2 or 4 and of the window of least expected error,
/// as [`moving_average`].
///
/// # Source
/// A. Savitzky and M. J. E. Golay, "Smoothing and differentiation of data by simplified least squares procedures",
/// Analytical Chemistry 36 (1964); the choice of order and window: Krishnan and Seelamantula (2013).
pub fn savitzky_golay(signal: &[f32], sigma: f32) -> Vec<f32> {
    best(signal, sigma, &[2, 4])
}

/// Returns the result of the order and the window of least expected error; the signal itself if none lowers it.
fn best(signal: &[f32], sigma: f32, orders: &[usize]) -> Vec<f32> {
    let variance = f64::from(sigma).powi(2);
    // The signal itself has the error of its noise.
    let (mut least, mut best) = (variance, signal.to_vec());
    for &order in orders {
        for reach in (order / 2 + 1..=LONGEST / 2).take_while(|reach| 2 * reach < signal.len()) {
            let taps = taps(reach, order);
            let result = filter(signal, &taps);
            let change = super::mse(signal, &result);
            // Mean change, less the noise, plus twice the noise that passes through.
            let error = change - variance + 2.0 * variance * taps[reach];
            if error < least {
                (least, best) = (error, result);
            }
        }
    }
    best
}

/// Returns the weights of `2 * reach + 1` steps in the value at the middle of the polynomial of even `order` that fits them
/// best.
fn taps(reach: usize, order: usize) -> Vec<f64> {
    let count = 2 * reach + 1;
    let place = |i: usize| (i as f64 - reach as f64) / reach.max(1) as f64;
    // Orthonormal polynomials; those of odd order are 0 in the middle.
    let mut basis: Vec<Vec<f64>> = Vec::new();
    for power in 0..=order {
        let mut vector: Vec<f64> = (0..count).map(|i| place(i).powi(power as i32)).collect();
        for other in &basis {
            let share: f64 = vector.iter().zip(other).map(|(a, b)| a * b).sum();
            vector.iter_mut().zip(other).for_each(|(v, o)| *v -= share * o);
        }
        let norm = vector.iter().map(|v| v * v).sum::<f64>().sqrt();
        basis.push(vector.into_iter().map(|v| v / norm).collect());
    }
    (0..count).map(|i| basis.iter().map(|vector| vector[reach] * vector[i]).sum()).collect()
}

fn filter(signal: &[f32], taps: &[f64]) -> Vec<f32> {
    let (n, reach) = (signal.len() as isize, taps.len() / 2);
    let at = |i: isize| {
        let i = if i < 0 { -i } else { i };
        f64::from(signal[if i >= n { 2 * n - 2 - i } else { i } as usize])
    };
    let one = |i: usize| {
        let first = i as isize - reach as isize;
        taps.iter().zip(first..).map(|(tap, place)| tap * at(place)).sum::<f64>() as f32
    };
    (0..signal.len()).map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, Rng};

    #[test]
    fn weights_are_those_of_the_published_tables() {
        let close = |taps: Vec<f64>, table: &[f64], norm: f64| {
            assert_eq!(taps.len(), table.len());
            taps.iter().zip(table).for_each(|(tap, own)| assert!((tap - own / norm).abs() < 1e-12, "{tap}"));
        };
        // Savitzky and Golay (1964), table I: quadratic smoothing of 5 and 7 points.
        close(taps(2, 2), &[-3.0, 12.0, 17.0, 12.0, -3.0], 35.0);
        close(taps(3, 2), &[-2.0, 3.0, 6.0, 7.0, 6.0, 3.0, -2.0], 21.0);
        close(taps(3, 4), &[5.0, -30.0, 75.0, 131.0, 75.0, -30.0, 5.0], 231.0);
        close(taps(1, 0), &[1.0, 1.0, 1.0], 3.0);
    }

    #[test]
    fn a_parabola_passes_and_noise_on_a_wave_does_not() {
        let parabola: Vec<f32> = (0..100).map(|t| 0.01 * (t as f32 - 40.0).powi(2)).collect();
        let passed = filter(&parabola, &taps(5, 2));
        assert!((10..90).all(|t| (passed[t] - parabola[t]).abs() < 1e-4));
        let clean: Vec<f32> = (0..2000).map(|t| (t as f32 * 0.03).sin()).collect();
        let mut noise = vec![0.0; 2000];
        Rng::new(1, Purpose::Evaluate, 0).fill_normal(&mut noise);
        let noisy: Vec<f32> = clean.iter().zip(noise).map(|(v, n)| v + 0.3 * n).collect();
        let gain = |result: Vec<f32>| super::super::snr(&clean, &result) - super::super::snr(&clean, &noisy);
        let (average, polynomial) = (gain(moving_average(&noisy, 0.3)), gain(savitzky_golay(&noisy, 0.3)));
        assert!(average > 8.0 && polynomial > average, "{average} {polynomial}");
        assert_eq!(moving_average(&noisy, 0.0), noisy);
        assert_eq!(savitzky_golay(&[1.0, 2.0], 1.0), [1.0, 2.0]);
    }
}
