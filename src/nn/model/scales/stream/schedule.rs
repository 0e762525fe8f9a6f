//! Schedule: which rows each layer computes once a band of rows has entered.
//!
//! A lag is how many rows, of its own scale, a layer is behind the rows that have entered. A layer whose kernel has rows is
//! behind the one before it, and one at another scale as far as that one is.

use std::ops::Range;

use super::super::Scales;
use super::Parts;
use crate::kernel::Ring;
use crate::nn::layer::Residual;

/// Rows by which a layer follows the one before, where its kernel has rows: a tile of Winograd's algorithm.
const BEHIND: usize = 4;

/// The extents of one scale.
#[derive(Debug, Clone, Copy)]
pub struct Level {
    pub height: usize,
    pub width: usize,
    /// How many times fewer rows it has than the finest scale.
    pub shrink: usize,
    /// Rows by which a layer with a large kernel follows the one before.
    pub behind: usize,
    /// Rows of a band.
    pub band: usize,
}

/// A band: the rows of the finest scale that enter together, counted on beyond the end.
pub type Band = Range<usize>;

impl Level {
    /// The rows that a layer computes that is so far behind, once a band has entered.
    pub fn rows(&self, band: &Band, lag: usize) -> Range<usize> {
        let at = |row: usize| (row / self.shrink).saturating_sub(lag).min(self.height);
        at(band.start)..at(band.end)
    }

    /// A ring whose rows are written and read so far behind.
    pub fn ring(&self, channels: usize, written: usize, read: usize) -> Ring {
        Ring::new(channels, (self.height, self.width), self.band + read - written)
    }

    /// How far behind a chain of `blocks` ends that begins `lag` behind.
    pub fn after(&self, lag: usize, blocks: &[Residual]) -> usize {
        lag + 2 * self.behind * blocks.len()
    }

    /// How far behind a layer with a large kernel reads what one that is `lag` behind writes, the row it looks back included.
    pub fn look_back(&self, lag: usize) -> usize {
        lag + self.behind + self.behind.min(1)
    }
}

/// The lags of a network; arrays go from the finest scale to the coarsest.
#[derive(Debug, Clone, Copy)]
pub struct Schedule {
    pub levels: [Level; 3],
    /// How many times fewer rows each scale has than the finer one before it.
    pub shrink: usize,
    /// The encoder's first layer of each scale, and its last.
    pub entered: [usize; 3],
    pub coded: [usize; 3],
    /// The decoder's first layer of each scale, and its last.
    pub begun: [usize; 3],
    pub decoded: [usize; 3],
    /// The decoder's result.
    pub strict: usize,
    /// The result, refined where a refiner takes part.
    pub result: usize,
    /// So many rows after the last has entered, all is done.
    pub last: usize,
}

impl Schedule {
    /// For a finest scale of `height` x `width`, of which about so many places enter at a time.
    pub fn new(network: &Scales, parts: Parts, (height, width): (usize, usize), places: usize) -> Self {
        let Scales { sizes, encoder, decoder, refiner } = network;
        let (shrink, narrow) = sizes.axes.folds().1.rectangle();
        // Every scale gets whole tiles with every band.
        let least = BEHIND * shrink * shrink;
        let band = (places / width / least * least).clamp(least, height.next_multiple_of(least));
        let behind = if sizes.axes.kernel().0 > 1 { BEHIND } else { 0 };
        let levels = [0, 1, 2].map(|i| {
            let (shrink, narrow) = (shrink.pow(i), narrow.pow(i));
            Level { height: height / shrink, width: width / narrow, shrink, behind, band: band / shrink }
        });

        let (mut entered, mut coded) = ([0; 3], [0usize; 3]);
        for i in if parts == Parts::Decoder { 0..0 } else { 0..3 } {
            entered[i] = match i {
                0 => behind,
                _ => coded[i - 1].div_ceil(shrink).next_multiple_of(BEHIND),
            };
            coded[i] = levels[i].after(entered[i], &encoder.blocks[i]);
        }
        let (mut begun, mut decoded) = (coded, [0; 3]);
        for i in (0..3).rev() {
            let above = if i < 2 { shrink * decoded[i + 1] } else { 0 };
            begun[i] = coded[i].max(above);
            decoded[i] = levels[i].after(begun[i], &decoder.blocks[i]);
        }
        let strict = decoded[0] + behind;
        let result = match parts {
            Parts::All => levels[0].after(decoded[0], &refiner.blocks) + behind,
            Parts::Encoder | Parts::Decoder => strict,
        };
        let latent = (0..3).map(|i| levels[i].shrink * coded[i]).max().unwrap_or(0);
        let last = if parts == Parts::Encoder { latent } else { result };
        Self { levels, shrink, entered, coded, begun, decoded, strict, result, last }
    }
}
