//! Instruction sets: detection at run time, and the compilation of a kernel for each.

use std::cell::Cell;
use std::sync::OnceLock;

use super::simd::{Plain, Simd};

/// An instruction set the kernels are compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isa {
    /// 16 lanes, 32 registers.
    Avx512,
    /// 8 lanes, 16 registers, fused multiply-add.
    Avx2,
    /// 4 lanes, 32 registers, fused multiply-add: every 64-bit ARM.
    Neon,
    /// Plain Rust on arrays of 4, which compilers turn into SSE2 or the target's equivalent.
    Portable,
    /// The shape of AVX-512 in plain Rust, for tests on machines without AVX-512.
    #[cfg(test)]
    Wide,
}

impl Isa {
    /// Name for logs.
    pub fn name(self) -> &'static str {
        match self {
            Isa::Avx512 => "avx512",
            Isa::Avx2 => "avx2+fma",
            Isa::Neon => "neon",
            Isa::Portable => "portable",
            #[cfg(test)]
            Isa::Wide => "wide",
        }
    }

    /// Number of floats of a vector: `Simd::N`.
    pub(super) fn lanes(self) -> usize {
        match self {
            Isa::Avx512 => 16,
            Isa::Avx2 => 8,
            Isa::Neon | Isa::Portable => 4,
            #[cfg(test)]
            Isa::Wide => 16,
        }
    }

    /// Returns `true` if this machine supports it.
    pub fn available(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => is_x86_feature_detected!("avx512f"),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(not(target_arch = "x86_64"))]
            Isa::Avx512 | Isa::Avx2 => false,
            Isa::Neon => cfg!(target_arch = "aarch64"),
            Isa::Portable => true,
            #[cfg(test)]
            Isa::Wide => true,
        }
    }

    /// Lists every instruction set of this machine, the best first.
    pub fn all() -> Vec<Isa> {
        let all = [Isa::Avx512, Isa::Avx2, Isa::Neon, Isa::Portable];
        #[cfg(test)]
        let all = all.into_iter().chain([Isa::Wide]);
        all.into_iter().filter(|isa| isa.available()).collect()
    }

    /// Instruction set that kernels called on this thread use: the best, unless inside [`with_isa`].
    pub fn current() -> Isa {
        static BEST: OnceLock<Isa> = OnceLock::new();
        FORCED.get().unwrap_or_else(|| *BEST.get_or_init(|| Isa::all()[0]))
    }
}

thread_local! {
    static FORCED: Cell<Option<Isa>> = const { Cell::new(None) };
}

/// Runs `f` with the kernels that it calls on this thread restricted to `isa`; for tests and benchmarks.
///
/// # Panics
/// This machine does not support it.
pub fn with_isa<R>(isa: Isa, f: impl FnOnce() -> R) -> R {
    struct Restore(Option<Isa>);
    impl Drop for Restore {
        fn drop(&mut self) {
            FORCED.set(self.0);
        }
    }
    assert!(isa.available(), "this machine has no {}", isa.name());
    let _restore = Restore(FORCED.replace(Some(isa)));
    f()
}

/// Name of the instruction set in use.
pub fn isa() -> &'static str {
    Isa::current().name()
}

/// Work that is compiled once for each instruction set. `run` and all that it calls must be `#[inline(always)]`, or
/// it is compiled for the target's baseline.
pub(super) trait Work {
    type Out;
    /// # Safety
    /// The machine has the instructions of `S`; the rest is the implementor's contract.
    unsafe fn run<S: Simd>(self) -> Self::Out;
}

/// Runs `work` with the instructions of `isa`.
///
/// # Safety
/// `isa` is available on this machine, and the contract of `work` holds.
pub(super) unsafe fn dispatch<W: Work>(isa: Isa, work: W) -> W::Out {
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f")]
    unsafe fn avx512<W: Work>(work: W) -> W::Out {
        // SAFETY: the caller's contract, passed on.
        unsafe { work.run::<super::simd::Avx512>() }
    }
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn avx2<W: Work>(work: W) -> W::Out {
        // SAFETY: the caller's contract, passed on.
        unsafe { work.run::<super::simd::Avx2>() }
    }
    // SAFETY: available, by the caller's contract; the plain ones need only the target's baseline.
    unsafe {
        match isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => avx512(work),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => avx2(work),
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => work.run::<super::simd::Neon>(),
            #[cfg(test)]
            Isa::Wide => work.run::<Plain<16>>(),
            _ => work.run::<Plain<4>>(),
        }
    }
}
