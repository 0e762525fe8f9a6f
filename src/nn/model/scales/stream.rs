//! Streaming inference: the network over one sample, a band of rows at a time.
//!
//! With every band each layer computes all rows that it can: it lags the layer before it by the row that its kernel looks
//! ahead, in whole tiles of four rows. So every position of every map is computed once, and each map has in memory only the
//! rows between the layer that writes them and the last one that reads them ([`Ring`]). Residual blocks change their map in
//! place. Every number equals that of the whole maps, bit for bit: the same kernels sum the same products.

mod chain;
mod schedule;

use std::ops::Range;

use candle_core::Result;

use super::{Decoder, Encoder, Refiner, Scales};
use crate::kernel::Ring;
use crate::nn::layer::Fold;
use crate::nn::op::Activation;
use chain::Chain;
use schedule::{Band, Schedule};

/// Parts of a network that a sample runs through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parts {
    /// Encoder, to the latent.
    Encoder,
    /// Decoder, from the latent.
    Decoder,
    /// All parts, with the refiner.
    All,
}

/// Source and sinks of a stream. Rows come in order, each once.
pub trait Ports {
    /// Writes rows of the normalised sample to `pixels`.
    fn read(&mut self, rows: Range<usize>, pixels: &mut Ring);
    /// Writes rows of latent map `index`, coarsest first; after an encoder, receives the rows and may change them.
    fn latent(&mut self, index: usize, rows: Range<usize>, map: &mut Ring);
    /// Receives rows of the result.
    fn write(&mut self, rows: Range<usize>, pixels: &Ring);

    /// Returns `true` if rows are wanted as they are before the refiner, too.
    fn takes_strict(&self) -> bool {
        false
    }

    /// Receives rows of the sample that is decoded from the latent alone, if [`Ports::takes_strict`].
    fn strict(&mut self, _: Range<usize>, _: &Ring) {}
}

/// Streaming pass of one sample through a network.
#[derive(Debug)]
pub struct Stream<'a> {
    schedule: Schedule,
    fold: Fold,
    /// Number of rows of the finest scale that have entered.
    entered: usize,
    encoder: Option<Encoding<'a>>,
    /// Maps of the latent, finest first.
    latent: [Ring; 3],
    decoder: Option<Decoding<'a>>,
}

/// Streaming state of the encoder.
#[derive(Debug)]
struct Encoding<'a> {
    network: &'a Encoder,
    pixels: Ring,
    folded: Ring,
    chains: [Chain<'a>; 3],
}

/// Streaming state of the decoder and, after an encoder, the refiner.
#[derive(Debug)]
struct Decoding<'a> {
    network: &'a Decoder,
    chains: [Chain<'a>; 3],
    refiner: Option<(&'a Refiner, Chain<'a>)>,
    /// Result before it is unfolded.
    folded: Ring,
    pixels: Ring,
}

impl Scales {
    /// Creates a stream of a sample of `height` x `width`, multiples of the stride, through `parts`, in bands of
    /// about `places` positions at the finest scale. Allocates no maps yet.
    pub fn stream(&self, parts: Parts, (height, width): (usize, usize), places: usize) -> Stream<'_> {
        let sizes = &self.sizes;
        let fold = sizes.axes.folds().0;
        let (rows, cols) = fold.rectangle();
        let schedule = Schedule::new(self, parts, (height / rows, width / cols), places);
        let Schedule { levels, coded, begun, .. } = schedule;
        let pixels = || Ring::new(sizes.channels, (height, width), rows * levels[0].band);
        let encoder = || Encoding::new(self, parts, &schedule, pixels());
        let decoder = || Decoding::new(self, parts, &schedule, pixels());
        Stream {
            fold,
            entered: 0,
            encoder: (parts != Parts::Decoder).then(encoder),
            latent: [0, 1, 2].map(|i| levels[i].ring(sizes.latent[i], coded[i], begun[i])),
            decoder: (parts != Parts::Encoder).then(decoder),
            schedule,
        }
    }
}

impl Stream<'_> {
    /// Returns `true` if bands are left to process.
    pub fn is_going(&self) -> bool {
        self.entered < self.schedule.levels[0].height + self.schedule.last
    }

    /// Processes one band.
    ///
    /// # Errors
    /// The weights are trainable.
    pub fn advance(&mut self, ports: &mut impl Ports) -> Result<()> {
        let Self { schedule, fold, entered, encoder, latent, decoder } = self;
        let band = *entered..*entered + schedule.levels[0].band;
        *entered = band.end;
        if let Some(encoder) = encoder {
            encoder.run(*fold, schedule, &band, latent, ports)?;
        }
        for (i, map) in latent.iter_mut().enumerate() {
            ports.latent(2 - i, schedule.levels[i].rows(&band, schedule.coded[i]), map);
        }
        match decoder {
            Some(decoder) => decoder.run(*fold, schedule, &band, latent, encoder.as_ref(), ports),
            None => Ok(()),
        }
    }

    /// Size of its maps in bytes.
    pub fn bytes(&self) -> usize {
        let chains = |chains: &[Chain]| chains.iter().map(Chain::bytes).sum::<usize>();
        let encoder = self.encoder.iter().map(|e| e.pixels.bytes() + e.folded.bytes() + chains(&e.chains));
        let decoder = self.decoder.iter().map(|d| {
            let refiner = d.refiner.as_ref().map_or(0, |(_, chain)| chain.bytes());
            chains(&d.chains) + refiner + d.folded.bytes() + d.pixels.bytes()
        });
        encoder.chain(decoder).chain(self.latent.iter().map(Ring::bytes)).sum()
    }
}

impl<'a> Encoding<'a> {
    fn new(network: &'a Scales, parts: Parts, schedule: &Schedule, pixels: Ring) -> Self {
        let Schedule { levels, shrink, entered, decoded, .. } = *schedule;
        let Scales { sizes, encoder: network, .. } = network;
        let chain = |i: usize| {
            let next = if i < 2 { shrink * entered[i + 1] } else { 0 };
            let detail = if i == 0 && parts == Parts::All { decoded[0] } else { 0 };
            Chain::new(levels[i], sizes.widths[i], &network.blocks[i], entered[i], next.max(detail))
        };
        let channels = sizes.axes.folds().0.factor() * sizes.channels;
        let folded = levels[0].ring(channels, 0, levels[0].look_back(0));
        Self { network, pixels, folded, chains: [0, 1, 2].map(chain) }
    }

    fn run(
        &mut self,
        fold: Fold,
        schedule: &Schedule,
        band: &Band,
        latent: &mut [Ring; 3],
        ports: &mut impl Ports,
    ) -> Result<()> {
        let Self { network, pixels, folded, chains } = self;
        let Schedule { levels, coded, .. } = schedule;
        let rows = levels[0].rows(band, 0);
        ports.read(fold.pixels(&rows), pixels);
        fold.fold_rows(rows, pixels, folded);
        network.head.rows(chains[0].rows(band), folded, Activation::Relu, false, &mut chains[0].map)?;
        for i in 0..3 {
            chains[i].run(band)?;
            let rows = levels[i].rows(band, coded[i]);
            network.heads[i].rows(rows, &chains[i].map, Activation::None, false, &mut latent[i])?;
            if let [fine, coarse] = &mut chains[i..(i + 2).min(3)] {
                network.downs[i].rows(coarse.rows(band), &fine.map, &mut coarse.map)?;
            }
        }
        Ok(())
    }
}

impl<'a> Decoding<'a> {
    fn new(network: &'a Scales, parts: Parts, schedule: &Schedule, pixels: Ring) -> Self {
        let Schedule { levels, shrink, begun, decoded, strict, result, .. } = *schedule;
        let Scales { sizes, decoder: network, refiner, .. } = network;
        let chain = |i: usize| {
            let next = match i {
                0 => levels[0].look_back(decoded[0]),
                _ => begun[i - 1] / shrink,
            };
            Chain::new(levels[i], sizes.widths[i], &network.blocks[i], begun[i], next)
        };
        let refine = || {
            let next = levels[0].look_back(levels[0].after(decoded[0], &refiner.blocks));
            (refiner, Chain::new(levels[0], sizes.widths[0], &refiner.blocks, decoded[0], next))
        };
        let channels = sizes.axes.folds().0.factor() * sizes.channels;
        Self {
            network,
            chains: [0, 1, 2].map(chain),
            refiner: (parts == Parts::All).then(refine),
            folded: levels[0].ring(channels, strict, result),
            pixels,
        }
    }

    fn run(
        &mut self,
        fold: Fold,
        schedule: &Schedule,
        band: &Band,
        latent: &[Ring; 3],
        encoder: Option<&Encoding>,
        ports: &mut impl Ports,
    ) -> Result<()> {
        let Self { network, chains, refiner, folded, pixels } = self;
        let Schedule { levels, shrink, strict, result, .. } = schedule;
        for i in (0..3).rev() {
            let rows = chains[i].rows(band);
            if let [fine, coarse] = &mut chains[i..(i + 2).min(3)] {
                network.ups[i].rows(rows.start / shrink..rows.end / shrink, &coarse.map, &mut fine.map)?;
            }
            network.tails[i].rows(rows, &latent[i], Activation::None, i < 2, &mut chains[i].map)?;
            chains[i].run(band)?;
        }
        let features = &chains[0].map;
        let decoded = levels[0].rows(band, *strict);
        network.tail.rows(decoded.clone(), features, Activation::None, false, folded)?;
        if ports.takes_strict() {
            fold.unfold_rows(decoded.clone(), folded, pixels);
            ports.strict(fold.pixels(&decoded), pixels);
        }
        let done = levels[0].rows(band, *result);
        if let (Some((network, chain)), Some(encoder)) = (refiner, encoder) {
            let rows = chain.rows(band);
            network.features.rows(rows.clone(), features, Activation::None, false, &mut chain.map)?;
            network.detail.rows(rows, &encoder.chains[0].map, Activation::Relu, true, &mut chain.map)?;
            chain.run(band)?;
            network.tail.rows(done.clone(), &chain.map, Activation::None, true, folded)?;
        }
        fold.unfold_rows(done.clone(), folded, pixels);
        ports.write(fold.pixels(&done), pixels);
        Ok(())
    }
}
