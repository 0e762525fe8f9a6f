//! Stream: the network over one sample that passes by, a band of rows at a time.
//!
//! With every band each layer computes what it then can: it follows the layer before by the row that its kernel looks ahead, in
//! whole tiles of four rows. So every place of every map is computed once, and of each map no more is in memory than
//! the rows between the layer that writes them and the last one that reads them ([`Ring`]). Residual blocks change their
//! map in place. Every number is that of the whole maps, bit for bit: the same kernels sum the same products.

use std::ops::Range;

use candle_core::Result;

use super::{Decoder, Encoder, Refiner, Scales, Sizes};
use crate::kernel::Ring;
use crate::nn::layer::{Fold, Residual};
use crate::nn::op::Activation;

/// Rows by which a layer follows the one before, where its kernel has rows: a tile of Winograd's algorithm.
const BEHIND: usize = 4;

/// Places of a band at the finest scale, about: enough that the coarsest scale has work for all threads. Half of it took 3 % longer
/// (12 megapixels), twice as much took half as much memory again.
const BAND: usize = 64 << 10;

/// Which parts of a network a sample passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parts {
    /// The encoder, to the latent.
    Encoder,
    /// The decoder, from the latent.
    Decoder,
    /// All, with the refiner.
    All,
}

/// What comes out of a stream and goes into it. Rows come in order, each once.
pub trait Ports {
    /// Puts rows of the normalised sample.
    fn read(&mut self, rows: Range<usize>, pixels: &mut Ring);
    /// Puts rows of a map of the latent, coarsest first; takes and may change them where there is an encoder.
    fn latent(&mut self, index: usize, rows: Range<usize>, map: &mut Ring);
    /// Takes rows of the result.
    ///
    /// # Errors
    /// It cannot take them.
    fn write(&mut self, rows: Range<usize>, pixels: &Ring) -> Result<()>;
}

/// A sample on its way through a network.
#[derive(Debug)]
pub struct Stream<'a> {
    encoder: Option<Encoding<'a>>,
    /// Maps of the latent, finest first, and how far behind they are written.
    latent: [(Ring, usize); 3],
    decoder: Option<Decoding<'a>>,
    levels: [Level; 3],
    fold: Fold,
    /// Rows of the finest scale that enter with each step, and those that have entered.
    band: usize,
    entered: usize,
    /// So many rows after the last has entered, all is done.
    last: usize,
}

/// The extents of one scale.
#[derive(Debug, Clone, Copy)]
struct Level {
    height: usize,
    width: usize,
    /// How many times fewer rows it has than the finest scale.
    shrink: usize,
    /// Rows by which a layer with a large kernel follows the one before.
    behind: usize,
    /// Rows of a band.
    band: usize,
}

/// One step: the rows of the finest scale that enter, counted on beyond the end.
type Step = Range<usize>;

impl Level {
    /// The rows that a layer computes in a step which is so far behind.
    fn rows(&self, step: &Step, lag: usize) -> Range<usize> {
        let at = |row: usize| (row / self.shrink).saturating_sub(lag).min(self.height);
        at(step.start)..at(step.end)
    }

    /// A ring whose rows are written and read so far behind.
    fn ring(&self, channels: usize, written: usize, read: usize) -> Ring {
        Ring::new(channels, (self.height, self.width), self.band + read - written)
    }

    /// How far behind a chain of `blocks` ends that begins `lag` behind.
    fn after(&self, lag: usize, blocks: &[Residual]) -> usize {
        lag + 2 * self.behind * blocks.len()
    }

    /// How far behind a layer with a large kernel reads what one that is `lag` behind writes, the row it looks back included.
    fn look_back(&self, lag: usize) -> usize {
        lag + self.behind + self.behind.min(1)
    }
}

/// A map, and the residual blocks that change it in place.
#[derive(Debug)]
struct Chain<'a> {
    level: Level,
    map: Ring,
    /// Each with its map between the convolutions.
    blocks: Vec<(&'a Residual, Ring)>,
    /// How far behind the map is written.
    lag: usize,
}

impl<'a> Chain<'a> {
    fn new(level: Level, channels: usize, blocks: &'a [Residual], lag: usize, read: usize) -> Self {
        let inner = |block| (block, level.ring(channels, 0, level.look_back(0)));
        let map = level.ring(channels, lag, read.max(level.after(lag, blocks)));
        Self { level, map, blocks: blocks.iter().map(inner).collect(), lag }
    }

    /// The rows that are written in a step.
    fn rows(&self, step: &Step) -> Range<usize> {
        self.level.rows(step, self.lag)
    }

    fn run(&mut self, step: &Step) -> Result<()> {
        let (level, mut lag) = (self.level, self.lag);
        for (block, inner) in &mut self.blocks {
            let rows = [1, 2].map(|layers| level.rows(step, lag + layers * level.behind));
            block.rows(&mut self.map, inner, rows)?;
            lag += 2 * level.behind;
        }
        Ok(())
    }
}

#[derive(Debug)]
struct Encoding<'a> {
    network: &'a Encoder,
    pixels: Ring,
    folded: Ring,
    chains: [Chain<'a>; 3],
}

#[derive(Debug)]
struct Decoding<'a> {
    network: &'a Decoder,
    chains: [Chain<'a>; 3],
    refining: Option<(&'a Refiner, Chain<'a>)>,
    /// The result before it is unfolded, and how far behind the decoder writes it and it is complete.
    result: Ring,
    strict: usize,
    full: usize,
    pixels: Ring,
}

impl Scales {
    /// The way of a sample of `height` x `width`, multiples of the stride, through `parts`. Takes no memory yet.
    pub fn stream(&self, sizes: &Sizes, parts: Parts, (height, width): (usize, usize)) -> Stream<'_> {
        let (fold, next) = sizes.axes.folds();
        let ((rows, cols), (shrink, narrow)) = (fold.rectangle(), next.rectangle());
        let (height, width) = (height / rows, width / cols);
        // Every scale gets whole tiles with every band.
        let least = BEHIND * shrink * shrink;
        let band = (BAND / width / least * least).clamp(least, height.next_multiple_of(least));
        let behind = if sizes.axes.kernel().0 > 1 { BEHIND } else { 0 };
        let level = |i: u32| {
            let (shrink, narrow) = (shrink.pow(i), narrow.pow(i));
            Level { height: height / shrink, width: width / narrow, shrink, behind, band: band / shrink }
        };
        let levels = [level(0), level(1), level(2)];

        let Self { encoder, decoder, refiner } = self;
        // How far behind each scale's maps are written, and done.
        let (mut coded, mut begun, mut done) = ([0; 3], [0; 3], [0; 3]);
        let mut entry = [behind, 0, 0];
        if parts != Parts::Decoder {
            for i in 0..3 {
                coded[i] = levels[i].after(entry[i], &encoder.blocks[i]);
                if i < 2 {
                    entry[i + 1] = coded[i].div_ceil(shrink).next_multiple_of(BEHIND);
                }
            }
        }
        if parts != Parts::Encoder {
            for i in [2, 1, 0] {
                let above = if i < 2 { shrink * done[i + 1] } else { 0 };
                begun[i] = coded[i].max(above);
                done[i] = levels[i].after(begun[i], &decoder.blocks[i]);
            }
        }
        let strict = done[0] + behind;
        let full =
            if parts == Parts::All { levels[0].after(done[0], &refiner.blocks) + behind } else { strict };

        let widths = sizes.widths;
        let encoding = (parts != Parts::Decoder).then(|| {
            let chain = |i: usize| {
                let below = if i < 2 { shrink * entry[i + 1] } else { 0 };
                let detail = if i == 0 && parts == Parts::All { done[0] } else { 0 };
                Chain::new(levels[i], widths[i], &encoder.blocks[i], entry[i], below.max(detail))
            };
            let pixels = (rows * height, cols * width);
            Encoding {
                network: encoder,
                pixels: Ring::new(sizes.channels, pixels, rows * band),
                folded: levels[0].ring(fold.factor() * sizes.channels, 0, levels[0].look_back(0)),
                chains: [chain(0), chain(1), chain(2)],
            }
        });
        let decoding = (parts != Parts::Encoder).then(|| {
            let chain = |i: usize| {
                let read = if i > 0 { begun[i - 1] / shrink } else { levels[0].look_back(done[0]) };
                Chain::new(levels[i], widths[i], &decoder.blocks[i], begun[i], read)
            };
            let refining = || {
                let read = levels[0].look_back(full - behind);
                (refiner, Chain::new(levels[0], widths[0], &refiner.blocks, done[0], read))
            };
            Decoding {
                network: decoder,
                chains: [chain(0), chain(1), chain(2)],
                refining: (parts == Parts::All).then(refining),
                result: levels[0].ring(fold.factor() * sizes.channels, strict, full),
                strict,
                full,
                pixels: Ring::new(sizes.channels, (rows * height, cols * width), rows * band),
            }
        });
        let last = match parts {
            Parts::Encoder => (0..3).map(|i| levels[i].shrink * coded[i]).max().unwrap_or(0),
            Parts::Decoder | Parts::All => full,
        };
        let latent = |i: usize| (levels[i].ring(sizes.latent[i], coded[i], begun[i].max(coded[i])), coded[i]);
        let latent = [latent(0), latent(1), latent(2)];
        Stream { encoder: encoding, latent, decoder: decoding, levels, fold, band, entered: 0, last }
    }
}

impl Stream<'_> {
    /// Whether there is more to come.
    pub fn is_going(&self) -> bool {
        self.entered < self.levels[0].height + self.last
    }

    /// One band further.
    ///
    /// # Errors
    /// The weights can be trained, or a port fails.
    pub fn step(&mut self, ports: &mut impl Ports) -> Result<()> {
        let step = self.entered..self.entered + self.band;
        self.entered = step.end;
        if let Some(encoder) = &mut self.encoder {
            encoder.run(self.fold, &step, &mut self.latent, ports)?;
        }
        for (i, (map, lag)) in self.latent.iter_mut().enumerate() {
            ports.latent(2 - i, self.levels[i].rows(&step, *lag), map);
        }
        match &mut self.decoder {
            Some(decoder) => decoder.run(self.fold, &step, &self.latent, self.encoder.as_ref(), ports),
            None => Ok(()),
        }
    }

    /// Bytes of its maps.
    pub fn bytes(&self) -> usize {
        let chain =
            |chain: &Chain| chain.map.bytes() + chain.blocks.iter().map(|(_, r)| r.bytes()).sum::<usize>();
        let chains = |chains: &[Chain]| chains.iter().map(chain).sum::<usize>();
        let encoder = self.encoder.iter().map(|e| e.pixels.bytes() + e.folded.bytes() + chains(&e.chains));
        let decoder = self.decoder.iter().map(|d| {
            let refiner = d.refining.as_ref().map_or(0, |(_, refiner)| chain(refiner));
            chains(&d.chains) + refiner + d.result.bytes() + d.pixels.bytes()
        });
        let latent = self.latent.iter().map(|(map, _)| map.bytes());
        encoder.chain(decoder).chain(latent).sum()
    }
}

impl Encoding<'_> {
    fn run(
        &mut self,
        fold: Fold,
        step: &Step,
        latent: &mut [(Ring, usize); 3],
        ports: &mut impl Ports,
    ) -> Result<()> {
        let Self { network, pixels, folded, chains } = self;
        let entering = chains[0].level.rows(step, 0);
        let high = fold.rectangle().0;
        ports.read(high * entering.start..high * entering.end, pixels);
        fold.fold_rows(entering, pixels, folded);
        network.head.rows(chains[0].rows(step), folded, Activation::Relu, false, &mut chains[0].map)?;
        for i in 0..3 {
            chains[i].run(step)?;
            let (map, lag) = &mut latent[i];
            let rows = chains[i].level.rows(step, *lag);
            network.heads[i].rows(rows, &chains[i].map, Activation::None, false, map)?;
            if let [fine, coarse] = &mut chains[i..(i + 2).min(3)] {
                network.downs[i].rows(coarse.rows(step), &fine.map, &mut coarse.map)?;
            }
        }
        Ok(())
    }
}

impl Decoding<'_> {
    fn run(
        &mut self,
        fold: Fold,
        step: &Step,
        latent: &[(Ring, usize); 3],
        encoder: Option<&Encoding>,
        ports: &mut impl Ports,
    ) -> Result<()> {
        let Self { network, chains, refining, result, strict, full, pixels } = self;
        for i in [2, 1, 0] {
            let rows = chains[i].rows(step);
            if let [fine, coarse] = &mut chains[i..(i + 2).min(3)] {
                let shrink = coarse.level.shrink / fine.level.shrink;
                let above = rows.start / shrink..rows.end / shrink;
                network.ups[i].rows(above, &coarse.map, &mut fine.map)?;
            }
            network.tails[i].rows(rows, &latent[i].0, Activation::None, i < 2, &mut chains[i].map)?;
            chains[i].run(step)?;
        }
        let (level, features) = (chains[0].level, &chains[0].map);
        network.tail.rows(level.rows(step, *strict), features, Activation::None, false, result)?;
        if let (Some((network, chain)), Some(encoder)) = (refining, encoder) {
            let rows = chain.rows(step);
            network.features.rows(rows.clone(), features, Activation::None, false, &mut chain.map)?;
            network.detail.rows(rows, &encoder.chains[0].map, Activation::Relu, true, &mut chain.map)?;
            chain.run(step)?;
            network.tail.rows(level.rows(step, *full), &chain.map, Activation::None, true, result)?;
        }
        let done = level.rows(step, *full);
        fold.unfold_rows(done.clone(), result, pixels);
        let high = fold.rectangle().0;
        ports.write(high * done.start..high * done.end, pixels)
    }
}
