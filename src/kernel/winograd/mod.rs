//! Winograd's F(4x4, 3x3): a 3x3 convolution with a quarter of the multiplications.
//!
//! The result is cut into tiles of 4x4 pixels, each from 6x6 pixels of the input. Transformed, a tile is 36
//! numbers a channel, and the convolution a product for each of the 36 apart: as matrices over tiles and
//! channels, 36 small matrix products. The lanes of a vector are channels of one tile (`by_channels`, which also serves the
//! gradient of the weights), or tiles of one channel where rows have enough of them (`by_tiles`).
//!
//! # Source
//! A. Lavin and S. Gray, "Fast algorithms for convolutional neural networks", CVPR 2016.

mod blocks;
mod by_channels;
mod by_tiles;
mod transform;
mod weight;
mod weight_grad;

pub(super) use weight::Weight;
pub(super) use weight_grad::conv2d as weight_grad;

use std::sync::OnceLock;

use super::Conv;
use super::epilogue::Epilogue;
use super::isa::Isa;
use super::parallel::Shared;

/// Transformed weights in the orders in which they are read, each made on first use.
#[derive(Debug, Default)]
pub(super) struct Packed {
    by_channels: OnceLock<Vec<f32>>,
    by_tiles: OnceLock<Vec<f32>>,
}

/// Convolves `x` into `out`, all of which is written. `packed` is that of the same weight, or empty.
pub(super) fn conv2d(
    isa: Isa,
    conv: &Conv,
    x: &[f32],
    weight: Weight,
    packed: &Packed,
    epilogue: &Epilogue,
    out: Shared<f32>,
) {
    if by_tiles::fits(isa, conv) {
        let packed = packed.by_tiles.get_or_init(|| by_tiles::pack(isa, conv, weight));
        by_tiles::conv2d(isa, conv, x, packed, epilogue, out);
    } else {
        let packed = packed.by_channels.get_or_init(|| by_channels::pack(isa, conv, weight));
        by_channels::conv2d(isa, conv, x, packed, epilogue, out);
    }
}

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

#[cfg(test)]
mod tests {
    use super::super::tests::{noise, on_every_isa};
    use super::*;

    #[test]
    fn lanes_of_tiles_and_of_channels_give_the_same_bits() {
        for (batch, c_in, c_out, h, w) in [
            (1, 40, 40, 12, 64),
            (1, 16, 24, 9, 131),
            (2, 24, 48, 8, 256),
            (1, 48, 16, 31, 61),
            (3, 64, 72, 6, 30),
            (1, 16, 16, 7, 7),
            (1, 96, 40, 16, 530),
        ] {
            let conv = Conv { batch, c_in, c_out, h, w, kh: 3, kw: 3 };
            let (x, taps) = (noise(conv.input_len(), 1), noise(conv.weight_len(), 2));
            let (bias, before) = (noise(c_out, 3), noise(conv.output_len(), 4));
            on_every_isa(|isa| {
                for (turned, adds) in [(false, false), (true, true)] {
                    let weight = Weight { taps: &taps, turned };
                    let epilogue = Epilogue { bias: Some(&bias), adds, relu: !adds };
                    let mut by_channels = before.clone();
                    let packed = by_channels::pack(isa, &conv, weight);
                    by_channels::conv2d(isa, &conv, &x, &packed, &epilogue, Shared::new(&mut by_channels));
                    let mut by_tiles = before.clone();
                    let packed = by_tiles::pack(isa, &conv, weight);
                    by_tiles::conv2d(isa, &conv, &x, &packed, &epilogue, Shared::new(&mut by_tiles));
                    assert!(by_channels == by_tiles, "{isa:?} {conv:?}, turned: {turned}");
                }
            });
        }
    }
}
