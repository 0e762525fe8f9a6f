//! Convolution on candle's own kernels, for other devices and other types.
//!
//! candle computes the gradient of the input with a transposed convolution that is naive on every back end. At stride
//! 1 it is also a plain convolution with the kernel rotated by 180 degrees and its channels swapped, which is fast
//! everywhere, so the gradient is defined here.

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CudaStorage, CustomOp3, Layout, MetalStorage, Result, Shape, Tensor, bail};

/// Computes `conv(x, weight)`, zero-padded to preserve `H` and `W`.
pub(super) fn convolve(x: &Tensor, weight: &Tensor) -> Result<Tensor> {
    let (_, _, kh, kw) = weight.dims4()?;
    if kh == 1 && kw > 1 && x.dim(2)? == 1 {
        // candle pads both axes alike. Over one row, a kernel of one row equals a square one with other rows that see
        // only padding.
        let square = weight.pad_with_zeros(2, kw / 2, kw / 2)?;
        return convolve(x, &square);
    }
    if kh != kw {
        bail!("off the CPU kernels must be square, or flat over one row; this one is {kh} x {kw}");
    }
    let y = x.detach().conv2d(&weight.detach(), kh / 2, 1, 1, 1)?;
    if x.track_op() || weight.track_op() { x.apply_op3(weight, &y, Differentiable) } else { Ok(y) }
}

/// Operation that returns its third argument as the convolution of the first two, to define the gradient.
struct Differentiable;

impl Differentiable {
    fn fwd<S: BackendStorage>(y: &S, layout: &Layout) -> Result<(S, Shape)> {
        Ok((y.try_clone(layout)?, layout.shape().clone()))
    }
}

impl CustomOp3 for Differentiable {
    fn name(&self) -> &'static str {
        "conv2d"
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
        y: &CpuStorage,
        layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        Self::fwd(y, layout)
    }

    fn cuda_fwd(
        &self,
        _: &CudaStorage,
        _: &Layout,
        _: &CudaStorage,
        _: &Layout,
        y: &CudaStorage,
        layout: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        Self::fwd(y, layout)
    }

    fn metal_fwd(
        &self,
        _: &MetalStorage,
        _: &Layout,
        _: &MetalStorage,
        _: &Layout,
        y: &MetalStorage,
        layout: &Layout,
    ) -> Result<(MetalStorage, Shape)> {
        Self::fwd(y, layout)
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let k = weight.dim(2)?;
        let (x, weight, grad) = (x.detach(), weight.detach(), grad.contiguous()?);
        let turned = weight.flip(&[2, 3])?.transpose(0, 1)?.contiguous()?;
        let gx = grad.conv2d(&turned, k / 2, 1, 1, 1)?;
        // The gradient is the kernel, and the batch the channels.
        let (batch_in, batch_grad) = (x.transpose(0, 1)?.contiguous()?, grad.transpose(0, 1)?.contiguous()?);
        let gw = batch_in.conv2d(&batch_grad, k / 2, 1, 1, 1)?.transpose(0, 1)?.contiguous()?;
        Ok((Some(gx), Some(gw), None))
    }
}
