//! Canary: a small sample that every model has to compute before it serves.
//!
//! Finite weights may still give results beyond float32. A request would report that as a fault of its input; here the model is
//! reported as damaged.

use super::{Error, Options, Result, Session};
use crate::registry::Input;
use crate::sample::{Kind, Sample, Shape};

/// Rows and columns of the picture.
const SIDE: usize = 32;
/// Points of the signal.
const LENGTH: usize = 256;

impl Session {
    /// Denoises a small sample of numbers in 0..1.
    ///
    /// # Errors
    /// [`Error::Load`] if the model fails or the result is not finite.
    pub(super) fn try_out(&self) -> Result<()> {
        let fail = |reason: String| Error::Load { model: self.id().clone(), reason };
        let sample = sample(self.input()).map_err(|e| fail(e.to_string()))?;
        match self.denoise(&sample, &Options::default()) {
            Ok(_) => Ok(()),
            Err(Error::Range { .. }) => Err(fail(
                "it turns a small sample of numbers in 0..1 into numbers that are not finite".into(),
            )),
            Err(error) => Err(fail(format!("it cannot compute a small sample: {error}"))),
        }
    }
}

/// A ripple, of the one shape that the model takes, or of a small one.
fn sample(input: &Input) -> Result<Sample, crate::sample::Error> {
    let channels = input.channels;
    let shape = input.fixed.unwrap_or(match input.kind {
        Kind::Image => Shape::image(channels, SIDE, SIDE),
        Kind::Signal => Shape::Signal { channels, length: LENGTH },
        Kind::Vector => Shape::Vector { features: channels },
    });
    Sample::new(shape, (0..shape.numbers()).map(|i| 0.5 + 0.4 * (i as f32 * 0.7).sin()).collect())
}
