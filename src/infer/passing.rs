//! Streaming inference: large samples of one shape are computed strip by strip and band by band, so that only some rows
//! of each map are in memory.

use super::strip::{self, Strip};
use super::{Error, Pace, Result, Session};
use crate::memory::pages;
use crate::nn::model::{Parts, Ports, Scales, Stream};
use crate::sample::Shape;

impl Session {
    /// Returns the streaming plan for a sample of this shape; `None` if it is computed in one piece.
    pub(super) fn passing(&self, shape: Shape) -> Option<Passing<'_>> {
        let network = self.model.scales()?;
        let (height, width) = self.padded(shape);
        (!strip::is_whole(height, width)).then_some(Passing { network, height, width })
    }
}

/// Plan of streaming inference for samples of one shape.
pub struct Passing<'a> {
    network: &'a Scales,
    height: usize,
    width: usize,
}

impl Passing<'_> {
    /// Iterates over the strips of a sample.
    pub fn strips(&self, parts: Parts) -> impl Iterator<Item = Strip> {
        let (sizes, reach) = (self.network.sizes(), self.network.sizes().reach());
        let reach = match parts {
            Parts::Encoder => reach.encoder,
            Parts::Decoder => reach.decoder,
            Parts::All => reach.encoder + reach.decoder,
        };
        strip::cut(self.height, self.width, sizes.axes.stride(), reach)
    }

    /// Returns the ratio of the columns of the sample to those of each map of the latent.
    pub fn shrink(&self) -> [usize; 3] {
        self.network.sizes().planes().map(|(_, scale)| scale)
    }

    /// Returns the memory of the network for one strip, in bytes.
    pub fn bytes(&self) -> usize {
        let widest = self.strips(Parts::All).take(3).map(|strip| strip.outer.len()).max().unwrap_or(0);
        self.stream(Parts::All, widest).bytes()
    }

    fn stream(&self, parts: Parts, width: usize) -> Stream<'_> {
        let places = strip::band(self.height, self.width);
        self.network.stream(parts, (self.height, width), places)
    }

    /// Streams a strip through the network.
    ///
    /// # Errors
    /// Errors of the network; [`Error::Abandoned`].
    pub fn run(&self, parts: Parts, strip: &Strip, mut ports: impl Ports, pace: &dyn Pace) -> Result<()> {
        if strip::is_large(self.height, self.width) {
            // Returns free memory to the system: the input file is decoded, and the previous strip may have had another
            // width.
            pages::release();
        }
        let mut stream = self.stream(parts, strip.outer.len());
        while stream.is_going() {
            piece(pace, || Ok(stream.advance(&mut ports)?))?;
        }
        Ok(())
    }
}

/// Runs one piece of long work unless it is cancelled.
pub fn piece<R>(pace: &dyn Pace, work: impl FnOnce() -> Result<R>) -> Result<R> {
    if pace.next() { work() } else { Err(Error::Abandoned) }
}
