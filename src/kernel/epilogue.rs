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
        let residual = self.residual.map(|residual| residual[at..at + n].as_ptr());
        let bias = self.bias.map_or(0.0, |bias| bias[channel]);
        // SAFETY: i + lanes <= n for all three buffers.
        unsafe {
            let bias = S::splat(bias);
            let mut i = 0;
            while i < n {
                let lanes = S::N.min(n - i);
                let whole = lanes == S::N;
                let sum = if whole { S::load(sums.add(i)) } else { S::load_n(sums.add(i), lanes) };
                let mut v = S::add(sum, bias);
                if let Some(residual) = residual {
                    let r = residual.add(i);
                    v = S::add(v, if whole { S::load(r) } else { S::load_n(r, lanes) });
                }
                if self.relu {
                    v = S::relu(v);
                }
                let to = out.as_mut_ptr().add(i);
                if whole {
                    S::store(to, v)
                } else {
                    S::store_n(to, lanes, v)
                }
                i += lanes;
            }
        }
    }
}
