//! The blocks and rings of a JPEG file.

use image::ExtendedColorType::{L8, Rgb8};
use image::codecs::jpeg::{JpegDecoder, JpegEncoder};
use image::{ExtendedColorType, ImageDecoder, ImageResult};
use serde::{Deserialize, Serialize};

use super::{Error, Span};
use crate::rng::Rng;
use crate::sample::Shape;

/// Side of the blocks of colour images, whose chroma may be stored at half size: all places of the grid
/// are covered by shifts below it.
const GRID: usize = 16;

/// Writes the image as a JPEG file in memory and reads it back. Values are clipped to [0, 1].
///
/// The grid of blocks lies anywhere, not always at the upper left corner: a model that has only seen
/// grids at the corner of its crops fails on pictures that were cropped after they had been compressed.
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
        let (channels, height, width) = shape.extents();
        let frame = Frame { height, width, down: rng.below(GRID), right: rng.below(GRID) };
        let group = if channels == 3 { 3 } else { 1 };
        for planes in data.chunks_exact_mut(group * height * width) {
            // Bytes that our own encoder wrote a moment ago do not fail to be read, and no crop is
            // larger than the format's 65535 pixels; if it were, an uncorrupted crop is no harm.
            if let Ok(pixels) = frame.round_trip(&frame.pixels(planes, group), group, quality) {
                frame.put_back(&pixels, planes, group);
            }
        }
    }
}

/// An image moved down and to the right, its first row and column filling the gap.
struct Frame {
    height: usize,
    width: usize,
    down: usize,
    right: usize,
}

impl Frame {
    /// 8-bit pixels of the moved image, channels last.
    fn pixels(&self, planes: &[f32], channels: usize) -> Vec<u8> {
        let (area, columns) = (self.height * self.width, self.width + self.right);
        let byte = |i: usize| {
            let (pixel, channel) = (i / channels, i % channels);
            let (y, x) = (pixel / columns, pixel % columns);
            let from = y.saturating_sub(self.down) * self.width + x.saturating_sub(self.right);
            (planes[channel * area + from].clamp(0.0, 1.0) * 255.0).round() as u8
        };
        (0..(self.height + self.down) * columns * channels).map(byte).collect()
    }

    /// Through a file and back.
    fn round_trip(&self, pixels: &[u8], channels: usize, quality: u8) -> ImageResult<Vec<u8>> {
        let color: ExtendedColorType = if channels == 3 { Rgb8 } else { L8 };
        let side = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let (width, height) = (side(self.width + self.right), side(self.height + self.down));
        let mut file = Vec::new();
        JpegEncoder::new_with_quality(&mut file, quality).encode(pixels, width, height, color)?;
        let mut back = vec![0; pixels.len()];
        JpegDecoder::new(std::io::Cursor::new(file))?.read_image(&mut back)?;
        Ok(back)
    }

    fn put_back(&self, pixels: &[u8], planes: &mut [f32], channels: usize) {
        let (area, columns) = (self.height * self.width, self.width + self.right);
        for (i, value) in planes.iter_mut().enumerate() {
            let (channel, y, x) = (i / area, i % area / self.width, i % self.width);
            let pixel = (y + self.down) * columns + x + self.right;
            *value = f32::from(pixels[pixel * channels + channel]) / 255.0;
        }
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
    fn a_moved_image_comes_back_to_its_place() {
        let planes: Vec<f32> = (0..24).map(|i| (10 * i) as f32 / 255.0).collect();
        let frame = Frame { height: 2, width: 4, down: 3, right: 1 };
        let pixels = frame.pixels(&planes, 3);
        assert_eq!(pixels.len(), 5 * 5 * 3);
        let mut back = vec![0.0; 24];
        frame.put_back(&pixels, &mut back, 3);
        assert_eq!(back, planes);
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
