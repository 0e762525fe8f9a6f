//! Misalignment of the halves of a pair.

use crate::sample::{Kind, Sample};

/// Largest shift tested for images, in pixels each way.
const MOST: isize = 3;

/// Largest shift tested for signals, in steps.
const MOST_STEPS: isize = 8;

/// Approximate number of positions compared.
const ENOUGH: usize = 1 << 14;

/// Ratio of the mean squared differences with and without a shift below which the shift is reported.
const CLEARLY: f64 = 0.97;

/// Returns the shift of `noisy` relative to `clean` in pixels (steps) down and to the right; `None` if there is no shift, for
/// vectors, and for samples that are too small.
pub(super) fn between(noisy: &Sample, clean: &Sample) -> Option<(isize, isize)> {
    let shape = clean.shape();
    let (_, height, width) = shape.extents();
    let (down, right) = match shape.kind() {
        Kind::Image => (MOST, MOST),
        Kind::Signal => (0, MOST_STEPS),
        Kind::Vector => return None,
    };
    let (rim_y, rim_x) = (down.unsigned_abs(), right.unsigned_abs());
    if noisy.shape() != shape || height < 4 * rim_y.max(1) && rim_y > 0 || width < 4 * rim_x {
        return None;
    }
    let (rows, columns) = (height - 2 * rim_y, width - 2 * rim_x);
    let step = (rows * columns / ENOUGH).max(1) | 1;
    let (noisy, clean) = (noisy.data(), clean.data());
    let apart = |dy: isize, dx: isize| {
        let places = (0..rows * columns).step_by(step).map(|i| (i / columns + rim_y, i % columns + rim_x));
        let squares = places.map(|(y, x)| {
            let moved = (y.wrapping_add_signed(dy)) * width + x.wrapping_add_signed(dx);
            f64::from(noisy[moved] - clean[y * width + x]).powi(2)
        });
        squares.sum::<f64>()
    };
    let here = apart(0, 0);
    let shifts = (-down..=down).flat_map(|dy| (-right..=right).map(move |dx| (dy, dx)));
    let (least, best) =
        shifts.map(|(dy, dx)| (apart(dy, dx), (dy, dx))).min_by(|a, b| a.0.total_cmp(&b.0))?;
    (best != (0, 0) && least < CLEARLY * here).then_some(best)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, Rng};
    use crate::sample::Shape;

    #[test]
    fn a_shift_by_a_pixel_is_measured_under_noise() {
        let shape = Shape::image(1, 60, 80);
        let picture = |dy: usize, dx: usize, sigma: f32| {
            let mut noise = vec![0.0; shape.numbers()];
            Rng::new(1, Purpose::Evaluate, (dy * 9 + dx) as u64).fill_normal(&mut noise);
            let pixel = |i: usize| {
                let (y, x) = ((i / 80 + 9 - dy) as f32, (i % 80 + 9 - dx) as f32);
                0.5 + 0.3 * (0.5 * x).sin() * (0.4 * y).cos() + sigma * noise[i]
            };
            Sample::new(shape, (0..shape.numbers()).map(pixel).collect()).unwrap()
        };
        let clean = picture(0, 0, 0.0);
        assert_eq!(between(&picture(0, 0, 0.1), &clean), None);
        assert_eq!(between(&picture(1, 0, 0.1), &clean), Some((1, 0)));
        assert_eq!(between(&picture(2, 3, 0.1), &clean), Some((2, 3)));
    }
}
