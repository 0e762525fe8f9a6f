//! Samples as callers send them.

use std::io::Cursor;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use image::{DynamicImage, ImageFormat};

/// A noisy-looking value for a place.
fn value(x: u32, y: u32, c: u32) -> u8 {
    (((x * 7 + y * 13 + c * 29) % 97) + 60) as u8
}

/// A gray image.
pub fn gray(width: u32, height: u32) -> DynamicImage {
    image::GrayImage::from_fn(width, height, |x, y| image::Luma([value(x, y, 0)])).into()
}

/// A colour image.
pub fn color(width: u32, height: u32) -> DynamicImage {
    image::RgbImage::from_fn(width, height, |x, y| image::Rgb([0, 1, 2].map(|c| value(x, y, c)))).into()
}

/// An image as a file.
pub fn file(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).expect("an image file");
    bytes.into_inner()
}

/// A gray PNG.
pub fn png(width: u32, height: u32) -> Vec<u8> {
    file(&gray(width, height), ImageFormat::Png)
}

/// An image file, read; its format must be `format`.
pub fn read(bytes: &[u8], format: ImageFormat) -> DynamicImage {
    assert_eq!(image::guess_format(bytes).ok(), Some(format));
    image::load_from_memory(bytes).expect("an image")
}

/// An npy file of version 1, little-endian, C order.
pub fn npy(descr: &str, shape: &[usize], payload: &[u8]) -> Vec<u8> {
    let extents: String = shape.iter().map(|extent| format!("{extent},")).collect();
    let mut header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({extents}), }}");
    while (10 + header.len() + 1) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let length = u16::try_from(header.len()).unwrap().to_le_bytes();
    [b"\x93NUMPY\x01\x00".as_slice(), &length, header.as_bytes(), payload].concat()
}

/// Little-endian floats.
pub fn floats(values: impl IntoIterator<Item = f32>) -> Vec<u8> {
    values.into_iter().flat_map(f32::to_le_bytes).collect()
}

/// The floats in bytes.
pub fn to_floats(bytes: &[u8]) -> Vec<f32> {
    let (words, rest) = bytes.as_chunks::<4>();
    assert!(rest.is_empty());
    words.iter().map(|word| f32::from_le_bytes(*word)).collect()
}

/// An npy file of floats that look like an image.
pub fn npy_floats(shape: &[usize]) -> Vec<u8> {
    let numbers: usize = shape.iter().product();
    npy("<f4", shape, &floats((0..numbers).map(|i| ((i * 37) % 101) as f32 / 100.0)))
}

/// Header and numbers of an npy file of floats.
pub fn read_npy(bytes: &[u8]) -> (String, Vec<f32>) {
    assert!(bytes.starts_with(b"\x93NUMPY"));
    let length = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let header = String::from_utf8(bytes[10..10 + length].to_vec()).unwrap();
    (header, to_floats(&bytes[10 + length..]))
}

/// Base64.
pub fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// The bytes of base64.
pub fn from_base64(text: &serde_json::Value) -> Vec<u8> {
    STANDARD.decode(text.as_str().expect("text")).expect("base64")
}
