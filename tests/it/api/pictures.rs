//! Image files keep what they carry: depth, pages, resolution, size limits by name.

use std::io::Cursor;

use image::ImageFormat;
use tiff::encoder::{Rational, TiffEncoder, colortype};
use tiff::tags::ResolutionUnit;

use crate::support::*;

/// A TIFF of 16-bit pages at 300 dpi.
fn stack(pages: u32) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    let mut encoder = TiffEncoder::new(&mut file).unwrap();
    for page in 0..pages {
        let mut image = encoder.new_image::<colortype::Gray16>(24, 16).unwrap();
        image.resolution(ResolutionUnit::Inch, Rational { n: 300, d: 1 });
        let values: Vec<u16> = (0..24 * 16).map(|i| (i * 97 + page * 1000) as u16).collect();
        image.write_data(&values).unwrap();
    }
    file.into_inner()
}

#[test]
fn every_page_of_a_tiff_is_denoised_at_its_depth() {
    let service = Service::start();
    let response = service.post("/denoise", "image/tiff", stack(3));
    assert_eq!(header(&response, "x-noise-sigma").split(", ").count(), 3);
    let bytes = ok(response);
    let mut decoder = tiff::decoder::Decoder::new(Cursor::new(&bytes)).unwrap();
    let mut pages = Vec::new();
    loop {
        assert_eq!(decoder.colortype().unwrap(), tiff::ColorType::Gray(16));
        let resolution = decoder.get_tag(tiff::tags::Tag::XResolution).unwrap();
        let tiff::decoder::ifd::Value::Rational(n, d) = resolution else { panic!("{resolution:?}") };
        assert_eq!(f64::from(n) / f64::from(d), 300.0);
        let tiff::decoder::DecodingResult::U16(values) = decoder.read_image().unwrap() else { panic!() };
        pages.push(values);
        if !decoder.more_images() {
            break;
        }
        decoder.next_image().unwrap();
    }
    assert_eq!(pages.len(), 3);
    assert!(pages[0] != pages[1] && pages[1] != pages[2]);
    // Each page is what it would be alone.
    let alone = ok(service.post("/denoise", "image/tiff", stack(1)));
    let mut decoder = tiff::decoder::Decoder::new(Cursor::new(&alone)).unwrap();
    let tiff::decoder::DecodingResult::U16(values) = decoder.read_image().unwrap() else { panic!() };
    assert_eq!(values, pages[0]);
    refused(service.post("/denoise?format=png", "image/tiff", stack(3)), "not_acceptable");
}

#[test]
fn sixteen_bits_stay_and_are_not_eight_widened() {
    let service = Service::start();
    let image = image::ImageBuffer::from_fn(30, 20, |x, y| image::Luma([(x * 1999 + y * 37) as u16]));
    let png = file(&image.into(), ImageFormat::Png);
    let clean = read(&ok(service.post("/denoise", "image/png", png)), ImageFormat::Png).into_luma16();
    assert!(clean.iter().any(|v| v % 257 != 0));
}

#[test]
fn a_size_that_no_one_takes_is_refused_by_name() {
    let service = Service::start();
    let mut png = png(8, 8);
    png[16..24].copy_from_slice(&[0x80, 0, 0, 0, 0x80, 0, 0, 0]);
    let problem = refused(service.post("/denoise", "image/png", png), "image_too_large");
    assert_eq!(problem["actual"], 1u64 << 31, "{problem}");
}

#[test]
fn jpeg_stays_jpeg_and_gray_stays_gray() {
    let service = Service::start();
    let jpeg = file(&gray(40, 30), ImageFormat::Jpeg);
    let response = service.post("/denoise", "image/jpeg", jpeg);
    assert_eq!(header(&response, "content-type"), "image/jpeg");
    assert_eq!(read(&ok(response), ImageFormat::Jpeg).color(), image::ColorType::L8);
}

#[test]
fn the_noise_of_each_channel_is_told() {
    let service = Service::start();
    let response = service.post("/denoise", "image/png", file(&color(64, 64), ImageFormat::Png));
    let sigmas: Vec<f64> =
        header(&response, "x-noise-sigmas").split(' ').map(|v| v.parse().unwrap()).collect();
    let mean: f64 = header(&response, "x-noise-sigma").parse().unwrap();
    assert_eq!(sigmas.len(), 3);
    assert!((sigmas.iter().sum::<f64>() / 3.0 - mean).abs() < 0.01, "{sigmas:?} {mean}");
}

/// 8x8 pixels of one colour in four inks.
const CMYK_JPEG: &str = "/9j/7gAOQWRvYmUAZAAAAAAA/9sAQwAGBAUGBQQGBgUGBwcGCAoQCgoJCQoUDg8MEBcUGBgXFBYWGh0lHxobIxwWFiAsICMmJykqKRkfLTAtKDAlKCko/8AAFAgACAAIBEMRAE0RAFkRAEsRAP/EABYAAQEBAAAAAAAAAAAAAAAAAAgEB//EABQQAQAAAAAAAAAAAAAAAAAAAAD/2gAOBEMATQBZAEsAAD8ATjVWJAv/2Q==";
/// The same as light: the black ink is full.
const INKS_AS_LIGHT: [u8; 3] = [0, 0, 0];
/// 8x6 pixels of red, green (transparent), blue and gray in turn.
const PALETTE_PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAGAgMAAACDazdoAAAADFBMVEX/AAAA/wAAAP8JCQlccX6GAAAAAnRSTlP/AOW3MEoAAAAOSURBVHicY5RmYGJAQQACSQAnDNid4AAAAABJRU5ErkJggg==";
/// 8x6 pixels, each third one white.
const BITS_PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAGAQAAAADWfuJWAAAAFElEQVR4nGOYxODJoMIwicGTQQUADbgB/zRgHWYAAAAASUVORK5CYII=";
/// 8x8 gray pixels from 0 to 63, by Adam7.
const INTERLACED_PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAAAAAGWY9HBAAAAVklEQVR42gXBhwJCAAAFwGfPZIXs7JZVKTL+/6/cAaARZyBZJAVU3bTQ9u8BBMVw0IyTjUual+heny94QZTkg3KEc3Y9PwgjVNfb/fGsG/zG6T8v67YD7mMH4SRfbo8AAAAASUVORK5CYII=";
/// The palette image as GIF.
const GIF: &str = "R0lGODdhCAAGAIEAAP8AAAD/AAAA/wkJCSwAAAAACAAGAAAIFwABBBAwQCBBgwUHJjyoEKHDhhAZEgwIADs=";

/// With strength 0 the file comes back as it was read.
#[test]
fn unusual_files_are_read_or_refused_by_name() {
    let service = Service::start();
    let back = |media_type: &str, text: &str| {
        let bytes = from_base64(&text.into());
        read(&ok(service.post("/denoise?strength=0&format=png", media_type, bytes)), ImageFormat::Png)
    };
    let cmyk = back("image/jpeg", CMYK_JPEG).into_rgb8();
    assert_eq!(cmyk[(4, 4)].0, INKS_AS_LIGHT);
    let palette = back("image/png", PALETTE_PNG).into_rgba8();
    assert_eq!([palette[(0, 0)].0, palette[(2, 0)].0], [[255, 0, 0, 255], [0, 0, 255, 255]]);
    assert_eq!(palette[(1, 0)].0[3], 0);
    let bits = back("image/png", BITS_PNG).into_luma8();
    assert!(bits.iter().enumerate().all(|(i, v)| *v == if i % 3 == 0 { 255 } else { 0 }));
    let interlaced = back("image/png", INTERLACED_PNG).into_luma8();
    assert!(interlaced.iter().enumerate().all(|(i, v)| usize::from(*v) == i));
    let gif = service.post("/denoise", "image/gif", from_base64(&GIF.into()));
    let problem = refused(gif, "unsupported_media_type");
    assert!(problem["detail"].as_str().unwrap().contains("this is GIF"), "{problem}");
}
