//! Tiles along the lanes: a vector is one channel of N adjacent tiles. For wide planes: pixels become tiles by taking
//! every fourth, without transposes, and channels need not fill vectors, so that no arithmetic is wasted with 40
//! channels. Sums have the order of `by_channels`, and so the same bits.

use std::ops::Range;

use super::super::Conv;
use super::super::epilogue::Epilogue;
use super::super::gemm::{Sink, Tile, bands, panels};
use super::super::isa::{Isa, Work, dispatch};
use super::super::parallel::{self, Shared};
use super::super::scratch::Scratch;
use super::super::simd::Simd;
use super::transform::{self, Grid};
use super::{POINTS, Pass};

/// Approximate number of vectors of transformed tiles that a task works on: long rows are read and written faster,
/// and this many still fit in the L2 cache.
const VECTORS: usize = 9 << 10;

/// Number of vectors below which rows are processed together: fills register tiles both of two vectors and of three.
const FULL: usize = 6;

/// Number of tile columns, from the left, for which this path is faster: those that fill vectors, and the last ones if they
/// nearly fill one more. With 16 lanes the other path wastes more on channels that fill no vector, so fewer tiles suffice.
pub(super) fn columns(isa: Isa, conv: &Conv) -> usize {
    let (all, lanes) = (conv.w.div_ceil(4), isa.lanes());
    let left = all % lanes;
    let is_filled = if lanes == 16 { left >= 12 } else { 16 * left >= 15 * lanes };
    if is_filled { all } else { all - left }
}

/// Tasks that convolve some tile columns.
pub(super) struct Tasks<'a> {
    pass: Pass<'a>,
    packed: &'a [f32],
    /// Rows of tiles, and number of vectors across.
    down: Range<usize>,
    wide: usize,
    /// Maximum extents of a task.
    rows: usize,
    cols: usize,
}

impl<'a> Tasks<'a> {
    /// Plans the tasks for the first `columns` tile columns.
    pub(super) fn new(pass: Pass<'a>, packed: &'a [f32], columns: usize) -> Self {
        let Pass { isa, conv, span, .. } = pass;
        assert!(packed.len() == POINTS * conv.c_in * conv.c_out, "weights packed for this shape");
        let (down, wide) = (span.tiles(), columns.div_ceil(isa.lanes()));
        // The split changes no result: each tile is computed independently.
        let most = (VECTORS / (POINTS * conv.c_in)).max(FULL / 2);
        let cols = wide.div_ceil(wide.div_ceil(most));
        let rows = (FULL / cols).min(conv.batch * down.len() / parallel::limit()).max(1);
        Self { pass, packed, down, wide, rows, cols }
    }

    /// Number of tasks down and across an image.
    fn extents(&self) -> (usize, usize) {
        (self.down.len().div_ceil(self.rows), self.wide.div_ceil(self.cols))
    }

    pub(super) fn len(&self) -> usize {
        let (down, across) = self.extents();
        self.pass.conv.batch * down * across
    }

    /// Runs task `i`.
    pub(super) fn run(&self, i: usize) {
        let Self { pass, packed, .. } = self;
        let (down, across) = self.extents();
        let cut = |i: usize, step: usize, all: Range<usize>| {
            all.start + i * step..(all.start + (i + 1) * step).min(all.end)
        };
        let work = Forward {
            pass,
            packed,
            image: i / (down * across),
            rows: cut(i / across % down, self.rows, self.down.clone()),
            cols: cut(i % across, self.cols, 0..self.wide),
        };
        // SAFETY: `isa` is available, by the contract of `Pass`; tasks write disjoint pixels of the result.
        unsafe { dispatch(pass.isa, work) }
    }
}

/// Rectangle of one image's tiles.
struct Forward<'a> {
    pass: &'a Pass<'a>,
    packed: &'a [f32],
    image: usize,
    /// Rows of tiles.
    rows: Range<usize>,
    /// Vectors of each row.
    cols: Range<usize>,
}

/// Floats from one point of a panel of `vectors` vectors of `channels` channels to the next: one cache line more than
/// its size, or else the 36 elements of one tile would compete for the same few lines of the L1 cache.
#[inline(always)]
fn point_step<S: Simd>(channels: usize, vectors: usize) -> usize {
    channels * vectors * S::N + 16
}

impl Work for Forward<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self { pass: Pass { conv, .. }, rows, cols, .. } = &self;
        let vectors = rows.len() * cols.len();
        let panel = POINTS * point_step::<S>(conv.c_in, S::COLS);
        let points = panels::<S>(vectors).count() * panel;
        let products = POINTS * point_step::<S>(S::ROWS, S::COLS);
        let mut scratch = Scratch::take(points + products + 4 * (4 * rows.len() + 2) * self.pitch::<S>());
        // SAFETY: the scratch holds the three parts.
        unsafe {
            let v = scratch.ptr();
            let m = v.add(points);
            self.transform_input::<S>(m.add(products), panel, v);
            for (i, (first, vectors)) in panels::<S>(vectors).enumerate() {
                for (z, channels) in bands::<S>(conv.c_out) {
                    self.multiply::<S>(v.add(i * panel), vectors, (z, channels), m);
                    self.transform_output::<S>(m, first, vectors, (z, channels));
                }
            }
        }
    }
}

impl Forward<'_> {
    /// Floats of a row of every fourth pixel. The extra vector holds the pixel that the last tile reads from the next one.
    #[inline(always)]
    fn pitch<S: Simd>(&self) -> usize {
        (self.cols.len() + 1) * S::N
    }

    /// Row, and vector in that row, of one of the rectangle's vectors.
    #[inline(always)]
    fn place(&self, vector: usize) -> (usize, usize) {
        (vector / self.cols.len(), vector % self.cols.len())
    }

    /// Transforms the tiles to panels, `panel` floats apart, of `[point][channel][tile]`.
    #[inline(always)]
    unsafe fn transform_input<S: Simd>(&self, pixels: *mut f32, panel: usize, v: *mut f32) {
        let Self { pass: Pass { conv, span, .. }, image, rows, cols, .. } = self;
        let p = self.pitch::<S>();
        for c in 0..conv.c_in {
            // SAFETY: `pixels` has room for 4 rows of every fourth pixel for each row of pixels, `v` for all panels.
            unsafe {
                for r in 0..4 * rows.len() + 2 {
                    let to = pixels.add(4 * r * p);
                    match (4 * rows.start + r).checked_sub(1).filter(|y| *y < conv.h) {
                        Some(y) => {
                            let plane = (image * conv.c_in + c) * span.x;
                            self.stage::<S>((plane + y % span.x) * conv.w, to);
                        }
                        None => std::ptr::write_bytes(to, 0, 4 * p),
                    }
                }
                for (i, (first, vectors)) in panels::<S>(rows.len() * cols.len()).enumerate() {
                    let point = point_step::<S>(conv.c_in, vectors);
                    for n in 0..vectors {
                        let (row, col) = self.place(first + n);
                        let from = Grid {
                            start: pixels.add(16 * row * p + col * S::N).cast_const(),
                            row: 4 * p,
                            // Last pixel of the tile before, the tile's own four, first pixel of the tile after.
                            cols: [3 * p - 1, 0, p, 2 * p, 3 * p, 1],
                        };
                        let to = v.add(i * panel + (c * vectors + n) * S::N);
                        transform::input::<S>(from, &mut Grid::<_, 6>::new(to, 6 * point, point));
                    }
                }
            }
        }
    }

    /// Splits the row of pixels at `at` into four rows of every fourth pixel, and stores the pixels on either side
    /// where the first tile and the last one read them; zero beyond the image.
    #[inline(always)]
    unsafe fn stage<S: Simd>(&self, at: usize, to: *mut f32) {
        let Self { pass: Pass { conv: Conv { w, .. }, span, x, .. }, cols, .. } = self;
        let row = &x[at..at + w];
        let (p, step) = (self.pitch::<S>(), 4 * S::N);
        for (i, x) in cols.clone().map(|col| col * step).enumerate() {
            let mut edge = [0.0; 64];
            // SAFETY: 4 N pixels are read, from the row or, at its end, from a copy; the positions written are those
            // of one vector.
            unsafe {
                let from = if x + step <= *w {
                    row.as_ptr().add(x)
                } else {
                    edge[..w - x].copy_from_slice(&row[x..]);
                    edge.as_ptr()
                };
                for n in 0..4 {
                    // The next channel's row is too far away for the hardware prefetcher.
                    S::prefetch(row.as_ptr().wrapping_add(span.x * w + x + n * S::N));
                }
                let [a, b, c, d] = std::array::from_fn(|n| S::load(from.add(n * S::N)));
                let ((even_a, odd_a), (even_b, odd_b)) = (S::unzip(a, b), S::unzip(c, d));
                let ((zero, two), (one, three)) = (S::unzip(even_a, even_b), S::unzip(odd_a, odd_b));
                for (phase, v) in [zero, one, two, three].into_iter().enumerate() {
                    S::store(to.add(phase * p + i * S::N), v);
                }
            }
        }
        let before = (cols.start * step).checked_sub(1).map_or(0.0, |x| row[x]);
        let after = row.get(cols.end * step).copied().unwrap_or(0.0);
        // SAFETY: both are in the extra vector of a row of every fourth pixel.
        unsafe {
            *to.add(3 * p - 1) = before;
            *to.add(p - S::N) = after;
        }
    }

    /// Computes the 36 products of a panel, for the output channels of one register tile, to `[point][channel][tile]`.
    #[inline(always)]
    unsafe fn multiply<S: Simd>(
        &self,
        v: *const f32,
        vectors: usize,
        (z, channels): (usize, usize),
        m: *mut f32,
    ) {
        let k = self.pass.conv.c_in;
        let columns = vectors * S::N;
        for point in 0..POINTS {
            let a = &self.packed[(POINTS * z + point * channels) * k..][..channels * k];
            // SAFETY: v holds k rows a point, m as many as the register tile has.
            unsafe {
                let tile = Tile {
                    k,
                    a: a.as_ptr(),
                    a_row: 1,
                    a_step: channels,
                    b: v.add(point * point_step::<S>(k, vectors)),
                    b_step: columns,
                    offsets: std::ptr::null(),
                    c: m.add(point * point_step::<S>(channels, vectors)),
                    c_row: columns,
                    add: false,
                };
                tile.run_rows::<S, false>(channels, vectors);
            }
        }
    }

    /// Transforms these products back to pixels and stores them.
    #[inline(always)]
    unsafe fn transform_output<S: Simd>(
        &self,
        m: *const f32,
        first: usize,
        vectors: usize,
        (z, channels): (usize, usize),
    ) {
        let Self { pass: Pass { conv, span, epilogue, out, .. }, image, rows, cols, .. } = self;
        let point = point_step::<S>(channels, vectors);
        for i in 0..channels {
            // SAFETY: the machine has the instructions.
            let bias = unsafe { epilogue.bias_of::<S>(z + i) };
            for n in 0..vectors {
                let (row, col) = self.place(first + n);
                let (y, x) = (4 * (rows.start + row), 4 * S::N * (cols.start + col));
                let mut pixels = Pixels::<S> {
                    out: *out,
                    epilogue: **epilogue,
                    bias,
                    at: ((image * conv.c_out + z + i) * span.out + y % span.out) * conv.w + x,
                    pitch: conv.w,
                    rows: 4.min(conv.h - y),
                    cols: (4 * S::N).min(conv.w - x),
                };
                // SAFETY: m holds this vector's points; its pixels are this task's.
                unsafe {
                    let from = m.add((i * vectors + n) * S::N);
                    transform::output::<S>(Grid::new(from, 6 * point, point), &mut pixels);
                }
            }
        }
    }
}

/// Sink that interleaves rows of every fourth pixel of a vector of tiles and stores them through the epilogue. Its
/// fields are copies, so that the compiler knows that no store changes them.
struct Pixels<'a, S: Simd> {
    out: Shared<f32>,
    epilogue: Epilogue<'a>,
    bias: S::V,
    /// Index of the first pixel in the whole result.
    at: usize,
    /// Pixels from one row to the next.
    pitch: usize,
    rows: usize,
    cols: usize,
}

impl<S: Simd> Sink<S> for Pixels<'_, S> {
    #[inline(always)]
    unsafe fn put<const C: usize>(&mut self, i: usize, phases: &[S::V; C]) {
        if i >= self.rows {
            return;
        }
        // SAFETY: these pixels are this task's alone, by the caller.
        unsafe {
            let (even, odd) = (S::zip(phases[0], phases[2]), S::zip(phases[1], phases[3]));
            let ((a, b), (c, d)) = (S::zip(even.0, odd.0), S::zip(even.1, odd.1));
            let row = self.out.part(self.at + i * self.pitch, self.cols);
            if self.cols == 4 * S::N {
                for (n, sum) in [a, b, c, d].into_iter().enumerate() {
                    self.epilogue.store::<S>(sum, self.bias, row.get_unchecked_mut(n * S::N..(n + 1) * S::N));
                }
            } else {
                for (to, sum) in row.chunks_mut(S::N).zip([a, b, c, d]) {
                    self.epilogue.store::<S>(sum, self.bias, to);
                }
            }
        }
    }
}
