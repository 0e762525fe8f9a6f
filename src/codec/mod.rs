//! Codec: decodes bytes to samples, arrays and latents, and encodes them again. Pure: no files, no HTTP, no tensors, no
//! logs.
//!
//! All input is untrusted: sizes stated by a header are checked against [`Limits`] and against the number of bytes
//! actually present before anything is allocated.

use crate::limits::Limits;
use crate::pointer::Misfit;
use crate::sample::{self, Shape};

mod array;
mod base64;
mod csv;
mod foreign;
mod format;
mod latent;
mod picture;
mod wav;
mod zip;

pub use crate::sample::Depth;
pub use array::{
    Array, Axes, Chunk, DType, JsonTensor, Known, Layout, LayoutChoice, Order, array_from_json,
    array_to_json, json_object, npy_dims, read_npy, read_raw, write_npy, write_raw,
};
pub use base64::decode_base64;
pub use csv::{Columns, Table, is_missing_field, read_csv, write_csv};
pub use foreign::{is_foreign, may_be_stripped, unknown};
pub use format::Format;
pub use latent::{JsonLatent, read_latent, write_latent};
pub use picture::{
    Carrier, Numbers, Origin, Packing, Picture, Resolution, Tag, Unit, decoded_bytes, held_depth, read_image,
    read_images, write_image, write_images,
};
pub use wav::{Wave, read_wav, write_wav};
pub use zip::{check_entry_name, check_zip, is_archive, read_zip, walk_zip, write_zip};

/// Result of codec calls.
pub type Result<T> = std::result::Result<T, Error>;

/// Error of decoding or encoding. The HTTP layer maps each variant to one code of the contract.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// A format, or a feature of one, that is not supported (`unsupported_media_type`).
    #[error("{what}")]
    Unsupported {
        /// Name of the format or feature, and what to send instead.
        what: String,
    },
    /// Bytes that do not match their stated format (`invalid_input`).
    #[error("{what}: {reason}")]
    Malformed {
        /// The format or the field.
        what: String,
        /// Description of the defect.
        reason: String,
    },
    /// A value in a JSON body has the wrong type or content (`invalid_input`, with the pointer).
    #[error("at {pointer:?}: {reason}")]
    Json {
        /// RFC 6901 pointer, relative to the value being decoded; empty for the value itself.
        pointer: String,
        /// Description of the defect at the pointer.
        reason: String,
    },
    /// A stated or actual size exceeds a limit (`image_too_large` for images, else `payload_too_large`).
    #[error("{what}: {actual} is over the limit of {limit}; send less, or raise the limit (GET /limits)")]
    TooLarge {
        /// Name of the measured quantity, for example `image pixels`.
        what: &'static str,
        /// The limit.
        limit: u64,
        /// The actual value; saturates at `u64::MAX`.
        actual: u64,
    },
    /// The extents do not match the requested samples (`shape_mismatch`).
    #[error("shape mismatch: expected {expected}, got {got}")]
    Shape {
        /// Description of the accepted shapes.
        expected: String,
        /// The actual shape.
        got: String,
    },
    /// Axes of an array that can be read in several orders (`invalid_input`, at `layout`).
    #[error(
        "the axes of {got} can be read as {}; say which one with layout, as in layout={}",
        options.join(", "),
        options[0].split(' ').next().unwrap_or_default()
    )]
    Unsure {
        /// Extents of the array.
        got: String,
        /// Possible orders, each with what the array is then; at least two.
        options: Vec<String>,
    },
    /// Numbers that are NaN, infinite or beyond the range of `f32` (`non_finite_input`).
    #[error(
        "{count} number(s) are not finite, the first, {value}, at {place} (counted from 0); fill these gaps before \
         sending, or say missing=keep or missing=fill; numbers beyond the range of float32 are never accepted"
    )]
    NonFinite {
        /// Position of the first one, in terms of the input.
        place: String,
        /// Value of the first one.
        value: f32,
        /// Number of non-finite values.
        count: usize,
    },
    /// A channel or column in which all numbers are missing (`non_finite_input`).
    #[error("{what}")]
    AllMissing {
        /// Description of the channel or column, and advice.
        what: String,
    },
    /// An integer that `f32` cannot represent exactly (`invalid_input`).
    #[error(
        "the whole number {value} is not exact in float32, which is what is computed with (every one up to 16777216 \
         is); subtract an offset or divide before sending"
    )]
    Inexact {
        /// The integer, in decimal.
        value: String,
    },
}

impl Error {
    fn malformed(what: impl Into<String>, reason: impl ToString) -> Self {
        Error::Malformed { what: what.into(), reason: reason.to_string() }
    }

    fn unsupported(what: impl Into<String>) -> Self {
        Error::Unsupported { what: what.into() }
    }

    fn inexact(value: impl ToString) -> Self {
        Error::Inexact { value: value.to_string() }
    }

    fn shape(expected: impl ToString, got: impl ToString) -> Self {
        Error::Shape { expected: expected.to_string(), got: got.to_string() }
    }
}

impl From<Misfit> for Error {
    fn from(Misfit { pointer, reason }: Misfit) -> Self {
        Error::Json { pointer, reason }
    }
}

impl From<sample::Error> for Error {
    fn from(error: sample::Error) -> Self {
        match error {
            sample::Error::NonFinite { index, value } => {
                Error::NonFinite { place: format!("number {index}"), value, count: 1 }
            }
            sample::Error::Length { shape, expected, got } => {
                Error::shape(format!("{expected} numbers for {shape}"), format!("{got} numbers"))
            }
            sample::Error::AllMissing { .. } => Error::AllMissing { what: error.to_string() },
            sample::Error::Empty { shape } => Error::shape("axes of extent 1 or more", shape),
        }
    }
}

/// Maximum number of channels of an image whose shape is stated by the client: gray or colour, with or without opacity.
const MAX_CHANNELS: usize = 4;

/// Checks `shape` against the limits: an image may have at most 4 channels and must fit `image_side` and
/// `image_pixels`; a signal or a vector must fit `array_numbers`.
///
/// # Errors
/// [`Error::TooLarge`] with the exceeded limit.
pub fn check_shape(shape: Shape, limits: &Limits) -> Result<()> {
    match shape {
        Shape::Image { channels, height, width } => {
            within("image channels", channels, MAX_CHANNELS)?;
            within("image side", width.max(height), limits.image_side)?;
            within("image pixels", width.saturating_mul(height), limits.image_pixels)
        }
        _ => within("array numbers", shape.numbers(), limits.array_numbers),
    }
}

/// Checks the number of samples in one request.
///
/// # Errors
/// [`Error::TooLarge`] over `samples`.
pub fn check_count(actual: usize, limits: &Limits) -> Result<()> {
    within("samples in one request", actual, limits.samples)
}

/// Checks the number of rows of a table in which each row is a sample, as if each row were a file.
///
/// # Errors
/// [`Error::TooLarge`] over `archive_entries`.
pub fn check_rows(actual: usize, limits: &Limits) -> Result<()> {
    within("csv rows", actual, limits.archive_entries)
}

/// Returns an error if `actual` exceeds `limit`.
fn within(what: &'static str, actual: usize, limit: usize) -> Result<()> {
    if actual <= limit {
        return Ok(());
    }
    Err(Error::TooLarge { what, limit: limit as u64, actual: actual as u64 })
}

/// Checks that all numbers of an array with extents `dims` are finite.
fn check_finite(data: &[f32], dims: &[usize]) -> Result<()> {
    let mut bad = data.iter().enumerate().filter(|(_, v)| !v.is_finite());
    let Some((first, &value)) = bad.next() else { return Ok(()) };
    let count = 1 + bad.count();
    let (mut rest, mut index) = (first, Vec::with_capacity(dims.len()));
    for extent in dims.iter().rev() {
        index.push((rest % extent).to_string());
        rest /= extent;
    }
    index.reverse();
    let place = match index.as_slice() {
        [row, column] => format!("row {row}, column {column}"),
        [_] | [] => format!("number {first}"),
        more => format!("index ({})", more.join(", ")),
    };
    Err(Error::NonFinite { place, value, count })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_is_held_against_the_limits_of_its_kind() {
        let limits = Limits { image_pixels: 100, image_side: 50, array_numbers: 10, ..Limits::default() };
        for (shape, over) in [
            (Shape::image(3, 2, 50), None),
            (Shape::image(1, 1, 51), Some("image side")),
            (Shape::image(1, 11, 10), Some("image pixels")),
            (Shape::image(usize::MAX, 1, 1), Some("image channels")),
            (Shape::image(1, usize::MAX, usize::MAX), Some("image side")),
            (Shape::Signal { channels: 2, length: 5 }, None),
            (Shape::Signal { channels: 2, length: 6 }, Some("array numbers")),
            (Shape::Vector { features: usize::MAX }, Some("array numbers")),
        ] {
            let seen = match check_shape(shape, &limits) {
                Err(Error::TooLarge { what, .. }) => Some(what),
                _ => None,
            };
            assert_eq!(seen, over, "{shape}");
        }
    }

    #[test]
    fn a_message_tells_limit_and_value() {
        let error = within("image pixels", 12, 10).unwrap_err().to_string();
        assert!(error.contains("image pixels: 12 is over the limit of 10"), "{error}");
    }
}
