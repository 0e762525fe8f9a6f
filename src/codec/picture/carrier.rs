//! Carrier: what an image file holds beside its gray or colour values, to be put back on writing.

use super::tag::Tag;
use super::tiff::{Numbers, Packing};
use super::{Depth, Format, Resolution, Sample};

/// The rest of an image file.
#[derive(Debug, Clone, PartialEq)]
pub struct Carrier {
    /// The format it was read from.
    pub format: Format,
    /// How fine its values are.
    pub depth: Depth,
    /// How its values are stored, where the depth does not say so.
    pub numbers: Numbers,
    /// Opacity, a gray image of the same size; none for opaque formats.
    pub alpha: Option<Sample>,
    /// Whether the colours are multiplied by the opacity.
    pub is_premultiplied: bool,
    /// The ICC colour profile, as it stood in the file.
    pub icc: Option<Vec<u8>>,
    /// Pixels per unit of length.
    pub resolution: Option<Resolution>,
    /// The EXIF block of a PNG, JPEG or WebP, its orientation set to upright: date, camera, place.
    pub exif: Option<Vec<u8>>,
    /// What only a file of the same format can hold.
    pub origin: Origin,
}

/// What only a file of one format holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Origin {
    /// Nothing.
    Plain,
    /// Chunks of a PNG: gamma, primaries, text.
    Png(Vec<([u8; 4], Vec<u8>)>),
    /// Segments of a JPEG, by their marker: XMP, IPTC, comments.
    Jpeg(Vec<(u8, Vec<u8>)>),
    /// Tags of a page of a TIFF, and how it was packed.
    Tiff {
        /// Tags that say nothing of how pixels are stored.
        tags: Vec<Tag>,
        /// The compression.
        packing: Packing,
    },
}

impl Carrier {
    /// The carrier of an image that came from no image file: opaque, without a profile.
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

    /// Whether its opacity lets anything through.
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
