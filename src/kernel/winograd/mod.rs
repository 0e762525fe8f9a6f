//! Winograd's F(4x4, 3x3): a 3x3 convolution with a quarter of the multiplications.
//!
//! The result is cut into tiles of 4x4 pixels, each from 6x6 pixels of the input. Transformed, a tile is 36
//! numbers a channel, and the convolution a product for each of the 36 apart: as matrices over tiles and
//! channels, 36 small matrix products. Everything between the transforms is channels-last, so that a vector
//! is 16 (8, 4) channels of one pixel, forward and backward run on the same transforms, and planes of any width
//! fill whole vectors.
//!
//! # Source
//! A. Lavin and S. Gray, "Fast algorithms for convolutional neural networks", CVPR 2016.

mod blocks;
mod forward;
mod transform;
mod weight_grad;

pub(super) use forward::{conv2d, pack};
pub(super) use weight_grad::conv2d as weight_grad;

use super::Conv;

/// Numbers of a transformed tile.
const POINTS: usize = 36;

/// Whether this way is faster than the direct one: enough channels to pay for the transforms, and planes of
/// which tiles of 4x4 are a good cover. The batch has no say, or else a sample's result would depend on it.
pub(super) fn fits(conv: &Conv) -> bool {
    let channels = |c: usize| c >= 16 && c.is_multiple_of(8);
    let covered = conv.h.next_multiple_of(4) * conv.w.next_multiple_of(4);
    (conv.kh, conv.kw) == (3, 3)
        && channels(conv.c_in)
        && channels(conv.c_out)
        && conv.h.min(conv.w) >= 6
        && 2 * covered <= 3 * conv.h * conv.w
}
