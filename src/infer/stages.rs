//! Stages: the latent, the decoded and the denoised sample, from one pass through the network. For validation in
//! training, which scores all of them.

use super::passing::{Passing, piece};
use super::ports;
use super::source::Source;
use super::target::Target;
use super::{Denoised, Mode, Options, Pace, Result, Session, Steady, familiarity};
use crate::nn::model::Parts;
use crate::sample::{Depth, Latent, Sample};

/// Results of each part of the network on one sample.
#[derive(Debug, Clone)]
pub struct Stages {
    /// Latent, as [`Session::encode`] computes it.
    pub latent: Latent,
    /// Sample decoded from the latent alone, as [`Session::decode`] computes it.
    pub strict: Sample,
    /// Denoised sample, as [`Session::denoise`] computes it.
    pub full: Denoised,
}

impl Session {
    /// Computes the results of all parts; `mode` of the options is of no effect, and `strength` none on the decoded
    /// sample.
    ///
    /// # Errors
    /// Errors of [`Session::denoise`]; a signal has another sample rate than the model.
    pub fn stages(&self, sample: &Sample, options: &Options) -> Result<Stages> {
        self.stages_at(sample, options, &Steady)
    }

    /// Runs [`Session::stages`] with a cancellation token.
    ///
    /// # Errors
    /// Also [`super::Error::Abandoned`].
    pub fn stages_at(&self, sample: &Sample, options: &Options, pace: &dyn Pace) -> Result<Stages> {
        let options = Options { mode: Mode::Full, ..*options };
        let keep = self.keep(sample.shape(), options.ratio)?;
        self.check_rate(sample)?;
        if self.turns(&options)? > 1 {
            // The average over turned images has no latent; that of the image as it is stands for it.
            let latent = self.encode_at(sample, options.ratio, pace)?;
            let strict = self.decode_at(&latent, Depth::F32, pace)?.with_gaps_of(sample);
            let full = self.denoise_at(sample, &options, Depth::F32, pace)?;
            return Ok(Stages { latent, strict, full });
        }
        match self.passing(sample.shape()) {
            None => piece(pace, || self.stages_whole(sample, &options, keep)),
            Some(passing) => self.stages_of_rows(&passing, sample, &options, keep, pace),
        }
    }

    fn stages_whole(&self, sample: &Sample, options: &Options, keep: usize) -> Result<Stages> {
        let scale = self.scale_for(sample);
        let (mut latents, detail) = self.encode_whole(&[sample], std::slice::from_ref(&scale), keep)?;
        let latent = latents.remove(0);
        let rebuilt = self.decode_whole(&[&latent])?;
        let decoded = self.split(&rebuilt.strict, 1, sample.shape())?.remove(0);
        let denoised = match self.refines(options) {
            true => self.split(&self.model.refine(rebuilt, detail)?, 1, sample.shape())?.remove(0),
            false => decoded.clone(),
        };
        let decoded_scale = self.scale_of(&latent);
        let mut strict = Target::new(sample.shape(), &decoded_scale, None, 1.0);
        let mut full = self.target(sample, &scale, options);
        self.put_whole(&mut strict, &decoded);
        self.put_whole(&mut full, &denoised);
        self.staged(sample, latent, strict, full)
    }

    fn stages_of_rows(
        &self,
        passing: &Passing,
        sample: &Sample,
        options: &Options,
        keep: usize,
        pace: &dyn Pace,
    ) -> Result<Stages> {
        let scale = self.scale_for(sample);
        let mut latent = self.empty_latent(sample, keep);
        let decoded_scale = self.scale_of(&latent);
        let mut strict = Target::new(sample.shape(), &decoded_scale, None, 1.0);
        let mut full = self.target(sample, &scale, options);
        let dims = self.manifest.model.latent_dims(sample.shape(), keep);
        for strip in passing.strips(Parts::All) {
            let ports = ports::Stages {
                source: Source { sample, scale: &scale, probe: None },
                strip: &strip,
                shrink: passing.shrink(),
                dims: &dims,
                latent: &mut latent,
                strict: &mut strict,
                full: &mut full,
            };
            passing.run(Parts::All, &strip, ports, pace)?;
        }
        self.staged(sample, latent, strict, full)
    }

    fn staged(
        &self,
        sample: &Sample,
        latent: Latent,
        strict: Target<f32>,
        full: Target<f32>,
    ) -> Result<Stages> {
        let shape = sample.shape();
        let strict = self.finish(shape, self.finished(strict)?.0)?.with_gaps_of(sample);
        let (data, residual) = self.finished(full)?;
        let familiarity = self.judge(familiarity::energies(&latent), residual, shape);
        Ok(Stages { latent, strict, full: self.denoised(sample, data, familiarity)? })
    }
}
