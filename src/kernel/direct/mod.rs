//! Direct convolution by flat shifts, for every shape.
//!
//! A strip of rows of each input channel is copied into scratch with a row pitch of `w` plus the padding of one side:
//! the zeros after one row are the left padding of the next. Over flat positions `p` the convolution is then
//! `out[z][p] = sum over (c, tap) of weight[z][c][tap] * x[c][p + offset(tap)]`, a matrix product with shifted views
//! of the scratch as rows, without a copy per tap and for any width. Sums at the padding columns are discarded when
//! results are stored.

mod sink;
mod stage;
mod strip;

use super::Conv;
use super::conv::{Around, Span};
use super::epilogue::Epilogue;
use super::gemm::bands;
use super::isa::{Isa, Work, dispatch};
use super::parallel::{self, Shared};
use super::simd::Simd;
use strip::Strip;

/// Maximum scratch of a strip, in floats: half of a common L2 cache.
const STRIP: usize = 128 << 10;

/// Number of operations below which a second thread costs more than it saves: about four microseconds' worth.
const SMALL: usize = 400_000;

/// Packs weights as the register tile reads them: blocks of rows (output channels), each as `[k][row]`; channels
/// missing from the last block are zero.
pub(super) fn pack(isa: Isa, weight: &[f32], rows: usize, k: usize) -> Vec<f32> {
    struct Pack<'a>(&'a [f32], usize, usize);
    impl Work for Pack<'_> {
        type Out = Vec<f32>;
        #[inline(always)]
        unsafe fn run<S: Simd>(self) -> Vec<f32> {
            let Pack(weight, rows, k) = self;
            let mut packed = Vec::with_capacity((rows + 7) * k);
            for (first, block) in bands::<S>(rows) {
                for i in 0..k {
                    packed.extend(
                        (first..first + block).map(|z| if z < rows { weight[z * k + i] } else { 0.0 }),
                    );
                }
            }
            packed
        }
    }
    // SAFETY: `isa` comes from `Isa::current`, so it is available; `run` is safe code.
    unsafe { dispatch(isa, Pack(weight, rows, k)) }
}

/// Convolves the rows of `span` of `x` with packed weights into `out`.
pub(super) fn conv2d(
    isa: Isa,
    conv: &Conv,
    span: &Span,
    x: &[f32],
    packed: &[f32],
    epilogue: &Epilogue,
    out: Shared<f32>,
) {
    let plan = Plan::new(conv, span);
    parallel::for_each(conv.batch * plan.strips * plan.shares, |task| {
        let (task, share) = (task / plan.shares, task % plan.shares);
        let strip = Strip { conv, span, plan: &plan, x, packed, epilogue, out, task, share };
        // SAFETY: `isa` is available; tasks write disjoint strips, or channels, of `out`.
        unsafe { dispatch(isa, strip) }
    });
}

/// Split of a convolution into strips, and offsets of its taps.
struct Plan {
    /// `true` if the rows form one long row, treated as a column so that it can be split at any position.
    line: bool,
    h: usize,
    w: usize,
    /// Number of rows of a strip.
    step: usize,
    strips: usize,
    /// Number of tasks that share a strip's output channels, if there are fewer strips than threads.
    shares: usize,
    pitch: usize,
    /// Floats from one channel's scratch to the next.
    plane: usize,
    offsets: Vec<u32>,
}

impl Plan {
    fn new(conv: &Conv, span: &Span) -> Self {
        // After unfolding, rows are not contiguous.
        let line = is_line(conv) && !matches!(span.around, Around::Unfold(_));
        let rows = span.rows.len();
        let (h, w) = if line { (rows * conv.w, 1) } else { (rows, conv.w) };
        let pitch = if line { 1 } else { w + conv.kw / 2 };
        // Small enough for the cache; enough strips for every thread, which does not change the results; but not so
        // small that the padding and the last register tile outweigh the rest.
        let fits = (STRIP / conv.c_in / pitch).saturating_sub(conv.kh - 1).max(1);
        let operations = 2 * conv.batch * rows * conv.w * conv.weight_len();
        let threads = if operations < SMALL { 1 } else { parallel::limit() };
        let each = threads.div_ceil(conv.batch);
        let strips = (4 * each).min(h * pitch / 96);
        let strips = if strips > each { strips / each * each } else { strips };
        let step = h.div_ceil(strips.max(h.div_ceil(fits)).max(1)).max(1);
        let strips = h.div_ceil(step);
        let shares = if conv.batch * strips < threads { threads.min(conv.c_out.div_ceil(8)) } else { 1 };
        // The last tile reads up to a tile's width beyond the strip. The distance between planes is an odd number of
        // cache lines, so that the same position of all channels spreads over the whole L1 cache.
        let len = (step + conv.kh - 1) * pitch + 2 * (conv.kw / 2) + 64;
        let plane = (len.div_ceil(16) | 1) * 16;
        let offsets = (0..conv.c_in * conv.kh * conv.kw)
            .map(|k| (k / (conv.kh * conv.kw), k / conv.kw % conv.kh, k % conv.kw))
            .map(|(c, i, j)| (c * plane + i * pitch + j) as u32)
            .collect();
        Self { line, h, w, step, strips, shares, pitch, plane, offsets }
    }
}

/// Returns `true` if no tap leaves its row, and the plane is one row: a signal, or any plane under a 1x1 kernel.
pub(super) fn is_line(conv: &Conv) -> bool {
    conv.kh == 1 && (conv.kw == 1 || conv.h == 1)
}
