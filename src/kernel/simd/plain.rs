//! Vectors in plain Rust: the fallback, and a stand-in for AVX-512 in tests.

use super::Simd;

/// `N` lanes in plain Rust, which compilers turn into the target's instructions.
#[derive(Clone, Copy)]
pub(in crate::kernel) struct Plain<const N: usize>;

#[inline(always)]
fn map2<const N: usize>(a: [f32; N], b: [f32; N], f: impl Fn(f32, f32) -> f32) -> [f32; N] {
    std::array::from_fn(|i| f(a[i], b[i]))
}

// SAFETY (of all blocks below): plain pointer reads and writes of the lanes that the caller names.
#[allow(clippy::undocumented_unsafe_blocks)]
impl<const N: usize> Simd for Plain<N> {
    type V = [f32; N];
    const N: usize = N;
    // Four lanes: for the 16 registers of SSE2. Sixteen, in tests: the shape of AVX-512.
    const ROWS: usize = if N == 4 { 6 } else { 8 };
    const COLS: usize = if N == 4 { 2 } else { 3 };

    #[inline(always)]
    unsafe fn zero() -> [f32; N] {
        [0.0; N]
    }
    #[inline(always)]
    unsafe fn splat(x: f32) -> [f32; N] {
        [x; N]
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> [f32; N] {
        unsafe { p.cast::<[f32; N]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, v: [f32; N]) {
        unsafe { p.cast::<[f32; N]>().write_unaligned(v) }
    }
    #[inline(always)]
    unsafe fn load_n(p: *const f32, n: usize) -> [f32; N] {
        let mut v = [0.0; N];
        for (i, v) in v.iter_mut().enumerate().take(n) {
            *v = unsafe { *p.add(i) };
        }
        v
    }
    #[inline(always)]
    unsafe fn store_n(p: *mut f32, n: usize, v: [f32; N]) {
        for (i, v) in v.iter().enumerate().take(n) {
            unsafe { *p.add(i) = *v };
        }
    }
    #[inline(always)]
    unsafe fn add(a: [f32; N], b: [f32; N]) -> [f32; N] {
        map2(a, b, |a, b| a + b)
    }
    #[inline(always)]
    unsafe fn sub(a: [f32; N], b: [f32; N]) -> [f32; N] {
        map2(a, b, |a, b| a - b)
    }
    #[inline(always)]
    unsafe fn mul(a: [f32; N], b: [f32; N]) -> [f32; N] {
        map2(a, b, |a, b| a * b)
    }
    #[inline(always)]
    unsafe fn fma(a: [f32; N], b: [f32; N], c: [f32; N]) -> [f32; N] {
        // Not fused: without the instruction, `mul_add` is a library call.
        std::array::from_fn(|i| a[i] * b[i] + c[i])
    }
    #[inline(always)]
    unsafe fn relu(a: [f32; N]) -> [f32; N] {
        // NaN stays NaN: a fault in the input must not look like a black pixel.
        map2(a, a, |a, _| if a < 0.0 { 0.0 } else { a })
    }
    #[inline(always)]
    unsafe fn where_positive(y: [f32; N], g: [f32; N]) -> [f32; N] {
        map2(y, g, |y, g| if y > 0.0 { g } else { 0.0 })
    }
    #[inline(always)]
    unsafe fn transpose(m: &mut [[f32; N]; 16]) {
        let from = *m;
        for i in 0..N {
            m[i] = std::array::from_fn(|j| from[j][i]);
        }
    }
    #[inline(always)]
    unsafe fn unzip(a: [f32; N], b: [f32; N]) -> ([f32; N], [f32; N]) {
        let both = |i: usize| if i < N { a[i] } else { b[i - N] };
        (std::array::from_fn(|i| both(2 * i)), std::array::from_fn(|i| both(2 * i + 1)))
    }
    #[inline(always)]
    unsafe fn zip(e: [f32; N], o: [f32; N]) -> ([f32; N], [f32; N]) {
        let both = |i: usize| if i.is_multiple_of(2) { e[i / 2] } else { o[i / 2] };
        (std::array::from_fn(both), std::array::from_fn(|i| both(N + i)))
    }
}
