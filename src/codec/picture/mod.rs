//! Pictures: image files as samples, with what must be put back on writing.

mod jpeg;
mod plane;
mod pnm;
mod read;
mod resolution;
mod tiff;
mod write;

pub use read::{decoded_bytes, read_image, read_images};
pub use resolution::{Resolution, Unit};
pub use write::{held_depth, write_image, write_images};

use super::Format;
use crate::sample::{Depth, Sample};

/// An image file, read.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    /// The image `(C,H,W)`, 1 channel for gray and 3 for colour, upright (EXIF orientation is applied).
    ///
    /// # Range
    /// [0, 1] for 8 and 16 bits; float images are kept as they are.
    pub sample: Sample,
    /// What is not part of the sample.
    pub carrier: Carrier,
}

/// What a file carries beside its gray or colour values, to be put back on writing.
#[derive(Debug, Clone, PartialEq)]
pub struct Carrier {
    /// The format it was read from.
    pub format: Format,
    /// How fine its values are.
    pub depth: Depth,
    /// Opacity, a gray image of the same size; none for opaque formats.
    pub alpha: Option<Sample>,
    /// The ICC colour profile, as it stood in the file.
    pub icc: Option<Vec<u8>>,
    /// Pixels per unit of length.
    pub resolution: Option<Resolution>,
}

impl Carrier {
    /// The carrier of an image that came from no image file: opaque, without a profile.
    pub fn plain(format: Format, depth: Depth) -> Self {
        Self { format, depth, alpha: None, icc: None, resolution: None }
    }
}

#[cfg(test)]
mod testing {
    use super::*;
    use crate::sample::Shape;

    /// An image of `channels`, with values that differ from pixel to pixel and lie on the 8-bit grid.
    pub(super) fn example(channels: usize, height: usize, width: usize) -> Sample {
        let numbers = channels * height * width;
        let data = (0..numbers).map(|i| ((i * 37 + 11) % 256) as f32 / 255.0).collect();
        Sample::new(Shape::image(channels, height, width), data).unwrap()
    }

    /// A profile that is none but for its colour space.
    pub(super) fn profile(space: &[u8; 4]) -> Vec<u8> {
        let mut profile = vec![0; 128];
        profile[16..20].copy_from_slice(space);
        profile
    }
}
