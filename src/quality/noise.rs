//! How strong the noise in a sample is, from the sample alone.

use crate::sample::Shape;

/// Coefficients looked at; more make the median no better.
const ENOUGH: usize = 1 << 20;
/// Median of the absolute value of a standard normal.
const NORMAL_MEDIAN: f32 = 0.674_489_75;
/// Daubechies' wavelet of two vanishing moments: blind to constant and linear stretches, of energy 1.
const WAVELET: [f32; 4] = [-0.129_409_52, -0.224_143_87, 0.836_516_3, -0.482_962_9];

/// Standard deviation of white noise in a sample, on the sample's own scale (times 255 for images on
/// [0, 1]): per channel the median of the absolute finest diagonal wavelet coefficients over that of a
/// normal, then the mean over channels.
///
/// The median leaves edges out of account, so the estimate is good where at least half of the image is
/// smooth at this scale; fine texture all over is taken for noise, and noise that is correlated from
/// pixel to pixel is underestimated. Samples too small to tell (below 2 numbers) have noise 0.
///
/// # Source
/// D. L. Donoho and I. M. Johnstone, "Ideal spatial adaptation by wavelet shrinkage" (1994).
///
/// # Panics
/// The count of numbers differs from the shape.
pub fn estimate_sigma(data: &[f32], shape: Shape) -> f32 {
    assert!(data.len() == shape.numbers(), "{} numbers do not fit {shape}", data.len());
    let (channels, height, width) = match shape {
        Shape::Image { channels, height, width } => (channels, height, width),
        Shape::Signal { channels, length } => (channels, 1, length),
        Shape::Vector { features } => (1, 1, features),
    };
    let planes = data.chunks_exact(height * width);
    planes.map(|plane| plane_sigma(plane, height, width)).sum::<f32>() / channels as f32
}

fn plane_sigma(plane: &[f32], height: usize, width: usize) -> f32 {
    let (down, across) = (wavelet(height), wavelet(width));
    if down.len() * across.len() == 1 {
        return 0.0;
    }
    let (rows, columns) = (height - down.len() + 1, width - across.len() + 1);
    // A step that is odd and the same both ways looks at places of every kind.
    let step = ((rows * columns).div_ceil(ENOUGH) as f64).sqrt().ceil() as usize | 1;
    let mut magnitudes = Vec::with_capacity(rows.div_ceil(step) * columns.div_ceil(step));
    for y in (0..rows).step_by(step) {
        for x in (0..columns).step_by(step) {
            let row = |i: usize| {
                let numbers = &plane[(y + i) * width + x..];
                across.iter().zip(numbers).map(|(w, v)| w * v).sum::<f32>()
            };
            let detail: f32 = down.iter().enumerate().map(|(i, w)| w * row(i)).sum();
            magnitudes.push(detail.abs());
        }
    }
    median(&mut magnitudes) / NORMAL_MEDIAN
}

/// The longest wavelet that fits the axis: four taps, Haar's two, or none.
fn wavelet(axis: usize) -> &'static [f32] {
    const HAAR: [f32; 2] = [std::f32::consts::FRAC_1_SQRT_2, -std::f32::consts::FRAC_1_SQRT_2];
    match axis {
        0 | 1 => &[1.0],
        2 | 3 => &HAAR,
        _ => &WAVELET,
    }
}

fn median(values: &mut [f32]) -> f32 {
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f32::total_cmp).1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, Rng};

    fn noisy(clean: impl Fn(usize) -> f32, count: usize, sigma: f32) -> Vec<f32> {
        let mut noise = vec![0.0; count];
        Rng::new(1, Purpose::Evaluate, 0).fill_normal(&mut noise);
        noise.iter().enumerate().map(|(i, n)| clean(i) + sigma * n).collect()
    }

    #[test]
    fn white_noise_is_measured_on_top_of_slopes_and_edges() {
        let clean = |i: usize| (i % 200) as f32 * 0.004 + if i % 200 > 80 { 0.3 } else { 0.0 };
        for sigma in [0.01, 0.1] {
            let seen = estimate_sigma(&noisy(clean, 40_000, sigma), Shape::image(1, 200, 200));
            assert!((seen / sigma - 1.0).abs() < 0.04, "{seen} for {sigma}");
        }
    }

    #[test]
    fn channels_are_averaged() {
        let shape = Shape::image(2, 100, 100);
        let mut data = noisy(|_| 0.5, 20_000, 0.1);
        data[10_000..].fill(0.5);
        assert!((estimate_sigma(&data, shape) - 0.05).abs() < 0.003);
    }

    #[test]
    fn signals_are_measured_in_their_own_unit() {
        let shape = Shape::Signal { channels: 1, length: 20_000 };
        let seen = estimate_sigma(&noisy(|i| 500.0 * (i as f32 * 0.02).sin(), 20_000, 20.0), shape);
        assert!((seen / 20.0 - 1.0).abs() < 0.04, "{seen}");
    }

    #[test]
    fn constant_and_tiny_samples_have_no_noise() {
        let constants =
            [Shape::image(1, 1, 1), Shape::image(3, 1, 9), Shape::image(1, 3, 2), Shape::image(1, 50, 50)];
        for shape in constants {
            assert!(estimate_sigma(&vec![0.7; shape.numbers()], shape) < 1e-6, "{shape}");
        }
        assert_eq!(estimate_sigma(&[3.0], Shape::Vector { features: 1 }), 0.0);
    }

    #[test]
    fn the_wavelets_have_energy_1_and_see_no_constant() {
        for axis in [2, 4] {
            let taps = wavelet(axis);
            assert!((taps.iter().map(|t| t * t).sum::<f32>() - 1.0).abs() < 1e-6);
            assert!(taps.iter().sum::<f32>().abs() < 1e-6);
        }
        let slope: f32 = WAVELET.iter().enumerate().map(|(i, t)| i as f32 * t).sum();
        assert!(slope.abs() < 1e-6, "{slope}");
    }
}
