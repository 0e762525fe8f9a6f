//! Vectors of x86-64: AVX2 with FMA, and AVX-512.

use std::arch::x86_64::*;

use super::Simd;

/// Sixteen lanes.
#[derive(Clone, Copy)]
pub(in crate::kernel) struct Avx512;

#[inline(always)]
fn mask16(n: usize) -> __mmask16 {
    ((1u32 << n) - 1) as u16
}

// SAFETY (of all blocks below): the trait's contract gives the instructions and the pointers.
#[allow(clippy::undocumented_unsafe_blocks)]
impl Simd for Avx512 {
    type V = __m512;
    const N: usize = 16;
    const ROWS: usize = 8;
    const COLS: usize = 3;

    #[inline(always)]
    unsafe fn zero() -> __m512 {
        unsafe { _mm512_setzero_ps() }
    }
    #[inline(always)]
    unsafe fn splat(x: f32) -> __m512 {
        unsafe { _mm512_set1_ps(x) }
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> __m512 {
        unsafe { _mm512_loadu_ps(p) }
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, v: __m512) {
        unsafe { _mm512_storeu_ps(p, v) }
    }
    #[inline(always)]
    unsafe fn load_n(p: *const f32, n: usize) -> __m512 {
        unsafe { _mm512_maskz_loadu_ps(mask16(n), p) }
    }
    #[inline(always)]
    unsafe fn store_n(p: *mut f32, n: usize, v: __m512) {
        unsafe { _mm512_mask_storeu_ps(p, mask16(n), v) }
    }
    #[inline(always)]
    fn prefetch(p: *const f32) {
        // SAFETY: a hint that reads nothing; part of SSE.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(p.cast()) }
    }
    #[inline(always)]
    unsafe fn add(a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_add_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn sub(a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_sub_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn mul(a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_mul_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn fma(a: __m512, b: __m512, c: __m512) -> __m512 {
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }
    #[inline(always)]
    unsafe fn relu(a: __m512) -> __m512 {
        // `max` returns its second operand if one is NaN.
        unsafe { _mm512_max_ps(_mm512_setzero_ps(), a) }
    }
    #[inline(always)]
    unsafe fn where_positive(y: __m512, g: __m512) -> __m512 {
        unsafe { _mm512_maskz_mov_ps(_mm512_cmp_ps_mask::<_CMP_GT_OQ>(y, _mm512_setzero_ps()), g) }
    }
    #[inline(always)]
    unsafe fn transpose(r: &mut [__m512; 16]) {
        unsafe {
            let mut t = [_mm512_setzero_ps(); 16];
            for i in 0..8 {
                t[2 * i] = _mm512_unpacklo_ps(r[2 * i], r[2 * i + 1]);
                t[2 * i + 1] = _mm512_unpackhi_ps(r[2 * i], r[2 * i + 1]);
            }
            let mut u = [_mm512_setzero_ps(); 16];
            for i in 0..4 {
                let [a, b, c, d] = [t[4 * i], t[4 * i + 1], t[4 * i + 2], t[4 * i + 3]];
                u[4 * i] = _mm512_shuffle_ps::<0x44>(a, c);
                u[4 * i + 1] = _mm512_shuffle_ps::<0xee>(a, c);
                u[4 * i + 2] = _mm512_shuffle_ps::<0x44>(b, d);
                u[4 * i + 3] = _mm512_shuffle_ps::<0xee>(b, d);
            }
            for i in 0..4 {
                let [a, b, c, d] = [u[i], u[4 + i], u[8 + i], u[12 + i]];
                let lo_even = _mm512_shuffle_f32x4::<0x88>(a, b);
                let lo_odd = _mm512_shuffle_f32x4::<0xdd>(a, b);
                let hi_even = _mm512_shuffle_f32x4::<0x88>(c, d);
                let hi_odd = _mm512_shuffle_f32x4::<0xdd>(c, d);
                r[i] = _mm512_shuffle_f32x4::<0x88>(lo_even, hi_even);
                r[4 + i] = _mm512_shuffle_f32x4::<0x88>(lo_odd, hi_odd);
                r[8 + i] = _mm512_shuffle_f32x4::<0xdd>(lo_even, hi_even);
                r[12 + i] = _mm512_shuffle_f32x4::<0xdd>(lo_odd, hi_odd);
            }
        }
    }
    #[inline(always)]
    unsafe fn unzip(a: __m512, b: __m512) -> (__m512, __m512) {
        unsafe {
            let even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
            let odd = _mm512_add_epi32(even, _mm512_set1_epi32(1));
            (_mm512_permutex2var_ps(a, even, b), _mm512_permutex2var_ps(a, odd, b))
        }
    }
    #[inline(always)]
    unsafe fn zip(e: __m512, o: __m512) -> (__m512, __m512) {
        unsafe {
            let lo = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
            let hi = _mm512_add_epi32(lo, _mm512_set1_epi32(8));
            (_mm512_permutex2var_ps(e, lo, o), _mm512_permutex2var_ps(e, hi, o))
        }
    }
}

/// Eight lanes.
#[derive(Clone, Copy)]
pub(in crate::kernel) struct Avx2;

#[inline(always)]
unsafe fn mask8(n: usize) -> __m256i {
    const BITS: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];
    // SAFETY: `n <= 8`, so the 8 numbers read are inside BITS.
    unsafe { _mm256_loadu_si256(BITS.as_ptr().add(8 - n).cast()) }
}

// SAFETY (of all blocks below): the trait's contract gives the instructions and the pointers.
#[allow(clippy::undocumented_unsafe_blocks)]
impl Simd for Avx2 {
    type V = __m256;
    const N: usize = 8;
    const ROWS: usize = 6;
    const COLS: usize = 2;

    #[inline(always)]
    unsafe fn zero() -> __m256 {
        unsafe { _mm256_setzero_ps() }
    }
    #[inline(always)]
    unsafe fn splat(x: f32) -> __m256 {
        unsafe { _mm256_set1_ps(x) }
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> __m256 {
        unsafe { _mm256_loadu_ps(p) }
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, v: __m256) {
        unsafe { _mm256_storeu_ps(p, v) }
    }
    #[inline(always)]
    unsafe fn load_n(p: *const f32, n: usize) -> __m256 {
        unsafe { _mm256_maskload_ps(p, mask8(n)) }
    }
    #[inline(always)]
    unsafe fn store_n(p: *mut f32, n: usize, v: __m256) {
        // In pieces: a masked store is slow on AMD's cores, see NOTES.md.
        unsafe {
            let (mut p, mut left) = (p, _mm256_castps256_ps128(v));
            if n == 8 {
                return _mm256_storeu_ps(p, v);
            }
            if n & 4 != 0 {
                _mm_storeu_ps(p, left);
                (p, left) = (p.add(4), _mm256_extractf128_ps::<1>(v));
            }
            if n & 2 != 0 {
                _mm_storel_pd(p.cast(), _mm_castps_pd(left));
                (p, left) = (p.add(2), _mm_movehl_ps(left, left));
            }
            if n & 1 != 0 {
                _mm_store_ss(p, left);
            }
        }
    }
    #[inline(always)]
    fn prefetch(p: *const f32) {
        // SAFETY: a hint that reads nothing; part of SSE.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(p.cast()) }
    }
    #[inline(always)]
    unsafe fn add(a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_add_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn sub(a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_sub_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn mul(a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_mul_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn fma(a: __m256, b: __m256, c: __m256) -> __m256 {
        unsafe { _mm256_fmadd_ps(a, b, c) }
    }
    #[inline(always)]
    unsafe fn relu(a: __m256) -> __m256 {
        unsafe { _mm256_max_ps(_mm256_setzero_ps(), a) }
    }
    #[inline(always)]
    unsafe fn where_positive(y: __m256, g: __m256) -> __m256 {
        unsafe { _mm256_and_ps(_mm256_cmp_ps::<_CMP_GT_OQ>(y, _mm256_setzero_ps()), g) }
    }
    #[inline(always)]
    unsafe fn transpose(r: &mut [__m256; 16]) {
        unsafe {
            let mut t = [_mm256_setzero_ps(); 8];
            for i in 0..4 {
                t[2 * i] = _mm256_unpacklo_ps(r[2 * i], r[2 * i + 1]);
                t[2 * i + 1] = _mm256_unpackhi_ps(r[2 * i], r[2 * i + 1]);
            }
            let mut u = [_mm256_setzero_ps(); 8];
            for i in 0..2 {
                let [a, b, c, d] = [t[4 * i], t[4 * i + 1], t[4 * i + 2], t[4 * i + 3]];
                u[4 * i] = _mm256_shuffle_ps::<0x44>(a, c);
                u[4 * i + 1] = _mm256_shuffle_ps::<0xee>(a, c);
                u[4 * i + 2] = _mm256_shuffle_ps::<0x44>(b, d);
                u[4 * i + 3] = _mm256_shuffle_ps::<0xee>(b, d);
            }
            for i in 0..4 {
                r[i] = _mm256_permute2f128_ps::<0x20>(u[i], u[4 + i]);
                r[4 + i] = _mm256_permute2f128_ps::<0x31>(u[i], u[4 + i]);
            }
        }
    }
    #[inline(always)]
    unsafe fn unzip(a: __m256, b: __m256) -> (__m256, __m256) {
        unsafe {
            let lo = _mm256_permute2f128_ps::<0x20>(a, b);
            let hi = _mm256_permute2f128_ps::<0x31>(a, b);
            (_mm256_shuffle_ps::<0x88>(lo, hi), _mm256_shuffle_ps::<0xdd>(lo, hi))
        }
    }
    #[inline(always)]
    unsafe fn zip(e: __m256, o: __m256) -> (__m256, __m256) {
        unsafe {
            let (lo, hi) = (_mm256_unpacklo_ps(e, o), _mm256_unpackhi_ps(e, o));
            (_mm256_permute2f128_ps::<0x20>(lo, hi), _mm256_permute2f128_ps::<0x31>(lo, hi))
        }
    }
}
