//! Probe: response of a model to a small random change of a sample.
//!
//! A second pass over the sample, each number moved up or down by a seeded sign, shows how much of a change passes through the
//! model: the divergence (S. Ramani, T. Blu and M. Unser, "Monte-Carlo SURE", IEEE Transactions on Image Processing, 2008). A large
//! image is streamed as in the first pass, its moved numbers and their results are never stored.

use super::passing::Passing;
use super::ports::{Decode, Denoise, Encode};
use super::scale::Scale;
use super::source::Source;
use super::target::Target;
use super::{Mode, Options, Pace, Result, Session};
use crate::nn::model::Parts;
use crate::quality::Response;
use crate::sample::{Depth, Sample, Shape};

/// Seed of the signs: any other would do as well.
const SEED: u64 = 0x4c69_6d70_6964;
/// Step of the probe as a share of the noise: far above the rounding of floats, far below the scale on which a model changes.
const STEP: f32 = 0.1;
/// Number of values processed at a time.
const PIECE: usize = 4096;

/// Random change of a sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Probe {
    step: f32,
}

impl Probe {
    /// Creates the probe for noise of this standard deviation, on the scale of the sample.
    pub fn of_noise(sigma: f32) -> Self {
        Self { step: STEP * sigma }
    }

    /// Returns the change of the number at `index` of the sample.
    pub fn at(self, index: usize) -> f32 {
        // SplitMix64 (G. L. Steele, D. Lea and C. H. Flood, 2014): the signs need no order, so rows can be read in any.
        let mut z = (index as u64).wrapping_add(SEED).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        if (z ^ (z >> 31)) & 1 == 0 { self.step } else { -self.step }
    }

    /// Returns the product of the change and its effect, `after - before`, summed over `after`, which begins at `start` of the sample.
    pub fn product(self, start: usize, before: &Sample, after: &mut [f32], missing: Option<&[bool]>) -> f64 {
        let is_whole = before.depth() != Depth::F32;
        let mut buffer = [0.0; PIECE];
        let mut sum = 0.0;
        for (at, after) in (start..).step_by(PIECE).zip(after.chunks_mut(PIECE)) {
            let before_part = &mut buffer[..after.len()];
            before.read(at, before_part);
            for (i, (old, new)) in before_part.iter().zip(after).enumerate() {
                // Whole numbers end at black and white.
                let new = if is_whole { new.clamp(0.0, 1.0) } else { *new };
                if missing.is_none_or(|missing| !missing[at + i]) {
                    sum += f64::from(self.at(at + i)) * f64::from(new - old);
                }
            }
        }
        sum
    }

    /// Returns the moved sample.
    fn moved(self, sample: &Sample) -> Result<Sample, crate::sample::Error> {
        let data = sample.data().iter().enumerate().map(|(i, v)| v + self.at(i)).collect();
        let moved = Sample::new(sample.shape(), data)?.with_rate(sample.rate());
        Ok(moved.with_gaps_of(sample))
    }
}

impl Session {
    /// Returns the memory for [`Session::respond_at`] in bytes, without sample and result.
    pub fn bytes_to_probe(&self, shape: Shape, options: &Options) -> usize {
        if self.is_streamed(shape, options) {
            return self.bytes_to_denoise(shape, Depth::U8, Depth::U8, options);
        }
        // The moved sample is converted to floats, and cached as such.
        let moved = shape.numbers().saturating_mul(2 * size_of::<f32>());
        self.bytes_to_denoise(shape, Depth::F32, Depth::F32, options).saturating_add(moved)
    }

    /// Measures the response of the model at `sample`, which it turned into `result` with the same options, by one more pass over it.
    /// Missing numbers are left out.
    ///
    /// # Errors
    /// As [`Session::denoise_at`].
    pub fn respond_at(
        &self,
        sample: &Sample,
        result: &Sample,
        options: &Options,
        probe: Probe,
        pace: &dyn Pace,
    ) -> Result<Response> {
        self.check(sample.shape())?;
        let product = match self.passing(sample.shape()) {
            Some(passing) if self.is_streamed(sample.shape(), options) => {
                self.stream_probe(&passing, sample, result, options, probe, pace)?
            }
            _ => {
                let moved = probe.moved(sample).map_err(|_| self.out_of_range())?;
                let mut after = self.denoise_to::<f32>(&moved, options, pace)?.sample.into_data();
                probe.product(0, result, &mut after, sample.missing())
            }
        };
        let numbers = sample.shape().numbers() - sample.missing_count();
        let count = numbers.max(1) as f64;
        let divergence = product / count / f64::from(probe.step).powi(2);
        Ok(Response { residual: residual(sample, result) / count, divergence, numbers })
    }

    fn is_streamed(&self, shape: Shape, options: &Options) -> bool {
        options.ensemble == 1 && !self.is_whole(shape) && self.manifest().model.rate.is_none()
    }

    fn stream_probe(
        &self,
        passing: &Passing,
        sample: &Sample,
        result: &Sample,
        options: &Options,
        probe: Probe,
        pace: &dyn Pace,
    ) -> Result<f64> {
        let keep = self.keep(sample.shape(), options.ratio)?;
        // That of the first pass: what a change does to mean and deviation of the whole is negligible.
        let scale: Scale = self.scale_for(sample);
        let source = Source { sample, scale: &scale, probe: Some(probe) };
        let target = Target::<f32>::probing(&scale, sample, result, options.strength, probe);
        let mut target = if options.mode == Mode::Full { target.passing() } else { target };
        let shrink = passing.shrink();
        if self.refines(options) {
            let dims = self.manifest().model.latent_dims(sample.shape(), keep);
            let mut energies: Vec<Vec<f64>> = dims.iter().map(|dims| vec![0.0; dims[0]]).collect();
            for strip in passing.strips(Parts::All) {
                let (energies, target) = (&mut energies[..], &mut target);
                let ports = Denoise { source, strip: &strip, shrink, dims: &dims, energies, target };
                passing.run(Parts::All, &strip, ports, pace)?;
            }
        } else {
            let mut latent = self.empty_latent(sample, keep);
            for strip in passing.strips(Parts::Encoder) {
                let ports = Encode { source, strip: &strip, shrink, latent: &mut latent };
                passing.run(Parts::Encoder, &strip, ports, pace)?;
            }
            for strip in passing.strips(Parts::Decoder) {
                let ports = Decode { latent: &latent, strip: &strip, shrink, target: &mut target };
                passing.run(Parts::Decoder, &strip, ports, pace)?;
            }
        }
        target.product().ok_or_else(|| self.out_of_range())
    }
}

/// Returns the sum of squares of sample minus result, where the sample is known.
fn residual(sample: &Sample, result: &Sample) -> f64 {
    let missing = sample.missing();
    let [mut before, mut after] = [[0.0; PIECE]; 2];
    let mut sum = 0.0;
    let all = sample.shape().numbers();
    for start in (0..all).step_by(PIECE) {
        let count = PIECE.min(all - start);
        sample.read(start, &mut before[..count]);
        result.read(start, &mut after[..count]);
        let apart = before[..count].iter().zip(&after[..count]).enumerate();
        let known = apart.filter(|(i, _)| missing.is_none_or(|missing| !missing[start + i]));
        sum += known.map(|(_, (x, r))| f64::from(x - r).powi(2)).sum::<f64>();
    }
    sum
}
