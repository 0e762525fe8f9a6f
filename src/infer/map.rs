//! A map: the channels of an image or of a latent plane at one scale, cut and pasted by area.

use std::ops::Range;

use super::tile::Area;
use crate::nn::{Device, Result, Tensor};

/// Numbers `(C, H, W)`.
#[derive(Debug, Clone, PartialEq)]
pub struct Map {
    pub channels: usize,
    pub height: usize,
    pub width: usize,
    pub data: Vec<f32>,
}

impl Map {
    /// A map of zeros.
    pub fn zeros(channels: usize, height: usize, width: usize) -> Self {
        Self { channels, height, width, data: vec![0.0; channels * height * width] }
    }

    /// The map at `height` x `width`, each pixel from where `row` and `col` say, so that borders can be
    /// mirrored or repeated.
    pub fn resample(&self, rows: impl Iterator<Item = usize>, cols: impl Iterator<Item = usize>) -> Self {
        let (rows, cols): (Vec<_>, Vec<_>) = (rows.collect(), cols.collect());
        let mut data = Vec::with_capacity(self.channels * rows.len() * cols.len());
        for c in 0..self.channels {
            for y in &rows {
                let row = &self.data[(c * self.height + y) * self.width..][..self.width];
                data.extend(cols.iter().map(|&x| row[x]));
            }
        }
        Self { channels: self.channels, height: rows.len(), width: cols.len(), data }
    }

    /// Mirrors the map beyond its lower and right border up to `height` x `width`; the border pixel
    /// itself is not repeated. Works for any size, by mirroring again and again.
    pub fn mirror_to(&self, height: usize, width: usize) -> Self {
        let fold = |n: usize| {
            move |i: usize| {
                let period = (2 * n - 2).max(1);
                let i = i % period;
                i.min(period - i).min(n - 1)
            }
        };
        self.resample((0..height).map(fold(self.height)), (0..width).map(fold(self.width)))
    }

    /// Repeats the border up to `height` x `width`, or cuts down to it.
    pub fn repeat_to(&self, height: usize, width: usize) -> Self {
        let clamp = |n: usize| move |i: usize| i.min(n - 1);
        self.resample((0..height).map(clamp(self.height)), (0..width).map(clamp(self.width)))
    }

    /// The channels of a range, the missing ones zero.
    pub fn with_channels(mut self, channels: usize) -> Self {
        self.data.resize(channels * self.height * self.width, 0.0);
        Self { channels, ..self }
    }

    /// An area as a batch of one.
    ///
    /// # Shape
    /// `(1, C, rows, cols)`
    pub fn tensor(&self, area: &Area) -> Result<Tensor> {
        let (h, w) = (area.rows.len(), area.cols.len());
        let mut data = Vec::with_capacity(self.channels * h * w);
        for c in 0..self.channels {
            for y in area.rows.clone() {
                data.extend_from_slice(&self.data[self.row(c, y, &area.cols)]);
            }
        }
        Tensor::from_vec(data, (1, self.channels, h, w), &Device::Cpu)
    }

    /// Pastes the `from` area of a batch of one at `to`.
    pub fn paste(&mut self, tensor: &Tensor, from: &Area, to: &Area) -> Result<()> {
        let (_, _, h, w) = tensor.dims4()?;
        let values = tensor.flatten_all()?.to_vec1::<f32>()?;
        for c in 0..self.channels {
            for (y_from, y_to) in from.rows.clone().zip(to.rows.clone()) {
                let source = &values[(c * h + y_from) * w..][from.cols.clone()];
                let target = self.row(c, y_to, &to.cols);
                self.data[target].copy_from_slice(source);
            }
        }
        Ok(())
    }

    fn row(&self, channel: usize, y: usize, cols: &Range<usize>) -> Range<usize> {
        let start = (channel * self.height + y) * self.width;
        start + cols.start..start + cols.end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(values: &[f32]) -> Map {
        Map { channels: 1, height: 1, width: values.len(), data: values.to_vec() }
    }

    #[test]
    fn mirroring_does_not_repeat_the_border_and_works_for_one_pixel() {
        assert_eq!(row(&[1.0, 2.0, 3.0]).mirror_to(1, 8).data, [1.0, 2.0, 3.0, 2.0, 1.0, 2.0, 3.0, 2.0]);
        assert_eq!(row(&[7.0]).mirror_to(2, 3).data, [7.0; 6]);
    }

    #[test]
    fn repeating_and_cutting_are_inverse() {
        let map = row(&[1.0, 2.0, 3.0]);
        assert_eq!(map.repeat_to(2, 4).data, [1.0, 2.0, 3.0, 3.0, 1.0, 2.0, 3.0, 3.0]);
        assert_eq!(map.repeat_to(2, 4).repeat_to(1, 3), map);
    }

    #[test]
    fn what_is_pasted_can_be_cut_again() {
        let map = Map { channels: 2, height: 3, width: 4, data: (0..24).map(|v| v as f32).collect() };
        let area = Area { rows: 1..3, cols: 1..4 };
        let mut copy = Map::zeros(2, 3, 4);
        copy.paste(&map.tensor(&area).unwrap(), &Area::whole(2, 3), &area).unwrap();
        assert_eq!(copy.data[5], 5.0);
        assert_eq!(copy.data[23], 23.0);
        assert_eq!(copy.data[4], 0.0);
    }
}
