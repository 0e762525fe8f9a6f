//! Stage: copies a strip of the input into scratch, with its padding.

use super::super::conv::Around;
use super::super::shuffle::split;
use super::super::simd::Simd;
use super::strip::Strip;

impl Strip<'_> {
    /// Copies the strip with its padding into scratch.
    #[inline(always)]
    pub(super) unsafe fn stage<S: Simd>(&self, planes: *mut f32, image: usize, first: usize, rows: usize) {
        let Self { conv, span, plan, .. } = self;
        if let Around::Fold(high) = span.around {
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

    /// Copies the strip and folds it: the channels are pixels of rectangles of `high` rows and two columns. The strip
    /// is a range of positions of a line.
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
}

/// Copies `n` floats.
#[inline(always)]
unsafe fn copy<S: Simd>(from: *const f32, to: *mut f32, n: usize) {
    // SAFETY: n floats are readable and writable, by the caller's contract.
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
    // SAFETY: n floats are writable, by the caller's contract.
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
