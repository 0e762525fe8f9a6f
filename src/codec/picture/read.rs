//! Decoding of image files.

use std::io::Cursor;

use image::codecs::{jpeg::JpegDecoder, png::PngDecoder, pnm::PnmDecoder, webp::WebPDecoder};
use image::{DynamicImage, ImageDecoder, ImageError};

use super::super::{Error, Format, Result, check_shape, unknown};
use super::plane::Planes;
use super::resolution::{self, Resolution};
use super::tag::{exif_resolution, upright};
use super::{Carrier, Numbers, Origin, Picture, jpeg, metadata, png, pnm, tiff};
use crate::limits::Limits;
use crate::sample::{Number, Shape};

/// Decodes the images in a file, in the format of its first bytes even if `stated` differs. A TIFF may hold several
/// pages, every other file holds one image; smaller copies of a page (thumbnails) are skipped.
///
/// Gray stays gray and 16 bits stay 16 bits; palettes and 1, 2 and 4 bits are expanded to 8, other depths to 16; WebP
/// has no gray. Opacity, ICC profile, resolution, EXIF, text chunks and tags are moved to the carrier; EXIF orientation
/// is applied. CMYK JPEG without a profile is converted to RGB by light = (1 - ink)(1 - black).
///
/// # Errors
/// [`Error::TooLarge`] by the header alone, before decoding, with all pages counted together; [`Error::Malformed`] if
/// the file is empty, truncated, damaged or of no known format although one is stated; [`Error::Unsupported`] for
/// animations, additional bands, camera raw and other colour models, by name; [`Error::AllMissing`] in float images;
/// [`Error::Inexact`] for integers that `f32` cannot represent.
pub fn read_images(bytes: &[u8], stated: Option<Format>, limits: &Limits) -> Result<Vec<Picture>> {
    match settle_format(bytes, stated)? {
        Format::Tiff => tiff::read(bytes, limits),
        format => Ok(vec![read_by_crate(bytes, format, limits)?]),
    }
}

/// Decodes the only image in a file, see [`read_images`].
///
/// # Errors
/// Also [`Error::Unsupported`] for several pages.
pub fn read_image(bytes: &[u8], format: Option<Format>, limits: &Limits) -> Result<Picture> {
    let mut pictures = read_images(bytes, format, limits)?;
    match pictures.len() {
        1 => Ok(pictures.remove(0)),
        pages => Err(Error::unsupported(format!(
            "a TIFF with {pages} pages is not accepted here; send each page alone, or all as an npy array (B,H,W)"
        ))),
    }
}

/// Returns the decoded size in bytes of the images in a file, computed from its header without decoding.
///
/// # Errors
/// As for [`read_images`], for errors that the header alone shows.
pub fn decoded_bytes(bytes: &[u8], format: Option<Format>, limits: &Limits) -> Result<usize> {
    let format = settle_format(bytes, format)?;
    let reader = Cursor::new(bytes);
    let failed = |error| from_crate(format, error);
    check_png_size(bytes, format, limits)?;
    metadata::check(bytes, format)?;
    match format {
        Format::Tiff => tiff::decoded_bytes(bytes, limits),
        Format::Png => {
            stated_bytes(PngDecoder::with_limits(reader, memory_limit(limits)).map_err(failed)?, limits)
        }
        Format::Jpeg => stated_bytes(JpegDecoder::new(reader).map_err(failed)?, limits),
        Format::WebP => stated_bytes(WebPDecoder::new(reader).map_err(failed)?, limits),
        _ => stated_bytes(PnmDecoder::new(reader).map_err(failed)?, limits),
    }
}

fn stated_bytes(decoder: impl ImageDecoder, limits: &Limits) -> Result<usize> {
    let (width, height) = decoder.dimensions();
    check_shape(Shape::image(1, height as usize, width as usize), limits)?;
    Ok(usize::try_from(decoder.total_bytes()).unwrap_or(usize::MAX))
}

/// Returns the format detected from the first bytes, or an error if they are not an image.
fn settle_format(bytes: &[u8], stated: Option<Format>) -> Result<Format> {
    match (Format::sniff(bytes), stated) {
        _ if bytes.is_empty() => Err(Error::malformed("image", "the body is empty")),
        (Some(seen), _) if seen.is_image() => Ok(seen),
        (_, stated) => Err(unknown(bytes, stated)),
    }
}

fn read_by_crate(bytes: &[u8], format: Format, limits: &Limits) -> Result<Picture> {
    let failed = |error| from_crate(format, error);
    let reader = Cursor::new(bytes);
    check_png_size(bytes, format, limits)?;
    metadata::check(bytes, format)?;
    match format {
        Format::Png => {
            let decoder = PngDecoder::with_limits(reader, memory_limit(limits)).map_err(failed)?;
            if decoder.is_apng().map_err(failed)? {
                return Err(animated(format));
            }
            decode(decoder, format, png::resolution(bytes), Origin::Png(png::kept(bytes)), limits)
                .map(|picture| of_one_bit(picture, bytes))
        }
        Format::Jpeg => {
            let outline = jpeg::check(bytes)?;
            let mut decoder = JpegDecoder::new(reader).map_err(failed)?;
            if outline.is_cmyk && decoder.icc_profile().map_err(failed)?.is_some() {
                return Err(Error::unsupported(
                    "JPEG with CMYK and a profile is not accepted; convert it to RGB first, for example: magick in.jpg \
                     -profile sRGB.icc out.png",
                ));
            }
            decode(decoder, format, resolution::of_jfif(bytes), Origin::Jpeg(outline.kept), limits)
        }
        Format::WebP => {
            check_riff_length(bytes)?;
            let decoder = WebPDecoder::new(reader).map_err(failed)?;
            if decoder.has_animation() {
                return Err(animated(format));
            }
            decode(decoder, format, None, Origin::Plain, limits)
        }
        _ => {
            pnm::check_alone(bytes)?;
            let decoder = PnmDecoder::new(reader).map_err(failed)?;
            let is_bits = matches!(bytes.get(1), Some(b'1' | b'4'));
            let picture = decode(decoder, format, None, Origin::Plain, limits)?;
            Ok(if is_bits { with_numbers(picture, Numbers::Bit) } else { picture })
        }
    }
}

/// Sets the storage type of the numbers of a picture.
fn with_numbers(mut picture: Picture, numbers: Numbers) -> Picture {
    picture.carrier.numbers = numbers;
    picture
}

/// Marks the picture of a 1-bit gray PNG as such, by its header.
fn of_one_bit(picture: Picture, bytes: &[u8]) -> Picture {
    let is_bits = bytes.get(24..26) == Some(&[1, 0]) && picture.carrier.alpha.is_none();
    if is_bits { with_numbers(picture, Numbers::Bit) } else { picture }
}

/// Checks the size that a PNG states. The decoder has its own limit and reports it as another error.
fn check_png_size(bytes: &[u8], format: Format, limits: &Limits) -> Result<()> {
    let side =
        |at: usize| bytes.get(at..at + 4).map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]) as usize);
    match (side(16), side(20)) {
        (Some(width), Some(height)) if format == Format::Png => {
            check_shape(Shape::image(1, height, width), limits)
        }
        _ => Ok(()),
    }
}

/// Checks the length that a RIFF file states (less 8, in its second word): a lossy decoder may not detect truncation.
fn check_riff_length(bytes: &[u8]) -> Result<()> {
    let stated =
        bytes.get(4..8).map_or(u64::MAX, |b| u64::from(u32::from_le_bytes([b[0], b[1], b[2], b[3]])));
    if stated.saturating_add(8) <= bytes.len() as u64 {
        return Ok(());
    }
    Err(Error::malformed(Format::WebP.media_type(), "the file ends before the image does"))
}

fn animated(format: Format) -> Error {
    Error::unsupported(format!("animated {format} is not accepted; send one frame"))
}

fn decode(
    mut decoder: impl ImageDecoder,
    format: Format,
    resolution: Option<Resolution>,
    origin: Origin,
    limits: &Limits,
) -> Result<Picture> {
    let failed = |error| from_crate(format, error);
    let (width, height) = decoder.dimensions();
    let size = (width as usize, height as usize);
    check_shape(Shape::image(1, size.1, size.0), limits)?;
    decoder.set_limits(memory_limit(limits)).map_err(failed)?;
    let exif = decoder.exif_metadata().map_err(failed)?;
    let page = Page {
        format,
        icc: decoder.icc_profile().map_err(failed)?,
        orientation: decoder.orientation().map_err(failed)?.to_exif(),
        resolution: resolution.or_else(|| exif_resolution(exif.as_deref()?)),
        numbers: Numbers::Plain,
        is_premultiplied: false,
        exif: exif.map(upright),
        origin,
    };
    let image = DynamicImage::from_decoder(decoder).map_err(failed)?;
    let layout = (if image.color().has_color() { 3 } else { 1 }, image.color().has_alpha());
    match image {
        DynamicImage::ImageRgb32F(image) => page.finish(Planes::split(image.into_raw(), layout, size)),
        DynamicImage::ImageRgba32F(image) => page.finish(Planes::split(image.into_raw(), layout, size)),
        DynamicImage::ImageLuma16(image) => page.finish(Planes::split(image.into_raw(), layout, size)),
        DynamicImage::ImageLumaA16(image) => page.finish(Planes::split(image.into_raw(), layout, size)),
        DynamicImage::ImageRgb16(image) => page.finish(Planes::split(image.into_raw(), layout, size)),
        DynamicImage::ImageRgba16(image) => page.finish(Planes::split(image.into_raw(), layout, size)),
        other => page.finish(Planes::split(other.into_bytes(), layout, size)),
    }
}

/// Metadata of an image, collected before its pixels are decoded.
pub(super) struct Page {
    pub(super) format: Format,
    pub(super) icc: Option<Vec<u8>>,
    pub(super) orientation: u8,
    pub(super) resolution: Option<Resolution>,
    pub(super) numbers: Numbers,
    pub(super) is_premultiplied: bool,
    pub(super) exif: Option<Vec<u8>>,
    pub(super) origin: Origin,
}

impl Page {
    /// Builds the picture from its pixels.
    pub(super) fn finish<T: Number>(self, planes: Planes<T>) -> Result<Picture> {
        let Self { format, icc, orientation, resolution, numbers, is_premultiplied, exif, origin } = self;
        let icc = icc.filter(|profile| profile_fits(profile, planes.channels));
        let gap = planes.gap();
        let (sample, alpha) = planes.upright(orientation).into_samples()?;
        let resolution = resolution.map(|resolution| resolution.upright(orientation));
        let depth = T::DEPTH;
        let carrier =
            Carrier { format, depth, numbers, alpha, is_premultiplied, icc, resolution, exif, origin };
        Ok(Picture { sample, carrier, gap })
    }
}

/// Returns the allocation limit of a decoder: 8 bytes per pixel of the largest allowed image, doubled for its own use.
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

/// Shortens a message of a library to one line of a reply.
pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(200).collect()
}

/// Returns `true` if an ICC profile matches the number of channels: its data colour space, at byte 16, is gray or RGB.
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

#[cfg(test)]
mod tests {
    use super::super::super::write_image;
    use super::super::testing::example;
    use super::*;
    use crate::sample::Depth;

    const IMAGES: [Format; 5] = [Format::Png, Format::Jpeg, Format::Tiff, Format::WebP, Format::Pnm];

    fn read(bytes: &[u8]) -> Result<Picture> {
        read_image(bytes, None, &Limits::default())
    }

    fn file(format: Format, channels: usize) -> Vec<u8> {
        write_image(&example(channels, 9, 11), &Carrier::plain(format, Depth::U8), format, None).unwrap()
    }

    /// Builds a PNG header that states a size, without image data.
    fn png_header(width: u32, height: u32) -> Vec<u8> {
        let mut chunk = b"IHDR".to_vec();
        chunk.extend(width.to_be_bytes());
        chunk.extend(height.to_be_bytes());
        chunk.extend([8, 2, 0, 0, 0]);
        let checksum = crc32fast::hash(&chunk);
        let mut file = b"\x89PNG\r\n\x1a\n\0\0\0\x0d".to_vec();
        file.extend(chunk);
        file.extend(checksum.to_be_bytes());
        // The decoder reads up to the first data chunk before it reports the size.
        file.extend(b"\0\0\0\0IDAT\x35\xaf\x06\x1e");
        file
    }

    #[test]
    fn a_file_cut_at_any_byte_never_panics() {
        for format in IMAGES {
            for channels in [1, 3] {
                let whole = file(format, channels);
                assert!(read(&whole).is_ok(), "{format}");
                for end in 0..whole.len() {
                    let _ = read_image(&whole[..end], Some(format), &Limits::default());
                }
            }
        }
    }

    #[test]
    fn a_file_cut_within_its_pixels_is_an_error() {
        for format in IMAGES {
            let whole = file(format, 3);
            for part in [4, 3, 2] {
                let end = whole.len() / part;
                let result = read_image(&whole[..end], Some(format), &Limits::default());
                assert!(matches!(result, Err(Error::Malformed { .. })), "{format} cut at {end}: {result:?}");
            }
        }
    }

    #[test]
    fn a_flipped_byte_never_panics() {
        for format in IMAGES {
            let whole = file(format, 3);
            for position in 0..whole.len() {
                for flip in [1, 0x40, 0xff] {
                    let mut bytes = whole.clone();
                    bytes[position] ^= flip;
                    let _ = read_image(&bytes, Some(format), &Limits::default());
                }
            }
        }
    }

    #[test]
    fn a_header_over_the_limits_is_refused_before_decoding() {
        for side in [100_000, 1 << 31, u32::MAX] {
            let error = read(&png_header(side, side)).unwrap_err();
            let expected = Error::TooLarge { what: "image side", limit: 32_768, actual: u64::from(side) };
            assert_eq!(error, expected);
        }
        let error = read(&png_header(20_000, 20_000)).unwrap_err();
        assert!(matches!(error, Error::TooLarge { what: "image pixels", .. }), "{error}");
        let error = read(b"P5\n100000 100000\n255\n").unwrap_err();
        assert!(matches!(error, Error::TooLarge { what: "image side", .. }), "{error}");
    }

    #[test]
    fn the_limits_of_the_service_hold_in_every_format() {
        let limits = Limits { image_pixels: 98, ..Limits::default() };
        for format in IMAGES {
            let result = read_image(&file(format, 1), None, &limits);
            let expected = Error::TooLarge { what: "image pixels", limit: 98, actual: 99 };
            assert_eq!(result.unwrap_err(), expected, "{format}");
        }
    }

    #[test]
    fn bytes_decide_whatever_is_stated() {
        let png = file(Format::Png, 1);
        let limits = Limits::default();
        assert!(read_image(&png, Some(Format::Png), &limits).is_ok());
        assert!(read_image(&png, Some(Format::Jpeg), &limits).is_ok());
        assert!(matches!(read_image(&[], Some(Format::Png), &limits), Err(Error::Malformed { .. })));
        assert!(matches!(read_image(b"hello", Some(Format::Png), &limits), Err(Error::Malformed { .. })));
        assert!(matches!(read(b"GIF89a"), Err(Error::Unsupported { .. })));
        assert!(matches!(read(b"[1]"), Err(Error::Unsupported { .. })));
    }

    #[test]
    fn exif_orientation_is_applied_once() {
        let mut exif = b"II\x2a\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0".to_vec();
        exif.resize(32, 0);
        let mut file = Vec::new();
        let mut encoder = image::codecs::png::PngEncoder::new(&mut file);
        image::ImageEncoder::set_exif_metadata(&mut encoder, exif).unwrap();
        image::ImageEncoder::write_image(encoder, &[10, 20], 2, 1, image::ExtendedColorType::L8).unwrap();
        let picture = read(&file).unwrap();
        assert_eq!(picture.sample.shape(), Shape::image(1, 2, 1));
        assert_eq!(picture.sample.data(), [10.0 / 255.0, 20.0 / 255.0]);
        let again = write_image(&picture.sample, &picture.carrier, Format::Png, None).unwrap();
        assert_eq!(read(&again).unwrap().sample, picture.sample);
    }

    #[test]
    fn animations_are_refused_by_name() {
        let mut png = file(Format::Png, 1);
        let data = png.windows(4).position(|w| w == b"IDAT").unwrap() - 4;
        let chunk = b"acTL\0\0\0\x02\0\0\0\0";
        let control = [&8u32.to_be_bytes()[..], chunk, &crc32fast::hash(chunk).to_be_bytes()].concat();
        png.splice(data..data, control);
        let mut webp = b"RIFF\x2a\0\0\0WEBPVP8X\x0a\0\0\0\x02\0\0\0\0\0\0\0\0\0".to_vec();
        webp.extend(b"ANIM\x06\0\0\0\0\0\0\0\0\0ANMF\x18\0\0\0");
        webp.extend([0; 16]);
        webp.extend(b"VP8L\0\0\0\0");
        webp[4] = (webp.len() - 8) as u8;
        for file in [png, webp] {
            let error = read(&file).unwrap_err();
            assert!(matches!(&error, Error::Unsupported { what } if what.contains("animated")), "{error}");
        }
    }

    #[test]
    fn any_cut_of_a_jpeg_or_webp_is_an_error() {
        for format in [Format::Jpeg, Format::WebP] {
            let whole = file(format, 3);
            // A JPEG may lack its end marker.
            let most = whole.len() - if format == Format::Jpeg { 3 } else { 0 };
            for end in 0..most {
                let result = read_image(&whole[..end], Some(format), &Limits::default());
                assert!(matches!(result, Err(Error::Malformed { .. })), "{format} cut at {end}");
            }
        }
    }

    #[test]
    fn few_bits_and_other_ranges_of_pnm_fill_zero_to_one() {
        let bits = read(b"P1\n2 1\n1 0\n").unwrap();
        assert_eq!(bits.sample.data(), [0.0, 1.0]);
        let plain = read(b"P2\n3 1\n100\n0 50 100\n").unwrap();
        assert_eq!(plain.sample.data()[2], 1.0);
        assert!((plain.sample.data()[1] - 0.5).abs() < 0.01);
    }

    #[test]
    fn what_is_no_profile_of_the_channels_is_dropped() {
        assert!(!profile_fits(&[], 1));
        assert!(!profile_fits(&[0; 19], 3));
        assert!(!profile_fits(&super::super::testing::profile(b"CMYK"), 3));
    }
}
