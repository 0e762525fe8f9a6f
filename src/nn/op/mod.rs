//! Operations: what layers are made of, differentiable, on any candle device.
//!
//! On the CPU they run on Limpid's own kernels (`crate::kernel`), elsewhere on candle's.

use candle_core::{Result, Tensor};

/// What happens to a convolution's sum before it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// Nothing.
    None,
    /// `max(0, x)`.
    Relu,
}

/// `act(conv(x, weight) + bias + residual)`, stride 1, zero padding that keeps `H` and `W`.
///
/// # Shape
/// `x: (B, C, H, W)`, `weight: (Z, C, K, K)` with `K` 1 or 3, `bias: (Z)`, `residual: (B, Z, H, W)`
/// -> `(B, Z, H, W)`.
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
    let (z, _, k, _) = weight.dims4()?;
    let sum = x.conv2d(weight, k / 2, 1, 1, 1)?.broadcast_add(&bias.reshape((1, z, 1, 1))?)?;
    let sum = match residual {
        Some(residual) => (sum + residual)?,
        None => sum,
    };
    match act {
        Activation::None => Ok(sum),
        Activation::Relu => sum.relu(),
    }
}

/// Moves each 2x2 square of pixels into channels: channel `4 c + 2 i + j` holds the pixels at row `i`,
/// column `j` of the squares of channel `c`.
///
/// # Shape
/// `x: (B, C, 2H, 2W)` -> `(B, 4C, H, W)`.
///
/// # Errors
/// An extent is odd.
///
/// # Source
/// W. Shi et al., "Real-time single image and video super-resolution using an efficient sub-pixel
/// convolutional neural network", CVPR 2016.
pub fn pixel_unshuffle(x: &Tensor) -> Result<Tensor> {
    candle_nn::ops::pixel_unshuffle(x, 2)
}

/// The inverse of [`pixel_unshuffle`].
///
/// # Shape
/// `x: (B, 4C, H, W)` -> `(B, C, 2H, 2W)`.
///
/// # Errors
/// The channels are not a multiple of 4.
pub fn pixel_shuffle(x: &Tensor) -> Result<Tensor> {
    candle_nn::ops::pixel_shuffle(x, 2)
}
