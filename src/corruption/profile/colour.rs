//! Colour: noise of variance 1 with the correlations and the distribution of a profile.
//!
//! Normal noise is drawn, mixed between channels, filtered and mapped to the distribution. The map lowers correlations, so
//! the normal noise gets higher ones (M. C. Cario and B. L. Nelson, "Modeling and generating random vectors with arbitrary
//! marginal distributions and correlation matrix", 1997).

use std::f64::consts::TAU;

use super::{Autocorrelation, NoiseProfile};
use crate::rng::Rng;

/// Share of the energy of the filter that is cut off at its borders.
const CUT: f64 = 1e-4;

/// Filter and maps of a profile.
#[derive(Debug, Clone)]
pub(super) struct Colour {
    /// Lower triangle that mixes independent channels.
    mix: Vec<Vec<f32>>,
    /// Largest lags of the filter, and its taps row by row.
    down: usize,
    across: usize,
    taps: Vec<f32>,
    marginal: super::Marginal,
}

impl Colour {
    pub(super) fn of(profile: &NoiseProfile) -> Self {
        let marginal = profile.marginal.clone();
        let normal = |v: &f32| marginal.normal_correlation(f64::from(*v));
        let correlation = &profile.correlation;
        let values: Vec<f64> = correlation.values.iter().map(normal).collect();
        let (down, across, taps) = filter(correlation, &values);
        let between: Vec<Vec<f64>> =
            profile.between_channels.iter().map(|row| row.iter().map(normal).collect()).collect();
        Self { mix: triangle(&between), down, across, taps, marginal }
    }

    /// Draws noise of variance 1 for `(channels, height, width)`.
    pub(super) fn draw(&self, (channels, height, width): (usize, usize, usize), rng: &mut Rng) -> Vec<f32> {
        // The margin makes the noise stationary up to the border.
        let (rows, columns) = (height + 2 * self.down, width + 2 * self.across);
        let area = rows * columns;
        let mut white = vec![0.0; channels * area];
        rng.fill_normal(&mut white);
        if self.mix.len() == channels && channels > 1 {
            white = self.mixed(&white, area);
        }
        let planes =
            white.chunks_exact(area).flat_map(|plane| self.filtered(plane, (height, width), columns));
        planes.map(|z| self.marginal.of(z)).collect()
    }

    fn mixed(&self, white: &[f32], area: usize) -> Vec<f32> {
        let one = |row: &Vec<f32>, at: usize| {
            row.iter().enumerate().map(|(c, share)| share * white[c * area + at]).sum()
        };
        self.mix.iter().flat_map(|row| (0..area).map(move |at| one(row, at))).collect()
    }

    fn filtered(&self, plane: &[f32], (height, width): (usize, usize), columns: usize) -> Vec<f32> {
        if self.taps.len() == 1 {
            return plane.to_vec();
        }
        let reach = 2 * self.across + 1;
        let mut out = vec![0.0; height * width];
        for (y, row) in out.chunks_exact_mut(width).enumerate() {
            for (dy, taps) in self.taps.chunks_exact(reach).enumerate() {
                let from = &plane[(y + dy) * columns..][..columns];
                for (dx, tap) in taps.iter().enumerate() {
                    row.iter_mut().zip(&from[dx..]).for_each(|(to, from)| *to += tap * from);
                }
            }
        }
        out
    }
}

/// Returns the symmetric filter of unit energy whose autocorrelation is closest to the given one: the root of the spectrum,
/// negative parts of which come from errors of the estimate and are set to 0.
fn filter(correlation: &Autocorrelation, values: &[f64]) -> (usize, usize, Vec<f32>) {
    let Autocorrelation { down, across, .. } = *correlation;
    if values.iter().enumerate().all(|(i, v)| i == values.len() / 2 || *v == 0.0) {
        return (0, 0, vec![1.0]);
    }
    let (rows, columns) =
        (if down == 0 { 1 } else { 4 * down + 1 }, if across == 0 { 1 } else { 4 * across + 1 });
    let [cos_rows, cos_columns] = [rows, columns].map(|n| {
        (0..n)
            .map(|i| ((TAU * i as f64 / n as f64).cos(), (TAU * i as f64 / n as f64).sin()))
            .collect::<Vec<_>>()
    });
    // Both transforms are those of real, even functions: sums of cosines of the phases of both axes.
    let transform =
        |input: &dyn Fn(isize, isize) -> f64, (high, wide): (usize, usize), at: (usize, usize)| {
            let mut sum = 0.0;
            for dy in -(high as isize)..=high as isize {
                let (cy, sy) = cos_rows[(at.0 as isize * dy).rem_euclid(rows as isize) as usize];
                for dx in -(wide as isize)..=wide as isize {
                    let (cx, sx) = cos_columns[(at.1 as isize * dx).rem_euclid(columns as isize) as usize];
                    sum += input(dy, dx) * (cy * cx - sy * sx);
                }
            }
            sum
        };
    let given = |dy: isize, dx: isize| {
        values[((dy + down as isize) * (2 * across as isize + 1) + dx + across as isize) as usize]
    };
    let mut roots = vec![0.0; rows * columns];
    for (i, root) in roots.iter_mut().enumerate() {
        *root = transform(&given, (down, across), (i / columns, i % columns)).max(0.0).sqrt();
    }
    let root = |ky: isize, kx: isize| {
        roots[(ky.rem_euclid(rows as isize) * columns as isize + kx.rem_euclid(columns as isize)) as usize]
    };
    let (high, wide) = (rows / 2, columns / 2);
    let mut taps = vec![0.0; rows * columns];
    for (i, tap) in taps.iter_mut().enumerate() {
        let at = (i / columns + rows - high, i % columns + columns - wide);
        *tap = transform(&root, (high, wide), at);
    }
    trimmed(&taps, high, wide)
}

/// Cuts off borders without energy, and scales to unit energy.
fn trimmed(taps: &[f64], high: usize, wide: usize) -> (usize, usize, Vec<f32>) {
    let columns = 2 * wide + 1;
    let energy = |down: usize, across: usize| {
        let rows = high - down..=high + down;
        rows.flat_map(|y| taps[y * columns + wide - across..=y * columns + wide + across].iter())
            .map(|tap| tap * tap)
            .sum::<f64>()
    };
    let enough = (1.0 - CUT) * energy(high, wide);
    let down = (0..=high).find(|down| energy(*down, wide) >= enough).unwrap_or(high);
    let across = (0..=wide).find(|across| energy(down, *across) >= (1.0 - CUT) * enough).unwrap_or(wide);
    let scale = energy(down, across).sqrt().max(f64::MIN_POSITIVE);
    let rows = high - down..=high + down;
    let kept = rows.flat_map(|y| taps[y * columns + wide - across..=y * columns + wide + across].iter());
    (down, across, kept.map(|tap| (tap / scale) as f32).collect())
}

/// Returns the Cholesky factor of a correlation matrix, row by row; what is not positive, by errors of the estimate, is set
/// to 0, and rows are scaled to variance 1.
fn triangle(correlation: &[Vec<f64>]) -> Vec<Vec<f32>> {
    let n = correlation.len();
    let mut factor = vec![vec![0.0f64; n]; n];
    for i in 0..n {
        for j in 0..=i {
            let done: f64 = (0..j).map(|k| factor[i][k] * factor[j][k]).sum();
            let own = correlation[i][j] - done;
            factor[i][j] = match (i == j, factor[j][j]) {
                (true, _) => own.max(0.0).sqrt(),
                (false, pivot) if pivot > 1e-6 => own / pivot,
                (false, _) => 0.0,
            };
        }
        let norm = factor[i].iter().map(|v| v * v).sum::<f64>().sqrt().max(f64::MIN_POSITIVE);
        factor[i].iter_mut().for_each(|v| *v /= norm);
    }
    factor.into_iter().map(|row| row.into_iter().map(|v| v as f32).collect()).collect()
}
