//! Pictures: photographs and shaded drawings in a page, which a model of strokes would turn white.

use super::grid::Grid;

/// Side of a tile, in pixels of the model.
const SIDE: usize = 24;
/// Difference from the background of a tile, as a fraction of it, up to which a pixel is background.
const NEAR: f32 = 0.08;
/// Brightness, as a fraction of the background, below which a pixel is ink.
const INK: f32 = 0.35;
/// Background below which, and fraction of pixels between background and ink above which, a tile is surely of a picture: the
/// background of text is paper, and its strokes have few pixels between.
const DARK: f32 = 0.7;
const BETWEEN: f32 = 0.3;
/// The same for a tile that belongs to a picture if one is beside it.
const DIM: f32 = 0.85;
const SOME: f32 = 0.25;
/// Smallest number of sure tiles of a picture, and smallest fraction of its tiles. The stained pages of NoisyOffice have at
/// most 17 sure tiles, nine of ten photographs of BSDS at least 106.
const FEWEST: usize = 24;
const SURE: f32 = 0.05;

/// Finds the pictures in a page of `height` x `width`, at the size of the model and with brightness relative to the brightest
/// paper: 1 for their tiles and those around, which may hold an edge of the picture, 0 for all others. Adjacent tiles, diagonal
/// ones too, form one picture.
pub fn pictures(page: &[f32], height: usize, width: usize) -> Grid {
    let (rows, columns) = (height.div_ceil(SIDE), width.div_ceil(SIDE));
    let tiles: Vec<Tile> = (0..rows * columns)
        .map(|at| {
            let (top, left) = (at / columns * SIDE, at % columns * SIDE);
            let (bottom, right) = ((top + SIDE).min(height), (left + SIDE).min(width));
            let pixels = (top..bottom).flat_map(|y| &page[y * width..][left..right]).copied();
            Tile::of(pixels.collect())
        })
        .collect();
    let mut grid = Grid::new((rows, columns), |_| 0.0);
    let mut is_seen = vec![false; tiles.len()];
    for start in 0..tiles.len() {
        let region = region(start, columns, &tiles, &mut is_seen);
        let sure = region.iter().filter(|at| tiles[**at].is_sure()).count();
        if sure >= FEWEST && sure as f32 >= SURE * region.len() as f32 {
            region
                .iter()
                .flat_map(|at| around(*at, columns, tiles.len()))
                .for_each(|at| grid.values[at] = 1.0);
        }
    }
    grid
}

/// Tones of a tile.
struct Tile {
    /// Brightness of its background: four fifths of the pixels are not brighter.
    background: f32,
    /// Fraction of the pixels between background and ink.
    between: f32,
}

impl Tile {
    fn of(mut pixels: Vec<f32>) -> Self {
        let at = pixels.len() * 4 / 5;
        let background = *pixels.select_nth_unstable_by(at, f32::total_cmp).1;
        let is_between = |v: &&f32| (*v - background).abs() > NEAR * background && **v >= INK * background;
        let between = pixels.iter().filter(is_between).count() as f32 / pixels.len() as f32;
        Self { background, between }
    }

    fn is_sure(&self) -> bool {
        self.background < DARK && self.between > BETWEEN
    }

    fn may_be_picture(&self) -> bool {
        self.background < DIM || self.between > SOME
    }
}

/// Returns the tiles that may be of one picture with tile `start`, none if they were seen before, and marks them as seen.
fn region(start: usize, columns: usize, tiles: &[Tile], is_seen: &mut [bool]) -> Vec<usize> {
    let mut found = Vec::new();
    let mut open = vec![start];
    while let Some(at) = open.pop() {
        if is_seen[at] || !tiles[at].may_be_picture() {
            continue;
        }
        is_seen[at] = true;
        found.push(at);
        open.extend(around(at, columns, tiles.len()));
    }
    found
}

/// Iterates over a tile and its eight neighbours, of `count` tiles in rows of `columns`.
fn around(at: usize, columns: usize, count: usize) -> impl Iterator<Item = usize> {
    let (row, column) = (at / columns, at % columns);
    let rows = row.saturating_sub(1)..(row + 2).min(count / columns);
    rows.flat_map(move |y| {
        (column.saturating_sub(1)..(column + 2).min(columns)).map(move |x| y * columns + x)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, Rng};

    const HEIGHT: usize = 480;
    const WIDTH: usize = 600;

    /// Lines of strokes of two pixels on paper whose brightness is `paper(y, x)`.
    fn text(paper: impl Fn(usize, usize) -> f32) -> Vec<f32> {
        let pixel = |(y, x): (usize, usize)| {
            let is_ink = y % 20 < 12 && (x * 5 + y / 20 * 7) % 11 < 2;
            if is_ink { 0.1 } else { paper(y, x) }
        };
        (0..HEIGHT * WIDTH).map(|i| pixel((i / WIDTH, i % WIDTH))).collect()
    }

    fn count(page: &[f32]) -> usize {
        pictures(page, HEIGHT, WIDTH).values.iter().filter(|v| **v == 1.0).count()
    }

    #[test]
    fn text_stains_and_shadows_are_no_pictures() {
        assert_eq!(count(&text(|_, _| 1.0)), 0);
        assert_eq!(count(&text(|y, x| 1.0 - 0.6 * (x + y) as f32 / 1080.0)), 0);
        let stain = |y: usize, x: usize| y.abs_diff(200).pow(2) + x.abs_diff(300).pow(2) < 150 * 150;
        assert_eq!(count(&text(|y, x| if stain(y, x) { 0.6 } else { 1.0 })), 0);
    }

    #[test]
    fn a_photograph_in_a_page_is_a_picture_and_nothing_else_is() {
        let mut rng = Rng::new(1, Purpose::Evaluate, 0);
        let mut tones = vec![0.0; 30 * 30];
        tones.iter_mut().for_each(|v| *v = 0.1 + 0.7 * rng.uniform());
        // Smooth tones on a grid of 8 pixels.
        let photo = |y: usize, x: usize| {
            let (fy, fx) = ((y % 8) as f32 / 8.0, (x % 8) as f32 / 8.0);
            let at = |dy: usize, dx: usize| tones[(y / 8 + dy) * 30 + x / 8 + dx];
            (at(0, 0) * (1.0 - fx) + at(0, 1) * fx) * (1.0 - fy)
                + (at(1, 0) * (1.0 - fx) + at(1, 1) * fx) * fy
        };
        let mut page = text(|_, _| 1.0);
        for y in 0..192 {
            (0..216).for_each(|x| page[(y + 120) * WIDTH + x + 240] = photo(y, x));
        }
        let grid = pictures(&page, HEIGHT, WIDTH);
        for (at, value) in grid.values.iter().enumerate() {
            let (row, column) = (at / grid.columns, at % grid.columns);
            let is_inside = (4..14).contains(&row) && (9..20).contains(&column);
            assert_eq!(*value == 1.0, is_inside, "tile {row}, {column}");
        }
    }
}
