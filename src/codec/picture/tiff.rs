//! TIFF, by the `tiff` crate itself: the `image` crate in front of it knows no gray float, which is what
//! microscopes write, and no gray with opacity.

use std::io::Cursor;

use tiff::ColorType;
use tiff::TiffError;
use tiff::decoder::{BufferLayoutPreference, Decoder, DecodingResult};
use tiff::encoder::{TiffEncoder, TiffValue, colortype};
use tiff::tags::{ExtraSamples, Tag};

use super::super::{Error, Format, Result, check_shape};
use super::Depth;
use super::plane::{Planes, extents, join, to_u8, to_u16};
use super::read::one_line;
use crate::limits::Limits;
use crate::sample::{Sample, Shape};

/// The one image in a TIFF, its depth and its profile.
pub(super) fn read(bytes: &[u8], limits: &Limits) -> Result<(Planes, Depth, Option<Vec<u8>>)> {
    let mut decoder = Decoder::new(Cursor::new(bytes)).map_err(failed)?.with_limits(memory_limit(limits));
    let (width, height) = decoder.dimensions().map_err(failed)?;
    let size = (width as usize, height as usize);
    check_shape(Shape::image(1, size.1, size.0), limits)?;
    let color = decoder.colortype().map_err(failed)?;
    let layout = match color {
        ColorType::Gray(_) => (1, false),
        ColorType::GrayA(_) => (1, true),
        ColorType::RGB(_) => (3, false),
        ColorType::RGBA(_) => (3, true),
        // The crate knows gray with opacity only as two bands of something.
        ColorType::Multiband { num_samples: 2, .. } if has_opacity(&mut decoder) => (1, true),
        other => return Err(refused(&format!("{other:?}"))),
    };
    let orientation = decoder.find_tag_unsigned::<u8>(Tag::Orientation).ok().flatten().unwrap_or(1);
    let icc = decoder.get_tag_u8_vec(Tag::IccProfile).ok();
    let mut buffer = DecodingResult::U8(Vec::new());
    let order = decoder.read_image_to_buffer(&mut buffer).map_err(failed)?;
    let (planes, depth) = to_planes(buffer, color, &order, layout, size)?;
    check_single_page(&mut decoder)?;
    Ok((planes.upright(orientation), depth, icc))
}

/// Whether the first extra sample is opacity, premultiplied or not.
fn has_opacity(decoder: &mut Decoder<Cursor<&[u8]>>) -> bool {
    let extra = decoder.find_tag_unsigned_vec::<u16>(Tag::ExtraSamples).ok().flatten();
    matches!(extra.as_deref(), Some([1 | 2, ..]))
}

fn to_planes(
    buffer: DecodingResult,
    color: ColorType,
    order: &BufferLayoutPreference,
    layout: (usize, bool),
    size: (usize, usize),
) -> Result<(Planes, Depth)> {
    let mut buffer = buffer;
    if buffer.as_buffer(0).as_bytes().len() < order.complete_len {
        return Err(refused("planes too large to be decoded at once"));
    }
    let planar = order.planes > 1;
    Ok(match buffer {
        DecodingResult::U8(v) if color.bit_depth() == 1 && layout == (1, false) => {
            (bits(&v, size), Depth::U8)
        }
        DecodingResult::U8(v) if color.bit_depth() == 8 => {
            (arrange(&v, planar, layout, size, |v| f32::from(v) / 255.0)?, Depth::U8)
        }
        DecodingResult::U16(v) if color.bit_depth() == 16 => {
            (arrange(&v, planar, layout, size, |v| f32::from(v) / 65535.0)?, Depth::U16)
        }
        DecodingResult::F16(v) => (arrange(&v, planar, layout, size, |v| v.to_f32())?, Depth::F32),
        DecodingResult::F32(v) => (arrange(&v, planar, layout, size, |v| v)?, Depth::F32),
        DecodingResult::F64(v) => (arrange(&v, planar, layout, size, |v| v as f32)?, Depth::F32),
        DecodingResult::U8(_) | DecodingResult::U16(_) | DecodingResult::U32(_) | DecodingResult::U64(_) => {
            return Err(refused(&format!("{} bits of unsigned integers", color.bit_depth())));
        }
        _ => return Err(refused(&format!("{} bits of signed integers", color.bit_depth()))),
    })
}

/// Values pixel by pixel, or plane by plane if `planar`, as planes.
fn arrange<T: Copy>(
    values: &[T],
    planar: bool,
    layout: (usize, bool),
    size: (usize, usize),
    to_f32: impl Fn(T) -> f32,
) -> Result<Planes> {
    let pixels = size.0 * size.1;
    let stride = layout.0 + usize::from(layout.1);
    if values.len() != pixels * stride {
        let reason = format!("{} values for {}x{} pixels of {stride}", values.len(), size.0, size.1);
        return Err(Error::malformed(Format::Tiff.media_type(), reason));
    }
    if !planar {
        return Ok(Planes::split(values, layout, size, to_f32));
    }
    let mut color: Vec<f32> = values.iter().map(|&v| to_f32(v)).collect();
    let alpha = layout.1.then(|| color.split_off(pixels * layout.0));
    Ok(Planes { channels: layout.0, height: size.1, width: size.0, color, alpha })
}

/// Rows of bits, each padded to a whole byte, highest bit first.
fn bits(bytes: &[u8], (width, height): (usize, usize)) -> Planes {
    let rows = bytes.chunks(width.div_ceil(8)).take(height);
    let color = rows
        .flat_map(|row| {
            (0..width).map(|x| f32::from(row.get(x / 8).map_or(0, |byte| byte >> (7 - x % 8) & 1)))
        })
        .collect();
    Planes { channels: 1, height, width, color, alpha: None }
}

/// Refuses stacks: denoising the first page and losing the rest would be a silent loss. Pages that are
/// smaller copies of the first (thumbnails) are none.
fn check_single_page(decoder: &mut Decoder<Cursor<&[u8]>>) -> Result<()> {
    while decoder.more_images() {
        decoder.next_image().map_err(failed)?;
        let subfile = decoder.find_tag_unsigned::<u32>(Tag::NewSubfileType).ok().flatten().unwrap_or(0);
        if subfile & 1 == 0 {
            let what = "TIFF with several pages is not accepted; send each page alone, or all as an npy array (B,H,W)";
            return Err(Error::unsupported(what));
        }
    }
    Ok(())
}

fn memory_limit(limits: &Limits) -> tiff::decoder::Limits {
    let mut memory = tiff::decoder::Limits::default();
    let largest = limits.image_pixels.saturating_mul(16);
    memory.decoding_buffer_size = largest;
    memory.intermediate_buffer_size = largest;
    memory.ifd_value_size = 16 << 20;
    memory
}

fn refused(what: &str) -> Error {
    Error::unsupported(format!(
        "TIFF with {what} is not accepted; gray or RGB of 1 (gray), 8 or 16 bits, or float, is"
    ))
}

fn failed(error: TiffError) -> Error {
    match error {
        TiffError::UnsupportedError(e) => refused(&one_line(&e.to_string())),
        TiffError::LimitsExceeded => Error::malformed(
            Format::Tiff.media_type(),
            "needs more memory to decode than an image of its size may",
        ),
        other => Error::malformed(Format::Tiff.media_type(), one_line(&other.to_string())),
    }
}

/// `sample` as an uncompressed TIFF of any depth. Float is written as it is, unclamped.
pub(super) fn write(
    sample: &Sample,
    alpha: Option<&[f32]>,
    icc: Option<&[u8]>,
    depth: Depth,
) -> Result<Vec<u8>> {
    use colortype::{Gray8, Gray16, Gray32Float, RGB8, RGB16, RGB32Float};
    let (channels, height, width) = extents(sample)?;
    let side = |n| u32::try_from(n).map_err(|_| Error::shape("sides below 2^32", n));
    let page = Page { width: side(width)?, height: side(height)?, has_alpha: alpha.is_some(), icc };
    let written = match (depth, channels) {
        (Depth::U8, 1) => page.encode::<Gray8>(&join(sample, alpha, to_u8)),
        (Depth::U8, _) => page.encode::<RGB8>(&join(sample, alpha, to_u8)),
        (Depth::U16, 1) => page.encode::<Gray16>(&join(sample, alpha, to_u16)),
        (Depth::U16, _) => page.encode::<RGB16>(&join(sample, alpha, to_u16)),
        (Depth::F32, 1) => page.encode::<Gray32Float>(&join(sample, alpha, |v| v)),
        (Depth::F32, _) => page.encode::<RGB32Float>(&join(sample, alpha, |v| v)),
    };
    written
        .map_err(|e| Error::unsupported(format!("TIFF cannot hold this image: {}", one_line(&e.to_string()))))
}

/// What is told of a page beside its pixels.
struct Page<'a> {
    width: u32,
    height: u32,
    has_alpha: bool,
    icc: Option<&'a [u8]>,
}

impl Page<'_> {
    fn encode<C: colortype::ColorType>(&self, pixels: &[C::Inner]) -> std::result::Result<Vec<u8>, TiffError>
    where
        [C::Inner]: TiffValue,
    {
        let mut file = Cursor::new(Vec::new());
        let mut encoder = TiffEncoder::new(&mut file)?;
        let mut image = encoder.new_image::<C>(self.width, self.height)?;
        if self.has_alpha {
            image.extra_samples(&[ExtraSamples::UnassociatedAlpha])?;
        }
        if let Some(profile) = self.icc {
            image.encoder().write_tag(Tag::IccProfile, profile)?;
        }
        image.write_data(pixels)?;
        Ok(file.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::example;
    use super::*;

    fn pages<C: colortype::ColorType>(pages: &[&[C::Inner]], width: u32, thumbnails: bool) -> Vec<u8>
    where
        [C::Inner]: TiffValue,
    {
        let mut file = Cursor::new(Vec::new());
        let mut encoder = TiffEncoder::new(&mut file).unwrap();
        for (number, page) in pages.iter().enumerate() {
            let mut image = encoder.new_image::<C>(width, 1).unwrap();
            if number > 0 && thumbnails {
                image.encoder().write_tag(Tag::NewSubfileType, 1u32).unwrap();
            }
            image.write_data(page).unwrap();
        }
        file.into_inner()
    }

    fn read_one(bytes: &[u8]) -> Result<(Planes, Depth, Option<Vec<u8>>)> {
        read(bytes, &Limits::default())
    }

    #[test]
    fn stacks_are_refused_and_thumbnails_are_not() {
        let page: &[u8] = &[1, 2];
        let error = read_one(&pages::<colortype::Gray8>(&[page, page], 2, false)).err().unwrap();
        assert!(matches!(error, Error::Unsupported { .. }) && error.to_string().contains("pages"), "{error}");
        assert!(read_one(&pages::<colortype::Gray8>(&[page, page], 2, true)).is_ok());
    }

    #[test]
    fn number_types_without_a_range_are_refused_by_name() {
        for (file, name) in [
            (pages::<colortype::GrayI16>(&[&[1, 2]], 2, false), "16 bits of signed"),
            (pages::<colortype::Gray32>(&[&[1, 2]], 2, false), "32 bits of unsigned"),
            (pages::<colortype::CMYK8>(&[&[1, 2, 3, 4]], 1, false), "CMYK"),
        ] {
            let error = read_one(&file).err().unwrap();
            assert!(
                matches!(error, Error::Unsupported { .. }) && error.to_string().contains(name),
                "{error}"
            );
        }
    }

    #[test]
    fn double_precision_is_read() {
        let (planes, depth, _) =
            read_one(&pages::<colortype::Gray64Float>(&[&[0.5, -2.0]], 2, false)).ok().unwrap();
        assert_eq!((planes.color, depth), (vec![0.5, -2.0], Depth::F32));
    }

    #[test]
    fn a_float_that_is_not_finite_is_refused() {
        let file = pages::<colortype::Gray32Float>(&[&[0.5, f32::NAN]], 2, false);
        let result = super::super::read_image(&file, None, &Limits::default());
        assert!(matches!(result, Err(Error::NonFinite { index: 1, .. })), "{result:?}");
    }

    #[test]
    fn gray_float_with_opacity_survives() {
        let file = write(&example(1, 1, 2), Some(&[0.25, 1.5]), None, Depth::F32).unwrap();
        let (planes, depth, _) = read_one(&file).ok().unwrap();
        assert_eq!((planes.alpha, depth), (Some(vec![0.25, 1.5]), Depth::F32));
    }

    #[test]
    fn rows_of_bits_are_padded_to_bytes() {
        let planes = bits(&[0b1010_0000, 0b0100_0000], (3, 2));
        assert_eq!(planes.color, [1.0, 0.0, 1.0, 0.0, 1.0, 0.0]);
    }

    #[test]
    fn planes_after_each_other_are_no_pixels_after_each_other() {
        let planes =
            arrange(&[1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0], true, (3, false), (2, 1), |v| v).ok().unwrap();
        assert_eq!(planes.color, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        assert!(arrange(&[1.0f32], true, (3, false), (2, 1), |v| v).is_err());
    }
}
