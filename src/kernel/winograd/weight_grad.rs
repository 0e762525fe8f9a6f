//! Gradient of the weights: `G' [sum over tiles of (A dy A') (B' x B)] G`, 36 products over tiles.
//!
//! Blocks are dealt to a fixed number of groups, each with its own sums, which are added in order: the result does
//! not depend on the number of threads.

use super::super::Conv;
use super::super::isa::{Isa, Work, dispatch};
use super::super::parallel::{self, Shared};
use super::super::scratch::Scratch;
use super::super::simd::Simd;
use super::super::weight_grad::product;
use super::POINTS;
use super::blocks::{Block, Blocks, stage};
use super::by_channels::transform_input;
use super::transform::{self, Grid, point_step, points_len};

/// Number of tiles of a block: the length of the sums in registers.
const TILES: usize = 64;
/// Maximum number of groups, and minimum number of blocks of a group: sums take memory, and time to add.
const GROUPS: usize = 8;
const BLOCKS: usize = 3;

/// Number of groups: a power of two, so that two or four threads get the same number each; two if there are at least
/// two blocks.
fn groups(blocks: usize) -> usize {
    let most = (blocks / BLOCKS).clamp(1, GROUPS);
    (1 << most.ilog2()).max(blocks.clamp(1, 2))
}

/// Writes the gradient of the weights, `(Z, C, 3, 3)`, to `out`.
pub(in crate::kernel) fn conv2d(isa: Isa, conv: &Conv, x: &[f32], grad: &[f32], out: &mut [f32]) {
    let blocks = Blocks::new(conv.batch, 0..conv.h.div_ceil(4), 0..conv.w.div_ceil(4), TILES, 2);
    let groups = groups(blocks.len());
    let (c_in, c_out) = (conv.c_in.next_multiple_of(16), conv.c_out.next_multiple_of(16));
    // 8 rows beyond the last: a register tile may be taller than the rows that are left.
    let point = (c_out + 8) * c_in + 16;
    let mut sums = Scratch::take(groups * POINTS * point);
    let shared = Shared::new(sums.floats());
    parallel::for_each(groups, |group| {
        let share = group * blocks.len() / groups..(group + 1) * blocks.len() / groups;
        // SAFETY: each group has its own sums.
        let sums = unsafe { shared.part(group * POINTS * point, POINTS * point) };
        let work = Group { conv, blocks: &blocks, share, x, grad, sums, c_in, c_out, point };
        // SAFETY: `isa` is available.
        unsafe { dispatch(isa, work) }
    });
    let sums = &*sums.floats();
    let to = Shared::new(out);
    parallel::for_each(conv.c_out, |z| {
        // SAFETY: each task has its own output channel.
        let out = unsafe { to.part(z * conv.c_in * 9, conv.c_in * 9) };
        let work = Reduce { sums: &sums[z * c_in..], groups, group: POINTS * point, point, out };
        // SAFETY: `isa` is available.
        unsafe { dispatch(isa, work) }
    });
}

struct Group<'a> {
    conv: &'a Conv,
    blocks: &'a Blocks,
    share: std::ops::Range<usize>,
    x: &'a [f32],
    grad: &'a [f32],
    sums: &'a mut [f32],
    /// Channels padded to whole vectors.
    c_in: usize,
    c_out: usize,
    /// Floats from one point's sums to the next.
    point: usize,
}

impl Work for Group<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self { conv, blocks, c_in, c_out, .. } = self;
        let tiles = blocks.tiles();
        let (x_len, g_len) = (points_len(tiles, c_in), points_len(tiles, c_out));
        // 16 more: a register tile may read beyond the last channel of the last tile.
        let mut scratch = Scratch::take(x_len + g_len + 16 + blocks.pixels(2, S::N));
        self.sums.fill(0.0);
        // SAFETY: the scratch holds the three parts; sums hold 36 points.
        unsafe {
            let x = scratch.ptr();
            let g = x.add(x_len);
            let pixels = g.add(g_len + 16);
            for i in self.share {
                let block = blocks.get(i);
                transform_input::<S>(conv, conv.h, &block, self.x, conv.c_in, c_in, tiles, pixels, x);
                transform_grad::<S>(conv, &block, self.grad, c_out, tiles, pixels, g);
                for point in 0..POINTS {
                    let a = g.add(point * point_step(tiles, c_out));
                    let b = x.add(point * point_step(tiles, c_in));
                    let c = self.sums.as_mut_ptr().add(point * self.point);
                    let k = block.images.len() * block.area();
                    product::<S>(k, (a, conv.c_out, c_out), (b, conv.c_in, c_in), c);
                }
            }
        }
    }
}

/// Transforms a block's tiles of the gradient to `[point][tile][channel]`.
#[inline(always)]
unsafe fn transform_grad<S: Simd>(
    conv: &Conv,
    block: &Block,
    grad: &[f32],
    pitch: usize,
    tiles: usize,
    pixels: *mut f32,
    to: *mut f32,
) {
    let plane = conv.h * conv.w;
    let (high, wide) = (4 * block.rows.len(), 4 * block.cols.len());
    let origin = (4 * block.rows.start as isize, 4 * block.cols.start as isize);
    let point = point_step(tiles, pitch);
    for (n, image) in block.images.clone().enumerate() {
        for z in (0..conv.c_out).step_by(S::N) {
            // SAFETY: planes z.. of this image are inside the gradient, by its length; the rest as in `transform_input`.
            unsafe {
                let planes = grad[(image * conv.c_out + z) * plane..].as_ptr();
                stage::<S>(conv, conv.h, planes, S::N.min(conv.c_out - z), origin, (high, wide), pixels);
                let mut to = to.add(n * block.area() * pitch + z);
                for row in 0..block.rows.len() {
                    for col in 0..block.cols.len() {
                        let from = pixels.add((4 * row * wide + 4 * col) * S::N).cast_const();
                        let from = Grid::new(from, wide * S::N, S::N);
                        transform::grad::<S>(from, &mut Grid::<_, 6>::new(to, 6 * point, point));
                        to = to.add(pitch);
                    }
                }
            }
        }
    }
}

/// Work that adds the groups' sums of one output channel and transforms them back to taps.
struct Reduce<'a> {
    sums: &'a [f32],
    groups: usize,
    /// Floats from one group, or point, to the next.
    group: usize,
    point: usize,
    out: &'a mut [f32],
}

impl Work for Reduce<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let c_in = self.out.len() / 9;
        let mut total = [0.0; POINTS * 16];
        let mut taps = [0.0; 9 * 16];
        for c in (0..c_in).step_by(S::N) {
            let last = c + (self.groups - 1) * self.group + (POINTS - 1) * self.point;
            assert!(last + S::N <= self.sums.len(), "sums hold every group and point");
            // SAFETY: inside the sums, by the check; the local arrays have room for all points and taps.
            unsafe {
                for point in 0..POINTS {
                    let from = self.sums.as_ptr().add(c + point * self.point);
                    let mut sum = S::load(from);
                    for group in 1..self.groups {
                        sum = S::add(sum, S::load(from.add(group * self.group)));
                    }
                    S::store(total.as_mut_ptr().add(point * S::N), sum);
                }
                let from = Grid::new(total.as_ptr(), 6 * S::N, S::N);
                let mut to = Grid::<_, 3>::new(taps.as_mut_ptr(), 3 * S::N, S::N);
                transform::weight_grad::<S>(from, &mut to);
            }
            for lane in 0..S::N.min(c_in - c) {
                for tap in 0..9 {
                    self.out[(c + lane) * 9 + tap] = taps[tap * S::N + lane];
                }
            }
        }
    }
}
