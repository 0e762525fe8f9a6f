//! Arrays: numbers with extents and a dtype, and their conversion to samples.

mod dtype;
mod json;
mod layout;
mod npy;
mod raw;

pub use dtype::DType;
pub use json::{JsonTensor, array_from_json, array_to_json};
pub use layout::{Axes, Layout};
pub use npy::{npy_dims, read_npy, write_npy};
pub use raw::{read_raw, write_raw};

use super::{Error, Result, within};
use crate::limits::Limits;
use crate::sample::{Kind, Spec};

/// Maximum number of axes of an array.
pub(super) const MAX_RANK: usize = 8;

/// Numbers in row-major order with their extents.
///
/// # Range
/// The unscaled numbers of the input for every dtype: [`Array::into_samples`] scales `u8` and `u16` images. `f64` and
/// 32- and 64-bit integers are converted to `f32`.
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
    /// Guesses the kind of sample if no model is named: rank 1 is a vector, rank 2 a gray image, rank 3 with a last
    /// axis of 3 a colour image.
    ///
    /// # Errors
    /// [`Error::Shape`] for every other shape: beyond this rule `(C, L)` and `(H, W)` cannot be distinguished by their
    /// extents, so the caller must name a model.
    pub fn guess_kind(&self) -> Result<Spec> {
        let spec = |kind, channels| Ok(Spec { kind, channels, fixed: None });
        match self.dims[..] {
            [_] => spec(Kind::Vector, 1),
            [_, _] => spec(Kind::Image, 1),
            [_, _, 3] => spec(Kind::Image, 3),
            _ => Err(Error::shape(
                "(D), (H,W) or (H,W,3), or a named model that tells what the axes are",
                dims_text(&self.dims),
            )),
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guess_is_a_vector_a_gray_image_or_a_colour_image() {
        let guess = |dims: &[usize]| {
            let array = Array { dims: dims.to_vec(), data: Vec::new(), dtype: DType::F32 };
            array.guess_kind().map(|spec| (spec.kind, spec.channels))
        };
        assert_eq!(guess(&[9]), Ok((Kind::Vector, 1)));
        assert_eq!(guess(&[4, 5]), Ok((Kind::Image, 1)));
        assert_eq!(guess(&[4, 5, 3]), Ok((Kind::Image, 3)));
        for dims in [&[][..], &[4, 5, 5], &[3, 4, 5], &[2, 4, 5, 3]] {
            assert!(matches!(guess(dims), Err(Error::Shape { .. })), "{dims:?}");
        }
    }
}
