//! Passing: how large samples of one shape go through the network, strip by strip and band by band, so that no more than some
//! rows of each map are in memory.

use super::strip::{self, Strip};
use super::{Error, Pace, Result, Session};
use crate::kernel::pages;
use crate::nn::model::{Parts, Ports, Scales, Stream};
use crate::sample::Shape;

impl Session {
    /// How a sample of this shape passes the network, unless it goes through in one piece.
    pub(super) fn passing(&self, shape: Shape) -> Option<Passing<'_>> {
        let network = self.model.scales()?;
        let (height, width) = self.padded(shape);
        (!strip::is_whole(height, width)).then_some(Passing { network, height, width })
    }
}

/// How samples of one shape pass the network row by row.
pub struct Passing<'a> {
    network: &'a Scales,
    height: usize,
    width: usize,
}

impl Passing<'_> {
    /// The strips that a sample is cut into.
    pub fn strips(&self, parts: Parts) -> impl Iterator<Item = Strip> {
        let (sizes, reach) = (self.network.sizes(), self.network.sizes().reach());
        let reach = match parts {
            Parts::Encoder => reach.encoder,
            Parts::Decoder => reach.decoder,
            Parts::All => reach.encoder + reach.decoder,
        };
        strip::cut(self.height, self.width, sizes.axes.stride(), reach)
    }

    /// How many times fewer columns each map of the latent has.
    pub fn shrink(&self) -> [usize; 3] {
        self.network.sizes().planes().map(|(_, scale)| scale)
    }

    /// Bytes that the network takes for a strip.
    pub fn bytes(&self) -> usize {
        let widest = self.strips(Parts::All).take(3).map(|strip| strip.outer.len()).max().unwrap_or(0);
        self.stream(Parts::All, widest).bytes()
    }

    fn stream(&self, parts: Parts, width: usize) -> Stream<'_> {
        let places = strip::band(self.height, self.width);
        self.network.stream(parts, (self.height, width), places)
    }

    /// Lets a strip pass by.
    ///
    /// # Errors
    /// The network's; [`Error::Abandoned`].
    pub fn run(&self, parts: Parts, strip: &Strip, mut ports: impl Ports, pace: &dyn Pace) -> Result<()> {
        if strip::is_large(self.height, self.width) {
            // The file is read, and the strip before had another width.
            pages::release();
        }
        let mut stream = self.stream(parts, strip.outer.len());
        while stream.is_going() {
            piece(pace, || Ok(stream.advance(&mut ports)?))?;
        }
        Ok(())
    }
}

/// One piece of long work.
pub fn piece<R>(pace: &dyn Pace, work: impl FnOnce() -> Result<R>) -> Result<R> {
    if pace.next() { work() } else { Err(Error::Abandoned) }
}
