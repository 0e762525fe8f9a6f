//! Planes: conversion between interleaved pixels and planes of any number type, and EXIF orientation.

use std::borrow::Cow;

use super::super::{Error, Result};
use crate::sample::{Depth, Number, Sample, Shape};

/// Number of pixels interleaved at a time, small enough to stay in the cache until all planes are written.
const BLOCK: usize = 1024;

/// Colour planes and opacity in the number type of the file, before conversion to a sample.
pub(super) struct Planes<T> {
    pub(super) channels: usize,
    pub(super) height: usize,
    pub(super) width: usize,
    /// `(C,H,W)`
    pub(super) color: Vec<T>,
    /// `(H,W)`
    pub(super) alpha: Option<Vec<T>>,
}

impl<T: Number> Planes<T> {
    /// Splits `pixels` into planes; each pixel has `channels` values, and one more if `has_alpha`.
    pub(super) fn split(
        pixels: Vec<T>,
        (channels, has_alpha): (usize, bool),
        (width, height): (usize, usize),
    ) -> Self {
        let stride = channels + usize::from(has_alpha);
        if stride == 1 {
            return Self { channels, height, width, color: pixels, alpha: None };
        }
        let mut color = Vec::with_capacity(channels * width * height);
        for channel in 0..channels {
            color.extend(pixels.iter().skip(channel).step_by(stride));
        }
        let alpha = has_alpha.then(|| pixels.iter().skip(channels).step_by(stride).copied().collect());
        Self { channels, height, width, color, alpha }
    }

    /// Returns [`Error::NonFinite`] with row and column in the file if a colour is missing.
    pub(super) fn gap(&self) -> Option<Error> {
        if T::DEPTH != Depth::F32 {
            return None;
        }
        let mut bad = self.color.iter().enumerate().filter(|(_, v)| !v.to_f32().is_finite());
        let (first, value) = bad.next()?;
        let (channel, pixel) = (first / (self.width * self.height), first % (self.width * self.height));
        let mut place = format!("row {}, column {}", pixel / self.width, pixel % self.width);
        if self.channels > 1 {
            place += &format!(" of channel {channel}");
        }
        Some(Error::NonFinite { place, value: value.to_f32(), count: 1 + bad.count() })
    }

    /// Rotates or mirrors the planes upright by the EXIF orientation of the file (1..=8; any other value means
    /// upright).
    pub(super) fn upright(mut self, orientation: u8) -> Self {
        let (w, h) = (self.width, self.height);
        if (2..=8).contains(&orientation) {
            let turn =
                |data: &[T]| data.chunks_exact(w * h).flat_map(|p| turned(p, w, h, orientation)).collect();
            self.color = turn(&self.color);
            self.alpha = self.alpha.map(|alpha| turn(&alpha));
        }
        if (5..=8).contains(&orientation) {
            (self.width, self.height) = (h, w);
        }
        self
    }

    /// Converts the planes to a sample, and the opacity to a gray sample.
    pub(super) fn into_samples(self) -> Result<(Sample, Option<Sample>)> {
        let sample = T::sample_with_gaps(Shape::image(self.channels, self.height, self.width), self.color)?;
        let opacity = self.alpha.map(|alpha| T::sample(Shape::image(1, self.height, self.width), alpha));
        Ok((sample, opacity.transpose()?))
    }
}

/// Rotates or mirrors one plane upright.
///
/// # Source
/// EXIF 2.32, tag 0x0112: 2 mirrored, 3 rotated by 180 degrees, 4 upside down, 5 transposed, 6 to be rotated clockwise,
/// 7 transposed across the other diagonal, 8 to be rotated counter-clockwise.
fn turned<T: Copy>(plane: &[T], w: usize, h: usize, orientation: u8) -> Vec<T> {
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

/// Interleaves colours and opacity, the opacity last in each pixel.
pub(super) fn join<'a, T: Number>(sample: &'a Sample, alpha: Option<&Sample>) -> Cow<'a, [T]> {
    let channels = sample.shape().channels();
    let stride = channels + usize::from(alpha.is_some());
    if let Some(own) = T::of(sample).filter(|_| stride == 1 && !sample.keeps_gaps()) {
        return Cow::Borrowed(own);
    }
    let pixels = sample.shape().numbers() / channels;
    if sample.keeps_gaps() {
        let (color, alpha) = (sample.written(), alpha.map(Sample::data));
        let pixel = |p: usize| {
            let colors = (0..channels).map(move |c| c * pixels + p);
            colors.map(|at| color[at]).chain(alpha.map(|alpha| alpha[p])).map(T::from_f32).collect::<Vec<_>>()
        };
        return Cow::Owned((0..pixels).flat_map(pixel).collect());
    }
    let colors = (0..channels).map(|channel| (sample, channel * pixels));
    let planes: Vec<_> = colors.chain(alpha.map(|alpha| (alpha, 0))).collect();
    let mut joined = vec![T::from_f32(0.0); pixels * stride];
    let (mut part, mut numbers) = ([T::from_f32(0.0); BLOCK], [0.0; BLOCK]);
    for (joined, first) in joined.chunks_mut(BLOCK * stride).zip((0..).step_by(BLOCK)) {
        let count = joined.len() / stride;
        for (i, &(plane, start)) in planes.iter().enumerate() {
            let at = start + first;
            let own = match T::of(plane) {
                Some(own) => &own[at..at + count],
                None => {
                    plane.read(at, &mut numbers[..count]);
                    part.iter_mut().zip(&numbers).for_each(|(to, v)| *to = T::from_f32(*v));
                    &part[..count]
                }
            };
            joined[i..].iter_mut().step_by(stride).zip(own).for_each(|(to, v)| *to = *v);
        }
    }
    Cow::Owned(joined)
}

/// Interleaves colours and opacity, the opacity last in each pixel, with `convert` applied to each number.
pub(super) fn join_as<T>(sample: &Sample, alpha: Option<&Sample>, convert: impl Fn(f32) -> T) -> Vec<T> {
    join::<f32>(sample, alpha).iter().map(|v| convert(*v)).collect()
}

/// Returns channels, height and width of an image sample of 1 or 3 channels.
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
            let planes = Planes::split(pixels.clone(), (3, true), (5, 3)).upright(exif);
            assert_eq!((planes.width as u32, planes.height as u32), (image.width(), image.height()));
            let expected = Planes::split(image.as_bytes().to_vec(), (3, true), (planes.width, planes.height));
            assert_eq!((planes.color, planes.alpha), (expected.color, expected.alpha), "{exif}");
        }
    }

    #[test]
    fn what_was_split_joins_again() {
        let pixels: Vec<u16> = (0..4 * 1500).collect();
        let (sample, alpha) = Planes::split(pixels.clone(), (3, true), (50, 30)).into_samples().unwrap();
        assert_eq!(*join::<u16>(&sample, alpha.as_ref()), pixels);
        assert_eq!(*join::<u16>(&sample.into_float(), alpha.as_ref()), pixels);
        let (gray, _) = Planes::split(pixels.clone(), (1, false), (200, 30)).into_samples().unwrap();
        assert!(matches!(join::<u16>(&gray, None), Cow::Borrowed(own) if own == pixels));
    }
}
