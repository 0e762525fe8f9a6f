//! The forward pass, which is also the gradient of the input with the kernel turned.

use super::super::Conv;
use super::super::channels_last::{gather, scatter};
use super::super::epilogue::Epilogue;
use super::super::gemm::{Tile, next_vectors};
use super::super::isa::{Isa, Work, dispatch};
use super::super::parallel::{self, Shared};
use super::super::scratch::Scratch;
use super::super::simd::Simd;
use super::POINTS;
use super::blocks::{Block, Blocks, stage};
use super::transform::{self, point_step, points_len};

/// Tiles of a block: 36 transformed tiles of 64 channels fill a quarter of a 2 MiB L2 cache.
const TILES: usize = 48;

/// Transforms weights `(Z, C, 3, 3)` to `[point][c][z]`, `z` padded with zeros to whole vectors of 16. With `turned`,
/// to those of the gradient of the input: taps in reverse, `[point][z][c]`.
pub(in crate::kernel) fn pack(isa: Isa, conv: &Conv, weight: &[f32], turned: bool) -> Vec<f32> {
    let (rows, columns) = if turned { (conv.c_out, conv.c_in) } else { (conv.c_in, conv.c_out) };
    let mut packed = vec![0.0; POINTS * rows * columns.next_multiple_of(16)];
    let out = Shared::new(&mut packed);
    let lanes = 16;
    parallel::for_each(columns.div_ceil(lanes), |group| {
        let first = group * lanes;
        let work = Pack { conv, weight, turned, columns: first..columns.min(first + lanes), rows, out };
        // SAFETY: `isa` is available; each task writes its own columns.
        unsafe { dispatch(isa, work) }
    });
    packed
}

struct Pack<'a> {
    conv: &'a Conv,
    weight: &'a [f32],
    turned: bool,
    columns: std::ops::Range<usize>,
    rows: usize,
    out: Shared<f32>,
}

impl Work for Pack<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self { conv, weight, .. } = self;
        let all = if self.turned { conv.c_in } else { conv.c_out };
        let pitch = all.next_multiple_of(16);
        let mut taps = [0.0; 9 * 16];
        for first in self.columns.clone().step_by(S::N) {
            let lanes = S::N.min(self.columns.end - first);
            for row in 0..self.rows {
                let (start, step) = if self.turned {
                    ((row * conv.c_in + first) * 9, 9)
                } else {
                    ((first * conv.c_in + row) * 9, conv.c_in * 9)
                };
                // SAFETY: the last tap of the last lane is inside the weights, by their length; the results are this
                // task's columns of each point.
                unsafe {
                    let from = weight[start..start + (lanes - 1) * step + 9].as_ptr();
                    gather::<S>(from, step, lanes, 9, taps.as_mut_ptr(), S::N);
                    if self.turned {
                        for tap in 0..4 {
                            for lane in 0..S::N {
                                taps.swap(tap * S::N + lane, (8 - tap) * S::N + lane);
                            }
                        }
                    }
                    let to = self.out.at(row * pitch + first);
                    let point = self.rows * pitch;
                    transform::weight::<S>(taps.as_ptr(), 3 * S::N, S::N, to, 6 * point, point);
                }
            }
        }
    }
}

/// Convolves `x` with packed weights into `out`, all of which is written.
pub(in crate::kernel) fn conv2d(
    isa: Isa,
    conv: &Conv,
    x: &[f32],
    packed: &[f32],
    epilogue: &Epilogue,
    out: Shared<f32>,
) {
    let blocks = Blocks::new(conv, TILES, parallel::limit());
    assert!(
        packed.len() == POINTS * conv.c_in * conv.c_out.next_multiple_of(16),
        "weights packed for this shape"
    );
    parallel::for_each(blocks.len(), |i| {
        let work = Forward { conv, blocks: &blocks, block: blocks.get(i), x, packed, epilogue, out };
        // SAFETY: `isa` is available; blocks cover disjoint pixels of the result.
        unsafe { dispatch(isa, work) }
    });
}

struct Forward<'a> {
    conv: &'a Conv,
    blocks: &'a Blocks,
    block: Block,
    x: &'a [f32],
    packed: &'a [f32],
    epilogue: &'a Epilogue<'a>,
    out: Shared<f32>,
}

impl Work for Forward<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let conv = self.conv;
        // Whole register tiles of rows; what is left over holds old numbers that nobody reads.
        let tiles = self.blocks.tiles().next_multiple_of(S::ROWS);
        let c_in = conv.c_in.next_multiple_of(S::N);
        let columns = S::COLS * S::N;
        let points = points_len(tiles, c_in);
        let products = points_len(tiles, columns);
        let mut scratch = Scratch::take(points + products + self.blocks.pixels(2, S::N));
        // SAFETY: the scratch holds the three parts.
        unsafe {
            let v = scratch.ptr();
            let m = v.add(points);
            let pixels = m.add(products);
            transform_input::<S>(conv, &self.block, self.x, conv.c_in, c_in, tiles, pixels, v);
            let all = conv.c_out.div_ceil(S::N);
            let mut vector = 0;
            while vector < all {
                let vectors = next_vectors::<S>(all - vector);
                self.multiply::<S>(v, c_in, tiles, vector * S::N, vectors, m);
                for i in 0..vectors {
                    self.transform_output::<S>(m.add(i * S::N), tiles, columns, (vector + i) * S::N, pixels);
                }
                vector += vectors;
            }
        }
    }
}

/// Transforms a block's tiles of `channels` channels to `[point][tile][channel]`.
///
/// # Safety
/// `pixels` and `v` have the room that `Blocks::pixels` and `points_len` tell.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
pub(super) unsafe fn transform_input<S: Simd>(
    conv: &Conv,
    block: &Block,
    x: &[f32],
    channels: usize,
    pitch: usize,
    tiles: usize,
    pixels: *mut f32,
    v: *mut f32,
) {
    let plane = conv.h * conv.w;
    let (high, wide) = (4 * block.rows.len() + 2, 4 * block.cols.len() + 2);
    let origin = (4 * block.rows.start as isize - 1, 4 * block.cols.start as isize - 1);
    let point = point_step(tiles, pitch);
    for (n, image) in block.images.clone().enumerate() {
        for c in (0..channels).step_by(S::N) {
            // SAFETY: planes c.. of this image are inside x, by its length.
            unsafe {
                let planes = x[(image * channels + c) * plane..].as_ptr();
                stage::<S>(conv, planes, S::N.min(channels - c), origin, (high, wide), pixels);
                let mut to = v.add(n * block.area() * pitch + c);
                for row in 0..block.rows.len() {
                    for col in 0..block.cols.len() {
                        let from = pixels.add((4 * row * wide + 4 * col) * S::N);
                        transform::input::<S>(from, wide * S::N, S::N, to, 6 * point, point);
                        to = to.add(pitch);
                    }
                }
            }
        }
    }
}

impl Forward<'_> {
    /// The 36 products for `vectors` vectors of output channels from `z` on.
    #[inline(always)]
    unsafe fn multiply<S: Simd>(
        &self,
        v: *const f32,
        v_pitch: usize,
        tiles: usize,
        z: usize,
        vectors: usize,
        m: *mut f32,
    ) {
        let conv = self.conv;
        let z_pitch = conv.c_out.next_multiple_of(16);
        let columns = S::COLS * S::N;
        let used = self.block.images.len() * self.block.area();
        for point in 0..POINTS {
            for tile in (0..used).step_by(S::ROWS) {
                // SAFETY: tiles are rounded up to whole register tiles in v and m; the weights hold z_pitch columns.
                unsafe {
                    let tile = Tile {
                        k: conv.c_in,
                        a: v.add(point * point_step(tiles, v_pitch) + tile * v_pitch),
                        a_row: v_pitch,
                        a_step: 1,
                        b: self.packed.as_ptr().add(point * conv.c_in * z_pitch + z),
                        b_step: z_pitch,
                        offsets: std::ptr::null(),
                        c: m.add(point * point_step(tiles, columns) + tile * columns),
                        c_row: columns,
                        add: false,
                    };
                    tile.run_rows::<S, false>(S::ROWS, vectors);
                }
            }
        }
    }

    /// Transforms one vector of output channels back to pixels and stores them.
    #[inline(always)]
    unsafe fn transform_output<S: Simd>(
        &self,
        m: *const f32,
        tiles: usize,
        columns: usize,
        z: usize,
        pixels: *mut f32,
    ) {
        let Self { conv, block, .. } = self;
        let channels = S::N.min(conv.c_out - z);
        let point = point_step(tiles, columns);
        let wide = 4 * block.cols.len();
        let x = 4 * block.cols.start;
        let mut from = m;
        for image in block.images.clone() {
            for row in block.rows.clone() {
                let rows = 4.min(conv.h - 4 * row);
                for col in 0..block.cols.len() {
                    // SAFETY: the tile's points are inside m, its pixels inside 4 rows of the rectangle.
                    unsafe {
                        let to = pixels.add(4 * col * S::N);
                        transform::output::<S>(from, 6 * point, point, to, wide * S::N, S::N);
                        from = from.add(columns);
                    }
                }
                for i in 0..rows {
                    let at = ((image * conv.c_out + z) * conv.h + 4 * row + i) * conv.w + x;
                    // SAFETY: these pixels of these channels are this block's.
                    unsafe {
                        let from = pixels.add(i * wide * S::N);
                        let n = wide.min(conv.w - x);
                        scatter::<S>(from, conv.h * conv.w, channels, n, self.out, at, z, self.epilogue);
                    }
                }
            }
        }
    }
}
