//! 2-D convolution layer: stride 1, bias and activation fused.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use candle_core::{Result, Tensor, bail};
use candle_nn::{Init, VarBuilder};

use crate::kernel::{Around, Ring};
use crate::nn::op::{self, Activation, Frozen};

/// Layer that computes `act(conv(x, weight) + bias + residual)`.
///
/// Weights that cannot be trained, such as those loaded for inference, are prepared for the kernels at the first call
/// and cached.
#[derive(Debug, Clone)]
pub struct Conv2d {
    weight: Tensor,
    bias: Tensor,
    frozen: Arc<OnceLock<Option<Frozen>>>,
}

impl Conv2d {
    /// Creates a layer from `c_in` to `c_out` channels with a kernel of `(rows, columns)`, both odd.
    ///
    /// New weights are normal with variance `gain^2 / fan_in`: He's initialisation at `gain` 1.41 (K. He et al., ICCV
    /// 2015), smaller where a layer should start near zero.
    ///
    /// # Errors
    /// The stored weights have another shape.
    pub fn new(
        c_in: usize,
        c_out: usize,
        (kh, kw): (usize, usize),
        gain: f64,
        vb: VarBuilder,
    ) -> Result<Self> {
        let stdev = gain / ((c_in * kh * kw) as f64).sqrt();
        let init = Init::Randn { mean: 0.0, stdev };
        let weight = vb.get_with_hints((c_out, c_in, kh, kw), "weight", init)?;
        let bias = vb.get_with_hints(c_out, "bias", Init::Const(0.0))?;
        Ok(Self::of(weight, bias))
    }

    /// Creates the layer of a weight `(Z, C, KH, KW)` and a bias `(Z)`.
    pub(super) fn of(weight: Tensor, bias: Tensor) -> Self {
        Self { weight, bias, frozen: Arc::default() }
    }

    /// Returns a copy with the current weights, prepared for inference: later training of the original variables does
    /// not change it, and gradients do not reach them.
    ///
    /// # Errors
    /// Out of memory on the device.
    pub fn freeze(&self) -> Result<Self> {
        let (weight, bias) = (self.weight.detach().copy()?, self.bias.detach().copy()?);
        Ok(Self { weight, bias, frozen: Arc::default() })
    }

    /// Applies the layer. `residual` is added before the activation; its memory may be reused for the result.
    ///
    /// # Shape
    /// `x: (B, C, H, W)` -> `(B, Z, H, W)`; `residual` has the result's shape.
    ///
    /// # Errors
    /// The shapes do not fit.
    pub fn forward(&self, x: &Tensor, act: Activation, residual: Option<Tensor>) -> Result<Tensor> {
        match self.frozen() {
            Some(frozen) if !x.track_op() && !residual.as_ref().is_some_and(Tensor::track_op) => {
                frozen.conv2d(x, act, residual)
            }
            _ => op::conv2d(x, &self.weight, &self.bias, act, residual.as_ref()),
        }
    }

    /// [`Conv2d::forward`] for some rows of one streamed image: `act(conv(x) + bias)`, or with `adds`
    /// `act(conv(x) + bias + out)`, bit for bit.
    ///
    /// # Errors
    /// The channels do not fit, or the weights can be trained.
    pub fn rows(
        &self,
        rows: Range<usize>,
        x: &Ring,
        act: Activation,
        adds: bool,
        out: &mut Ring,
    ) -> Result<()> {
        self.rows_around(rows, x, Around::None, (act, adds), out)
    }

    /// [`Conv2d::rows`] with a fold before or an unfold after.
    pub(super) fn rows_around(
        &self,
        rows: Range<usize>,
        x: &Ring,
        around: Around,
        end: (Activation, bool),
        out: &mut Ring,
    ) -> Result<()> {
        match self.frozen() {
            Some(frozen) => frozen.rows(rows, x, around, end, out),
            None => bail!("images pass by weights that were loaded for serving only"),
        }
    }

    /// Returns `true` if prepared weights compute the result for `x`, which requires that no gradient is tracked.
    pub(super) fn serves(&self, x: &Tensor) -> bool {
        !x.track_op() && self.frozen().is_some()
    }

    /// Prepared weights, if these weights are constant and Limpid's kernels support them.
    fn frozen(&self) -> Option<&Frozen> {
        if self.weight.track_op() || self.bias.track_op() {
            return None;
        }
        self.frozen.get_or_init(|| Frozen::new(&self.weight, &self.bias).ok().flatten()).as_ref()
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};
    use candle_nn::VarMap;

    use super::*;

    fn layer(vars: &VarMap) -> Conv2d {
        Conv2d::new(3, 4, (3, 3), 1.0, VarBuilder::from_varmap(vars, DType::F32, &Device::Cpu)).unwrap()
    }

    fn run(layer: &Conv2d) -> Vec<f32> {
        let x = Tensor::ones((1, 3, 6, 7), DType::F32, &Device::Cpu).unwrap();
        let y = layer.forward(&x, Activation::Relu, None).unwrap();
        y.flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn a_frozen_layer_computes_the_same_and_keeps_its_weights() {
        let vars = VarMap::new();
        let trained = layer(&vars);
        let frozen = trained.freeze().unwrap();
        let before = run(&trained);
        assert_eq!(run(&frozen), before);
        for var in vars.all_vars() {
            var.set(&(var.as_tensor() + 1.0).unwrap()).unwrap();
        }
        assert_ne!(run(&trained), before);
        assert_eq!(run(&frozen), before);
    }

    #[test]
    fn loaded_weights_are_prepared_and_variables_are_not() {
        let vars = VarMap::new();
        let trained = layer(&vars);
        run(&trained);
        assert!(trained.frozen.get().is_none());
        let frozen = trained.freeze().unwrap();
        run(&frozen);
        assert!(frozen.frozen.get().is_some());
    }

    #[test]
    fn a_gradient_flows_through_a_frozen_layer_to_its_input() {
        let layer = layer(&VarMap::new()).freeze().unwrap();
        let x = candle_core::Var::ones((1, 3, 5, 5), DType::F32, &Device::Cpu).unwrap();
        let y = layer.forward(&x, Activation::None, None).unwrap();
        assert!(y.sum_all().unwrap().backward().unwrap().get(&x).is_some());
    }
}
