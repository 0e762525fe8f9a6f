//! Raw tensors: little-endian numbers only; extents and dtype are passed separately.

use super::super::{Error, Result};
use super::{Array, DType, count, dims_text};
use crate::limits::Limits;

/// Decodes `bytes` to an array: `dims` numbers of `dtype`, little-endian, row-major.
///
/// # Errors
/// [`Error::TooLarge`] over `array_numbers`, [`Error::Shape`] if an axis is empty or there are more than 8,
/// [`Error::Malformed`] if the number of bytes does not match the extents, [`Error::NonFinite`] for a number beyond `f32`,
/// [`Error::Inexact`].
pub fn read_raw(bytes: &[u8], dims: &[usize], dtype: DType, limits: &Limits) -> Result<Array> {
    let numbers = count(dims, limits)?;
    if numbers.checked_mul(dtype.bytes()) != Some(bytes.len()) {
        let reason = format!(
            "{} of {dtype} takes {} bytes, got {}; shape and dtype must tell what was sent",
            dims_text(dims),
            numbers.saturating_mul(dtype.bytes()),
            bytes.len()
        );
        return Err(Error::malformed("raw tensor", reason));
    }
    dtype.check_range(bytes, false)?;
    let data = dtype.decode(bytes, false);
    Ok(Array { dims: dims.to_vec(), data, dtype })
}

/// Encodes the numbers of `array` as `dtype`, little-endian, row-major. Integer types round half away from zero and
/// saturate.
pub fn write_raw(array: &Array, dtype: DType) -> Vec<u8> {
    dtype.encode(&array.data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_survive_a_round_trip() {
        let array = Array { dims: vec![2, 2], data: vec![1.0, -2.5, 3.25, 0.0], dtype: DType::F32 };
        for dtype in [DType::F32, DType::F64, DType::F16] {
            let read = read_raw(&write_raw(&array, dtype), &[2, 2], dtype, &Limits::default()).unwrap();
            assert_eq!((read.data, read.dtype), (array.data.clone(), dtype));
        }
    }

    #[test]
    fn every_other_length_is_refused() {
        for length in (0..40).filter(|&n| n != 24) {
            let error = read_raw(&vec![0; length], &[2, 3], DType::F32, &Limits::default()).unwrap_err();
            assert!(matches!(error, Error::Malformed { .. }), "{length}: {error}");
        }
    }

    #[test]
    fn absurd_extents_are_refused_without_allocating() {
        for dims in [&[usize::MAX, 2][..], &[1 << 40], &[usize::MAX, usize::MAX, usize::MAX]] {
            let error = read_raw(&[0; 8], dims, DType::F64, &Limits::default()).unwrap_err();
            assert!(matches!(error, Error::TooLarge { what: "array numbers", .. }), "{error}");
        }
        assert!(matches!(read_raw(&[], &[0, 4], DType::U8, &Limits::default()), Err(Error::Shape { .. })));
        assert!(matches!(read_raw(&[0], &[1; 9], DType::U8, &Limits::default()), Err(Error::Shape { .. })));
    }

    #[test]
    fn a_double_beyond_single_precision_is_not_finite() {
        let bytes = [1.0f64.to_le_bytes(), 1e300f64.to_le_bytes()].concat();
        let error = read_raw(&bytes, &[2], DType::F64, &Limits::default()).unwrap_err();
        assert!(matches!(&error, Error::NonFinite { place, .. } if place == "number 1"), "{error}");
    }
}
