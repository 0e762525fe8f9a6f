//! Kernels: convolution and pixel-shuffle on slices of `f32`, forward and backward, for CPUs.
//!
//! `reference` defines each operation, for tests. The fast paths are `direct` (any shape), `dense` (1x1 at few
//! positions), `winograd` (3x3 over planes of some size) and `weight_grad`; each is compiled for AVX-512, AVX2, NEON
//! and plain vectors, and selected at run time (`isa`). A `ring` buffers the last rows of an image that is streamed.
//! `parallel` owns the threads. Results are bit-identical for any number of threads, and do not depend on the other
//! images of the batch. `NOTES.md` has the numbers.
//!
//! `unsafe` code of this crate is in this module, in `memory::pages` (calls to the allocator) and in `main.rs`.

// Register tiles are indexed in several arrays at once; iterators would hide which.
#![allow(clippy::needless_range_loop)]

mod channels_last;
mod conv;
mod dense;
mod direct;
mod epilogue;
mod gemm;
mod isa;
pub mod parallel;
#[cfg(test)]
mod reference;
mod ring;
mod scratch;
mod shuffle;
mod simd;
mod weight_grad;
mod winograd;

pub use conv::{
    Activation, Around, Conv, Layer, Packed, conv2d, conv2d_onto, conv2d_rows, grad_input, grad_sum,
    grad_weight,
};
pub use isa::{Isa, isa, with_isa};
pub use parallel::{threads, with_threads};
pub use ring::Ring;
pub use shuffle::{fold_rows, pixel_shuffle, pixel_unshuffle, unfold_rows};

use parallel::Shared;

/// Minimum number of floats that a task moves, for tasks that only move data.
const GRAIN: usize = 16 << 10;

/// Returns a new vector of `len` floats, all of which `write` must write.
fn output(len: usize, write: impl FnOnce(Shared<f32>)) -> Vec<f32> {
    let mut out = Vec::<f32>::with_capacity(len);
    write(Shared::raw(out.as_mut_ptr(), len));
    // SAFETY: the capacity is `len`, and `write` has written every float, by its contract.
    unsafe { out.set_len(len) };
    out
}

#[cfg(test)]
mod tests;
