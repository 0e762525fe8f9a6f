//! Ink: brightness and thickness of the parts of a page that are darker than its paper.

use super::luma::Luma;
use super::paper::Paper;

/// Bins of brightness relative to the paper, up to 1.25.
const STEPS: usize = 320;
const PER_UNIT: f32 = 256.0;
/// Length of the longest run of ink with its own bin, in pixels.
pub(super) const LONGEST: usize = 256;
/// Bins of darkness of runs, up to the brightness of paper.
const DARKNESS: usize = 64;

/// Brightness of the ink of a page, on the scale on which its paper is 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tones {
    /// Brightness of the ink.
    pub ink: f32,
    /// Threshold half way between ink and paper.
    pub middle: f32,
    /// Fraction of the pixels darker than the threshold.
    pub share: f32,
    /// Fraction of the pixels that are paper: brighter than paper minus a quarter of the contrast to the ink.
    pub paper: f32,
}

/// Runs of ink along rows and columns.
#[derive(Debug, Clone)]
pub(super) struct Runs {
    counts: [u32; LONGEST + 1],
    /// Histogram of the darkest brightness of the runs along rows, by run length.
    darkest: Vec<[u32; DARKNESS]>,
}

impl Tones {
    /// Measures a page with this paper; `None` if nothing on it is darker than 0.8 of the paper.
    pub(super) fn of(luma: Luma<'_>, paper: &Paper) -> Option<Self> {
        let (_, width) = luma.extents();
        let mut counts = [0u64; STEPS];
        let mut row = vec![0.0; width];
        for y in luma.some_rows() {
            luma.flat(paper, y, &mut row);
            row.iter().for_each(|v| counts[step(*v)] += 1);
        }
        Self::of_counts(&counts)
    }

    /// Returns `true` if the tones may be those of a page in a bad state.
    pub(super) fn may_be_page(&self) -> bool {
        self.share <= 0.45 && self.paper >= 0.35 && self.ink <= 0.75
    }

    /// Computes means of ink and paper on both sides of a threshold half way between them, starting from the dark side,
    /// so that stains on a page with little ink do not count as ink.
    fn of_counts(counts: &[u64; STEPS]) -> Option<Self> {
        let all: u64 = counts.iter().sum();
        let darkest = {
            // One pixel in 10,000 may be a speck and is not ink.
            let mut left = all / 10_000 + 1;
            counts.iter().position(|n| {
                let is_it = *n >= left;
                left = left.saturating_sub(*n);
                is_it
            })?
        };
        let darkest = darkest as f32 / PER_UNIT;
        if darkest > 0.8 {
            return None;
        }
        let mut middle = 0.5 * (darkest + 1.0);
        let mut ink = darkest;
        for _ in 0..8 {
            let dark = &counts[..=step(middle)];
            let count: u64 = dark.iter().sum();
            let sum: f64 = dark.iter().enumerate().map(|(i, n)| i as f64 * *n as f64).sum();
            ink = (sum / count.max(1) as f64) as f32 / PER_UNIT;
            middle = 0.5 * (ink + 1.0);
        }
        let share =
            |range: std::ops::Range<usize>| counts[range].iter().sum::<u64>() as f32 / all.max(1) as f32;
        let paper = share(step(1.0 - 0.25 * (1.0 - ink))..STEPS);
        Some(Self { ink, middle, share: share(0..step(middle)), paper })
    }
}

fn step(v: f32) -> usize {
    ((v * PER_UNIT) as usize).min(STEPS - 1)
}

impl Runs {
    /// Collects the runs of pixels darker than `middle`.
    pub fn of(luma: Luma<'_>, paper: &Paper, middle: f32) -> Self {
        let (height, width) = luma.extents();
        let mut runs = Self { counts: [0; LONGEST + 1], darkest: vec![[0; DARKNESS]; LONGEST + 1] };
        let mut row = vec![0.0; width];
        let mut down = vec![0u32; width];
        for y in 0..height {
            luma.flat(paper, y, &mut row);
            let (mut along, mut darkest) = (0, 1.0f32);
            for (v, down) in row.iter().zip(&mut down) {
                if *v < middle {
                    along += 1;
                    darkest = darkest.min(*v);
                    *down += 1;
                } else {
                    if along > 0 {
                        let at = ((darkest * DARKNESS as f32) as usize).min(DARKNESS - 1);
                        runs.darkest[(along as usize).min(LONGEST)][at] += 1;
                        darkest = 1.0;
                    }
                    runs.end(&mut along);
                    runs.end(down);
                }
            }
            runs.end(&mut along);
        }
        down.iter_mut().for_each(|down| runs.end(down));
        runs
    }

    fn end(&mut self, run: &mut u32) {
        if *run > 0 {
            self.counts[(*run as usize).min(LONGEST)] += 1;
            *run = 0;
        }
    }

    /// Returns the number of runs.
    pub fn count(&self) -> u64 {
        self.counts.iter().map(|n| u64::from(*n)).sum()
    }

    /// Returns the thickness of most strokes in pixels: mean of the runs between half and twice the median; 0 if there
    /// are none. Runs of one pixel have half the weight, so that specks only count if there is little else.
    pub fn thickness(&self) -> f32 {
        let mut counts = self.counts.map(f64::from);
        counts[1] *= 0.5;
        let all: f64 = counts.iter().sum();
        let mut seen = 0.0;
        let median = counts.iter().position(|n| {
            seen += n;
            seen >= 0.5 * all
        });
        let median = median.unwrap_or(0);
        let near = median.div_ceil(2)..(2 * median + 1).min(LONGEST + 1);
        let count: f64 = counts[near.clone()].iter().sum();
        let sum: f64 = near.map(|i| i as f64 * counts[i]).sum();
        if count > 0.0 { (sum / count) as f32 } else { 0.0 }
    }

    /// Returns the brightness of strokes of up to 4 times `thickness`: a third of them are darker. Stains are longer.
    pub fn black(&self, thickness: f32) -> f32 {
        let most = ((4.0 * thickness).ceil() as usize).min(LONGEST);
        // Runs of one pixel are edges or specks, unless all strokes are as thin.
        let least = if thickness < 2.0 { 1 } else { 2 };
        let mut counts = [0u64; DARKNESS];
        for run in &self.darkest[least..=most.max(least)] {
            counts.iter_mut().zip(run).for_each(|(sum, n)| *sum += u64::from(*n));
        }
        let third = counts.iter().sum::<u64>() / 3;
        let mut seen = 0;
        let found = counts.iter().position(|n| {
            seen += n;
            seen > third
        });
        (found.unwrap_or(0) as f32 + 0.5) / DARKNESS as f32
    }

    /// Returns the fraction of the runs that are at least `pixels` long.
    pub fn longer(&self, pixels: f32) -> f32 {
        let from = (pixels.ceil() as usize).min(LONGEST);
        let long: u64 = self.counts[from..].iter().map(|n| u64::from(*n)).sum();
        long as f32 / self.count().max(1) as f32
    }
}
