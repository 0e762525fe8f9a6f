//! Even: finds the cells of a page whose paper has one level beyond the strokes, so that there is nothing to clean.

use super::luma::Luma;
use super::paper::{Cells, Paper};

/// Difference from the level of the paper, on [0, 1], up to which a pixel has that level: drawn by a program, or clipped to white
/// by a scanner.
const LEVEL: f32 = 2.5 / 255.0;
/// Fraction of the pixels beyond the strokes that must have it.
const MOST: f32 = 0.97;
/// Marks of a pixel: ink within reach in its row, and ink within reach.
const IN_ROW: u8 = 1;
const NEAR: u8 = 2;

/// Returns the flags of the cells with paper of one level and nothing else except ink, darker than `ink` of the paper's
/// brightness, and its edges, up to `reach` pixels wide; all `false` if `paper` itself varies.
///
/// A cell full of strokes has no pixel beyond them, and is as the rest of the page.
pub(super) fn even(luma: Luma<'_>, paper: &Paper, cells: &Cells, ink: f32, reach: usize) -> Vec<bool> {
    let (low, high) = paper.range();
    if high - low > LEVEL {
        return vec![false; cells.counts.len()];
    }
    let (height, width) = luma.extents();
    let mut marks = vec![0u8; height * width];
    let mut row = vec![0.0; width];
    let mut age = vec![usize::MAX; width];
    for (y, marks) in marks.chunks_exact_mut(width).enumerate() {
        luma.row(y, &mut row);
        mark(&row, ink * high, reach, marks);
        reached(marks, &mut age, reach);
    }
    // From the last row to the first, ink below a pixel is known too.
    let mut seen = vec![(0u32, 0u32); cells.counts.len()];
    age.fill(usize::MAX);
    for (y, marks) in marks.chunks_exact_mut(width).enumerate().rev() {
        luma.row(y, &mut row);
        reached(marks, &mut age, reach);
        let seen = &mut seen[y * cells.rows / height * cells.columns..][..cells.columns];
        for (x, v) in row.iter().enumerate().filter(|(x, _)| marks[*x] & NEAR == 0) {
            let (all, level) = &mut seen[x * cells.columns / width];
            *all += 1;
            *level += u32::from((v - high).abs() <= LEVEL);
        }
    }
    let is_even = |(all, level): (u32, u32)| level as f32 >= MOST * all as f32;
    let page = is_even(seen.iter().fold((0, 0), |(all, level), cell| (all + cell.0, level + cell.1)));
    seen.into_iter().map(|cell| if cell.0 == 0 { page } else { is_even(cell) }).collect()
}

/// Marks the pixels of a row with ink within reach in it.
fn mark(row: &[f32], darkest: f32, reach: usize, marks: &mut [u8]) {
    let mut end = 0;
    for x in (0..row.len()).filter(|x| row[*x] < darkest) {
        // Pixels before `end` are marked already.
        let from = x.saturating_sub(reach).max(end);
        end = (x + reach + 1).min(row.len());
        marks[from..end].fill(IN_ROW);
    }
}

/// Marks the pixels of a row that are near ink of the rows before it; `age` counts the rows since ink in each column.
fn reached(marks: &mut [u8], age: &mut [usize], reach: usize) {
    for (mark, age) in marks.iter_mut().zip(age) {
        *age = if *mark & IN_ROW != 0 { 0 } else { age.saturating_add(1) };
        if *age <= reach {
            *mark |= NEAR;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{Sample, Shape};

    const SIDE: usize = 240;

    /// Flags of a page of soft bars, with each pixel changed by `change` of its row, its column and its brightness.
    fn flags(change: impl Fn(usize, usize, f32) -> f32) -> Vec<bool> {
        // Bars of 4 pixels every 12, with edges of 2 gray pixels each side.
        let bar = |x: usize| [0.8, 0.4, 0.1, 0.1, 0.1, 0.1, 0.4, 0.8].get(x % 12).copied().unwrap_or(1.0);
        let tone = |i: usize| {
            let (y, x) = (i / SIDE, i % SIDE);
            let text = if (40..200).contains(&y) { bar(x) } else { 1.0 };
            (change(y, x, text) * 255.0).round() as u8
        };
        let bytes = (0..SIDE * SIDE).map(tone).collect();
        let sample = Sample::from_bytes(Shape::image(1, SIDE, SIDE), bytes).unwrap();
        let luma = Luma { sample: &sample, is_inverted: false, channel: None };
        let cells = Cells::of(luma);
        even(luma, &cells.paper(), &cells, 0.55, 3)
    }

    #[test]
    fn soft_strokes_on_one_level_are_even_however_dense() {
        assert!(flags(|_, _, v| v).into_iter().all(|flag| flag));
        assert!(flags(|_, _, v| 0.86 * v).into_iter().all(|flag| flag));
    }

    #[test]
    fn stains_and_noise_are_not() {
        // A stain that leaves the ink: rows 0 to 23 are a row of cells.
        let stained = flags(|y, x, v| if y < 20 && x < 120 { 0.8 * v } else { v });
        let columns = (stained.len() as f32).sqrt() as usize;
        assert!(!stained[0] && stained[columns - 1] && stained[stained.len() - 1]);
        let noisy = flags(|y, x, v| v - if (y * 7 + x * 3) % 5 == 0 { 0.02 } else { 0.0 });
        assert!(noisy.into_iter().all(|flag| !flag));
        assert!(flags(|y, _, v| v * (1.0 - y as f32 / 1000.0)).into_iter().all(|flag| !flag));
    }
}
