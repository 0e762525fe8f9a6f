//! Steps between two scales: fewer positions with more channels each, and back.
//!
//! Reordering between positions and channels, with a 1x1 convolution, equals a convolution with a stride equal to its width
//! (or its transpose). Positions do not overlap, so there are no checkerboard artefacts and no special cases for odd sizes.

use std::ops::Range;

use candle_core::{Result, Tensor, bail};
use candle_nn::VarBuilder;

use super::Conv2d;
use crate::kernel::{self, Around, Ring};
use crate::nn::op::{Activation, pixel_shuffle, pixel_unshuffle};

/// Shape of the neighbourhood that becomes channels of one position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fold {
    /// Squares of 2x2.
    Square,
    /// This many adjacent numbers of a row.
    Row(usize),
}

impl Fold {
    /// Rows and columns of the neighbourhood, the factors by which the extents shrink.
    pub fn rectangle(self) -> (usize, usize) {
        match self {
            Fold::Square => (2, 2),
            Fold::Row(n) => (1, n),
        }
    }

    /// Number of channels that one channel becomes.
    pub fn factor(self) -> usize {
        match self {
            Fold::Square => 4,
            Fold::Row(n) => n,
        }
    }

    /// Rows before the fold that become these rows after it.
    pub fn pixels(self, rows: &Range<usize>) -> Range<usize> {
        let (high, _) = self.rectangle();
        high * rows.start..high * rows.end
    }

    /// Rows of a neighbourhood of two columns.
    fn pairs(self) -> Result<usize> {
        match self.rectangle() {
            (rows, 2) => Ok(rows),
            _ => bail!("a step between scales folds two columns, not {self:?}"),
        }
    }

    /// [`Fold::fold`] for some rows of one streamed image, given as rows of the result.
    pub fn fold_rows(self, rows: Range<usize>, x: &Ring, to: &mut Ring) {
        kernel::fold_rows(self.rectangle(), rows, x, to);
    }

    /// Inverse of [`Fold::fold_rows`]; `rows` are the argument's.
    pub fn unfold_rows(self, rows: Range<usize>, x: &Ring, to: &mut Ring) {
        kernel::unfold_rows(self.rectangle(), rows, x, to);
    }

    /// # Shape
    /// `(B, C, 2H, 2W)` -> `(B, 4C, H, W)`, or `(B, C, H, n W)` -> `(B, n C, H, W)`.
    ///
    /// # Errors
    /// An extent is not a multiple of the fold's.
    pub fn fold(self, x: &Tensor) -> Result<Tensor> {
        let Fold::Row(n) = self else { return pixel_unshuffle(x) };
        let (b, c, h, w) = x.dims4()?;
        if w % n != 0 {
            bail!("a fold of {n} needs a multiple of {n} columns, has {w}: pad the input");
        }
        let split = x.reshape((b, c, h, w / n, n))?.permute((0, 1, 4, 2, 3))?.contiguous()?;
        split.reshape((b, c * n, h, w / n))
    }

    /// Inverse of [`Fold::fold`].
    ///
    /// # Errors
    /// The channels are not a multiple of the factor.
    pub fn unfold(self, x: &Tensor) -> Result<Tensor> {
        let Fold::Row(n) = self else { return pixel_shuffle(x) };
        let (b, c, h, w) = x.dims4()?;
        if c % n != 0 {
            bail!("an unfold of {n} needs a multiple of {n} channels, has {c}");
        }
        let split = x.reshape((b, c / n, n, h, w))?.permute((0, 1, 3, 4, 2))?.contiguous()?;
        split.reshape((b, c / n, h, w * n))
    }
}

/// Step to the next coarser scale: `(B, C, H, W)`, folded, -> `(B, Z, ...)`.
#[derive(Debug, Clone)]
pub struct Down(Conv2d, Fold);

/// Step to the next finer scale: `(B, C, H, W)` -> `(B, Z, ...)`, unfolded.
#[derive(Debug, Clone)]
pub struct Up(Conv2d, Fold);

impl Down {
    /// Creates a step from `c_in` to `c_out` channels.
    ///
    /// # Errors
    /// The stored weights have another shape.
    pub fn new(c_in: usize, c_out: usize, fold: Fold, vb: VarBuilder) -> Result<Self> {
        Ok(Self(Conv2d::new(fold.factor() * c_in, c_out, (1, 1), 1.0, vb)?, fold))
    }

    /// # Errors
    /// An extent is not a multiple of the fold's, or the channels do not fit.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.0.forward(&self.1.fold(x)?, Activation::None, None)
    }

    /// [`Down::forward`] for some rows of one streamed image, in one pass.
    ///
    /// # Errors
    /// As [`Conv2d::rows`], or the fold has other than two columns.
    pub fn rows(&self, rows: Range<usize>, x: &Ring, out: &mut Ring) -> Result<()> {
        self.0.rows_around(rows, x, Around::Fold(self.1.pairs()?), (Activation::None, false), out)
    }
}

impl Up {
    /// Creates a step from `c_in` to `c_out` channels.
    ///
    /// # Errors
    /// The stored weights have another shape.
    pub fn new(c_in: usize, c_out: usize, fold: Fold, vb: VarBuilder) -> Result<Self> {
        Ok(Self(Conv2d::new(c_in, fold.factor() * c_out, (1, 1), 1.0, vb)?, fold))
    }

    /// # Errors
    /// The channels do not fit.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.1.unfold(&self.0.forward(x, Activation::None, None)?)
    }

    /// [`Up::forward`] for some rows of one streamed image, given as rows of `x`, in one pass.
    ///
    /// # Errors
    /// As [`Conv2d::rows`], or the fold has other than two columns.
    pub fn rows(&self, rows: Range<usize>, x: &Ring, out: &mut Ring) -> Result<()> {
        self.0.rows_around(rows, x, Around::Unfold(self.1.pairs()?), (Activation::None, false), out)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn neighbours_become_channels_and_come_back() {
        let x = Tensor::arange(0f32, 12.0, &Device::Cpu).unwrap().reshape((1, 2, 1, 6)).unwrap();
        let folded = Fold::Row(3).fold(&x).unwrap();
        assert_eq!(folded.dims(), [1, 6, 1, 2]);
        let values: Vec<f32> = folded.flatten_all().unwrap().to_vec1().unwrap();
        assert_eq!(values, [0.0, 3.0, 1.0, 4.0, 2.0, 5.0, 6.0, 9.0, 7.0, 10.0, 8.0, 11.0]);
        let back = Fold::Row(3).unfold(&folded).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(back, x.flatten_all().unwrap().to_vec1::<f32>().unwrap());
        assert!(Fold::Row(4).fold(&x).is_err());
    }
}
