//! Schedule: rows that each layer computes once a band of rows has entered.
//!
//! A lag is the number of rows, of its own scale, by which a layer is behind the rows that have entered. A layer with
//! a kernel taller than one row lags behind the one before it; a layer at another scale has the lag of its input,
//! converted to its own rows.

use std::ops::Range;

use super::super::Scales;
use super::Parts;
use crate::kernel::Ring;
use crate::nn::layer::Residual;

/// Rows by which a layer with a kernel taller than one row lags behind the one before it: a tile of Winograd's algorithm.
const BEHIND: usize = 4;

/// Extents of one scale.
#[derive(Debug, Clone, Copy)]
pub struct Level {
    pub height: usize,
    pub width: usize,
    /// Factor by which it has fewer rows than the finest scale.
    pub shrink: usize,
    /// Rows by which a layer with a large kernel lags behind the one before it.
    pub behind: usize,
    /// Number of rows of a band.
    pub band: usize,
}

/// Band: the rows of the finest scale that enter together; numbering continues beyond the end of the sample.
pub type Band = Range<usize>;

impl Level {
    /// Rows that a layer with lag `lag` computes once a band has entered.
    pub fn rows(&self, band: &Band, lag: usize) -> Range<usize> {
        let at = |row: usize| (row / self.shrink).saturating_sub(lag).min(self.height);
        at(band.start)..at(band.end)
    }

    /// Creates a ring for rows written and read with these lags.
    pub fn ring(&self, channels: usize, written: usize, read: usize) -> Ring {
        Ring::new(channels, (self.height, self.width), self.band + read - written)
    }

    /// Lag after a chain of `blocks` that starts with lag `lag`.
    pub fn after(&self, lag: usize, blocks: &[Residual]) -> usize {
        lag + 2 * self.behind * blocks.len()
    }

    /// Lag up to which a layer with a large kernel reads the output of one with lag `lag`, including the row that it
    /// looks back.
    pub fn look_back(&self, lag: usize) -> usize {
        lag + self.behind + self.behind.min(1)
    }
}

/// Lags of a network; arrays are ordered from the finest scale to the coarsest.
#[derive(Debug, Clone, Copy)]
pub struct Schedule {
    pub levels: [Level; 3],
    /// Factor by which each scale has fewer rows than the next finer one.
    pub shrink: usize,
    /// Lags of the encoder's first layer of each scale, and of its last.
    pub entered: [usize; 3],
    pub coded: [usize; 3],
    /// Lags of the decoder's first layer of each scale, and of its last.
    pub begun: [usize; 3],
    pub decoded: [usize; 3],
    /// Lag of the decoder's result.
    pub strict: usize,
    /// Lag of the result, refined if there is a refiner.
    pub result: usize,
    /// Number of rows after the last one has entered until all is done.
    pub last: usize,
}

impl Schedule {
    /// Plans a finest scale of `height` x `width`, of which about `places` positions enter at a time.
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
