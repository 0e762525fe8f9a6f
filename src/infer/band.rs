//! Band: the maps of a latent over the rows that the tiles at work look at. Tiles go row by row, so that of a large
//! latent no more than this is kept.

use std::ops::Range;

use super::Result;
use super::map::{Map, area_of, paste};
use super::tile::{Area, Tile};
use crate::nn::Tensor;
use crate::nn::model::Sizes;

/// The maps, coarsest first.
#[derive(Debug)]
pub struct Band(Vec<Strip>);

/// One map over some rows and all columns.
#[derive(Debug)]
struct Strip {
    /// How many times smaller than the sample the map is, in rows and in columns.
    shrink: (usize, usize),
    whole: Area,
    area: Area,
    data: Vec<f32>,
    /// The sum of squares of each channel so far.
    energies: Vec<f64>,
}

impl Band {
    /// A band of no rows yet, of a latent with maps of such extents.
    pub fn new(sizes: &Sizes, dims: &[Vec<usize>]) -> Self {
        let strip = |(dims, (_, scale)): (&Vec<usize>, (usize, usize))| {
            let (shrink, whole) = (sizes.axes.shrink(scale), area_of(dims));
            let area = Area { rows: 0..0, ..whole.clone() };
            Strip { shrink, whole, area, data: Vec::new(), energies: vec![0.0; dims[0]] }
        };
        Self(dims.iter().zip(sizes.planes()).map(strip).collect())
    }

    /// Takes what the encoder gave for a tile, and forgets what neither this tile nor a later one looks at.
    ///
    /// # Errors
    /// The tensors are not maps.
    pub fn take(&mut self, planes: &[Tensor], tile: &Tile) -> Result<()> {
        for (strip, tensor) in self.0.iter_mut().zip(planes) {
            let data = tensor.flatten_all()?.to_vec1::<f32>()?;
            let map = Map { channels: tensor.dim(1)?, area: tile.outer.at(strip.shrink), data: &data };
            strip.move_to(tile.maps[0].at(strip.shrink).inside(&strip.whole).rows);
            strip.take(&map, &tile.fresh.at(strip.shrink).inside(&strip.whole));
        }
        Ok(())
    }

    /// What the band holds.
    pub fn maps(&self) -> Vec<Map<'_>> {
        self.0.iter().map(Strip::map).collect()
    }

    /// The mean square of each channel, once all tiles were taken.
    pub fn mean_squares(&self) -> Vec<f64> {
        let each = |strip: &Strip| {
            let places = strip.whole.places() as f64;
            strip.energies.iter().map(move |sum| sum / places).collect::<Vec<_>>()
        };
        self.0.iter().flat_map(each).collect()
    }
}

impl Strip {
    fn map(&self) -> Map<'_> {
        Map { channels: self.energies.len(), area: self.area.clone(), data: &self.data }
    }

    /// Keeps what it has of these rows, which begin no earlier than its own.
    fn move_to(&mut self, rows: Range<usize>) {
        if rows == self.area.rows {
            return;
        }
        let area = Area { rows, ..self.area.clone() };
        let mut data = vec![0.0; self.energies.len() * area.places()];
        let kept = Area { rows: area.rows.start..self.area.rows.end.min(area.rows.end), ..area.clone() };
        paste(&mut data, &area, &self.map(), &kept);
        (self.area, self.data) = (area, data);
    }

    fn take(&mut self, map: &Map, area: &Area) {
        paste(&mut self.data, &self.area, map, area);
        self.energies.iter_mut().enumerate().for_each(|(c, sum)| *sum += map.energy(c, area));
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::super::tile::plan;
    use super::*;
    use crate::nn::model::{PyramidConfig, Reach};

    /// A number for each place of each map, exact in `f32`.
    fn value(channel: usize, y: usize, x: usize) -> f32 {
        ((channel * 31 + y * 17 + x * 13) % 251) as f32
    }

    #[test]
    fn a_band_holds_all_that_each_tile_looks_at_and_counts_every_place_once() {
        // The network sees 4000 x 3504 pixels of a sample that ends before.
        let sizes = PyramidConfig::for_channels(1).sizes();
        let dims: Vec<Vec<usize>> = sizes
            .planes()
            .iter()
            .map(|&(channels, scale)| sizes.map_dims(channels, scale, 3995, 3501))
            .collect();
        let mut band = Band::new(&sizes, &dims);
        let reach = Reach { encoder: 46, detail: 6, decoder: [64, 28, 18] };
        let tiles = plan(4000, 3504, sizes.planes().map(|(_, scale)| scale), reach);
        assert!(tiles.len() > 4);
        for tile in &tiles {
            let plane = |(channels, scale): (usize, usize)| {
                let Area { rows, cols } = tile.outer.at((scale, scale));
                let places = rows.clone().flat_map(|y| cols.clone().map(move |x| (y, x)));
                let data: Vec<f32> =
                    (0..channels).flat_map(|c| places.clone().map(move |(y, x)| value(c, y, x))).collect();
                Tensor::from_vec(data, (1, channels, rows.len(), cols.len()), &Device::Cpu).unwrap()
            };
            band.take(&sizes.planes().map(plane), tile).unwrap();
            for (index, (map, (_, scale))) in band.maps().iter().zip(sizes.planes()).enumerate() {
                let area = tile.maps[index].at((scale, scale)).inside(&area_of(&dims[index]));
                for (c, y) in (0..map.channels).flat_map(|c| area.rows.clone().map(move |y| (c, y))) {
                    let expected = area.cols.clone().map(|x| value(c, y, x));
                    assert!(
                        map.part(c, y, area.cols.clone()).iter().copied().eq(expected),
                        "{index} {c} {y}"
                    );
                }
            }
        }
        let mean_square = |(c, dims): (usize, &Vec<usize>)| {
            let places =
                (0..dims[1]).flat_map(|y| (0..dims[2]).map(move |x| f64::from(value(c, y, x)).powi(2)));
            places.sum::<f64>() / (dims[1] * dims[2]) as f64
        };
        let expected: Vec<f64> =
            dims.iter().flat_map(|dims| (0..dims[0]).map(move |c| (c, dims))).map(mean_square).collect();
        assert_eq!(band.mean_squares(), expected);
    }
}
