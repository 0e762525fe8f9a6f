//! A sample: one image, signal or vector of `f32`, channels first, without a batch axis.
//!
//! Holds values only: reading and writing files is `codec`'s work, tensors are `nn`'s.

mod latent;
mod shape;

pub use latent::{Latent, Plane, Stats};
pub use shape::{Kind, Shape};

/// One item: its shape and its numbers, channels first, row by row.
///
/// # Range
/// Images read from integer files lie in [0, 1] (255 or 65535 becomes 1); float images, signals and
/// vectors are kept as given. Every number is finite.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    shape: Shape,
    data: Vec<f32>,
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
        let expected = shape.numbers();
        if expected == 0 {
            return Err(Error::Empty { shape });
        }
        if data.len() != expected {
            return Err(Error::Length { shape, expected, got: data.len() });
        }
        if let Some(index) = data.iter().position(|v| !v.is_finite()) {
            return Err(Error::NonFinite { index, value: data[index] });
        }
        Ok(Self { shape, data })
    }

    /// Its shape.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Its numbers, channels first, row by row.
    pub fn data(&self) -> &[f32] {
        &self.data
    }

    /// The numbers alone.
    pub fn into_data(self) -> Vec<f32> {
        self.data
    }

    /// Mean and standard deviation of all numbers, summed in `f64` in order, so that the result does
    /// not depend on threads or tiles.
    pub fn stats(&self) -> Stats {
        Stats::of(&self.data)
    }
}
