//! Storage: pixel layout of a TIFF page, or the error that names an unsupported one.

use super::super::super::{Error, Format, Result};
use super::super::directory::Directory;

/// Tag ids by name.
pub(super) mod tag {
    pub const SUBFILE: u16 = 254;
    pub const WIDTH: u16 = 256;
    pub const HEIGHT: u16 = 257;
    pub const BITS: u16 = 258;
    pub const COMPRESSION: u16 = 259;
    pub const PHOTOMETRIC: u16 = 262;
    pub const FILL_ORDER: u16 = 266;
    pub const DESCRIPTION: u16 = 270;
    pub const STRIP_OFFSETS: u16 = 273;
    pub const ORIENTATION: u16 = 274;
    pub const SAMPLES: u16 = 277;
    pub const ROWS: u16 = 278;
    pub const STRIP_BYTES: u16 = 279;
    pub const PLANAR: u16 = 284;
    pub const T4_OPTIONS: u16 = 292;
    pub const PREDICTOR: u16 = 317;
    pub const COLOR_MAP: u16 = 320;
    pub const TILE_WIDTH: u16 = 322;
    pub const SUB_DIRECTORIES: u16 = 330;
    pub const EXTRA: u16 = 338;
    pub const FORMAT: u16 = 339;
    pub const DEPTH: u16 = 32997;
    pub const STK_PLANES: u16 = 33629;
    pub const ICC: u16 = 34675;
    pub const DNG: u16 = 50706;
}

/// Pixel layout of one page.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Storage {
    pub width: usize,
    pub height: usize,
    /// Bits per number.
    pub bits: usize,
    /// Numbers per pixel.
    pub samples: usize,
    /// Number of gray or colour channels; with a palette, the number of channels of its colours.
    pub channels: usize,
    pub opacity: Option<Opacity>,
    pub color: Color,
    pub compression: Compression,
    pub is_planar: bool,
    /// `true` if it is decoded as rows of packed bits, because the decoder does not support its pixels.
    pub is_packed: bool,
    /// `true` if the lowest bit of a byte comes first.
    pub is_reversed: bool,
}

/// Kinds of opacity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opacity {
    /// Colours are not multiplied by the opacity.
    Straight,
    /// Colours are multiplied by the opacity.
    Premultiplied,
}

/// Colour model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Color {
    /// Gray, 0 is white.
    WhiteIsZero,
    /// Gray or RGB.
    Plain,
    /// Each number is an index into a palette.
    Palette,
    /// Luma and chroma.
    YCbCr,
}

/// Kinds of compression, as far as reading and writing must distinguish them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    /// Run lengths of ITU-T T.4 without end-of-line codes.
    Huffman,
    /// ITU-T T.4.
    Fax3,
    /// ITU-T T.6.
    Fax4,
    Lzw,
    PackBits,
    /// All others that the decoder supports.
    Other,
}

impl Storage {
    /// Reads the storage of a page from its directory.
    ///
    /// # Errors
    /// [`Error::Unsupported`] with the name of the unsupported feature, and how to convert it.
    pub(super) fn of(directory: &Directory, bytes: &[u8]) -> Result<Self> {
        let number = |tag: u16, usual: usize| {
            directory.number(bytes, tag).map_or(usual, |n| usize::try_from(n).unwrap_or(usize::MAX))
        };
        let (bits, samples) = (number(tag::BITS, 1), number(tag::SAMPLES, 1));
        let (color, channels) = color(number(tag::PHOTOMETRIC, 1))?;
        let own = if color == Color::Palette { 1 } else { channels };
        let extra = directory.numbers(bytes, tag::EXTRA);
        let opacity = match samples.checked_sub(own) {
            Some(0) => None,
            // Old programs write RGB with opacity without stating ExtraSamples.
            Some(1) if own == 3 && extra.is_none() => Some(Opacity::Straight),
            Some(1) => match extra.as_deref() {
                Some([1, ..]) => Some(Opacity::Premultiplied),
                Some([2, ..]) => Some(Opacity::Straight),
                _ => return Err(bands(samples, own)),
            },
            _ => return Err(bands(samples, own)),
        };
        let compression = match number(tag::COMPRESSION, 1) {
            1 => Compression::None,
            2 => Compression::Huffman,
            3 => Compression::Fax3,
            4 => Compression::Fax4,
            5 => Compression::Lzw,
            7 | 8 | 32946 | 50000 | 50001 => Compression::Other,
            32773 => Compression::PackBits,
            other => return Err(refused(&format!("the compression {}", compression_name(other)))),
        };
        if number(tag::DEPTH, 1) > 1 {
            return Err(refused("a volume in one page (ImageDepth)"));
        }
        let is_planar = number(tag::PLANAR, 1) == 2 && samples > 1;
        let is_whole_bytes = matches!(bits, 8 | 16 | 32 | 64);
        let is_packed = !is_whole_bytes || color == Color::Palette;
        if !is_whole_bytes && (bits > 16 || number(tag::FORMAT, 1) != 1) {
            return Err(refused(&format!("numbers of {bits} bits")));
        }
        if is_packed && is_planar {
            return Err(refused(&format!("separate planes of {bits} bits")));
        }
        if is_packed && !is_whole_bytes && number(tag::PREDICTOR, 1) != 1 {
            return Err(refused(&format!("a predictor for {bits} bits")));
        }
        if color == Color::Palette && (bits > 16 || opacity.is_some()) {
            return Err(refused("a palette with opacity, or of more than 16 bits"));
        }
        let is_fax = matches!(compression, Compression::Huffman | Compression::Fax3 | Compression::Fax4);
        if is_fax && (bits, samples) != (1, 1) {
            return Err(refused("fax compression of more than 1 bit"));
        }
        let (width, height) = (number(tag::WIDTH, 0), number(tag::HEIGHT, 0));
        if width == 0 || height == 0 || bits == 0 {
            return Err(Error::malformed(Format::Tiff.media_type(), "a page without pixels"));
        }
        let is_reversed = number(tag::FILL_ORDER, 1) == 2;
        if is_reversed && (bits >= 8 || directory.has(tag::TILE_WIDTH)) {
            return Err(refused("bytes whose lowest bit comes first (FillOrder 2)"));
        }
        Ok(Self {
            width,
            height,
            bits,
            samples,
            channels,
            opacity,
            color,
            compression,
            is_planar,
            is_packed,
            is_reversed,
        })
    }

    /// Returns the decoded size of the pixels, in bytes; saturates.
    pub(super) fn decoded_bytes(&self) -> usize {
        let numbers = if self.color == Color::Palette { 3 } else { self.samples };
        let wide = numbers.saturating_mul(self.bits.div_ceil(8).next_power_of_two());
        self.width.saturating_mul(self.height).saturating_mul(wide)
    }
}

/// Returns the colour model and its number of channels.
fn color(photometric: usize) -> Result<(Color, usize)> {
    Ok(match photometric {
        0 => (Color::WhiteIsZero, 1),
        1 => (Color::Plain, 1),
        2 => (Color::Plain, 3),
        3 => (Color::Palette, 3),
        6 => (Color::YCbCr, 3),
        4 => return Err(refused("a transparency mask as its only page")),
        5 => return Err(refused("CMYK")),
        8..=10 => return Err(refused("CIE Lab colours")),
        32803 | 34892 => return Err(camera_raw()),
        other => return Err(refused(&format!("the colour model {other}"))),
    })
}

fn compression_name(code: usize) -> String {
    match code {
        6 => "old-style JPEG".to_owned(),
        33003 | 33004 | 33005 | 34712 => "JPEG 2000".to_owned(),
        34661 => "JBIG".to_owned(),
        34887 => "LERC".to_owned(),
        34925 => "LZMA".to_owned(),
        50002 => "JPEG XL".to_owned(),
        other => other.to_string(),
    }
}

fn bands(samples: usize, own: usize) -> Error {
    let more = samples.saturating_sub(own);
    let base = if own == 3 { "RGB" } else { "gray" };
    refused(&format!(
        "{samples} bands ({base} and {more} whose meaning it does not state as opacity in ExtraSamples); send each \
         band as a page of its own, or as an npy array (B,H,W)"
    ))
}

/// Returns the error for camera raw, which is not developed to a picture yet.
pub(super) fn camera_raw() -> Error {
    Error::unsupported(
        "this is camera raw (DNG or another TIFF with sensor data and a preview), which has to be developed first; \
         convert it to a 16-bit TIFF, for example: darktable-cli in.dng out.tif",
    )
}

/// Returns the error for a TIFF with the unsupported feature `what`.
pub(super) fn refused(what: &str) -> Error {
    Error::unsupported(format!(
        "TIFF with {what} is not accepted; convert it to gray or RGB of 8 or 16 bits or float, for example: magick \
         in.tif -colorspace sRGB out.tif"
    ))
}
