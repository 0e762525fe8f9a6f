//! Register tile: the loop that does nearly all arithmetic.

use super::simd::Simd;

/// `c[m][n] (+)= sum over i < k of a[m a_row + i a_step] * b[i b_step + n]`, for `R` rows and `C` vectors.
///
/// With `TABLE`, row `i` of `b` starts at `offsets[i]` instead: shifted views of one buffer, which turns a
/// convolution into a matrix product without copies.
#[derive(Clone, Copy)]
pub(super) struct Tile {
    pub k: usize,
    pub a: *const f32,
    pub a_row: usize,
    pub a_step: usize,
    pub b: *const f32,
    pub b_step: usize,
    pub offsets: *const u32,
    pub c: *mut f32,
    pub c_row: usize,
    /// Add to `c` instead of replacing it.
    pub add: bool,
}

/// Destination of a tile's sums.
pub(super) trait Sink<S: Simd> {
    /// # Safety
    /// The machine has the instructions of `S`; the rest is the implementor's contract.
    unsafe fn put<const C: usize>(&mut self, m: usize, sums: &[S::V; C]);
}

/// Sink that stores row `m` at `start + m row`.
struct Matrix {
    start: *mut f32,
    row: usize,
}

impl<S: Simd> Sink<S> for Matrix {
    #[inline(always)]
    unsafe fn put<const C: usize>(&mut self, m: usize, sums: &[S::V; C]) {
        for (n, sum) in sums.iter().enumerate() {
            // SAFETY: the tile's contract.
            unsafe { S::store(self.start.add(m * self.row + n * S::N), *sum) };
        }
    }
}

impl Tile {
    #[inline(always)]
    unsafe fn run<S: Simd, const R: usize, const C: usize, const TABLE: bool>(
        &self,
        sink: &mut impl Sink<S>,
    ) {
        // SAFETY: all accesses are those of the formula, which the caller vouches for.
        unsafe {
            let mut sum = [[S::zero(); C]; R];
            if self.add {
                for m in 0..R {
                    for n in 0..C {
                        sum[m][n] = S::load(self.c.add(m * self.c_row + n * S::N));
                    }
                }
            }
            for i in 0..self.k {
                let start = if TABLE { *self.offsets.add(i) as usize } else { i * self.b_step };
                let mut b = [S::zero(); C];
                for n in 0..C {
                    b[n] = S::load(self.b.add(start + n * S::N));
                }
                for m in 0..R {
                    let a = S::splat(*self.a.add(m * self.a_row + i * self.a_step));
                    for n in 0..C {
                        sum[m][n] = S::fma(a, b[n], sum[m][n]);
                    }
                }
            }
            for m in 0..R {
                sink.put(m, &sum[m]);
            }
        }
    }

    /// Computes the tile of `rows` rows, as [`next_rows`] gives them, and `vectors <= S::COLS` vectors, into `c`.
    ///
    /// # Safety
    /// Every element named by the formula is readable (`a`, `b`, `offsets`) or writable (`c`).
    #[inline(always)]
    pub(super) unsafe fn run_rows<S: Simd, const TABLE: bool>(&self, rows: usize, vectors: usize) {
        let mut sink = Matrix { start: self.c, row: self.c_row };
        // SAFETY: the caller's contract.
        unsafe { self.run_into::<S, TABLE>(rows, vectors, &mut sink) }
    }

    /// Computes the tile into `sink`, otherwise as [`Tile::run_rows`].
    ///
    /// # Safety
    /// Every element that the formula reads is readable, and the sink's contract holds.
    #[inline(always)]
    pub(super) unsafe fn run_into<S: Simd, const TABLE: bool>(
        &self,
        rows: usize,
        vectors: usize,
        sink: &mut impl Sink<S>,
    ) {
        // SAFETY: the caller's contract; the sizes are those asked for.
        unsafe {
            match (rows, vectors) {
                (4, 1) => self.run::<S, 4, 1, TABLE>(sink),
                (4, 2) => self.run::<S, 4, 2, TABLE>(sink),
                (4, 3) => self.run::<S, 4, 3, TABLE>(sink),
                (6, 1) => self.run::<S, 6, 1, TABLE>(sink),
                (6, 2) => self.run::<S, 6, 2, TABLE>(sink),
                (8, 1) => self.run::<S, 8, 1, TABLE>(sink),
                (8, 2) => self.run::<S, 8, 2, TABLE>(sink),
                (8, 3) => self.run::<S, 8, 3, TABLE>(sink),
                _ => unreachable!("no register tile of {rows} x {vectors}"),
            }
        }
    }
}

/// Returns the height of the next register tile when `left` rows are left: the full height, or 4 where that wastes less.
#[inline(always)]
pub(super) fn next_rows<S: Simd>(left: usize) -> usize {
    if left <= 4 || S::ROWS == 6 && matches!(left, 7 | 8) { 4 } else { S::ROWS }
}

/// Returns the number of vectors of the next register tile when `left` are left: full tiles, but 2 + 2 rather than 3 + 1.
#[inline(always)]
pub(super) fn next_vectors<S: Simd>(left: usize) -> usize {
    if left == 4 { 2 } else { left.min(S::COLS) }
}

/// Splits `vectors` vectors into panels of register tiles: `(first vector, vectors)`.
#[inline(always)]
pub(super) fn panels<S: Simd>(vectors: usize) -> impl Iterator<Item = (usize, usize)> {
    let mut first = 0;
    std::iter::from_fn(move || {
        let panel = (first, next_vectors::<S>(vectors - first));
        first += panel.1;
        (panel.1 > 0).then_some(panel)
    })
}

/// Splits `rows` rows into register tiles, of which the last may extend beyond them: `(first row, rows)`.
#[inline(always)]
pub(super) fn bands<S: Simd>(rows: usize) -> impl Iterator<Item = (usize, usize)> {
    let mut first = 0;
    std::iter::from_fn(move || {
        let band = (first < rows).then(|| (first, next_rows::<S>(rows - first)))?;
        first += band.1;
        Some(band)
    })
}
