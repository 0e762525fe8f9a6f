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
