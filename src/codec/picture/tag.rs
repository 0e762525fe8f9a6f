//! Tags: metadata of a TIFF file or an EXIF block, copied from file to file.

use std::io::{Seek, Write};

use image::metadata::Orientation;
use tiff::encoder::{DirectoryEncoder, TiffEncoder, TiffKind};
use tiff::tags::Type;
use tiff::{Directory as Written, TiffResult};

use super::directory::{Directory, Order};
use super::resolution::{Resolution, Unit};

/// Tags that point to a subdirectory: EXIF and GPS.
const BELOW: [u16; 2] = [34665, 34853];

/// Tags of the pixel storage, which the writer sets itself, and tags with offsets, which are valid in one file only.
const OF_STORAGE: [u16; 40] = [
    254, 255, 256, 257, 258, 259, 262, 263, 264, 265, 266, 273, 274, 277, 278, 279, 280, 281, 284, 288, 289,
    290, 291, 292, 293, 317, 320, 322, 323, 324, 325, 330, 332, 338, 339, 340, 341, 347, 34675, 40965,
];

/// Tags of JPEG and YCbCr storage.
const OF_COLOR_STORAGE: std::ops::RangeInclusive<u16> = 512..=532;

/// Tags that an EXIF block may have in its first directory, in addition to the EXIF and GPS pointers (EXIF 3.0, 4.6.4).
const OF_EXIF: [u16; 8] = [270, 271, 272, 305, 306, 315, 33432, 700];

/// Maximum bytes of the tags of a file.
pub(super) const MOST_TAG_BYTES: u64 = 32 << 20;

/// Returns `true` for tags that are valid in any file.
fn is_kept(id: &u16) -> bool {
    !OF_STORAGE.contains(id) && !OF_COLOR_STORAGE.contains(id)
}

/// A tag and its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Tag {
    id: u16,
    value: Value,
}

#[derive(Debug, Clone, PartialEq)]
enum Value {
    /// Field type and bytes, in native byte order.
    Field(u16, Vec<u8>),
    /// Tags of a subdirectory.
    Below(Vec<Tag>),
}

impl Tag {
    /// Returns the bytes of the tags that [`Tag::all`] reads.
    pub(super) fn bytes_of_all(directory: &Directory, bytes: &[u8]) -> u64 {
        let of = |id: u16| match Self::below(directory, bytes, id) {
            Some(below) => below.tags().map(|id| below.bytes(id)).fold(0, u64::saturating_add),
            None => directory.bytes(id),
        };
        directory.tags().filter(is_kept).map(of).fold(0, u64::saturating_add)
    }

    fn below(directory: &Directory, bytes: &[u8], id: u16) -> Option<Directory> {
        let position = BELOW.contains(&id).then(|| directory.number(bytes, id))??;
        Directory::read(bytes, directory.order(), position)
    }

    /// Reads the tags of a directory that are valid in any file. Damaged values are skipped; so are all if they are longer than
    /// any file's may be, because they overlap.
    pub(super) fn all(directory: &Directory, bytes: &[u8]) -> Vec<Self> {
        if Self::bytes_of_all(directory, bytes) > MOST_TAG_BYTES {
            return Vec::new();
        }
        let read = |id: u16| {
            let value = if BELOW.contains(&id) {
                let below = Self::below(directory, bytes, id)?;
                let field = |id| below.native(bytes, id).map(|(kind, value)| Value::Field(kind, value));
                let fields =
                    below.tags().filter(|id| *id != 40965).map(|id| Some(Self { id, value: field(id)? }));
                Value::Below(fields.collect::<Option<_>>()?)
            } else {
                let (kind, value) = directory.native(bytes, id)?;
                Value::Field(kind, value)
            };
            Some(Self { id, value })
        };
        directory.tags().filter(is_kept).filter_map(read).collect()
    }

    /// Returns `true` for the tags of a resolution, which changes when an image is rotated.
    pub(super) fn is_resolution(&self) -> bool {
        matches!(self.id, 282 | 283 | 296)
    }

    /// Reads the tags of an EXIF block.
    pub(super) fn of_exif(block: &[u8]) -> Vec<Self> {
        let first = Order::of(block).and_then(|(order, at)| Directory::read(block, order, at));
        first.map_or_else(Vec::new, |first| Self::all(&first, block))
    }

    /// Writes `tags` into an open directory; `below` holds the offsets of subdirectories, see [`Tag::write_below`].
    pub(super) fn write<W: Write + Seek, K: TiffKind>(
        tags: &[Self],
        below: &[(u16, u32)],
        directory: &mut DirectoryEncoder<W, K>,
    ) -> TiffResult<()> {
        for Self { id, value } in tags {
            if let Value::Field(kind, bytes) = value
                && let Some(kind) = Type::from_u16(*kind)
            {
                let entry = directory.write_entry_bytes(kind, bytes)?;
                let mut one = Written::empty();
                one.extend([(tiff::tags::Tag::from_u16_exhaustive(*id), entry)]);
                directory.extend_from(&one);
            }
        }
        for (id, position) in below {
            directory.write_tag(tiff::tags::Tag::from_u16_exhaustive(*id), *position)?;
        }
        Ok(())
    }

    /// Writes the subdirectories, and returns their tags with their offsets.
    pub(super) fn write_below<W: Write + Seek>(
        tags: &[Self],
        encoder: &mut TiffEncoder<W>,
    ) -> TiffResult<Vec<(u16, u32)>> {
        let mut written = Vec::new();
        for Self { id, value } in tags {
            if let Value::Below(fields) = value {
                let mut directory = encoder.extra_directory()?;
                Self::write(fields, &[], &mut directory)?;
                let position = directory.finish_with_offsets()?.pointer.0;
                written.push((*id, u32::try_from(position)?));
            }
        }
        Ok(written)
    }

    /// Builds an EXIF block of those tags that EXIF allows; `None` if there are none.
    pub(super) fn to_exif(tags: &[Self]) -> Option<Vec<u8>> {
        let kept: Vec<Self> =
            tags.iter().filter(|tag| OF_EXIF.contains(&tag.id) || BELOW.contains(&tag.id)).cloned().collect();
        if kept.is_empty() {
            return None;
        }
        let mut block = std::io::Cursor::new(Vec::new());
        let mut encoder = TiffEncoder::new(&mut block).ok()?;
        let below = Self::write_below(&kept, &mut encoder).ok()?;
        let mut first = encoder.image_directory().ok()?;
        Self::write(&kept, &below, &mut first).ok()?;
        first.finish().ok()?;
        Some(block.into_inner())
    }
}

/// Sets the orientation of an EXIF block to upright, after the image was rotated.
pub(super) fn upright(mut block: Vec<u8>) -> Vec<u8> {
    // Despite its name, this writes "upright" in place of the orientation.
    let _ = Orientation::remove_from_exif_chunk(&mut block);
    block
}

/// Reads the resolution from an EXIF block or a TIFF directory.
pub(super) fn resolution(directory: &Directory, bytes: &[u8]) -> Option<Resolution> {
    let unit = match directory.number(bytes, 296) {
        Some(1) => Unit::Ratio,
        Some(3) => Unit::Centimetre,
        _ => Unit::Inch,
    };
    Resolution::new(directory.fraction(bytes, 282)?, directory.fraction(bytes, 283)?, unit)
}

/// Reads the resolution from an EXIF block.
pub(super) fn exif_resolution(block: &[u8]) -> Option<Resolution> {
    let (order, at) = Order::of(block)?;
    resolution(&Directory::read(block, order, at)?, block)
}
