//! Tiles: how a large sample is cut so that its parts give what the whole would.
//!
//! Pure geometry: knows no model and no tensor. A tile's core is what it contributes; around it lies what the decoder
//! must see of each map of the latent, the coarser the farther. Of that the encoder makes only what no earlier tile
//! did, and sees so far around it. The cut is a function of the sample's size alone, so results do not depend on
//! threads or load.

use std::ops::Range;

use crate::nn::model::Reach;

/// Images of no more pixels are one tile, without halo, and cores of larger ones have at most about so many. Tiles twice as
/// large have fewer halos, half as large ones stay nearer to the processor; both take as long (two Intel cores, 12 megapixels).
const CORE: usize = 1 << 20;

/// Images of more pixels than [`LARGE`] are cut finer: their own numbers take the memory that larger tiles would.
const CORE_OF_LARGE: usize = 1 << 19;

/// See [`CORE_OF_LARGE`].
const LARGE: usize = 1 << 25;

/// Rows of tiles that are looked into, more than any image within the limits needs: its sizes are the caller's word.
const MOST: usize = 1 << 12;

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

/// One tile: `core` lies in the areas of `maps`, the finer in the coarser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tile {
    /// What the tile contributes.
    pub core: Area,
    /// The part of the latent that is this tile's to make. With those of the tiles before it, it covers `maps`.
    pub fresh: Area,
    /// What the decoder sees of each map of the latent, coarsest first. The result covers the last.
    pub maps: [Area; 3],
    /// What the encoder sees.
    pub outer: Area,
}

impl Tile {
    /// `height` x `width` in one piece.
    pub fn whole(height: usize, width: usize) -> Self {
        let whole = Area::whole(height, width);
        let maps = [whole.clone(), whole.clone(), whole.clone()];
        Self { core: whole.clone(), fresh: whole.clone(), maps, outer: whole }
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

    /// The part of it before the end of `whole`.
    pub fn inside(&self, whole: &Area) -> Self {
        let cut = |r: &Range<usize>, end: usize| r.start.min(end)..r.end.min(end);
        Self { rows: cut(&self.rows, whole.rows.end), cols: cut(&self.cols, whole.cols.end) }
    }

    /// Rows times columns.
    pub fn places(&self) -> usize {
        self.rows.len() * self.cols.len()
    }
}

/// Whether a sample of `height` x `width` is one tile.
pub fn is_whole(height: usize, width: usize) -> bool {
    if height == 1 { width <= CORE_OF_LINE } else { height.saturating_mul(width) <= CORE }
}

/// Whether an image is so large that its tiles have to be small.
pub fn is_large(height: usize, width: usize) -> bool {
    height > 1 && height.saturating_mul(width) > LARGE
}

/// Cuts `height` x `width` into tiles whose areas reach as far beyond their cores as the parts of the network look,
/// except at the sample's own borders. `scales` are those of the maps, coarsest first. What has one row is a line.
pub fn plan(height: usize, width: usize, scales: [usize; 3], reach: Reach) -> Vec<Tile> {
    plan_first(usize::MAX, height, width, scales, reach)
}

/// The tiles in the first `count` rows and columns of [`plan`]. Among those of the first three are the largest.
pub fn plan_first(count: usize, height: usize, width: usize, scales: [usize; 3], reach: Reach) -> Vec<Tile> {
    if is_whole(height, width) {
        return vec![Tile::whole(height, width)];
    }
    let (down, across) = match height {
        1 => (1, width.div_ceil(CORE_OF_LINE)),
        _ if is_large(height, width) => parts(height, width, CORE_OF_LARGE),
        _ => parts(height, width, CORE),
    };
    let along = |n, parts| cut(n, parts, scales, reach).take(count).collect::<Vec<_>>();
    let (rows, cols) = (along(height, down), along(width, across));
    let tile = |y: &Part, x: &Part| {
        let area = |of: fn(&Part) -> &Range<usize>| Area { rows: of(y).clone(), cols: of(x).clone() };
        Tile {
            core: area(|part| &part.core),
            fresh: area(|part| &part.fresh),
            maps: [area(|part| &part.maps[0]), area(|part| &part.maps[1]), area(|part| &part.maps[2])],
            outer: area(|part| &part.outer),
        }
    };
    rows.iter().flat_map(|y| cols.iter().map(|x| tile(y, x))).collect()
}

/// Into how many parts rows and columns are cut, for cores of at most `core` pixels and as little border between them as can
/// be: there the halos lie.
fn parts(height: usize, width: usize, core: usize) -> (usize, usize) {
    let across = |down: usize| width.div_ceil((core / height.div_ceil(down)).max(1));
    let border = |down: &usize| {
        ((down - 1).saturating_mul(width)).saturating_add((across(*down) - 1).saturating_mul(height))
    };
    let down = (1..=height.min(MOST)).min_by_key(border).unwrap_or(1);
    (down, across(down))
}

/// A tile along one axis.
struct Part {
    core: Range<usize>,
    fresh: Range<usize>,
    maps: [Range<usize>; 3],
    outer: Range<usize>,
}

/// Cuts an axis into at most `parts` about equal parts.
fn cut(n: usize, parts: usize, scales: [usize; 3], reach: Reach) -> impl Iterator<Item = Part> {
    let align = ALIGN * scales[0];
    let step = n.div_ceil(parts).next_multiple_of(align);
    let halos: [usize; 3] = std::array::from_fn(|i| reach.decoder[i].next_multiple_of(ALIGN * scales[i]));
    let part = move |start: usize| {
        let core = start..n.min(start + step);
        let maps = halos.map(|halo| start.saturating_sub(halo)..n.min(core.end + halo));
        // The part before looked beyond its end too.
        let made = if start == 0 { 0 } else { n.min(start + halos[0]) };
        let fresh = made..maps[0].end;
        let first = made.saturating_sub(reach.encoder).min(maps[2].start.saturating_sub(reach.detail));
        let outer = first / align * align..n.min((fresh.end + reach.encoder).next_multiple_of(scales[0]));
        Part { core, fresh, maps, outer }
    };
    (0..n).step_by(step).map(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCALES: [usize; 3] = [8, 4, 2];
    const REACH: Reach = Reach { encoder: 46, detail: 6, decoder: [64, 28, 18] };

    #[test]
    fn cores_and_what_is_fresh_cover_every_pixel_once() {
        let (height, width) = (2904, 2912);
        // A deep network looks farther than a tile is wide.
        for reach in [REACH, Reach { decoder: [1500, 28, 18], ..REACH }] {
            let tiles = plan(height, width, SCALES, reach);
            for of in [|tile: &Tile| tile.core.clone(), |tile: &Tile| tile.fresh.clone()] {
                let mut seen = vec![0u8; height * width];
                for Area { rows, cols } in tiles.iter().map(of) {
                    rows.for_each(|y| cols.clone().for_each(|x| seen[y * width + x] += 1));
                }
                assert!(seen.iter().all(|&n| n == 1));
            }
        }
    }

    #[test]
    fn tiles_see_all_that_their_parts_look_at() {
        let (height, width) = (3000, 2712);
        let mut made = vec![false; height * width];
        for Tile { core, fresh, maps: [coarse, middle, fine], outer } in plan(height, width, SCALES, REACH) {
            for (area, scale) in [(&outer, 8), (&coarse, 8), (&middle, 4), (&fine, 2)] {
                assert!(
                    area.rows.start.is_multiple_of(4 * scale) && area.cols.start.is_multiple_of(4 * scale)
                );
            }
            for axis in [|area: &Area| area.rows.clone(), |area: &Area| area.cols.clone()] {
                let [core, fresh, coarse, middle, fine, outer] =
                    [&core, &fresh, &coarse, &middle, &fine, &outer].map(axis);
                let n = axis(&Area::whole(height, width)).end;
                let covers = |large: &Range<usize>, small: &Range<usize>, reach: usize| {
                    large.start <= small.start.saturating_sub(reach) && large.end >= n.min(small.end + reach)
                };
                assert!(covers(&fine, &core, 18) && covers(&middle, &core, 28) && covers(&coarse, &core, 64));
                assert!(covers(&coarse, &middle, 0) && covers(&middle, &fine, 0));
                assert!(covers(&outer, &fresh, 46) && covers(&outer, &fine, 6));
            }
            fresh.rows.for_each(|y| made[y * width..][fresh.cols.clone()].fill(true));
            assert!(coarse.rows.clone().all(|y| made[y * width..][coarse.cols.clone()].iter().all(|m| *m)));
        }
    }

    #[test]
    fn cores_keep_to_their_size_with_little_border() {
        for (size, expected) in [
            ((3024, 4032), (3, 4)),
            ((4032, 3024), (4, 3)),
            ((10_000, 10_000), (12, 16)),
            ((8, 1 << 20), (1, 8)),
        ] {
            let core = if is_large(size.0, size.1) { CORE_OF_LARGE } else { CORE };
            let (down, across) = parts(size.0, size.1, core);
            assert_eq!((down, across), expected, "{size:?}");
            assert!(size.0.div_ceil(down) * size.1.div_ceil(across) <= core);
        }
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
