//! Steps between two scales of a pyramid: half the size, or twice the size.
//!
//! Pixels move into channels (and back) beside a 1x1 convolution, which equals a 2x2 convolution of
//! stride 2 (and its transpose) and has no overlap, so no checkerboard and no odd-size case.

use candle_core::{Result, Tensor};
use candle_nn::VarBuilder;

use super::Conv2d;
use crate::nn::op::{Activation, pixel_shuffle, pixel_unshuffle};

/// Half the size: `(B, C, 2H, 2W)` -> `(B, Z, H, W)`.
#[derive(Debug, Clone)]
pub struct Down(Conv2d);

/// Twice the size: `(B, C, H, W)` -> `(B, Z, 2H, 2W)`.
#[derive(Debug, Clone)]
pub struct Up(Conv2d);

impl Down {
    /// A step from `c_in` to `c_out` channels.
    ///
    /// # Errors
    /// The stored weights have another shape.
    pub fn new(c_in: usize, c_out: usize, vb: VarBuilder) -> Result<Self> {
        Conv2d::new(4 * c_in, c_out, 1, 1.0, vb).map(Self)
    }

    /// # Errors
    /// An extent is odd, or the channels do not fit.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.0.forward(&pixel_unshuffle(x)?, Activation::None, None)
    }
}

impl Up {
    /// A step from `c_in` to `c_out` channels.
    ///
    /// # Errors
    /// The stored weights have another shape.
    pub fn new(c_in: usize, c_out: usize, vb: VarBuilder) -> Result<Self> {
        Conv2d::new(c_in, 4 * c_out, 1, 1.0, vb).map(Self)
    }

    /// # Errors
    /// The channels do not fit.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        pixel_shuffle(&self.0.forward(x, Activation::None, None)?)
    }
}
