//! The linear layer of vectors: a matrix product and a bias.

use candle_core::{Result, Tensor};
use candle_nn::{Init, VarBuilder};

/// `x W^T + b`.
#[derive(Debug, Clone)]
pub struct Linear {
    weight: Tensor,
    bias: Tensor,
}

impl Linear {
    /// A layer from `d_in` to `d_out` features; new weights are normal with variance
    /// `gain^2 / d_in` (see [`super::Conv2d::new`]).
    ///
    /// # Errors
    /// The stored weights have another shape.
    pub fn new(d_in: usize, d_out: usize, gain: f64, vb: VarBuilder) -> Result<Self> {
        let init = Init::Randn { mean: 0.0, stdev: gain / (d_in as f64).sqrt() };
        Ok(Self {
            weight: vb.get_with_hints((d_out, d_in), "weight", init)?,
            bias: vb.get_with_hints(d_out, "bias", Init::Const(0.0))?,
        })
    }

    /// # Shape
    /// `x: (B, D)` -> `(B, E)`.
    ///
    /// # Errors
    /// The shapes do not fit.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        x.matmul(&self.weight.t()?)?.broadcast_add(&self.bias)
    }
}
