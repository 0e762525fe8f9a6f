//! Operations: the differentiable building blocks of layers, on any candle device.
//!
//! On the CPU they run on Limpid's own kernels (`crate::kernel`); on other devices, and for types other than `f32`,
//! on candle's.

mod conv;
mod elsewhere;
mod shuffle;

use std::ops::Range;

use candle_core::{CpuStorage, DType, Layout, Result, Shape, Storage, Tensor, bail};

pub use crate::kernel::Activation;
pub use conv::{Frozen, conv2d};
pub use shuffle::{pixel_shuffle, pixel_unshuffle};

/// Returns `true` if Limpid's kernels support `x`.
fn is_ours(x: &Tensor) -> bool {
    x.device().is_cpu() && x.dtype() == DType::F32
}

/// Numbers of an argument of a custom operation.
fn floats<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&storage.as_slice::<f32>()?[start..end]),
        None => bail!("a kernel's argument must be contiguous, has {layout:?}: call contiguous() first"),
    }
}

/// Calls `f` with the numbers of a contiguous CPU tensor.
fn with_floats<R>(x: &Tensor, f: impl FnOnce(&[f32]) -> Result<R>) -> Result<R> {
    let (storage, layout) = x.storage_and_layout();
    match &*storage {
        Storage::Cpu(storage) => f(floats(storage, layout)?),
        _ => bail!("a kernel's argument must be on the CPU, is on {:?}", x.device()),
    }
}

fn stored(values: Vec<f32>, shape: impl Into<Shape>) -> (CpuStorage, Shape) {
    (CpuStorage::F32(values), shape.into())
}

/// Returns part `range` of a flat tensor, as `shape`.
fn part(flat: &Tensor, range: Range<usize>, shape: impl Into<Shape>) -> Result<Tensor> {
    flat.narrow(0, range.start, range.len())?.reshape(shape.into())
}

#[cfg(test)]
mod tests;
