//! Reading image files.

use std::io::Cursor;

use image::codecs::{jpeg::JpegDecoder, png::PngDecoder, pnm::PnmDecoder, webp::WebPDecoder};
use image::{DynamicImage, ImageDecoder, ImageError};

use super::super::{Error, Format, Result, check_shape};
use super::plane::Planes;
use super::{Carrier, Depth, Picture, jpeg, tiff};
use crate::limits::Limits;
use crate::sample::Shape;

/// The image in a file: of `format`, or of what its first bytes say.
///
/// Gray stays gray and 16 bits stay 16 bits; palettes and 1, 2 and 4 bits are expanded to 8; WebP has no gray.
/// Opacity and ICC profile go to the carrier, EXIF orientation is applied, other metadata is dropped.
///
/// # Errors
/// [`Error::TooLarge`] by the header alone, before anything is decoded; [`Error::Malformed`] where the file is
/// empty, cut, damaged or of another format than stated; [`Error::Unsupported`] for animations, stacks of
/// pages and colour models other than gray and RGB, by name; [`Error::NonFinite`] in float images.
pub fn read_image(bytes: &[u8], format: Option<Format>, limits: &Limits) -> Result<Picture> {
    let format = settle_format(bytes, format)?;
    let (planes, depth, icc) = match format {
        Format::Tiff => tiff::read(bytes, limits)?,
        _ => read_by_crate(bytes, format, limits)?,
    };
    let icc = icc.filter(|profile| profile_fits(profile, planes.channels));
    let (sample, alpha) = planes.into_sample()?;
    Ok(Picture { sample, carrier: Carrier { format, depth, alpha, icc } })
}

/// The format the bytes are read as, when what is stated and what is seen agree.
fn settle_format(bytes: &[u8], stated: Option<Format>) -> Result<Format> {
    let seen = Format::sniff(bytes);
    let names = "PNG, JPEG, TIFF, WebP and PNM";
    match (stated, seen) {
        (Some(stated), _) if !stated.is_image() => {
            Err(Error::unsupported(format!("{stated} is not an image format; use {names}")))
        }
        _ if bytes.is_empty() => Err(Error::malformed("image", "the body is empty")),
        (Some(stated), Some(seen)) if stated == seen => Ok(seen),
        (Some(stated), Some(seen)) => {
            Err(Error::malformed(stated.media_type(), format!("the bytes are a {seen}, not a {stated}")))
        }
        (Some(stated), None) => {
            Err(Error::malformed(stated.media_type(), format!("the bytes do not begin as a {stated} does")))
        }
        (None, Some(seen)) if seen.is_image() => Ok(seen),
        (None, _) => Err(Error::unsupported(format!("this is no image format known here; use {names}"))),
    }
}

type Read = (Planes, Depth, Option<Vec<u8>>);

fn read_by_crate(bytes: &[u8], format: Format, limits: &Limits) -> Result<Read> {
    let failed = |error| from_crate(format, error);
    let reader = Cursor::new(bytes);
    match format {
        Format::Png => {
            let decoder = PngDecoder::with_limits(reader, memory_limit(limits)).map_err(failed)?;
            if decoder.is_apng().map_err(failed)? {
                return Err(animated(format));
            }
            decode(decoder, format, limits)
        }
        Format::Jpeg => {
            jpeg::check_complete(bytes)?;
            decode(JpegDecoder::new(reader).map_err(failed)?, format, limits)
        }
        Format::WebP => {
            let decoder = WebPDecoder::new(reader).map_err(failed)?;
            if decoder.has_animation() {
                return Err(animated(format));
            }
            decode(decoder, format, limits)
        }
        _ => decode(PnmDecoder::new(reader).map_err(failed)?, format, limits),
    }
}

fn animated(format: Format) -> Error {
    Error::unsupported(format!("animated {format} is not accepted; send one frame"))
}

fn decode(mut decoder: impl ImageDecoder, format: Format, limits: &Limits) -> Result<Read> {
    let failed = |error| from_crate(format, error);
    let (width, height) = decoder.dimensions();
    let size = (width as usize, height as usize);
    check_shape(Shape::image(1, size.1, size.0), limits)?;
    decoder.set_limits(memory_limit(limits)).map_err(failed)?;
    let icc = decoder.icc_profile().map_err(failed)?;
    let orientation = decoder.orientation().map_err(failed)?.to_exif();
    let image = DynamicImage::from_decoder(decoder).map_err(failed)?;
    let layout = (if image.color().has_color() { 3 } else { 1 }, image.color().has_alpha());
    let (planes, depth) = match &image {
        DynamicImage::ImageRgb32F(_) | DynamicImage::ImageRgba32F(_) => {
            let flat = image.as_flat_samples_f32().map(|f| f.samples).unwrap_or_default();
            (Planes::split(flat, layout, size, |v| v), Depth::F32)
        }
        _ => match (image.as_flat_samples_u8(), image.as_flat_samples_u16()) {
            (Some(flat), _) => (Planes::split(flat.samples, layout, size, |v| f32::from(v) / 255.0), Depth::U8),
            (_, Some(flat)) => {
                (Planes::split(flat.samples, layout, size, |v| f32::from(v) / 65535.0), Depth::U16)
            }
            _ => return Err(Error::unsupported(format!("{format} with pixels of {:?}", image.color()))),
        },
    };
    Ok((planes.upright(orientation), depth, icc))
}

/// What a decoder may allocate: the largest image there may be, at 8 bytes a pixel, twice for its own use.
fn memory_limit(limits: &Limits) -> image::Limits {
    let mut memory = image::Limits::no_limits();
    memory.max_alloc = Some((limits.image_pixels as u64).saturating_mul(16).saturating_add(16 << 20));
    memory
}

fn from_crate(format: Format, error: ImageError) -> Error {
    match error {
        ImageError::Unsupported(e) => Error::unsupported(one_line(&e.to_string())),
        ImageError::Limits(_) => {
            Error::malformed(format.media_type(), "needs more memory to decode than an image of its size may")
        }
        ImageError::Decoding(e) => Error::malformed(format.media_type(), one_line(&e.to_string())),
        other => Error::malformed(format.media_type(), one_line(&other.to_string())),
    }
}

/// What a library says, fit for one line of a reply.
pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(200).collect()
}

/// Whether an ICC profile describes the channels there are: its data colour space, at byte 16, is the same kind.
///
/// # Source
/// ICC.1:2022, table 17 and 19.
pub(super) fn profile_fits(profile: &[u8], channels: usize) -> bool {
    match profile.get(16..20) {
        Some(b"GRAY") => channels == 1,
        Some(b"RGB ") => channels == 3,
        _ => false,
    }
}
