//! Sinks: destinations of a strip's sums.

use super::super::gemm::Sink;
use super::super::simd::Simd;
use super::strip::Strip;

/// Sink that stores sums through the epilogue straight from registers.
pub(super) struct Places<'a> {
    pub strip: &'a Strip<'a>,
    /// Index of the first channel's first position in the whole result.
    pub at: usize,
    pub z: usize,
    pub channels: usize,
}

impl<S: Simd> Sink<S> for Places<'_> {
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

/// Sink that unfolds sums into pixels, in rectangles of `high` rows and two columns: `len` columns of one row of some
/// channels.
pub(super) struct Unfolded<'a, S: Simd> {
    pub strip: &'a Strip<'a>,
    pub high: usize,
    pub image: usize,
    /// Row, within the span, and first column.
    pub y: usize,
    pub col: usize,
    pub len: usize,
    pub z: usize,
    pub channels: usize,
    /// Sums of the even columns, buffered until those of the odd ones arrive.
    pub even: [S::V; 3],
}

impl<S: Simd> Sink<S> for Unfolded<'_, S> {
    #[inline(always)]
    unsafe fn put<const C: usize>(&mut self, m: usize, sums: &[S::V; C]) {
        let Self { strip, high, image, y, col, len, z, channels, even } = self;
        if m >= *channels {
            return;
        }
        if m.is_multiple_of(2) {
            even[..C].copy_from_slice(sums);
            return;
        }
        let Strip { conv, span, out, epilogue, .. } = strip;
        let c = *z + m - 1;
        let row = (*high * (span.rows.start + *y) + c / 2 % *high) % span.out;
        let at = ((((*image * conv.c_out + c) / (2 * *high)) * span.out + row) * conv.w + *col) * 2;
        let pixels = 2 * *len;
        // SAFETY: the machine has the instructions; these pixels are this task's alone.
        unsafe {
            let (bias, _) = S::zip(epilogue.bias_of::<S>(c), epilogue.bias_of::<S>(c + 1));
            for n in 0..C {
                let (low, high) = S::zip(even[n], sums[n]);
                for (i, sum) in [low, high].into_iter().enumerate() {
                    let first = pixels.min((2 * n + i) * S::N);
                    let lanes = S::N.min(pixels - first);
                    epilogue.store::<S>(sum, bias, out.part(at + first, lanes));
                }
            }
        }
    }
}

impl Strip<'_> {
    /// Index of a row of an output channel in the result; for a line, of a position.
    #[inline(always)]
    pub(super) fn place(&self, image: usize, z: usize, row: usize) -> usize {
        let Self { conv, span, plan, .. } = self;
        let plane = (image * conv.c_out + z) * span.out;
        if plan.line {
            (plane + span.rows.start % span.out) * conv.w + row
        } else {
            (plane + (span.rows.start + row) % span.out) * conv.w
        }
    }

    /// Stores `len` positions from `p` on, of some channels, without the padding columns.
    #[inline(always)]
    #[allow(clippy::too_many_arguments)]
    pub(super) unsafe fn store<S: Simd>(
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
                // SAFETY: the tile has `channels` rows of `len` positions; the output positions are in this strip's
                // rows of channel z + m.
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
