//! Page: measures ink on paper: brightness of the paper at each position, darkness of the ink, thickness of the
//! strokes.
//!
//! | task | type |
//! |---|---|
//! | measure an image as a page, and decide if it is one | [`Look`] |
//! | process a page with a model for one thickness of strokes, keeping all strokes | [`Passage`] |

mod even;
mod grid;
mod ink;
mod luma;
mod map;
mod paper;
mod passage;
mod picture;
mod scale;
#[cfg(test)]
mod tests;

pub use ink::Tones;
pub use paper::Paper;
pub use passage::{Passage, Report, Unchanged};

use ink::Runs;
use luma::Luma;
use paper::{Cells, quantile};

use crate::sample::{Kind, Sample};

/// Width in pixels of the edge of a stroke, beside half of its thickness, and the largest width.
const REACH: f32 = 2.0;
const MOST_REACH: f32 = 12.0;

/// Measurements of an image as a page.
#[derive(Debug, Clone, PartialEq)]
pub struct Look {
    /// `true` if it is light on dark.
    pub is_inverted: bool,
    /// Brightness of the paper.
    pub paper: Paper,
    /// Brightness of the paper in red, green and blue; empty for a gray page.
    pub channels: Vec<Paper>,
    /// Tones of ink and paper; `None` for an empty page.
    pub tones: Option<Tones>,
    /// Brightness of the strokes, on the scale on which paper is 1; 1 without ink.
    pub black: f32,
    /// Thickness of most strokes in pixels; 0 without ink.
    pub stroke: f32,
    /// Number of runs of ink per pixel of ink.
    pub runs: f32,
    /// Fraction of the runs longer than 4 times the thickness of the strokes.
    pub long: f32,
    /// Flags of the cells that have only even paper and ink, row by row, and the number of columns.
    even: (Vec<bool>, usize),
}

impl Look {
    /// Measures an image of one or three channels on [0, 1]; `None` for any other sample.
    pub fn of(sample: &Sample) -> Option<Self> {
        let shape = sample.shape();
        if shape.kind() != Kind::Image || !matches!(shape.channels(), 1 | 3) {
            return None;
        }
        let upright = Luma { sample, is_inverted: false, channel: None };
        let mut cells = Cells::of(upright);
        let is_inverted = is_dark(&cells);
        let luma = Luma { sample, is_inverted, channel: None };
        if is_inverted {
            cells = Cells::of(luma);
        }
        let paper = cells.paper();
        let is_colored = shape.channels() == 3;
        let channels =
            (0..if is_colored { 3 } else { 0 }).map(|c| Cells::of(luma.of_channel(c)).paper()).collect();
        // Ink is invisible on black paper.
        let tones = if paper.range().1 < 0.05 { None } else { Tones::of(luma, &paper) };
        let even = (vec![false; cells.counts.len()], cells.columns);
        let mut look =
            Self { is_inverted, paper, channels, tones, black: 1.0, stroke: 0.0, runs: 0.0, long: 0.0, even };
        if let Some(tones) = tones.filter(Tones::may_be_page) {
            let runs = Runs::of(luma, &look.paper, tones.middle);
            let (height, width) = luma.extents();
            let ink = tones.share * (height * width) as f32;
            look.stroke = runs.thickness();
            look.black = runs.black(look.stroke);
            look.runs = runs.count() as f32 / ink.max(1.0);
            look.long = runs.longer(4.0 * look.stroke);
            let reach = (REACH + 0.5 * look.stroke).min(MOST_REACH) as usize;
            look.even.0 = even::even(luma, &look.paper, &cells, tones.middle, reach);
        }
        Some(look)
    }

    /// Returns `true` if there is nothing to clean: the paper has one level almost everywhere.
    pub fn is_clean(&self) -> bool {
        let even = self.even.0.iter().filter(|even| **even).count();
        even * 10 >= 9 * self.even.0.len()
    }

    /// Returns `true` if a tile, one of `rows` by `columns`, has nothing to clean and the paper is white.
    fn is_white_at(&self, row: usize, rows: usize, column: usize, columns: usize) -> bool {
        let (even, across) = &self.even;
        let down = even.len() / across;
        // Range of all cells that the tile overlaps.
        let of =
            |at: usize, n: usize, cells: usize| at * cells / n..((at + 1) * cells).div_ceil(n).min(cells);
        self.paper.range().0 > 0.97
            && of(row, rows, down).all(|y| of(column, columns, *across).all(|x| even[y * across + x]))
    }

    /// Returns `true` for a page: mostly paper, with ink clearly separated from it, in strokes.
    ///
    /// Of 612 photographs, drawings and micrographs (BSDS, Set12, W2S, CC15) 3 are misclassified as pages; of the 272
    /// stained pages of NoisyOffice, unchanged and enlarged up to 4 times, none is missed.
    pub fn is_page(&self) -> bool {
        let Some(tones) = self.tones else { return false };
        let (darkest, brightest) = self.paper.range();
        let [least, dark] = if self.is_inverted { [0.75, 0.4] } else { [0.3, 0.55] };
        let between = 1.0 - tones.paper - tones.share;
        // Tables and forms have long strokes; other images with long strokes have tones between ink and paper as well.
        let longest = match (tones.ink, tones.paper) {
            (ink, _) if ink < 0.45 && between < 0.05 => 0.4,
            (ink, paper) if ink < 0.4 && paper > 0.7 => 0.125,
            _ => 0.1,
        };
        tones.ink <= dark
            && (0.0005..=0.3).contains(&tones.share)
            && tones.paper >= 0.6
            && brightest >= 0.6
            && darkest >= least * brightest
            && between <= 2.3 * self.runs * tones.share + 0.01
            && self.long <= longest
            && self.stroke <= (self.paper.side() as f32 / 40.0).max(12.0)
    }

    /// Returns `true` if it may be a page in a bad state; a model of pages leaves any other image unchanged.
    pub fn may_be_page(&self) -> bool {
        let Some(tones) = self.tones else { return false };
        tones.may_be_page() && self.long <= 0.16 || self.is_page()
    }
}

/// Returns `true` if a page is mostly dark, with smaller light parts.
fn is_dark(cells: &Cells) -> bool {
    let mut whole = vec![0u32; 256];
    cells.counts.iter().for_each(|cell| whole.iter_mut().zip(cell).for_each(|(sum, n)| *sum += n));
    let (mut dark, mut light) = (0, 0);
    for cell in &cells.counts {
        let [low, middle, high] = [0.02, 0.5, 0.98].map(|share| quantile(cell, share));
        if high - low > 0.25 {
            let place = (middle - low) / (high - low);
            dark += usize::from(place < 0.4);
            light += usize::from(place > 0.6);
        }
    }
    quantile(&whole, 0.5) < 0.45 && dark > 3 * light
}
