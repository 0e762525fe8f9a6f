//! Winograd's F(4x4, 3x3): a 3x3 convolution with a quarter of the multiplications.
//!
//! The result is split into tiles of 4x4 pixels, each computed from 6x6 pixels of the input. Transformed, a tile is
//! 36 numbers a channel, and the convolution one product for each of the 36: as matrices over tiles and channels, 36
//! small matrix products. The lanes of a vector are tiles of one channel where rows of tiles fill vectors
//! (`by_tiles`), and otherwise channels of one tile (`by_channels`, also used for the gradient of the weights).
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
use super::conv::Span;
use super::epilogue::Epilogue;
use super::isa::Isa;
use super::parallel::{self, Shared};
use weight::Group;

/// Transformed weights in the orders in which they are read, each made on first use.
#[derive(Debug, Default)]
pub(super) struct Packed {
    by_channels: OnceLock<Vec<f32>>,
    by_tiles: OnceLock<Vec<f32>>,
}

/// Operands of one convolution.
#[derive(Clone, Copy)]
pub(super) struct Pass<'a> {
    /// Instruction set, available on this machine.
    pub isa: Isa,
    pub conv: &'a Conv,
    /// Rows to compute, whole tiles.
    pub span: &'a Span,
    pub x: &'a [f32],
    pub epilogue: &'a Epilogue<'a>,
    pub out: Shared<f32>,
}

/// Runs the convolution. `packed` belongs to the same weight, or is empty.
pub(super) fn conv2d(pass: Pass, weight: Weight, packed: &Packed) {
    let Pass { isa, conv, .. } = pass;
    let (all, wide) = (conv.w.div_ceil(4), by_tiles::columns(isa, conv));
    let tiles = (wide > 0).then(|| {
        let packed = packed.by_tiles.get_or_init(|| weight::pack(isa, conv, weight, Group::Rows));
        by_tiles::Tasks::new(pass, packed, wide)
    });
    let rest = (wide < all).then(|| {
        let packed = packed.by_channels.get_or_init(|| weight::pack(isa, conv, weight, Group::Columns));
        by_channels::Tasks::new(pass, packed, wide..all)
    });
    let first = tiles.as_ref().map_or(0, by_tiles::Tasks::len);
    let count = first + rest.as_ref().map_or(0, by_channels::Tasks::len);
    parallel::for_each(count, |i| match (&tiles, &rest) {
        (Some(tiles), _) if i < first => tiles.run(i),
        (_, Some(rest)) => rest.run(i - first),
        _ => unreachable!("task {i} of {count}"),
    });
}

/// Number of points, the numbers of a transformed tile.
const POINTS: usize = 36;

/// Returns `true` if this path is faster than the direct one: enough channels to pay for the transforms, and planes
/// that 4x4 tiles cover well. The batch size is ignored, or else a sample's result would depend on it.
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
            let span = Span::whole(&conv);
            let (x, taps) = (noise(conv.input_len(), 1), noise(conv.weight_len(), 2));
            let (bias, before) = (noise(c_out, 3), noise(conv.output_len(), 4));
            on_every_isa(|isa| {
                for (turned, adds) in [(false, false), (true, true)] {
                    let weight = Weight { taps: &taps, turned };
                    let epilogue = Epilogue { bias: Some(&bias), adds, relu: !adds };
                    let convolve = |run: &dyn Fn(Pass)| {
                        let mut out = before.clone();
                        let (conv, span, x, epilogue) = (&conv, &span, &x[..], &epilogue);
                        run(Pass { isa, conv, span, x, epilogue, out: Shared::new(&mut out) });
                        out
                    };
                    let by_channels = convolve(&|pass| {
                        let packed = weight::pack(isa, &conv, weight, Group::Columns);
                        let tasks = by_channels::Tasks::new(pass, &packed, 0..w.div_ceil(4));
                        (0..tasks.len()).for_each(|i| tasks.run(i));
                    });
                    let by_tiles = convolve(&|pass| {
                        let packed = weight::pack(isa, &conv, weight, Group::Rows);
                        let tasks = by_tiles::Tasks::new(pass, &packed, w.div_ceil(4));
                        (0..tasks.len()).for_each(|i| tasks.run(i));
                    });
                    let by_both = convolve(&|pass| {
                        conv2d(pass, weight, &Packed::default());
                    });
                    let case = format!("{isa:?} {conv:?}, turned: {turned}");
                    assert!(by_channels == by_tiles, "{case}");
                    assert!(by_channels == by_both, "{case}");
                }
            });
        }
    }
}
