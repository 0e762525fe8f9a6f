//! Tiles: how a large sample is cut so that its parts give what the whole would.
//!
//! Pure geometry: knows no model and no tensor. A tile's core is what it contributes; around it lies what the decoder
//! must see, and around that what the encoder must see. The cut is a function of the sample's size alone, so results
//! do not depend on threads or load.

use std::ops::Range;

/// Cores of images are squares of about this side, in pixels: large enough that halos cost little, small enough that
/// a tile takes a fraction of a second.
const CORE: usize = 1024;

/// Images of more pixels than [`LARGE`] are cut finer: their own numbers take the memory that larger tiles would.
const CORE_OF_LARGE: usize = 640;

/// See [`CORE_OF_LARGE`].
const LARGE: usize = 1 << 25;

/// Images of no more pixels are one tile, without halo.
const WHOLE: usize = 1 << 20;

/// Cores of signals are about so many steps in time.
const CORE_OF_LINE: usize = 1 << 16;

/// Tiles begin at multiples of this: 4x4 Winograd tiles at 1/8 of the size stay in place.
const ALIGN: usize = 32;

/// A rectangle: rows and columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Area {
    /// Rows.
    pub rows: Range<usize>,
    /// Columns.
    pub cols: Range<usize>,
}

/// One tile: `core` lies in `inner`, `inner` in `outer`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tile {
    /// What the tile contributes.
    pub core: Area,
    /// What the decoder sees.
    pub inner: Area,
    /// What the encoder sees.
    pub outer: Area,
}

impl Area {
    /// The whole of `height` x `width`.
    pub fn whole(height: usize, width: usize) -> Self {
        Self { rows: 0..height, cols: 0..width }
    }

    /// Its rows and columns.
    pub fn size(&self) -> (usize, usize) {
        (self.rows.len(), self.cols.len())
    }

    /// The same area on a map that is so many times smaller in rows and in columns.
    pub fn at(&self, (rows, cols): (usize, usize)) -> Self {
        let shrink = |r: &Range<usize>, by: usize| r.start / by..r.end / by;
        Self { rows: shrink(&self.rows, rows), cols: shrink(&self.cols, cols) }
    }

    /// The part of it inside `height` x `width`.
    pub fn inside(&self, height: usize, width: usize) -> Self {
        let cut = |r: &Range<usize>, end: usize| r.start.min(end)..r.end.min(end);
        Self { rows: cut(&self.rows, height), cols: cut(&self.cols, width) }
    }
}

/// Whether a sample of `height` x `width` is one tile.
pub fn is_whole(height: usize, width: usize) -> bool {
    if height == 1 { width <= CORE_OF_LINE } else { height.saturating_mul(width) <= WHOLE }
}

/// Whether an image is so large that its tiles have to be small.
pub fn is_large(height: usize, width: usize) -> bool {
    height > 1 && height.saturating_mul(width) > LARGE
}

/// Cuts `height` x `width` into tiles that reach at least so far beyond their cores, except at the sample's own
/// borders: by `decoder` for the decoder, by `encoder` more for the encoder. What has one row is a line.
pub fn plan(height: usize, width: usize, encoder: usize, decoder: usize) -> Vec<Tile> {
    if is_whole(height, width) {
        let whole = Area::whole(height, width);
        return vec![Tile { core: whole.clone(), inner: whole.clone(), outer: whole }];
    }
    let core = match height {
        1 => CORE_OF_LINE,
        _ if is_large(height, width) => CORE_OF_LARGE,
        _ => CORE,
    };
    let decoder = decoder.next_multiple_of(ALIGN);
    let halos = [0, decoder, decoder + encoder.next_multiple_of(ALIGN)];
    let (rows, cols) = (cut(height, core, halos), cut(width, core, halos));
    let area = |rows: &Range<usize>, cols: &Range<usize>| Area { rows: rows.clone(), cols: cols.clone() };
    let tile = |y: &[Range<usize>; 3], x: &[Range<usize>; 3]| Tile {
        core: area(&y[0], &x[0]),
        inner: area(&y[1], &x[1]),
        outer: area(&y[2], &x[2]),
    };
    rows.iter().flat_map(|y| cols.iter().map(|x| tile(y, x))).collect()
}

/// Cuts an axis into about equal parts of at most about `core`, each widened by every one of `halos`.
fn cut(n: usize, core: usize, halos: [usize; 3]) -> Vec<[Range<usize>; 3]> {
    let step = n.div_ceil(n.div_ceil(core)).next_multiple_of(ALIGN);
    let part = |start: usize| {
        let end = n.min(start + step);
        halos.map(|halo| start.saturating_sub(halo)..n.min(end + halo))
    };
    (0..n).step_by(step).map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_cover_every_pixel_once_and_lie_in_their_halos() {
        let (height, width) = (2056, 1000);
        let mut seen = vec![0u8; height * width];
        for Tile { core, inner, outer } in plan(height, width, 50, 20) {
            for (small, large) in [(&core, &inner), (&inner, &outer)] {
                assert!(large.rows.start <= small.rows.start && small.rows.end <= large.rows.end);
                assert!(large.cols.start <= small.cols.start && small.cols.end <= large.cols.end);
            }
            assert!(outer.cols.start.is_multiple_of(ALIGN) && outer.rows.start.is_multiple_of(ALIGN));
            assert!(outer.rows.start == 0 || inner.rows.start - outer.rows.start >= 50);
            for y in core.rows {
                core.cols.clone().for_each(|x| seen[y * width + x] += 1);
            }
        }
        assert!(seen.iter().all(|&n| n == 1));
    }

    #[test]
    fn a_small_image_is_one_tile_without_halo() {
        let whole = Area::whole(8, 16);
        let tile = Tile { core: whole.clone(), inner: whole.clone(), outer: whole };
        assert_eq!(plan(8, 16, 50, 50), [tile]);
    }

    #[test]
    fn a_line_is_cut_into_longer_parts() {
        let tiles = plan(1, 2 * CORE_OF_LINE, 50, 0);
        assert_eq!(tiles.len(), 2);
        assert_eq!(tiles[1].outer.cols, CORE_OF_LINE - 64..2 * CORE_OF_LINE);
    }
}
