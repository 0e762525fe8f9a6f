//! Vectors of 64-bit ARM: NEON.

use std::arch::aarch64::*;

use super::Simd;

/// Four lanes, 32 registers: every 64-bit ARM has them.
#[derive(Clone, Copy)]
pub(in crate::kernel) struct Neon;

// SAFETY (of all blocks below): the trait's contract gives the instructions and the pointers.
#[allow(clippy::undocumented_unsafe_blocks)]
impl Simd for Neon {
    type V = float32x4_t;
    const N: usize = 4;
    const ROWS: usize = 8;
    const COLS: usize = 3;

    #[inline(always)]
    unsafe fn zero() -> float32x4_t {
        unsafe { vdupq_n_f32(0.0) }
    }
    #[inline(always)]
    unsafe fn splat(x: f32) -> float32x4_t {
        unsafe { vdupq_n_f32(x) }
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> float32x4_t {
        unsafe { vld1q_f32(p) }
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, v: float32x4_t) {
        unsafe { vst1q_f32(p, v) }
    }
    #[inline(always)]
    unsafe fn load_n(p: *const f32, n: usize) -> float32x4_t {
        let mut lanes = [0.0; 4];
        unsafe {
            std::ptr::copy_nonoverlapping(p, lanes.as_mut_ptr(), n);
            vld1q_f32(lanes.as_ptr())
        }
    }
    #[inline(always)]
    unsafe fn store_n(p: *mut f32, n: usize, v: float32x4_t) {
        let mut lanes = [0.0; 4];
        unsafe {
            vst1q_f32(lanes.as_mut_ptr(), v);
            std::ptr::copy_nonoverlapping(lanes.as_ptr(), p, n);
        }
    }
    #[inline(always)]
    unsafe fn add(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { vaddq_f32(a, b) }
    }
    #[inline(always)]
    unsafe fn sub(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { vsubq_f32(a, b) }
    }
    #[inline(always)]
    unsafe fn mul(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { vmulq_f32(a, b) }
    }
    #[inline(always)]
    unsafe fn fma(a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
        unsafe { vfmaq_f32(c, a, b) }
    }
    #[inline(always)]
    unsafe fn relu(a: float32x4_t) -> float32x4_t {
        // NaN stays NaN.
        unsafe { vmaxq_f32(a, vdupq_n_f32(0.0)) }
    }
    #[inline(always)]
    unsafe fn where_positive(y: float32x4_t, g: float32x4_t) -> float32x4_t {
        unsafe { vbslq_f32(vcgtq_f32(y, vdupq_n_f32(0.0)), g, vdupq_n_f32(0.0)) }
    }
    #[inline(always)]
    unsafe fn transpose(m: &mut [float32x4_t; 16]) {
        unsafe {
            let (a, b) = (vzip1q_f32(m[0], m[2]), vzip2q_f32(m[0], m[2]));
            let (c, d) = (vzip1q_f32(m[1], m[3]), vzip2q_f32(m[1], m[3]));
            (m[0], m[1]) = (vzip1q_f32(a, c), vzip2q_f32(a, c));
            (m[2], m[3]) = (vzip1q_f32(b, d), vzip2q_f32(b, d));
        }
    }
    #[inline(always)]
    unsafe fn unzip(a: float32x4_t, b: float32x4_t) -> (float32x4_t, float32x4_t) {
        unsafe { (vuzp1q_f32(a, b), vuzp2q_f32(a, b)) }
    }
    #[inline(always)]
    unsafe fn zip(e: float32x4_t, o: float32x4_t) -> (float32x4_t, float32x4_t) {
        unsafe { (vzip1q_f32(e, o), vzip2q_f32(e, o)) }
    }
}
