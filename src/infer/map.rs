//! A map: the channels of one scale over an area, cut and pasted by area.

use super::tile::Area;
use crate::sample::{Latent, Plane};

/// Numbers `(C, rows, cols)` over `area`, borrowed.
#[derive(Debug, Clone)]
pub struct Map<'a> {
    pub channels: usize,
    pub area: Area,
    pub data: &'a [f32],
}

impl<'a> Map<'a> {
    /// A map of a latent; a vector is one row.
    pub fn of(plane: &'a Plane) -> Self {
        Self { channels: plane.dims[0], area: area_of(&plane.dims), data: &plane.data }
    }

    /// The maps of a latent.
    pub fn all(latent: &'a Latent) -> Vec<Self> {
        latent.planes.iter().map(Self::of).collect()
    }

    /// Appends `channels` channels over `area` to `out`. Beyond the map its border is repeated; channels that are not
    /// there are zero.
    pub fn cut(&self, area: &Area, channels: usize, out: &mut Vec<f32>) {
        let Area { rows, cols } = &self.area;
        let start = out.len();
        for c in 0..channels.min(self.channels) {
            for y in area.rows.clone() {
                let row = self.row(c, y.clamp(rows.start, rows.end - 1));
                let of = |x: usize| row[x.clamp(cols.start, cols.end - 1) - cols.start];
                out.extend(area.cols.clone().map(of));
            }
        }
        out.resize(start + channels * area.rows.len() * area.cols.len(), 0.0);
    }

    /// The part of row `y` of a channel between two columns of the area.
    pub fn part(&self, channel: usize, y: usize, cols: std::ops::Range<usize>) -> &'a [f32] {
        &self.row(channel, y)[cols.start - self.area.cols.start..cols.end - self.area.cols.start]
    }

    /// The sum of squares of a channel over `area`, which lies inside the map.
    pub fn energy(&self, channel: usize, area: &Area) -> f64 {
        let rows = area.rows.clone().map(|y| self.part(channel, y, area.cols.clone()));
        rows.flatten().map(|v| f64::from(v * v)).sum()
    }

    fn row(&self, channel: usize, y: usize) -> &'a [f32] {
        let (rows, cols) = self.area.size();
        &self.data[(channel * rows + y - self.area.rows.start) * cols..][..cols]
    }
}

/// Writes the part of `map` over `area` to its place in a map of a latent, as far as that goes.
pub fn fill(plane: &mut Plane, map: &Map, area: &Area) {
    let whole = area_of(&plane.dims);
    paste(&mut plane.data, &whole, map, &area.inside(&whole));
}

/// Writes the part of `map` over `area`, which lies in both, to its place in `data`, whose numbers lie over `to`.
pub fn paste(data: &mut [f32], to: &Area, map: &Map, area: &Area) {
    let (rows, width) = to.size();
    let cols = area.cols.start - to.cols.start..area.cols.end - to.cols.start;
    for (c, data) in data.chunks_exact_mut((rows * width).max(1)).enumerate() {
        for y in area.rows.clone() {
            let row = &mut data[(y - to.rows.start) * width..][..width];
            row[cols.clone()].copy_from_slice(map.part(c, y, area.cols.clone()));
        }
    }
}

/// Rows and columns of a map of the latent: `(Z, H, W)`, or `(Z, L)` with one row; `(Z)` is one place.
pub fn area_of(dims: &[usize]) -> Area {
    match *dims {
        [_, height, width] => Area::whole(height, width),
        [_, length] => Area::whole(1, length),
        _ => Area::whole(1, 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(map: &Map, area: &Area, channels: usize) -> Vec<f32> {
        let mut out = vec![7.0];
        map.cut(area, channels, &mut out);
        out.split_off(1)
    }

    #[test]
    fn a_cut_repeats_borders_and_fills_channels() {
        let data: Vec<f32> = (0..6).map(|v| v as f32).collect();
        let map = Map { channels: 1, area: Area { rows: 2..4, cols: 10..13 }, data: &data };
        let area = Area { rows: 3..6, cols: 11..14 };
        assert_eq!(cut(&map, &area, 1), [4.0, 5.0, 5.0, 4.0, 5.0, 5.0, 4.0, 5.0, 5.0]);
        assert_eq!(cut(&map, &Area { rows: 0..2, cols: 9..11 }, 1), [0.0; 4]);
        assert_eq!(cut(&map, &Area { rows: 2..3, cols: 10..11 }, 2), [0.0, 0.0]);
    }

    #[test]
    fn what_is_pasted_can_be_cut_again() {
        let data: Vec<f32> = (0..24).map(|v| v as f32).collect();
        let map = Map { channels: 2, area: Area { rows: 1..4, cols: 2..6 }, data: &data };
        let mut plane = Plane { dims: vec![1, 3, 5], data: vec![-1.0; 15] };
        fill(&mut plane, &map, &Area { rows: 2..9, cols: 3..9 });
        assert_eq!(plane.data[..13], [-1.0; 13]);
        assert_eq!(plane.data[13..], [5.0, 6.0]);
        let area = Area { rows: 2..3, cols: 3..5 };
        assert_eq!(cut(&Map::of(&plane), &area, 1), [5.0, 6.0]);
        assert_eq!(Map::of(&plane).energy(0, &area), 61.0);
    }
}
