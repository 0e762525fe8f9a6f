//! Inference: one loaded model, one sample in, one sample out, synchronous.
//!
//! A [`Session`] does the work around the network: shape checks, normalisation and its inverse, borders, strips and
//! truncation of the latent. `denoise` in strict mode *is* `decode(encode(x))`: there is no second path.

mod canary;
mod dihedral;
mod error;
pub mod familiarity;
pub mod fit;
mod map;
mod pace;
mod passing;
mod pooled;
mod ports;
mod predict;
mod probe;
pub mod rank;
mod rate;
mod run;
mod scale;
mod shapes;
mod source;
mod stages;
mod stream;
mod strip;
mod target;
#[cfg(test)]
mod tests;

use candle_core::Device;

pub use error::Error;
pub use pace::{Pace, Steady};
pub use pooled::pooled;
pub use predict::{NoiseLevel, PredictOptions, Predicted, Prediction, Unpredictable};
pub use probe::Probe;
pub use rate::Resampling;
pub use scale::{Scale, without_outliers};
pub use stages::Stages;
pub use stream::{Piece, SignalStream, WINDOW};

use crate::name::ModelId;
use crate::nn::model::Model;
use crate::nn::{Weights, message};
use crate::registry::{Artifact, Input, Manifest};
use crate::sample::{Bounds, Depth, Latent, Number, Sample, Shape};

/// Result of inference calls.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Denoising path.
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

/// Options of denoising.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// Denoising path.
    pub mode: Mode,
    /// Weight of the result, 0..1: 0 returns the input, 1 the result, values between blend them.
    pub strength: f32,
    /// Minimum ratio of the size of the sample to that of the latent; the ratio of the model if `None`.
    pub ratio: Option<f32>,
    /// Ensemble size: 1, or 8 to average over all flips and quarter turns of an image.
    pub ensemble: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { mode: Mode::Full, strength: 1.0, ratio: None, ensemble: 1 }
    }
}

/// A denoised sample and its familiarity.
#[derive(Debug, Clone)]
pub struct Denoised {
    /// Denoised sample, in the shape of the input. Numbers that are missing in the input are the model's, and are marked as
    /// missing.
    pub sample: Sample,
    /// Similarity of the sample to the training data, 0..1; `None` if the model is not calibrated.
    pub familiarity: Option<f32>,
}

/// A loaded model. Shared between threads; every call computes on the calling thread and the kernel thread pool.
#[derive(Debug)]
pub struct Session {
    id: ModelId,
    manifest: Manifest,
    input: Input,
    model: Model,
}

impl Session {
    /// Loads the model of an artifact.
    ///
    /// # Errors
    /// The config and the weights do not match, a weight is not finite, or the result of a small sample is not finite.
    pub fn load(artifact: Artifact) -> Result<Self> {
        let Artifact { id, manifest, weights, .. } = artifact;
        let fail = |reason: String| Error::Load { model: id.clone(), reason };
        let tensors = Weights::read(&weights, &Device::Cpu).map_err(|e| fail(message(&e)))?;
        let weights = Weights::to_serve(tensors);
        let model =
            Model::new(&manifest.model, weights.builder(&Device::Cpu)).map_err(|e| fail(message(&e)))?;
        if let [first, ..] = weights.unused().as_slice() {
            return Err(fail(format!("the weights hold {first}, which the config has no place for")));
        }
        let session = Self { input: manifest.input(), id, manifest, model };
        session.try_out()?;
        Ok(session)
    }

    /// Creates a session of a model in training, so that validation runs the same code as the service.
    pub fn new(id: ModelId, manifest: Manifest, model: Model) -> Self {
        Self { input: manifest.input(), id, manifest, model }
    }

    /// Returns name, version and digest of the model.
    pub fn id(&self) -> &ModelId {
        &self.id
    }

    /// Returns the manifest of the model.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Returns the accepted input of the model.
    pub fn input(&self) -> &Input {
        &self.input
    }

    /// Encodes a sample to its latent `f(x)`, with at most `1 / ratio` of its numbers.
    ///
    /// # Errors
    /// The shape of the sample or the ratio does not fit the model; [`Error::Range`].
    pub fn encode(&self, sample: &Sample, ratio: Option<f32>) -> Result<Latent> {
        self.encode_at(sample, ratio, &Steady)
    }

    /// Runs [`Session::encode`] with a cancellation token.
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

    /// Decodes a latent to its sample `g(h)`, from the latent alone.
    ///
    /// # Errors
    /// The latent does not fit the model; [`Error::Range`].
    pub fn decode(&self, latent: &Latent) -> Result<Sample> {
        self.decode_at(latent, Depth::F32, &Steady)
    }

    /// Runs [`Session::decode`] to `depth`, with a cancellation token.
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

    /// Denoises a sample.
    ///
    /// # Errors
    /// The shape of the sample or an option does not fit the model; [`Error::Range`].
    pub fn denoise(&self, sample: &Sample, options: &Options) -> Result<Denoised> {
        self.denoise_at(sample, options, Depth::F32, &Steady)
    }

    /// Runs [`Session::denoise`] to `depth`, with a cancellation token. A large 8-bit image then takes at most 2 bytes
    /// per number in addition to the memory of the network. Only images can have an integer depth.
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
            // Full strength per transform: the blend with the input follows the average.
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

    /// Denoises a signal at the sample rate of the model and resamples the result back. The blend with the input is
    /// last, so that strength 0 returns the input exactly.
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
        let whole = self.finish(sample.shape(), data)?.with_rate(sample.rate()).with_gaps_of(sample);
        Ok(Denoised { sample: whole, ..done })
    }

    /// Runs [`Session::denoise`] on several samples of one shape, each of which fits in one piece
    /// ([`Session::is_whole`]). Each result is the same as if computed alone.
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

    /// Returns the features for the familiarity of a sample, from strict decoding, see [`familiarity::features`].
    ///
    /// # Errors
    /// The shape of the sample does not fit the model; [`Error::Range`].
    pub fn features(&self, sample: &Sample) -> Result<Vec<f32>> {
        let latent = self.encode(sample, None)?;
        let (_, residual) = self.decode_bands::<f32>(&latent, Some(sample), 1.0, &Steady)?;
        let mut mean_squares = familiarity::energies(&latent);
        mean_squares.push(residual / sample.shape().numbers() as f64);
        Ok(familiarity::features(&mean_squares))
    }

    /// Returns the familiarity of a sample from its mean squares; `None` if the model is not calibrated.
    fn familiarity(&self, mean_squares: &[f64]) -> Option<f32> {
        familiarity::score(self.manifest.familiarity.as_ref()?, &familiarity::features(mean_squares))
    }

    fn denoised<T: Number>(
        &self,
        sample: &Sample,
        data: Vec<T>,
        familiarity: Option<f32>,
    ) -> Result<Denoised> {
        Ok(Denoised { sample: self.finish(sample.shape(), data)?.with_gaps_of(sample), familiarity })
    }

    fn finish<T: Number>(&self, shape: Shape, data: Vec<T>) -> Result<Sample> {
        // The number of values is right, but an average or a blend may not be finite.
        T::sample(shape, data).map_err(|_| self.out_of_range())
    }

    fn out_of_range(&self) -> Error {
        Error::Range { model: self.id.clone() }
    }
}

/// Averages `count` results by their sum, and blends the mean with the sample.
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
