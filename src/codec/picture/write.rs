//! Writing image files.

use std::io::Cursor;

use image::codecs::{jpeg::JpegEncoder, png::PngEncoder, pnm::PnmEncoder, webp::WebPEncoder};
use image::{ExtendedColorType, ImageEncoder, ImageError, ImageResult};

use super::super::{Error, Format, Result};
use super::plane::{extents, join, to_u8, to_u16};
use super::read::{one_line, profile_fits};
use super::{Carrier, Depth, tiff};
use crate::sample::Sample;

/// JPEG quality, of 1..=100: high enough that its blocks are not taken for the model's work.
const JPEG_QUALITY: u8 = 90;

/// `sample` as a file of `format`, with the opacity and the profile of `carrier` put back.
///
/// # Depth
/// `depth`, or the carrier's, as far as the format goes: PNG and PNM hold 8 and 16 bits (float becomes 16),
/// TIFF all three, JPEG and lossless WebP 8. Integer depths clamp to [0, 1] and round half away from zero.
///
/// # What is lost
/// JPEG (quality 90) has no opacity; PNM has no profile; WebP writes gray as colour. A profile of another
/// colour model than the sample's is left out. With opacity, PNM is written as PAM.
///
/// # Errors
/// [`Error::Shape`] for anything but images of 1 or 3 channels, or opacity of another size;
/// [`Error::Unsupported`] where the format cannot hold such an image (WebP beyond 16383 pixels a side).
pub fn write_image(
    sample: &Sample,
    carrier: &Carrier,
    format: Format,
    depth: Option<Depth>,
) -> Result<Vec<u8>> {
    let (channels, height, width) = extents(sample)?;
    let alpha = carrier.alpha.as_deref().filter(|_| format != Format::Jpeg);
    if let Some(alpha) = alpha.filter(|alpha| alpha.len() != width * height) {
        let expected = format!("opacity of {width}x{height} pixels");
        return Err(Error::shape(expected, format!("{} numbers", alpha.len())));
    }
    let icc = carrier.icc.as_ref().filter(|profile| profile_fits(profile, channels));
    let depth = held_depth(format, depth.unwrap_or(carrier.depth));
    if format == Format::Tiff {
        return tiff::write(sample, alpha, icc.map(Vec::as_slice), depth);
    }
    let pixels = Pixels::new(sample, alpha, depth)?;
    let icc_color = icc.filter(|profile| profile_fits(profile, 3));
    let mut file = Vec::new();
    let out = Cursor::new(&mut file);
    let written = match format {
        Format::Png => pixels.encode(PngEncoder::new(out), icc),
        Format::Jpeg => pixels.encode(JpegEncoder::new_with_quality(out, JPEG_QUALITY), icc),
        // The file is colour, whatever the sample is.
        Format::WebP => pixels.encode(WebPEncoder::new_lossless(out), icc_color),
        Format::Pnm => pixels.encode(PnmEncoder::new(out), None),
        other => return Err(Error::unsupported(format!("{other} is not an image format"))),
    };
    written.map_err(|error| {
        Error::unsupported(format!("{format} cannot hold this image: {}", one_line(&error.to_string())))
    })?;
    Ok(file)
}

/// The finest depth of `format` that is not finer than asked for, except that float falls to 16 bits.
fn held_depth(format: Format, depth: Depth) -> Depth {
    match (format, depth) {
        (Format::Jpeg | Format::WebP, _) => Depth::U8,
        (Format::Png | Format::Pnm, Depth::F32) => Depth::U16,
        (_, depth) => depth,
    }
}

/// Integer pixels in the byte order that encoders take: the machine's.
struct Pixels {
    bytes: Vec<u8>,
    width: u32,
    height: u32,
    color: ExtendedColorType,
}

impl Pixels {
    fn new(sample: &Sample, alpha: Option<&[f32]>, depth: Depth) -> Result<Self> {
        use ExtendedColorType::{L8, L16, La8, La16, Rgb8, Rgb16, Rgba8, Rgba16};
        let (channels, height, width) = extents(sample)?;
        let (bytes, wide) = match depth {
            Depth::U8 => (join(sample, alpha, to_u8), false),
            _ => (join(sample, alpha, to_u16).into_iter().flat_map(u16::to_ne_bytes).collect(), true),
        };
        let color = match (channels, alpha.is_some(), wide) {
            (1, false, false) => L8,
            (1, false, true) => L16,
            (1, true, false) => La8,
            (1, true, true) => La16,
            (_, false, false) => Rgb8,
            (_, false, true) => Rgb16,
            (_, true, false) => Rgba8,
            (_, true, true) => Rgba16,
        };
        let side = |n| u32::try_from(n).map_err(|_| Error::shape("sides below 2^32", n));
        Ok(Self { bytes, width: side(width)?, height: side(height)?, color })
    }

    fn encode(&self, mut encoder: impl ImageEncoder, icc: Option<&Vec<u8>>) -> ImageResult<()> {
        if let Some(profile) = icc {
            encoder.set_icc_profile(profile.clone()).map_err(ImageError::Unsupported)?;
        }
        encoder.write_image(&self.bytes, self.width, self.height, self.color)
    }
}
