//! Map: positions of the strokes of a page, and the brightness around them, at the size at which the model processes
//! it.

/// Maximum thickness of strokes in pixels, 1 less than a power of two, and their minimum contrast to the surroundings,
/// as a fraction of the contrast between ink and paper. Thick faint bands are stains more often than strokes.
const STROKES: [(usize, f32); 2] = [(7, 0.4), (15, 0.65)];
/// Minimum ratio of the contrast of a stroke to the noise.
const NOISE: f32 = 5.0;
/// Maximum brightness of solid ink of any size, as a fraction of the contrast between ink and paper.
const SOLID: f32 = 0.12;

/// Strokes of a page.
#[derive(Debug)]
pub(super) struct Map {
    /// Brightness around each pixel: the background on both sides of a stroke.
    pub around: Vec<f32>,
    /// Class of each pixel.
    pub ink: Vec<Ink>,
}

/// Class of a pixel of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ink {
    /// Paper, or a stain on it.
    None,
    /// Part of a stroke.
    Stroke,
    /// As dark as ink, but larger than a stroke.
    Solid,
}

impl Map {
    /// Classifies the pixels of a plane on which paper is about 1 and strokes are as dark as `black`.
    pub fn of(page: &[f32], height: usize, width: usize, black: f32) -> Self {
        let soft = soften(page, height, width);
        let [near, far] = STROKES.map(|(reach, _)| around(&soft, height, width, reach));
        let contrast = 1.0 - black;
        let noise = noise(page, &soft, &near);
        let is_below = |v: f32, soft: f32, around: f32, share: f32| {
            around - soft > NOISE * noise && around - soft.min(v) > share * contrast * around
        };
        let of = |at: usize| {
            let (v, soft) = (page[at], soft[at]);
            let is_solid = v < black + SOLID * contrast;
            if is_below(v, soft, far[at], STROKES[1].1) {
                (far[at], Ink::Stroke)
            } else if is_below(v, soft, near[at], STROKES[0].1) {
                (near[at], Ink::Stroke)
            } else if is_solid {
                (far[at], Ink::Solid)
            } else {
                (near[at], Ink::None)
            }
        };
        let (around, ink) = (0..page.len()).map(of).unzip();
        Self { around, ink }
    }
}

/// Smooths with weights 1, 2, 1 along rows and columns.
fn soften(page: &[f32], height: usize, width: usize) -> Vec<f32> {
    let mut wide = page.to_vec();
    for (to, row) in wide.chunks_exact_mut(width).zip(page.chunks_exact(width)) {
        for x in 0..width {
            let (left, right) = (row[x.saturating_sub(1)], row[(x + 1).min(width - 1)]);
            to[x] = 0.25 * (left + right) + 0.5 * row[x];
        }
    }
    let mut soft = wide.clone();
    for y in 0..height {
        let rows = [y.saturating_sub(1), y, (y + 1).min(height - 1)].map(|y| &wide[y * width..][..width]);
        for (x, to) in soft[y * width..][..width].iter_mut().enumerate() {
            *to = 0.25 * (rows[0][x] + rows[2][x]) + 0.5 * rows[1][x];
        }
    }
    soft
}

/// Estimates the noise of the smoothed page on its paper.
fn noise(page: &[f32], soft: &[f32], around: &[f32]) -> f32 {
    /// Two factors: standard deviation over median of the absolute values of normal noise; and noise left by the
    /// smoothing over noise removed by it.
    const SOFTENED: f32 = 1.4826 * 0.375 / 0.8;
    let paper = page.iter().zip(soft).zip(around).filter(|((_, soft), around)| **soft > 0.8 * **around);
    let mut steps: Vec<f32> = paper.map(|((v, soft), _)| (v - soft).abs()).step_by(7).collect();
    if steps.is_empty() {
        return 0.0;
    }
    let middle = steps.len() / 2;
    SOFTENED * *steps.select_nth_unstable_by(middle, f32::total_cmp).1
}

/// Returns the maximum on the darker side of each pixel, along its row or its column, whichever is brighter: the
/// morphological closing of a page by lines. Beyond the borders the page is white.
fn around(page: &[f32], height: usize, width: usize, most: usize) -> Vec<f32> {
    let mut lines = page.to_vec();
    lines.chunks_exact_mut(width).for_each(|row| brightest(row, 1, most));
    let mut columns = page.to_vec();
    brightest(&mut columns, width, most);
    let of = |at: usize| {
        let (y, x) = (at / width, at % width);
        let here = page[at];
        let ahead = |n: usize, k: usize, line: f32| if k + most >= n { line.max(1.0) } else { line };
        let across = ahead(width, x, lines[at]).min(if x < most { 1.0 } else { lines[at - most] });
        let down = ahead(height, y, columns[at]).min(if y < most { 1.0 } else { columns[at - most * width] });
        across.max(down).max(here)
    };
    (0..height * width).map(of).collect()
}

/// Replaces each value by the maximum of it and the next `most` values at distance `step`.
fn brightest(line: &mut [f32], step: usize, most: usize) {
    let mut reach = 1;
    while reach <= most {
        for at in 0..line.len().saturating_sub(reach * step) {
            line[at] = line[at].max(line[at + reach * step]);
        }
        reach *= 2;
    }
}
