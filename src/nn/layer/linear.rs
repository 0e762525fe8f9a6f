//! Linear layer of vectors: a matrix product and a bias.

use candle_core::{Result, Tensor};
use candle_nn::{Init, VarBuilder};

use super::Conv2d;
use crate::nn::op::Activation;

/// Layer that computes `x W^T + b` as a 1x1 convolution: Limpid's kernels sum in a fixed order, whereas a general
/// matrix product sums in an order that depends on the batch size.
#[derive(Debug, Clone)]
pub struct Linear(Conv2d);

impl Linear {
    /// Floats of scratch in the kernel for each feature of one sample: a tile of eight rows (`kernel::dense`).
    pub const WORKS_IN: usize = 8;

    /// Creates a layer from `d_in` to `d_out` features; new weights are normal with variance `gain^2 / d_in` (see
    /// [`super::Conv2d::new`]).
    ///
    /// # Errors
    /// The stored weights have another shape.
    pub fn new(d_in: usize, d_out: usize, gain: f64, vb: VarBuilder) -> Result<Self> {
        let init = Init::Randn { mean: 0.0, stdev: gain / (d_in as f64).sqrt() };
        let weight = vb.get_with_hints((d_out, d_in), "weight", init)?;
        let bias = vb.get_with_hints(d_out, "bias", Init::Const(0.0))?;
        // The reshaped weight shares memory with the stored matrix, also while that is trained.
        Ok(Self(Conv2d::of(weight.reshape((d_out, d_in, 1, 1))?, bias)))
    }

    /// # Shape
    /// `x: (B, D)` -> `(B, E)`.
    ///
    /// # Errors
    /// The shapes do not fit.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (batch, features) = x.dims2()?;
        if self.0.serves(x) {
            let images = x.reshape((batch, features, 1, 1))?;
            return self.0.forward(&images, Activation::None, None)?.flatten_from(1);
        }
        // A row of samples, along which the gradient of the weights is summed fast.
        let line = x.t()?.contiguous()?.reshape((1, features, 1, batch))?;
        let line = self.0.forward(&line, Activation::None, None)?;
        line.reshape(((), batch))?.t()?.contiguous()
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};
    use candle_nn::VarMap;

    use super::*;

    #[test]
    fn it_is_the_matrix_product_for_any_batch_and_follows_training() {
        let vars = VarMap::new();
        let layer =
            Linear::new(70, 9, 1.0, VarBuilder::from_varmap(&vars, DType::F32, &Device::Cpu)).unwrap();
        let x = Tensor::randn(0f32, 1.0, (11, 70), &Device::Cpu).unwrap();
        let rows = |y: &Tensor| y.to_vec2::<f32>().unwrap();
        for _ in 0..2 {
            let (weight, bias) = {
                let vars = vars.data().lock().unwrap();
                (vars["weight"].as_tensor().clone(), vars["bias"].as_tensor().clone())
            };
            let expected = x.matmul(&weight.t().unwrap()).unwrap().broadcast_add(&bias).unwrap();
            let seen = layer.forward(&x).unwrap();
            let error =
                (&seen - &expected).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
            assert!(error < 1e-4, "{error}");
            // Prepared for inference it takes another path, with the same bits.
            let served = Linear(layer.0.freeze().unwrap()).forward(&x).unwrap();
            assert_eq!(rows(&served), rows(&seen));
            for i in 0..11 {
                let alone = layer.forward(&x.narrow(0, i, 1).unwrap()).unwrap();
                assert_eq!(rows(&alone)[0], rows(&seen)[i]);
            }
            let gradients = seen.sqr().unwrap().sum_all().unwrap().backward().unwrap();
            assert!(gradients.get(&weight).is_some());
            vars.all_vars().iter().for_each(|var| var.set(&(var.as_tensor() * 0.5).unwrap()).unwrap());
        }
    }
}
