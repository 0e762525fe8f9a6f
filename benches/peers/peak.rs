//! The most this machine can do: fused multiply-adds on registers alone.

use std::hint::black_box;

use limpid::kernel::Isa;

/// GFLOP/s of `threads` threads together, by the CPU time of each: neighbours do not count.
pub(crate) fn gigaflops(isa: Isa, threads: usize) -> f64 {
    const TURNS: usize = 20_000_000;
    let lanes = if isa == Isa::Avx512 { 16 } else { 8 };
    let one = || {
        let start = cpu_seconds();
        black_box(spin(isa, TURNS));
        (2 * 12 * lanes * TURNS) as f64 / (cpu_seconds() - start) / 1e9
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(one)).collect();
        threads.into_iter().map(|thread| thread.join().expect("arithmetic does not panic")).sum()
    })
}

/// CPU time of this thread so far: what a busy machine distorts least.
pub(crate) fn cpu_seconds() -> f64 {
    #[cfg(target_os = "linux")]
    {
        unsafe extern "C" {
            fn clock_gettime(clock: i32, time: *mut [i64; 2]) -> i32;
        }
        const THREAD: i32 = 3;
        let mut time = [0; 2];
        // SAFETY: the C library writes seconds and nanoseconds, two 64-bit numbers on 64-bit Linux.
        unsafe { clock_gettime(THREAD, &mut time) };
        time[0] as f64 + time[1] as f64 * 1e-9
    }
    #[cfg(not(target_os = "linux"))]
    f64::NAN
}

#[cfg(target_arch = "x86_64")]
fn spin(isa: Isa, turns: usize) -> f32 {
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
fn spin(_: Isa, turns: usize) -> f32 {
    let mut sums: [[f32; 4]; 12] = std::array::from_fn(|i| [black_box(i as f32); 4]);
    for _ in 0..turns {
        for sum in sums.iter_mut().flatten() {
            *sum = sum.mul_add(0.999, 0.001);
        }
    }
    sums.iter().flatten().sum()
}
