//! TIFF, by the `tiff` crate itself: the `image` crate in front of it knows no gray float, which is what
//! microscopes write, and no gray with opacity.

use std::io::Cursor;

use tiff::ColorType;
use tiff::TiffError;
use tiff::decoder::{BufferLayoutPreference, Decoder, DecodingResult, ifd::Value};
use tiff::encoder::{ImageEncoder, Rational, TiffEncoder, TiffValue, colortype};
use tiff::tags::{ExtraSamples, ResolutionUnit, Tag};

use super::super::{Error, Format, Result, check_shape, within};
use super::plane::{Planes, join};
use super::read::{self, one_line};
use super::resolution::{Resolution, Unit};
use super::{Picture, write};
use crate::limits::Limits;
use crate::sample::{Depth, Number, Shape};

type Reader<'a> = Decoder<Cursor<&'a [u8]>>;

/// The pages of a TIFF.
pub(super) fn read(bytes: &[u8], limits: &Limits) -> Result<Vec<Picture>> {
    let mut pages = Vec::new();
    walk(bytes, limits, |decoder, size| {
        pages.push(read_page(decoder, size)?);
        Ok(())
    })?;
    Ok(pages)
}

/// Bytes that all pages take once they are decoded.
pub(super) fn decoded_bytes(bytes: &[u8], limits: &Limits) -> Result<usize> {
    let mut sum = 0;
    walk(bytes, limits, |decoder, (width, height)| {
        let color = decoder.colortype().map_err(failed)?;
        let wide = usize::from(color.num_samples()) * usize::from(color.bit_depth()).div_ceil(8);
        sum += width * height * wide;
        Ok(())
    })?;
    Ok(sum)
}

/// Calls `each` at every page that is no smaller copy of another, with its size. All pages together are held against
/// the limit of one image.
fn walk(
    bytes: &[u8],
    limits: &Limits,
    mut each: impl FnMut(&mut Reader, (usize, usize)) -> Result<()>,
) -> Result<()> {
    let mut decoder = Decoder::new(Cursor::new(bytes)).map_err(failed)?.with_limits(memory_limit(limits));
    let (mut pages, mut pixels) = (0, 0usize);
    loop {
        let subfile = decoder.find_tag_unsigned::<u32>(Tag::NewSubfileType).ok().flatten().unwrap_or(0);
        if subfile & 1 == 0 || pages == 0 {
            let (width, height) = decoder.dimensions().map_err(failed)?;
            let size = (width as usize, height as usize);
            check_shape(Shape::image(1, size.1, size.0), limits)?;
            pages += 1;
            pixels = pixels.saturating_add(size.0.saturating_mul(size.1));
            within("image pages", pages, limits.samples)?;
            within("image pixels of all pages", pixels, limits.image_pixels)?;
            each(&mut decoder, size)?;
        }
        if !decoder.more_images() {
            return Ok(());
        }
        decoder.next_image().map_err(failed)?;
    }
}

fn read_page(decoder: &mut Reader, size: (usize, usize)) -> Result<Picture> {
    let color = decoder.colortype().map_err(failed)?;
    let layout = match color {
        ColorType::Gray(_) => (1, false),
        ColorType::GrayA(_) => (1, true),
        ColorType::RGB(_) => (3, false),
        ColorType::RGBA(_) => (3, true),
        // The crate knows gray with opacity only as two bands of something.
        ColorType::Multiband { num_samples: 2, .. } if has_opacity(decoder) => (1, true),
        other => return Err(refused(&format!("{other:?}"))),
    };
    let page = read::Page {
        format: Format::Tiff,
        icc: decoder.get_tag_u8_vec(Tag::IccProfile).ok(),
        orientation: decoder.find_tag_unsigned::<u8>(Tag::Orientation).ok().flatten().unwrap_or(1),
        resolution: resolution(decoder),
    };
    let mut buffer = DecodingResult::U8(Vec::new());
    let order = decoder.read_image_to_buffer(&mut buffer).map_err(failed)?;
    finish(page, buffer, color, &order, layout, size)
}

fn resolution(decoder: &mut Reader) -> Option<Resolution> {
    let unit = match decoder.find_tag_unsigned::<u16>(Tag::ResolutionUnit).ok().flatten() {
        Some(1) => Unit::Ratio,
        Some(3) => Unit::Centimetre,
        _ => Unit::Inch,
    };
    let mut number = |tag| match decoder.get_tag(tag).ok()? {
        Value::Rational(n, d) => Some(f64::from(n) / f64::from(d)),
        _ => None,
    };
    Resolution::new(number(Tag::XResolution)?, number(Tag::YResolution)?, unit)
}

/// Whether the first extra sample is opacity, premultiplied or not.
fn has_opacity(decoder: &mut Reader) -> bool {
    let extra = decoder.find_tag_unsigned_vec::<u16>(Tag::ExtraSamples).ok().flatten();
    matches!(extra.as_deref(), Some([1 | 2, ..]))
}

fn finish(
    page: read::Page,
    mut buffer: DecodingResult,
    color: ColorType,
    order: &BufferLayoutPreference,
    layout: (usize, bool),
    size: (usize, usize),
) -> Result<Picture> {
    if buffer.as_buffer(0).as_bytes().len() < order.complete_len {
        return Err(refused("planes too large to be decoded at once"));
    }
    let planar = order.planes > 1;
    match buffer {
        DecodingResult::U8(v) if color.bit_depth() == 1 && layout == (1, false) => {
            page.finish(bits(&v, size))
        }
        DecodingResult::U8(v) if color.bit_depth() == 8 => page.finish(arrange(v, planar, layout, size)?),
        DecodingResult::U16(v) if color.bit_depth() == 16 => page.finish(arrange(v, planar, layout, size)?),
        DecodingResult::F32(v) => page.finish(arrange(v, planar, layout, size)?),
        DecodingResult::F16(v) => {
            let v: Vec<f32> = v.into_iter().map(half::f16::to_f32).collect();
            page.finish(arrange(v, planar, layout, size)?)
        }
        DecodingResult::F64(v) => {
            let v: Vec<f32> = v.into_iter().map(|v| v as f32).collect();
            page.finish(arrange(v, planar, layout, size)?)
        }
        DecodingResult::U8(_) | DecodingResult::U16(_) | DecodingResult::U32(_) | DecodingResult::U64(_) => {
            Err(refused(&format!("{} bits of unsigned integers", color.bit_depth())))
        }
        _ => Err(refused(&format!("{} bits of signed integers", color.bit_depth()))),
    }
}

/// Values pixel by pixel, or plane by plane if `planar`, as planes.
fn arrange<T: Number>(
    mut values: Vec<T>,
    planar: bool,
    layout: (usize, bool),
    size: (usize, usize),
) -> Result<Planes<T>> {
    let pixels = size.0 * size.1;
    let stride = layout.0 + usize::from(layout.1);
    if values.len() != pixels * stride {
        let reason = format!("{} values for {}x{} pixels of {stride}", values.len(), size.0, size.1);
        return Err(Error::malformed(Format::Tiff.media_type(), reason));
    }
    if !planar {
        return Ok(Planes::split(values, layout, size));
    }
    let alpha = layout.1.then(|| values.split_off(pixels * layout.0));
    Ok(Planes { channels: layout.0, height: size.1, width: size.0, color: values, alpha })
}

/// Rows of bits, each padded to a whole byte, highest bit first.
fn bits(bytes: &[u8], (width, height): (usize, usize)) -> Planes<u8> {
    let rows = bytes.chunks(width.div_ceil(8)).take(height);
    let bit = |row: &[u8], x: usize| row.get(x / 8).map_or(0, |byte| 255 * (byte >> (7 - x % 8) & 1));
    let color = rows.flat_map(|row| (0..width).map(move |x| bit(row, x))).collect();
    Planes { channels: 1, height, width, color, alpha: None }
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

/// The pages as an uncompressed TIFF of any depth. Float is written as it is, unclamped.
pub(super) fn write(pages: &[write::Page]) -> Result<Vec<u8>> {
    use colortype::{Gray8, Gray16, Gray32Float, RGB8, RGB16, RGB32Float};
    let bytes = |page: &write::Page| page.sample.shape().numbers() * page.depth.bytes() + 4096;
    let mut file = Cursor::new(Vec::with_capacity(pages.iter().map(bytes).sum()));
    let written = TiffEncoder::new(&mut file).and_then(|mut encoder| {
        pages.iter().try_for_each(|page| match (page.depth, page.channels) {
            (Depth::U8, 1) => write_page::<Gray8, u8>(&mut encoder, page),
            (Depth::U8, _) => write_page::<RGB8, u8>(&mut encoder, page),
            (Depth::U16, 1) => write_page::<Gray16, u16>(&mut encoder, page),
            (Depth::U16, _) => write_page::<RGB16, u16>(&mut encoder, page),
            (Depth::F32, 1) => write_page::<Gray32Float, f32>(&mut encoder, page),
            (Depth::F32, _) => write_page::<RGB32Float, f32>(&mut encoder, page),
        })
    });
    written.map_err(|e| {
        Error::unsupported(format!("TIFF cannot hold this image: {}", one_line(&e.to_string())))
    })?;
    Ok(file.into_inner())
}

fn write_page<C: colortype::ColorType<Inner = T>, T: Number>(
    encoder: &mut TiffEncoder<&mut Cursor<Vec<u8>>>,
    page: &write::Page,
) -> std::result::Result<(), TiffError>
where
    [T]: TiffValue,
{
    let mut image = encoder.new_image::<C>(page.width, page.height)?;
    if page.alpha.is_some() {
        image.extra_samples(&[ExtraSamples::UnassociatedAlpha])?;
    }
    if let Some(profile) = page.icc {
        image.encoder().write_tag(Tag::IccProfile, profile)?;
    }
    if let Some(resolution) = page.resolution {
        put_resolution(&mut image, resolution);
    }
    image.write_data(&join::<T>(page.sample, page.alpha))
}

fn put_resolution<W, C, K>(image: &mut ImageEncoder<W, C, K>, resolution: Resolution)
where
    W: std::io::Write + std::io::Seek,
    C: colortype::ColorType,
    K: tiff::encoder::TiffKind,
{
    // Thousandths, which a scanner's whole numbers survive.
    let rational = |v: f64| Rational { n: (v * 1000.0).round().min(f64::from(u32::MAX)) as u32, d: 1000 };
    image.resolution_unit(match resolution.unit {
        Unit::Ratio => ResolutionUnit::None,
        Unit::Inch => ResolutionUnit::Inch,
        Unit::Centimetre => ResolutionUnit::Centimeter,
    });
    image.x_resolution(rational(resolution.x));
    image.y_resolution(rational(resolution.y));
}

#[cfg(test)]
mod tests {
    use super::super::testing::example;
    use super::super::{Carrier, write_images};
    use super::*;
    use crate::sample::Sample;

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

    fn read_one(bytes: &[u8]) -> Result<Picture> {
        read(bytes, &Limits::default()).map(|mut pages| pages.remove(0))
    }

    #[test]
    fn every_page_of_a_stack_is_read_and_written_and_thumbnails_are_left_out() {
        let stack = pages::<colortype::Gray16>(&[&[1, 2], &[3, 4], &[5, 6]], 2, false);
        let read_again = |bytes: &[u8]| read(bytes, &Limits::default()).unwrap();
        let pictures = read_again(&stack);
        let values: Vec<_> = pictures.iter().map(|p| u16::of(&p.sample).unwrap().to_vec()).collect();
        assert_eq!(values, [[1, 2], [3, 4], [5, 6]]);
        let whole: Vec<_> = pictures.iter().map(|p| (&p.sample, &p.carrier)).collect();
        assert_eq!(read_again(&write_images(&whole, Format::Tiff, None).unwrap()), pictures);
        let error = write_images(&whole, Format::Png, None).unwrap_err();
        assert!(matches!(error, Error::Unsupported { .. }), "{error}");
        let error = super::super::read_image(&stack, None, &Limits::default()).unwrap_err();
        assert!(error.to_string().contains("3 pages"), "{error}");
        let thumbnail = pages::<colortype::Gray8>(&[&[1, 2], &[3, 4]], 2, true);
        assert_eq!(read_again(&thumbnail).len(), 1);
        assert_eq!(decoded_bytes(&stack, &Limits::default()), Ok(12));
    }

    #[test]
    fn the_pages_of_a_stack_are_counted_together() {
        let stack = pages::<colortype::Gray8>(&[&[1, 2], &[3, 4], &[5, 6]], 2, false);
        let over = |limits: Limits| matches!(read(&stack, &limits), Err(Error::TooLarge { .. }));
        assert!(over(Limits { image_pixels: 5, ..Limits::default() }));
        assert!(over(Limits { samples: 2, ..Limits::default() }));
        assert!(!over(Limits { image_pixels: 6, samples: 3, ..Limits::default() }));
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
        let picture = read_one(&pages::<colortype::Gray64Float>(&[&[0.5, -2.0]], 2, false)).unwrap();
        assert_eq!((picture.sample.data(), picture.carrier.depth), (&[0.5, -2.0][..], Depth::F32));
    }

    #[test]
    fn a_float_that_is_not_finite_is_refused() {
        let file = pages::<colortype::Gray32Float>(&[&[0.5, f32::NAN]], 2, false);
        let result = super::super::read_image(&file, None, &Limits::default());
        assert!(matches!(result, Err(Error::NonFinite { index: 1, .. })), "{result:?}");
    }

    #[test]
    fn gray_float_with_opacity_survives() {
        let alpha = Sample::new(Shape::image(1, 1, 2), vec![0.25, 1.5]).ok();
        let carrier = Carrier { alpha: alpha.clone(), ..Carrier::plain(Format::Tiff, Depth::F32) };
        let file = write_images(&[(&example(1, 1, 2), &carrier)], Format::Tiff, None).unwrap();
        let kept = read_one(&file).unwrap().carrier;
        assert_eq!((kept.alpha, kept.depth), (alpha, Depth::F32));
    }

    #[test]
    fn rows_of_bits_are_padded_to_bytes() {
        let planes = bits(&[0b1010_0000, 0b0100_0000], (3, 2));
        assert_eq!(planes.color, [255, 0, 255, 0, 255, 0]);
    }

    #[test]
    fn planes_after_each_other_are_no_pixels_after_each_other() {
        let planes = arrange(vec![1u8, 2, 3, 4, 5, 6], true, (3, false), (2, 1)).ok().unwrap();
        assert_eq!(planes.color, [1, 2, 3, 4, 5, 6]);
        assert!(arrange(vec![1u8], true, (3, false), (2, 1)).is_err());
    }
}
