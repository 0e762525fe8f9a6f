//! Quality: how good a result is, with the classical baselines it is held against.

mod psnr;

pub use psnr::{mse, psnr, psnr_with_peak, rmse, snr};
