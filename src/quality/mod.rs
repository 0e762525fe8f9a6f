//! Quality: how good a result is, with the classical baselines it is held against.

mod psnr;

pub use psnr::{mse, psnr, psnr_with_peak, rmse, snr};

/// placeholder
pub fn estimate_sigma(_: &[f32], _: crate::sample::Shape) -> f32 {
    0.0
}
