//! The 2-D convolution layer: stride 1, 3x3 or 1x1, bias and activation fused.

use candle_core::{Result, Tensor};
use candle_nn::{Init, VarBuilder};

use crate::nn::op::{self, Activation};

/// `act(conv(x, weight) + bias + residual)`.
#[derive(Debug, Clone)]
pub struct Conv2d {
    weight: Tensor,
    bias: Tensor,
}

impl Conv2d {
    /// A layer from `c_in` to `c_out` channels with a `k` x `k` kernel, `k` 1 or 3.
    ///
    /// New weights are normal with variance `gain^2 / fan_in`: He's initialisation at `gain`
    /// 1.41 (K. He et al., ICCV 2015), smaller where a layer should begin near zero.
    ///
    /// # Errors
    /// The stored weights have another shape.
    pub fn new(c_in: usize, c_out: usize, k: usize, gain: f64, vb: VarBuilder) -> Result<Self> {
        let stdev = gain / ((c_in * k * k) as f64).sqrt();
        let init = Init::Randn { mean: 0.0, stdev };
        Ok(Self {
            weight: vb.get_with_hints((c_out, c_in, k, k), "weight", init)?,
            bias: vb.get_with_hints(c_out, "bias", Init::Const(0.0))?,
        })
    }

    /// # Shape
    /// `x: (B, C, H, W)` -> `(B, Z, H, W)`; `residual` has the result's shape.
    ///
    /// # Errors
    /// The shapes do not fit.
    pub fn forward(&self, x: &Tensor, act: Activation, residual: Option<&Tensor>) -> Result<Tensor> {
        op::conv2d(x, &self.weight, &self.bias, act, residual)
    }
}
