//! Epilogue: bias, previous content of the result and activation, applied to a sum before it is stored.

use super::simd::Simd;

/// `act(sum + bias[channel])`, or `act(sum + bias[channel] + out)`.
#[derive(Clone, Copy)]
pub(super) struct Epilogue<'a> {
    pub bias: Option<&'a [f32]>,
    /// `true` if the previous content of the result is added.
    pub adds: bool,
    pub relu: bool,
}

impl Epilogue<'_> {
    /// Returns the start and the length of the vector that covers position `i` of `n`. The last vector overlaps the one
    /// before it, if there is one, since partial stores are slow; but not if `adds`, which would add the overlap twice.
    #[inline(always)]
    pub(super) fn vector_at<S: Simd>(&self, i: usize, n: usize) -> (usize, usize) {
        if self.adds || n < S::N { (i, S::N.min(n - i)) } else { (i.min(n - S::N), S::N) }
    }

    /// Stores `out.len()` sums of one channel.
    ///
    /// # Safety
    /// `sums` is readable for `out.len()` floats.
    #[inline(always)]
    pub(super) unsafe fn run<S: Simd>(&self, sums: *const f32, out: &mut [f32], channel: usize) {
        let n = out.len();
        for i in (0..n).step_by(S::N) {
            let (i, lanes) = self.vector_at::<S>(i, n);
            // SAFETY: i + lanes <= n.
            unsafe {
                let sum = if lanes == S::N { S::load(sums.add(i)) } else { S::load_n(sums.add(i), lanes) };
                self.vector::<S>(sum, out.get_unchecked_mut(i..i + lanes), channel);
            }
        }
    }

    /// Stores one sum; bit for bit as in a vector, except that ReLU on NEON turns -0 into 0.
    #[inline(always)]
    pub(super) fn one(&self, sum: f32, out: &mut f32, channel: usize) {
        let v = sum + self.bias.map_or(0.0, |bias| bias[channel]);
        let v = if self.adds { v + *out } else { v };
        *out = if self.relu && v < 0.0 { 0.0 } else { v };
    }

    /// Stores the first `out.len() <= N` lanes of `sum`.
    ///
    /// # Safety
    /// The machine has the instructions of `S`.
    #[inline(always)]
    pub(super) unsafe fn vector<S: Simd>(&self, sum: S::V, out: &mut [f32], channel: usize) {
        // SAFETY: the caller's contract.
        unsafe { self.store::<S>(sum, self.bias_of::<S>(channel), out) }
    }

    /// Returns the bias of a channel in all lanes.
    ///
    /// # Safety
    /// The machine has the instructions of `S`.
    #[inline(always)]
    pub(super) unsafe fn bias_of<S: Simd>(&self, channel: usize) -> S::V {
        // SAFETY: the caller's contract.
        unsafe { S::splat(self.bias.map_or(0.0, |bias| bias[channel])) }
    }

    /// [`Epilogue::vector`] with the bias already loaded, for many vectors of one channel.
    ///
    /// # Safety
    /// The machine has the instructions of `S`.
    #[inline(always)]
    pub(super) unsafe fn store<S: Simd>(&self, sum: S::V, bias: S::V, out: &mut [f32]) {
        let lanes = out.len();
        let to = out.as_mut_ptr();
        // SAFETY: only `lanes` floats are touched, which the slice has.
        unsafe {
            let mut v = S::add(sum, bias);
            if self.adds {
                v = S::add(v, if lanes == S::N { S::load(to) } else { S::load_n(to, lanes) });
            }
            if self.relu {
                v = S::relu(v);
            }
            if lanes == S::N { S::store(to, v) } else { S::store_n(to, lanes, v) }
        }
    }
}
