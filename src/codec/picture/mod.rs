//! Pictures: decoding of image files to samples, and encoding with their other contents restored.

mod carrier;
mod directory;
mod jpeg;
mod metadata;
mod plane;
mod png;
mod pnm;
mod read;
mod resolution;
mod tag;
mod tiff;
mod write;

pub use carrier::{Carrier, Origin};
pub use read::{decoded_bytes, read_image, read_images};
pub use resolution::{Resolution, Unit};
pub use tag::Tag;
pub use tiff::{Numbers, Packing};
pub use write::{held_depth, write_image, write_images};

use super::Format;
use crate::sample::{Depth, Sample};

/// A decoded image file.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    /// Image `(C,H,W)`, 1 channel for gray and 3 for colour, upright (EXIF orientation is applied).
    ///
    /// # Range
    /// [0, 1] for unsigned integers of 1 to 16 bits; floats and all other integers are unchanged.
    pub sample: Sample,
    /// Contents of the file that are not part of the sample.
    pub carrier: Carrier,
    /// [`super::Error::NonFinite`] with the place of the first missing number; `None` if none is missing.
    pub gap: Option<super::Error>,
}

#[cfg(test)]
mod testing {
    use super::*;
    use crate::sample::Shape;

    /// Builds an image of `channels`, with values on the 8-bit grid that differ between pixels.
    pub(super) fn example(channels: usize, height: usize, width: usize) -> Sample {
        let numbers = channels * height * width;
        let data = (0..numbers).map(|i| ((i * 37 + 11) % 256) as f32 / 255.0).collect();
        Sample::new(Shape::image(channels, height, width), data).unwrap()
    }

    /// Builds a profile that is empty except for its colour space.
    pub(super) fn profile(space: &[u8; 4]) -> Vec<u8> {
        let mut profile = vec![0; 128];
        profile[16..20].copy_from_slice(space);
        profile
    }
}
