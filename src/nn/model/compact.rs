//! `compact`: images of one small size, with a vector as latent.
//!
//! ```text
//! x --unshuffle--> 3x3, blocks --down--> blocks --flatten, linear--> z
//! z --linear, reshape--> blocks --up--> blocks, 3x3 --shuffle--> r
//! ```

use candle_core::{Result, Tensor};
use candle_nn::VarBuilder;
use serde::{Deserialize, Serialize};

use crate::nn::layer::{Conv2d, Down, Fold, Linear, Residual, Up};
use crate::nn::op::{Activation, pixel_shuffle, pixel_unshuffle};
use crate::sample::Shape;

/// Divisor of height and width inside the network.
pub const STRIDE: usize = 4;

/// Sizes of a compact model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CompactSizes)]
pub struct Config {
    /// Number of channels: 1 gray, 3 colour.
    pub channels: usize,
    /// Height of every image, in pixels.
    pub height: usize,
    /// Width of every image, in pixels.
    pub width: usize,
    /// Number of values in the latent.
    pub latent: usize,
    /// Feature channels at 1/2 and 1/4.
    #[serde(default = "default_widths")]
    #[schema(default = default_widths)]
    pub widths: [usize; 2],
    /// Residual blocks at 1/2 and 1/4, in the encoder and again in the decoder.
    #[serde(default = "default_blocks")]
    #[schema(default = default_blocks)]
    pub blocks: [usize; 2],
}

fn default_widths() -> [usize; 2] {
    [32, 64]
}

fn default_blocks() -> [usize; 2] {
    [1, 1]
}

impl Config {
    /// Default sizes for images of this shape and a latent of `latent` numbers.
    pub fn new(channels: usize, height: usize, width: usize, latent: usize) -> Self {
        Self { channels, height, width, latent, widths: default_widths(), blocks: default_blocks() }
    }

    /// Shape of sample that the model takes.
    pub fn shape(&self) -> Shape {
        Shape::image(self.channels, self.height, self.width)
    }

    pub(super) fn validate(&self, keeps_stats: bool) -> std::result::Result<(), String> {
        if !matches!(self.channels, 1 | 3) {
            return Err(format!("channels must be 1 or 3, got {}", self.channels));
        }
        if !(1..=128).contains(&self.height) || !(1..=128).contains(&self.width) {
            return Err(format!(
                "height and width must lie in 1..=128, got {}x{}; the pyramid family takes any size",
                self.width, self.height
            ));
        }
        if self.widths.iter().any(|w| !(1..=1024).contains(w)) || self.blocks.iter().any(|b| *b > 64) {
            return Err(format!("widths must lie in 1..=1024 and blocks in 0..=64, got {self:?}"));
        }
        super::dense::check_latent(self.latent, self.shape().numbers(), keeps_stats)
    }

    /// Number of positions at 1/4.
    fn quarter(&self) -> usize {
        self.height.div_ceil(STRIDE) * self.width.div_ceil(STRIDE)
    }

    /// Number of values of the coarsest features, flattened.
    fn flat(&self) -> usize {
        self.widths[1] * self.quarter()
    }

    /// Peak number of floats in maps: four maps of the larger scale, as in [`super::scales`], and the scratch of the
    /// linear layers.
    pub(super) fn floats(&self) -> usize {
        let half = 4 * self.quarter() * self.widths[0];
        4 * half.max(self.flat()) + Linear::WORKS_IN * self.flat().max(self.latent)
    }

    pub(super) fn macs(&self) -> usize {
        let quarter = self.quarter();
        let [w1, w2] = self.widths;
        let at_half = 2 * 9 * 4 * self.channels * w1 + 2 * 18 * w1 * w1 * self.blocks[0];
        let at_quarter = 2 * 18 * w2 * w2 * self.blocks[1] + 2 * 4 * w1 * w2;
        4 * quarter * at_half + quarter * at_quarter + 2 * self.flat() * self.latent
    }
}

/// Network; see the file's diagram.
#[derive(Debug, Clone)]
pub struct Compact {
    config: Config,
    head: Conv2d,
    encoder: [Vec<Residual>; 2],
    down: Down,
    to_latent: Linear,
    from_latent: Linear,
    decoder: [Vec<Residual>; 2],
    up: Up,
    tail: Conv2d,
}

impl Compact {
    /// Builds the network over the weights of `vb`.
    ///
    /// # Errors
    /// A weight is missing or has another shape.
    pub fn new(c: &Config, vb: VarBuilder) -> Result<Self> {
        let (e, d) = (vb.pp("encoder"), vb.pp("decoder"));
        let [w1, w2] = c.widths;
        let blocks = |vb: &VarBuilder, i: usize| {
            Residual::stack(c.blocks[i], c.widths[i], (3, 3), vb.pp("blocks").pp(i))
        };
        Ok(Self {
            head: Conv2d::new(4 * c.channels, w1, (3, 3), 2f64.sqrt(), e.pp("head"))?,
            encoder: [blocks(&e, 0)?, blocks(&e, 1)?],
            down: Down::new(w1, w2, Fold::Square, e.pp("down"))?,
            to_latent: Linear::new(c.flat(), c.latent, 1.0, e.pp("latent"))?,
            from_latent: Linear::new(c.latent, c.flat(), 1.0, d.pp("latent"))?,
            decoder: [blocks(&d, 0)?, blocks(&d, 1)?],
            up: Up::new(w2, w1, Fold::Square, d.pp("up"))?,
            tail: Conv2d::new(w1, 4 * c.channels, (3, 3), 1.0, d.pp("tail"))?,
            config: c.clone(),
        })
    }

    /// Encodes a batch.
    ///
    /// # Shape
    /// `x: (B, C, H, W)`, `H` and `W` those of the config rounded up to multiples of 4 -> `(B, Z)`.
    ///
    /// # Errors
    /// The shape does not fit.
    pub fn encode(&self, x: &Tensor) -> Result<Tensor> {
        let x = self.head.forward(&pixel_unshuffle(x)?, Activation::Relu, None)?;
        let x = Residual::run(&self.encoder[0], x)?;
        let x = Residual::run(&self.encoder[1], self.down.forward(&x)?)?;
        self.to_latent.forward(&x.flatten_from(1)?)
    }

    /// Decodes a batch.
    ///
    /// # Shape
    /// `z: (B, Z)` -> `(B, C, H, W)`, see [`Compact::encode`].
    ///
    /// # Errors
    /// The shape does not fit.
    pub fn decode(&self, z: &Tensor) -> Result<Tensor> {
        let (c, b) = (&self.config, z.dim(0)?);
        let x = self.from_latent.forward(z)?.relu()?;
        let x = x.reshape((b, c.widths[1], c.height.div_ceil(STRIDE), c.width.div_ceil(STRIDE)))?;
        let x = self.up.forward(&Residual::run(&self.decoder[1], x)?)?;
        let x = Residual::run(&self.decoder[0], x)?;
        pixel_shuffle(&self.tail.forward(&x, Activation::None, None)?)
    }
}
