//! Arrays: numbers with extents and a dtype, and their conversion to samples.

mod axes;
mod chunk;
mod dtype;
mod json;
mod layout;
mod npy;
mod raw;

pub use axes::{Axes, Known, LayoutChoice, Order};
pub use chunk::{Chunk, json_object};
pub use dtype::DType;
pub use json::{JsonTensor, array_from_json, array_to_json};
pub use layout::Layout;
pub use npy::{npy_dims, read_npy, write_npy};
pub use raw::{read_raw, write_raw};

use super::{Error, Result, within};
use crate::limits::Limits;

/// Maximum number of axes of an array.
pub(super) const MAX_RANK: usize = 8;

/// Numbers in row-major order with their extents.
///
/// # Range
/// The unscaled numbers of the input for every dtype: [`Array::into_samples`] scales `u8` and `u16` images. `f64` and
/// 32- and 64-bit integers are converted to `f32`. A missing number is not finite.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    /// Extents, slowest axis first; empty for a bare number.
    pub dims: Vec<usize>,
    /// The numbers, last axis fastest; the length is the product of `dims`.
    pub data: Vec<f32>,
    /// Number type that the array was decoded from or is to be encoded as.
    pub dtype: DType,
}

impl Array {
    /// Checks that no number is missing.
    ///
    /// # Errors
    /// [`Error::NonFinite`] with the index of the first one.
    pub fn check_finite(&self) -> Result<()> {
        super::check_finite(&self.data, &self.dims)
    }

    /// Marks all numbers equal to `sentinel` as missing.
    pub fn mark_missing(&mut self, sentinel: f32) {
        self.data.iter_mut().filter(|v| **v == sentinel).for_each(|v| *v = f32::NAN);
    }
}

/// Returns the product of `dims`, checked against the limits.
fn count(dims: &[usize], limits: &Limits) -> Result<usize> {
    if dims.len() > MAX_RANK {
        return Err(Error::shape(format!("at most {MAX_RANK} axes"), format!("{} axes", dims.len())));
    }
    if dims.contains(&0) {
        return Err(Error::shape("axes of extent 1 or more", dims_text(dims)));
    }
    let numbers = dims.iter().fold(1, |n: usize, &d| n.saturating_mul(d));
    within("array numbers", numbers, limits.array_numbers)?;
    Ok(numbers)
}

/// Formats extents as numpy does: `(2, 3)`.
fn dims_text(dims: &[usize]) -> String {
    let list: Vec<_> = dims.iter().map(usize::to_string).collect();
    format!("({})", list.join(", "))
}
