//! PCA: the best linear autoencoder, for comparison with the learned one at an equal number of values.

use crate::rng::{Purpose, Rng};
use crate::sample::{Sample, Shape};

/// Side of a patch of an image, in pixels.
const PATCH: usize = 8;
/// Length of a patch of a signal, in steps.
const STRETCH: usize = 64;
/// Number of additional rows, so that the last requested ones converge as well.
const SPARE: usize = 8;
/// Number of iterations: the mixing of a component falls with the ratio of neighbouring variances to this power, and
/// components of equal variance serve equally well.
const ROUNDS: usize = 60;
/// Maximum number of multiplications per iteration: all iterations then take about a second. Colour patches of 8x8
/// pixels are within it for any number of components, and images of 28x28 pixels for 40; signals of more than four
/// channels only for few.
const MOST: usize = 1 << 25;

/// Mean and principal directions of points in `n` dimensions.
#[derive(Debug, Clone, PartialEq)]
pub struct Pca {
    mean: Vec<f32>,
    /// Orthonormal rows, the one of largest variance first.
    rows: Vec<Vec<f32>>,
}

impl Pca {
    /// Fits `k` components (at most `n`) to points of `n` numbers each; `None` if that would take too long, which grows
    /// with the square of `n` and of `k`.
    ///
    /// # Source
    /// Orthogonal iteration on the covariance (G. Golub and C. Van Loan, "Matrix Computations", 8.2.4).
    ///
    /// # Panics
    /// `n` is 0, or a point has another length.
    pub fn fit<'a>(points: impl Iterator<Item = &'a [f32]> + Clone, n: usize, k: usize) -> Option<Self> {
        let count = k.saturating_add(SPARE).min(n);
        if multiplications(n, count) > MOST {
            return None;
        }
        let mean = mean(points.clone(), n);
        let covariance = covariance(points, &mean);
        let mut rng = Rng::new(0, Purpose::Evaluate, 0);
        let mut rows: Vec<Vec<f64>> =
            (0..count).map(|_| (0..n).map(|_| f64::from(rng.normal())).collect()).collect();
        orthonormalize(&mut rows);
        for _ in 0..ROUNDS {
            rows = rows.iter().map(|row| covariance.chunks_exact(n).map(|c| dot(c, row)).collect()).collect();
            orthonormalize(&mut rows);
        }
        rows.truncate(k);
        let single = |row: Vec<f64>| row.into_iter().map(|v| v as f32).collect();
        Some(Self {
            mean: mean.into_iter().map(|v| v as f32).collect(),
            rows: rows.into_iter().map(single).collect(),
        })
    }

    /// Returns the number of fitted components.
    pub fn components(&self) -> usize {
        self.rows.len()
    }

    /// Returns the first `k` coordinates of a point.
    pub fn project(&self, point: &[f32], k: usize) -> Vec<f32> {
        let along =
            |row: &Vec<f32>| point.iter().zip(&self.mean).zip(row).map(|((p, m), r)| (p - m) * r).sum();
        self.rows.iter().take(k).map(along).collect()
    }

    /// Reconstructs a point from its coordinates.
    pub fn rebuild(&self, coordinates: &[f32]) -> Vec<f32> {
        let mut point = self.mean.clone();
        for (c, row) in coordinates.iter().zip(&self.rows) {
            point.iter_mut().zip(row).for_each(|(p, r)| *p += c * r);
        }
        point
    }

    /// Runs [`Pca::fit`] on patches of samples of one kind and one number of channels: 8x8 pixels of all channels for
    /// images, 64 steps for signals, whole vectors. A fit to the sample that is coded afterwards is the bound for any
    /// linear coder of these patches.
    ///
    /// # Panics
    /// There are no samples, or their patches differ in size.
    pub fn fit_patches(samples: &[&Sample], k: usize) -> Option<Self> {
        let n = patch_numbers(samples.first().expect("PCA needs a sample").shape());
        let points: Vec<f32> = samples.iter().flat_map(|s| patches(s.data(), s.shape())).collect();
        Self::fit(points.chunks_exact(n), n, k)
    }

    /// Reconstructs a sample from `k` numbers of each patch, and returns the total number of these.
    ///
    /// # Panics
    /// The patches of the sample do not have the fitted size.
    pub fn code(&self, data: &[f32], shape: Shape, k: usize) -> (Vec<f32>, usize) {
        let n = patch_numbers(shape);
        assert!(n == self.mean.len(), "patches of {n} numbers, fitted to {}", self.mean.len());
        let k = k.min(self.components());
        let patches = patches(data, shape);
        let numbers = patches.len() / n * k;
        let coded: Vec<f32> =
            patches.chunks_exact(n).flat_map(|p| self.rebuild(&self.project(p, k))).collect();
        (unpatch(&coded, shape), numbers)
    }
}

/// Returns the multiplications of one iteration: the covariance times each of `count` rows, and each row against half
/// of the others, twice.
fn multiplications(n: usize, count: usize) -> usize {
    n.saturating_mul(count).saturating_mul(n + 2 * count)
}

fn mean<'a>(points: impl Iterator<Item = &'a [f32]>, n: usize) -> Vec<f64> {
    let (mut mean, mut count) = (vec![0.0; n], 0);
    for point in points {
        assert!(point.len() == n && n > 0, "{} numbers in points of {n}", point.len());
        mean.iter_mut().zip(point).for_each(|(m, &p)| *m += f64::from(p));
        count += 1;
    }
    mean.iter().map(|m| m / f64::from(count.max(1))).collect()
}

fn covariance<'a>(points: impl Iterator<Item = &'a [f32]>, mean: &[f64]) -> Vec<f64> {
    let n = mean.len();
    let (mut covariance, mut count) = (vec![0.0; n * n], 0);
    for point in points {
        count += 1;
        let centered: Vec<f64> = point.iter().zip(mean).map(|(&p, m)| f64::from(p) - m).collect();
        for (row, c) in covariance.chunks_exact_mut(n).zip(&centered) {
            row.iter_mut().zip(&centered).for_each(|(v, d)| *v += c * d);
        }
    }
    covariance.iter_mut().for_each(|v| *v /= f64::from(count.max(1)));
    covariance
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Orthonormalizes rows by Gram-Schmidt, twice for accuracy. A row that vanishes (no variance is left) becomes zero and
/// codes nothing.
fn orthonormalize(rows: &mut [Vec<f64>]) {
    for i in 0..rows.len() {
        let (before, rest) = rows.split_at_mut(i);
        let row = &mut rest[0];
        let start = dot(row, row).sqrt();
        for _ in 0..2 {
            for other in before.iter() {
                let along = dot(row, other);
                row.iter_mut().zip(other).for_each(|(r, o)| *r -= along * o);
            }
        }
        let length = dot(row, row).sqrt();
        let scale = if length > 1e-12 * start && length > 0.0 { 1.0 / length } else { 0.0 };
        row.iter_mut().for_each(|r| *r *= scale);
    }
}

/// Returns rows and columns of a patch.
fn patch(shape: Shape) -> (usize, usize) {
    match shape {
        Shape::Image { .. } => (PATCH, PATCH),
        Shape::Signal { .. } => (1, STRETCH),
        Shape::Vector { features } => (1, features),
    }
}

fn patch_numbers(shape: Shape) -> usize {
    let (rows, columns) = patch(shape);
    shape.channels() * rows * columns
}

/// Iterates over the positions of all numbers of all patches: the nearest one in the sample, and `None` beyond the
/// border.
fn positions(shape: Shape) -> impl Iterator<Item = (usize, Option<usize>)> {
    let ((channels, height, width), (rows, columns)) = (shape.extents(), patch(shape));
    let (down, across) = (height.div_ceil(rows), width.div_ceil(columns));
    let n = channels * rows * columns;
    (0..down * across * n).map(move |at| {
        let (patch, inside) = (at / n, at % n);
        let (c, y, x) = (inside / (rows * columns), inside / columns % rows, inside % columns);
        let (y, x) = (patch / across * rows + y, patch % across * columns + x);
        // Beyond the border the last row and column are repeated.
        let nearest = (c * height + y.min(height - 1)) * width + x.min(width - 1);
        (nearest, (y < height && x < width).then_some(nearest))
    })
}

fn patches(data: &[f32], shape: Shape) -> Vec<f32> {
    positions(shape).map(|(nearest, _)| data[nearest]).collect()
}

fn unpatch(patches: &[f32], shape: Shape) -> Vec<f32> {
    let mut data = vec![0.0; shape.numbers()];
    for (value, (_, inside)) in patches.iter().zip(positions(shape)) {
        if let Some(at) = inside {
            data[at] = *value;
        }
    }
    data
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quality::mse;

    fn image(shape: Shape) -> Sample {
        let data = (0..shape.numbers()).map(|i| ((i * 37 + i * i / 7) % 101) as f32 / 101.0).collect();
        Sample::new(shape, data).unwrap()
    }

    #[test]
    fn the_first_component_lies_along_the_spread() {
        // Points on a line along (3, 4) through (1, 1), with a little width.
        let points: Vec<f32> = (-50..50)
            .flat_map(|t| {
                let (t, w) = (t as f32 * 0.1, if t % 2 == 0 { 0.01 } else { -0.01 });
                [1.0 + 0.6 * t - 0.8 * w, 1.0 + 0.8 * t + 0.6 * w]
            })
            .collect();
        let pca = Pca::fit(points.chunks_exact(2), 2, 2).unwrap();
        let row = &pca.rows[0];
        assert!((row[0].abs() - 0.6).abs() < 1e-3 && (row[1].abs() - 0.8).abs() < 1e-3, "{row:?}");
        assert!((pca.rows[0][0] * pca.rows[1][0] + pca.rows[0][1] * pca.rows[1][1]).abs() < 1e-6);
    }

    #[test]
    fn all_components_give_the_sample_back() {
        for shape in [Shape::image(1, 21, 19), Shape::image(3, 9, 8), Shape::Vector { features: 12 }] {
            let sample = image(shape);
            let pca = Pca::fit_patches(&[&sample], patch_numbers(shape)).unwrap();
            let (coded, _) = pca.code(sample.data(), shape, pca.components());
            // With fewer patches than dimensions some directions have no variance: dropping them loses nothing.
            assert!(mse(sample.data(), &coded) < 1e-8, "{shape}");
        }
    }

    #[test]
    fn more_numbers_come_nearer_and_are_counted() {
        let shape = Shape::image(1, 64, 64);
        let sample = image(shape);
        let pca = Pca::fit_patches(&[&sample], 32).unwrap();
        let errors: Vec<f64> =
            [1, 8, 32].map(|k| mse(sample.data(), &pca.code(sample.data(), shape, k).0)).to_vec();
        assert!(errors[0] > errors[1] && errors[1] > errors[2], "{errors:?}");
        assert_eq!(pca.code(sample.data(), shape, 8).1, 64 * 8);
    }

    #[test]
    fn what_would_take_too_long_is_not_fitted() {
        let signal = |channels: usize| {
            let sample = image(Shape::Signal { channels, length: STRETCH });
            Pca::fit_patches(&[&sample], channels * STRETCH / 2)
        };
        assert!(signal(1).is_some() && signal(12).is_none() && signal(256).is_none());
        // Whole digits, and colour with any number of components.
        assert!(multiplications(784, 32 + SPARE) <= MOST && multiplications(192, 192) <= MOST);
    }

    #[test]
    fn constant_samples_are_their_mean() {
        let sample = Sample::new(Shape::image(1, 16, 16), vec![0.25; 256]).unwrap();
        let pca = Pca::fit_patches(&[&sample], 4).unwrap();
        let (coded, _) = pca.code(sample.data(), sample.shape(), 4);
        assert!(coded.iter().all(|v| (v - 0.25).abs() < 1e-6));
    }
}
