//! Residual block: two convolutions and a skip connection.

use std::ops::Range;

use candle_core::{Result, Tensor};
use candle_nn::VarBuilder;

use super::Conv2d;
use crate::kernel::Ring;
use crate::nn::op::Activation;

/// Block that computes `x + conv(relu(conv(x)))`, without normalisation or an activation after the sum.
///
/// # Source
/// B. Lim et al., "Enhanced deep residual networks for single image super-resolution", CVPRW 2017,
/// section 3.1.
#[derive(Debug, Clone)]
pub struct Residual {
    first: Conv2d,
    second: Conv2d,
}

impl Residual {
    /// Creates a block of `width` channels with kernels of `(rows, columns)`.
    ///
    /// # Errors
    /// The stored weights have another shape.
    pub fn new(width: usize, kernel: (usize, usize), vb: VarBuilder) -> Result<Self> {
        Ok(Self {
            first: Conv2d::new(width, width, kernel, 2f64.sqrt(), vb.pp("first"))?,
            // Small, so that a deep stack of new blocks starts near the identity.
            second: Conv2d::new(width, width, kernel, 0.3, vb.pp("second"))?,
        })
    }

    /// Creates a sequence of `count` blocks.
    ///
    /// # Errors
    /// The stored weights have another shape.
    pub fn stack(count: usize, width: usize, kernel: (usize, usize), vb: VarBuilder) -> Result<Vec<Self>> {
        (0..count).map(|i| Self::new(width, kernel, vb.pp(i))).collect()
    }

    /// Applies the block. The memory of `x` may be reused for the result.
    ///
    /// # Shape
    /// `x: (B, C, H, W)` -> `(B, C, H, W)`.
    ///
    /// # Errors
    /// The shapes do not fit.
    pub fn forward(&self, x: Tensor) -> Result<Tensor> {
        let inner = self.first.forward(&x, Activation::Relu, None)?;
        self.second.forward(&inner, Activation::None, Some(x))
    }

    /// [`Residual::forward`] for some rows of one streamed image: rows `between` of `inner`, between the
    /// convolutions, then rows `result`, which replace the input's in `map`.
    ///
    /// # Errors
    /// As [`Conv2d::rows`].
    pub fn rows(&self, map: &mut Ring, inner: &mut Ring, [between, result]: [Range<usize>; 2]) -> Result<()> {
        self.first.rows(between, map, Activation::Relu, false, inner)?;
        self.second.rows(result, inner, Activation::None, true, map)
    }

    /// Applies `blocks` to `x` in order, reusing its memory as [`Residual::forward`] does.
    ///
    /// # Errors
    /// The shapes do not fit.
    pub fn run(blocks: &[Self], x: Tensor) -> Result<Tensor> {
        blocks.iter().try_fold(x, |x, block| block.forward(x))
    }
}
