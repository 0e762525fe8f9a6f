//! Strength of the noise in a sample, estimated from the sample alone.

use super::median;
use crate::sample::{Sample, Shape};

/// Approximate number of coefficients examined: the median of a third of them is within a hundredth.
const ENOUGH: usize = 1 << 17;
/// Minimum number of positions to choose the smoothest from; of fewer all count.
const CHOOSE_FROM: usize = 256;
/// Median of the absolute value of a standard normal.
const NORMAL_MEDIAN: f32 = 0.674_489_75;
/// Daubechies' wavelet of two vanishing moments: zero on constant and linear stretches, of energy 1.
const WAVELET: [f32; 4] = [-0.129_409_52, -0.224_143_87, 0.836_516_3, -0.482_962_9];

/// Estimates the standard deviation of white noise in a sample, on the scale of the sample (times 255 for images on [0,
/// 1]): per channel the median of the absolute finest diagonal wavelet coefficients divided by that of a normal, then
/// the mean over channels.
///
/// In images only the smoothest third of all positions counts. Smoothness is measured by sums along rows and columns;
/// the diagonal wavelet is orthogonal to these, so the choice does not favour positions with weak noise.
///
/// Fine texture everywhere is mistaken for noise, and noise that is correlated from pixel to pixel is underestimated,
/// as is noise clipped at white on a page that is mostly white. Samples that are too small (below 2 numbers) have noise
/// 0. Numbers that are NaN are missing, and are left out.
///
/// # Source
/// D. L. Donoho and I. M. Johnstone, "Ideal spatial adaptation by wavelet shrinkage" (1994).
///
/// # Panics
/// The number of values does not match the shape.
pub fn estimate_sigma(data: &[f32], shape: Shape) -> f32 {
    assert!(data.len() == shape.numbers(), "{} numbers do not fit {shape}", data.len());
    let sigmas = sigmas(shape, |start, out| out.copy_from_slice(&data[start..start + out.len()]));
    sigmas.iter().sum::<f32>() / sigmas.len() as f32
}

/// Estimates the noise of each channel, see [`estimate_sigma`], without missing numbers.
pub fn estimate_noise(sample: &Sample) -> Vec<f32> {
    sigmas(sample.shape(), |start, out| sample.read_known(start, out))
}

/// Estimates the noise of each channel of numbers, any part of which `read` writes out.
fn sigmas(shape: Shape, read: impl Fn(usize, &mut [f32])) -> Vec<f32> {
    let (channels, height, width) = shape.extents();
    let plane = |c: usize| sigma_of_plane(|at, out| read(c * height * width + at, out), height, width);
    (0..channels).map(plane).collect()
}

/// Estimates the standard deviation of white noise in one plane, any part of which `read` writes out, with NaN for missing
/// numbers; 0 if too many are missing.
pub(super) fn sigma_of_plane(read: impl Fn(usize, &mut [f32]), height: usize, width: usize) -> f32 {
    let (down, across) = (wavelet(height), wavelet(width));
    if down.len() * across.len() == 1 {
        return 0.0;
    }
    let (rows, columns) = (height - down.len() + 1, width - across.len() + 1);
    // Rows are skipped before columns, because adjacent columns are cheap. Odd steps cover positions of every parity.
    let step = |places: usize| places.div_ceil(ENOUGH) | 1;
    let step_down = step(rows * columns).min(rows);
    let step_across = step(rows.div_ceil(step_down) * columns);
    let mut places = Vec::with_capacity(rows.div_ceil(step_down) * columns.div_ceil(step_across));
    let mut strip = vec![0.0; down.len() * width];
    let mut folded = Columns::new(width);
    let mut plane = Range::default();
    let place = match across.len() {
        1 => Place::at::<1>,
        2 => Place::at::<2>,
        _ => Place::at::<4>,
    };
    for y in (0..rows).step_by(step_down) {
        read(y * width, &mut strip);
        folded.fold(&strip, down);
        plane.add(&folded.low);
        plane.add(&folded.high);
        let all = (0..columns).step_by(step_across).map(|x| place(&folded, x, across));
        places.extend(all.filter(|place| !place.detail.is_nan()));
    }
    if places.is_empty() {
        return 0.0;
    }
    keep_unclipped(&mut places, &plane);
    if places.len() >= CHOOSE_FROM && height > 1 && width > 1 {
        let third = places.len() / 3;
        places.select_nth_unstable_by(third, |a, b| a.slope.total_cmp(&b.slope));
        places.truncate(third);
    }
    let mut details: Vec<f32> = places.iter().map(|place| place.detail).collect();
    median(&mut details) / NORMAL_MEDIAN
}

/// Minimum and maximum of a set of numbers.
#[derive(Debug, Clone, Copy)]
struct Range(f32, f32);

impl Default for Range {
    fn default() -> Self {
        Self(f32::INFINITY, f32::NEG_INFINITY)
    }
}

impl Range {
    fn add(&mut self, numbers: &[f32]) {
        let Self(low, high) = self;
        numbers.iter().for_each(|&v| (*low, *high) = (low.min(v), high.max(v)));
    }
}

/// A strip of as many rows as a wavelet has taps, reduced to one number of each sort per column; positions share these.
struct Columns {
    detail: Vec<f32>,
    sum: Vec<f32>,
    /// Sum of the lower half minus that of the upper one.
    rise: Vec<f32>,
    low: Vec<f32>,
    high: Vec<f32>,
}

impl Columns {
    fn new(width: usize) -> Self {
        let zeros = || vec![0.0; width];
        Self { detail: zeros(), sum: zeros(), rise: zeros(), low: zeros(), high: zeros() }
    }

    fn fold(&mut self, strip: &[f32], down: &[f32]) {
        let Self { detail, sum, rise, low, high } = self;
        let width = detail.len();
        [&mut *detail, sum, rise].into_iter().for_each(|column| column.fill(0.0));
        low.copy_from_slice(&strip[..width]);
        high.copy_from_slice(&strip[..width]);
        for (i, (w, row)) in down.iter().zip(strip.chunks_exact(width)).enumerate() {
            let side = if i < down.len() / 2 { -1.0 } else { 1.0 };
            detail.iter_mut().zip(row).for_each(|(d, v)| *d += w * v);
            sum.iter_mut().zip(row).for_each(|(s, v)| *s += v);
            rise.iter_mut().zip(row).for_each(|(r, v)| *r += side * v);
            low.iter_mut().zip(row).for_each(|(l, v)| *l = l.min(*v));
            high.iter_mut().zip(row).for_each(|(h, v)| *h = h.max(*v));
        }
    }
}

/// Measurements at one position: absolute diagonal detail and squared slope.
struct Place {
    detail: f32,
    slope: f32,
    range: Range,
}

impl Place {
    /// Measures the position that begins at column `x`, with a wavelet of `N` taps.
    fn at<const N: usize>(columns: &Columns, x: usize, across: &[f32]) -> Self {
        let here = |column: &[f32]| -> [f32; N] { std::array::from_fn(|j| column[x + j]) };
        let detail = here(&columns.detail).iter().zip(across).map(|(v, w)| v * w).sum::<f32>();
        let sums = here(&columns.sum);
        let (left, right) = sums.split_at(N / 2);
        let to_right = right.iter().sum::<f32>() - left.iter().sum::<f32>();
        let to_bottom = here(&columns.rise).iter().sum::<f32>();
        let mut range = Range::default();
        range.add(&here(&columns.low));
        range.add(&here(&columns.high));
        Self { detail: detail.abs(), slope: to_right * to_right + to_bottom * to_bottom, range }
    }
}

/// Removes positions with clipped noise, which is weaker than the unclipped: those that touch the extremes of all
/// examined numbers. Keeps all if these are so common (a page is mostly white) that only edges would remain.
fn keep_unclipped(places: &mut Vec<Place>, plane: &Range) {
    let is_inside = |place: &Place| place.range.0 > plane.0 && place.range.1 < plane.1;
    if 3 * places.iter().filter(|place| is_inside(place)).count() >= 2 * places.len() {
        places.retain(is_inside);
    }
}

/// Returns the longest wavelet that fits the axis: four taps, Haar's two, or none.
fn wavelet(axis: usize) -> &'static [f32] {
    const HAAR: [f32; 2] = [std::f32::consts::FRAC_1_SQRT_2, -std::f32::consts::FRAC_1_SQRT_2];
    match axis {
        0 | 1 => &[1.0],
        2 | 3 => &HAAR,
        _ => &WAVELET,
    }
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
    fn noise_clipped_in_a_part_of_the_image_is_measured_in_the_rest() {
        let clean = |i: usize| if i % 200 < 50 { 1.0 } else { 0.5 };
        let mut data = noisy(clean, 40_000, 0.1);
        data.iter_mut().for_each(|v| *v = v.clamp(0.0, 1.0));
        let seen = estimate_sigma(&data, Shape::image(1, 200, 200));
        assert!((seen / 0.1 - 1.0).abs() < 0.04, "{seen}");
    }

    #[test]
    fn channels_are_averaged() {
        let shape = Shape::image(2, 100, 100);
        let mut data = noisy(|_| 0.5, 20_000, 0.1);
        data[10_000..].fill(0.5);
        assert!((estimate_sigma(&data, shape) - 0.05).abs() < 0.003);
    }

    #[test]
    fn channels_are_told_apart_at_any_depth() {
        let shape = Shape::image(2, 100, 100);
        let mut data = noisy(|_| 0.5, 20_000, 0.1);
        data[10_000..].fill(0.5);
        let bytes = data.iter().map(|v| (v.clamp(0.0, 1.0) * 255.0) as u8).collect();
        for sample in [Sample::new(shape, data).unwrap(), Sample::from_bytes(shape, bytes).unwrap()] {
            let seen = estimate_noise(&sample);
            assert!((seen[0] - 0.1).abs() < 0.006 && seen[1] < 1e-6, "{seen:?}");
        }
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
