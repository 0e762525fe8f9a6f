//! Fit: converts a sample for a model that was trained on another form of it, and converts the result back.
//!
//! | step | type |
//! |---|---|
//! | analyse the sample | [`Traits`] |
//! | choose a model if none is named | [`choose`] |
//! | convert to the form of the model | [`Fit`] |
//! | process a page, keeping its strokes | [`page`] |
//! | blend, declip or bound the result | [`Finish`] |
//! | encode and decode in the same form, for evaluation | [`strict`] |
//!
//! All of this applies to [`Mode::Full`] only: strict mode is `decode(encode(x))` and nothing else.

mod choice;
mod finish;
mod pages;
mod restraint;
mod strict;
mod traits;
mod unclip;

pub use choice::{Choice, Unsure, Usual, choose};
pub use finish::{Finish, Wishes};
pub use pages::{PageNote, Paged, ask_of_page, bytes_of_page, page, refused_for_page, takes_pages};
pub use strict::{Strict, strict};
pub use traits::Traits;

use super::{
    Denoised, Error, Mode, NoiseLevel, Options, PredictOptions, Prediction, Probe, Result, Session, Steady,
};
use crate::registry::Removes;
use crate::sample::{Depth, Kind, LUMA, Number, Sample, Shape};

/// Number of values processed at a time.
const PIECE: usize = 4096;

/// Form in which a sample is given to a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// Unchanged.
    Whole,
    /// A gray picture in three channels: their mean is given to a gray model, and its change is applied to all three.
    Gray,
    /// A colour picture of a JPEG file: its luma is given to a model of those, likewise.
    Luma,
    /// A colour picture through a gray model, or a signal through a model of one channel, channel by channel.
    Channels,
}

impl Fit {
    /// Returns the form in which `session` accepts a sample of `shape` with `traits`. A sample that does not fit at all
    /// is left unchanged, so that the session rejects it.
    pub fn of(session: &Session, shape: Shape, traits: &Traits, mode: Mode) -> Self {
        let input = session.input();
        let is_single = input.kind == shape.kind() && input.channels == 1 && input.fixed.is_none();
        let has_several = match shape.kind() {
            Kind::Image => shape.channels() == 3,
            Kind::Signal => shape.channels() > 1,
            Kind::Vector => false,
        };
        match (mode, is_single && has_several) {
            (Mode::Strict, _) | (_, false) => Self::Whole,
            (Mode::Full, true) if traits.is_gray => Self::Gray,
            (Mode::Full, true) if session.manifest().removes() == Some(Removes::Jpeg) => Self::Luma,
            (Mode::Full, true) => Self::Channels,
        }
    }

    /// Converts `sample` to the samples for the model.
    pub fn split(self, sample: &Sample) -> Vec<Sample> {
        match self {
            Self::Whole => vec![sample.clone()],
            Self::Gray | Self::Luma => vec![self.weighted(sample)],
            Self::Channels => (0..sample.shape().channels()).map(|c| channel(sample, c)).collect(),
        }
    }

    /// Returns the memory of [`Fit::split`] and [`Fit::join`] in bytes, without the sample itself.
    pub fn bytes(self, shape: Shape, depth: Depth) -> usize {
        let each = match self {
            Self::Whole => 0,
            // A weighted mean has fractions, so it is `f32`.
            Self::Gray | Self::Luma => size_of::<f32>() / 3 + 2 * depth.bytes(),
            Self::Channels => 2 * depth.bytes(),
        };
        shape.numbers().saturating_mul(each)
    }

    /// Joins the results for the samples of [`Fit::split`] to the result for `sample`, at their depth.
    pub fn join(self, sample: &Sample, mut results: Vec<Sample>) -> Sample {
        match (self, results.len()) {
            (Self::Gray | Self::Luma, 1) => match results[0].depth() {
                Depth::U8 => self.moved::<u8>(sample, &results[0]),
                Depth::U16 => self.moved::<u16>(sample, &results[0]),
                Depth::F32 => self.moved::<f32>(sample, &results[0]),
            },
            (Self::Channels, count) if count == sample.shape().channels() => match results[0].depth() {
                Depth::U8 => stacked::<u8>(sample, &results),
                Depth::U16 => stacked::<u16>(sample, &results),
                Depth::F32 => stacked::<f32>(sample, &results),
            },
            _ => results.pop().unwrap_or_else(|| sample.clone()),
        }
    }

    /// Returns the weighted mean of three channels; if all are equal, the first one at its depth.
    fn weighted(self, sample: &Sample) -> Sample {
        let (shape, area) = plane_of(sample.shape());
        let mut is_equal = true;
        let mut numbers = Vec::with_capacity(area);
        each_piece(area, |start, [red, green, blue]| {
            for (plane, out) in [&mut *red, green, blue].into_iter().enumerate() {
                sample.read(plane * area + start, out);
            }
            is_equal &= red == green && green == blue;
            numbers.extend((0..red.len()).map(|i| self.mean([red[i], green[i], blue[i]])));
        });
        if is_equal {
            return channel(sample, 0);
        }
        let mean = Sample::new(shape, numbers).expect("a mean of finite numbers is finite");
        match sample.missing() {
            Some(missing) => {
                mean.masked((0..area).map(|at| (0..3).any(|c| missing[c * area + at])).collect())
            }
            None => mean,
        }
    }

    /// Adds to each channel of `sample` the change of their weighted mean, so that a tint is kept.
    fn moved<T: Number>(self, sample: &Sample, result: &Sample) -> Sample {
        let (_, area) = plane_of(sample.shape());
        let mut numbers = vec![T::from_f32(0.0); 3 * area];
        let mut after = [0.0; PIECE];
        each_piece(area, |start, mut channels| {
            let after = &mut after[..channels[0].len()];
            result.read(start, after);
            channels.iter_mut().enumerate().for_each(|(c, out)| sample.read(c * area + start, out));
            for (i, after) in after.iter().enumerate() {
                let before = self.mean([channels[0][i], channels[1][i], channels[2][i]]);
                for (c, channel) in channels.iter().enumerate() {
                    numbers[c * area + start + i] = T::from_f32(channel[i] - before + after);
                }
            }
        });
        T::sample(sample.shape(), numbers).unwrap_or_else(|_| sample.clone())
    }

    fn mean(self, [red, green, blue]: [f32; 3]) -> f32 {
        match self {
            Self::Luma => LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue,
            _ => (red + green + blue) / 3.0,
        }
    }
}

/// Result of a sample with fit and finish.
#[derive(Debug, Clone)]
pub struct Fitted {
    /// Denoised sample.
    pub denoised: Denoised,
    /// Report, if it was processed as a page.
    pub page: Option<PageNote>,
    /// Predicted PSNR, if requested.
    pub prediction: Option<Prediction>,
}

/// Denoises a sample with fit and finish, on the calling thread, and predicts the quality of the result if requested.
///
/// # Errors
/// As [`Session::denoise`]; a wish that pages do not support.
pub fn denoise(
    session: &Session,
    sample: &Sample,
    traits: &Traits,
    options: &Options,
    wishes: Wishes,
    predict: Option<PredictOptions>,
) -> Result<Fitted> {
    let kind = sample.shape().kind();
    let noise = |is_page| predict.map(|asked| NoiseLevel::for_result(traits, kind, (wishes, is_page), asked));
    if let Some(paged) = page(session, sample, traits, options.mode) {
        if let Some((name, reason)) = refused_for_page(wishes) {
            return Err(Error::Parameter { name, reason: reason.to_owned() });
        }
        return match paged {
            Paged::Stays(reason) => {
                let denoised = Denoised { sample: sample.clone(), familiarity: None };
                let prediction = noise(true).and_then(std::result::Result::err).map(Prediction::from);
                Ok(Fitted { denoised, page: Some(reason.into()), prediction })
            }
            Paged::Passes(passage) => {
                let Denoised { sample: clean, familiarity } =
                    session.denoise(&passage.input(), &ask_of_page(options))?;
                let (page, report) = passage.restore(sample, &clean, options.strength, Depth::F32);
                let denoised = Denoised { sample: page.with_gaps_of(sample), familiarity };
                let prediction = noise(true).and_then(std::result::Result::err).map(Prediction::from);
                Ok(Fitted { denoised, page: Some(report.into()), prediction })
            }
        };
    }
    let fit = Fit::of(session, sample.shape(), traits, options.mode);
    let finish = Finish::of(session, sample, traits, options, wishes);
    if fit == Fit::Whole && finish.is_none() && predict.is_none() {
        let denoised = session.denoise(sample, options)?;
        return Ok(Fitted { denoised, page: None, prediction: None });
    }
    let strength = options.strength;
    let (options, _) =
        if finish.is_some() { Finish::ask(options, Depth::F32) } else { (*options, Depth::F32) };
    let split = fit.split(sample);
    let parts: Vec<Denoised> =
        split.iter().map(|part| session.denoise(part, &options)).collect::<Result<_>>()?;
    let prediction = match noise(false) {
        None => None,
        Some(Err(reason)) => Some(reason.into()),
        Some(Ok(level)) => {
            let probe = Probe::of_noise(level.sigma());
            let respond = |(part, done): (&Sample, &Denoised)| {
                session.respond_at(part, &done.sample, &options, probe, &Steady)
            };
            let responses = split.iter().zip(&parts).map(respond).collect::<Result<Vec<_>>>()?;
            Some(level.judge(session, &responses, strength, finish.is_some()))
        }
    };
    let known: Vec<f32> = parts.iter().filter_map(|part| part.familiarity).collect();
    let familiarity = (!known.is_empty()).then(|| known.iter().sum::<f32>() / known.len() as f32);
    let clean = fit.join(sample, parts.into_iter().map(|part| part.sample).collect());
    let done = finish.map_or(clean.clone(), |finish| finish.apply(sample, &clean, Depth::F32));
    let denoised = Denoised { sample: done.with_gaps_of(sample), familiarity };
    Ok(Fitted { denoised, page: None, prediction })
}

/// Returns the shape of one channel, and its number of values.
fn plane_of(shape: Shape) -> (Shape, usize) {
    let (_, height, width) = shape.extents();
    let plane = match shape {
        Shape::Signal { length, .. } => Shape::Signal { channels: 1, length },
        _ => Shape::image(1, height, width),
    };
    (plane, height * width)
}

/// Returns one channel of an image or a signal, at its depth.
fn channel(sample: &Sample, index: usize) -> Sample {
    fn cut<T: Number>(sample: &Sample, index: usize) -> Option<Sample> {
        let (shape, area) = plane_of(sample.shape());
        T::sample(shape, T::of(sample)?[index * area..][..area].to_vec()).ok()
    }
    let plane = match sample.depth() {
        Depth::U8 => cut::<u8>(sample, index),
        Depth::U16 => cut::<u16>(sample, index),
        Depth::F32 => cut::<f32>(sample, index),
    };
    let plane = plane.expect("a channel of a sample is a sample").with_rate(sample.rate());
    let (_, area) = plane_of(sample.shape());
    match sample.missing() {
        Some(missing) => plane.masked(missing[index * area..][..area].to_vec()),
        None => plane,
    }
}

fn stacked<T: Number>(sample: &Sample, results: &[Sample]) -> Sample {
    let numbers = results.iter().filter_map(T::of).flatten().copied().collect();
    T::sample(sample.shape(), numbers).unwrap_or_else(|_| sample.clone())
}

/// Calls `of` with the start of each piece of a plane and three buffers of its length.
fn each_piece(area: usize, mut of: impl FnMut(usize, [&mut [f32]; 3])) {
    let mut buffers = [[0.0; PIECE]; 3];
    for start in (0..area).step_by(PIECE) {
        let length = PIECE.min(area - start);
        of(start, buffers.each_mut().map(|buffer| &mut buffer[..length]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn colored(of: impl Fn(usize, usize) -> u8) -> Sample {
        let shape = Shape::image(3, 70, 90);
        Sample::from_bytes(shape, (0..shape.numbers()).map(|i| of(i / 6300, i % 6300)).collect()).unwrap()
    }

    #[test]
    fn a_gray_picture_in_three_channels_goes_as_one_and_comes_back_in_three() {
        let sample = colored(|_, i| (i * 7 % 251) as u8);
        let parts = Fit::Gray.split(&sample);
        assert_eq!((parts.len(), parts[0].depth()), (1, Depth::U8));
        let darker = Sample::from_bytes(
            parts[0].shape(),
            parts[0].data().iter().map(|v| (v * 255.0 / 2.0).floor() as u8).collect(),
        )
        .unwrap();
        let joined = Fit::Gray.join(&sample, vec![darker.clone()]);
        assert_eq!(joined.shape(), sample.shape());
        (0..3).for_each(|c| assert_eq!(channel(&joined, c), darker));
    }

    #[test]
    fn a_slight_tint_stays() {
        let sample = colored(|c, i| (100 + i % 50 + c) as u8);
        let parts = Fit::Gray.split(&sample);
        let joined = Fit::Gray.join(&sample, parts);
        let apart = joined.data().iter().zip(sample.data()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(apart < 1e-6, "{apart}");
    }

    #[test]
    fn the_luma_of_a_colour_picture_goes_alone_and_its_colours_stay() {
        let sample = colored(|c, i| (60 + i % 50 + 40 * c) as u8);
        let parts = Fit::Luma.split(&sample);
        assert_eq!((parts.len(), parts[0].shape()), (1, Shape::image(1, 70, 90)));
        let luma = |at: usize| (0..3).map(|c| LUMA[c] * sample.data()[c * 6300 + at]).sum::<f32>();
        assert!((0..6300).all(|at| (parts[0].data()[at] - luma(at)).abs() < 1e-6));
        let brighter = parts[0].data().iter().map(|v| v + 0.1).collect();
        let joined = Fit::Luma.join(&sample, vec![Sample::new(parts[0].shape(), brighter).unwrap()]);
        let apart =
            joined.data().iter().zip(sample.data()).map(|(a, b)| (a - b - 0.1).abs()).fold(0.0, f32::max);
        assert!(apart < 1e-6, "{apart}");
    }

    #[test]
    fn channels_of_a_signal_go_alone_with_their_rate_and_gaps() {
        let shape = Shape::Signal { channels: 4, length: 5 };
        let signal = Sample::new(shape, (0..20).map(|i| i as f32).collect()).unwrap();
        let signal = signal.with_rate(Some(8.0)).masked((0..20).map(|i| i == 7).collect());
        let parts = Fit::Channels.split(&signal);
        let alone = Shape::Signal { channels: 1, length: 5 };
        assert!(parts.iter().all(|part| part.shape() == alone && part.rate() == Some(8.0)));
        assert_eq!(parts[1].missing(), Some(&[false, false, true, false, false][..]));
        assert_eq!(Fit::Channels.join(&signal, parts).data(), signal.data());
    }

    #[test]
    fn channels_go_alone_and_come_back_in_order() {
        let sample = colored(|c, i| (i * (c + 3) % 251) as u8);
        let parts = Fit::Channels.split(&sample);
        assert_eq!(parts.len(), 3);
        assert_eq!(Fit::Channels.join(&sample, parts), sample);
    }
}
