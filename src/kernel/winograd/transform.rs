//! Transforms of tiles, a vector of channels or tiles at a time.
//!
//! With interpolation points 0, 1, -1, 2, -2 and infinity: `B` maps 6x6 input pixels, `G` a 3x3 kernel and `A` 4x4
//! gradients to 36 numbers; `A'` and `G'` map back to 4x4 results and 3x3 gradients.

use super::super::gemm::Sink;
use super::super::simd::Simd;
use super::POINTS;

/// Computes `B' d` of six numbers.
#[inline(always)]
unsafe fn input6<S: Simd>(d: [S::V; 6]) -> [S::V; 6] {
    // SAFETY: the caller has the instructions of S.
    unsafe {
        let [two, four] = [S::splat(2.0), S::splat(4.0)];
        let [minus_two, minus_four, minus_five] = [S::splat(-2.0), S::splat(-4.0), S::splat(-5.0)];
        let a = S::fma(minus_four, d[2], d[4]);
        let b = S::fma(minus_four, d[1], d[3]);
        let c = S::sub(d[4], d[2]);
        let e = S::sub(d[3], d[1]);
        [
            S::fma(four, d[0], S::fma(minus_five, d[2], d[4])),
            S::add(a, b),
            S::sub(a, b),
            S::fma(two, e, c),
            S::fma(minus_two, e, c),
            S::fma(four, d[1], S::fma(minus_five, d[3], d[5])),
        ]
    }
}

/// Computes `A' m`: six numbers to four.
#[inline(always)]
unsafe fn output6<S: Simd>(m: [S::V; 6]) -> [S::V; 4] {
    // SAFETY: the caller has the instructions of S.
    unsafe {
        let [two, four, eight] = [S::splat(2.0), S::splat(4.0), S::splat(8.0)];
        let (a, b) = (S::add(m[1], m[2]), S::sub(m[1], m[2]));
        let (c, d) = (S::add(m[3], m[4]), S::sub(m[3], m[4]));
        [S::add(S::add(m[0], a), c), S::fma(two, d, b), S::fma(four, c, a), S::add(S::fma(eight, d, b), m[5])]
    }
}

/// Computes `A g`: four numbers to six.
#[inline(always)]
unsafe fn grad4<S: Simd>(g: [S::V; 4]) -> [S::V; 6] {
    // SAFETY: the caller has the instructions of S.
    unsafe {
        let [two, four] = [S::splat(2.0), S::splat(4.0)];
        let (a, b) = (S::add(g[0], g[2]), S::add(g[1], g[3]));
        let c = S::fma(four, g[2], g[0]);
        let d = S::mul(two, S::fma(four, g[3], g[1]));
        [g[0], S::add(a, b), S::sub(a, b), S::add(c, d), S::sub(c, d), g[3]]
    }
}

/// Computes `G w`: three numbers to six.
#[inline(always)]
unsafe fn weight3<S: Simd>(w: [S::V; 3]) -> [S::V; 6] {
    // SAFETY: the caller has the instructions of S.
    unsafe {
        let (a, b) = (S::add(w[0], w[2]), w[1]);
        let sixth = S::splat(-1.0 / 6.0);
        let c = S::fma(S::splat(4.0), w[2], w[0]);
        let d = S::add(w[1], w[1]);
        let small = S::splat(1.0 / 24.0);
        [
            S::mul(S::splat(0.25), w[0]),
            S::mul(sixth, S::add(a, b)),
            S::mul(sixth, S::sub(a, b)),
            S::mul(small, S::add(c, d)),
            S::mul(small, S::sub(c, d)),
            w[2],
        ]
    }
}

/// Computes `G' u`: six numbers to three.
#[inline(always)]
unsafe fn weight_grad6<S: Simd>(u: [S::V; 6]) -> [S::V; 3] {
    // SAFETY: the caller has the instructions of S.
    unsafe {
        let (a, b) = (S::add(u[1], u[2]), S::sub(u[2], u[1]));
        let (c, d) = (S::add(u[3], u[4]), S::sub(u[3], u[4]));
        let sixth = S::splat(1.0 / 6.0);
        let rest = S::fma(S::splat(-1.0 / 6.0), a, S::mul(S::splat(0.25), u[0]));
        [
            S::fma(S::splat(1.0 / 24.0), c, rest),
            S::fma(S::splat(1.0 / 12.0), d, S::mul(sixth, b)),
            S::fma(sixth, S::sub(c, a), u[5]),
        ]
    }
}

/// Layout of vectors: `(i, j)` at `start + i row + cols[j]`.
#[derive(Clone, Copy)]
pub(super) struct Grid<P, const N: usize> {
    pub start: P,
    pub row: usize,
    pub cols: [usize; N],
}

impl<P, const N: usize> Grid<P, N> {
    /// Layout with columns `col` apart.
    #[inline(always)]
    pub(super) fn new(start: P, row: usize, col: usize) -> Self {
        Self { start, row, cols: std::array::from_fn(|j| j * col) }
    }
}

impl<S: Simd, const N: usize> Sink<S> for Grid<*mut f32, N> {
    #[inline(always)]
    unsafe fn put<const C: usize>(&mut self, i: usize, row: &[S::V; C]) {
        for (v, col) in row.iter().zip(self.cols) {
            // SAFETY: the contract of the transform.
            unsafe { S::store(self.start.add(i * self.row + col), *v) };
        }
    }
}

/// Defines a two-dimensional transform from `$from` x `$from` to `$to` x `$to` vectors: `$one` along one axis, then
/// along the other.
macro_rules! both_axes {
    ($(#[$doc:meta])* $name:ident, $one:ident, $from:literal -> $to:literal) => {
        $(#[$doc])*
        ///
        /// # Safety
        /// All elements of `from` are readable, and the sink's contract holds.
        #[inline(always)]
        pub(super) unsafe fn $name<S: Simd>(from: Grid<*const f32, $from>, to: &mut impl Sink<S>) {
            // SAFETY: the caller's contract.
            unsafe {
                let mut half = [[S::zero(); $from]; $to];
                for j in 0..$from {
                    let mut column = [S::zero(); $from];
                    for i in 0..$from {
                        column[i] = S::load(from.start.add(i * from.row + from.cols[j]));
                    }
                    let column = $one::<S>(column);
                    for i in 0..$to {
                        half[i][j] = column[i];
                    }
                }
                for i in 0..$to {
                    to.put(i, &$one::<S>(half[i]));
                }
            }
        }
    };
}

both_axes!(
    /// Transforms input pixels to points.
    input, input6, 6 -> 6);
both_axes!(
    /// Transforms points to result pixels.
    output, output6, 6 -> 4);
both_axes!(
    /// Transforms gradient pixels to points.
    grad, grad4, 4 -> 6);
both_axes!(
    /// Transforms kernel taps to points.
    weight, weight3, 3 -> 6);
both_axes!(
    /// Transforms points to the gradient of the taps.
    weight_grad, weight_grad6, 6 -> 3);

/// Floats from one point's matrix to the next: `rows` of `columns`, and one cache line more, or else the 36 elements
/// of one tile would compete for the same few lines of the L1 cache.
pub(super) fn point_step(rows: usize, columns: usize) -> usize {
    (rows * columns).next_multiple_of(16) + 16
}

/// Floats of [`POINTS`] such matrices.
pub(super) fn points_len(rows: usize, columns: usize) -> usize {
    POINTS * point_step(rows, columns)
}
