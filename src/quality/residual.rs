//! Residual: what a denoiser removed, which is noise if its pixels are not correlated.

use crate::sample::{Kind, Sample};

/// Returns the correlation of adjacent pixels of `noisy - clean`, to the right or below, whichever is larger in size, -1 to 1, over
/// all channels; `None` for other kinds than images, or if nothing was removed. Rows are read one after the other, so that large
/// images take no memory.
///
/// # Panics
/// The shapes differ.
pub fn residual_correlation(noisy: &Sample, clean: &Sample) -> Option<f32> {
    assert!(noisy.shape() == clean.shape(), "{} and {}", noisy.shape(), clean.shape());
    if noisy.shape().kind() != Kind::Image {
        return None;
    }
    let (channels, height, width) = noisy.shape().extents();
    let [mut row, mut above, mut buffer] = [(); 3].map(|()| vec![0.0; width]);
    let mut residual = |at: usize, row: &mut [f32]| {
        noisy.read(at, row);
        clean.read(at, &mut buffer);
        row.iter_mut().zip(&buffer).for_each(|(x, r)| *x -= r);
    };
    let (mut power, mut right, mut down) = (0.0, 0.0, 0.0);
    for c in 0..channels {
        let mut sum = 0.0;
        for y in 0..height {
            residual((c * height + y) * width, &mut row);
            sum += row.iter().map(|v| f64::from(*v)).sum::<f64>();
        }
        let mean = (sum / (height * width) as f64) as f32;
        for y in 0..height {
            std::mem::swap(&mut row, &mut above);
            residual((c * height + y) * width, &mut row);
            row.iter_mut().for_each(|v| *v -= mean);
            power += product(&row, &row);
            right += product(&row[1..], &row[..width - 1]);
            if y > 0 {
                down += product(&row, &above);
            }
        }
    }
    let pairs = |count: usize| count as f64 / (height * width) as f64;
    let share = |sum: f64, count: usize| if count > 0 { sum / pairs(count) / power } else { 0.0 };
    let (right, down) = (share(right, height * (width - 1)), share(down, (height - 1) * width));
    let larger = if right.abs() >= down.abs() { right } else { down };
    (power > 0.0).then_some(larger as f32)
}

fn product(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, Rng};
    use crate::sample::Shape;

    #[test]
    fn white_noise_is_not_correlated_and_smoothed_noise_is_by_its_kernel() {
        let mut noise = vec![0.0; 2 * 100 * 101];
        Rng::new(4, Purpose::Evaluate, 0).fill_normal(&mut noise);
        let shape = Shape::image(2, 100, 100);
        let clean = Sample::new(shape, vec![0.5; 20_000]).unwrap();
        let with = |of: &dyn Fn(usize) -> f32| {
            let noisy = Sample::new(shape, (0..20_000).map(|i| 0.6 + of(i)).collect()).unwrap();
            residual_correlation(&noisy, &clean).unwrap()
        };
        assert!(with(&|i| 0.1 * noise[i]).abs() < 0.03);
        // Each number and the one below: they share one of two, a correlation of a half.
        let seen = with(&|i| 0.1 * (noise[i] + noise[i + 100]));
        assert!((seen - 0.5).abs() < 0.03, "{seen}");
        let against = with(&|i| if i % 2 == 0 { 0.1 } else { -0.1 });
        assert!((against + 1.0).abs() < 0.02, "{against}");
    }

    #[test]
    fn nothing_removed_has_no_correlation() {
        let image = Sample::new(Shape::image(1, 1, 3), vec![0.1, 0.2, 0.3]).unwrap();
        assert_eq!(residual_correlation(&image, &image), None);
        let vector = Sample::new(Shape::Vector { features: 2 }, vec![0.0, 1.0]).unwrap();
        let other = Sample::new(Shape::Vector { features: 2 }, vec![1.0, 1.0]).unwrap();
        assert_eq!(residual_correlation(&vector, &other), None);
    }
}
