//! Run: samples through the network, in one piece or tile by tile.
//!
//! Small samples of one shape go through together, as a batch. Of a large one no more than a tile is ever a tensor;
//! the whole of it stays in its own numbers. In strict mode the whole latent is made first, so that denoising *is*
//! `decode(encode(x))`; with the refiner each tile goes through all parts at once.

use std::ops::Range;

use super::band::Band;
use super::map::{Map, fill};
use super::source::Source;
use super::target::Target;
use super::tile::{self, Area, Tile};
use super::{Error, Mode, Options, Pace, Result, Session, extents, familiarity};
use crate::kernel::pages;
use crate::nn::model::{Code, Normalize, Reach, Rebuilt, Sizes, Start};
use crate::nn::{Device, Tensor, op};
use crate::sample::{Kind, Latent, Number, Plane, Sample, Shape};

/// A result with the familiarity of its sample.
type Passed<T> = (Vec<T>, Option<f32>);

impl Session {
    /// One pass of a sample, blended.
    pub(super) fn pass<T: Number>(
        &self,
        sample: &Sample,
        options: &Options,
        keep: usize,
        pace: &dyn Pace,
    ) -> Result<Passed<T>> {
        if self.is_whole(sample.shape()) {
            let mut one = step(pace, || self.pass_whole::<T>(&[sample], options, keep))?;
            return Ok(one.remove(0));
        }
        match self.manifest.model.scales().filter(|_| self.refines(options)) {
            Some(sizes) => self.pass_tiles(&sizes, sample, options.strength, keep, pace),
            None => {
                let latent = self.encode_tiles(sample, keep, pace)?;
                let (data, residual) = self.decode_tiles(&latent, Some(sample), options.strength, pace)?;
                Ok((data, self.judge(familiarity::energies(&latent), residual, sample.shape())))
            }
        }
    }

    fn refines(&self, options: &Options) -> bool {
        options.mode == Mode::Full && self.model.has_refiner()
    }

    fn judge(&self, mut mean_squares: Vec<f64>, residual: f64, shape: Shape) -> Option<f32> {
        mean_squares.push(residual / shape.numbers() as f64);
        self.familiarity(&mean_squares)
    }

    /// One pass of samples of one shape, each in one piece.
    pub(super) fn pass_whole<T: Number>(
        &self,
        samples: &[&Sample],
        options: &Options,
        keep: usize,
    ) -> Result<Vec<Passed<T>>> {
        let (latents, detail) = self.encode_whole(samples, keep)?;
        let all: Vec<Vec<Map>> = latents.iter().map(Map::all).collect();
        let (height, width) = self.padded(latents[0].shape);
        let rebuilt = self.decode_tile(&all, &Tile::whole(height, width))?;
        let result = if self.refines(options) { self.model.refine(rebuilt, detail)? } else { rebuilt.strict };
        let outputs = self.split(&result, samples.len(), samples[0].shape())?;
        let finish = |((sample, latent), output): ((&&Sample, &Latent), Vec<f32>)| {
            let shape = sample.shape();
            let mut target = Target::new(shape, self.stats_of(latent), Some(*sample), options.strength);
            let area = self.whole(shape);
            target.put(&Map { channels: extents(shape).0, area: area.clone(), data: &output }, &area)?;
            let familiarity = self.judge(familiarity::energies(latent), target.residual, shape);
            Ok((target.into_data(), familiarity))
        };
        samples.iter().zip(&latents).zip(outputs).map(finish).collect()
    }

    /// The latents of samples of one shape, and what they leave out.
    fn encode_whole(&self, samples: &[&Sample], keep: usize) -> Result<(Vec<Latent>, Option<Tensor>)> {
        let shape = samples[0].shape();
        let area = self.whole(shape);
        let sources: Vec<Source> =
            samples.iter().map(|s| Source { sample: s, stats: self.stats_for(s) }).collect();
        let Code { planes, detail } = self.encode_area(&sources, &area)?;
        let mut latents: Vec<Latent> = sources.iter().map(|source| self.empty_latent(source, keep)).collect();
        for (index, (plane, map_area)) in planes.iter().zip(self.map_areas(&area)).enumerate() {
            let channels = plane.dim(1)?;
            let values = plane.flatten_all()?.to_vec1::<f32>()?;
            let each = values.len() / samples.len();
            for (latent, data) in latents.iter_mut().zip(values.chunks(each)) {
                // A shorter latent has fewer maps.
                let Some(plane) = latent.planes.get_mut(index) else { continue };
                fill(plane, &Map { channels, area: map_area.clone(), data }, &map_area);
            }
        }
        Ok((latents, detail))
    }

    /// The latent of a sample, tile by tile.
    pub(super) fn encode_tiles(&self, sample: &Sample, keep: usize, pace: &dyn Pace) -> Result<Latent> {
        if self.is_whole(sample.shape()) {
            return Ok(step(pace, || self.encode_whole(&[sample], keep))?.0.remove(0));
        }
        let source = Source { sample, stats: self.stats_for(sample) };
        let mut latent = self.empty_latent(&source, keep);
        let reach = Reach { decoder: [0; 3], ..self.manifest.model.reach() };
        for Tile { fresh, outer, .. } in self.plan(self.padded(sample.shape()), reach) {
            let planes = step(pace, || self.encode_area(&[source], &outer))?.planes;
            let areas = self.map_areas(&outer).into_iter().zip(self.map_areas(&fresh));
            for ((plane, tensor), (outer, fresh)) in latent.planes.iter_mut().zip(&planes).zip(areas) {
                let data = tensor.flatten_all()?.to_vec1::<f32>()?;
                fill(plane, &Map { channels: tensor.dim(1)?, area: outer, data: &data }, &fresh);
            }
        }
        Ok(latent)
    }

    /// The sample of a latent, tile by tile, blended with `input`; and the sum of squares between both.
    pub(super) fn decode_tiles<T: Number>(
        &self,
        latent: &Latent,
        input: Option<&Sample>,
        strength: f32,
        pace: &dyn Pace,
    ) -> Result<(Vec<T>, f64)> {
        let mut target = Target::new(latent.shape, self.stats_of(latent), input, strength);
        for tile in self.plan(self.padded(latent.shape), self.manifest.model.reach()) {
            step(pace, || {
                let strict = self.decode_tile(&[Map::all(latent)], &tile)?.strict;
                self.put(&mut target, &strict, &tile)
            })?;
        }
        let residual = target.residual;
        Ok((target.into_data(), residual))
    }

    /// Encoder, decoder and refiner, tile by tile.
    fn pass_tiles<T: Number>(
        &self,
        sizes: &Sizes,
        sample: &Sample,
        strength: f32,
        keep: usize,
        pace: &dyn Pace,
    ) -> Result<Passed<T>> {
        let source = Source { sample, stats: self.stats_for(sample) };
        let mut target = Target::new(sample.shape(), source.stats, Some(sample), strength);
        let mut band = Band::new(sizes, &self.manifest.model.latent_dims(sample.shape(), keep));
        let (height, width) = self.padded(sample.shape());
        let settle = || {
            if tile::is_large(height, width) {
                pages::release()
            }
        };
        for tile in self.plan((height, width), self.manifest.model.reach()) {
            step(pace, || {
                let Code { planes, detail } = self.encode_area(&[source], &tile.outer)?;
                band.take(&planes, &tile)?;
                drop(planes);
                // Cut first: the decoder need not keep the whole of it in memory.
                let detail = detail.map(|detail| crop(&detail, sizes, &tile)).transpose()?;
                settle();
                let rebuilt = self.decode_tile(&[band.maps()], &tile)?;
                let full = self.model.refine(rebuilt, detail)?;
                self.put(&mut target, &full, &tile)
            })?;
            settle();
        }
        let familiarity = self.judge(band.mean_squares(), target.residual, sample.shape());
        Ok((target.into_data(), familiarity))
    }

    /// What the encoder gives for an area of samples of one shape.
    fn encode_area(&self, sources: &[Source], area: &Area) -> Result<Code> {
        let (rows, cols) = area.size();
        let channels = extents(sources[0].sample.shape()).0;
        let mut data = Vec::with_capacity(sources.len() * channels * rows * cols);
        sources.iter().for_each(|source| source.read(area, &mut data));
        Ok(self.model.encode(&self.tensor(data, sources.len(), channels, area)?)?)
    }

    /// What the decoder gives for a tile of latents of one shape, each by its maps.
    fn decode_tile(&self, latents: &[Vec<Map>], tile: &Tile) -> Result<Rebuilt> {
        let Some(sizes) = self.manifest.model.scales() else {
            let data: Vec<f32> = latents.iter().flat_map(|maps| maps[0].data.iter().copied()).collect();
            let extents = (latents.len(), data.len() / latents.len());
            return Ok(self.model.decode(&[Tensor::from_vec(data, extents, &Device::Cpu)?])?);
        };
        let plane = |(index, (channels, scale)): (usize, (usize, usize))| {
            let area = tile.maps[index].at(sizes.axes.shrink(scale));
            let mut data = Vec::with_capacity(latents.len() * channels * area.places());
            for maps in latents {
                match maps.get(index) {
                    Some(map) => map.cut(&area, channels, &mut data),
                    None => data.resize(data.len() + channels * area.places(), 0.0),
                }
            }
            self.tensor(data, latents.len(), channels, &area)
        };
        let planes: Vec<Tensor> = sizes.planes().into_iter().enumerate().map(plane).collect::<Result<_>>()?;
        Ok(self.model.decode_nested(&planes, starts(&sizes, tile))?)
    }

    /// Writes the core of what a network gave for a tile to its place.
    fn put<T: Number>(&self, target: &mut Target<T>, tensor: &Tensor, tile: &Tile) -> Result<()> {
        let data = tensor.flatten_all()?.to_vec1::<f32>()?;
        let [.., area] = tile.maps.clone();
        target.put(&Map { channels: tensor.dim(1)?, area, data: &data }, &tile.core)
    }

    /// The numbers of each sample of a batch that covers the whole of `shape`.
    fn split(&self, batch: &Tensor, count: usize, shape: Shape) -> Result<Vec<Vec<f32>>> {
        let values = batch.flatten_all()?.to_vec1::<f32>()?;
        let (rows, cols) = self.whole(shape).size();
        let each = extents(shape).0 * rows * cols;
        if values.len() != count * each {
            let fault = format!("the network gave {} numbers for {count} x {each}", values.len());
            return Err(Error::Tensor(crate::nn::Error::Msg(fault)));
        }
        Ok(values.chunks(each).map(<[f32]>::to_vec).collect())
    }

    /// A batch of maps over `area`, with the axes that models of this kind take.
    fn tensor(&self, data: Vec<f32>, batch: usize, channels: usize, area: &Area) -> Result<Tensor> {
        let (rows, cols) = area.size();
        Ok(match self.input.kind {
            Kind::Image => Tensor::from_vec(data, (batch, channels, rows, cols), &Device::Cpu)?,
            Kind::Signal => Tensor::from_vec(data, (batch, channels, cols), &Device::Cpu)?,
            Kind::Vector => Tensor::from_vec(data, (batch, cols), &Device::Cpu)?,
        })
    }

    /// A latent of `keep` channels, all zero.
    fn empty_latent(&self, source: &Source, keep: usize) -> Latent {
        let shape = source.sample.shape();
        let stats = (self.manifest.model.normalize == Normalize::Sample).then_some(source.stats);
        let plane = |dims: Vec<usize>| Plane { data: vec![0.0; dims.iter().product()], dims };
        let planes = self.manifest.model.latent_dims(shape, keep).into_iter().map(plane).collect();
        Latent { shape, stats, planes }
    }

    /// The area of each latent map that covers an area of the sample; a vector is one place.
    fn map_areas(&self, area: &Area) -> Vec<Area> {
        match self.manifest.model.scales() {
            Some(sizes) => {
                sizes.planes().iter().map(|(_, scale)| area.at(sizes.axes.shrink(*scale))).collect()
            }
            None => vec![Area::whole(1, 1)],
        }
    }

    /// The tiles of so many rows and columns, which the parts of the network see so far around.
    pub(super) fn plan(&self, (height, width): (usize, usize), reach: Reach) -> Vec<Tile> {
        match self.manifest.model.scales() {
            Some(sizes) => tile::plan(height, width, sizes.planes().map(|(_, scale)| scale), reach),
            None => vec![Tile::whole(height, width)],
        }
    }

    /// The whole of a sample, as the network sees it.
    fn whole(&self, shape: Shape) -> Area {
        let (height, width) = self.padded(shape);
        Area::whole(height, width)
    }
}

/// One step of long work.
fn step<R>(pace: &dyn Pace, work: impl FnOnce() -> Result<R>) -> Result<R> {
    if pace.next() { work() } else { Err(Error::Abandoned) }
}

/// The part of the detail that lies over what the decoder gives for a tile.
fn crop(detail: &Tensor, sizes: &Sizes, tile: &Tile) -> crate::nn::Result<Tensor> {
    let shrink = sizes.axes.shrink(sizes.axes.scales()[0]);
    let (outer, inner) = (tile.outer.at(shrink), tile.maps[2].at(shrink));
    let part =
        |inner: &Range<usize>, outer: &Range<usize>| inner.start - outer.start..inner.end - outer.start;
    op::crop(detail, part(&inner.rows, &outer.rows), part(&inner.cols, &outer.cols))
}

/// Where each finer map of a tile begins within the coarser one.
fn starts(sizes: &Sizes, tile: &Tile) -> [Start; 2] {
    let [s3, s2, _] = sizes.planes().map(|(_, scale)| sizes.axes.shrink(scale));
    let start = |coarse: &Area, fine: &Area, (rows, cols): (usize, usize)| {
        ((fine.rows.start - coarse.rows.start) / rows, (fine.cols.start - coarse.cols.start) / cols)
    };
    let [coarse, middle, fine] = &tile.maps;
    [start(coarse, middle, s3), start(middle, fine, s2)]
}
