//! Conversion between planes and channels-last, by square transposes in registers.

use super::epilogue::Epilogue;
use super::parallel::Shared;
use super::simd::Simd;

/// Copies `n` pixels of `channels <= N` planes, `plane` floats apart, to `to[pixel * pitch + channel]`; lanes of
/// missing channels become zero.
///
/// # Safety
/// `from` is readable for n floats of each plane, `to` writable for n rows of N floats.
#[inline(always)]
pub(super) unsafe fn gather<S: Simd>(
    from: *const f32,
    plane: usize,
    channels: usize,
    n: usize,
    to: *mut f32,
    pitch: usize,
) {
    for p in (0..n).step_by(S::N) {
        // The last vector overlaps the one before it, if there is one: cheaper than a partial one.
        let lanes = S::N.min(n);
        let p = p.min(n - lanes);
        // SAFETY: the caller's contract: lanes never pass n, channels never pass `channels`.
        unsafe {
            let mut v = [S::zero(); 16];
            if lanes == S::N && channels == S::N {
                for c in 0..S::N {
                    v[c] = S::load(from.add(c * plane + p));
                }
            } else {
                for c in 0..S::N {
                    if c < channels {
                        v[c] = S::load_n(from.add(c * plane + p), lanes);
                    }
                }
            }
            S::transpose(&mut v);
            if lanes == S::N {
                for i in 0..S::N {
                    S::store(to.add((p + i) * pitch), v[i]);
                }
            } else {
                for i in 0..S::N {
                    if i < lanes {
                        S::store(to.add((p + i) * pitch), v[i]);
                    }
                }
            }
        }
    }
}

/// Writes zeros to `n` pixels.
///
/// # Safety
/// `to` is writable for n rows of N floats.
#[inline(always)]
pub(super) unsafe fn zero<S: Simd>(n: usize, to: *mut f32, pitch: usize) {
    for p in 0..n {
        // SAFETY: the caller's contract.
        unsafe { S::store(to.add(p * pitch), S::zero()) };
    }
}

/// Inverse of [`gather`]: stores `n` pixels of N channels each, contiguous at `from`, to `channels <= N` planes of
/// `out`, `plane` floats apart from `at` on, through the epilogue of channels `z` on.
///
/// # Safety
/// `from` is readable for n rows of N floats, and no other code uses these positions of `out`.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
pub(super) unsafe fn scatter<S: Simd>(
    from: *const f32,
    plane: usize,
    channels: usize,
    n: usize,
    out: Shared<f32>,
    at: usize,
    z: usize,
    epilogue: &Epilogue,
) {
    for p in (0..n).step_by(S::N) {
        let (p, lanes) = epilogue.vector_at::<S>(p, n);
        // SAFETY: the caller's contract: lanes never pass n, channels never pass `channels`.
        unsafe {
            let mut v = [S::zero(); 16];
            for i in 0..S::N {
                // Rows beyond n repeat the last one; they are not stored.
                v[i] = S::load(from.add((p + i.min(lanes - 1)) * S::N));
            }
            S::transpose(&mut v);
            for c in 0..S::N {
                if c < channels {
                    epilogue.vector::<S>(v[c], out.part(at + c * plane + p, lanes), z + c);
                }
            }
        }
    }
}
