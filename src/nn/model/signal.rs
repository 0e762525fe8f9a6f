//! `signal`: signals of any length, with latent maps at 1/4, 1/8 and 1/16 of it.
//!
//! The network is [`super::scales`] along time.

use serde::{Deserialize, Serialize};

use super::scales::{Axes, Sizes};

/// Coarsest scale: the length inside the network is a multiple of it.
pub const STRIDE: usize = Axes::Line.stride();

/// Maximum number of channels: leads, axes, sensors.
const MOST_CHANNELS: usize = 256;

/// Sizes of a signal model; arrays go from 1/4 to 1/16 of the signal's length.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(default, as = SignalSizes)]
pub struct Config {
    /// Number of channels, such as leads, axes or sensors; the network processes them together.
    pub channels: usize,
    /// Feature channels of each scale.
    pub widths: [usize; 3],
    /// Residual blocks of the encoder at each scale.
    pub encoder_blocks: [usize; 3],
    /// Residual blocks of the decoder at each scale.
    pub decoder_blocks: [usize; 3],
    /// Residual blocks of the refiner, at 1/4.
    pub refiner_blocks: usize,
    /// Latent channels of each scale: 4, 2 and 1 numbers each per 16 time steps.
    pub latent: [usize; 3],
}

impl Default for Config {
    fn default() -> Self {
        Self {
            channels: 1,
            widths: [32, 48, 64],
            encoder_blocks: [1, 1, 2],
            decoder_blocks: [1, 1, 2],
            refiner_blocks: 1,
            latent: [1, 1, 2],
        }
    }
}

impl Config {
    /// Default sizes for `channels`: half as many latent numbers as the signal has.
    pub fn for_channels(channels: usize) -> Self {
        let latent = Self::default().latent.map(|z| z * channels);
        Self { channels, latent, ..Self::default() }
    }

    /// Sizes of the network.
    pub fn sizes(&self) -> Sizes {
        let Self { channels, widths, encoder_blocks, decoder_blocks, refiner_blocks, latent } = *self;
        let axes = Axes::Line;
        Sizes { axes, channels, widths, encoder_blocks, decoder_blocks, refiner_blocks, latent }
    }

    pub(super) fn validate(&self) -> std::result::Result<(), String> {
        if !(1..=MOST_CHANNELS).contains(&self.channels) {
            return Err(format!("channels must lie in 1..={MOST_CHANNELS}, got {}", self.channels));
        }
        self.sizes().validate()?;
        let numbers = 4 * self.latent[0] + 2 * self.latent[1] + self.latent[2];
        let steps = 16 * self.channels;
        // Over 64 time steps the two statistics must fit in addition to the maps.
        if 4 * numbers + 2 >= 4 * steps {
            return Err(format!(
                "latent must hold fewer numbers than the signal: {numbers} of {steps} per 16 steps in time"
            ));
        }
        Ok(())
    }
}
