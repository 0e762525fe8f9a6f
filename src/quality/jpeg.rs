//! JPEG at equal bytes: quality of a JPEG file with as many bytes as a latent.

use image::codecs::jpeg::{JpegDecoder, JpegEncoder};
use image::{ExtendedColorType, ImageDecoder, ImageResult};
use serde::Serialize;

use super::psnr;
use crate::sample::Shape;

/// An image as a JPEG file.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct JpegPoint {
    /// Largest quality, 1 to 100, at which the file is small enough.
    pub quality: u8,
    /// Size of the file in bytes, header included.
    pub bytes: usize,
    /// PSNR of the decoded file against `clean`, dB.
    pub psnr_db: f32,
    /// Decoded numbers on [0, 1], channels first.
    #[serde(skip)]
    pub decoded: Vec<f32>,
}

/// Encodes `image` (on [0, 1]; rounded to 8 bits and clipped) as the best JPEG file of at most `most_bytes`, and
/// compares it with `clean`, which is the image itself or its content without noise.
///
/// `None` if even quality 1 is larger, or if the shape is not a gray or colour image of at most 65535 pixels a side.
///
/// # Panics
/// The numbers of values do not match the shape.
pub fn jpeg_at_bytes(image: &[f32], clean: &[f32], shape: Shape, most_bytes: usize) -> Option<JpegPoint> {
    assert!(image.len() == shape.numbers() && clean.len() == image.len(), "numbers do not fit {shape}");
    let Shape::Image { channels: channels @ (1 | 3), height, width } = shape else { return None };
    let (width, height) = (u16::try_from(width).ok()?, u16::try_from(height).ok()?);
    let pixels = interleave(image, channels);
    let write = |quality| write(&pixels, width, height, channels, quality).ok();
    // Bytes grow with quality, so a binary search finds the largest that fits.
    let (mut fits, mut over) = (0, 101);
    let mut best = None;
    while over - fits > 1 {
        let quality = (fits + over) / 2;
        let file = write(quality)?;
        if file.len() <= most_bytes {
            (fits, best) = (quality, Some(file));
        } else {
            over = quality;
        }
    }
    let file = best?;
    let decoded = read(&file, pixels.len(), channels).ok()?;
    Some(JpegPoint { quality: fits, bytes: file.len(), psnr_db: psnr(clean, &decoded), decoded })
}

fn write(pixels: &[u8], width: u16, height: u16, channels: usize, quality: u8) -> ImageResult<Vec<u8>> {
    let color = if channels == 3 { ExtendedColorType::Rgb8 } else { ExtendedColorType::L8 };
    let mut file = Vec::new();
    JpegEncoder::new_with_quality(&mut file, quality).encode(pixels, width.into(), height.into(), color)?;
    Ok(file)
}

fn read(file: &[u8], numbers: usize, channels: usize) -> ImageResult<Vec<f32>> {
    let mut pixels = vec![0; numbers];
    JpegDecoder::new(std::io::Cursor::new(file))?.read_image(&mut pixels)?;
    let area = numbers / channels;
    let value = |i: usize| f32::from(pixels[i % area * channels + i / area]) / 255.0;
    Ok((0..numbers).map(value).collect())
}

fn interleave(image: &[f32], channels: usize) -> Vec<u8> {
    let area = image.len() / channels;
    let byte = |i: usize| (image[i % channels * area + i / channels].clamp(0.0, 1.0) * 255.0).round() as u8;
    (0..image.len()).map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(shape: Shape) -> Vec<f32> {
        (0..shape.numbers()).map(|i| 0.5 + 0.3 * (i as f32 * 0.3).sin() * (i as f32 * 0.011).cos()).collect()
    }

    #[test]
    fn more_bytes_give_more_quality_and_never_too_many() {
        for shape in [Shape::image(1, 40, 56), Shape::image(3, 40, 56)] {
            let image = image(shape);
            let at = |bytes| jpeg_at_bytes(&image, &image, shape, bytes).unwrap();
            let (small, large) = (at(900), at(3000));
            assert!(small.bytes <= 900 && large.bytes <= 3000, "{} {}", small.bytes, large.bytes);
            assert!(small.psnr_db < large.psnr_db && small.quality < large.quality);
        }
    }

    #[test]
    fn it_is_the_largest_quality_that_fits() {
        let shape = Shape::image(1, 40, 56);
        let image = image(shape);
        let point = jpeg_at_bytes(&image, &image, shape, 1200).unwrap();
        let next = write(&interleave(&image, 1), 56, 40, 1, point.quality + 1).unwrap();
        assert!(next.len() > 1200);
    }

    #[test]
    fn channels_come_back_in_order() {
        let shape = Shape::image(3, 8, 8);
        let image: Vec<f32> = [0.2, 0.5, 0.8].iter().flat_map(|&v| [v; 64]).collect();
        let point = jpeg_at_bytes(&image, &image, shape, 10_000).unwrap();
        assert_eq!(point.quality, 100);
        assert!(point.psnr_db > 40.0, "{}", point.psnr_db);
    }

    #[test]
    fn what_does_not_fit_has_no_file() {
        let shape = Shape::image(1, 8, 8);
        assert_eq!(jpeg_at_bytes(&[0.5; 64], &[0.5; 64], shape, 100), None);
        assert_eq!(jpeg_at_bytes(&[0.5; 4], &[0.5; 4], Shape::Vector { features: 4 }, 9999), None);
    }
}
