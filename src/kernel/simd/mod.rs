//! Vectors of `f32`: one trait, and its AVX-512, AVX2, NEON and plain implementations.

#[cfg(target_arch = "aarch64")]
mod arm;
mod plain;
#[cfg(target_arch = "x86_64")]
mod x86;

#[cfg(target_arch = "aarch64")]
pub(super) use arm::Neon;
pub(super) use plain::Plain;
#[cfg(target_arch = "x86_64")]
pub(super) use x86::{Avx2, Avx512};

/// Vector of [`Simd::N`] floats and the operations of the kernels.
///
/// # Safety
/// All methods need the instructions of the implementor; pointers must be valid for the lanes they name. They need
/// not be aligned.
pub(super) trait Simd: Copy {
    type V: Copy;
    /// Number of lanes.
    const N: usize;
    /// Number of rows of a register tile with [`Simd::COLS`] vectors.
    const ROWS: usize;
    /// Number of vectors of a register tile.
    const COLS: usize;

    unsafe fn zero() -> Self::V;
    unsafe fn splat(x: f32) -> Self::V;
    unsafe fn load(p: *const f32) -> Self::V;
    unsafe fn store(p: *mut f32, v: Self::V);
    /// Loads the first `n <= N` lanes; the others are zero.
    unsafe fn load_n(p: *const f32, n: usize) -> Self::V;
    /// Stores the first `n <= N` lanes.
    unsafe fn store_n(p: *mut f32, n: usize, v: Self::V);
    /// Prefetches the cache line of `p`, if the target can; `p` may point anywhere.
    #[inline(always)]
    fn prefetch(_p: *const f32) {}
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V;
    /// `a * b + c`.
    unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// `max(0, a)`.
    unsafe fn relu(a: Self::V) -> Self::V;
    /// `g` where `y > 0`, else 0.
    unsafe fn where_positive(y: Self::V, g: Self::V) -> Self::V;
    /// Transposes the first N vectors as an N x N matrix.
    unsafe fn transpose(rows: &mut [Self::V; 16]);
    /// Deinterleaves the 2N floats `a, b` into `(evens, odds)`.
    unsafe fn unzip(a: Self::V, b: Self::V) -> (Self::V, Self::V);
    /// The inverse of `unzip`.
    unsafe fn zip(even: Self::V, odd: Self::V) -> (Self::V, Self::V);
}
