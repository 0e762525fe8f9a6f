//! `pyramid`: images of any size, with latent maps at 1/2, 1/4 and 1/8 of it.
//!
//! The network is [`super::scales`] over the plane.

use serde::{Deserialize, Serialize};

use super::scales::{Axes, Sizes};

/// Coarsest scale: height and width inside the network are multiples of it.
pub const STRIDE: usize = Axes::Plane.stride();

/// Sizes of a pyramid; arrays go from 1/2 to 1/8 of the image size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(default, as = PyramidSizes)]
pub struct Config {
    /// Number of channels: 1 gray, 3 colour.
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
    /// Default sizes for `channels`: half as many latent numbers as the image has.
    pub fn for_channels(channels: usize) -> Self {
        let latent = Self::default().latent.map(|z| z * channels);
        Self { channels, latent, ..Self::default() }
    }

    /// Sizes of the network.
    pub fn sizes(&self) -> Sizes {
        let Self { channels, widths, encoder_blocks, decoder_blocks, refiner_blocks, latent } = *self;
        let axes = Axes::Plane;
        Sizes { axes, channels, widths, encoder_blocks, decoder_blocks, refiner_blocks, latent }
    }

    pub(super) fn validate(&self) -> std::result::Result<(), String> {
        if !matches!(self.channels, 1 | 3) {
            return Err(format!("channels must be 1 or 3, got {}", self.channels));
        }
        self.sizes().validate()?;
        let numbers = 16 * self.latent[0] + 4 * self.latent[1] + self.latent[2];
        let pixels = 64 * self.channels;
        // At 16x16 pixels the two statistics must fit in addition to the maps of four 8x8 squares.
        if 4 * numbers + 2 >= 4 * pixels {
            return Err(format!(
                "latent must hold fewer numbers than the image: {numbers} of {pixels} per 8x8 pixels"
            ));
        }
        Ok(())
    }
}
