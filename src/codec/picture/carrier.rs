//! Carrier: the contents of an image file other than its gray or colour values, to be restored on writing.

use super::tag::Tag;
use super::tiff::{Numbers, Packing};
use super::{Depth, Format, Resolution, Sample};

/// Contents of an image file other than its gray or colour values.
#[derive(Debug, Clone, PartialEq)]
pub struct Carrier {
    /// Format of the file.
    pub format: Format,
    /// Depth of the values.
    pub depth: Depth,
    /// Storage type of the values, if the depth does not determine it.
    pub numbers: Numbers,
    /// Opacity, a gray image of the same size; `None` for an opaque image.
    pub alpha: Option<Sample>,
    /// `true` if the colours are premultiplied by the opacity.
    pub is_premultiplied: bool,
    /// Unchanged ICC colour profile of the file.
    pub icc: Option<Vec<u8>>,
    /// Pixels per unit of length.
    pub resolution: Option<Resolution>,
    /// EXIF block of a PNG, JPEG or WebP (date, camera, place), its orientation set to upright.
    pub exif: Option<Vec<u8>>,
    /// Contents that only a file of the same format can hold.
    pub origin: Origin,
}

/// Contents that are specific to one format.
#[derive(Debug, Clone, PartialEq)]
pub enum Origin {
    /// None.
    Plain,
    /// Chunks of a PNG: gamma, primaries, text.
    Png(Vec<([u8; 4], Vec<u8>)>),
    /// Segments of a JPEG with their markers: XMP, IPTC, comments.
    Jpeg(Vec<(u8, Vec<u8>)>),
    /// Tags and compression of a TIFF page.
    Tiff {
        /// Tags that do not describe the storage of pixels.
        tags: Vec<Tag>,
        /// Compression of the page.
        packing: Packing,
    },
}

impl Carrier {
    /// Returns the carrier of an image that is not from an image file: opaque, without a profile.
    pub fn plain(format: Format, depth: Depth) -> Self {
        Self {
            format,
            depth,
            numbers: Numbers::Plain,
            alpha: None,
            is_premultiplied: false,
            icc: None,
            resolution: None,
            exif: None,
            origin: Origin::Plain,
        }
    }

    /// Returns `true` if there is no opacity or it is 1 or more everywhere.
    pub fn is_opaque(&self) -> bool {
        self.alpha.as_ref().is_none_or(|alpha| {
            let mut row = [0.0; 1024];
            let numbers = alpha.shape().numbers();
            (0..numbers).step_by(row.len()).all(|start| {
                let part = &mut row[..(numbers - start).min(1024)];
                alpha.read(start, part);
                part.iter().all(|v| *v >= 1.0)
            })
        })
    }
}
