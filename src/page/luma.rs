//! Luma: a page as ink on paper, row by row: one brightness per pixel, paper brighter than ink.

use super::paper::Paper;
use crate::sample::{LUMA, Sample};

/// Approximate number of pixels examined if not all are needed.
const ENOUGH: usize = 2 << 20;

/// A page as brightness.
#[derive(Debug, Clone, Copy)]
pub(super) struct Luma<'a> {
    pub sample: &'a Sample,
    /// `true` to read white on black as black on white.
    pub is_inverted: bool,
    /// Channel to read; luma of all channels if `None`.
    pub channel: Option<usize>,
}

impl Luma<'_> {
    /// Returns height and width in pixels.
    pub fn extents(&self) -> (usize, usize) {
        let (_, height, width) = self.sample.shape().extents();
        (height, width)
    }

    /// Returns enough rows to measure tones: all of a small page, some millions of pixels of a large one.
    pub fn some_rows(&self) -> impl Iterator<Item = usize> + use<> {
        let (height, width) = self.extents();
        (0..height).step_by((height * width / ENOUGH).clamp(1, 16))
    }

    pub fn channels(&self) -> usize {
        self.sample.shape().channels()
    }

    /// Selects one channel of the page.
    pub fn of_channel(self, channel: usize) -> Self {
        Self { channel: Some(channel), ..self }
    }

    /// Reads row `y` of a channel.
    fn read(&self, channel: usize, y: usize, out: &mut [f32]) {
        let (height, width) = self.extents();
        self.sample.read((channel * height + y) * width, out);
        if self.is_inverted {
            out.iter_mut().for_each(|v| *v = 1.0 - *v);
        }
    }

    /// Reads the brightness of row `y`.
    pub fn row(&self, y: usize, out: &mut [f32]) {
        if self.channel.is_some() || self.channels() == 1 {
            return self.read(self.channel.unwrap_or(0), y, out);
        }
        let mut row = vec![0.0; out.len()];
        out.fill(0.0);
        for (channel, weight) in LUMA.into_iter().enumerate() {
            self.read(channel, y, &mut row);
            out.iter_mut().zip(&row).for_each(|(out, v)| *out += weight * v);
        }
    }

    /// Reads the brightness of row `y` relative to the paper: 1 is paper.
    pub fn flat(&self, paper: &Paper, y: usize, out: &mut [f32]) {
        self.row(y, out);
        let mut level = vec![0.0; out.len()];
        paper.row(y, &mut level);
        out.iter_mut().zip(&level).for_each(|(v, level)| *v /= level);
    }
}
