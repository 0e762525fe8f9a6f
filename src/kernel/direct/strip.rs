//! Strip: the work of one task, a register tile at a time.

use super::super::Conv;
use super::super::conv::{Around, Span};
use super::super::epilogue::Epilogue;
use super::super::gemm::{Tile, bands, next_rows, next_vectors};
use super::super::isa::Work;
use super::super::parallel::Shared;
use super::super::scratch::Scratch;
use super::super::simd::Simd;
use super::Plan;
use super::sink::{Places, Unfolded};

/// Half an L1 cache, in floats.
const CHUNK: usize = 4 << 10;

/// One task: some rows of one image, for a share of the output channels.
pub(super) struct Strip<'a> {
    pub conv: &'a Conv,
    pub span: &'a Span,
    pub plan: &'a Plan,
    pub x: &'a [f32],
    pub packed: &'a [f32],
    pub epilogue: &'a Epilogue<'a>,
    pub out: Shared<f32>,
    pub task: usize,
    pub share: usize,
}

impl Work for Strip<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self { conv, plan, .. } = self;
        let channels: usize = bands::<S>(conv.c_out).map(|(_, band)| band).sum();
        assert_eq!(self.packed.len(), channels * plan.offsets.len(), "weights packed for this shape");
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
    /// Computes all output channels at all positions of the strip, a register tile at a time.
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
        // If rows fill vectors well, tiles end with their row; else they continue over the padding, and the rows are
        // picked out when results are stored.
        let filled = plan.w.next_multiple_of(S::N);
        let is_filled = plan.pitch > plan.w && filled >= 16 && 8 * filled <= 9 * plan.pitch;
        let by_row = is_filled || matches!(self.span.around, Around::Unfold(_));
        let (lines, line) = if by_row { (rows, plan.w) } else { (1, rows * plan.pitch) };
        // Several tiles share a pass over the weights, and so write longer runs of each channel, as long as the input
        // that they read fits in half of an L1 cache.
        let tile = S::COLS * S::N;
        let run = tile * (CHUNK / (conv.c_in * conv.kh * tile)).clamp(1, 8);
        for start in (0..lines).map(|r| r * plan.pitch) {
            for p in (0..line).step_by(run) {
                // SAFETY: the caller's contract.
                unsafe {
                    self.run_of::<S>(planes, tile_out, image, first, start + p, run.min(line - p));
                }
            }
        }
    }

    /// Computes this share's output channels at `run` positions from `start` on.
    #[inline(always)]
    #[allow(clippy::too_many_arguments)]
    unsafe fn run_of<S: Simd>(
        &self,
        planes: *const f32,
        tile_out: *mut f32,
        image: usize,
        first: usize,
        start: usize,
        run: usize,
    ) {
        let Self { conv, plan, .. } = self;
        let k = plan.offsets.len();
        // A share owns the register tiles that begin in it.
        let own = |share: usize| share * conv.c_out / plan.shares;
        let mut z = 0;
        while z < own(self.share + 1) {
            let block = next_rows::<S>(conv.c_out - z);
            let channels = block.min(conv.c_out - z);
            let mut p = start;
            while z >= own(self.share) && p < start + run {
                let vectors = next_vectors::<S>((start + run - p).div_ceil(S::N));
                let len = (vectors * S::N).min(start + run - p);
                let (row, col) = (p / plan.pitch, p % plan.pitch);
                let tile = Tile {
                    k,
                    a: self.packed[z * k..].as_ptr(),
                    a_row: 1,
                    a_step: block,
                    // SAFETY: positions are inside the plane.
                    b: unsafe { planes.add(p) },
                    b_step: 0,
                    offsets: plan.offsets.as_ptr(),
                    c: tile_out,
                    c_row: S::COLS * S::N,
                    add: false,
                };
                // SAFETY: packed weights hold k x block floats from z k on; shifted reads end within the 64 spare
                // floats of each plane; the result fits in `tile_out`; this task owns these positions of the output.
                unsafe {
                    if let Around::Unfold(high) = self.span.around {
                        let (strip, y, even) = (self, first + row, [S::zero(); 3]);
                        let mut sink = Unfolded::<S> { strip, high, image, y, col, len, z, channels, even };
                        tile.run_into::<S, true>(block, vectors, &mut sink);
                    } else if len == vectors * S::N && (plan.pitch == plan.w || col + len <= plan.w) {
                        let at = self.place(image, z, first + row) + col;
                        let mut sink = Places { strip: self, at, z, channels };
                        tile.run_into::<S, true>(block, vectors, &mut sink);
                    } else {
                        tile.run_rows::<S, true>(block, vectors);
                        self.store::<S>(tile_out, image, first, p, len, z, channels);
                    }
                }
                p += len;
            }
            z += block;
        }
    }
}
