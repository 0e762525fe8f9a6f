//! PCA: the best linear autoencoder, to hold the learned one against at an equal count of numbers.

use crate::rng::{Purpose, Rng};
use crate::sample::{Sample, Shape};

/// Side of a patch of images.
const PATCH: usize = 8;
/// Numbers of a stretch of signals.
const STRETCH: usize = 64;
/// Rows beyond those asked for, so that the last ones asked for converge as well.
const SPARE: usize = 8;
/// Rounds of the iteration: the share of a component that is mixed up falls with the ratio of
/// neighbouring variances to this power, and components of equal variance serve equally well.
const ROUNDS: usize = 60;

/// The mean and the main directions of points in `n` dimensions.
#[derive(Debug, Clone, PartialEq)]
pub struct Pca {
    mean: Vec<f32>,
    /// Orthonormal rows, the one of largest variance first.
    rows: Vec<Vec<f32>>,
}

impl Pca {
    /// Fits `k` components (at most `n`) to points of `n` numbers that stand in `points` one behind the
    /// other.
    ///
    /// # Source
    /// Orthogonal iteration on the covariance (G. Golub and C. Van Loan, "Matrix Computations", 8.2.4).
    ///
    /// # Panics
    /// `n` is 0 or does not divide the count of numbers.
    pub fn fit(points: &[f32], n: usize, k: usize) -> Self {
        assert!(n > 0 && points.len().is_multiple_of(n), "{} numbers in points of {n}", points.len());
        let mean = mean(points, n);
        let covariance = covariance(points, &mean);
        let count = (k + SPARE).min(n);
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
        Self {
            mean: mean.into_iter().map(|v| v as f32).collect(),
            rows: rows.into_iter().map(single).collect(),
        }
    }

    /// Components that were fitted.
    pub fn components(&self) -> usize {
        self.rows.len()
    }

    /// The first `k` coordinates of a point.
    pub fn project(&self, point: &[f32], k: usize) -> Vec<f32> {
        let along =
            |row: &Vec<f32>| point.iter().zip(&self.mean).zip(row).map(|((p, m), r)| (p - m) * r).sum();
        self.rows.iter().take(k).map(along).collect()
    }

    /// The point of some coordinates.
    pub fn rebuild(&self, coordinates: &[f32]) -> Vec<f32> {
        let mut point = self.mean.clone();
        for (c, row) in coordinates.iter().zip(&self.rows) {
            point.iter_mut().zip(row).for_each(|(p, r)| *p += c * r);
        }
        point
    }

    /// Fits to samples of one kind and one count of channels, cut into patches: 8x8 pixels of all
    /// channels for images, 64 steps for signals, the whole of vectors. Fitting to the very sample that
    /// is coded afterwards gives the bound that no linear coder of such patches passes.
    ///
    /// # Panics
    /// There are no samples, or their patches differ in size.
    pub fn fit_patches(samples: &[&Sample], k: usize) -> Self {
        let n = patch_numbers(samples.first().expect("PCA needs a sample").shape());
        let points: Vec<f32> = samples.iter().flat_map(|s| patches(s.data(), s.shape())).collect();
        Self::fit(&points, n, k)
    }

    /// What a sample becomes when `k` numbers of each patch are kept, and how many numbers that is.
    ///
    /// # Panics
    /// The sample's patches are not those that were fitted.
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

fn mean(points: &[f32], n: usize) -> Vec<f64> {
    let mut mean = vec![0.0; n];
    for point in points.chunks_exact(n) {
        mean.iter_mut().zip(point).for_each(|(m, &p)| *m += f64::from(p));
    }
    let count = (points.len() / n).max(1) as f64;
    mean.iter().map(|m| m / count).collect()
}

fn covariance(points: &[f32], mean: &[f64]) -> Vec<f64> {
    let n = mean.len();
    let mut covariance = vec![0.0; n * n];
    for point in points.chunks_exact(n) {
        let centered: Vec<f64> = point.iter().zip(mean).map(|(&p, m)| f64::from(p) - m).collect();
        for (row, c) in covariance.chunks_exact_mut(n).zip(&centered) {
            row.iter_mut().zip(&centered).for_each(|(v, d)| *v += c * d);
        }
    }
    let count = (points.len() / n).max(1) as f64;
    covariance.iter_mut().for_each(|v| *v /= count);
    covariance
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Gram-Schmidt, each row against the ones before it, twice for exactness. A row that vanishes (there is
/// no variance left) becomes zero and codes nothing.
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

fn patch_numbers(shape: Shape) -> usize {
    match shape {
        Shape::Image { channels, .. } => channels * PATCH * PATCH,
        Shape::Signal { channels, .. } => channels * STRETCH,
        Shape::Vector { features } => features,
    }
}

/// `(C, H, W)`, and the patch's rows and columns.
fn layout(shape: Shape) -> (usize, usize, usize, usize, usize) {
    match shape {
        Shape::Image { channels, height, width } => (channels, height, width, PATCH, PATCH),
        Shape::Signal { channels, length } => (channels, 1, length, 1, STRETCH),
        Shape::Vector { features } => (1, 1, features, 1, features),
    }
}

/// Positions in the sample of all patches' numbers, patch by patch; none beyond the border.
fn positions(shape: Shape) -> impl Iterator<Item = (usize, Option<usize>)> {
    let (channels, height, width, rows, columns) = layout(shape);
    let (down, across) = (height.div_ceil(rows), width.div_ceil(columns));
    let n = channels * rows * columns;
    (0..down * across * n).map(move |at| {
        let (patch, inside) = (at / n, at % n);
        let (c, y, x) = (inside / (rows * columns), inside / columns % rows, inside % columns);
        let (y, x) = (patch / across * rows + y, patch % across * columns + x);
        // Beyond the border the last row and column go on.
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
        let pca = Pca::fit(&points, 2, 2);
        let row = &pca.rows[0];
        assert!((row[0].abs() - 0.6).abs() < 1e-3 && (row[1].abs() - 0.8).abs() < 1e-3, "{row:?}");
        assert!((pca.rows[0][0] * pca.rows[1][0] + pca.rows[0][1] * pca.rows[1][1]).abs() < 1e-6);
    }

    #[test]
    fn all_components_give_the_sample_back() {
        for shape in [Shape::image(1, 21, 19), Shape::image(3, 9, 8), Shape::Vector { features: 12 }] {
            let sample = image(shape);
            let pca = Pca::fit_patches(&[&sample], patch_numbers(shape));
            let (coded, _) = pca.code(sample.data(), shape, pca.components());
            // A patch count below the dimension leaves directions without variance: nothing is lost by them.
            assert!(mse(sample.data(), &coded) < 1e-8, "{shape}");
        }
    }

    #[test]
    fn more_numbers_come_nearer_and_are_counted() {
        let shape = Shape::image(1, 64, 64);
        let sample = image(shape);
        let pca = Pca::fit_patches(&[&sample], 32);
        let errors: Vec<f64> =
            [1, 8, 32].map(|k| mse(sample.data(), &pca.code(sample.data(), shape, k).0)).to_vec();
        assert!(errors[0] > errors[1] && errors[1] > errors[2], "{errors:?}");
        assert_eq!(pca.code(sample.data(), shape, 8).1, 64 * 8);
    }

    #[test]
    fn constant_samples_are_their_mean() {
        let sample = Sample::new(Shape::image(1, 16, 16), vec![0.25; 256]).unwrap();
        let pca = Pca::fit_patches(&[&sample], 4);
        let (coded, _) = pca.code(sample.data(), sample.shape(), 4);
        assert!(coded.iter().all(|v| (v - 0.25).abs() < 1e-6));
    }
}
