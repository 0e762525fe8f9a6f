//! Run: computes samples with the network, in one piece or by streaming inference.
//!
//! Small samples of one shape are computed together, as a batch. A large one is streamed and stays in its own number
//! type. In strict mode the whole latent is computed first, so that denoising *is* `decode(encode(x))`; with the
//! refiner the rows are streamed through all parts at once.

use super::map;
use super::passing::{Passing, piece};
use super::ports::{Decode, Denoise, Encode};
use super::scale::Scale;
use super::source::Source;
use super::target::Target;
use super::{Error, Mode, Options, Pace, Result, Session, familiarity};
use crate::nn::model::{Code, Normalize, Parts, Rebuilt};
use crate::nn::{Device, Tensor};
use crate::sample::{Kind, Latent, Number, Plane, Sample, Shape};

/// A result and the familiarity of its sample.
type Passed<T> = (Vec<T>, Option<f32>);

impl Session {
    /// Denoises a sample once, including the blend.
    pub(super) fn pass<T: Number>(
        &self,
        sample: &Sample,
        options: &Options,
        keep: usize,
        pace: &dyn Pace,
    ) -> Result<Passed<T>> {
        match self.passing(sample.shape()) {
            None => Ok(piece(pace, || self.pass_whole::<T>(&[sample], options, keep))?.remove(0)),
            Some(passing) if self.refines(options) => {
                self.pass_rows(&passing, sample, options.strength, keep, pace)
            }
            Some(_) => {
                let latent = self.encode_bands(sample, keep, pace)?;
                let (data, residual) = self.decode_bands(&latent, Some(sample), options.strength, pace)?;
                Ok((data, self.judge(familiarity::energies(&latent), residual, sample.shape())))
            }
        }
    }

    pub(super) fn refines(&self, options: &Options) -> bool {
        options.mode == Mode::Full && self.model.has_refiner()
    }

    pub(super) fn judge(&self, mut mean_squares: Vec<f64>, residual: f64, shape: Shape) -> Option<f32> {
        mean_squares.push(residual / shape.numbers() as f64);
        self.familiarity(&mean_squares)
    }

    /// Denoises samples of one shape once, each in one piece.
    pub(super) fn pass_whole<T: Number>(
        &self,
        samples: &[&Sample],
        options: &Options,
        keep: usize,
    ) -> Result<Vec<Passed<T>>> {
        let scales: Vec<Scale> = samples.iter().map(|sample| self.scale_for(sample)).collect();
        self.pass_whole_at(samples, &scales, options, keep)
    }

    /// Denoises a signal once, in one piece, with given statistics.
    pub(super) fn pass_scaled(
        &self,
        sample: &Sample,
        options: &Options,
        keep: usize,
        scale: &Scale,
    ) -> Result<Vec<f32>> {
        Ok(self.pass_whole_at(&[sample], std::slice::from_ref(scale), options, keep)?.remove(0).0)
    }

    fn pass_whole_at<T: Number>(
        &self,
        samples: &[&Sample],
        scales: &[Scale],
        options: &Options,
        keep: usize,
    ) -> Result<Vec<Passed<T>>> {
        let (latents, detail) = self.encode_whole(samples, scales, keep)?;
        let rebuilt = self.decode_whole(&latents.iter().collect::<Vec<_>>())?;
        let result = if self.refines(options) { self.model.refine(rebuilt, detail)? } else { rebuilt.strict };
        let outputs = self.split(&result, samples.len(), samples[0].shape())?;
        let finish = |(((sample, scale), latent), output): (((&&Sample, &Scale), &Latent), Vec<f32>)| {
            let mut target = self.target(sample, scale, options);
            self.put_whole(&mut target, &output);
            let (data, residual) = self.finished(target)?;
            Ok((data, self.judge(familiarity::energies(latent), residual, sample.shape())))
        };
        samples.iter().zip(scales).zip(&latents).zip(outputs).map(finish).collect()
    }

    /// Creates the target of a denoised sample; the refiner's passes by what is hidden from the network.
    pub(super) fn target<'t, T: Number>(
        &self,
        sample: &'t Sample,
        scale: &'t Scale,
        options: &Options,
    ) -> Target<'t, T> {
        let target = Target::new(sample.shape(), scale, Some(sample), options.strength);
        if self.refines(options) { target.passing() } else { target }
    }

    /// Encodes samples of one shape to their latents and the detail that these omit.
    pub(super) fn encode_whole(
        &self,
        samples: &[&Sample],
        scales: &[Scale],
        keep: usize,
    ) -> Result<(Vec<Latent>, Option<Tensor>)> {
        let shape = samples[0].shape();
        let (channels, (height, width)) = (shape.channels(), self.padded(shape));
        let mut data = vec![0.0; samples.len() * channels * height * width];
        let inputs = samples.iter().zip(scales).zip(data.chunks_mut(channels * height * width));
        for ((sample, scale), data) in inputs {
            let source = Source { sample, scale, probe: None };
            for (i, row) in data.chunks_mut(width).enumerate() {
                source.read(i / height, i % height, 0, row);
            }
        }
        let x = self.tensor(data, (samples.len(), channels, height, width))?;
        let Code { planes, detail } = self.model.encode(&x)?;
        let mut latents: Vec<Latent> = samples.iter().map(|sample| self.empty_latent(sample, keep)).collect();
        for (index, plane) in planes.iter().enumerate() {
            let (_, height, width) = map::extents(&plane.dims()[1..]);
            let values = plane.flatten_all()?.to_vec1::<f32>()?;
            let each = values.len() / samples.len();
            for (latent, data) in latents.iter_mut().zip(values.chunks(each)) {
                // A truncated latent has fewer maps.
                let Some(plane) = latent.planes.get_mut(index) else { continue };
                for (i, row) in data.chunks(width).enumerate() {
                    map::write(plane, i / height, i % height, 0, row);
                }
            }
        }
        Ok((latents, detail))
    }

    /// Decodes latents of one shape.
    pub(super) fn decode_whole(&self, latents: &[&Latent]) -> Result<Rebuilt> {
        let (height, width) = self.padded(latents[0].shape);
        let Some(sizes) = self.manifest.model.scales() else {
            let data: Vec<f32> =
                latents.iter().flat_map(|latent| latent.planes[0].data.iter().copied()).collect();
            let extents = (latents.len(), data.len() / latents.len());
            return Ok(self.model.decode(&[Tensor::from_vec(data, extents, &Device::Cpu)?])?);
        };
        let plane = |(index, (channels, scale)): (usize, (usize, usize))| {
            let (rows, cols) = sizes.axes.shrink(scale);
            let (height, width) = (height / rows, width / cols);
            let mut data = vec![0.0; latents.len() * channels * height * width];
            for (latent, data) in latents.iter().zip(data.chunks_mut((channels * height * width).max(1))) {
                for (i, row) in data.chunks_mut(width).enumerate() {
                    map::read(latent.planes.get(index), i / height, i % height, 0, row);
                }
            }
            self.tensor(data, (latents.len(), channels, height, width))
        };
        let planes: Vec<Tensor> = sizes.planes().into_iter().enumerate().map(plane).collect::<Result<_>>()?;
        Ok(self.model.decode(&planes)?)
    }

    pub(super) fn put_whole<T: Number>(&self, target: &mut Target<T>, output: &[f32]) {
        let (height, width) = self.padded(target.shape());
        for (channel, plane) in output.chunks(height * width).enumerate() {
            target.put(channel, 0..height, 0, |y| &plane[y * width..][..width]);
        }
    }

    /// Returns the numbers of a result, and its residual.
    pub(super) fn finished<T: Number>(&self, target: Target<T>) -> Result<(Vec<T>, f64)> {
        target.finish().ok_or_else(|| self.out_of_range())
    }

    /// Encodes a sample to its latent, band by band.
    pub(super) fn encode_bands(&self, sample: &Sample, keep: usize, pace: &dyn Pace) -> Result<Latent> {
        let Some(passing) = self.passing(sample.shape()) else {
            let scale = self.scale_for(sample);
            return Ok(piece(pace, || self.encode_whole(&[sample], &[scale], keep))?.0.remove(0));
        };
        let mut latent = self.empty_latent(sample, keep);
        let scale = self.scale_for(sample);
        let source = Source { sample, scale: &scale, probe: None };
        for strip in passing.strips(Parts::Encoder) {
            let ports = Encode { source, strip: &strip, shrink: passing.shrink(), latent: &mut latent };
            passing.run(Parts::Encoder, &strip, ports, pace)?;
        }
        Ok(latent)
    }

    /// Decodes a latent band by band, blends it with `input`, and returns the sum of squares of their difference.
    pub(super) fn decode_bands<T: Number>(
        &self,
        latent: &Latent,
        input: Option<&Sample>,
        strength: f32,
        pace: &dyn Pace,
    ) -> Result<(Vec<T>, f64)> {
        let bounds = input.and_then(|input| self.scale_for(input).bounds);
        let scale = self.scale_of(latent).within(bounds);
        let mut target = Target::new(latent.shape, &scale, input, strength);
        match self.passing(latent.shape) {
            None => piece(pace, || {
                let strict = self.decode_whole(&[latent])?.strict;
                self.put_whole(&mut target, &strict.flatten_all()?.to_vec1::<f32>()?);
                Ok(())
            })?,
            Some(passing) => {
                for strip in passing.strips(Parts::Decoder) {
                    let (shrink, target) = (passing.shrink(), &mut target);
                    let ports = Decode { latent, strip: &strip, shrink, target };
                    passing.run(Parts::Decoder, &strip, ports, pace)?;
                }
            }
        }
        self.finished(target)
    }

    /// Streams a sample through encoder, decoder and refiner, band by band.
    fn pass_rows<T: Number>(
        &self,
        passing: &Passing,
        sample: &Sample,
        strength: f32,
        keep: usize,
        pace: &dyn Pace,
    ) -> Result<Passed<T>> {
        let scale = self.scale_for(sample);
        let source = Source { sample, scale: &scale, probe: None };
        let mut target = Target::new(sample.shape(), &scale, Some(sample), strength).passing();
        let dims = self.manifest.model.latent_dims(sample.shape(), keep);
        let mut energies: Vec<Vec<f64>> = dims.iter().map(|dims| vec![0.0; dims[0]]).collect();
        for strip in passing.strips(Parts::All) {
            let (shrink, energies, target) = (passing.shrink(), &mut energies[..], &mut target);
            let ports = Denoise { source, strip: &strip, shrink, dims: &dims, energies, target };
            passing.run(Parts::All, &strip, ports, pace)?;
        }
        let mean = |(sums, dims): (&Vec<f64>, &Vec<usize>)| {
            let places = dims[1..].iter().product::<usize>() as f64;
            sums.iter().map(move |sum| sum / places).collect::<Vec<_>>()
        };
        let mean_squares = energies.iter().zip(&dims).flat_map(mean).collect();
        let (data, residual) = self.finished(target)?;
        Ok((data, self.judge(mean_squares, residual, sample.shape())))
    }

    /// Splits a batch over the padded `shape` into the numbers of each sample.
    pub(super) fn split(&self, batch: &Tensor, count: usize, shape: Shape) -> Result<Vec<Vec<f32>>> {
        let values = batch.flatten_all()?.to_vec1::<f32>()?;
        let (height, width) = self.padded(shape);
        let each = shape.channels() * height * width;
        if values.len() != count * each {
            let fault = format!("the network gave {} numbers for {count} x {each}", values.len());
            return Err(Error::Tensor(crate::nn::Error::Msg(fault)));
        }
        Ok(values.chunks(each).map(<[f32]>::to_vec).collect())
    }

    /// Builds a batch of maps with the axes that models of this kind take.
    fn tensor(&self, data: Vec<f32>, extents: (usize, usize, usize, usize)) -> Result<Tensor> {
        let (batch, channels, rows, cols) = extents;
        Ok(match self.input.kind {
            Kind::Image => Tensor::from_vec(data, (batch, channels, rows, cols), &Device::Cpu)?,
            Kind::Signal => Tensor::from_vec(data, (batch, channels, cols), &Device::Cpu)?,
            Kind::Vector => Tensor::from_vec(data, (batch, cols), &Device::Cpu)?,
        })
    }

    /// Returns a latent of `keep` channels, all zero.
    pub(super) fn empty_latent(&self, sample: &Sample, keep: usize) -> Latent {
        let shape = sample.shape();
        let stats = match self.manifest.model.normalize {
            Normalize::Sample => vec![sample.robust_stats().0],
            Normalize::Channel => sample.channel_stats(),
            Normalize::Fixed(_) | Normalize::Columns(_) => vec![],
        };
        let plane = |dims: Vec<usize>| Plane { data: vec![0.0; dims.iter().product()], dims };
        let planes = self.manifest.model.latent_dims(shape, keep).into_iter().map(plane).collect();
        Latent { shape, stats, planes }
    }
}
