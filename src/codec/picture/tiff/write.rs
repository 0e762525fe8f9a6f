//! Encoding of TIFF files: pages of any depth, with their original compression and tags.

use std::io::Cursor;

use tiff::encoder::compression::DeflateLevel;
use tiff::encoder::{
    Compression, DirectoryEncoder, Rational, TiffEncoder, TiffKindStandard, TiffValue, colortype,
};
use tiff::tags::{ExtraSamples, Predictor, ResolutionUnit, Tag as Id};
use tiff::{TiffError, TiffResult};

use super::super::super::{Error, Result};
use super::super::plane::{join, join_as};
use super::super::read::one_line;
use super::super::resolution::{Resolution, Unit};
use super::super::tag::Tag;
use super::super::{Origin, write};
use super::{Numbers, Packing, fax};
use crate::sample::Depth;

type File<'a> = &'a mut Cursor<Vec<u8>>;

/// Encodes the pages as a TIFF. Float is written unclamped; integers are rounded half away from zero and clamped to
/// their range.
pub(in crate::codec::picture) fn write(pages: &[write::Page]) -> Result<Vec<u8>> {
    let bytes = |page: &write::Page| page.sample.shape().numbers() * page.depth.bytes() + 4096;
    let mut file = Cursor::new(Vec::with_capacity(pages.iter().map(bytes).sum()));
    let written = TiffEncoder::new(&mut file).and_then(|mut encoder| {
        for page in pages {
            encoder = write_one(encoder, page)?;
        }
        Ok(())
    });
    written.map_err(|e| {
        Error::unsupported(format!("TIFF cannot hold this image: {}", one_line(&e.to_string())))
    })?;
    Ok(file.into_inner())
}

fn write_one<'a>(encoder: TiffEncoder<File<'a>>, page: &write::Page) -> TiffResult<TiffEncoder<File<'a>>> {
    use colortype::{
        Gray8, Gray16, Gray32, Gray32Float, Gray64, Gray64Float, GrayI8, GrayI16, GrayI32, GrayI64, RGB8,
        RGB16, RGB32Float, RGB64Float,
    };
    let packing = match page.origin {
        Origin::Tiff { packing, .. } => *packing,
        Origin::Plain | Origin::Png(_) | Origin::Jpeg(_) => Packing::None,
    };
    let mut encoder = encoder.with_compression(match packing {
        Packing::None => Compression::Uncompressed,
        Packing::Lzw => Compression::Lzw,
        Packing::Deflate => Compression::Deflate(DeflateLevel::Balanced),
        Packing::PackBits => Compression::Packbits,
    });
    let is_float = page.depth == Depth::F32 && matches!(page.numbers, Numbers::Plain | Numbers::F64);
    // Differences compress better for integers.
    let is_predicted = matches!(packing, Packing::Lzw | Packing::Deflate) && !is_float;
    encoder = encoder.with_predictor(if is_predicted { Predictor::Horizontal } else { Predictor::None });
    let of = |v: f32| f64::from(v).round();
    let (s, a, e) = (page.sample, page.alpha, &mut encoder);
    match (page.numbers, page.depth, page.channels) {
        (Numbers::Bit, ..) => write_bits(e, page),
        (Numbers::I8, ..) => put::<GrayI8, i8>(e, page, &join_as(s, a, |v| of(v) as i8)),
        (Numbers::I16, ..) => put::<GrayI16, i16>(e, page, &join_as(s, a, |v| of(v) as i16)),
        (Numbers::I32, ..) => put::<GrayI32, i32>(e, page, &join_as(s, a, |v| of(v) as i32)),
        (Numbers::I64, ..) => put::<GrayI64, i64>(e, page, &join_as(s, a, |v| of(v) as i64)),
        (Numbers::U32, ..) => put::<Gray32, u32>(e, page, &join_as(s, a, |v| of(v) as u32)),
        (Numbers::U64, ..) => put::<Gray64, u64>(e, page, &join_as(s, a, |v| of(v) as u64)),
        (Numbers::F64, _, 1) => put::<Gray64Float, f64>(e, page, &join_as(s, a, f64::from)),
        (Numbers::F64, ..) => put::<RGB64Float, f64>(e, page, &join_as(s, a, f64::from)),
        (Numbers::Plain, Depth::U8, 1) => put::<Gray8, u8>(e, page, &join(s, a)),
        (Numbers::Plain, Depth::U8, _) => put::<RGB8, u8>(e, page, &join(s, a)),
        (Numbers::Plain, Depth::U16, 1) => put::<Gray16, u16>(e, page, &join(s, a)),
        (Numbers::Plain, Depth::U16, _) => put::<RGB16, u16>(e, page, &join(s, a)),
        (Numbers::Plain, Depth::F32, 1) => put::<Gray32Float, f32>(e, page, &join(s, a)),
        (Numbers::Plain, Depth::F32, _) => put::<RGB32Float, f32>(e, page, &join(s, a)),
    }?;
    Ok(encoder)
}

/// Writes one page of whole bytes.
fn put<C: colortype::ColorType<Inner = T>, T>(
    encoder: &mut TiffEncoder<File>,
    page: &write::Page,
    pixels: &[T],
) -> std::result::Result<(), TiffError>
where
    [T]: TiffValue,
{
    let tags = page.tags();
    let below = Tag::write_below(&tags, encoder)?;
    let mut image = encoder.new_image::<C>(page.width, page.height)?;
    if page.alpha.is_some() {
        image.extra_samples(&[match page.is_premultiplied {
            true => ExtraSamples::AssociatedAlpha,
            false => ExtraSamples::UnassociatedAlpha,
        }])?;
    }
    put_rest(image.encoder(), page, &tags, &below)?;
    image.write_data(pixels)
}

/// Writes one page of bits: Group 4, as faxes and scanners do, if its width fits 16 bits, else uncompressed.
fn write_bits(encoder: &mut TiffEncoder<File>, page: &write::Page) -> TiffResult<()> {
    let tags = page.tags();
    let below = Tag::write_below(&tags, encoder)?;
    let white = page.bits();
    let (code, strip) = match u16::try_from(page.width) {
        Ok(width) => {
            let black: Vec<bool> = white.iter().map(|white| !white).collect();
            (4u16, fax::group4(&black, width))
        }
        Err(_) => (1, super::super::png::packed(&white, page.width as usize)),
    };
    let mut directory = encoder.image_directory()?;
    let offset = directory.write_data(strip.as_slice())?;
    directory.write_tag(Id::ImageWidth, page.width)?;
    directory.write_tag(Id::ImageLength, page.height)?;
    directory.write_tag(Id::BitsPerSample, 1u16)?;
    directory.write_tag(Id::SamplesPerPixel, 1u16)?;
    directory.write_tag(Id::Compression, code)?;
    // In Group 4, black is 1.
    directory.write_tag(Id::PhotometricInterpretation, if code == 4 { 0u16 } else { 1 })?;
    directory.write_tag(Id::RowsPerStrip, page.height)?;
    directory.write_tag(Id::StripOffsets, u32::try_from(offset)?)?;
    directory.write_tag(Id::StripByteCounts, u32::try_from(strip.len())?)?;
    put_rest(&mut directory, page, &tags, &below)?;
    directory.finish()
}

/// Writes profile, resolution and tags.
fn put_rest(
    directory: &mut DirectoryEncoder<File, TiffKindStandard>,
    page: &write::Page,
    tags: &[Tag],
    below: &[(u16, u32)],
) -> TiffResult<()> {
    if let Some(profile) = page.icc {
        directory.write_tag(Id::IccProfile, profile)?;
    }
    page.resolution.map_or(Ok(()), |resolution| put_resolution(directory, resolution))?;
    // Tags are written last, so that a resolution from a tag replaces the rounded one and is kept exactly.
    Tag::write(tags, below, directory)
}

fn put_resolution(
    directory: &mut DirectoryEncoder<File, TiffKindStandard>,
    resolution: Resolution,
) -> TiffResult<()> {
    // Thousandths represent integer resolutions of scanners exactly; microscopes state more than a million pixels per
    // centimetre.
    let rational = |v: f64| match v < 4e6 {
        true => Rational { n: (v * 1000.0).round() as u32, d: 1000 },
        false => Rational { n: v.round().min(f64::from(u32::MAX)) as u32, d: 1 },
    };
    let unit = match resolution.unit {
        Unit::Ratio => ResolutionUnit::None,
        Unit::Inch => ResolutionUnit::Inch,
        Unit::Centimetre => ResolutionUnit::Centimeter,
    };
    directory.write_tag(Id::ResolutionUnit, unit.to_u16())?;
    directory.write_tag(Id::XResolution, rational(resolution.x))?;
    directory.write_tag(Id::YResolution, rational(resolution.y))
}
