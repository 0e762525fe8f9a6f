//! The blocks and rings of a JPEG file.

use image::ExtendedColorType::{L8, Rgb8};
use image::codecs::jpeg::{JpegDecoder, JpegEncoder};
use image::{ExtendedColorType, ImageDecoder, ImageResult};
use serde::{Deserialize, Serialize};

use super::{Error, Span, planes};
use crate::rng::Rng;
use crate::sample::Shape;

/// Writes the image as a JPEG file in memory and reads it back. Values are clipped to [0, 1].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Jpeg {
    /// Quality as the libjpeg family counts it, 1 to 100; the whole numbers of the range are drawn.
    pub quality: Span,
}

impl Jpeg {
    pub(super) fn check(&self) -> Result<(), Error> {
        self.quality.check("jpeg.quality", 1.0, 100.0)
    }

    pub(super) fn apply(&self, data: &mut [f32], shape: Shape, rng: &mut Rng) {
        let quality = self.quality.draw_whole(rng).clamp(1, 100) as u8;
        let (channels, height, width) = planes(shape);
        let (Ok(w), Ok(h)) = (u16::try_from(width), u16::try_from(height)) else {
            return; // The format knows no larger image, and no crop is as large.
        };
        let group = if channels == 3 { 3 } else { 1 };
        for planes in data.chunks_exact_mut(group * height * width) {
            // Bytes that our own encoder wrote a moment ago do not fail to be read; if they did, an
            // uncorrupted crop would be no harm.
            if let Ok(bytes) = round_trip(&interleave(planes, group), w, h, group, quality) {
                deinterleave(&bytes, planes, group);
            }
        }
    }
}

/// 8-bit pixels, channels last, through a file and back.
fn round_trip(pixels: &[u8], width: u16, height: u16, channels: usize, quality: u8) -> ImageResult<Vec<u8>> {
    let color: ExtendedColorType = if channels == 3 { Rgb8 } else { L8 };
    let mut file = Vec::new();
    JpegEncoder::new_with_quality(&mut file, quality).encode(pixels, width.into(), height.into(), color)?;
    let decoder = JpegDecoder::new(std::io::Cursor::new(file))?;
    let mut back = vec![0; pixels.len()];
    decoder.read_image(&mut back)?;
    Ok(back)
}

fn interleave(planes: &[f32], channels: usize) -> Vec<u8> {
    let area = planes.len() / channels;
    let byte = |i: usize| (planes[i % channels * area + i / channels].clamp(0.0, 1.0) * 255.0).round() as u8;
    (0..planes.len()).map(byte).collect()
}

fn deinterleave(pixels: &[u8], planes: &mut [f32], channels: usize) {
    let area = planes.len() / channels;
    for (i, &byte) in pixels.iter().enumerate() {
        planes[i % channels * area + i / channels] = f32::from(byte) / 255.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Purpose;

    fn error(quality: f32, channels: usize) -> f32 {
        let shape = Shape::image(channels, 32, 40);
        let clean: Vec<f32> = (0..shape.numbers())
            .map(|i| {
                let (c, y, x) = (i / 1280, i / 40 % 32, i % 40);
                0.5 + 0.3 * ((x + c) as f32 * 0.35).sin() * (y as f32 * 0.2).cos()
            })
            .collect();
        let mut data = clean.clone();
        let kind = Jpeg { quality: Span::at(quality) };
        kind.apply(&mut data, shape, &mut Rng::new(1, Purpose::Corrupt, 0));
        let squares: f32 = data.iter().zip(&clean).map(|(a, b)| (a - b).powi(2)).sum();
        (squares / clean.len() as f32).sqrt()
    }

    #[test]
    fn lower_quality_loses_more() {
        for channels in [1, 3] {
            let [high, middle, low] = [95.0, 50.0, 5.0].map(|quality| error(quality, channels));
            assert!(high < middle && middle < low, "{high} {middle} {low}");
            assert!(high < 0.02 && low > 0.02, "{high} {low}");
        }
    }

    #[test]
    fn channels_go_in_and_out_in_order() {
        let shape = Shape::image(3, 16, 16);
        let mut data: Vec<f32> = [0.2, 0.5, 0.8].iter().flat_map(|&v| vec![v; 256]).collect();
        let kind = Jpeg { quality: Span::at(95.0) };
        kind.apply(&mut data, shape, &mut Rng::new(1, Purpose::Corrupt, 0));
        for (plane, expected) in data.chunks(256).zip([0.2, 0.5, 0.8]) {
            assert!(plane.iter().all(|v| (v - expected).abs() < 0.02));
        }
    }
}
