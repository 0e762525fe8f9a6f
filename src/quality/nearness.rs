//! Nearness: distance of a result from its clean sample, in every measure that applies.

use serde::Serialize;

use super::{Strokes, ink_recall, psnr, rmse, snr, ssim};
use crate::sample::{Compared, Kind, Sample, Shape};

/// Similarity of a sample to a reference.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Nearness {
    /// PSNR of images, SNR of other kinds; infinite if both are equal.
    pub db: f32,
    /// Structural similarity, for images.
    pub ssim: Option<f32>,
    /// Root mean squared error, on the sample's own scale.
    pub rmse: f32,
    /// Share of the ink that is still ink, for gray images with ink.
    pub ink_recall: Option<f32>,
    /// Share of the centre lines of the ink that is still ink, if requested.
    pub stroke_recall: Option<f32>,
}

/// Sample that others of its shape are compared with.
#[derive(Debug)]
pub struct Reference<'a> {
    sample: &'a Sample,
    /// Places of numbers that are missing neither in it nor in the sample whose results are compared.
    compared: Compared,
    strokes: Option<Strokes>,
}

impl<'a> Reference<'a> {
    /// Creates the reference for results on `input`, with the strokes of gray images if `ink` is set.
    pub fn new(sample: &'a Sample, input: &Sample, ink: bool) -> Self {
        let strokes = match sample.shape() {
            Shape::Image { channels: 1, height, width } if ink => {
                Some(Strokes::of(sample.data(), height, width))
            }
            _ => None,
        };
        Self { sample, compared: Compared::of(&[sample, input]), strokes }
    }

    /// Returns the PSNR of an image, the SNR of another kind, of `other`, the numbers of a sample of the same shape, dB; infinite
    /// if both are equal.
    pub fn decibels(&self, other: &[f32]) -> f32 {
        let (known, seen) = (self.compared.known(self.sample.data()), self.compared.known(other));
        match self.sample.shape().kind() {
            Kind::Image => psnr(&known, &seen),
            Kind::Signal | Kind::Vector => snr(&known, &seen),
        }
    }

    /// Compares `other` with the reference in all measures.
    pub fn nearness(&self, other: &[f32]) -> Nearness {
        let (own, shape) = (self.sample.data(), self.sample.shape());
        let is_image = shape.kind() == Kind::Image;
        let is_page = is_image && shape.channels() == 1;
        let (known, seen) = (self.compared.known(own), self.compared.known(other));
        let whole = self.compared.over(other, own);
        Nearness {
            db: self.decibels(other),
            ssim: is_image.then(|| ssim(own, &whole, shape)),
            rmse: rmse(&known, &seen),
            ink_recall: is_page.then(|| ink_recall(own, &whole)).flatten(),
            stroke_recall: self.strokes.as_ref().and_then(|strokes| strokes.recall(&whole)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strokes_are_those_of_gray_images_of_which_it_is_asked() {
        let recall = |channels: usize, ink: bool| {
            let mut data = vec![1.0; channels * 25];
            data[10..15].fill(0.0);
            let page = Sample::new(Shape::image(channels, 5, 5), data.clone()).unwrap();
            data[11] = 1.0;
            Reference::new(&page, &page, ink).nearness(&data).stroke_recall
        };
        assert_eq!([recall(1, true), recall(1, false), recall(3, true)], [Some(0.8), None, None]);
    }

    #[test]
    fn missing_numbers_of_either_sample_are_left_out() {
        let shape = Shape::Signal { channels: 1, length: 4 };
        let clean = Sample::new(shape, vec![1.0, -1.0, 1.0, -1.0]).unwrap();
        let input = clean.clone().masked(vec![false, false, false, true]);
        let near = Reference::new(&clean, &input, false).nearness(&[1.0, -1.0, 1.0, 99.0]);
        assert_eq!((near.db, near.rmse, near.ssim), (f32::INFINITY, 0.0, None));
        // Half an amplitude off at one of three places.
        let near = Reference::new(&clean, &input, false).nearness(&[1.0, -1.0, 0.5, 99.0]);
        assert!((near.rmse - (0.25f32 / 3.0).sqrt()).abs() < 1e-6, "{near:?}");
    }
}
