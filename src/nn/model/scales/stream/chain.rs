//! Chain: a map, and the residual blocks that change it in place while its rows are streamed.

use std::ops::Range;

use candle_core::Result;

use super::schedule::{Band, Level};
use crate::kernel::Ring;
use crate::nn::layer::Residual;

/// Map and the residual blocks that change it in place.
#[derive(Debug)]
pub struct Chain<'a> {
    level: Level,
    pub map: Ring,
    /// Residual blocks, each with its map between the convolutions.
    blocks: Vec<(&'a Residual, Ring)>,
    /// Lag with which the map is written, in rows.
    lag: usize,
}

impl<'a> Chain<'a> {
    /// Creates a chain over a ring that is written with lag `lag` and read with lag `read` at most.
    pub fn new(level: Level, channels: usize, blocks: &'a [Residual], lag: usize, read: usize) -> Self {
        let inner = |block| (block, level.ring(channels, 0, level.look_back(0)));
        let map = level.ring(channels, lag, read.max(level.after(lag, blocks)));
        Self { level, map, blocks: blocks.iter().map(inner).collect(), lag }
    }

    /// Rows that are written once a band has entered.
    pub fn rows(&self, band: &Band) -> Range<usize> {
        self.level.rows(band, self.lag)
    }

    /// Runs the blocks on the rows that a band makes available.
    ///
    /// # Errors
    /// The weights are trainable.
    pub fn run(&mut self, band: &Band) -> Result<()> {
        let (level, mut lag) = (self.level, self.lag);
        for (block, inner) in &mut self.blocks {
            let rows = [1, 2].map(|layers| level.rows(band, lag + layers * level.behind));
            block.rows(&mut self.map, inner, rows)?;
            lag += 2 * level.behind;
        }
        Ok(())
    }

    /// Size of its maps in bytes.
    pub fn bytes(&self) -> usize {
        self.map.bytes() + self.blocks.iter().map(|(_, inner)| inner.bytes()).sum::<usize>()
    }
}
