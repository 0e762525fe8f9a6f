//! A sample: one image, signal or vector, channels first, without a batch axis, its numbers at their own depth.
//!
//! Holds values only: reading and writing files is `codec`'s work, tensors are `nn`'s.

mod depth;
mod latent;
mod outliers;
mod shape;
mod spec;
mod stats;

use std::sync::OnceLock;

pub use depth::{Depth, Number};
pub use latent::{Latent, Plane};
pub use outliers::Bounds;
pub use shape::{Kind, Shape};
pub use spec::Spec;
pub use stats::{Moments, Stats, sum};

/// One item: its shape and its numbers, channels first, row by row.
///
/// An image from a file of 8 or 16 bits keeps its numbers at that depth, so that a large one takes no more
/// memory than it must. [`Sample::read`] gives any part of it as `f32`; [`Sample::data`] all of it.
///
/// # Range
/// Images read from integer files lie in [0, 1] (255 or 65535 becomes 1); float images, signals and
/// vectors are kept as given. Every number is finite.
#[derive(Debug, Clone)]
pub struct Sample {
    shape: Shape,
    numbers: Numbers,
    /// Sampling rate of a signal, Hz, where it is stated.
    rate: Option<f32>,
}

/// The numbers at their depth; those of whole numbers as `f32` beside them once they were asked for.
#[derive(Debug, Clone)]
enum Numbers {
    U8(Vec<u8>, OnceLock<Vec<f32>>),
    U16(Vec<u16>, OnceLock<Vec<f32>>),
    F32(Vec<f32>),
}

/// Why numbers do not make a sample.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// The count of numbers is not the one the shape asks for.
    #[error("shape {shape} asks for {expected} numbers, got {got}")]
    Length {
        /// The stated shape.
        shape: Shape,
        /// Numbers the shape asks for.
        expected: usize,
        /// Numbers that were given.
        got: usize,
    },
    /// An axis has no extent.
    #[error("shape {shape} has an axis of extent 0")]
    Empty {
        /// The stated shape.
        shape: Shape,
    },
    /// A number is NaN or infinite.
    #[error("number {index} is {value}; only finite numbers are accepted")]
    NonFinite {
        /// Its position, channels first.
        index: usize,
        /// The value seen.
        value: f32,
    },
}

impl Sample {
    /// A sample of `shape` from its numbers, channels first.
    ///
    /// # Errors
    /// The count does not fit the shape, an axis is empty, or a number is not finite.
    pub fn new(shape: Shape, data: Vec<f32>) -> Result<Self, Error> {
        check(shape, data.len())?;
        if let Some(index) = data.iter().position(|v| !v.is_finite()) {
            return Err(Error::NonFinite { index, value: data[index] });
        }
        Ok(Self { shape, numbers: Numbers::F32(data), rate: None })
    }

    /// An image of 8 bits: 255 is 1.
    ///
    /// # Errors
    /// The count does not fit the shape, or an axis is empty.
    pub fn from_bytes(shape: Shape, data: Vec<u8>) -> Result<Self, Error> {
        check(shape, data.len())?;
        Ok(Self { shape, numbers: Numbers::U8(data, OnceLock::new()), rate: None })
    }

    /// An image of 16 bits: 65535 is 1.
    ///
    /// # Errors
    /// The count does not fit the shape, or an axis is empty.
    pub fn from_words(shape: Shape, data: Vec<u16>) -> Result<Self, Error> {
        check(shape, data.len())?;
        Ok(Self { shape, numbers: Numbers::U16(data, OnceLock::new()), rate: None })
    }

    /// Its shape.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Sampling rate of a signal, Hz, where it is stated.
    pub fn rate(&self) -> Option<f32> {
        self.rate
    }

    /// The same numbers at a stated sampling rate; a rate that is not a positive number is none.
    #[must_use]
    pub fn with_rate(self, rate: Option<f32>) -> Self {
        Self { rate: rate.filter(|rate| rate.is_finite() && *rate > 0.0), ..self }
    }

    /// How fine its numbers are.
    pub fn depth(&self) -> Depth {
        match self.numbers {
            Numbers::U8(..) => Depth::U8,
            Numbers::U16(..) => Depth::U16,
            Numbers::F32(_) => Depth::F32,
        }
    }

    /// Its numbers, channels first, row by row.
    ///
    /// Those of an image of 8 or 16 bits are made on the first call and stay beside the originals: 4 bytes
    /// more for each. For large images see [`Sample::read`].
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
    /// There are not so many.
    pub fn read(&self, start: usize, out: &mut [f32]) {
        let end = start + out.len();
        match &self.numbers {
            Numbers::U8(data, _) => widen(&data[start..end], out),
            Numbers::U16(data, _) => widen(&data[start..end], out),
            Numbers::F32(data) => out.copy_from_slice(&data[start..end]),
        }
    }

    /// The numbers alone.
    pub fn into_data(self) -> Vec<f32> {
        match self.numbers {
            Numbers::U8(data, wide) => wide.into_inner().unwrap_or_else(|| widened(&data)),
            Numbers::U16(data, wide) => wide.into_inner().unwrap_or_else(|| widened(&data)),
            Numbers::F32(data) => data,
        }
    }

    /// The same sample with its numbers kept as `f32`, for those who read all of them often.
    pub fn into_float(self) -> Self {
        Self { shape: self.shape, rate: self.rate, numbers: Numbers::F32(self.into_data()) }
    }

    /// Mean and standard deviation of all numbers; the result does not depend on threads, tiles or depth.
    pub fn stats(&self) -> Stats {
        Moments::of_parts(self.shape.numbers(), |start, out| self.read(start, out)).into()
    }

    /// Mean and standard deviation of each channel; the deviation of a constant channel is 0.
    pub fn channel_stats(&self) -> Vec<Stats> {
        self.channel_moments().into_iter().map(Moments::of_one).collect()
    }

    /// The moments of each channel.
    pub fn channel_moments(&self) -> Vec<Moments> {
        let channels = self.shape.channels();
        let numbers = self.shape.numbers() / channels;
        let of = |c: usize| Moments::of_parts(numbers, |start, out| self.read(c * numbers + start, out));
        (0..channels).map(of).collect()
    }

    /// The numbers of an image of 8 bits, as they are kept.
    fn bytes(&self) -> Option<&[u8]> {
        if let Numbers::U8(data, _) = &self.numbers { Some(data) } else { None }
    }

    /// The numbers of an image of 16 bits, as they are kept.
    fn words(&self) -> Option<&[u16]> {
        if let Numbers::U16(data, _) = &self.numbers { Some(data) } else { None }
    }
}

/// The same shape and numbers, at whatever depth they are kept.
impl PartialEq for Sample {
    fn eq(&self, other: &Self) -> bool {
        self.shape == other.shape && self.data() == other.data()
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
