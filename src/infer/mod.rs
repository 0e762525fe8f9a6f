//! Inference: one loaded model, one sample in, one sample out, synchronous.

use crate::name::ModelId;
use crate::registry::{Artifact, Input};
use crate::sample::{Latent, Sample, Shape};

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
    /// 1, or 8 to average over flips and quarter turns (square images only turn).
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

/// Why a model cannot do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The sample is not of the shape the model takes.
    #[error("model {model} takes {expected}, got {got}")]
    Shape {
        /// `name@version`.
        model: ModelId,
        /// What it takes, in words.
        expected: String,
        /// The shape seen.
        got: Shape,
    },
    /// The latent does not fit the model.
    #[error("the latent does not fit model {model}: {reason}")]
    Latent {
        /// `name@version`.
        model: ModelId,
        /// What does not fit.
        reason: String,
    },
    /// A parameter is out of its range.
    #[error("{name}: {reason}")]
    Parameter {
        /// The parameter.
        name: &'static str,
        /// Its range and the value seen.
        reason: String,
    },
    /// The artifact cannot be made into a model.
    #[error("model {model} cannot be loaded: {reason}")]
    Load {
        /// `name@version`.
        model: ModelId,
        /// What is wrong.
        reason: String,
    },
    /// The tensor code failed.
    #[error("tensor code failed: {0}")]
    Tensor(#[from] crate::nn::Error),
}

/// One loaded model. Shared between threads; every call computes on the calling thread and on the
/// kernels' pool.
#[derive(Debug)]
pub struct Session {
    id: ModelId,
    input: Input,
}

impl Session {
    /// Builds the model of an artifact.
    ///
    /// # Errors
    /// The config and the weights do not fit each other, or a weight is not finite.
    pub fn load(artifact: Artifact) -> Result<Self, Error> {
        let _ = artifact;
        todo!("being built")
    }

    /// Name, version and digest of the model.
    pub fn id(&self) -> &ModelId {
        &self.id
    }

    /// What it takes in.
    pub fn input(&self) -> &Input {
        &self.input
    }

    /// Bytes of working memory a sample of this shape needs at most, output included.
    pub fn working_bytes(&self, shape: Shape) -> usize {
        shape.numbers().saturating_mul(4 * 8)
    }

    /// `f(x)`: the latent of a sample, at most `1 / ratio` of its numbers.
    ///
    /// # Errors
    /// The sample's shape or the ratio does not fit the model.
    pub fn encode(&self, sample: &Sample, ratio: Option<f32>) -> Result<Latent, Error> {
        let _ = (sample, ratio);
        todo!("being built")
    }

    /// `g(h)`: the sample of a latent, from the latent alone.
    ///
    /// # Errors
    /// The latent is not one of this model's.
    pub fn decode(&self, latent: &Latent) -> Result<Sample, Error> {
        let _ = latent;
        todo!("being built")
    }

    /// The clean sample.
    ///
    /// # Errors
    /// The sample's shape or an option does not fit the model.
    pub fn denoise(&self, sample: &Sample, options: &Options) -> Result<Denoised, Error> {
        let _ = (sample, options);
        todo!("being built")
    }
}
