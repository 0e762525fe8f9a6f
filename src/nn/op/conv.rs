//! Convolution with bias, residual and activation in one pass, forward and backward.

use std::ops::Range;
use std::sync::Arc;

use candle_core::{CpuStorage, CustomOp1, CustomOp3, InplaceOp2, Layout, Result, Shape, Tensor, bail};

use super::{Activation, elsewhere, floats, is_ours, part, stored, with_floats};
use crate::kernel::{self, Around, Conv, Layer, Packed, Ring};

/// Computes `act(conv(x, weight) + bias + residual)`, stride 1, zero-padded to preserve `H` and `W`.
///
/// # Shape
/// `x: (B, C, H, W)`, `weight: (Z, C, KH, KW)`, `KH` and `KW` odd and below 32, `bias: (Z)`, `residual: (B, Z, H, W)`
/// -> `(B, Z, H, W)`. A signal `(B, C, L)` is an image of height 1 with a kernel such as `(1, 5)`. On devices other
/// than the CPU a kernel must be square, or flat over one row.
///
/// # Errors
/// The shapes do not fit.
pub fn conv2d(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    act: Activation,
    residual: Option<&Tensor>,
) -> Result<Tensor> {
    check(x, weight.shape(), bias.elem_count(), residual)?;
    if !is_ours(x) {
        let sum = elsewhere::convolve(x, weight)?.broadcast_add(&bias.reshape((1, (), 1, 1))?)?;
        let sum = residual.map_or(Ok(sum.clone()), |residual| &sum + residual)?;
        return if act == Activation::Relu { sum.relu() } else { Ok(sum) };
    }
    let x = x.contiguous()?;
    match residual {
        None => x.apply_op3(&weight.contiguous()?, &bias.contiguous()?, Plain { act }),
        Some(residual) => {
            // candle's operations have three arguments at most, so weight and bias are passed as one.
            let parameters = Tensor::cat(&[weight.flatten_all()?, bias.flatten_all()?], 0)?;
            let op = Residual { act, weight: weight.shape().clone() };
            x.apply_op3(&parameters, &residual.contiguous()?, op)
        }
    }
}

fn check(x: &Tensor, weight: &Shape, bias: usize, residual: Option<&Tensor>) -> Result<()> {
    let conv = shape(x.shape(), weight)?;
    let result = (conv.batch, conv.c_out, conv.h, conv.w);
    match residual {
        _ if x.dim(1)? != conv.c_in => bail!("conv2d: {} channels for a weight {weight:?}", x.dim(1)?),
        _ if bias != conv.c_out => bail!("conv2d: {bias} biases for {} channels", conv.c_out),
        _ if [conv.kh, conv.kw].iter().any(|k| k % 2 == 0 || *k > 31) => {
            bail!("conv2d: a kernel must be odd and below 32 wide, is {} x {}", conv.kh, conv.kw)
        }
        Some(r) if r.dims4()? != result => {
            bail!("conv2d: the residual has shape {:?}, the result {result:?}", r.shape())
        }
        _ => Ok(()),
    }
}

fn shape(x: &Shape, weight: &Shape) -> Result<Conv> {
    let (batch, _, h, w) = x.dims4()?;
    let (c_out, c_in, kh, kw) = weight.dims4()?;
    Ok(Conv { batch, c_in, c_out, h, w, kh, kw })
}

fn result(conv: &Conv, values: Vec<f32>) -> (CpuStorage, Shape) {
    stored(values, (conv.batch, conv.c_out, conv.h, conv.w))
}

/// Weights prepared once for the CPU kernels: for inference, where they do not change.
#[derive(Debug, Clone)]
pub struct Frozen(Arc<Prepared>);

#[derive(Debug)]
struct Prepared {
    shape: Shape,
    weight: Packed,
    bias: Vec<f32>,
}

impl Frozen {
    /// Prepares `weight: (Z, C, KH, KW)` and `bias: (Z)`; `None` if Limpid's kernels do not support them.
    ///
    /// # Errors
    /// The weight does not have four dimensions.
    pub fn new(weight: &Tensor, bias: &Tensor) -> Result<Option<Self>> {
        if !is_ours(weight) || !is_ours(bias) {
            return Ok(None);
        }
        let shape = Shape::from(weight.dims4()?);
        let values = weight.flatten_all()?.to_vec1()?;
        let bias = bias.flatten_all()?.to_vec1()?;
        Ok(Some(Self(Arc::new(Prepared { shape, weight: Packed::new(values), bias }))))
    }

    /// [`conv2d`] with these weights. Not differentiable; the result reuses the memory of `residual`.
    ///
    /// # Errors
    /// The shapes do not fit.
    pub fn conv2d(&self, x: &Tensor, act: Activation, residual: Option<Tensor>) -> Result<Tensor> {
        check(x, &self.0.shape, self.0.bias.len(), residual.as_ref())?;
        let op = Serve { frozen: self.0.clone(), act };
        let x = x.contiguous()?;
        let Some(residual) = residual else { return x.apply_op1_no_bwd(&op) };
        let onto = residual.contiguous()?;
        onto.inplace_op2(&x, &op)?;
        Ok(onto)
    }
}

impl Frozen {
    /// Convolves some rows of one streamed image, see [`kernel::conv2d_rows`].
    ///
    /// # Errors
    /// The channels do not fit.
    pub fn rows(
        &self,
        rows: Range<usize>,
        x: &Ring,
        around: Around,
        (act, adds): (Activation, bool),
        out: &mut Ring,
    ) -> Result<()> {
        let Prepared { shape, weight, bias } = &*self.0;
        let (c_out, c_in, kh, kw) = shape.dims4()?;
        let channels = match around {
            Around::None => (out.channels(), x.channels()),
            Around::Fold(high) => (out.channels(), 2 * high * x.channels()),
            Around::Unfold(high) => (2 * high * out.channels(), x.channels()),
        };
        if (c_out, c_in) != channels {
            bail!("conv2d: (to, from) {channels:?} channels for a weight {shape:?}");
        }
        kernel::conv2d_rows(&Layer { kernel: (kh, kw), around, weight, bias, act, adds }, rows, x, out);
        Ok(())
    }
}

/// Operation with frozen weights.
struct Serve {
    frozen: Arc<Prepared>,
    act: Activation,
}

impl CustomOp1 for Serve {
    fn name(&self) -> &'static str {
        "conv2d"
    }

    fn cpu_fwd(&self, x: &CpuStorage, lx: &Layout) -> Result<(CpuStorage, Shape)> {
        let Prepared { shape: weight_shape, weight, bias } = &*self.frozen;
        let conv = shape(lx.shape(), weight_shape)?;
        Ok(result(&conv, kernel::conv2d(&conv, floats(x, lx)?, weight, Some(bias), self.act, None)))
    }
}

impl InplaceOp2 for Serve {
    fn name(&self) -> &'static str {
        "conv2d"
    }

    fn cpu_fwd(&self, onto: &mut CpuStorage, lo: &Layout, x: &CpuStorage, lx: &Layout) -> Result<()> {
        let Prepared { shape: weight_shape, weight, bias } = &*self.frozen;
        let conv = shape(lx.shape(), weight_shape)?;
        let (CpuStorage::F32(onto), Some((start, end))) = (onto, lo.contiguous_offsets()) else {
            bail!("a convolution adds to contiguous f32 only, got {lo:?}");
        };
        kernel::conv2d_onto(&conv, floats(x, lx)?, weight, Some(bias), self.act, &mut onto[start..end]);
        Ok(())
    }
}

/// Operation without residual; arguments: x, weight, bias.
struct Plain {
    act: Activation,
}

impl CustomOp3 for Plain {
    fn name(&self) -> &'static str {
        "conv2d"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        lx: &Layout,
        weight: &CpuStorage,
        lw: &Layout,
        bias: &CpuStorage,
        lb: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let conv = shape(lx.shape(), lw.shape())?;
        let weight = Packed::new(floats(weight, lw)?.to_vec());
        let bias = floats(bias, lb)?;
        Ok(result(&conv, kernel::conv2d(&conv, floats(x, lx)?, &weight, Some(bias), self.act, None)))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        y: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let grads = Gradients::new(self.act, weight.shape(), weight, x, y, grad, weight.track_op())?;
        let bias_grad = bias.track_op().then(|| Tensor::from_vec(grads.bias, bias.shape(), x.device()));
        let weight_grad = grads.weight.map(|w| Tensor::from_vec(w, weight.shape(), x.device()));
        Ok((grads.x, weight_grad.transpose()?, bias_grad.transpose()?))
    }
}

/// Operation with residual; arguments: x, weight and bias concatenated, residual.
struct Residual {
    act: Activation,
    weight: Shape,
}

impl CustomOp3 for Residual {
    fn name(&self) -> &'static str {
        "conv2d_residual"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        lx: &Layout,
        parameters: &CpuStorage,
        lp: &Layout,
        residual: &CpuStorage,
        lr: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let conv = shape(lx.shape(), &self.weight)?;
        let (weight, bias) = floats(parameters, lp)?.split_at(conv.weight_len());
        let weight = Packed::new(weight.to_vec());
        let (x, residual) = (floats(x, lx)?, Some(floats(residual, lr)?));
        Ok(result(&conv, kernel::conv2d(&conv, x, &weight, Some(bias), self.act, residual)))
    }

    fn bwd(
        &self,
        x: &Tensor,
        parameters: &Tensor,
        residual: &Tensor,
        y: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let weight = part(parameters, 0..self.weight.elem_count(), self.weight.clone())?;
        let tracked = parameters.track_op();
        let grads = Gradients::new(self.act, &self.weight, &weight, x, y, grad, tracked)?;
        let parameters_grad = match grads.weight {
            Some(mut weight) => {
                weight.extend(grads.bias);
                Some(Tensor::from_vec(weight, parameters.shape(), x.device())?)
            }
            None => None,
        };
        Ok((grads.x, parameters_grad, residual.track_op().then_some(grads.sum)))
    }
}

/// Results of the backward pass of either operation.
struct Gradients {
    x: Option<Tensor>,
    weight: Option<Vec<f32>>,
    bias: Vec<f32>,
    /// Gradient of the sum before the activation, which is also the residual's.
    sum: Tensor,
}

impl Gradients {
    fn new(
        act: Activation,
        weight_shape: &Shape,
        weight: &Tensor,
        x: &Tensor,
        y: &Tensor,
        grad: &Tensor,
        weight_tracked: bool,
    ) -> Result<Self> {
        let conv = shape(x.shape(), weight_shape)?;
        let (device, plane) = (x.device(), conv.h * conv.w);
        let grad = grad.contiguous()?;
        let (masked, bias) = with_floats(&grad, |grad| match act {
            Activation::None => Ok(kernel::grad_sum(grad, None, conv.c_out, plane)),
            Activation::Relu => with_floats(y, |y| Ok(kernel::grad_sum(grad, Some(y), conv.c_out, plane))),
        })?;
        let sum = masked.map_or(Ok(grad), |masked| Tensor::from_vec(masked, y.shape(), device))?;
        with_floats(&sum, |g| {
            let gx = if x.track_op() {
                let gx = with_floats(weight, |weight| Ok(kernel::grad_input(&conv, weight, g)))?;
                Some(Tensor::from_vec(gx, x.shape(), device)?)
            } else {
                None
            };
            let gw = if weight_tracked {
                Some(with_floats(x, |x| Ok(kernel::grad_weight(&conv, x, g)))?)
            } else {
                None
            };
            Ok(Self { x: gx, weight: gw, bias, sum: sum.clone() })
        })
    }
}
