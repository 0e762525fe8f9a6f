//! Losses that training minimizes.

use candle_core::{Result, Tensor};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Keeps the logarithm finite for a sample that is reconstructed perfectly: 50 dB on the 0..1 scale of images.
const FLOOR: f64 = 1e-5;

/// Reduction of a batch's squared errors to one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ValueEnum, ToSchema)]
#[serde(rename_all = "lowercase")]
#[value(rename_all = "lower")]
pub enum Loss {
    /// Mean squared error: strong noise, which causes large errors, dominates.
    #[default]
    Mse,
    /// Mean logarithm of each sample's mean squared error, as in PSNR: a decibel counts the same at weak noise and at
    /// strong noise.
    Psnr,
}

impl Loss {
    /// Computes the loss of errors (result minus target, on the samples' own scale) and their plain mean square.
    ///
    /// # Shape
    /// `errors: (B, ...)` -> two scalars.
    ///
    /// # Source
    /// The logarithm: L. Chen et al., "Simple baselines for image restoration", ECCV 2022 (PSNR loss).
    ///
    /// # Errors
    /// Out of memory on the device.
    pub fn of(self, errors: &Tensor) -> Result<(Tensor, Tensor)> {
        let each = errors.sqr()?.flatten_from(1)?.mean(1)?;
        let mean = each.mean_all()?;
        Ok(match self {
            Loss::Mse => (mean.clone(), mean),
            Loss::Psnr => ((each + FLOOR)?.log()?.mean_all()?, mean),
        })
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;

    /// Two samples, the second with ten times the error of the first.
    fn errors() -> Var {
        Var::from_tensor(&Tensor::new(&[[[0.1f32, -0.1]], [[1.0, 1.0]]], &Device::Cpu).unwrap()).unwrap()
    }

    #[test]
    fn both_report_the_mean_squared_error() {
        for loss in [Loss::Mse, Loss::Psnr] {
            let (_, mean) = loss.of(errors().as_tensor()).unwrap();
            assert!((mean.to_scalar::<f32>().unwrap() - 0.505).abs() < 1e-6, "{loss:?}");
        }
    }

    #[test]
    fn under_psnr_a_small_error_pulls_as_hard_as_a_large_one() {
        let pull = |loss: Loss| {
            let errors = errors();
            let grads = loss.of(errors.as_tensor()).unwrap().0.backward().unwrap();
            // Derivative of the loss when each sample's error shrinks by the same factor.
            let moved = (grads.get(errors.as_tensor()).unwrap() * errors.as_tensor()).unwrap();
            moved.sum((1, 2)).unwrap().to_vec1::<f32>().unwrap()
        };
        let (mse, psnr) = (pull(Loss::Mse), pull(Loss::Psnr));
        assert!((mse[1] / mse[0] - 100.0).abs() < 1.0, "{mse:?}");
        assert!((psnr[1] / psnr[0] - 1.0).abs() < 0.01, "{psnr:?}");
    }
}
