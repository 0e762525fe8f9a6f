//! The most this machine can do: fused multiply-adds on registers alone.

use std::hint::black_box;
use std::time::Instant;

use limpid::kernel::Isa;

/// GFLOP/s of `threads` threads together.
pub(crate) fn gigaflops(isa: Isa, threads: usize) -> f64 {
    const TURNS: usize = 20_000_000;
    let start = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| black_box(spin(isa, TURNS)));
        }
    });
    let lanes = if isa == Isa::Avx512 { 16 } else { 8 };
    (2 * 12 * lanes * TURNS * threads) as f64 / start.elapsed().as_secs_f64() / 1e9
}

#[cfg(target_arch = "x86_64")]
pub(crate) fn spin(isa: Isa, turns: usize) -> f32 {
    use std::arch::x86_64::*;

    #[target_feature(enable = "avx512f")]
    unsafe fn wide(turns: usize) -> f32 {
        let mut sums: [__m512; 12] = std::array::from_fn(|i| _mm512_set1_ps(black_box(i as f32)));
        let (a, b) = (_mm512_set1_ps(0.999), _mm512_set1_ps(0.001));
        for _ in 0..turns {
            for sum in &mut sums {
                *sum = _mm512_fmadd_ps(*sum, a, b);
            }
        }
        sums.iter().map(|sum| _mm512_reduce_add_ps(*sum)).sum()
    }
    #[target_feature(enable = "avx2,fma")]
    unsafe fn narrow(turns: usize) -> f32 {
        let mut sums: [__m256; 12] = std::array::from_fn(|i| _mm256_set1_ps(black_box(i as f32)));
        let (a, b) = (_mm256_set1_ps(0.999), _mm256_set1_ps(0.001));
        for _ in 0..turns {
            for sum in &mut sums {
                *sum = _mm256_fmadd_ps(*sum, a, b);
            }
        }
        sums.iter().map(|sum| _mm256_cvtss_f32(*sum)).sum()
    }
    // SAFETY: an Isa in use is available.
    unsafe { if isa == Isa::Avx512 { wide(turns) } else { narrow(turns) } }
}

#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn spin(_: Isa, turns: usize) -> f32 {
    let mut sums: [[f32; 4]; 12] = std::array::from_fn(|i| [black_box(i as f32); 4]);
    for _ in 0..turns {
        for sum in sums.iter_mut().flatten() {
            *sum = sum.mul_add(0.999, 0.001);
        }
    }
    sums.iter().flatten().sum()
}
