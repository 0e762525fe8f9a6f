//! Planes: interleaved pixels of any number type to planar `f32` and back, and turning them upright.

use super::super::{Error, Result};
use crate::sample::{Sample, Shape};

/// Colour planes and opacity as a file holds them, before they are a sample.
pub(super) struct Planes {
    pub(super) channels: usize,
    pub(super) height: usize,
    pub(super) width: usize,
    /// `(C,H,W)`
    pub(super) color: Vec<f32>,
    /// `(H,W)`
    pub(super) alpha: Option<Vec<f32>>,
}

impl Planes {
    /// The planes of `pixels`, which hold `channels` values each and one more if `has_alpha`.
    pub(super) fn split<T: Copy>(
        pixels: &[T],
        (channels, has_alpha): (usize, bool),
        (width, height): (usize, usize),
        to_f32: impl Fn(T) -> f32,
    ) -> Self {
        let stride = channels + usize::from(has_alpha);
        let mut color = Vec::with_capacity(channels * width * height);
        for channel in 0..channels {
            color.extend(pixels.iter().skip(channel).step_by(stride).map(|&v| to_f32(v)));
        }
        let alpha =
            has_alpha.then(|| pixels.iter().skip(channels).step_by(stride).map(|&v| to_f32(v)).collect());
        Self { channels, height, width, color, alpha }
    }

    /// The planes seen upright, by the EXIF orientation of the file (1..=8; anything else is upright already).
    pub(super) fn upright(mut self, orientation: u8) -> Self {
        let (w, h) = (self.width, self.height);
        if (2..=8).contains(&orientation) {
            let turn =
                |data: &[f32]| data.chunks_exact(w * h).flat_map(|p| turned(p, w, h, orientation)).collect();
            self.color = turn(&self.color);
            self.alpha = self.alpha.map(|alpha| turn(&alpha));
        }
        if (5..=8).contains(&orientation) {
            (self.width, self.height) = (h, w);
        }
        self
    }

    /// The sample, and the opacity beside it.
    pub(super) fn into_sample(self) -> Result<(Sample, Option<Vec<f32>>)> {
        let sample = Sample::new(Shape::image(self.channels, self.height, self.width), self.color)?;
        if let Some(alpha) = &self.alpha {
            super::super::check_finite(alpha)?;
        }
        Ok((sample, self.alpha))
    }
}

/// One plane turned upright.
///
/// # Source
/// EXIF 2.32, tag 0x0112: 2 mirrored, 3 turned by 180 degrees, 4 upside down, 5 transposed, 6 to be turned
/// clockwise, 7 transposed across the other diagonal, 8 to be turned counter-clockwise.
fn turned(plane: &[f32], w: usize, h: usize, orientation: u8) -> Vec<f32> {
    let (width, height) = if orientation >= 5 { (h, w) } else { (w, h) };
    let from = |y: usize, x: usize| match orientation {
        2 => (y, w - 1 - x),
        3 => (h - 1 - y, w - 1 - x),
        4 => (h - 1 - y, x),
        5 => (x, y),
        6 => (h - 1 - x, y),
        7 => (h - 1 - x, w - 1 - y),
        8 => (x, w - 1 - y),
        _ => (y, x),
    };
    let pixel = |y, x| {
        let (row, column) = from(y, x);
        plane[row * w + column]
    };
    (0..height).flat_map(|y| (0..width).map(move |x| (y, x))).map(|(y, x)| pixel(y, x)).collect()
}

/// Pixels with opacity behind the colours, as a file holds them.
pub(super) fn join<T>(sample: &Sample, alpha: Option<&[f32]>, from_f32: impl Fn(f32) -> T) -> Vec<T> {
    let channels = sample.shape().channels();
    let pixels = sample.data().len() / channels;
    let mut joined = Vec::with_capacity(pixels * (channels + usize::from(alpha.is_some())));
    for pixel in 0..pixels {
        joined.extend((0..channels).map(|c| from_f32(sample.data()[c * pixels + pixel])));
        joined.extend(alpha.map(|alpha| from_f32(alpha[pixel])));
    }
    joined
}

/// 0..1 to 0..255, clamped and rounded half away from zero.
pub(super) fn to_u8(v: f32) -> u8 {
    (v.clamp(0.0, 1.0) * 255.0).round() as u8
}

/// 0..1 to 0..65535, clamped and rounded half away from zero.
pub(super) fn to_u16(v: f32) -> u16 {
    (v.clamp(0.0, 1.0) * 65535.0).round() as u16
}

/// Channels, height and width of an image sample of 1 or 3 channels.
pub(super) fn extents(sample: &Sample) -> Result<(usize, usize, usize)> {
    match sample.shape() {
        Shape::Image { channels: channels @ (1 | 3), height, width } => Ok((channels, height, width)),
        other => Err(Error::shape("an image of 1 or 3 channels for an image file", other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_eight_orientations_agree_with_the_image_crate() {
        let pixels: Vec<u8> = (0..3 * 5 * 4).collect();
        for exif in 1..=8 {
            let image = image::RgbaImage::from_raw(5, 3, pixels.clone()).unwrap();
            let mut image = image::DynamicImage::from(image);
            image.apply_orientation(image::metadata::Orientation::from_exif(exif).unwrap());
            let planes = Planes::split(&pixels, (3, true), (5, 3), f32::from).upright(exif);
            assert_eq!((planes.width as u32, planes.height as u32), (image.width(), image.height()));
            let expected =
                Planes::split(image.as_bytes(), (3, true), (planes.width, planes.height), f32::from);
            assert_eq!((planes.color, planes.alpha), (expected.color, expected.alpha), "{exif}");
        }
    }

    #[test]
    fn every_integer_value_survives() {
        for v in 0..=255u8 {
            assert_eq!(to_u8(f32::from(v) / 255.0), v);
        }
        for v in 0..=65535u16 {
            assert_eq!(to_u16(f32::from(v) / 65535.0), v);
        }
    }

    #[test]
    fn values_outside_the_range_are_clamped() {
        assert_eq!([to_u8(-0.5), to_u8(0.5), to_u8(7.0)], [0, 128, 255]);
        assert_eq!([to_u16(-0.5), to_u16(7.0)], [0, 65535]);
    }
}
