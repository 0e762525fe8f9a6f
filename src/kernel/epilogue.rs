//! What happens to a sum on its way to memory: bias, residual, activation.

use super::simd::Simd;

/// `act(sum + bias[channel] + residual)`.
pub(super) struct Epilogue<'a> {
    pub bias: Option<&'a [f32]>,
    /// Of the result's shape.
    pub residual: Option<&'a [f32]>,
    pub relu: bool,
}

impl Epilogue<'_> {
    /// Stores `out.len()` sums of one channel; `at` is where `out` begins in the whole result.
    ///
    /// # Safety
    /// `sums` is readable for `out.len()` floats.
    #[inline(always)]
    pub(super) unsafe fn run<S: Simd>(&self, sums: *const f32, out: &mut [f32], at: usize, channel: usize) {
        let n = out.len();
        for i in (0..n).step_by(S::N) {
            // The last vector overlaps the one before rather than be cut: stores of some lanes are slow.
            let i = if n < S::N { 0 } else { i.min(n - S::N) };
            let lanes = S::N.min(n);
            // SAFETY: i + lanes <= n.
            unsafe {
                let sum = if lanes == S::N { S::load(sums.add(i)) } else { S::load_n(sums.add(i), lanes) };
                self.vector::<S>(sum, out.get_unchecked_mut(i..i + lanes), at + i, channel);
            }
        }
    }

    /// What becomes of one sum, whose place in the whole result is `at`; bit for bit as in a vector.
    #[inline(always)]
    pub(super) fn one(&self, sum: f32, at: usize, channel: usize) -> f32 {
        let v = sum + self.bias.map_or(0.0, |bias| bias[channel]);
        let v = self.residual.map_or(v, |residual| v + residual[at]);
        if self.relu && v < 0.0 { 0.0 } else { v }
    }

    /// Stores the first `out.len() <= N` lanes.
    ///
    /// # Safety
    /// The machine has the instructions of `S`.
    #[inline(always)]
    pub(super) unsafe fn vector<S: Simd>(&self, sum: S::V, out: &mut [f32], at: usize, channel: usize) {
        let lanes = out.len();
        let residual = self.residual.map(|residual| residual[at..at + lanes].as_ptr());
        let bias = self.bias.map_or(0.0, |bias| bias[channel]);
        // SAFETY: only `lanes` floats are touched, which both slices have.
        unsafe {
            let mut v = S::add(sum, S::splat(bias));
            if let Some(r) = residual {
                v = S::add(v, if lanes == S::N { S::load(r) } else { S::load_n(r, lanes) });
            }
            if self.relu {
                v = S::relu(v);
            }
            let to = out.as_mut_ptr();
            if lanes == S::N { S::store(to, v) } else { S::store_n(to, lanes, v) }
        }
    }
}
