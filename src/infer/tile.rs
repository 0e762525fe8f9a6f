//! Tiles: how a large image is cut so that its parts give what the whole would.
//!
//! Pure geometry: knows no model and no tensor. A tile's core is what it contributes; its halo is what
//! the network must see around the core.

use std::ops::Range;

/// Cores of images are squares of this side, in pixels.
pub const CORE: usize = 1024;

/// Cores of signals are so many steps in time.
pub const CORE_OF_LINE: usize = 1 << 16;

/// Cores and halos begin at multiples of this: 4x4 Winograd tiles at 1/8 of the size stay in place.
pub const ALIGN: usize = 32;

/// A rectangle: rows and columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Area {
    /// Rows.
    pub rows: Range<usize>,
    /// Columns.
    pub cols: Range<usize>,
}

/// One tile: `core` lies in `outer`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tile {
    /// What the tile contributes.
    pub core: Area,
    /// What the network sees.
    pub outer: Area,
}

impl Area {
    /// The whole of `height` x `width`.
    pub fn whole(height: usize, width: usize) -> Self {
        Self { rows: 0..height, cols: 0..width }
    }

    /// The same area on a map that is so many times smaller in rows and in columns.
    pub fn at(&self, (rows, cols): (usize, usize)) -> Self {
        let shrink = |r: &Range<usize>, by: usize| r.start / by..r.end / by;
        Self { rows: shrink(&self.rows, rows), cols: shrink(&self.cols, cols) }
    }

    /// The same area counted from the corner of `outer`.
    pub fn within(&self, outer: &Self) -> Self {
        let shift = |r: &Range<usize>, by: usize| r.start - by..r.end - by;
        Self { rows: shift(&self.rows, outer.rows.start), cols: shift(&self.cols, outer.cols.start) }
    }
}

/// Cuts `height` x `width` into tiles whose outer areas reach at least `reach` beyond their cores,
/// except at the sample's own borders. What has one row is a line.
pub fn plan(height: usize, width: usize, reach: usize) -> Vec<Tile> {
    let halo = reach.next_multiple_of(ALIGN);
    let core = if height == 1 { CORE_OF_LINE } else { CORE };
    let cut = |n: usize| {
        (0..n).step_by(core).map(move |start| {
            let end = n.min(start + core);
            (start..end, start.saturating_sub(halo)..n.min(end + halo))
        })
    };
    let tile = |(rows, outer_rows): (Range<usize>, Range<usize>)| {
        cut(width).map(move |(cols, outer_cols)| Tile {
            core: Area { rows: rows.clone(), cols },
            outer: Area { rows: outer_rows.clone(), cols: outer_cols },
        })
    };
    cut(height).flat_map(tile).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_cover_every_pixel_once_and_lie_in_their_outer_areas() {
        let (height, width) = (2056, 1000);
        let mut seen = vec![0u8; height * width];
        for tile in plan(height, width, 50) {
            assert!(
                tile.outer.rows.start <= tile.core.rows.start && tile.core.rows.end <= tile.outer.rows.end
            );
            assert!(
                tile.outer.cols.start.is_multiple_of(ALIGN) && tile.outer.rows.start.is_multiple_of(ALIGN)
            );
            for y in tile.core.rows {
                tile.core.cols.clone().for_each(|x| seen[y * width + x] += 1);
            }
        }
        assert!(seen.iter().all(|&n| n == 1));
    }

    #[test]
    fn a_small_image_is_one_tile_without_halo() {
        let whole = Area::whole(8, 16);
        assert_eq!(plan(8, 16, 50), [Tile { core: whole.clone(), outer: whole }]);
    }

    #[test]
    fn a_line_is_cut_into_longer_parts() {
        let tiles = plan(1, 2 * CORE_OF_LINE, 50);
        assert_eq!(tiles.len(), 2);
        assert_eq!(tiles[1].outer.cols, CORE_OF_LINE - 64..2 * CORE_OF_LINE);
    }
}
