//! Grid: one number per tile of a page, interpolated between the middles of tiles.

use super::paper::place;

/// Numbers of the tiles of a page, row by row.
#[derive(Debug)]
pub struct Grid {
    pub rows: usize,
    pub columns: usize,
    pub values: Vec<f32>,
}

impl Grid {
    /// Creates a grid of `rows` x `columns` tiles with the number that `of` returns for each index.
    pub fn new((rows, columns): (usize, usize), of: impl Fn(usize) -> f32) -> Self {
        Self { rows, columns, values: (0..rows * columns).map(of).collect() }
    }

    /// Returns the index of the tile that holds pixel `(y, x)` of `height` x `width`.
    pub fn tile(&self, (y, x): (usize, usize), (height, width): (usize, usize)) -> usize {
        y * self.rows / height * self.columns + x * self.columns / width
    }

    /// Computes the number at each pixel of row `y` of `height`. Returns `false`, with `out` as it was, if all are 0.
    pub fn row(&self, y: usize, height: usize, out: &mut [f32]) -> bool {
        let (top, bottom, share) = place(y, height, self.rows);
        let at = |row: usize, column: usize| self.values[row * self.columns + column];
        let line: Vec<f32> =
            (0..self.columns).map(|c| at(top, c) + share * (at(bottom, c) - at(top, c))).collect();
        if line.iter().all(|v| *v == 0.0) {
            return false;
        }
        let width = out.len();
        for (x, out) in out.iter_mut().enumerate() {
            let (left, right, share) = place(x, width, self.columns);
            *out = line[left] + share * (line[right] - line[left]);
        }
        true
    }
}
