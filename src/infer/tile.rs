//! Tiles: how a large sample is cut so that its parts give what the whole would.
//!
//! Pure geometry: knows no model and no tensor. A tile's core is what it contributes; around it lies what the decoder
//! must see of each map of the latent, the coarser the farther, and around that what the encoder must see. The cut is
//! a function of the sample's size alone, so results do not depend on threads or load.

use std::ops::Range;

use crate::nn::model::Reach;

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

/// Maps begin at multiples of so many of their places: 4x4 Winograd tiles stay where they would be in the whole.
const ALIGN: usize = 4;

/// A rectangle: rows and columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Area {
    /// Rows.
    pub rows: Range<usize>,
    /// Columns.
    pub cols: Range<usize>,
}

/// One tile: `core` lies in the areas of `maps`, the finer in the coarser, and these in `outer`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tile {
    /// What the tile contributes.
    pub core: Area,
    /// What the decoder sees of each map of the latent, coarsest first. The result covers the last.
    pub maps: [Area; 3],
    /// What the encoder sees.
    pub outer: Area,
}

impl Tile {
    /// `height` x `width` in one piece.
    pub fn whole(height: usize, width: usize) -> Self {
        let whole = Area::whole(height, width);
        Self { core: whole.clone(), maps: [whole.clone(), whole.clone(), whole.clone()], outer: whole }
    }
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

/// Cuts `height` x `width` into tiles whose areas reach as far beyond their cores as the parts of the network look,
/// except at the sample's own borders. `scales` are those of the maps, coarsest first. What has one row is a line.
pub fn plan(height: usize, width: usize, scales: [usize; 3], reach: Reach) -> Vec<Tile> {
    if is_whole(height, width) {
        return vec![Tile::whole(height, width)];
    }
    let core = match height {
        1 => CORE_OF_LINE,
        _ if is_large(height, width) => CORE_OF_LARGE,
        _ => CORE,
    };
    let align = ALIGN * scales[0];
    let maps: [usize; 3] = std::array::from_fn(|i| reach.decoder[i].next_multiple_of(ALIGN * scales[i]));
    let outer = (maps[0] + reach.encoder).next_multiple_of(align);
    let halos = [0, maps[0], maps[1], maps[2], outer];
    let (rows, cols) = (cut(height, core, align, halos), cut(width, core, align, halos));
    let tile = |y: &[Range<usize>; 5], x: &[Range<usize>; 5]| {
        let area = |i: usize| Area { rows: y[i].clone(), cols: x[i].clone() };
        Tile { core: area(0), maps: [area(1), area(2), area(3)], outer: area(4) }
    };
    rows.iter().flat_map(|y| cols.iter().map(|x| tile(y, x))).collect()
}

/// Cuts an axis into about equal parts of at most about `core`, a multiple of `align`, each widened by every one of
/// `halos`.
fn cut(n: usize, core: usize, align: usize, halos: [usize; 5]) -> Vec<[Range<usize>; 5]> {
    let step = n.div_ceil(n.div_ceil(core)).next_multiple_of(align);
    let part = |start: usize| {
        let end = n.min(start + step);
        halos.map(|halo| start.saturating_sub(halo)..n.min(end + halo))
    };
    (0..n).step_by(step).map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCALES: [usize; 3] = [8, 4, 2];
    const REACH: Reach = Reach { encoder: 46, decoder: [64, 28, 18] };

    #[test]
    fn cores_cover_every_pixel_once_and_areas_lie_in_each_other() {
        let (height, width) = (2056, 1000);
        let mut seen = vec![0u8; height * width];
        for Tile { core, maps: [coarse, middle, fine], outer } in plan(height, width, SCALES, REACH) {
            for (small, large) in [(&core, &fine), (&fine, &middle), (&middle, &coarse), (&coarse, &outer)] {
                assert!(large.rows.start <= small.rows.start && small.rows.end <= large.rows.end);
                assert!(large.cols.start <= small.cols.start && small.cols.end <= large.cols.end);
            }
            for (area, scale) in [(&outer, 8), (&coarse, 8), (&middle, 4), (&fine, 2)] {
                assert!(
                    area.rows.start.is_multiple_of(4 * scale) && area.cols.start.is_multiple_of(4 * scale)
                );
            }
            assert!(outer.rows.start == 0 || core.rows.start - outer.rows.start >= 64 + 46);
            assert!(fine.rows.end == height || fine.rows.end - core.rows.end >= 18);
            for y in core.rows {
                core.cols.clone().for_each(|x| seen[y * width + x] += 1);
            }
        }
        assert!(seen.iter().all(|&n| n == 1));
    }

    #[test]
    fn a_small_image_is_one_tile_without_halo() {
        assert_eq!(plan(8, 16, SCALES, REACH), [Tile::whole(8, 16)]);
    }

    #[test]
    fn a_line_is_cut_into_longer_parts() {
        let tiles = plan(1, 2 * CORE_OF_LINE, [16, 8, 4], Reach { encoder: 50, ..Reach::default() });
        assert_eq!(tiles.len(), 2);
        assert_eq!(tiles[1].outer.cols, CORE_OF_LINE - 64..2 * CORE_OF_LINE);
    }
}
