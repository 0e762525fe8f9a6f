//! Passage: prepares a page for a model for one thickness of strokes, and restores all of its strokes in the result.

use super::Look;
use super::grid::Grid;
use super::luma::Luma;
use super::map::{Ink, Map};
use super::paper::Paper;
use super::picture::pictures;
use super::scale::{Enlarge, Shrink, slopes};
use crate::sample::{Depth, Number, Sample, Shape};

/// Paper is divided out before the model if its minimum brightness is below this fraction of its maximum, if its maximum
/// is below `BRIGHT`, or if the page is in colour; any other paper is like that of the training data.
const EVEN: f32 = 0.88;
const BRIGHT: f32 = 0.7;
/// Fractions of the contrast between ink and paper: a stroke that becomes lighter by the first is restored in part, by
/// the second completely.
const LIGHTER: [f32; 2] = [0.03, 0.12];
/// Fraction of lost strokes above which a tile is returned unchanged.
const GIVEN_UP: f32 = 0.5;
/// Fraction of unchanged tiles, of those with ink, above which the whole page is returned unchanged.
const HOPELESS: f32 = 0.6;
/// Difference between channels, on the scale on which paper is 1, from which ink is coloured, and from which its colour
/// is kept completely.
const COLORED: [f32; 2] = [0.18, 0.35];

/// Reason to return a page unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unchanged {
    /// The page has no ink.
    Empty,
    /// The paper is even, so there is nothing to remove.
    Clean,
    /// The image does not look like a page.
    NoPage,
}

/// Report on the strokes of a page.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Report {
    /// Fraction of the pixels of ink that are ink in the result, 0 to 1.
    pub kept: f32,
    /// Fraction of the pixels of ink that the model removed and that were restored, 0 to 1.
    pub put_back: f32,
    /// Number of tiles returned unchanged, and number of tiles with ink.
    pub tiles: (usize, usize),
    /// Fraction of the page that is pictures, which are returned unchanged, 0 to 1.
    pub pictures: f32,
    /// Ratio of the size of the page to the size at which the model processes it.
    pub scale: f32,
}

/// A page prepared for the model.
#[derive(Debug)]
pub struct Passage {
    look: Look,
    /// Divisor of the brightness before the model: the paper, or 1.
    light: Paper,
    /// Size at which the model processes the page, and the page at this size.
    size: (usize, usize),
    small: Vec<f32>,
    scale: f32,
    /// Weight of the unchanged page: 1 in pictures.
    pictures: Grid,
}

impl Passage {
    /// Prepares a page for a model that accepts strokes of up to `most` pixels; thicker ones are reduced to `usual`.
    ///
    /// # Errors
    /// There is nothing to clean.
    pub fn of(sample: &Sample, look: Look, [usual, most]: [f32; 2]) -> Result<Self, Unchanged> {
        let luma = Luma { sample, is_inverted: look.is_inverted, channel: None };
        if look.tones.is_none() {
            return Err(Unchanged::Empty);
        }
        if !look.is_page() && !look.may_be_page() {
            return Err(Unchanged::NoPage);
        }
        if look.is_clean() {
            return Err(Unchanged::Clean);
        }
        let (height, width) = luma.extents();
        let (darkest, brightest) = look.paper.range();
        let is_even = darkest > EVEN * brightest && brightest > BRIGHT && luma.channels() == 1;
        let light = if is_even { Paper::white(height, width) } else { look.paper.clone() };
        let scale = if look.stroke > most { look.stroke / usual } else { 1.0 };
        let reduced = |n: usize| ((n as f32 / scale).round() as usize).clamp(1, n);
        let size = (reduced(height), reduced(width));
        let [mut shrink, mut tones] = [(); 2].map(|()| Shrink::new((height, width), size));
        let mut row = vec![0.0; width];
        for y in 0..height {
            luma.flat(&light, y, &mut row);
            row.iter_mut().for_each(|v| *v = v.min(1.25));
            shrink.add(y, &row);
            // The paper that is measured in a picture follows its tones.
            luma.row(y, &mut row);
            row.iter_mut().for_each(|v| *v /= brightest);
            tones.add(y, &row);
        }
        let pictures = pictures(&tones.finish(), size.0, size.1);
        Ok(Self { look, light, size, small: shrink.finish(), scale, pictures })
    }

    /// Returns the input of the model: one gray image, paper bright.
    pub fn input(&self) -> Sample {
        let shape = Shape::image(1, self.size.0, self.size.1);
        Sample::new(shape, self.small.clone()).expect("brightness of a page is finite")
    }

    /// Builds the cleaned page `sample` from the result of the model for [`Passage::input`], and reports on its
    /// strokes.
    pub fn restore(self, sample: &Sample, clean: &Sample, strength: f32, depth: Depth) -> (Sample, Report) {
        match depth {
            Depth::U8 => self.restore_to::<u8>(sample, clean, strength),
            Depth::U16 => self.restore_to::<u16>(sample, clean, strength),
            Depth::F32 => self.restore_to::<f32>(sample, clean, strength),
        }
    }

    fn restore_to<T: Number>(self, sample: &Sample, clean: &Sample, strength: f32) -> (Sample, Report) {
        let luma = Luma { sample, is_inverted: self.look.is_inverted, channel: None };
        let cleaning = Cleaning::new(&self, luma, clean);
        let mut report = cleaning.tiles.report(&self);
        let paint = Paint { cleaning: &cleaning, strength };
        let (channels, height, width) = sample.shape().extents();
        let mut numbers = vec![T::from_f32(0.0); sample.shape().numbers()];
        let mut rows = vec![vec![0.0; width]; channels];
        let (mut ink, mut kept) = (0u64, 0u64);
        for y in 0..height {
            let (of_row, kept_of_row) = paint.row(y, &mut rows);
            (ink, kept) = (ink + of_row, kept + kept_of_row);
            for (channel, row) in rows.iter().enumerate() {
                let to = &mut numbers[(channel * height + y) * width..][..width];
                to.iter_mut().zip(row).for_each(|(to, v)| *to = T::from_f32(*v));
            }
        }
        report.kept = if ink > 0 { (kept as f64 / ink as f64) as f32 } else { 1.0 };
        (T::sample(sample.shape(), numbers).unwrap_or_else(|_| sample.clone()), report)
    }
}

/// Result of the model at the size of the page, with the strokes that it removed.
struct Cleaning<'a> {
    passage: &'a Passage,
    luma: Luma<'a>,
    enlarge: Enlarge,
    clean: Vec<f32>,
    /// Slope of the result over the page around each pixel, to restore fine detail; empty if both have the same size.
    slopes: Vec<f32>,
    /// Degree to which a stroke was lost at this pixel or next to it, 0 to 1.
    lost: Vec<f32>,
    /// Brightness around each pixel, relative to the paper.
    around: Vec<f32>,
    tiles: Tiles,
}

impl<'a> Cleaning<'a> {
    fn new(passage: &'a Passage, luma: Luma<'a>, clean: &Sample) -> Self {
        let (height, width) = passage.size;
        let mut small = vec![0.0; height * width];
        clean.read(0, &mut small);
        whiten(&mut small);
        let is_same = passage.size == luma.extents();
        let slopes = if is_same { Vec::new() } else { slopes(&passage.small, &small, height, width) };

        let black = passage.look.black;
        let Map { around, ink } = Map::of(&passage.small, height, width, black);
        let mut tiles = Tiles::new(passage.size);
        let mut lost = vec![0.0; height * width];
        for at in (0..height * width).filter(|at| ink[*at] != Ink::None) {
            if passage.pictures.values[passage.pictures.tile((at / width, at % width), passage.size)] > 0.0 {
                continue;
            }
            let stroke = leveled(passage.small[at], around[at]);
            let lighter = (small[at] - stroke) / (1.0 - black).max(0.05);
            if ink[at] == Ink::Stroke {
                tiles.count((at / width, at % width), lighter > LIGHTER[1]);
            }
            lost[at] = ((lighter - LIGHTER[0]) / (LIGHTER[1] - LIGHTER[0])).clamp(0.0, 1.0);
        }
        tiles.settle(&passage.look);
        let lost = widened(&lost, height, width);
        let enlarge = Enlarge::new(passage.size, luma.extents());
        Self { passage, luma, enlarge, clean: small, slopes, lost, around, tiles }
    }

    /// Computes row `y` of the page relative to its paper, and of the result with lost strokes restored. Returns the
    /// number of its pixels of ink outside of `pictures`, and of those that are ink in the result.
    fn row(&self, y: usize, pictures: &[f32], before: &mut [f32], after: &mut [f32]) -> (u64, u64) {
        let Self { passage, luma, enlarge, clean, slopes, .. } = self;
        let mut seen = vec![0.0; after.len()];
        let [mut coarse, mut slope] = [seen.clone(), seen.clone()];
        luma.flat(&passage.look.paper, y, before);
        luma.flat(&passage.light, y, &mut seen);
        enlarge.row(clean, y, after);
        if !slopes.is_empty() {
            enlarge.row(&passage.small, y, &mut coarse);
            enlarge.row(slopes, y, &mut slope);
            for (x, after) in after.iter_mut().enumerate() {
                *after += slope[x] * (seen[x].min(1.25) - coarse[x]);
            }
        }
        let [lost, around] = [&mut slope, &mut coarse];
        enlarge.row(&self.lost, y, lost);
        enlarge.row(&self.around, y, around);
        let middle = 0.5 * (1.0 + passage.look.black);
        let (mut ink, mut kept) = (0, 0);
        for (x, after) in after.iter_mut().enumerate() {
            let stroke = leveled(seen[x], around[x]);
            if lost[x] > 0.0 && stroke < *after {
                *after += lost[x] * (stroke - *after);
            }
            *after = after.clamp(0.0, 1.0);
            // A tenth of the contrast on either side of the threshold is tolerance for edges.
            if pictures[x] == 0.0 && stroke < middle - 0.1 * (1.0 - passage.look.black) {
                ink += 1;
                kept += u64::from(*after < middle + 0.1 * (1.0 - passage.look.black));
            }
        }
        (ink, kept)
    }
}

/// Divides a result by the brightness of its paper if the model left it gray: on even paper it cannot infer white.
fn whiten(clean: &mut [f32]) {
    let mut some: Vec<f32> = clean.iter().copied().step_by(clean.len().div_ceil(1 << 16)).collect();
    let at = some.len() * 7 / 10;
    let paper = *some.select_nth_unstable_by(at, f32::total_cmp).1;
    if (0.6..0.97).contains(&paper) {
        clean.iter_mut().for_each(|v| *v /= paper);
    }
}

/// Converts a brightness on paper as bright as `around` to paper of 1: paper becomes white and black stays black, so
/// that the edges of ink are not lightened as much as paper.
fn leveled(v: f32, around: f32) -> f32 {
    let around = around.max(0.05);
    v * (1.0 + (1.0 / around - 1.0) * (v / around).clamp(0.0, 1.0))
}

/// Returns the maximum of each position and its eight neighbours.
fn widened(plane: &[f32], height: usize, width: usize) -> Vec<f32> {
    let of = |at: usize| {
        let (y, x) = (at / width, at % width);
        let rows = y.saturating_sub(1)..(y + 2).min(height);
        rows.flat_map(|y| &plane[y * width..][x.saturating_sub(1)..(x + 2).min(width)])
            .copied()
            .fold(0.0, f32::max)
    };
    (0..height * width).map(of).collect()
}

/// Tiles of a page, with the ink in them.
struct Tiles {
    /// Number of pixels of ink, and of those that were lost.
    ink: Vec<(u32, u32)>,
    /// 1 for tiles to be returned unchanged, else 0.
    given_back: Grid,
    size: (usize, usize),
}

impl Tiles {
    /// Side of a tile in pixels of the model.
    const SIDE: usize = 48;

    fn new(size: (usize, usize)) -> Self {
        let given_back = Grid::new((size.0.div_ceil(Self::SIDE), size.1.div_ceil(Self::SIDE)), |_| 0.0);
        Self { ink: vec![(0, 0); given_back.values.len()], given_back, size }
    }

    fn count(&mut self, place: (usize, usize), is_lost: bool) {
        let at = self.given_back.tile(place, self.size);
        self.ink[at].0 += 1;
        self.ink[at].1 += u32::from(is_lost);
    }

    /// Returns `true` if more than half of the ink of a tile was lost, so that it is returned unchanged.
    fn is_bad((ink, lost): &(u32, u32)) -> bool {
        *ink > 20 && *lost as f32 > GIVEN_UP * *ink as f32
    }

    /// Returns the number of tiles with lost strokes, and of those with ink.
    fn bad(&self) -> (usize, usize) {
        let bad = self.ink.iter().filter(|tile| Self::is_bad(tile)).count();
        (bad, self.ink.iter().filter(|tile| tile.0 > 20).count())
    }

    fn is_hopeless(&self) -> bool {
        let (bad, inked) = self.bad();
        bad as f32 > HOPELESS * inked as f32
    }

    /// Decides the tiles to return unchanged: those with lost strokes, all if these are many, and those with nothing to
    /// clean on white paper.
    fn settle(&mut self, look: &Look) {
        let (rows, columns) = (self.given_back.rows, self.given_back.columns);
        let is_hopeless = self.is_hopeless();
        for (at, tile) in self.ink.iter().enumerate() {
            let is_even = look.is_white_at(at / columns, rows, at % columns, columns);
            self.given_back.values[at] = f32::from(u8::from(is_hopeless || is_even || Self::is_bad(tile)));
        }
    }

    fn report(&self, passage: &Passage) -> Report {
        let sum = |of: fn(&(u32, u32)) -> u32| self.ink.iter().map(|tile| f64::from(of(tile))).sum::<f64>();
        let (ink, lost) = (sum(|tile| tile.0), sum(|tile| tile.1));
        let put_back = if ink > 0.0 { (lost / ink) as f32 } else { 0.0 };
        let (bad, inked) = self.bad();
        let tiles = (if self.is_hopeless() { inked } else { bad }, inked);
        let pictures = &passage.pictures.values;
        let pictures = pictures.iter().sum::<f32>() / pictures.len() as f32;
        Report { kept: 1.0 - put_back, put_back, tiles, pictures, scale: passage.scale }
    }
}

/// Output of the page, row by row.
struct Paint<'a> {
    cleaning: &'a Cleaning<'a>,
    strength: f32,
}

impl Paint<'_> {
    /// Writes row `y` in all channels. Returns the number of its pixels of ink, and of those that are ink in the
    /// result.
    fn row(&self, y: usize, rows: &mut [Vec<f32>]) -> (u64, u64) {
        let Cleaning { passage, luma, .. } = self.cleaning;
        let width = rows[0].len();
        let [mut before, mut after, mut back, mut pictures] = [(); 4].map(|()| vec![0.0; width]);
        let height = luma.extents().0;
        let is_any_picture = passage.pictures.row(y, height, &mut pictures);
        let counts = self.cleaning.row(y, &pictures, &mut before, &mut after);
        let is_any_back = self.cleaning.tiles.given_back.row(y, height, &mut back) || is_any_picture;
        back.iter_mut().zip(&pictures).for_each(|(back, picture)| *back = back.max(*picture));
        if rows.len() == 1 {
            rows[0].copy_from_slice(&after);
        } else {
            self.colors(y, &before, &after, rows);
        }
        let mut seen = vec![0.0; width];
        for (channel, row) in rows.iter_mut().enumerate() {
            luma.of_channel(channel).row(y, &mut seen);
            for (x, v) in row.iter_mut().enumerate() {
                let change = self.strength * if is_any_back { 1.0 - back[x] } else { 1.0 };
                let out = seen[x] + change * (*v - seen[x]);
                *v = if passage.look.is_inverted { 1.0 - out } else { out };
            }
        }
        counts
    }

    /// Applies the change of brightness to the colours of ink on white paper: the contrast to paper changes in each
    /// channel by the same ratio, and coloured ink is never lightened.
    fn colors(&self, y: usize, before: &[f32], after: &[f32], rows: &mut [Vec<f32>]) {
        let Cleaning { passage, luma, .. } = self.cleaning;
        for (channel, row) in rows.iter_mut().enumerate() {
            luma.of_channel(channel).flat(&passage.look.channels[channel], y, row);
        }
        for x in 0..before.len() {
            let all = [rows[0][x], rows[1][x], rows[2][x]];
            let apart =
                all.iter().copied().fold(f32::MIN, f32::max) - all.iter().copied().fold(f32::MAX, f32::min);
            let is_colored = ((apart - COLORED[0]) / (COLORED[1] - COLORED[0])).clamp(0.0, 1.0);
            let ratio = ((1.0 - after[x]) / (1.0 - before[x]).max(0.02)).clamp(0.0, 1.6);
            let ratio = ratio + is_colored * (1.0 - ratio).max(0.0);
            rows.iter_mut().zip(all).for_each(|(row, v)| row[x] = (1.0 - ratio * (1.0 - v)).clamp(0.0, 1.0));
        }
    }
}
