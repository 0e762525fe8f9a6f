//! Gradient of the weights, directly: for each tap a matrix product over positions.
//!
//! Strips of the input and of the gradient are converted to channels-last, with the flat-shift padding of `direct`, so that
//! each tap's gradient is `sum over p of grad[p][z] * x[p + offset(tap)][c]`. Strips are dealt to a fixed number of groups,
//! each with its own sums, which are added in order: the result does not depend on the number of threads.

use super::Conv;
use super::channels_last::{gather, zero};
use super::direct::is_line;
use super::gemm::{Tile, next_rows, next_vectors};
use super::isa::{Isa, Work, dispatch};
use super::parallel::{self, Shared};
use super::scratch::Scratch;
use super::simd::Simd;

/// Maximum number of groups of strips.
const GROUPS: usize = 8;
/// Target size of a strip's channels-last scratch, in floats.
const STRIP: usize = 48 << 10;

/// Writes the gradient of the weights, `(Z, C, KH, KW)`, to `out`.
pub(super) fn conv2d(isa: Isa, conv: &Conv, x: &[f32], grad: &[f32], out: &mut [f32]) {
    let plan = Plan::new(conv);
    let mut sums = Scratch::take(plan.groups * plan.sum);
    let shared = Shared::new(sums.floats());
    parallel::for_each(plan.groups, |group| {
        // SAFETY: each group has its own sums.
        let sums = unsafe { shared.part(group * plan.sum, plan.sum) };
        let work = Group { conv, plan: &plan, x, grad, sums, group };
        // SAFETY: `isa` is available.
        unsafe { dispatch(isa, work) }
    });
    let sums = sums.floats();
    let taps = conv.kh * conv.kw;
    let to = Shared::new(out);
    parallel::for_each(conv.c_out, |z| {
        // SAFETY: each task has its own output channel.
        let to = unsafe { to.part(z * conv.c_in * taps, conv.c_in * taps) };
        for (i, to) in to.iter_mut().enumerate() {
            let at = plan.sum_at(i % taps, z, i / taps);
            *to = (0..plan.groups).map(|group| sums[group * plan.sum + at]).sum();
        }
    });
}

struct Plan {
    /// `true` if the plane is one row, as in `direct`.
    line: bool,
    h: usize,
    w: usize,
    step: usize,
    strips: usize,
    pitch: usize,
    groups: usize,
    /// `true` if the output channels are the vectors and the input channels the rows; otherwise the reverse.
    by_output: bool,
    /// Channels rounded up to whole vectors, and never less than a tile's height.
    c_in: usize,
    c_out: usize,
    /// Floats of one tap's sums, and of all sums of a group.
    tap: usize,
    sum: usize,
}

impl Plan {
    fn new(conv: &Conv) -> Self {
        let line = is_line(conv);
        let (h, w) = if line { (conv.h * conv.w, 1) } else { (conv.h, conv.w) };
        let pitch = if line { 1 } else { w + conv.kw / 2 };
        // Whole vectors of the widest instruction set, so that the plan is the same for all.
        let (c_in, c_out) = (conv.c_in.next_multiple_of(16), conv.c_out.next_multiple_of(16));
        let fits = (STRIP / (c_in + c_out) / pitch).max(1);
        let strips = h.div_ceil(fits.min(h.max(1)));
        let step = h.div_ceil(strips.max(1)).max(1);
        let strips = h.div_ceil(step);
        let items = conv.batch * strips;
        let by_output = conv.c_in < conv.c_out && conv.c_in < 16;
        // 8 rows beyond the last: a tile may be taller than the rows that are left.
        let tap = if by_output { (c_in + 8) * c_out } else { (c_out + 8) * c_in };
        Self {
            line,
            h,
            w,
            step,
            strips,
            pitch,
            groups: items.clamp(1, GROUPS),
            by_output,
            c_in,
            c_out,
            tap,
            sum: conv.kh * conv.kw * tap,
        }
    }

    fn sum_at(&self, tap: usize, z: usize, c: usize) -> usize {
        tap * self.tap + if self.by_output { c * self.c_out + z } else { z * self.c_in + c }
    }
}

struct Group<'a> {
    conv: &'a Conv,
    plan: &'a Plan,
    x: &'a [f32],
    grad: &'a [f32],
    sums: &'a mut [f32],
    group: usize,
}

impl Work for Group<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self { conv, plan, .. } = self;
        let items = conv.batch * plan.strips;
        let (start, end) = (self.group * items / plan.groups, (self.group + 1) * items / plan.groups);
        let halo = plan.step + 2 * (conv.kh / 2);
        let x_len = (halo * plan.pitch + 2 * (conv.kw / 2)) * plan.c_in;
        // A tile of 8 rows may read beyond the last row of channels; never beyond these 16 floats.
        let mut scratch = Scratch::take(x_len + plan.step * plan.pitch * plan.c_out + 16);
        self.sums.fill(0.0);
        for item in start..end {
            let (image, first) = (item / plan.strips, item % plan.strips * plan.step);
            let rows = plan.step.min(plan.h - first);
            // SAFETY: the scratch holds x with its halo, then the gradient.
            unsafe {
                let x = scratch.ptr();
                let g = x.add(x_len);
                let area = plan.h * plan.w;
                let planes = &self.x[image * conv.c_in * area..][..conv.c_in * area];
                stage::<S>(plan, planes, (conv.c_in, plan.c_in), first, rows, (conv.kh / 2, conv.kw / 2), x);
                let planes = &self.grad[image * conv.c_out * area..][..conv.c_out * area];
                stage::<S>(plan, planes, (conv.c_out, plan.c_out), first, rows, (0, 0), g);
                multiply::<S>(conv, plan, x, g, rows * plan.pitch, self.sums.as_mut_ptr());
            }
        }
    }
}

/// Converts rows `first - pad_y ..` to channels-last, preceded by `pad_x` zero pixels, the padding column zero.
#[inline(always)]
unsafe fn stage<S: Simd>(
    plan: &Plan,
    planes: &[f32],
    (channels, padded): (usize, usize),
    first: usize,
    rows: usize,
    (pad_y, pad_x): (usize, usize),
    to: *mut f32,
) {
    let area = plan.h * plan.w;
    for c in (0..padded).step_by(S::N) {
        let present = channels.saturating_sub(c).min(S::N);
        // SAFETY: only rows and channels of the planes are read; the scratch has room for the rest.
        unsafe {
            let to = to.add(c);
            let from = planes.as_ptr().add(if present > 0 { c * area } else { 0 });
            if plan.line {
                let (start, end) = (first.saturating_sub(pad_x), (first + rows + pad_x).min(plan.h));
                let before = start + pad_x - first;
                zero::<S>(before, to, padded);
                let inside = to.add(before * padded);
                gather::<S>(from.add(start), area, present, end - start, inside, padded);
                let after = rows + 2 * pad_x - before - (end - start);
                zero::<S>(after, inside.add((end - start) * padded), padded);
                continue;
            }
            zero::<S>(pad_x, to, padded);
            for r in 0..rows + 2 * pad_y {
                let row = to.add((pad_x + r * plan.pitch) * padded);
                match (first + r).checked_sub(pad_y).filter(|y| *y < plan.h) {
                    Some(y) => {
                        gather::<S>(from.add(y * plan.w), area, present, plan.w, row, padded);
                        zero::<S>(plan.pitch - plan.w, row.add(plan.w * padded), padded);
                    }
                    None => zero::<S>(plan.pitch, row, padded),
                }
            }
            zero::<S>(pad_x, to.add((pad_x + (rows + 2 * pad_y) * plan.pitch) * padded), padded);
        }
    }
}

/// Adds the products of `positions` positions to the sums of every tap.
#[inline(always)]
unsafe fn multiply<S: Simd>(
    conv: &Conv,
    plan: &Plan,
    x: *const f32,
    g: *const f32,
    positions: usize,
    sums: *mut f32,
) {
    for tap in 0..conv.kh * conv.kw {
        // SAFETY: shifted by a tap, the positions are within x and its halo; sums hold all taps.
        unsafe {
            let x = x.add((tap / conv.kw * plan.pitch + tap % conv.kw) * plan.c_in);
            let c = sums.add(tap * plan.tap);
            if plan.by_output {
                product::<S>(positions, (x, conv.c_in, plan.c_in), (g, conv.c_out, plan.c_out), c);
            } else {
                product::<S>(positions, (g, conv.c_out, plan.c_out), (x, conv.c_in, plan.c_in), c);
            }
        }
    }
}

/// Computes `c[m][n] += sum over p of a[p][m] * b[p][n]`; an operand is `(start, columns, pitch)`.
///
/// # Safety
/// Both operands have `k` rows; `c` has rows of b's pitch for a's columns and 8 more.
#[inline(always)]
pub(super) unsafe fn product<S: Simd>(
    k: usize,
    (a, a_columns, a_pitch): (*const f32, usize, usize),
    (b, b_columns, b_pitch): (*const f32, usize, usize),
    c: *mut f32,
) {
    let mut n = 0;
    while n < b_columns {
        let vectors = next_vectors::<S>((b_columns - n).div_ceil(S::N));
        let mut m = 0;
        while m < a_columns {
            let rows = next_rows::<S>(a_columns - m);
            // SAFETY: the caller's contract; pitches are multiples of whole vectors.
            unsafe {
                let tile = Tile {
                    k,
                    a: a.add(m),
                    a_row: 1,
                    a_step: a_pitch,
                    b: b.add(n),
                    b_step: b_pitch,
                    offsets: std::ptr::null(),
                    c: c.add(m * b_pitch + n),
                    c_row: b_pitch,
                    add: true,
                };
                tile.run_rows::<S, false>(rows, vectors);
            }
            m += rows;
        }
        n += vectors * S::N;
    }
}
