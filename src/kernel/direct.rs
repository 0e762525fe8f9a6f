//! Direct convolution by flat shifts, for every shape.
//!
//! A strip of rows of each input channel is copied into scratch with a row pitch of `w` plus the padding
//! of one side: the zeros after one row are the left padding of the next. Over flat positions `p` the
//! convolution is then `out[z][p] = sum over (c, tap) of weight[z][c][tap] * x[c][p + offset(tap)]`, a matrix
//! product whose rows are shifted views of the scratch, with no copy per tap and no trouble with
//! odd widths. What falls on the padding columns is dropped when results are stored.

use super::Conv;
use super::epilogue::Epilogue;
use super::gemm::{Tile, next_vectors, tile_rows};
use super::isa::{Isa, Work, dispatch};
use super::parallel::{self, Shared};
use super::scratch::Scratch;
use super::simd::Simd;

/// Floats of scratch a strip may fill: half of a common L2 cache.
const STRIP: usize = 128 << 10;

/// Weights as the register tile reads them: blocks of rows (output channels), in each `[k][row]`, the
/// channels missing from the last block zero.
pub(super) fn pack(isa: Isa, weight: &[f32], rows: usize, k: usize) -> Vec<f32> {
    struct Pack<'a>(&'a [f32], usize, usize);
    impl Work for Pack<'_> {
        type Out = Vec<f32>;
        #[inline(always)]
        unsafe fn run<S: Simd>(self) -> Vec<f32> {
            let Pack(weight, rows, k) = self;
            let block = tile_rows::<S>(rows);
            let mut packed = vec![0.0; rows.div_ceil(block) * block * k];
            for z in 0..rows {
                let to = &mut packed[z / block * block * k + z % block..];
                for (i, w) in weight[z * k..(z + 1) * k].iter().enumerate() {
                    to[i * block] = *w;
                }
            }
            packed
        }
    }
    // SAFETY: `isa` comes from `Isa::current`, so it is available; `run` is safe code.
    unsafe { dispatch(isa, Pack(weight, rows, k)) }
}

/// Convolves `x` with packed weights into `out`, all of which is written.
pub(super) fn conv2d(
    isa: Isa,
    conv: &Conv,
    x: &[f32],
    packed: &[f32],
    epilogue: &Epilogue,
    out: Shared<f32>,
) {
    let plan = Plan::new(conv);
    parallel::for_each(conv.batch * plan.strips, |task| {
        let strip = Strip { conv, plan: &plan, x, packed, epilogue, out, task };
        // SAFETY: `isa` is available; tasks write disjoint strips of `out`.
        unsafe { dispatch(isa, strip) }
    });
}

/// How a convolution is cut into strips and where its taps lie.
struct Plan {
    /// The plane is one long row, seen as a column so that it may be cut anywhere.
    line: bool,
    h: usize,
    w: usize,
    /// Rows of a strip.
    step: usize,
    strips: usize,
    pitch: usize,
    /// Floats from one channel's scratch to the next.
    plane: usize,
    offsets: Vec<u32>,
}

impl Plan {
    fn new(conv: &Conv) -> Self {
        let line = is_line(conv);
        let (h, w) = if line { (conv.h * conv.w, 1) } else { (conv.h, conv.w) };
        let pitch = if line { 1 } else { w + conv.kw / 2 };
        // Small enough for the cache; enough strips for every thread, results being the same.
        let fits = (STRIP / conv.c_in / pitch).saturating_sub(conv.kh - 1);
        let wanted = (4 * parallel::limit()).div_ceil(conv.batch.max(1));
        let floor = (96 / pitch).max(1);
        let step = h.div_ceil(wanted).max(floor).min(fits.max(1)).min(h.max(1));
        let strips = h.div_ceil(step);
        let step = h.div_ceil(strips.max(1)).max(1);
        // The last tile reads up to a tile's width beyond the strip; planes must not all begin at
        // the same place of a 4 KiB page, or they evict each other from the L1 cache.
        let len = (step + conv.kh - 1) * pitch + 2 * (conv.kw / 2) + 64;
        let plane =
            len.next_multiple_of(16) + if len.next_multiple_of(16).is_multiple_of(256) { 16 } else { 0 };
        let offsets = (0..conv.c_in * conv.kh * conv.kw)
            .map(|k| (k / (conv.kh * conv.kw), k / conv.kw % conv.kh, k % conv.kw))
            .map(|(c, i, j)| (c * plane + i * pitch + j) as u32)
            .collect();
        Self { line, h, w, step, strips: h.div_ceil(step), pitch, plane, offsets }
    }
}

/// Whether no tap leaves its row, and the plane is one row: a signal, or any plane under a 1x1 kernel.
pub(super) fn is_line(conv: &Conv) -> bool {
    conv.kh == 1 && (conv.kw == 1 || conv.h == 1)
}

struct Strip<'a> {
    conv: &'a Conv,
    plan: &'a Plan,
    x: &'a [f32],
    packed: &'a [f32],
    epilogue: &'a Epilogue<'a>,
    out: Shared<f32>,
    task: usize,
}

impl Work for Strip<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self { conv, plan, .. } = self;
        let (image, strip) = (self.task / plan.strips, self.task % plan.strips);
        let first = strip * plan.step;
        let rows = plan.step.min(plan.h - first);
        let mut scratch = Scratch::take(conv.c_in * plan.plane + 8 * 3 * 16);
        let tile_out = scratch.ptr();
        // SAFETY: the scratch holds the tile (8 rows of 3 vectors of 16) and then the planes.
        unsafe {
            let planes = tile_out.add(8 * 3 * 16);
            self.stage::<S>(planes, image, first, rows);
            self.sweep::<S>(planes, tile_out, image, first, rows);
        }
    }
}

impl Strip<'_> {
    /// Copies the strip with its padding into scratch.
    #[inline(always)]
    unsafe fn stage<S: Simd>(&self, planes: *mut f32, image: usize, first: usize, rows: usize) {
        let Self { conv, plan, .. } = self;
        let (pad_y, pad_x) = (conv.kh / 2, conv.kw / 2);
        for c in 0..conv.c_in {
            let from = &self.x[(image * conv.c_in + c) * plan.h * plan.w..][..plan.h * plan.w];
            // SAFETY: a plane has room for rows + kh - 1 rows of `pitch`, the padding before the first
            // and 64 floats after the last.
            unsafe {
                let to = planes.add(c * plan.plane);
                fill::<S>(to, pad_x, 0.0);
                if plan.line {
                    let (start, end) = (first.saturating_sub(pad_x), (first + rows + pad_x).min(plan.h));
                    let to = to.add(start + pad_x - first);
                    copy::<S>(from.as_ptr().add(start), to, end - start);
                    fill::<S>(to.add(end - start), 48 + pad_x, 0.0);
                    continue;
                }
                for r in 0..rows + 2 * pad_y {
                    let row = to.add(pad_x + r * plan.pitch);
                    match (first + r).checked_sub(pad_y).filter(|y| *y < plan.h) {
                        Some(y) => {
                            copy::<S>(from.as_ptr().add(y * plan.w), row, plan.w);
                            fill::<S>(row.add(plan.w), pad_x, 0.0);
                        }
                        None => fill::<S>(row, plan.pitch, 0.0),
                    }
                }
                fill::<S>(to.add(pad_x + (rows + 2 * pad_y) * plan.pitch), 48, 0.0);
            }
        }
    }

    /// All output channels at all positions of the strip, a register tile at a time.
    #[inline(always)]
    unsafe fn sweep<S: Simd>(
        &self,
        planes: *const f32,
        tile_out: *mut f32,
        image: usize,
        first: usize,
        rows: usize,
    ) {
        let Self { conv, plan, .. } = self;
        let k = plan.offsets.len();
        let block = tile_rows::<S>(conv.c_out);
        let positions = rows * plan.pitch;
        let mut p = 0;
        while p < positions {
            let vectors = next_vectors::<S>((positions - p).div_ceil(S::N));
            let len = (vectors * S::N).min(positions - p);
            for z in (0..conv.c_out).step_by(block) {
                let tile = Tile {
                    k,
                    a: self.packed[z * k..].as_ptr(),
                    a_row: 1,
                    a_step: block,
                    // SAFETY: positions lie inside the plane.
                    b: unsafe { planes.add(p) },
                    b_step: 0,
                    offsets: plan.offsets.as_ptr(),
                    c: tile_out,
                    c_row: S::COLS * S::N,
                    add: false,
                };
                // SAFETY: packed weights hold k x block floats from z k on; shifted reads end within
                // the 64 spare floats of each plane; the result fits in `tile_out`.
                unsafe { tile.run_rows::<S, true>(block, vectors) };
                let channels = block.min(conv.c_out - z);
                // SAFETY: this task owns the strip's rows of the output.
                unsafe { self.store::<S>(tile_out, image, first, p, len, z, channels) };
            }
            p += len;
        }
    }

    /// Stores `len` positions from `p` on, of some channels, without the padding columns.
    #[inline(always)]
    #[allow(clippy::too_many_arguments)]
    unsafe fn store<S: Simd>(
        &self,
        tile: *const f32,
        image: usize,
        first: usize,
        p: usize,
        len: usize,
        z: usize,
        channels: usize,
    ) {
        let Self { conv, plan, .. } = self;
        let area = plan.h * plan.w;
        let contiguous = plan.pitch == plan.w;
        let mut at = 0;
        while at < len {
            let (row, col) = ((p + at) / plan.pitch, (p + at) % plan.pitch);
            let n = if contiguous { len } else { plan.w.saturating_sub(col).min(len - at) };
            let to = (image * conv.c_out + z) * area + (first + row) * plan.w + col;
            for m in 0..if n > 0 { channels } else { 0 } {
                // SAFETY: the tile has `channels` rows of `len` positions; the places lie in this
                // strip's rows of channel z + m.
                unsafe {
                    let from = tile.add(m * S::COLS * S::N + at);
                    let out = self.out.part(to + m * area, n);
                    self.epilogue.run::<S>(from, out, to + m * area, z + m);
                }
            }
            at += if contiguous { len } else { plan.pitch - col };
        }
    }
}

/// Copies `n` floats.
#[inline(always)]
pub(super) unsafe fn copy<S: Simd>(from: *const f32, to: *mut f32, n: usize) {
    let mut i = 0;
    // SAFETY: the caller says that n floats are readable and writable.
    unsafe {
        while i + S::N <= n {
            S::store(to.add(i), S::load(from.add(i)));
            i += S::N;
        }
        if i < n {
            S::store_n(to.add(i), n - i, S::load_n(from.add(i), n - i));
        }
    }
}

/// Writes `value` to `n` floats.
#[inline(always)]
pub(super) unsafe fn fill<S: Simd>(to: *mut f32, n: usize, value: f32) {
    let mut i = 0;
    // SAFETY: the caller says that n floats are writable.
    unsafe {
        let v = S::splat(value);
        while i + S::N <= n {
            S::store(to.add(i), v);
            i += S::N;
        }
        if i < n {
            S::store_n(to.add(i), n - i, v);
        }
    }
}
