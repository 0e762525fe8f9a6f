//! Models: the families of autoencoders, one file each.
//!
//! Every family has the same three maps: `encode` (a sample to the maps of its latent), `decode` (the latent alone to
//! the sample) and, in some families, `refine` (which also uses the detail that the latent leaves out). A model takes
//! normalised tensors and does not deal with files or statistics.
//!
//! To add a family, add a file with its `Config` and its maps, and a variant of [`Family`] and of [`Model`].

mod compact;
mod dense;
mod pyramid;
mod scales;
mod signal;
#[cfg(test)]
mod tests;

use candle_core::{Result, Tensor};
use candle_nn::VarBuilder;
use serde::{Deserialize, Serialize};

pub use compact::{Compact, Config as CompactConfig};
pub use dense::{Config as DenseConfig, Dense};
pub use pyramid::Config as PyramidConfig;
pub use scales::{Axes, Parts, Ports, Reach, Scales, Sizes, Stream};
pub use signal::Config as SignalConfig;

use crate::sample::{Kind, Sample, Shape, Stats};

/// Description of a model; part of an artifact's `config.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Family with its sizes.
    pub family: Family,
    /// Normalization of a sample before the network.
    #[serde(default)]
    pub normalize: Normalize,
    /// Sampling rate of the training signals, in Hz; others are resampled, or rejected. `None` if unknown, and for
    /// other kinds of sample.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<f32>,
}

/// Families of autoencoders.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// Images of any size.
    Pyramid(pyramid::Config),
    /// Images of one small size.
    Compact(compact::Config),
    /// Signals of any length.
    Signal(signal::Config),
    /// Vectors.
    Dense(dense::Config),
}

/// Normalization of a sample before the network, undone after it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Normalize {
    /// Mean and deviation of the sample itself, stored in the latent.
    #[default]
    Sample,
    /// Fixed mean and deviation, those of the training data; the latent holds only the network's numbers.
    Fixed(Stats),
    /// Mean and deviation of each channel of the sample itself, for channels with different units; stored in the latent.
    Channel,
    /// Fixed mean and deviation of each column of a vector, those of the training data.
    Columns(Vec<Stats>),
}

impl Normalize {
    /// Number of statistics, pairs of mean and deviation, in the latent of a sample with `channels` channels.
    pub fn kept(&self, channels: usize) -> usize {
        match self {
            Normalize::Sample => 1,
            Normalize::Channel => channels,
            Normalize::Fixed(_) | Normalize::Columns(_) => 0,
        }
    }

    /// Statistics of each channel or column of a sample, the units of its noise; empty if all of it has one unit.
    pub fn units(&self, sample: &Sample) -> Vec<Stats> {
        match self {
            Normalize::Sample | Normalize::Fixed(_) => Vec::new(),
            Normalize::Channel => sample.channel_stats(),
            Normalize::Columns(columns) => columns.clone(),
        }
    }
}

/// Output of the encoder.
#[derive(Debug, Clone)]
pub struct Code {
    /// Maps of the latent, coarsest first.
    pub planes: Vec<Tensor>,
    /// Detail that the latent leaves out, for [`Model::refine`] only.
    pub detail: Option<Tensor>,
}

/// Output of the decoder.
#[derive(Debug, Clone)]
pub struct Rebuilt {
    /// Reconstructed sample.
    pub strict: Tensor,
    /// Last features of the decoder, for [`Model::refine`] only.
    pub features: Option<Tensor>,
}

/// Network with its weights.
#[derive(Debug, Clone)]
pub enum Model {
    /// Images of any size.
    Pyramid(Scales),
    /// Images of one small size.
    Compact(Compact),
    /// Signals of any length.
    Signal(Scales),
    /// Vectors.
    Dense(Dense),
}

impl Config {
    /// Checks that every size is valid and that the latent is smaller than the sample.
    ///
    /// # Errors
    /// One line that names the field, its range and the value.
    pub fn validate(&self) -> std::result::Result<(), String> {
        if self.rate.is_some_and(|rate| !(rate.is_finite() && rate > 0.0)) {
            return Err(format!("rate must be above 0 Hz, got {:?}", self.rate));
        }
        match (&self.normalize, &self.family) {
            (Normalize::Columns(columns), Family::Dense(c)) if columns.len() == c.features => {}
            (Normalize::Columns(columns), _) => {
                return Err(format!(
                    "normalize: {} columns are for dense models of as many features",
                    columns.len()
                ));
            }
            (Normalize::Channel, family) if !matches!(family, Family::Signal(_)) => {
                return Err("normalize: channel is for signals".to_owned());
            }
            _ => {}
        }
        match &self.family {
            Family::Pyramid(c) => c.validate(),
            Family::Signal(c) => c.validate(),
            Family::Compact(c) => c.validate(self.normalize == Normalize::Sample),
            Family::Dense(c) => c.validate(self.normalize == Normalize::Sample),
        }
    }

    /// Kind of sample, its number of channels, and its shape if the family accepts only one.
    pub fn input(&self) -> (Kind, usize, Option<Shape>) {
        match &self.family {
            Family::Pyramid(c) => (Kind::Image, c.channels, None),
            Family::Compact(c) => (Kind::Image, c.channels, Some(c.shape())),
            Family::Signal(c) => (Kind::Signal, c.channels, None),
            Family::Dense(c) => (Kind::Vector, 1, Some(Shape::Vector { features: c.features })),
        }
    }

    /// Sizes of a multi-scale network; `None` for the families with a vector as latent.
    pub fn scales(&self) -> Option<Sizes> {
        match &self.family {
            Family::Pyramid(c) => Some(c.sizes()),
            Family::Signal(c) => Some(c.sizes()),
            Family::Compact(_) | Family::Dense(_) => None,
        }
    }

    /// Divisor of height and width, or of the length, inside the network.
    pub fn stride(&self) -> usize {
        match &self.family {
            Family::Pyramid(_) => pyramid::STRIDE,
            Family::Compact(_) => compact::STRIDE,
            Family::Signal(_) => signal::STRIDE,
            Family::Dense(_) => 1,
        }
    }

    /// Number of channels of all maps of a whole latent.
    pub fn latent_channels(&self) -> usize {
        match &self.family {
            Family::Pyramid(c) => c.latent.iter().sum(),
            Family::Signal(c) => c.latent.iter().sum(),
            Family::Compact(c) => c.latent,
            Family::Dense(c) => c.latent,
        }
    }

    /// Numbers of channels that are valid prefixes of the latent, ascending; the last is the whole.
    pub fn prefixes(&self) -> Vec<usize> {
        match &self.family {
            Family::Pyramid(_) | Family::Signal(_) => (1..=self.latent_channels()).collect(),
            Family::Compact(_) | Family::Dense(_) => vec![self.latent_channels()],
        }
    }

    /// Extents of the maps of a latent of `keep` channels for a sample of `shape`, coarsest first; maps without
    /// channels are omitted.
    ///
    /// # Shape
    /// A map at scale `s` covers `ceil(H / s) x ceil(W / s)`, or `ceil(L / s)`.
    pub fn latent_dims(&self, shape: Shape, keep: usize) -> Vec<Vec<usize>> {
        let Some(sizes) = self.scales() else { return vec![vec![self.latent_channels()]] };
        let (_, height, width) = shape.extents();
        let mut left = keep;
        let mut dims = Vec::new();
        for (channels, scale) in sizes.planes() {
            let kept = channels.min(left);
            left -= kept;
            if kept > 0 {
                dims.push(sizes.map_dims(kept, scale, height, width));
            }
        }
        dims
    }

    /// Peak number of floats in maps when one sample of `height` x `width`, as padded for the network, is processed
    /// in one piece; a few buffers of the sample's own size come on top.
    pub fn floats(&self, height: usize, width: usize) -> usize {
        match &self.family {
            Family::Pyramid(c) => c.sizes().floats(height, width),
            Family::Signal(c) => c.sizes().floats(height, width),
            Family::Compact(c) => c.floats(),
            Family::Dense(c) => c.floats(),
        }
    }

    /// Number of values in a latent of `keep` channels for a sample of `shape`.
    pub fn latent_numbers(&self, shape: Shape, keep: usize) -> usize {
        let stats = 2 * self.normalize.kept(shape.channels());
        self.latent_dims(shape, keep).iter().map(|d| d.iter().product::<usize>()).sum::<usize>() + stats
    }

    /// Number of multiply-accumulate operations to denoise a sample of `shape`, refiner included.
    pub fn macs(&self, shape: Shape) -> usize {
        match &self.family {
            Family::Pyramid(PyramidConfig { channels, .. })
            | Family::Signal(SignalConfig { channels, .. }) => {
                let per_64 = self.scales().map_or(0, |sizes| sizes.macs_per_64());
                (per_64 as u128 * shape.numbers() as u128 / (64 * *channels as u128)) as usize
            }
            Family::Compact(c) => c.macs(),
            Family::Dense(c) => c.macs(),
        }
    }
}

impl Model {
    /// Builds the network over the weights of `vb`, creating missing ones.
    ///
    /// # Errors
    /// A weight is missing or has another shape.
    pub fn new(config: &Config, vb: VarBuilder) -> Result<Self> {
        Ok(match &config.family {
            Family::Pyramid(c) => Model::Pyramid(Scales::new(&c.sizes(), vb)?),
            Family::Signal(c) => Model::Signal(Scales::new(&c.sizes(), vb)?),
            Family::Compact(c) => Model::Compact(Compact::new(c, vb)?),
            Family::Dense(c) => Model::Dense(Dense::new(c, vb)?),
        })
    }

    /// Encodes a normalised batch to the maps of its latents.
    ///
    /// # Shape
    /// Images `(B, C, H, W)` with `H` and `W` multiples of the stride -> maps `(B, Z, H/s, W/s)`, or
    /// one map `(B, Z)`; signals `(B, C, L)` -> maps `(B, Z, L/s)`; vectors `(B, D)` -> one map `(B, Z)`.
    ///
    /// # Errors
    /// The shape does not fit.
    pub fn encode(&self, x: &Tensor) -> Result<Code> {
        match self {
            Model::Pyramid(m) => m.encode(x),
            Model::Signal(m) => {
                let Code { planes, detail } = m.encode(&x.unsqueeze(2)?)?;
                Ok(Code { planes: planes.iter().map(|z| z.squeeze(2)).collect::<Result<_>>()?, detail })
            }
            Model::Compact(m) => Ok(Code { planes: vec![m.encode(x)?], detail: None }),
            Model::Dense(m) => Ok(Code { planes: vec![m.encode(x)?], detail: None }),
        }
    }

    /// Decodes the maps of latents to a normalised batch.
    ///
    /// # Errors
    /// The shapes do not fit.
    pub fn decode(&self, planes: &[Tensor]) -> Result<Rebuilt> {
        match (self, planes) {
            (Model::Pyramid(m), planes) => m.decode(planes),
            (Model::Signal(m), planes) => {
                let planes = planes.iter().map(|z| z.unsqueeze(2)).collect::<Result<Vec<_>>>()?;
                let Rebuilt { strict, features } = m.decode(&planes)?;
                Ok(Rebuilt { strict: strict.squeeze(2)?, features })
            }
            (Model::Compact(m), [z]) => Ok(Rebuilt { strict: m.decode(z)?, features: None }),
            (Model::Dense(m), [z]) => Ok(Rebuilt { strict: m.decode(z)?, features: None }),
            _ => candle_core::bail!("expected 1 map of the latent, got {}", planes.len()),
        }
    }

    /// Returns the final sample: the decoder's result, corrected by the detail that the latent leaves out, or unchanged in a
    /// family without a refiner. Takes its arguments by value, so that each map is freed after its last use.
    ///
    /// # Errors
    /// The shapes do not fit.
    pub fn refine(&self, rebuilt: Rebuilt, detail: Option<Tensor>) -> Result<Tensor> {
        let Rebuilt { strict, features } = rebuilt;
        match (self, features, detail) {
            (Model::Pyramid(m), Some(features), Some(detail)) => m.refine(&strict, features, detail),
            (Model::Signal(m), Some(features), Some(detail)) => {
                m.refine(&strict.unsqueeze(2)?, features, detail)?.squeeze(2)
            }
            _ => Ok(strict),
        }
    }

    /// Multi-scale network, which supports streaming inference.
    pub fn scales(&self) -> Option<&Scales> {
        match self {
            Model::Pyramid(m) | Model::Signal(m) => Some(m),
            Model::Compact(_) | Model::Dense(_) => None,
        }
    }

    /// Returns `true` if [`Model::refine`] changes anything.
    pub fn has_refiner(&self) -> bool {
        matches!(self, Model::Pyramid(_) | Model::Signal(_))
    }
}

/// Sets all channels after the first `keep` (counted over all maps, coarsest first) to zero, as a decoder sees a
/// shorter latent.
///
/// # Errors
/// A map has no channel axis.
pub fn mask(planes: &[Tensor], keep: usize) -> Result<Vec<Tensor>> {
    let mut left = keep;
    let mask_one = |plane: &Tensor| {
        let channels = plane.dim(1)?;
        let kept = channels.min(left);
        left -= kept;
        if kept == channels {
            return Ok(plane.clone());
        }
        let ones: Vec<f32> = (0..channels).map(|c| if c < kept { 1.0 } else { 0.0 }).collect();
        let mut dims = vec![1; plane.rank()];
        dims[1] = channels;
        plane.broadcast_mul(&Tensor::from_vec(ones, dims, plane.device())?)
    };
    planes.iter().map(mask_one).collect()
}
