//! Network of `pyramid` and `signal`: an autoencoder at three scales, over a plane or along a line.
//!
//! ```text
//! x --fold--> head --[e1 at s1]--down--[e2 at s2]--down--[e3 at s3]
//!                         |  |1x1           |1x1             |1x1       few channels each
//!                    detail  z1             z2               z3         the latent
//!                         |  |1x1           |1x1             |1x1
//!                         | [d1 at s1]<--up--[d2 at s2]<--up--[d3 at s3]
//!                         v  |--> unfold --> strict
//!            [refiner on d1 and detail] --> unfold, + strict --> full
//! ```
//!
//! Scales are 1/2, 1/4, 1/8 of each side of an image and 1/4, 1/8, 1/16 of a signal's length. There are only plain
//! convolutions and no global operator, so streaming inference is exact ([`stream`]).

mod stream;

use candle_core::{Result, Tensor};
use candle_nn::VarBuilder;

use super::{Code, Rebuilt};
use crate::nn::layer::{Conv2d, Down, Fold, Residual, Up};
use crate::nn::op::Activation;
pub use stream::{Parts, Ports, Stream};

/// Axes along which a network works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Axes {
    /// Height and width.
    Plane,
    /// Time; tensors inside have height 1.
    Line,
}

/// Receptive field radius of the parts of a network, in pixels or time steps of the sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reach {
    /// Radius of the encoder: from any map of the latent into the sample.
    pub encoder: usize,
    /// Radius of the decoder and the refiner: from the result into any map of the latent.
    pub decoder: usize,
}

/// Sizes of a network; arrays are ordered from the finest scale to the coarsest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sizes {
    /// Axes along which it works.
    pub axes: Axes,
    /// Number of channels of the sample.
    pub channels: usize,
    /// Feature channels of each scale.
    pub widths: [usize; 3],
    /// Residual blocks of the encoder at each scale.
    pub encoder_blocks: [usize; 3],
    /// Residual blocks of the decoder at each scale.
    pub decoder_blocks: [usize; 3],
    /// Residual blocks of the refiner, at the finest scale.
    pub refiner_blocks: usize,
    /// Latent channels of each scale.
    pub latent: [usize; 3],
}

impl Axes {
    /// Downsampling factor of each scale along an axis.
    pub const fn scales(self) -> [usize; 3] {
        match self {
            Axes::Plane => [2, 4, 8],
            Axes::Line => [4, 8, 16],
        }
    }

    /// Downsampling factors of a map at `scale` in rows and in columns.
    pub fn shrink(self, scale: usize) -> (usize, usize) {
        match self {
            Axes::Plane => (scale, scale),
            Axes::Line => (1, scale),
        }
    }

    /// Coarsest scale: extents inside the network are multiples of it.
    pub const fn stride(self) -> usize {
        self.scales()[2]
    }

    /// Rows and columns of the kernels larger than 1x1.
    fn kernel(self) -> (usize, usize) {
        match self {
            Axes::Plane => (3, 3),
            Axes::Line => (1, 5),
        }
    }

    /// Folds from the sample to the first scale, and from one scale to the next.
    fn folds(self) -> (Fold, Fold) {
        match self {
            Axes::Plane => (Fold::Square, Fold::Square),
            Axes::Line => (Fold::Row(4), Fold::Row(2)),
        }
    }
}

impl Sizes {
    /// Latent maps, coarsest first: `(channels, scale)`.
    pub fn planes(&self) -> [(usize, usize); 3] {
        let [s1, s2, s3] = self.axes.scales();
        [(self.latent[2], s3), (self.latent[1], s2), (self.latent[0], s1)]
    }

    /// Extents of the map of `channels` channels at `scale` for a sample of `height` x `width`: `(Z, H, W)`,
    /// or `(Z, L)` along a line.
    pub fn map_dims(&self, channels: usize, scale: usize, height: usize, width: usize) -> Vec<usize> {
        match self.axes {
            Axes::Plane => vec![channels, height.div_ceil(scale), width.div_ceil(scale)],
            Axes::Line => vec![channels, width.div_ceil(scale)],
        }
    }

    pub(super) fn validate(&self) -> std::result::Result<(), String> {
        if let Some(width) = self.widths.iter().find(|w| !(1..=1024).contains(*w)) {
            return Err(format!("widths must lie in 1..=1024, got {width}"));
        }
        let blocks = self.encoder_blocks.iter().chain(&self.decoder_blocks).chain([&self.refiner_blocks]);
        if let Some(count) = blocks.into_iter().find(|b| **b > 64) {
            return Err(format!("blocks must be at most 64 a scale, got {count}"));
        }
        if let Some(channels) = self.latent.iter().find(|z| !(1..=4096).contains(*z)) {
            return Err(format!("latent must lie in 1..=4096 channels a scale, got {channels}"));
        }
        Ok(())
    }

    /// Receptive field radius of the parts.
    pub fn reach(&self) -> Reach {
        // A kernel's radius is half its width, a residual block's twice that; folds do not overlap.
        let (scales, one) = (self.axes.scales(), self.axes.kernel().1 / 2);
        let blocks = |i: usize, count: usize| 2 * one * scales[i] * count;
        let head = one * scales[0];
        let encoder = head + (0..3).map(|i| blocks(i, self.encoder_blocks[i])).sum::<usize>();
        let finest = head + blocks(0, self.refiner_blocks + self.decoder_blocks[0]);
        let middle = finest.next_multiple_of(scales[1]) + blocks(1, self.decoder_blocks[1]);
        let decoder = middle.next_multiple_of(scales[2]) + blocks(2, self.decoder_blocks[2]);
        Reach { encoder, decoder }
    }

    /// Peak number of floats in maps. At a step between scales these are two maps of one scale, the step's result,
    /// and the detail or another scale's map: less than four of the largest.
    pub(super) fn floats(&self, height: usize, width: usize) -> usize {
        let map = |(scale, channels): (usize, usize)| {
            let (rows, cols) = self.axes.shrink(scale);
            height / rows * (width / cols) * channels
        };
        4 * self.axes.scales().into_iter().zip(self.widths).map(map).max().unwrap_or(0)
    }

    /// Number of multiply-accumulate operations to denoise a square of 8x8 pixels, or 64 time steps.
    pub(super) fn macs_per_64(&self) -> usize {
        let (kh, kw) = self.axes.kernel();
        let (taps, [w1, w2, w3], c) = (kh * kw, self.widths, 4 * self.channels);
        let [e1, e2, e3] = self.encoder_blocks;
        let [d1, d2, d3] = self.decoder_blocks;
        let fold = self.axes.folds().1.factor();
        let at_first = taps * c * w1 * 3 // head, tail, refiner's tail
            + 2 * taps * w1 * w1 * (e1 + d1 + self.refiner_blocks)
            + 2 * w1 * w1 + 2 * w1 * self.latent[0];
        let at_second = 2 * taps * w2 * w2 * (e2 + d2) + 2 * fold * w1 * w2 + 2 * w2 * self.latent[1];
        let at_third = 2 * taps * w3 * w3 * (e3 + d3) + 2 * fold * w2 * w3 + 2 * w3 * self.latent[2];
        let places = self.axes.scales().map(|s| match self.axes {
            Axes::Plane => 64 / (s * s),
            Axes::Line => 64 / s,
        });
        places[0] * at_first + places[1] * at_second + places[2] * at_third
    }
}

/// Network; see the file's diagram.
#[derive(Debug, Clone)]
pub struct Scales {
    sizes: Sizes,
    encoder: Encoder,
    decoder: Decoder,
    refiner: Refiner,
}

#[derive(Debug, Clone)]
struct Encoder {
    fold: Fold,
    head: Conv2d,
    blocks: [Vec<Residual>; 3],
    downs: [Down; 2],
    /// Convolutions to the latent, finest first.
    heads: [Conv2d; 3],
}

#[derive(Debug, Clone)]
struct Decoder {
    fold: Fold,
    /// Convolutions from the latent, finest first.
    tails: [Conv2d; 3],
    blocks: [Vec<Residual>; 3],
    ups: [Up; 2],
    tail: Conv2d,
}

#[derive(Debug, Clone)]
struct Refiner {
    fold: Fold,
    features: Conv2d,
    detail: Conv2d,
    blocks: Vec<Residual>,
    tail: Conv2d,
}

impl Scales {
    /// Builds the network over the weights of `vb`.
    ///
    /// # Errors
    /// A weight is missing or has another shape.
    pub fn new(sizes: &Sizes, vb: VarBuilder) -> Result<Self> {
        Ok(Self {
            sizes: *sizes,
            encoder: Encoder::new(sizes, vb.pp("encoder"))?,
            decoder: Decoder::new(sizes, vb.pp("decoder"))?,
            refiner: Refiner::new(sizes, vb.pp("refiner"))?,
        })
    }

    /// Sizes that it was built from.
    pub fn sizes(&self) -> &Sizes {
        &self.sizes
    }

    /// Encodes a batch.
    ///
    /// # Shape
    /// `x: (B, C, H, W)` -> maps `(B, Z, H/s, W/s)`, coarsest first; detail `(B, widths[0], H/s, W/s)` at the
    /// finest scale. Along a line `H` is 1 throughout.
    ///
    /// # Errors
    /// An extent is not a multiple of the stride.
    pub fn encode(&self, x: &Tensor) -> Result<Code> {
        self.encoder.forward(x)
    }

    /// Decodes the maps of latents; shapes are the inverse of [`Scales::encode`], features have the shape of the detail.
    ///
    /// # Errors
    /// There are not three maps, or their sizes do not fit each other.
    pub fn decode(&self, planes: &[Tensor]) -> Result<Rebuilt> {
        self.decoder.forward(planes)
    }

    /// Corrects the decoder's result.
    ///
    /// # Shape
    /// `strict: (B, C, H, W)`, `features` and `detail` as of [`Scales::encode`] -> `(B, C, H, W)`.
    ///
    /// # Errors
    /// The shapes do not fit.
    pub fn refine(&self, strict: &Tensor, features: Tensor, detail: Tensor) -> Result<Tensor> {
        self.refiner.forward(strict, features, detail)
    }
}

impl Encoder {
    fn new(c: &Sizes, vb: VarBuilder) -> Result<Self> {
        let ([w1, w2, w3], kernel, (fold, next)) = (c.widths, c.axes.kernel(), c.axes.folds());
        let blocks =
            |i: usize| Residual::stack(c.encoder_blocks[i], c.widths[i], kernel, vb.pp("blocks").pp(i));
        let head = |i: usize| Conv2d::new(c.widths[i], c.latent[i], (1, 1), 1.0, vb.pp("latent").pp(i));
        let down = |i: usize, from, to| Down::new(from, to, next, vb.pp("down").pp(i));
        Ok(Self {
            fold,
            head: Conv2d::new(fold.factor() * c.channels, w1, kernel, 2f64.sqrt(), vb.pp("head"))?,
            blocks: [blocks(0)?, blocks(1)?, blocks(2)?],
            downs: [down(0, w1, w2)?, down(1, w2, w3)?],
            heads: [head(0)?, head(1)?, head(2)?],
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Code> {
        let first = self.head.forward(&self.fold.fold(x)?, Activation::Relu, None)?;
        let e1 = Residual::run(&self.blocks[0], first)?;
        let e2 = Residual::run(&self.blocks[1], self.downs[0].forward(&e1)?)?;
        let e3 = Residual::run(&self.blocks[2], self.downs[1].forward(&e2)?)?;

        let latent = |i: usize, e: &Tensor| self.heads[i].forward(e, Activation::None, None);
        let planes = vec![latent(2, &e3)?, latent(1, &e2)?, latent(0, &e1)?];
        Ok(Code { planes, detail: Some(e1) })
    }
}

impl Decoder {
    fn new(c: &Sizes, vb: VarBuilder) -> Result<Self> {
        let ([w1, w2, w3], kernel, (fold, next)) = (c.widths, c.axes.kernel(), c.axes.folds());
        let blocks =
            |i: usize| Residual::stack(c.decoder_blocks[i], c.widths[i], kernel, vb.pp("blocks").pp(i));
        let tail = |i: usize| Conv2d::new(c.latent[i], c.widths[i], (1, 1), 1.0, vb.pp("latent").pp(i));
        let up = |i: usize, from, to| Up::new(from, to, next, vb.pp("up").pp(i));
        Ok(Self {
            fold,
            tails: [tail(0)?, tail(1)?, tail(2)?],
            blocks: [blocks(0)?, blocks(1)?, blocks(2)?],
            ups: [up(0, w2, w1)?, up(1, w3, w2)?],
            tail: Conv2d::new(w1, fold.factor() * c.channels, kernel, 1.0, vb.pp("tail"))?,
        })
    }

    fn forward(&self, planes: &[Tensor]) -> Result<Rebuilt> {
        let [z3, z2, z1] = planes else {
            candle_core::bail!("expected 3 maps of the latent, got {}", planes.len());
        };
        let d3 = Residual::run(&self.blocks[2], self.tails[2].forward(z3, Activation::None, None)?)?;
        let d2 = self.tails[1].forward(z2, Activation::None, Some(self.ups[1].forward(&d3)?))?;
        drop(d3);
        let d2 = Residual::run(&self.blocks[1], d2)?;
        let d1 = self.tails[0].forward(z1, Activation::None, Some(self.ups[0].forward(&d2)?))?;
        drop(d2);
        let features = Residual::run(&self.blocks[0], d1)?;

        let strict = self.fold.unfold(&self.tail.forward(&features, Activation::None, None)?)?;
        Ok(Rebuilt { strict, features: Some(features) })
    }
}

impl Refiner {
    fn new(c: &Sizes, vb: VarBuilder) -> Result<Self> {
        let (w, kernel, (fold, _)) = (c.widths[0], c.axes.kernel(), c.axes.folds());
        Ok(Self {
            fold,
            features: Conv2d::new(w, w, (1, 1), 1.0, vb.pp("features"))?,
            detail: Conv2d::new(w, w, (1, 1), 1.0, vb.pp("detail"))?,
            blocks: Residual::stack(c.refiner_blocks, w, kernel, vb.pp("blocks"))?,
            // Near zero, so that a new refiner returns the decoder's result nearly unchanged.
            tail: Conv2d::new(w, fold.factor() * c.channels, kernel, 0.1, vb.pp("tail"))?,
        })
    }

    fn forward(&self, strict: &Tensor, features: Tensor, detail: Tensor) -> Result<Tensor> {
        let both = self.features.forward(&features, Activation::None, None)?;
        drop(features);
        let both = self.detail.forward(&detail, Activation::Relu, Some(both))?;
        drop(detail);
        let both = Residual::run(&self.blocks, both)?;
        self.fold.unfold(&self.tail.forward(&both, Activation::None, None)?)? + strict
    }
}
