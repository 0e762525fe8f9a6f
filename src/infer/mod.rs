//! Inference: one loaded model, one sample in, one sample out, synchronous.
//!
//! A [`Session`] owns what lies around the network: the checks of the shape, the statistics taken out
//! and put back, borders, strips and the cut of the latent. `denoise` in strict mode *is*
//! `decode(encode(x))`: there is no second path.

mod dihedral;
mod error;
pub mod familiarity;
pub mod fit;
mod map;
mod pace;
mod passing;
mod ports;
mod rate;
mod run;
mod scale;
mod source;
mod strip;
mod target;
#[cfg(test)]
mod tests;

use candle_core::Device;

pub use error::Error;
pub use pace::{Pace, Steady};
pub use rate::Resampling;
pub use scale::without_outliers;

use scale::Scale;

use crate::name::ModelId;
use crate::nn::Weights;
use crate::nn::model::{Model, Normalize};
use crate::registry::{Artifact, Input, Manifest};
use crate::sample::{Bounds, Depth, Kind, Latent, Number, Sample, Shape, Stats};

/// What calls of this module give.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Which path a denoised sample takes.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize, utoipa::ToSchema,
)]
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

    /// Bytes that denoising a sample of this shape and depth takes at most, input and output of depth `to` included.
    pub fn bytes_to_denoise(&self, shape: Shape, from: Depth, to: Depth, options: &Options) -> usize {
        let numbers = shape.numbers();
        let mut each = from.bytes() + to.bytes();
        let mut network = self.bytes_of_network(shape);
        if options.ensemble > 1 {
            // A turned copy, its result, and the sum.
            each += from.bytes() + 2 * size_of::<f32>();
            // Rows that pass by depend on which side is which.
            network = network.max(self.bytes_of_network(dihedral::quarter(shape)));
        }
        if options.mode == Mode::Strict && !self.is_whole(shape) {
            // The latent has fewer numbers than the sample.
            each += size_of::<f32>();
        }
        numbers.saturating_mul(each).saturating_add(network)
    }

    /// Bytes of working memory a sample of this shape needs at most, output included, whatever is done to it.
    pub fn working_bytes(&self, shape: Shape) -> usize {
        let whole = shape.numbers().saturating_mul(6 * size_of::<f32>());
        whole.saturating_add(self.bytes_of_network(shape))
    }

    /// `f(x)`: the latent of a sample, at most `1 / ratio` of its numbers.
    ///
    /// # Errors
    /// The sample's shape or the ratio does not fit the model; [`Error::Range`].
    pub fn encode(&self, sample: &Sample, ratio: Option<f32>) -> Result<Latent> {
        self.encode_at(sample, ratio, &Steady)
    }

    /// [`Session::encode`], steered.
    ///
    /// # Errors
    /// Also [`Error::Abandoned`].
    pub fn encode_at(&self, sample: &Sample, ratio: Option<f32>, pace: &dyn Pace) -> Result<Latent> {
        let keep = self.keep(sample.shape(), ratio)?;
        self.check_rate(sample)?;
        let latent = self.encode_bands(sample, keep, pace)?;
        let is_finite = latent.planes.iter().all(|plane| target::all_finite(&plane.data));
        if is_finite { Ok(latent) } else { Err(self.out_of_range()) }
    }

    /// `g(h)`: the sample of a latent, from the latent alone.
    ///
    /// # Errors
    /// The latent is not one of this model's; [`Error::Range`].
    pub fn decode(&self, latent: &Latent) -> Result<Sample> {
        self.decode_at(latent, Depth::F32, &Steady)
    }

    /// [`Session::decode`], steered, to the depth that is wanted.
    ///
    /// # Errors
    /// Also [`Error::Abandoned`].
    pub fn decode_at(&self, latent: &Latent, depth: Depth, pace: &dyn Pace) -> Result<Sample> {
        self.check_latent(latent)?;
        match self.depth(depth) {
            Depth::U8 => self.decode_to::<u8>(latent, pace),
            Depth::U16 => self.decode_to::<u16>(latent, pace),
            Depth::F32 => self.decode_to::<f32>(latent, pace),
        }
    }

    fn decode_to<T: Number>(&self, latent: &Latent, pace: &dyn Pace) -> Result<Sample> {
        let (data, _) = self.decode_bands::<T>(latent, None, 1.0, pace)?;
        self.finish(latent.shape, data)
    }

    /// The clean sample.
    ///
    /// # Errors
    /// The sample's shape or an option does not fit the model; [`Error::Range`].
    pub fn denoise(&self, sample: &Sample, options: &Options) -> Result<Denoised> {
        self.denoise_at(sample, options, Depth::F32, &Steady)
    }

    /// [`Session::denoise`], steered, to the depth that is wanted: a large image of 8 bits then never takes more than 2
    /// bytes a number beside what passes the network. Only images come in whole numbers.
    ///
    /// # Errors
    /// Also [`Error::Abandoned`].
    pub fn denoise_at(
        &self,
        sample: &Sample,
        options: &Options,
        depth: Depth,
        pace: &dyn Pace,
    ) -> Result<Denoised> {
        match self.depth(depth) {
            Depth::U8 => self.denoise_to::<u8>(sample, options, pace),
            Depth::U16 => self.denoise_to::<u16>(sample, options, pace),
            Depth::F32 => self.denoise_to::<f32>(sample, options, pace),
        }
    }

    fn denoise_to<T: Number>(&self, sample: &Sample, options: &Options, pace: &dyn Pace) -> Result<Denoised> {
        self.check(sample.shape())?;
        if options.mode == Mode::Strict {
            self.check_rate(sample)?;
        } else if let Some(change) = self.resampling(sample)? {
            return self.denoise_resampled(change, sample, options, pace);
        }
        let turns = self.turns(options)?;
        let keep = self.keep(sample.shape(), options.ratio)?;
        let (data, familiarity) = if turns == 1 {
            self.pass::<T>(sample, options, keep, pace)?
        } else {
            let once = Options { strength: 1.0, ..*options };
            let (mut sum, familiarity) = self.pass::<f32>(sample, &once, keep, pace)?;
            for k in 1..turns {
                let (turned, _) = self.pass::<f32>(&dihedral::apply(sample, k), &once, keep, pace)?;
                dihedral::add_back(&mut sum, &turned, sample.shape(), k);
            }
            let bounds = self.scale_for(sample).bounds.filter(|_| options.mode == Mode::Full);
            (blend(&sum, sample, bounds, options.strength, turns), familiarity)
        };
        self.denoised(sample, data, familiarity)
    }

    /// A signal at the model's rate and back. The blend with the input comes last, so that no strength gives the input back.
    fn denoise_resampled(
        &self,
        change: Resampling,
        sample: &Sample,
        options: &Options,
        pace: &dyn Pace,
    ) -> Result<Denoised> {
        let whole = Options { strength: 1.0, ..*options };
        self.turns(options)?;
        let done = self.denoise_to::<f32>(&change.forth(sample)?, &whole, pace)?;
        let (_, _, length) = sample.shape().extents();
        let back = change.back(&done.sample, length)?;
        let data = blend::<f32>(back.data(), sample, None, options.strength, 1);
        Ok(Denoised { sample: self.finish(sample.shape(), data)?.with_rate(sample.rate()), ..done })
    }

    /// [`Session::denoise`] of several samples of one shape that go through in one piece each ([`Session::is_whole`]). Each result
    /// is what it would be alone.
    ///
    /// # Errors
    /// As [`Session::denoise`]; the samples differ in shape.
    pub fn denoise_batch(&self, samples: &[&Sample], options: &Options) -> Result<Vec<Denoised>> {
        let Some(shape) = samples.first().map(|sample| sample.shape()) else { return Ok(Vec::new()) };
        let at_another_rate =
            samples.iter().any(|sample| self.manifest.model.rate.is_some() && sample.rate().is_some());
        if self.turns(options)? > 1 || at_another_rate {
            return samples.iter().map(|sample| self.denoise(sample, options)).collect();
        }
        let keep = self.keep(shape, options.ratio)?;
        if let Some(other) = samples.iter().find(|sample| sample.shape() != shape) {
            let expected = format!("samples of one shape in a batch, the first is {shape}");
            return Err(Error::Shape { model: self.id.clone(), expected, got: other.shape() });
        }
        let passed = self.pass_whole::<f32>(samples, options, keep)?;
        let denoised =
            |((data, familiarity), sample): ((_, _), &&Sample)| self.denoised(sample, data, familiarity);
        passed.into_iter().zip(samples).map(denoised).collect()
    }

    /// The features that familiarity is judged by, of the strict decoding, see [`familiarity::features`].
    ///
    /// # Errors
    /// The sample's shape does not fit the model; [`Error::Range`].
    pub fn features(&self, sample: &Sample) -> Result<Vec<f32>> {
        let latent = self.encode(sample, None)?;
        let (_, residual) = self.decode_bands::<f32>(&latent, Some(sample), 1.0, &Steady)?;
        let mut mean_squares = familiarity::energies(&latent);
        mean_squares.push(residual / sample.shape().numbers() as f64);
        Ok(familiarity::features(&mean_squares))
    }

    /// The familiarity of a sample with such mean squares, where the model was calibrated.
    fn familiarity(&self, mean_squares: &[f64]) -> Option<f32> {
        familiarity::score(self.manifest.familiarity.as_ref()?, &familiarity::features(mean_squares))
    }

    fn denoised<T: Number>(
        &self,
        sample: &Sample,
        data: Vec<T>,
        familiarity: Option<f32>,
    ) -> Result<Denoised> {
        Ok(Denoised { sample: self.finish(sample.shape(), data)?, familiarity })
    }

    /// How many turns an ensemble has.
    fn turns(&self, options: &Options) -> Result<usize> {
        if !(0.0..=1.0).contains(&options.strength) {
            let reason = format!("expected 0..1, got {}", options.strength);
            return Err(Error::Parameter { name: "strength", reason });
        }
        match options.ensemble {
            1 => Ok(1),
            dihedral::COUNT if self.can_turn() => Ok(dihedral::COUNT),
            other => {
                let reason = format!("expected 1, or 8 for images that may be turned, got {other}");
                Err(Error::Parameter { name: "ensemble", reason })
            }
        }
    }

    /// Whole numbers are for images only.
    fn depth(&self, depth: Depth) -> Depth {
        if self.input.kind == Kind::Image { depth } else { Depth::F32 }
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

    /// Height and width inside the network.
    fn padded(&self, shape: Shape) -> (usize, usize) {
        let stride = self.manifest.model.stride();
        let (_, height, width) = shape.extents();
        match shape.kind() {
            Kind::Image => (height.next_multiple_of(stride), width.next_multiple_of(stride)),
            Kind::Signal => (height, width.next_multiple_of(stride)),
            Kind::Vector => (height, width),
        }
    }

    /// Whether a sample of this shape is computed in one piece.
    pub fn is_whole(&self, shape: Shape) -> bool {
        self.passing(shape).is_none()
    }

    /// Bytes that the network takes for a sample of this shape, or for as much of it as is at work at a time.
    fn bytes_of_network(&self, shape: Shape) -> usize {
        if let Some(passing) = self.passing(shape) {
            return passing.bytes();
        }
        let (height, width) = self.padded(shape);
        // In the end there are the latent, what it decodes to, what refines that, folded and unfolded, and the sum.
        let sample = [5, shape.channels(), height, width].into_iter().fold(1, usize::saturating_mul);
        self.manifest.model.floats(height, width).saturating_add(sample).saturating_mul(size_of::<f32>())
    }

    /// # Errors
    /// The latent is not one of this model's.
    fn check_latent(&self, latent: &Latent) -> Result<()> {
        self.check(latent.shape)?;
        let misfit = |reason: String| Err(Error::Latent { model: self.id.clone(), reason });
        let config = &self.manifest.model;
        if latent.stats.len() != config.normalize.kept(latent.shape.channels()) {
            return misfit("statistics of the sample are missing or too many".into());
        }
        let seen: Vec<&Vec<usize>> = latent.planes.iter().map(|p| &p.dims).collect();
        let fits = |keep: &usize| config.latent_dims(latent.shape, *keep).iter().eq(seen.iter().copied());
        if !config.prefixes().iter().any(fits) {
            let whole = config.latent_dims(latent.shape, config.latent_channels());
            return misfit(format!("expected maps {whole:?} or a prefix of their channels, got {seen:?}"));
        }
        Ok(())
    }

    /// What is taken out of a sample before the network.
    fn scale_for(&self, sample: &Sample) -> Scale {
        match &self.manifest.model.normalize {
            Normalize::Sample => {
                let (stats, bounds) = sample.robust_stats();
                Scale::all(stats).within(bounds)
            }
            Normalize::Channel => Scale::channels(sample.channel_stats()),
            Normalize::Fixed(stats) => Scale::all(*stats),
            Normalize::Columns(columns) => Scale::columns(columns.clone()),
        }
    }

    /// What is put back into the sample of a latent, whose statistics were checked.
    fn scale_of(&self, latent: &Latent) -> Scale {
        match (&self.manifest.model.normalize, latent.stats.as_slice()) {
            (Normalize::Sample, [stats, ..]) | (Normalize::Fixed(stats), _) => Scale::all(*stats),
            (Normalize::Sample, []) => Scale::all(Stats { mean: 0.0, std: 1.0 }),
            (Normalize::Channel, stats) => Scale::channels(stats.to_vec()),
            (Normalize::Columns(columns), _) => Scale::columns(columns.clone()),
        }
    }

    fn finish<T: Number>(&self, shape: Shape, data: Vec<T>) -> Result<Sample> {
        // There are as many numbers as there should be, but an average or a blend may not be finite.
        T::sample(shape, data).map_err(|_| self.out_of_range())
    }

    fn out_of_range(&self) -> Error {
        Error::Range { model: self.id.clone() }
    }
}

/// The mean of `count` results, blended with the sample.
fn blend<T: Number>(
    sum: &[f32],
    sample: &Sample,
    bounds: Option<Bounds>,
    strength: f32,
    count: usize,
) -> Vec<T> {
    let (new, old) = (strength / count as f32, 1.0 - strength);
    let mut data = Vec::with_capacity(sum.len());
    let mut input = [0.0; 1024];
    for (part, start) in sum.chunks(input.len()).zip((0..).step_by(input.len())) {
        let input = &mut input[..part.len()];
        sample.read(start, input);
        let one = |(s, x): (&f32, &mut f32)| match bounds {
            Some(bounds) if bounds.exclude(*x) => T::from_f32(*x),
            _ => T::from_f32(s * new + *x * old),
        };
        data.extend(part.iter().zip(input).map(one));
    }
    data
}
