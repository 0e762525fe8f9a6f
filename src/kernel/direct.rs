//! Direct convolution by flat shifts, for every shape.
//!
//! A strip of rows of each input channel is copied into scratch with a row pitch of `w` plus the padding
//! of one side: the zeros after one row are the left padding of the next. Over flat positions `p` the
//! convolution is then `out[z][p] = sum over (c, tap) of weight[z][c][tap] * x[c][p + offset(tap)]`, a matrix
//! product whose rows are shifted views of the scratch, with no copy per tap and no trouble with
//! odd widths. What falls on the padding columns is dropped when results are stored.

use super::Conv;
use super::conv::{Span, Turn};
use super::epilogue::Epilogue;
use super::gemm::{Sink, Tile, bands, next_rows, next_vectors};
use super::isa::{Isa, Work, dispatch};
use super::parallel::{self, Shared};
use super::scratch::Scratch;
use super::shuffle::split;
use super::simd::Simd;

/// Floats of scratch a strip may fill: half of a common L2 cache.
const STRIP: usize = 128 << 10;

/// Floats of half an L1 cache.
const CHUNK: usize = 4 << 10;

/// Operations below which a second thread costs more than it saves: about four microseconds' worth.
const SMALL: usize = 400_000;

/// Weights as the register tile reads them: blocks of rows (output channels), in each `[k][row]`, the
/// channels missing from the last block zero.
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

/// How a convolution is cut into strips and where its taps lie.
struct Plan {
    /// The rows are one long row, seen as a column so that it may be cut anywhere.
    line: bool,
    h: usize,
    w: usize,
    /// Rows of a strip.
    step: usize,
    strips: usize,
    /// Tasks that share a strip's output channels, where there are fewer strips than threads.
    shares: usize,
    pitch: usize,
    /// Floats from one channel's scratch to the next.
    plane: usize,
    offsets: Vec<u32>,
}

impl Plan {
    fn new(conv: &Conv, span: &Span) -> Self {
        // Unfolded, rows do not follow one another.
        let line = is_line(conv) && !matches!(span.turn, Turn::Unfold(_));
        let rows = span.rows.len();
        let (h, w) = if line { (rows * conv.w, 1) } else { (rows, conv.w) };
        let pitch = if line { 1 } else { w + conv.kw / 2 };
        // Small enough for the cache; enough strips for every thread, results being the same; but not so small
        // that the padding and the last register tile outweigh the rest.
        let fits = (STRIP / conv.c_in / pitch).saturating_sub(conv.kh - 1).max(1);
        let operations = 2 * conv.batch * rows * conv.w * conv.weight_len();
        let threads = if operations < SMALL { 1 } else { parallel::limit() };
        let each = threads.div_ceil(conv.batch);
        let strips = (4 * each).min(h * pitch / 96);
        let strips = if strips > each { strips / each * each } else { strips };
        let step = h.div_ceil(strips.max(h.div_ceil(fits)).max(1)).max(1);
        let strips = h.div_ceil(step);
        let shares = if conv.batch * strips < threads { threads.min(conv.c_out.div_ceil(8)) } else { 1 };
        // The last tile reads up to a tile's width beyond the strip. Planes lie an odd number of cache
        // lines apart, so that the same position of all channels spreads over the whole L1 cache.
        let len = (step + conv.kh - 1) * pitch + 2 * (conv.kw / 2) + 64;
        let plane = (len.div_ceil(16) | 1) * 16;
        let offsets = (0..conv.c_in * conv.kh * conv.kw)
            .map(|k| (k / (conv.kh * conv.kw), k / conv.kw % conv.kh, k % conv.kw))
            .map(|(c, i, j)| (c * plane + i * pitch + j) as u32)
            .collect();
        Self { line, h, w, step, strips, shares, pitch, plane, offsets }
    }
}

/// Whether no tap leaves its row, and the plane is one row: a signal, or any plane under a 1x1 kernel.
pub(super) fn is_line(conv: &Conv) -> bool {
    conv.kh == 1 && (conv.kw == 1 || conv.h == 1)
}

struct Strip<'a> {
    conv: &'a Conv,
    span: &'a Span,
    plan: &'a Plan,
    x: &'a [f32],
    packed: &'a [f32],
    epilogue: &'a Epilogue<'a>,
    out: Shared<f32>,
    task: usize,
    share: usize,
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
    /// Where a row of an output channel begins in the result; of a line, a position.
    #[inline(always)]
    fn place(&self, image: usize, z: usize, row: usize) -> usize {
        let Self { conv, span, plan, .. } = self;
        let plane = (image * conv.c_out + z) * span.out;
        if plan.line {
            (plane + span.rows.start % span.out) * conv.w + row
        } else {
            (plane + (span.rows.start + row) % span.out) * conv.w
        }
    }

    /// Copies the strip with its padding into scratch.
    #[inline(always)]
    unsafe fn stage<S: Simd>(&self, planes: *mut f32, image: usize, first: usize, rows: usize) {
        let Self { conv, span, plan, .. } = self;
        if let Turn::Fold(high) = span.turn {
            // SAFETY: the caller's contract.
            return unsafe { self.stage_folded::<S>(high, planes, image, first, rows) };
        }
        let (pad_y, pad_x) = (conv.kh / 2, conv.kw / 2);
        let plane = span.x * conv.w;
        for c in 0..conv.c_in {
            let from = &self.x[(image * conv.c_in + c) * plane..][..plane];
            // SAFETY: a plane has room for rows + kh - 1 rows of `pitch`, the padding before the first
            // and 64 floats after the last.
            unsafe {
                let to = planes.add(c * plan.plane);
                fill::<S>(to, pad_x, 0.0);
                if plan.line {
                    let (start, end) = (first.saturating_sub(pad_x), (first + rows + pad_x).min(plan.h));
                    let to = to.add(start + pad_x - first);
                    let from = from.as_ptr().add(span.rows.start % span.x * conv.w + start);
                    copy::<S>(from, to, end - start);
                    fill::<S>(to.add(end - start), 48 + pad_x, 0.0);
                    continue;
                }
                for r in 0..rows + 2 * pad_y {
                    let row = to.add(pad_x + r * plan.pitch);
                    match (span.rows.start + first + r).checked_sub(pad_y).filter(|y| *y < conv.h) {
                        Some(y) => {
                            copy::<S>(from.as_ptr().add(y % span.x * plan.w), row, plan.w);
                            fill::<S>(row.add(plan.w), pad_x, 0.0);
                        }
                        None => fill::<S>(row, plan.pitch, 0.0),
                    }
                }
                fill::<S>(to.add(pad_x + (rows + 2 * pad_y) * plan.pitch), 48, 0.0);
            }
        }
    }

    /// The same for channels that are pixels still: those of rectangles of `high` rows and two columns. The strip is positions of
    /// a line.
    #[inline(always)]
    unsafe fn stage_folded<S: Simd>(
        &self,
        high: usize,
        planes: *mut f32,
        image: usize,
        first: usize,
        len: usize,
    ) {
        let Self { conv, span, plan, .. } = self;
        for c in (0..conv.c_in).step_by(2) {
            let (pixels, i) = ((image * conv.c_in + c) / (2 * high), c / 2 % high);
            // SAFETY: both planes have room for the positions and 64 floats after them.
            unsafe {
                let (even, odd) = (planes.add(c * plan.plane), planes.add((c + 1) * plan.plane));
                let mut p = 0;
                while p < len {
                    let (y, x) = (span.rows.start + (first + p) / conv.w, (first + p) % conv.w);
                    let n = (conv.w - x).min(len - p);
                    let from = ((pixels * span.x + (high * y + i) % span.x) * conv.w + x) * 2;
                    let [even, odd] = [even, odd].map(|to| std::slice::from_raw_parts_mut(to.add(p), n));
                    split::<S>(&self.x[from..from + 2 * n], even, odd);
                    p += n;
                }
                fill::<S>(even.add(len), 48, 0.0);
                fill::<S>(odd.add(len), 48, 0.0);
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
        // Where rows fill vectors well, tiles end with their row; else they run on over the padding, and rows are
        // picked out when results are stored.
        let filled = plan.w.next_multiple_of(S::N);
        let is_filled = plan.pitch > plan.w && filled >= 16 && 8 * filled <= 9 * plan.pitch;
        let by_row = is_filled || matches!(self.span.turn, Turn::Unfold(_));
        let (lines, line) = if by_row { (rows, plan.w) } else { (1, rows * plan.pitch) };
        // Some tiles share a pass over the weights, and so write longer runs of each channel, as long as what they
        // read of the input stays in half of an L1 cache.
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

    /// This share's output channels at `run` positions from `start` on.
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
        // A share has the register tiles that begin in it.
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
                    // SAFETY: positions lie inside the plane.
                    b: unsafe { planes.add(p) },
                    b_step: 0,
                    offsets: plan.offsets.as_ptr(),
                    c: tile_out,
                    c_row: S::COLS * S::N,
                    add: false,
                };
                // SAFETY: packed weights hold k x block floats from z k on; shifted reads end within the 64 spare
                // floats of each plane; the result fits in `tile_out`; this task owns these places of the output.
                unsafe {
                    if let Turn::Unfold(high) = self.span.turn {
                        let at = Unfolded { strip: self, high, image, y: first + row, col, len, z, channels };
                        tile.run_into::<S, true>(block, vectors, &mut at.sink::<S>());
                    } else if len == vectors * S::N && (plan.pitch == plan.w || col + len <= plan.w) {
                        let at = self.place(image, z, first + row) + col;
                        let mut sink = Direct { strip: self, at, z, channels };
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
        let Self { conv, span, plan, .. } = self;
        let contiguous = plan.pitch == plan.w;
        let mut at = 0;
        while at < len {
            let (row, col) = ((p + at) / plan.pitch, (p + at) % plan.pitch);
            let n = if contiguous { len } else { plan.w.saturating_sub(col).min(len - at) };
            let to = self.place(image, z, first + row) + col;
            for m in 0..if n > 0 { channels } else { 0 } {
                // SAFETY: the tile has `channels` rows of `len` positions; the places lie in this
                // strip's rows of channel z + m.
                unsafe {
                    let from = tile.add(m * S::COLS * S::N + at);
                    let out = self.out.part(to + m * span.out * conv.w, n);
                    self.epilogue.run::<S>(from, out, z + m);
                }
            }
            at += if contiguous { len } else { plan.pitch - col };
        }
    }
}

/// Sums go from the registers through the epilogue to the result.
struct Direct<'a> {
    strip: &'a Strip<'a>,
    /// Of the first channel's first position in the whole result.
    at: usize,
    z: usize,
    channels: usize,
}

impl<S: Simd> Sink<S> for Direct<'_> {
    #[inline(always)]
    unsafe fn put<const C: usize>(&mut self, m: usize, sums: &[S::V; C]) {
        if m >= self.channels {
            return;
        }
        let Strip { conv, span, out, epilogue, .. } = self.strip;
        let at = self.at + m * span.out * conv.w;
        // SAFETY: these places are this task's alone, by the caller.
        let to = unsafe { out.part(at, C * S::N) };
        for n in 0..C {
            // SAFETY: the machine has the instructions; the part has C vectors.
            unsafe {
                let to = to.get_unchecked_mut(n * S::N..(n + 1) * S::N);
                epilogue.vector::<S>(sums[n], to, self.z + m);
            }
        }
    }
}

/// Where sums go that are pixels of rectangles of `high` rows and two columns: `len` of one row of some channels.
struct Unfolded<'a> {
    strip: &'a Strip<'a>,
    high: usize,
    image: usize,
    /// The row, within the span, and the first column.
    y: usize,
    col: usize,
    len: usize,
    z: usize,
    channels: usize,
}

/// [`Unfolded`], with the sums of the even columns, which wait for those of the odd ones.
struct Pixels<'a, S: Simd> {
    to: Unfolded<'a>,
    even: [S::V; 3],
}

impl<'a> Unfolded<'a> {
    #[inline(always)]
    fn sink<S: Simd>(self) -> Pixels<'a, S> {
        // SAFETY: the machine has the instructions.
        Pixels { to: self, even: [unsafe { S::zero() }; 3] }
    }
}

impl<S: Simd> Sink<S> for Pixels<'_, S> {
    #[inline(always)]
    unsafe fn put<const C: usize>(&mut self, m: usize, sums: &[S::V; C]) {
        let Unfolded { strip, high, image, y, col, len, z, channels } = self.to;
        if m >= channels {
            return;
        }
        if m.is_multiple_of(2) {
            self.even[..C].copy_from_slice(sums);
            return;
        }
        let Strip { conv, span, out, epilogue, .. } = strip;
        let c = z + m - 1;
        let row = (high * (span.rows.start + y) + c / 2 % high) % span.out;
        let at = ((((image * conv.c_out + c) / (2 * high)) * span.out + row) * conv.w + col) * 2;
        // SAFETY: the machine has the instructions; these pixels are this task's alone.
        unsafe {
            let (bias, _) = S::zip(epilogue.bias_of::<S>(c), epilogue.bias_of::<S>(c + 1));
            for n in 0..C {
                let (low, high) = S::zip(self.even[n], sums[n]);
                for (i, pixels) in [low, high].into_iter().enumerate() {
                    let first = (2 * n + i) * S::N;
                    let lanes = S::N.min((2 * len).saturating_sub(first));
                    epilogue.store::<S>(pixels, bias, out.part(at + first.min(2 * len), lanes));
                }
            }
        }
    }
}

/// Copies `n` floats.
#[inline(always)]
unsafe fn copy<S: Simd>(from: *const f32, to: *mut f32, n: usize) {
    // SAFETY: the caller says that n floats are readable and writable.
    unsafe {
        if n < S::N {
            S::store_n(to, n, S::load_n(from, n));
            return;
        }
        for i in (0..n).step_by(S::N) {
            let i = i.min(n - S::N);
            S::store(to.add(i), S::load(from.add(i)));
        }
    }
}

/// Writes `value` to `n` floats.
#[inline(always)]
unsafe fn fill<S: Simd>(to: *mut f32, n: usize, value: f32) {
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
