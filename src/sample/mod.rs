//! Sample: one image, signal or vector, channels first, without a batch axis, with its numbers at their own bit depth.
//!
//! Only holds values: `codec` reads and writes files, `nn` handles tensors.

mod depth;
pub mod gaps;
mod latent;
mod outliers;
mod shape;
mod spec;
mod stats;

use std::sync::OnceLock;

pub use depth::{Depth, Number};
pub use gaps::{Compared, GapRule, Missing};
pub use latent::{Latent, Plane};
pub use outliers::Bounds;
pub use shape::{Kind, Shape};
pub use spec::Spec;
pub use stats::{Moments, Stats, sum};

/// Weights of red, green and blue in luma (ITU-R BT.601).
pub const LUMA: [f32; 3] = [0.299, 0.587, 0.114];

/// One sample: its shape and its numbers, channels first, row by row.
///
/// An image from a file of 8 or 16 bits stores its numbers at that depth, to save memory. [`Sample::read`] converts
/// any part of it to `f32`; [`Sample::data`] all of it.
///
/// # Range
/// Images read from integer files have the range [0, 1] (255 or 65535 becomes 1); float images, signals and vectors
/// are not scaled. Every number is finite; missing ones are filled in, and marked ([`Sample::missing`]).
#[derive(Debug, Clone)]
pub struct Sample {
    shape: Shape,
    numbers: Numbers,
    /// Missing numbers; `None` if there are none.
    gaps: Option<gaps::Gaps>,
    /// Sampling rate of a signal, in Hz, if it is stated.
    rate: Option<f32>,
}

/// Numbers at their bit depth; integers are also cached as `f32` once these are requested.
#[derive(Debug, Clone)]
enum Numbers {
    U8(Vec<u8>, OnceLock<Vec<f32>>),
    U16(Vec<u16>, OnceLock<Vec<f32>>),
    F32(Vec<f32>),
}

/// Error of numbers that do not form a sample.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// The count of numbers does not match the shape.
    #[error("shape {shape} asks for {expected} numbers, got {got}")]
    Length {
        /// Stated shape.
        shape: Shape,
        /// Number of values that the shape requires.
        expected: usize,
        /// Number of values given.
        got: usize,
    },
    /// An axis has no extent.
    #[error("shape {shape} has an axis of extent 0")]
    Empty {
        /// Stated shape.
        shape: Shape,
    },
    /// A number is NaN or infinite.
    #[error("number {index} is {value}; only finite numbers are accepted")]
    NonFinite {
        /// Position, channels first.
        index: usize,
        /// Value of the number.
        value: f32,
    },
    /// A channel or column has no number.
    #[error(
        "{what} {at} (counted from 0) holds no number: all are missing; leave it out, or fill it before sending"
    )]
    AllMissing {
        /// `channel`, or `column` of vectors.
        what: &'static str,
        /// Its index, from 0.
        at: usize,
    },
}

impl Sample {
    /// Creates a sample of `shape` from its numbers, channels first.
    ///
    /// # Errors
    /// The count does not match the shape, an axis is empty, or a number is not finite.
    pub fn new(shape: Shape, data: Vec<f32>) -> Result<Self, Error> {
        check(shape, data.len())?;
        if let Some(index) = data.iter().position(|v| !v.is_finite()) {
            return Err(Error::NonFinite { index, value: data[index] });
        }
        Ok(Self { shape, numbers: Numbers::F32(data), rate: None, gaps: None })
    }

    /// Creates an image of 8 bits: 255 is 1.
    ///
    /// # Errors
    /// The count does not match the shape, or an axis is empty.
    pub fn from_bytes(shape: Shape, data: Vec<u8>) -> Result<Self, Error> {
        check(shape, data.len())?;
        Ok(Self { shape, numbers: Numbers::U8(data, OnceLock::new()), rate: None, gaps: None })
    }

    /// Creates an image of 16 bits: 65535 is 1.
    ///
    /// # Errors
    /// The count does not match the shape, or an axis is empty.
    pub fn from_words(shape: Shape, data: Vec<u16>) -> Result<Self, Error> {
        check(shape, data.len())?;
        Ok(Self { shape, numbers: Numbers::U16(data, OnceLock::new()), rate: None, gaps: None })
    }

    /// Shape of the sample.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Sampling rate of a signal, in Hz, if it is stated.
    pub fn rate(&self) -> Option<f32> {
        self.rate
    }

    /// Sets the sampling rate; a rate that is not a positive number becomes `None`.
    #[must_use]
    pub fn with_rate(self, rate: Option<f32>) -> Self {
        Self { rate: rate.filter(|rate| rate.is_finite() && *rate > 0.0), ..self }
    }

    /// Bit depth of the stored numbers.
    pub fn depth(&self) -> Depth {
        match self.numbers {
            Numbers::U8(..) => Depth::U8,
            Numbers::U16(..) => Depth::U16,
            Numbers::F32(_) => Depth::F32,
        }
    }

    /// Numbers, channels first, row by row.
    ///
    /// For an image of 8 or 16 bits they are converted on the first call and cached: 4 additional bytes for each. For
    /// large images see [`Sample::read`].
    pub fn data(&self) -> &[f32] {
        match &self.numbers {
            Numbers::U8(data, wide) => wide.get_or_init(|| widened(data)),
            Numbers::U16(data, wide) => wide.get_or_init(|| widened(data)),
            Numbers::F32(data) => data,
        }
    }

    /// Writes the numbers from `start` on to `out`.
    ///
    /// # Panics
    /// There are fewer numbers.
    pub fn read(&self, start: usize, out: &mut [f32]) {
        let end = start + out.len();
        match &self.numbers {
            Numbers::U8(data, _) => widen(&data[start..end], out),
            Numbers::U16(data, _) => widen(&data[start..end], out),
            Numbers::F32(data) => out.copy_from_slice(&data[start..end]),
        }
    }

    /// Returns the numbers, without the shape.
    pub fn into_data(self) -> Vec<f32> {
        match self.numbers {
            Numbers::U8(data, wide) => wide.into_inner().unwrap_or_else(|| widened(&data)),
            Numbers::U16(data, wide) => wide.into_inner().unwrap_or_else(|| widened(&data)),
            Numbers::F32(data) => data,
        }
    }

    /// Converts the stored numbers to `f32`, for callers that read all of them often.
    pub fn into_float(self) -> Self {
        Self {
            shape: self.shape,
            rate: self.rate,
            gaps: self.gaps.clone(),
            numbers: Numbers::F32(self.into_data()),
        }
    }

    /// Mean and standard deviation of all numbers that are not missing; the result does not depend on threads, tiles or
    /// bit depth.
    pub fn stats(&self) -> Stats {
        self.moments().into()
    }

    /// Mean and standard deviation of each channel; the deviation of a constant channel is 0.
    pub fn channel_stats(&self) -> Vec<Stats> {
        self.channel_moments().into_iter().map(Moments::of_one).collect()
    }

    /// Moments of all numbers that are not missing.
    pub fn moments(&self) -> Moments {
        self.moments_of(0, self.shape.numbers())
    }

    /// Moments of each channel, without missing numbers.
    pub fn channel_moments(&self) -> Vec<Moments> {
        let channels = self.shape.channels();
        let numbers = self.shape.numbers() / channels;
        (0..channels).map(|c| self.moments_of(c * numbers, numbers)).collect()
    }

    /// Stored numbers of an image of 8 bits.
    fn bytes(&self) -> Option<&[u8]> {
        if let Numbers::U8(data, _) = &self.numbers { Some(data) } else { None }
    }

    /// Stored numbers of an image of 16 bits.
    fn words(&self) -> Option<&[u16]> {
        if let Numbers::U16(data, _) = &self.numbers { Some(data) } else { None }
    }
}

/// Compares shape, numbers and missing numbers, regardless of the stored bit depth.
impl PartialEq for Sample {
    fn eq(&self, other: &Self) -> bool {
        self.shape == other.shape && self.missing() == other.missing() && self.data() == other.data()
    }
}

fn check(shape: Shape, got: usize) -> Result<(), Error> {
    let expected = shape.numbers();
    match got {
        _ if expected == 0 => Err(Error::Empty { shape }),
        _ if got != expected => Err(Error::Length { shape, expected, got }),
        _ => Ok(()),
    }
}

fn widen<T: Number>(from: &[T], to: &mut [f32]) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to = from.to_f32());
}

fn widened<T: Number>(data: &[T]) -> Vec<f32> {
    data.iter().map(|v| v.to_f32()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_read_as_the_floats_they_stand_for() {
        let shape = Shape::image(1, 300, 300);
        let bytes: Vec<u8> = (0..90_000).map(|i| (i * 7 % 251) as u8).collect();
        let floats = Sample::new(shape, bytes.iter().map(|&v| f32::from(v) / 255.0).collect()).unwrap();
        let words = bytes.iter().map(|&v| u16::from(v) * 257).collect();
        for sample in [Sample::from_bytes(shape, bytes).unwrap(), Sample::from_words(shape, words).unwrap()] {
            let mut part = [0.0; 7];
            sample.read(1000, &mut part);
            assert_eq!(part, floats.data()[1000..1007]);
            assert_eq!((sample.stats(), &sample), (floats.stats(), &floats));
            assert_eq!(sample.into_float().depth(), Depth::F32);
        }
    }

    #[test]
    fn numbers_that_do_not_fit_the_shape_are_refused() {
        let shape = Shape::image(1, 2, 2);
        assert!(matches!(Sample::from_bytes(shape, vec![0; 3]), Err(Error::Length { got: 3, .. })));
        assert!(matches!(Sample::from_words(Shape::image(1, 0, 2), vec![]), Err(Error::Empty { .. })));
        let error = Sample::new(shape, vec![0.0, 1.0, f32::NAN, 0.0]).unwrap_err();
        assert!(matches!(error, Error::NonFinite { index: 2, .. }));
    }
}
