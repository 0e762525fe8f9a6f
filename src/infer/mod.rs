//! Inference: one loaded model, one sample in, one sample out, synchronous.
//!
//! A [`Session`] owns what lies around the network: the checks of the shape, the statistics taken out
//! and put back, borders, tiles and the cut of the latent. `denoise` in strict mode *is*
//! `decode(encode(x))`: there is no second path.

mod dihedral;
mod error;
pub mod familiarity;
mod map;
#[cfg(test)]
mod tests;
mod tile;

use candle_core::{Device, Tensor};

pub use error::Error;
use map::Map;
use tile::{Area, Tile};

use crate::name::ModelId;
use crate::nn::Weights;
use crate::nn::model::{Code, Model, Normalize, Rebuilt, Sizes};
use crate::quality;
use crate::registry::{Artifact, Input, Manifest};
use crate::sample::{Kind, Latent, Plane, Sample, Shape, Stats};

/// What calls of this module give.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Which path a denoised sample takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Through the latent, then the refiner.
    #[default]
    Full,
    /// Through the latent alone: `decode(encode(x))`.
    Strict,
}

/// How to denoise.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// The path.
    pub mode: Mode,
    /// 0 gives the input back, 1 the output, between them a blend.
    pub strength: f32,
    /// How many times smaller than the sample the latent is to be at least; the model's own ratio
    /// when absent.
    pub ratio: Option<f32>,
    /// 1, or 8 to average over flips and quarter turns of an image.
    pub ensemble: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { mode: Mode::Full, strength: 1.0, ratio: None, ensemble: 1 }
    }
}

/// A denoised sample with what was learnt about it on the way.
#[derive(Debug, Clone)]
pub struct Denoised {
    /// The clean sample, of the input's shape.
    pub sample: Sample,
    /// Estimated standard deviation of the noise, on the 0..255 scale for images, on the sample's own
    /// scale otherwise.
    pub sigma: f32,
    /// How like the training data the sample is, 0..1; absent where the model was never calibrated.
    pub familiarity: Option<f32>,
}

/// One loaded model. Shared between threads; every call computes on the calling thread and on the
/// kernels' pool.
#[derive(Debug)]
pub struct Session {
    id: ModelId,
    manifest: Manifest,
    input: Input,
    model: Model,
}

/// A sample as the network takes it.
struct Prepared {
    shape: Shape,
    stats: Stats,
    /// Normalised, mirrored up to a multiple of the stride.
    map: Map,
}

impl Session {
    /// Builds the model of an artifact.
    ///
    /// # Errors
    /// The config and the weights do not fit each other, or a weight is not finite.
    pub fn load(artifact: Artifact) -> Result<Self> {
        let Artifact { id, manifest, weights, .. } = artifact;
        let fail = |reason: String| Error::Load { model: id.clone(), reason };
        let tensors = Weights::read(&weights, &Device::Cpu).map_err(|e| fail(e.to_string()))?;
        let weights = Weights::to_serve(tensors);
        let model =
            Model::new(&manifest.model, weights.builder(&Device::Cpu)).map_err(|e| fail(e.to_string()))?;
        if let [first, ..] = weights.unused().as_slice() {
            return Err(fail(format!("the weights hold {first}, which the config has no place for")));
        }
        Ok(Self { input: manifest.input(), id, manifest, model })
    }

    /// A session over a model in training, so that validation runs the code that serves.
    pub fn new(id: ModelId, manifest: Manifest, model: Model) -> Self {
        Self { input: manifest.input(), id, manifest, model }
    }

    /// Name, version and digest of the model.
    pub fn id(&self) -> &ModelId {
        &self.id
    }

    /// What the model says of itself.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// What it takes in.
    pub fn input(&self) -> &Input {
        &self.input
    }

    /// Bytes of working memory a sample of this shape needs at most, output included.
    pub fn working_bytes(&self, shape: Shape) -> usize {
        let floats = |n: usize| n.saturating_mul(size_of::<f32>());
        let whole = floats(shape.numbers()).saturating_mul(6);
        let Some(sizes) = self.manifest.model.scales() else {
            return whole.saturating_add(floats(1 << 18));
        };
        let (encoder, decoder) = self.manifest.model.reach();
        let (_, height, width) = extents(shape);
        let core = if height == 1 { tile::CORE_OF_LINE } else { tile::CORE };
        let side = core + 2 * encoder.max(decoder).next_multiple_of(tile::ALIGN);
        let places = height.min(side).saturating_mul(width.min(side));
        // About six maps of the widest scale, which is a quarter of the numbers, live at a time.
        whole.saturating_add(floats(places * sizes.widths[0] / 4 * 6))
    }

    /// `f(x)`: the latent of a sample, at most `1 / ratio` of its numbers.
    ///
    /// # Errors
    /// The sample's shape or the ratio does not fit the model.
    pub fn encode(&self, sample: &Sample, ratio: Option<f32>) -> Result<Latent> {
        let keep = self.keep(sample.shape(), ratio)?;
        let prepared = self.prepare(sample)?;
        Ok(self.encode_prepared(&prepared, keep)?.0)
    }

    /// `g(h)`: the sample of a latent, from the latent alone.
    ///
    /// # Errors
    /// The latent is not one of this model's.
    pub fn decode(&self, latent: &Latent) -> Result<Sample> {
        let maps = self.spread(latent)?;
        self.rebuild(latent, |tile| Ok(self.decode_tile(&maps, tile)?.strict))
    }

    /// The clean sample.
    ///
    /// # Errors
    /// The sample's shape or an option does not fit the model.
    pub fn denoise(&self, sample: &Sample, options: &Options) -> Result<Denoised> {
        if !(0.0..=1.0).contains(&options.strength) {
            let reason = format!("expected 0..1, got {}", options.strength);
            return Err(Error::Parameter { name: "strength", reason });
        }
        let turns = match options.ensemble {
            1 => 1,
            dihedral::COUNT if self.can_turn() => dihedral::COUNT,
            other => {
                let reason = format!("expected 1, or 8 for images that may be turned, got {other}");
                return Err(Error::Parameter { name: "ensemble", reason });
            }
        };

        let (first, familiarity) = self.denoise_once(sample, options)?;
        let mut sum = first.into_data();
        for k in 1..turns {
            let (turned, _) = self.denoise_once(&dihedral::apply(sample, k), options)?;
            let back = dihedral::undo(&turned, k);
            sum.iter_mut().zip(back.data()).for_each(|(s, v)| *s += v);
        }

        let (weight, kept) = (options.strength / turns as f32, 1.0 - options.strength);
        if (weight, kept) != (1.0, 0.0) {
            sum.iter_mut().zip(sample.data()).for_each(|(s, x)| *s = *s * weight + x * kept);
        }
        let scale = if self.input.kind == Kind::Image { 255.0 } else { 1.0 };
        let sigma = quality::estimate_sigma(sample.data(), sample.shape()) * scale;
        Ok(Denoised { sample: self.finish(sample.shape(), sum)?, sigma, familiarity })
    }

    /// The features that familiarity is judged by, see [`familiarity::features`].
    ///
    /// # Errors
    /// The sample's shape does not fit the model.
    pub fn features(&self, sample: &Sample) -> Result<Vec<f32>> {
        let latent = self.encode(sample, None)?;
        let strict = self.decode(&latent)?;
        Ok(self.compare(sample, &latent, &strict))
    }

    /// One pass, without the turns and the blend, and the familiarity of the sample.
    fn denoise_once(&self, sample: &Sample, options: &Options) -> Result<(Sample, Option<f32>)> {
        let keep = self.keep(sample.shape(), options.ratio)?;
        let prepared = self.prepare(sample)?;
        let (latent, detail) = self.encode_prepared(&prepared, keep)?;
        let score = |strict: &Sample| {
            let typical = self.manifest.familiarity.as_ref()?;
            familiarity::score(typical, &self.compare(sample, &latent, strict))
        };
        if options.mode == Mode::Strict || !self.model.has_refiner() {
            let strict = self.decode(&latent)?;
            let score = score(&strict);
            return Ok((strict, score));
        }

        let maps = self.spread(&latent)?;
        let full = self.rebuild(&latent, |tile| {
            let rebuilt = self.decode_tile(&maps, tile)?;
            let detail = match &detail {
                Some(detail) => Some(detail.clone()),
                None => self.encode_tile(&prepared, &tile.outer)?.detail,
            };
            Ok(self.model.refine(&rebuilt, detail.as_ref())?)
        })?;
        let score = score(&full);
        Ok((full, score))
    }

    fn compare(&self, sample: &Sample, latent: &Latent, rebuilt: &Sample) -> Vec<f32> {
        let std = self.stats_of(latent).std;
        let residual: Vec<f32> =
            sample.data().iter().zip(rebuilt.data()).map(|(x, r)| (x - r) / std).collect();
        familiarity::features(latent, &residual)
    }

    /// How many latent channels to keep so that the latent is `ratio` times smaller than the sample.
    fn keep(&self, shape: Shape, ratio: Option<f32>) -> Result<usize> {
        self.check(shape)?;
        let config = &self.manifest.model;
        let Some(ratio) = ratio else { return Ok(config.latent_channels()) };
        let most = shape.numbers() as f32 / ratio;
        let prefixes = config.prefixes();
        let fits = prefixes.iter().rev().find(|keep| config.latent_numbers(shape, **keep) as f32 <= most);
        fits.copied().filter(|_| ratio > 0.0).ok_or_else(|| {
            let smallest = config.latent_numbers(shape, prefixes[0]);
            let best = shape.numbers() as f32 / smallest as f32;
            let reason = format!("model {} reaches at most {best:.1} for {shape}, got {ratio}", self.id);
            Error::Parameter { name: "ratio", reason }
        })
    }

    fn check(&self, shape: Shape) -> Result<()> {
        let Input { kind, channels, fixed } = &self.input;
        let fits = match fixed {
            Some(fixed) => *fixed == shape,
            None => shape.kind() == *kind && shape.channels() == *channels,
        };
        if fits && shape.numbers() > 0 {
            return Ok(());
        }
        let expected = match fixed {
            Some(fixed) => format!("one {fixed}"),
            None => format!("{kind}s of any size with {channels} channel(s)"),
        };
        Err(Error::Shape { model: self.id.clone(), expected, got: shape })
    }

    fn can_turn(&self) -> bool {
        let square = match self.input.fixed {
            Some(Shape::Image { height, width, .. }) => height == width,
            _ => true,
        };
        self.input.kind == Kind::Image && square
    }

    fn prepare(&self, sample: &Sample) -> Result<Prepared> {
        let shape = sample.shape();
        let stats = match self.manifest.model.normalize {
            Normalize::Sample => sample.stats(),
            Normalize::Fixed(stats) => stats,
        };
        let mut data = sample.data().to_vec();
        stats.normalize(&mut data);
        let (channels, height, width) = extents(shape);
        let (padded_height, padded_width) = self.padded(shape);
        let map = Map { channels, height, width, data }.mirror_to(padded_height, padded_width);
        Ok(Prepared { shape, stats, map })
    }

    /// Height and width inside the network.
    fn padded(&self, shape: Shape) -> (usize, usize) {
        let stride = self.manifest.model.stride();
        let (_, height, width) = extents(shape);
        match shape.kind() {
            Kind::Image => (height.next_multiple_of(stride), width.next_multiple_of(stride)),
            Kind::Signal => (height, width.next_multiple_of(stride)),
            Kind::Vector => (height, width),
        }
    }

    /// The latent of `keep` channels, and the detail where one tile sees all.
    fn encode_prepared(&self, prepared: &Prepared, keep: usize) -> Result<(Latent, Option<Tensor>)> {
        let config = &self.manifest.model;
        let dims = config.latent_dims(prepared.shape, keep);
        let (planes, detail) = match config.scales() {
            Some(sizes) => self.encode_tiles(prepared, &sizes, dims)?,
            None => {
                let whole = Area::whole(prepared.map.height, prepared.map.width);
                let code = self.encode_tile(prepared, &whole)?;
                let vector = |(plane, dims): (&Tensor, Vec<usize>)| {
                    Ok(Plane { dims, data: plane.flatten_all()?.to_vec1()? })
                };
                (code.planes.iter().zip(dims).map(vector).collect::<Result<_>>()?, code.detail)
            }
        };
        let stats = (config.normalize == Normalize::Sample).then_some(prepared.stats);
        Ok((Latent { shape: prepared.shape, stats, planes }, detail))
    }

    fn encode_tiles(
        &self,
        prepared: &Prepared,
        sizes: &Sizes,
        dims: Vec<Vec<usize>>,
    ) -> Result<(Vec<Plane>, Option<Tensor>)> {
        let (height, width) = (prepared.map.height, prepared.map.width);
        let whole = |(channels, scale): (usize, usize)| {
            let (rows, cols) = sizes.axes.shrink(scale);
            Map::zeros(channels, height / rows, width / cols)
        };
        let mut maps: Vec<Map> = sizes.planes().into_iter().take(dims.len()).map(whole).collect();
        let tiles = tile::plan(height, width, self.manifest.model.reach().0);
        let mut detail = None;
        for tile in &tiles {
            let code = self.encode_tile(prepared, &tile.outer)?;
            for ((map, plane), (_, scale)) in maps.iter_mut().zip(&code.planes).zip(sizes.planes()) {
                let shrink = sizes.axes.shrink(scale);
                let from = tile.core.within(&tile.outer).at(shrink);
                map.paste(&as_map(plane)?, &from, &tile.core.at(shrink))?;
            }
            detail = code.detail;
        }
        Ok((maps.into_iter().zip(dims).map(cut).collect(), detail.filter(|_| tiles.len() == 1)))
    }

    fn encode_tile(&self, prepared: &Prepared, area: &Area) -> Result<Code> {
        let x = prepared.map.tensor(area)?;
        Ok(self.model.encode(&from_map(x, prepared.shape.kind())?)?)
    }

    /// The maps of a latent at the sizes and with the channels the network works on.
    fn spread(&self, latent: &Latent) -> Result<Vec<Map>> {
        self.check(latent.shape)?;
        let misfit = |reason: String| Error::Latent { model: self.id.clone(), reason };
        let config = &self.manifest.model;
        if latent.stats.is_some() != (config.normalize == Normalize::Sample) {
            return Err(misfit("statistics of the sample are missing or too many".into()));
        }
        let seen: Vec<&Vec<usize>> = latent.planes.iter().map(|p| &p.dims).collect();
        let fits = |keep: &usize| config.latent_dims(latent.shape, *keep).iter().eq(seen.iter().copied());
        if !config.prefixes().iter().any(fits) {
            let whole = config.latent_dims(latent.shape, config.latent_channels());
            return Err(misfit(format!(
                "expected maps {whole:?} or a prefix of their channels, got {seen:?}"
            )));
        }

        let (height, width) = self.padded(latent.shape);
        let Some(sizes) = config.scales() else {
            return Ok(latent.planes.iter().map(|p| vector_map(&p.data)).collect());
        };
        let full = |(i, (channels, scale)): (usize, (usize, usize))| {
            let (rows, cols) = sizes.axes.shrink(scale);
            let (rows, cols) = (height / rows, width / cols);
            match latent.planes.get(i) {
                Some(Plane { dims, data }) => {
                    let (height, width) = rows_and_columns(dims);
                    let map = Map { channels: dims[0], height, width, data: data.clone() };
                    map.repeat_to(rows, cols).with_channels(channels)
                }
                None => Map::zeros(channels, rows, cols),
            }
        };
        Ok(sizes.planes().into_iter().enumerate().map(full).collect())
    }

    fn decode_tile(&self, maps: &[Map], tile: &Tile) -> Result<Rebuilt> {
        let planes = match self.manifest.model.scales() {
            Some(sizes) => {
                let of_tile = |(map, (_, scale)): (&Map, (usize, usize))| {
                    from_map(map.tensor(&tile.outer.at(sizes.axes.shrink(scale)))?, self.input.kind)
                };
                maps.iter().zip(sizes.planes()).map(of_tile).collect::<crate::nn::Result<Vec<_>>>()?
            }
            None => {
                let vector = |map: &Map| map.tensor(&Area::whole(1, map.width))?.flatten_from(1);
                maps.iter().map(vector).collect::<crate::nn::Result<Vec<_>>>()?
            }
        };
        Ok(self.model.decode(&planes)?)
    }

    /// The sample of a latent, tile by tile, on the sample's own scale.
    fn rebuild(&self, latent: &Latent, tile: impl Fn(&Tile) -> Result<Tensor>) -> Result<Sample> {
        let (channels, height, width) = extents(latent.shape);
        let (padded_height, padded_width) = self.padded(latent.shape);
        let mut out = Map::zeros(channels, padded_height, padded_width);
        for one in tile::plan(padded_height, padded_width, self.manifest.model.reach().1) {
            let result = as_map(&tile(&one)?)?;
            out.paste(&result, &one.core.within(&one.outer), &one.core)?;
        }
        let mut data = out.repeat_to(height, width).data;
        self.stats_of(latent).restore(&mut data);
        self.finish(latent.shape, data)
    }

    fn stats_of(&self, latent: &Latent) -> Stats {
        match self.manifest.model.normalize {
            Normalize::Fixed(stats) => stats,
            Normalize::Sample => latent.stats.unwrap_or(Stats { mean: 0.0, std: 1.0 }),
        }
    }

    fn finish(&self, shape: Shape, data: Vec<f32>) -> Result<Sample> {
        let fault = |e| Error::Tensor(crate::nn::Error::Msg(format!("model {}: {e}", self.id)));
        Sample::new(shape, data).map_err(fault)
    }
}

/// Channels, height and width; other kinds lie along the width.
fn extents(shape: Shape) -> (usize, usize, usize) {
    match shape {
        Shape::Image { channels, height, width } => (channels, height, width),
        Shape::Signal { channels, length } => (channels, 1, length),
        Shape::Vector { features } => (1, 1, features),
    }
}

/// `(1, D)` as `(1, 1, 1, D)`, `(1, C, L)` as `(1, C, 1, L)`.
fn as_map(tensor: &Tensor) -> Result<Tensor> {
    Ok(match tensor.rank() {
        2 => tensor.unsqueeze(1)?.unsqueeze(1)?,
        3 => tensor.unsqueeze(2)?,
        _ => tensor.clone(),
    })
}

/// A map of one sample with the axes that models of its kind take.
fn from_map(tensor: Tensor, kind: Kind) -> crate::nn::Result<Tensor> {
    match kind {
        Kind::Image => Ok(tensor),
        Kind::Signal => tensor.squeeze(2),
        Kind::Vector => tensor.flatten_from(1),
    }
}

/// Rows and columns of a map of the latent: `(Z, H, W)`, or `(Z, L)` with one row.
fn rows_and_columns(dims: &[usize]) -> (usize, usize) {
    match *dims {
        [_, height, width] => (height, width),
        _ => (1, dims.last().copied().unwrap_or(1)),
    }
}

fn vector_map(values: &[f32]) -> Map {
    Map { channels: 1, height: 1, width: values.len(), data: values.to_vec() }
}

/// The part of a whole map that a latent keeps.
fn cut((map, dims): (Map, Vec<usize>)) -> Plane {
    let (height, width) = rows_and_columns(&dims);
    let data = map.repeat_to(height, width).with_channels(dims[0]).data;
    Plane { dims, data }
}
