//! Tests of TIFF reading and writing.

use std::io::Cursor;

use tiff::encoder::{TiffEncoder, TiffValue, colortype};
use tiff::tags::{ExtraSamples, Tag as Id};

use super::super::super::{Error, Format, Result};
use super::super::testing::example;
use super::super::{Carrier, Picture, write_images};
use super::*;
use crate::limits::Limits;
use crate::sample::{Depth, Number, Sample, Shape};

fn pages<C: colortype::ColorType>(pages: &[&[C::Inner]], width: u32, thumbnails: bool) -> Vec<u8>
where
    [C::Inner]: TiffValue,
{
    let mut file = Cursor::new(Vec::new());
    let mut encoder = TiffEncoder::new(&mut file).unwrap();
    for (number, page) in pages.iter().enumerate() {
        let mut image = encoder.new_image::<C>(width, 1).unwrap();
        if number > 0 && thumbnails {
            image.encoder().write_tag(Id::NewSubfileType, 1u32).unwrap();
        }
        image.write_data(page).unwrap();
    }
    file.into_inner()
}

/// Builds a page with uncompressed bytes and tags of one number each.
fn stored(strip: &[u8], tags: &[(u16, u32)], map: Option<&[u16]>, text: Option<&str>) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    let mut encoder = TiffEncoder::new(&mut file).unwrap();
    let mut directory = encoder.image_directory().unwrap();
    let offset = directory.write_data(strip).unwrap();
    directory.write_tag(Id::StripOffsets, offset as u32).unwrap();
    directory.write_tag(Id::StripByteCounts, strip.len() as u32).unwrap();
    for (tag, value) in tags {
        directory.write_tag(Id::from_u16_exhaustive(*tag), *value).unwrap();
    }
    map.into_iter().for_each(|map| directory.write_tag(Id::ColorMap, map).unwrap());
    text.into_iter().for_each(|text| directory.write_tag(Id::ImageDescription, text).unwrap());
    directory.finish().unwrap();
    file.into_inner()
}

fn read_all(bytes: &[u8]) -> Result<Vec<Picture>> {
    read(bytes, &Limits::default())
}

fn read_one(bytes: &[u8]) -> Result<Picture> {
    read_all(bytes).map(|mut pages| pages.remove(0))
}

fn bytes_of(picture: &Picture) -> Vec<u8> {
    u8::of(&picture.sample).unwrap().to_vec()
}

#[test]
fn every_page_of_a_stack_is_read_and_written_and_thumbnails_are_left_out() {
    let stack = pages::<colortype::Gray16>(&[&[1, 2], &[3, 4], &[5, 6]], 2, false);
    let pictures = read_all(&stack).unwrap();
    let values: Vec<_> = pictures.iter().map(|p| u16::of(&p.sample).unwrap().to_vec()).collect();
    assert_eq!(values, [[1, 2], [3, 4], [5, 6]]);
    let whole: Vec<_> = pictures.iter().map(|p| (&p.sample, &p.carrier)).collect();
    assert_eq!(read_all(&write_images(&whole, Format::Tiff, None).unwrap()).unwrap(), pictures);
    let error = write_images(&whole, Format::Png, None).unwrap_err();
    assert!(matches!(error, Error::Unsupported { .. }), "{error}");
    let error = super::super::read_image(&stack, None, &Limits::default()).unwrap_err();
    assert!(error.to_string().contains("3 pages"), "{error}");
    let thumbnail = pages::<colortype::Gray8>(&[&[1, 2], &[3, 4]], 2, true);
    assert_eq!(read_all(&thumbnail).unwrap().len(), 1);
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
fn signed_and_wide_numbers_are_read_as_they_are_and_written_alike() {
    fn check<C: colortype::ColorType>(values: &[C::Inner], expected: &[f32], numbers: Numbers)
    where
        [C::Inner]: TiffValue,
    {
        let picture = read_one(&pages::<C>(&[values], values.len() as u32, false)).unwrap();
        assert_eq!((picture.sample.data(), picture.carrier.numbers), (expected, numbers));
        let again = write_images(&[(&picture.sample, &picture.carrier)], Format::Tiff, None).unwrap();
        let again = read_one(&again).unwrap();
        assert_eq!((again.sample, again.carrier.numbers), (picture.sample, numbers));
    }
    check::<colortype::GrayI8>(&[-128, 127], &[-128.0, 127.0], Numbers::I8);
    check::<colortype::GrayI16>(&[-1000, 3000], &[-1000.0, 3000.0], Numbers::I16);
    check::<colortype::GrayI32>(&[-70_000, 1 << 24], &[-70_000.0, 16_777_216.0], Numbers::I32);
    check::<colortype::Gray32>(&[0, 70_000], &[0.0, 70_000.0], Numbers::U32);
    check::<colortype::Gray64Float>(&[0.5, -2.0], &[0.5, -2.0], Numbers::F64);
    let error = read_one(&pages::<colortype::Gray32>(&[&[(1 << 24) + 1]], 1, false)).unwrap_err();
    assert!(matches!(&error, Error::Inexact { value } if value == "16777217"), "{error}");
}

#[test]
fn what_is_no_picture_of_light_is_refused_by_name() {
    let raw = [(256, 2), (257, 1), (258, 8), (262, 32803), (277, 1)];
    let dng = [(256, 2), (257, 1), (258, 8), (262, 1), (277, 1), (50706, 1)];
    let spare = [(256, 1), (257, 1), (258, 8), (262, 2), (277, 4), (338, 0)];
    let bands = [(256, 1), (257, 1), (258, 8), (262, 1), (277, 4)];
    for (file, name) in [
        (pages::<colortype::CMYK8>(&[&[1, 2, 3, 4]], 1, false), "CMYK"),
        (stored(&[1, 2], &raw, None, None), "camera raw"),
        (stored(&[1, 2], &dng, None, None), "camera raw"),
        (stored(&[1, 2, 3, 4], &spare, None, None), "4 bands (RGB and 1"),
        (stored(&[1, 2, 3, 4], &bands, None, None), "4 bands (gray and 3"),
    ] {
        let error = read_one(&file).err().unwrap();
        assert!(matches!(error, Error::Unsupported { .. }) && error.to_string().contains(name), "{error}");
    }
}

#[test]
fn images_behind_one_directory_are_all_read_or_the_file_is_refused() {
    let plain = [(256, 2), (257, 1), (258, 8), (262, 1), (277, 1), (259, 1)];
    let file = stored(&[1, 2, 3, 4, 5, 6], &plain, None, Some("ImageJ=1.53\nimages=3\nslices=3\n"));
    let all: Vec<_> = read_all(&file).unwrap().iter().map(bytes_of).collect();
    assert_eq!(all, [[1, 2], [3, 4], [5, 6]]);
    assert_eq!(decoded_bytes(&file, &Limits::default()), Ok(6));
    let few = Limits { samples: 2, ..Limits::default() };
    assert!(matches!(read(&file, &few), Err(Error::TooLarge { .. })));
    let absurd = stored(&[1, 2], &plain, None, Some("ImageJ=1.53\nimages=200\n"));
    assert!(read_all(&absurd).unwrap_err().to_string().contains("200 images"));
    let shaped = stored(&[1, 2, 3, 4], &plain, None, Some("{\"shape\": [2, 1, 2], \"truncated\": true}"));
    assert_eq!(read_all(&shaped).unwrap().len(), 2);
}

#[test]
fn palettes_and_odd_depths_are_expanded() {
    let map: Vec<u16> = (0..3).flat_map(|c| (0..4).map(move |i| if i == c { 65535 } else { 0 })).collect();
    let two_bits = [(256, 4), (257, 1), (258, 2), (262, 3), (277, 1)];
    let picture = read_one(&stored(&[0b0001_1011], &two_bits, Some(&map), None)).unwrap();
    assert_eq!(bytes_of(&picture), [255, 0, 0, 0, 0, 255, 0, 0, 0, 0, 255, 0]);
    let four = [(256, 3), (257, 2), (258, 4), (262, 0), (277, 1)];
    let picture = read_one(&stored(&[0x0f, 0x10, 0x20, 0x30], &four, None, None)).unwrap();
    assert_eq!(bytes_of(&picture), [255, 0, 238, 221, 255, 204]);
    let twelve = [(256, 2), (257, 1), (258, 12), (262, 1), (277, 1)];
    let picture = read_one(&stored(&[0xff, 0xf0, 0x01], &twelve, None, None)).unwrap();
    assert_eq!(u16::of(&picture.sample).unwrap(), [65535, 16]);
}

#[test]
fn one_bit_comes_back_as_one_bit() {
    let one = [(256, 10), (257, 2), (258, 1), (262, 1), (277, 1)];
    let picture = read_one(&stored(&[0b1010_0000, 0b0100_0000, 0, 0xff], &one, None, None)).unwrap();
    let values = bytes_of(&picture);
    assert_eq!(values[..10], [255, 0, 255, 0, 0, 0, 0, 0, 0, 255]);
    assert_eq!(picture.carrier.numbers, Numbers::Bit);
    for format in [Format::Tiff, Format::Png, Format::Pnm] {
        let file = write_images(&[(&picture.sample, &picture.carrier)], format, None).unwrap();
        let again = super::super::read_image(&file, None, &Limits::default()).unwrap();
        assert_eq!((bytes_of(&again), again.carrier.numbers), (values.clone(), Numbers::Bit), "{format}");
        let gray = write_images(&[(&picture.sample, &picture.carrier)], format, Some(Depth::U8)).unwrap();
        let gray = super::super::read_image(&gray, None, &Limits::default()).unwrap();
        assert_eq!(gray.carrier.numbers, Numbers::Plain, "{format}");
    }
}

#[test]
fn luma_and_chroma_become_colours() {
    let file = pages::<colortype::YCbCr8>(&[&[255, 128, 128, 76, 85, 255]], 2, false);
    let values = bytes_of(&read_one(&file).unwrap());
    assert_eq!(values, [255, 254, 255, 0, 255, 0]);
}

#[test]
fn opacity_keeps_its_meaning() {
    let mut file = Cursor::new(Vec::new());
    let mut encoder = TiffEncoder::new(&mut file).unwrap();
    let mut image = encoder.new_image::<colortype::RGB8>(1, 1).unwrap();
    image.extra_samples(&[ExtraSamples::AssociatedAlpha]).unwrap();
    image.write_data(&[64, 0, 32, 128]).unwrap();
    let picture = read_one(&file.into_inner()).unwrap();
    assert!(picture.carrier.is_premultiplied);
    let write = |format| write_images(&[(&picture.sample, &picture.carrier)], format, None).unwrap();
    let again = read_one(&write(Format::Tiff)).unwrap();
    assert_eq!((&again.sample, again.carrier.is_premultiplied), (&picture.sample, true));
    let png = super::super::read_image(&write(Format::Png), None, &Limits::default()).unwrap();
    assert_eq!(bytes_of(&png), [128, 0, 64]);
}

#[test]
fn tags_and_packing_go_from_file_to_file() {
    let mut file = Cursor::new(Vec::new());
    let mut encoder = TiffEncoder::new(&mut file).unwrap();
    encoder = encoder.with_compression(tiff::encoder::Compression::Lzw);
    let mut image = encoder.new_image::<colortype::Gray8>(64, 64).unwrap();
    image.encoder().write_tag(Id::ModelPixelScaleTag, &[0.5f64, 0.25, 0.0][..]).unwrap();
    image.encoder().write_tag(Id::ImageDescription, "a note").unwrap();
    image.write_data(&[7; 64 * 64]).unwrap();
    let lzw = file.into_inner();
    let picture = read_one(&lzw).unwrap();
    let again = write_images(&[(&picture.sample, &picture.carrier)], Format::Tiff, None).unwrap();
    assert!(again.len() < 1000, "{} bytes", again.len());
    let mut decoder = tiff::decoder::Decoder::new(Cursor::new(&again)).unwrap();
    assert_eq!(decoder.get_tag_f64_vec(Id::ModelPixelScaleTag).unwrap(), [0.5, 0.25, 0.0]);
    assert_eq!(decoder.get_tag_ascii_string(Id::ImageDescription).unwrap(), "a note");
    assert_eq!(read_one(&again).unwrap(), picture);
}

#[test]
fn a_float_that_is_not_finite_is_missing_and_has_its_place_told() {
    let file = pages::<colortype::Gray32Float>(&[&[0.5, f32::NAN, f32::INFINITY]], 3, false);
    let picture = super::super::read_image(&file, None, &Limits::default()).unwrap();
    let Some(Error::NonFinite { place, count, .. }) = &picture.gap else { panic!("{:?}", picture.gap) };
    assert_eq!((place.as_str(), *count), ("row 0, column 1", 2));
    assert_eq!((picture.sample.data(), picture.sample.missing_count()), (&[0.5; 3][..], 2));
    let again = write_images(&[(&picture.sample, &picture.carrier)], Format::Tiff, None).unwrap();
    let again = super::super::read_image(&again, None, &Limits::default()).unwrap();
    assert_eq!(again.sample, picture.sample);
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
fn a_damaged_file_never_panics() {
    let map: Vec<u16> = (0..12).map(|i| i * 5000).collect();
    let two_bits = [(256, 4), (257, 1), (258, 2), (262, 3), (277, 1)];
    let one = [(256, 10), (257, 2), (258, 1), (262, 0), (277, 1), (259, 2)];
    let plain = [(256, 2), (257, 1), (258, 8), (262, 1), (277, 1), (259, 1)];
    for whole in [
        stored(&[0b0001_1011], &two_bits, Some(&map), None),
        stored(&[0b0111_1010, 0b0000_0000, 0b1001_1000], &one, None, None),
        stored(&[1, 2, 3, 4], &plain, None, Some("ImageJ=1.53\nimages=2\n")),
    ] {
        for at in 0..whole.len() {
            let _ = read_all(&whole[..at]);
            for flip in [1, 0x40, 0xff] {
                let mut bytes = whole.clone();
                bytes[at] ^= flip;
                let _ = read_all(&bytes);
            }
        }
    }
}
