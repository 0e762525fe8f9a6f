//! `dense`: vectors of a fixed length, through fully connected layers with ReLU between them.

use candle_core::{Result, Tensor};
use candle_nn::VarBuilder;
use serde::{Deserialize, Serialize};

use crate::nn::layer::Linear;

/// Sizes of a dense model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = DenseSizes)]
pub struct Config {
    /// Number of values of every vector.
    pub features: usize,
    /// Number of values in the latent.
    pub latent: usize,
    /// Widths of the encoder's hidden layers; the decoder has them in reverse.
    #[serde(default = "default_hidden")]
    #[schema(default = default_hidden)]
    pub hidden: Vec<usize>,
}

fn default_hidden() -> Vec<usize> {
    vec![256, 128]
}

impl Config {
    /// Default hidden layers for vectors of `features` numbers and a latent of `latent`.
    pub fn new(features: usize, latent: usize) -> Self {
        Self { features, latent, hidden: default_hidden() }
    }

    pub(super) fn validate(&self, keeps_stats: bool) -> std::result::Result<(), String> {
        if !(2..=1 << 20).contains(&self.features) {
            return Err(format!("features must lie in 2..=1048576, got {}", self.features));
        }
        if self.hidden.len() > 16 || self.hidden.iter().any(|w| !(1..=16_384).contains(w)) {
            return Err(format!("hidden must be at most 16 widths of 1..=16384, got {:?}", self.hidden));
        }
        check_latent(self.latent, self.features, keeps_stats)
    }

    /// Widths from the sample to the latent.
    fn widths(&self) -> Vec<usize> {
        [&[self.features], self.hidden.as_slice(), &[self.latent]].concat()
    }

    /// Peak number of floats: input, scratch and output of a layer, and the output again with ReLU.
    pub(super) fn floats(&self) -> usize {
        let widest = self.widths().into_iter().max().unwrap_or(0);
        (3 + Linear::WORKS_IN) * widest
    }

    pub(super) fn macs(&self) -> usize {
        2 * self.widths().windows(2).map(|w| w[0] * w[1]).sum::<usize>()
    }
}

/// Checks that a latent vector, together with the stored statistics, is smaller than the sample.
pub(super) fn check_latent(
    latent: usize,
    numbers: usize,
    keeps_stats: bool,
) -> std::result::Result<(), String> {
    let most = (numbers - 1).saturating_sub(if keeps_stats { 2 } else { 0 });
    if (1..=most).contains(&latent) {
        return Ok(());
    }
    Err(format!("latent must lie in 1..={most} for samples of {numbers} numbers, got {latent}"))
}

/// Network; see the file's first lines.
#[derive(Debug, Clone)]
pub struct Dense {
    encoder: Vec<Linear>,
    decoder: Vec<Linear>,
}

impl Dense {
    /// Builds the network over the weights of `vb`.
    ///
    /// # Errors
    /// A weight is missing or has another shape.
    pub fn new(c: &Config, vb: VarBuilder) -> Result<Self> {
        let stack = |widths: &[usize], vb: VarBuilder| {
            let layer = |(i, w): (usize, &[usize])| Linear::new(w[0], w[1], 2f64.sqrt(), vb.pp(i));
            widths.windows(2).enumerate().map(layer).collect::<Result<Vec<_>>>()
        };
        let inward = c.widths();
        let outward: Vec<usize> = inward.iter().rev().copied().collect();
        Ok(Self { encoder: stack(&inward, vb.pp("encoder"))?, decoder: stack(&outward, vb.pp("decoder"))? })
    }

    /// # Shape
    /// `x: (B, D)` -> `(B, Z)`.
    ///
    /// # Errors
    /// The shape does not fit.
    pub fn encode(&self, x: &Tensor) -> Result<Tensor> {
        run(&self.encoder, x)
    }

    /// # Shape
    /// `z: (B, Z)` -> `(B, D)`.
    ///
    /// # Errors
    /// The shape does not fit.
    pub fn decode(&self, z: &Tensor) -> Result<Tensor> {
        run(&self.decoder, z)
    }
}

fn run(layers: &[Linear], x: &Tensor) -> Result<Tensor> {
    let mut x = x.clone();
    for (i, layer) in layers.iter().enumerate() {
        x = layer.forward(&x)?;
        if i + 1 < layers.len() {
            x = x.relu()?;
        }
    }
    Ok(x)
}
