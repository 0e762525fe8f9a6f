//! Paper: brightness of the paper of a page, as a smooth map.

use super::luma::Luma;

/// Number of brightness bins.
const LEVELS: usize = 256;
/// Number of cells along the shorter side of a page, and minimum side of a cell in pixels.
const CELLS: usize = 20;
const LEAST: usize = 24;
/// Fraction of the pixels of a neighbourhood that are at most as bright as its paper.
const SHARE: f32 = 0.85;
/// Minimum brightness of paper relative to the brightest of the page: anything darker is ink, at any size.
const DARKEST: f32 = 0.22;

/// Histograms of brightness in the cells of a page.
#[derive(Debug, Clone)]
pub(super) struct Cells {
    pub rows: usize,
    pub columns: usize,
    pub counts: Vec<[u32; LEVELS]>,
    height: usize,
    width: usize,
}

impl Cells {
    pub fn of(luma: Luma<'_>) -> Self {
        let (height, width) = luma.extents();
        let side = (height.min(width) / CELLS).max(LEAST);
        let (rows, columns) = ((height / side).max(1), (width / side).max(1));
        let mut counts = vec![[0; LEVELS]; rows * columns];
        let mut row = vec![0.0; width];
        let column: Vec<usize> = (0..width).map(|x| x * columns / width).collect();
        for y in luma.some_rows() {
            luma.row(y, &mut row);
            let cells = &mut counts[y * rows / height * columns..][..columns];
            row.iter().zip(&column).for_each(|(v, &at)| cells[at][level(*v)] += 1);
        }
        Self { rows, columns, counts, height, width }
    }

    /// Returns the histogram of a cell and its neighbours.
    fn around(&self, row: usize, column: usize) -> [u32; LEVELS] {
        let mut sum = [0; LEVELS];
        for row in row.saturating_sub(1)..(row + 2).min(self.rows) {
            for column in column.saturating_sub(1)..(column + 2).min(self.columns) {
                let cell = &self.counts[row * self.columns + column];
                sum.iter_mut().zip(cell).for_each(|(sum, n)| *sum += n);
            }
        }
        sum
    }

    /// Computes the map of the paper.
    pub fn paper(&self) -> Paper {
        let Self { rows, columns, height, width, .. } = *self;
        let seen = (0..rows * columns).map(|i| quantile(&self.around(i / columns, i % columns), SHARE));
        let mut levels: Vec<f32> = seen.collect();
        // A dark area of at most two cells is a bar or a picture on the paper.
        for is_brighter in [true, false] {
            levels = extreme(&levels, rows, columns, is_brighter);
        }
        let brightest = levels.iter().copied().fold(0.0, f32::max);
        levels.iter_mut().for_each(|v| *v = v.max(DARKEST * brightest).max(1.0 / 255.0));
        Paper { rows, columns, levels: smooth(&levels, rows, columns), height, width }
    }
}

/// Brightness of the paper at the centre of each cell, on the scale of the page.
#[derive(Debug, Clone, PartialEq)]
pub struct Paper {
    rows: usize,
    columns: usize,
    levels: Vec<f32>,
    height: usize,
    width: usize,
}

impl Paper {
    /// Returns white paper.
    pub fn white(height: usize, width: usize) -> Self {
        Self { rows: 1, columns: 1, levels: vec![1.0], height, width }
    }

    /// Interpolates the brightness along row `y`.
    pub fn row(&self, y: usize, out: &mut [f32]) {
        let (top, bottom, share) = place(y, self.height, self.rows);
        let line = |column: usize| {
            let at = |row: usize| self.levels[row * self.columns + column];
            at(top) + share * (at(bottom) - at(top))
        };
        let line: Vec<f32> = (0..self.columns).map(line).collect();
        for (x, out) in out.iter_mut().enumerate() {
            let (left, right, share) = place(x, self.width, self.columns);
            *out = line[left] + share * (line[right] - line[left]);
        }
    }

    /// Returns the shorter side of the page in pixels.
    pub fn side(&self) -> usize {
        self.height.min(self.width)
    }

    /// Returns the minimum and the maximum brightness.
    pub fn range(&self) -> (f32, f32) {
        self.levels.iter().fold((f32::MAX, f32::MIN), |(low, high), &v| (low.min(v), high.max(v)))
    }
}

/// Returns the two of `cells` cells with centres nearest to pixel `at` of `n`, and its distance from the first centre.
pub(super) fn place(at: usize, n: usize, cells: usize) -> (usize, usize, f32) {
    let middle = ((at as f32 + 0.5) * cells as f32 / n as f32 - 0.5).clamp(0.0, (cells - 1) as f32);
    let first = (middle as usize).min(cells - 1);
    (first, (first + 1).min(cells - 1), middle - first as f32)
}

fn level(v: f32) -> usize {
    (v * 255.0 + 0.5).clamp(0.0, 255.0) as usize
}

/// Returns the brightness that a fraction `share` of the counted pixels does not exceed.
pub(super) fn quantile(counts: &[u32], share: f32) -> f32 {
    let all: u64 = counts.iter().map(|n| u64::from(*n)).sum();
    let wanted = (share as f64 * all as f64).ceil().max(1.0) as u64;
    let mut seen = 0;
    let found = counts.iter().position(|n| {
        seen += u64::from(*n);
        seen >= wanted
    });
    found.unwrap_or(0) as f32 / 255.0
}

/// Returns the maximum or the minimum of each cell and its neighbours.
fn extreme(levels: &[f32], rows: usize, columns: usize, is_brightest: bool) -> Vec<f32> {
    let of = |row: usize, column: usize| {
        let near = (row.saturating_sub(1)..(row + 2).min(rows)).flat_map(|row| {
            (column.saturating_sub(1)..(column + 2).min(columns)).map(move |column| row * columns + column)
        });
        let near = near.map(|at| levels[at]);
        if is_brightest { near.fold(f32::MIN, f32::max) } else { near.fold(f32::MAX, f32::min) }
    };
    (0..rows * columns).map(|i| of(i / columns, i % columns)).collect()
}

/// Smooths with weights 1, 2, 1 along rows and columns.
fn smooth(levels: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    let along = |levels: &[f32], n: usize, step: usize, at: usize, k: usize| {
        let (before, after) = (k.saturating_sub(1), (k + 1).min(n - 1));
        let value = |k2: usize| levels[at + k2 * step - k * step];
        (value(before) + 2.0 * value(k) + value(after)) / 4.0
    };
    let wide: Vec<f32> = (0..rows * columns).map(|i| along(levels, columns, 1, i, i % columns)).collect();
    (0..rows * columns).map(|i| along(&wide, rows, columns, i, i / columns)).collect()
}
