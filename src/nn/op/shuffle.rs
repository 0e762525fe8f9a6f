//! Pixels to channels and back, by 2; each is the gradient of the other.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, bail};

use super::{floats, is_ours, stored};
use crate::kernel;

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
    let (_, _, h, w) = x.dims4()?;
    if h % 2 != 0 || w % 2 != 0 {
        bail!("pixel_unshuffle needs even extents, has {h} x {w}: pad the input");
    }
    if !is_ours(x) {
        return candle_nn::ops::pixel_unshuffle(x, 2);
    }
    x.contiguous()?.apply_op1(Way::Unshuffle)
}

/// Inverse of [`pixel_unshuffle`].
///
/// # Shape
/// `x: (B, 4C, H, W)` -> `(B, C, 2H, 2W)`.
///
/// # Errors
/// The channels are not a multiple of 4.
pub fn pixel_shuffle(x: &Tensor) -> Result<Tensor> {
    let (_, c, _, _) = x.dims4()?;
    if c % 4 != 0 {
        bail!("pixel_shuffle needs a multiple of 4 channels, has {c}");
    }
    if !is_ours(x) {
        return candle_nn::ops::pixel_shuffle(x, 2);
    }
    x.contiguous()?.apply_op1(Way::Shuffle)
}

/// Direction of the reordering.
enum Way {
    Shuffle,
    Unshuffle,
}

impl CustomOp1 for Way {
    fn name(&self) -> &'static str {
        match self {
            Way::Shuffle => "pixel_shuffle",
            Way::Unshuffle => "pixel_unshuffle",
        }
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (b, c, h, w) = layout.shape().dims4()?;
        let x = floats(x, layout)?;
        Ok(match self {
            Way::Shuffle => stored(kernel::pixel_shuffle(x, b * c / 4, h, w), (b, c / 4, 2 * h, 2 * w)),
            Way::Unshuffle => {
                stored(kernel::pixel_unshuffle(x, b * c, h / 2, w / 2), (b, 4 * c, h / 2, w / 2))
            }
        })
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        match self {
            Way::Shuffle => pixel_unshuffle(grad),
            Way::Unshuffle => pixel_shuffle(grad),
        }
        .map(Some)
    }
}
