//! Channels along the lanes: a vector is N channels of one tile, and all data between the transforms is
//! channels-last, so that planes of any width fill whole vectors.

use std::ops::Range;

use super::super::Conv;
use super::super::channels_last::scatter;
use super::super::gemm::{Tile, next_rows, panels};
use super::super::isa::{Work, dispatch};
use super::super::parallel;
use super::super::scratch::Scratch;
use super::super::simd::Simd;
use super::blocks::{Block, Blocks, stage};
use super::transform::{self, Grid, point_step, points_len};
use super::{POINTS, Pass};

/// Minimum number of tiles of a block, if there are as many: fewer would not pay for reading the weights.
const TILES: usize = 48;
/// Floats of a block's transformed tiles in large planes: long rows are read and written faster and have less border,
/// which outweighs staying in the L2 cache. With a quarter of it, 40 and 64 channels took a tenth longer (AVX2).
const FLOATS: usize = 1 << 19;
/// Rows of a register tile of one vector: enough independent sums to hide the latency of each addition.
const ONE: usize = 8;
/// Number of tiles below which a block is bound by reading the weights, not by arithmetic: it is faster if threads
/// share its output channels, each transforming the same tiles, than if they share tiles and each reads all weights.
const FEW: usize = 24;

/// Tasks that convolve some tile columns.
pub(super) struct Tasks<'a> {
    pass: Pass<'a>,
    packed: &'a [f32],
    blocks: Blocks,
    shares: usize,
}

impl<'a> Tasks<'a> {
    /// Plans the tasks for the tile columns `across`.
    pub(super) fn new(pass: Pass<'a>, packed: &'a [f32], across: Range<usize>) -> Self {
        let Pass { isa, conv, span, .. } = pass;
        assert!(
            packed.len() == POINTS * conv.c_in * conv.c_out.next_multiple_of(isa.lanes()),
            "weights packed for this shape"
        );
        let threads = parallel::limit();
        let is_all = across.len() == conv.w.div_ceil(4);
        let tiles = conv.batch * span.tiles().len() * across.len();
        // The split changes no result: each is one sum, in the same order.
        let shares = if is_all && tiles < threads * FEW { threads } else { 1 };
        // Enough blocks for the threads to finish at about the same time.
        let most = (tiles / (4 * threads)).min(FLOATS / (POINTS * conv.c_in)).max(TILES);
        let blocks = Blocks::new(conv.batch, span.tiles(), across, most, threads.div_ceil(shares));
        Self { pass, packed, blocks, shares }
    }

    pub(super) fn len(&self) -> usize {
        self.blocks.len() * self.shares
    }

    /// Runs task `i`.
    pub(super) fn run(&self, i: usize) {
        let Self { pass, packed, blocks, shares } = self;
        let (block, share) = (blocks.get(i / shares), (i % shares, *shares));
        // SAFETY: `isa` is available, by the contract of `Pass`; blocks cover disjoint pixels of the result, shares
        // disjoint channels.
        unsafe { dispatch(pass.isa, Forward { pass, blocks, block, share, packed }) }
    }
}

struct Forward<'a> {
    pass: &'a Pass<'a>,
    blocks: &'a Blocks,
    block: Block,
    /// Index of the share of the output channels, and number of shares.
    share: (usize, usize),
    packed: &'a [f32],
}

impl Work for Forward<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Pass { conv, span, x, .. } = *self.pass;
        // Whole register tiles of rows: up to 3 rows beyond the last hold stale values; their sums are never read.
        let tiles = self.blocks.tiles() + 3;
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
            if self.panels::<S>().next().is_none() {
                return;
            }
            transform_input::<S>(conv, span.x, &self.block, x, conv.c_in, c_in, tiles, pixels, v);
            for (panel, vectors) in self.panels::<S>() {
                self.multiply::<S>(v, c_in, tiles, panel * S::N, vectors, m);
                for i in 0..vectors {
                    self.transform_output::<S>(m.add(i * S::N), tiles, columns, (panel + i) * S::N, pixels);
                }
            }
        }
    }
}

/// Transforms a block's tiles of `channels` channels to `[point][tile][channel]`. A plane has `held` rows in memory.
///
/// # Safety
/// `pixels` and `v` have the sizes given by `Blocks::pixels` and `points_len`.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
pub(super) unsafe fn transform_input<S: Simd>(
    conv: &Conv,
    held: usize,
    block: &Block,
    x: &[f32],
    channels: usize,
    pitch: usize,
    tiles: usize,
    pixels: *mut f32,
    v: *mut f32,
) {
    let plane = held * conv.w;
    let (high, wide) = (4 * block.rows.len() + 2, 4 * block.cols.len() + 2);
    let origin = (4 * block.rows.start as isize - 1, 4 * block.cols.start as isize - 1);
    let point = point_step(tiles, pitch);
    for (n, image) in block.images.clone().enumerate() {
        for c in (0..channels).step_by(S::N) {
            // SAFETY: planes c.. of this image are inside x, by its length.
            unsafe {
                let planes = x[(image * channels + c) * plane..].as_ptr();
                stage::<S>(conv, held, planes, S::N.min(channels - c), origin, (high, wide), pixels);
                let mut to = v.add(n * block.area() * pitch + c);
                for row in 0..block.rows.len() {
                    for col in 0..block.cols.len() {
                        let from = pixels.add((4 * row * wide + 4 * col) * S::N).cast_const();
                        let from = Grid::new(from, wide * S::N, S::N);
                        transform::input::<S>(from, &mut Grid::<_, 6>::new(to, 6 * point, point));
                        to = to.add(pitch);
                    }
                }
            }
        }
    }
}

impl Forward<'_> {
    /// Panels of this share.
    #[inline(always)]
    fn panels<S: Simd>(&self) -> impl Iterator<Item = (usize, usize)> {
        let all = self.pass.conv.c_out.div_ceil(S::N);
        let (share, shares) = self.share;
        let count = panels::<S>(all).count();
        let own = share * count / shares..(share + 1) * count / shares;
        panels::<S>(all).skip(own.start).take(own.len())
    }

    /// Computes the 36 products for the panel of `vectors` vectors of output channels from `z` on.
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
        let k = self.pass.conv.c_in;
        let columns = S::COLS * S::N;
        let used = self.block.images.len() * self.block.area();
        for point in 0..POINTS {
            let b = &self.packed[(POINTS * z + point * vectors * S::N) * k..][..k * vectors * S::N];
            let mut first = 0;
            while first < used {
                let rows =
                    if vectors == 1 && used - first >= ONE { ONE } else { next_rows::<S>(used - first) };
                // SAFETY: v and m have whole register tiles of rows; the panel has k rows.
                unsafe {
                    let tile = Tile {
                        k,
                        a: v.add(point * point_step(tiles, v_pitch) + first * v_pitch),
                        a_row: v_pitch,
                        a_step: 1,
                        b: b.as_ptr(),
                        b_step: vectors * S::N,
                        offsets: std::ptr::null(),
                        c: m.add(point * point_step(tiles, columns) + first * columns),
                        c_row: columns,
                        add: false,
                    };
                    tile.run_rows::<S, false>(rows, vectors);
                }
                first += rows;
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
        let Self { pass: Pass { conv, span, epilogue, out, .. }, block, .. } = self;
        let channels = S::N.min(conv.c_out - z);
        let point = point_step(tiles, columns);
        let (x, wide) = (4 * block.cols.start, 4 * block.cols.len());
        // Rows as wide as the plane are one contiguous run of pixels, which fills vectors better than single rows do.
        let is_run = x == 0 && wide >= conv.w;
        let pitch = if is_run { conv.w } else { wide };
        let mut from = m;
        for image in block.images.clone() {
            for row in block.rows.clone() {
                // From last to first: pixels beyond the end of a row are written where the next row begins, which
                // must overwrite them.
                for col in (0..block.cols.len()).rev() {
                    // SAFETY: the tile's points are inside m, its pixels inside 4 rows of the rectangle.
                    unsafe {
                        let mut to = Grid::<_, 4>::new(pixels.add(4 * col * S::N), pitch * S::N, S::N);
                        transform::output::<S>(Grid::new(from.add(col * columns), 6 * point, point), &mut to);
                    }
                }
                let rows = 4.min(conv.h - 4 * row);
                let (runs, n) = if is_run { (1, rows * conv.w) } else { (rows, wide.min(conv.w - x)) };
                for i in 0..runs {
                    let at = ((image * conv.c_out + z) * span.out + 4 * row % span.out + i) * conv.w + x;
                    // SAFETY: no other block writes these pixels of these channels.
                    unsafe {
                        let from = pixels.add(i * wide * S::N);
                        scatter::<S>(from, span.out * conv.w, channels, n, *out, at, z, epilogue);
                    }
                }
                // SAFETY: the next row of tiles follows.
                unsafe { from = from.add(block.cols.len() * columns) };
            }
        }
    }
}
