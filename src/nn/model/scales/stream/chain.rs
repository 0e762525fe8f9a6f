//! Chain: a map, and the residual blocks that change it in place as its rows pass by.

use std::ops::Range;

use candle_core::Result;

use super::schedule::{Band, Level};
use crate::kernel::Ring;
use crate::nn::layer::Residual;

/// A map, and the residual blocks that change it in place.
#[derive(Debug)]
pub struct Chain<'a> {
    level: Level,
    pub map: Ring,
    /// Each with its map between the convolutions.
    blocks: Vec<(&'a Residual, Ring)>,
    /// How far behind the map is written.
    lag: usize,
}

impl<'a> Chain<'a> {
    /// Over a ring whose rows are written `lag` behind and read so far behind at most.
    pub fn new(level: Level, channels: usize, blocks: &'a [Residual], lag: usize, read: usize) -> Self {
        let inner = |block| (block, level.ring(channels, 0, level.look_back(0)));
        let map = level.ring(channels, lag, read.max(level.after(lag, blocks)));
        Self { level, map, blocks: blocks.iter().map(inner).collect(), lag }
    }

    /// The rows that are written once a band has entered.
    pub fn rows(&self, band: &Band) -> Range<usize> {
        self.level.rows(band, self.lag)
    }

    /// # Errors
    /// The weights can be trained.
    pub fn run(&mut self, band: &Band) -> Result<()> {
        let (level, mut lag) = (self.level, self.lag);
        for (block, inner) in &mut self.blocks {
            let rows = [1, 2].map(|layers| level.rows(band, lag + layers * level.behind));
            block.rows(&mut self.map, inner, rows)?;
            lag += 2 * level.behind;
        }
        Ok(())
    }

    /// Bytes of its maps.
    pub fn bytes(&self) -> usize {
        self.map.bytes() + self.blocks.iter().map(|(_, inner)| inner.bytes()).sum::<usize>()
    }
}
