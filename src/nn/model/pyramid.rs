//! `pyramid`: images of any size, with latent maps at 1/2, 1/4 and 1/8 of it.
//!
//! ```text
//! x --unshuffle--> head --[e1 at 1/2]--down--[e2 at 1/4]--down--[e3 at 1/8]
//!                   |         |1x1               |1x1               |1x1        few channels each
//!                 detail     z1                 z2                 z3           the latent
//!                   |         |1x1               |1x1               |1x1
//!                   |     [d1 at 1/2]<--up--[d2 at 1/4]<--up--[d3 at 1/8]
//!                   v         |--> shuffle --> strict
//!                 [refiner on d1 and detail] --> shuffle, + strict --> full
//! ```
//!
//! Only plain convolutions and no global operator, so that tiles are exact.

use candle_core::{Result, Tensor};
use candle_nn::VarBuilder;
use serde::{Deserialize, Serialize};

use super::{Code, Rebuilt};
use crate::nn::layer::{Conv2d, Down, Residual, Up};
use crate::nn::op::{Activation, pixel_shuffle, pixel_unshuffle};

/// The coarsest scale: height and width inside the network are multiples of it.
pub const STRIDE: usize = 8;

/// Sizes of a pyramid; arrays go from 1/2 to 1/8 of the image size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// 1 gray, 3 colour.
    pub channels: usize,
    /// Feature channels of each scale.
    pub widths: [usize; 3],
    /// Residual blocks of the encoder at each scale.
    pub encoder_blocks: [usize; 3],
    /// Residual blocks of the decoder at each scale.
    pub decoder_blocks: [usize; 3],
    /// Residual blocks of the refiner, at 1/2.
    pub refiner_blocks: usize,
    /// Latent channels of each scale: 16, 4 and 1 numbers each per 8x8 pixels.
    pub latent: [usize; 3],
}

impl Default for Config {
    fn default() -> Self {
        Self {
            channels: 1,
            widths: [48, 64, 96],
            encoder_blocks: [1, 1, 2],
            decoder_blocks: [1, 1, 2],
            refiner_blocks: 1,
            latent: [1, 2, 8],
        }
    }
}

impl Config {
    /// The default sizes for `channels`: half as many latent numbers as the image has.
    pub fn for_channels(channels: usize) -> Self {
        let latent = Self::default().latent.map(|z| z * channels);
        Self { channels, latent, ..Self::default() }
    }

    /// Latent maps, coarsest first: `(channels, scale)`.
    pub fn planes(&self) -> [(usize, usize); 3] {
        [(self.latent[2], 8), (self.latent[1], 4), (self.latent[0], 2)]
    }

    pub(super) fn validate(&self) -> std::result::Result<(), String> {
        if !matches!(self.channels, 1 | 3) {
            return Err(format!("channels must be 1 or 3, got {}", self.channels));
        }
        if let Some(width) = self.widths.iter().find(|w| !(1..=1024).contains(*w)) {
            return Err(format!("widths must lie in 1..=1024, got {width}"));
        }
        let blocks = self.encoder_blocks.iter().chain(&self.decoder_blocks).chain([&self.refiner_blocks]);
        if let Some(count) = blocks.into_iter().find(|b| **b > 64) {
            return Err(format!("blocks must be at most 64 a scale, got {count}"));
        }
        let numbers = 16 * self.latent[0] + 4 * self.latent[1] + self.latent[2];
        let pixels = 64 * self.channels;
        // At 16x16 pixels the two statistics must fit beside the maps of four 8x8 squares.
        if numbers == 0 || 4 * numbers + 2 >= 4 * pixels {
            return Err(format!(
                "latent must hold fewer numbers than the image: {numbers} of {pixels} per 8x8 pixels"
            ));
        }
        Ok(())
    }

    pub(super) fn reach(&self) -> (usize, usize) {
        // A 3x3 convolution reaches 1, a residual block 2 pixels of its own scale; squares of the
        // stride reach inside themselves.
        let blocks = |b: &[usize; 3]| 2 * (2 * b[0] + 4 * b[1] + 8 * b[2]);
        let encoder = 2 + blocks(&self.encoder_blocks) + STRIDE;
        let decoder = 2 + 2 * 2 * self.refiner_blocks + blocks(&self.decoder_blocks) + STRIDE;
        (encoder, decoder)
    }

    pub(super) fn macs_per_64_pixels(&self) -> usize {
        let [w1, w2, w3] = self.widths;
        let c = 4 * self.channels;
        let at_half = 9 * c * w1 * 3 // head, tail, refiner's tail
            + 18 * w1 * w1 * (self.encoder_blocks[0] + self.decoder_blocks[0] + self.refiner_blocks)
            + 2 * w1 * w1 + 2 * w1 * self.latent[0];
        let at_quarter = 18 * w2 * w2 * (self.encoder_blocks[1] + self.decoder_blocks[1])
            + 2 * 4 * w1 * w2
            + 2 * w2 * self.latent[1];
        let at_eighth = 18 * w3 * w3 * (self.encoder_blocks[2] + self.decoder_blocks[2])
            + 2 * 4 * w2 * w3
            + 2 * w3 * self.latent[2];
        16 * at_half + 4 * at_quarter + at_eighth
    }
}

/// The network; see the file's opening.
#[derive(Debug, Clone)]
pub struct Pyramid {
    encoder: Encoder,
    decoder: Decoder,
    refiner: Refiner,
}

#[derive(Debug, Clone)]
struct Encoder {
    head: Conv2d,
    blocks: [Vec<Residual>; 3],
    downs: [Down; 2],
    /// To the latent, finest first.
    heads: [Conv2d; 3],
}

#[derive(Debug, Clone)]
struct Decoder {
    /// From the latent, finest first.
    tails: [Conv2d; 3],
    blocks: [Vec<Residual>; 3],
    ups: [Up; 2],
    tail: Conv2d,
}

#[derive(Debug, Clone)]
struct Refiner {
    features: Conv2d,
    detail: Conv2d,
    blocks: Vec<Residual>,
    tail: Conv2d,
}

impl Pyramid {
    /// Builds the network over the weights of `vb`.
    ///
    /// # Errors
    /// A weight is missing or has another shape.
    pub fn new(config: &Config, vb: VarBuilder) -> Result<Self> {
        Ok(Self {
            encoder: Encoder::new(config, vb.pp("encoder"))?,
            decoder: Decoder::new(config, vb.pp("decoder"))?,
            refiner: Refiner::new(config, vb.pp("refiner"))?,
        })
    }

    /// # Shape
    /// `x: (B, C, H, W)` -> maps `(B, Z, H/8, W/8)`, `(B, Z, H/4, W/4)`, `(B, Z, H/2, W/2)`; detail
    /// `(B, widths[0], H/2, W/2)`.
    ///
    /// # Errors
    /// `H` or `W` is not a multiple of 8.
    pub fn encode(&self, x: &Tensor) -> Result<Code> {
        self.encoder.forward(x)
    }

    /// The inverse shapes of [`Pyramid::encode`]; features are `(B, widths[0], H/2, W/2)`.
    ///
    /// # Errors
    /// There are not three maps, or their sizes do not fit each other.
    pub fn decode(&self, planes: &[Tensor]) -> Result<Rebuilt> {
        self.decoder.forward(planes)
    }

    /// # Shape
    /// `strict: (B, C, H, W)`, `features` and `detail: (B, widths[0], H/2, W/2)` -> `(B, C, H, W)`.
    ///
    /// # Errors
    /// The shapes do not fit.
    pub fn refine(&self, strict: &Tensor, features: &Tensor, detail: &Tensor) -> Result<Tensor> {
        self.refiner.forward(strict, features, detail)
    }
}

impl Encoder {
    fn new(c: &Config, vb: VarBuilder) -> Result<Self> {
        let [w1, w2, w3] = c.widths;
        let blocks = |i: usize| Residual::stack(c.encoder_blocks[i], c.widths[i], vb.pp("blocks").pp(i));
        let head = |i: usize| Conv2d::new(c.widths[i], c.latent[i], 1, 1.0, vb.pp("latent").pp(i));
        Ok(Self {
            head: Conv2d::new(4 * c.channels, w1, 3, 2f64.sqrt(), vb.pp("head"))?,
            blocks: [blocks(0)?, blocks(1)?, blocks(2)?],
            downs: [Down::new(w1, w2, vb.pp("down").pp(0))?, Down::new(w2, w3, vb.pp("down").pp(1))?],
            heads: [head(0)?, head(1)?, head(2)?],
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Code> {
        let detail = self.head.forward(&pixel_unshuffle(x)?, Activation::Relu, None)?;
        let e1 = Residual::run(&self.blocks[0], detail)?;
        let e2 = Residual::run(&self.blocks[1], self.downs[0].forward(&e1)?)?;
        let e3 = Residual::run(&self.blocks[2], self.downs[1].forward(&e2)?)?;

        let latent = |i: usize, e: &Tensor| self.heads[i].forward(e, Activation::None, None);
        let planes = vec![latent(2, &e3)?, latent(1, &e2)?, latent(0, &e1)?];
        Ok(Code { planes, detail: Some(e1) })
    }
}

impl Decoder {
    fn new(c: &Config, vb: VarBuilder) -> Result<Self> {
        let [w1, w2, w3] = c.widths;
        let blocks = |i: usize| Residual::stack(c.decoder_blocks[i], c.widths[i], vb.pp("blocks").pp(i));
        let tail = |i: usize| Conv2d::new(c.latent[i], c.widths[i], 1, 1.0, vb.pp("latent").pp(i));
        Ok(Self {
            tails: [tail(0)?, tail(1)?, tail(2)?],
            blocks: [blocks(0)?, blocks(1)?, blocks(2)?],
            ups: [Up::new(w2, w1, vb.pp("up").pp(0))?, Up::new(w3, w2, vb.pp("up").pp(1))?],
            tail: Conv2d::new(w1, 4 * c.channels, 3, 1.0, vb.pp("tail"))?,
        })
    }

    fn forward(&self, planes: &[Tensor]) -> Result<Rebuilt> {
        let [z3, z2, z1] = planes else {
            candle_core::bail!("expected 3 maps of the latent, got {}", planes.len());
        };
        let d3 = self.tails[2].forward(z3, Activation::None, None)?;
        let up3 = self.ups[1].forward(&Residual::run(&self.blocks[2], d3)?)?;
        let d2 = self.tails[1].forward(z2, Activation::None, Some(&up3))?;
        let up2 = self.ups[0].forward(&Residual::run(&self.blocks[1], d2)?)?;
        let d1 = self.tails[0].forward(z1, Activation::None, Some(&up2))?;
        let features = Residual::run(&self.blocks[0], d1)?;

        let strict = pixel_shuffle(&self.tail.forward(&features, Activation::None, None)?)?;
        Ok(Rebuilt { strict, features: Some(features) })
    }
}

impl Refiner {
    fn new(c: &Config, vb: VarBuilder) -> Result<Self> {
        let w = c.widths[0];
        Ok(Self {
            features: Conv2d::new(w, w, 1, 1.0, vb.pp("features"))?,
            detail: Conv2d::new(w, w, 1, 1.0, vb.pp("detail"))?,
            blocks: Residual::stack(c.refiner_blocks, w, vb.pp("blocks"))?,
            // Near zero, so that a new refiner hands the decoder's result through.
            tail: Conv2d::new(w, 4 * c.channels, 3, 0.1, vb.pp("tail"))?,
        })
    }

    fn forward(&self, strict: &Tensor, features: &Tensor, detail: &Tensor) -> Result<Tensor> {
        let features = self.features.forward(features, Activation::None, None)?;
        let both = self.detail.forward(detail, Activation::Relu, Some(&features))?;
        let both = Residual::run(&self.blocks, both)?;
        pixel_shuffle(&self.tail.forward(&both, Activation::None, None)?)? + strict
    }
}
