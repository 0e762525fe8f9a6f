//! Held-out truth: scores on samples that training never sees, through the code that serves.

use std::ops::Range;

use serde::Serialize;

use super::Error;
use crate::corruption::Corruption;
use crate::dataset::Item;
use crate::infer::{self, Mode, Options, Session, familiarity};
use crate::quality;
use crate::registry::Familiarity;
use crate::sample::{Kind, Sample, Shape};

/// Larger held-out images are scored on windows of this side: enough to rank models, quick to repeat.
const SIDE: usize = 256;

/// Longer held-out signals are scored on windows of so many steps in time.
const LENGTH: usize = 1 << 14;

/// A preview shows at most so many pixels each way,
const PREVIEW_SIDE: usize = 128;

/// or so many steps in time.
const PREVIEW_LENGTH: usize = 1024;

/// At most so many held-out samples are scored.
const MOST: usize = 64;

/// Where a few large images are all there is, several windows of each make up about this many pairs.
const ENOUGH: usize = 24;

/// Fixed pairs to score on.
#[derive(Debug)]
pub(super) struct HeldOut {
    pairs: Vec<Pair>,
}

#[derive(Debug)]
struct Pair {
    noisy: Sample,
    clean: Sample,
}

/// One held-out sample, or a small part of it, as the model in training leaves it.
#[derive(Debug, Clone, PartialEq)]
pub struct Preview {
    /// What goes in.
    pub noisy: Sample,
    /// What comes out.
    pub denoised: Sample,
    /// What should come out, where that is known.
    pub clean: Option<Sample>,
}

/// Mean scores over the held-out samples, dB: PSNR for images, SNR for other kinds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Scores {
    /// How many samples, or windows of large ones, were scored.
    pub samples: usize,
    /// The noisy input against the clean sample.
    pub noisy_db: f32,
    /// What the latent alone gives.
    pub strict_db: f32,
    /// What `/denoise` gives.
    pub full_db: f32,
}

impl HeldOut {
    /// Pairs of `items`: their own noisy twin, or `corruption` with noise fixed by `seed`.
    pub(super) fn new(items: &[&Item], corruption: &Corruption, seed: u64) -> Self {
        let each = (ENOUGH / items.len().max(1)).max(1);
        let pairs = |(i, item): (usize, &&Item)| {
            let noisy = item.noisy_or(corruption, seed, i as u64);
            let pair = |area| Pair { noisy: cut(&noisy, &area), clean: cut(&item.clean, &area) };
            windows(item.clean.shape(), each).into_iter().map(pair).collect::<Vec<_>>()
        };
        Self { pairs: items.iter().take(MOST).enumerate().flat_map(pairs).collect() }
    }

    /// Mean scores of a model.
    ///
    /// # Errors
    /// The samples do not fit the model.
    pub(super) fn score(&self, session: &Session) -> Result<Scores, Error> {
        let mut sums = [0f64; 3];
        for pair in &self.pairs {
            let denoise = |mode| session.denoise(&pair.noisy, &Options { mode, ..Options::default() });
            let (strict, full) = (denoise(Mode::Strict)?, denoise(Mode::Full)?);
            for (sum, sample) in sums.iter_mut().zip([&pair.noisy, &strict.sample, &full.sample]) {
                *sum += f64::from(decibels(&pair.clean, sample));
            }
        }
        let mean = |i: usize| (sums[i] / self.pairs.len().max(1) as f64) as f32;
        Ok(Scores { samples: self.pairs.len(), noisy_db: mean(0), strict_db: mean(1), full_db: mean(2) })
    }

    /// The middle of the first held-out sample, before and after the model.
    ///
    /// # Errors
    /// The samples do not fit the model.
    pub(super) fn preview(&self, session: &Session) -> Result<Option<Preview>, Error> {
        let Some(Pair { noisy, clean }) = self.pairs.first() else { return Ok(None) };
        let denoised = session.denoise(noisy, &Options::default())?.sample;
        let middle = middle(noisy.shape());
        let cut = |sample: &Sample| cut(sample, &middle);
        Ok(Some(Preview { noisy: cut(noisy), denoised: cut(&denoised), clean: Some(cut(clean)) }))
    }

    /// What is typical of samples like these.
    ///
    /// # Errors
    /// The samples do not fit the model.
    pub(super) fn calibrate(&self, session: &Session) -> Result<Option<Familiarity>, Error> {
        let features = self.pairs.iter().map(|pair| session.features(&pair.noisy));
        Ok(familiarity::calibrate(&features.collect::<infer::Result<Vec<_>>>()?))
    }
}

/// PSNR for images, SNR for other kinds; capped so that a perfect sample does not make a mean infinite.
fn decibels(clean: &Sample, other: &Sample) -> f32 {
    let score = if clean.shape().kind() == Kind::Image { quality::psnr } else { quality::snr };
    score(clean.data(), other.data()).min(100.0)
}

/// A window of an image: its rows and columns.
type Window = (Range<usize>, Range<usize>);

/// Up to `most` windows, the first in the middle, the rest spread evenly (M. Roberts' R2 sequence). A
/// sample that is no larger than a window, and a vector, is one window.
fn windows(shape: Shape, most: usize) -> Vec<Window> {
    let (_, height, width) = extents(shape);
    let (h, w) = match shape {
        Shape::Image { .. } => (height.min(SIDE), width.min(SIDE)),
        Shape::Signal { .. } => (1, width.min(LENGTH)),
        Shape::Vector { .. } => (1, width),
    };
    let count = if (h, w) == (height, width) { 1 } else { most };
    let place = |k: usize, step: f64, room: usize| ((0.5 + k as f64 * step).fract() * room as f64) as usize;
    let window = |k| {
        let top = place(k, 0.754_877_666_246_692_7, height - h);
        let left = place(k, 0.569_840_290_998_053_2, width - w);
        (top..top + h, left..left + w)
    };
    (0..count).map(window).collect()
}

/// The part of a sample that a preview shows.
fn middle(shape: Shape) -> Window {
    let (_, height, width) = extents(shape);
    let most = if shape.kind() == Kind::Image { PREVIEW_SIDE } else { PREVIEW_LENGTH };
    let within = |axis: usize| {
        let length = axis.min(most);
        (axis - length) / 2..(axis - length) / 2 + length
    };
    // A vector is nothing without its other numbers.
    if shape.kind() == Kind::Vector { (0..1, 0..width) } else { (within(height), within(width)) }
}

fn cut(sample: &Sample, (rows, columns): &Window) -> Sample {
    let (channels, height, width) = extents(sample.shape());
    let starts = (0..channels).flat_map(|c| rows.clone().map(move |y| (c * height + y) * width));
    let data = starts.flat_map(|at| sample.data()[at + columns.start..at + columns.end].iter().copied());
    let shape = match sample.shape() {
        Shape::Image { .. } => Shape::image(channels, rows.len(), columns.len()),
        Shape::Signal { .. } => Shape::Signal { channels, length: columns.len() },
        Shape::Vector { .. } => Shape::Vector { features: columns.len() },
    };
    Sample::new(shape, data.collect()).expect("a part of a sample is one")
}

/// Channels, height and width; what is no image has one row.
fn extents(shape: Shape) -> (usize, usize, usize) {
    match shape {
        Shape::Image { channels, height, width } => (channels, height, width),
        Shape::Signal { channels, length } => (channels, 1, length),
        Shape::Vector { features } => (1, 1, features),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_begin_in_the_middle_and_differ() {
        let shape = Shape::image(1, 512, 300);
        let windows = windows(shape, 5);
        assert_eq!(windows[0], (128..384, 22..278));
        assert!(windows.iter().all(|(rows, columns)| rows.end <= 512 && columns.end <= 300));
        assert!((1..5).all(|k| !windows[..k].contains(&windows[k])));
        assert_eq!(super::windows(Shape::image(3, 100, 256), 5), [(0..100, 0..256)]);
    }

    #[test]
    fn a_cut_keeps_the_channels_apart() {
        let sample = Sample::new(Shape::image(2, 2, 3), (0..12).map(|v| v as f32).collect()).unwrap();
        assert_eq!(cut(&sample, &(1..2, 1..3)).data(), [4.0, 5.0, 10.0, 11.0]);
    }

    #[test]
    fn long_signals_are_cut_in_time() {
        let shape = Shape::Signal { channels: 2, length: 3 * LENGTH };
        let sample = Sample::new(shape, (0..6 * LENGTH).map(|v| v as f32).collect()).unwrap();
        let windows = windows(shape, 3);
        assert_eq!(windows[0], (0..1, LENGTH..2 * LENGTH));
        let part = cut(&sample, &windows[0]);
        assert_eq!(part.shape(), Shape::Signal { channels: 2, length: LENGTH });
        assert_eq!(part.data()[LENGTH], (4 * LENGTH) as f32);
    }
}
