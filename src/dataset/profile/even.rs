//! Evenness: separates a frame without content, whose blocks are all as noisy, from a scene, which has edges in some.

use crate::sample::{Kind, Sample};

/// Side of the blocks of an image in pixels, and length of those of a signal in steps.
const BLOCK: (usize, usize) = (16, 64);

/// Largest ratio of the 90 % quantile to the median of the blocks' variances. Noise that grows with the brightness of a shaded frame
/// stays below 2, correlated noise below 1.5.
const UNEVEN: f64 = 3.0;

/// Returns `true` if no channel of a sample has content: the variance of its blocks, without the plane of each, is about the
/// same everywhere.
pub(super) fn is_even(sample: &Sample) -> bool {
    let (channels, height, width) = sample.shape().extents();
    let (down, across) = if sample.shape().kind() == Kind::Image { (BLOCK.0, BLOCK.0) } else { (1, BLOCK.1) };
    sample.data().chunks_exact(sample.shape().numbers() / channels).all(|plane| {
        let starts = |extent: usize, block: usize| (0..extent + 1 - block.min(extent)).step_by(block);
        let block = |(y, x): (usize, usize)| variance(plane, width, (y, down), (x, across));
        let places = starts(height, down).flat_map(|y| starts(width, across).map(move |x| (y, x)));
        let mut variances: Vec<f64> = places.filter_map(block).collect();
        variances.sort_by(f64::total_cmp);
        let at =
            |share: f64| variances.get((share * variances.len() as f64) as usize).copied().unwrap_or(0.0);
        at(0.9) <= UNEVEN * at(0.5)
    })
}

/// Returns the variance of a block around its plane; `None` if a number is missing.
fn variance(
    plane: &[f32],
    width: usize,
    (top, down): (usize, usize),
    (left, across): (usize, usize),
) -> Option<f64> {
    let centre = |n: usize| (n - 1) as f64 / 2.0;
    // Sum, sum of squares, and products with the two slopes, which are orthogonal on a full block.
    let [mut sum, mut squares, mut by_y, mut by_x] = [0.0; 4];
    for y in 0..down {
        for (x, v) in plane[(top + y) * width + left..][..across].iter().enumerate() {
            let v = f64::from(*v);
            sum += v;
            squares += v * v;
            by_y += v * (y as f64 - centre(down));
            by_x += v * (x as f64 - centre(across));
        }
    }
    let count = (down * across) as f64;
    // Sum of squares of the numbers -(n - 1) / 2, ..., (n - 1) / 2, for each line across.
    let slopes = |n: usize, lines: usize| (n * (n * n - 1)) as f64 / 12.0 * lines as f64;
    let of = |product: f64, slopes: f64| if slopes > 0.0 { product * product / slopes } else { 0.0 };
    let rest = squares - sum * sum / count - of(by_y, slopes(down, across)) - of(by_x, slopes(across, down));
    rest.is_finite().then_some(rest.max(0.0) / count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, Rng};
    use crate::sample::Shape;

    const SIDE: usize = 128;

    fn image(of: impl Fn(usize, usize, f32) -> f32) -> Sample {
        let mut rng = Rng::new(3, Purpose::Evaluate, 0);
        let numbers = (0..SIDE * SIDE).map(|i| of(i / SIDE, i % SIDE, rng.normal())).collect();
        Sample::new(Shape::image(1, SIDE, SIDE), numbers).unwrap()
    }

    #[test]
    fn noise_alone_shaded_striped_or_growing_with_brightness_is_even() {
        assert!(is_even(&image(|_, _, n| 0.5 + 0.05 * n)));
        let shade = |y: usize, x: usize| 0.2 + 0.6 * (y + x) as f32 / (2 * SIDE) as f32;
        assert!(is_even(&image(|y, x, n| shade(y, x) + 0.05 * shade(y, x).sqrt() * n)));
        assert!(is_even(&image(|y, _, n| 0.5 + 0.02 * n + 0.1 * ((y * 7919 % 13) as f32 / 13.0 - 0.5))));
        assert!(is_even(&image(|_, _, _| 0.25)));
    }

    #[test]
    fn a_scene_is_not_even() {
        let scene = |y: usize, x: usize| if (x / 40 + y / 40).is_multiple_of(2) { 0.2 } else { 0.8 };
        assert!(!is_even(&image(|y, x, n| scene(y, x) + 0.05 * n)));
    }

    #[test]
    fn planes_do_not_count() {
        let ramp: Vec<f32> = (0..256).map(|i| ((i / 16) * 3 + (i % 16) * 5) as f32).collect();
        assert!(variance(&ramp, 16, (0, 16), (0, 16)).unwrap() < 1e-6);
    }
}
