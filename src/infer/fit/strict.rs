//! Strict: the latents of a sample in the form that a model takes, and the sample decoded from them alone. For evaluation.

use super::{Fit, Traits};
use crate::infer::{Mode, Pace, Resampling, Result, Session};
use crate::sample::{Depth, Latent, Sample};

/// Latents of a sample and their decoded sample.
#[derive(Debug, Clone)]
pub struct Strict {
    /// Latent of each part of the sample that the model takes alone: one, or one for each channel.
    pub latents: Vec<Latent>,
    /// Decoded sample, in the shape of the input.
    pub sample: Sample,
}

/// Encodes and decodes a sample with `traits` as [`super::denoise`] would give it to the model: in the same parts, a signal
/// at the sample rate of the model.
///
/// # Errors
/// As [`Session::encode_at`].
pub fn strict(
    session: &Session,
    sample: &Sample,
    traits: &Traits,
    ratio: Option<f32>,
    pace: &dyn Pace,
) -> Result<Strict> {
    let fit = Fit::of(session, sample.shape(), traits, Mode::Full);
    let (mut latents, mut parts) = (Vec::new(), Vec::new());
    for part in fit.split(sample) {
        let change = session.resampling(&part)?;
        let moved = change.map(|change| change.forth(&part)).transpose()?;
        let latent = session.encode_at(moved.as_ref().unwrap_or(&part), ratio, pace)?;
        let decoded = session.decode_at(&latent, Depth::F32, pace)?;
        let (_, _, length) = part.shape().extents();
        let back = |change: Resampling| change.back(&decoded, length);
        parts.push(change.map(back).transpose()?.unwrap_or(decoded));
        latents.push(latent);
    }
    Ok(Strict { latents, sample: fit.join(sample, parts).with_gaps_of(sample) })
}
