//! Weights on their way to points: what both ways of packing share.

use super::super::Conv;
use super::super::channels_last::gather;
use super::super::gemm::Sink;
use super::super::simd::Simd;
use super::transform::{self, Grid};

/// The taps of a convolution, `(Z, C, 3, 3)`; `turned`, those of its gradient of the input: `(C, Z, 3, 3)`, to be taken in
/// reverse.
#[derive(Clone, Copy)]
pub(in crate::kernel) struct Weight<'a> {
    pub taps: &'a [f32],
    pub turned: bool,
}

impl Weight<'_> {
    /// Transforms the kernels from channel `c` of the input to the N channels of the result from `z` on, zeros where there are
    /// fewer.
    ///
    /// # Safety
    /// The machine has the instructions of `S`; the sink's contract holds.
    #[inline(always)]
    pub(super) unsafe fn transform<S: Simd>(&self, conv: &Conv, c: usize, z: usize, to: &mut impl Sink<S>) {
        let channels = S::N.min(conv.c_out - z);
        let (start, step) = match self.turned {
            true => ((c * conv.c_out + z) * 9, 9),
            false => ((z * conv.c_in + c) * 9, conv.c_in * 9),
        };
        let from = &self.taps[start..start + (channels - 1) * step + 9];
        let mut taps = [0.0; 9 * 16];
        // SAFETY: the taps of `channels` kernels are inside the slice, the local array has room for those of N.
        unsafe {
            gather::<S>(from.as_ptr(), step, channels, 9, taps.as_mut_ptr(), S::N);
            if self.turned {
                for tap in 0..4 {
                    for lane in 0..S::N {
                        taps.swap(tap * S::N + lane, (8 - tap) * S::N + lane);
                    }
                }
            }
            transform::weight::<S>(Grid::new(taps.as_ptr(), 3 * S::N, S::N), to);
        }
    }
}
