//! What happens to a sum on its way to memory: bias, what is there already, activation.

use super::simd::Simd;

/// `act(sum + bias[channel])`, or `act(sum + bias[channel] + place)`.
#[derive(Clone, Copy)]
pub(super) struct Epilogue<'a> {
    pub bias: Option<&'a [f32]>,
    /// Whether what the place of the result holds is added.
    pub adds: bool,
    pub relu: bool,
}

impl Epilogue<'_> {
    /// Where the vector of `n` places that would begin at `i` begins, and how many places it has. The last overlaps the one
    /// before rather than be cut, where there is one, since stores of some lanes are slow; but nothing may be added twice.
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

    /// Stores one sum; bit for bit as in a vector, but that ReLU in NEON's makes 0 of -0.
    #[inline(always)]
    pub(super) fn one(&self, sum: f32, out: &mut f32, channel: usize) {
        let v = sum + self.bias.map_or(0.0, |bias| bias[channel]);
        let v = if self.adds { v + *out } else { v };
        *out = if self.relu && v < 0.0 { 0.0 } else { v };
    }

    /// Stores the first `out.len() <= N` lanes.
    ///
    /// # Safety
    /// The machine has the instructions of `S`.
    #[inline(always)]
    pub(super) unsafe fn vector<S: Simd>(&self, sum: S::V, out: &mut [f32], channel: usize) {
        // SAFETY: the caller's contract.
        unsafe { self.store::<S>(sum, self.bias_of::<S>(channel), out) }
    }

    /// The bias of a channel in all lanes.
    ///
    /// # Safety
    /// The machine has the instructions of `S`.
    #[inline(always)]
    pub(super) unsafe fn bias_of<S: Simd>(&self, channel: usize) -> S::V {
        // SAFETY: the caller's contract.
        unsafe { S::splat(self.bias.map_or(0.0, |bias| bias[channel])) }
    }

    /// [`Epilogue::vector`] with the bias of its channel: for many vectors of one.
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
