//! Ports: input and output of a strip in streaming inference.

use std::ops::Range;

use super::map;
use super::source::Source;
use super::strip::Strip;
use super::target::Target;
use crate::kernel::Ring;
use crate::nn::model;
use crate::sample::{Latent, Number};

/// Ports of the encoder: sample to latent.
pub struct Encode<'a> {
    pub source: Source<'a>,
    pub strip: &'a Strip,
    /// Ratio of the columns of the sample to those of each map, coarsest map first.
    pub shrink: [usize; 3],
    pub latent: &'a mut Latent,
}

/// Ports of the decoder: latent to sample.
pub struct Decode<'a, 't, T> {
    pub latent: &'a Latent,
    pub strip: &'a Strip,
    pub shrink: [usize; 3],
    pub target: &'a mut Target<'t, T>,
}

/// Ports of all parts: sample to denoised sample, with a latent that is not stored.
pub struct Denoise<'a, 't, T> {
    pub source: Source<'a>,
    pub strip: &'a Strip,
    pub shrink: [usize; 3],
    /// Extents of the maps of the latent.
    pub dims: &'a [Vec<usize>],
    /// Running sum of squares of each channel.
    pub energies: &'a mut [Vec<f64>],
    pub target: &'a mut Target<'t, T>,
}

impl model::Ports for Encode<'_> {
    fn read(&mut self, rows: Range<usize>, pixels: &mut Ring) {
        read(&self.source, self.strip, rows, pixels);
    }

    fn latent(&mut self, index: usize, rows: Range<usize>, ring: &mut Ring) {
        let Some(plane) = self.latent.planes.get_mut(index) else { return };
        let (first, core) = place(self.strip, self.shrink[index]);
        for c in 0..plane.dims[0] {
            for y in rows.clone() {
                map::write(plane, c, y, first + core.start, &ring.row(c, y)[core.clone()]);
            }
        }
    }

    fn write(&mut self, _: Range<usize>, _: &Ring) {}
}

impl<T: Number> model::Ports for Decode<'_, '_, T> {
    fn read(&mut self, _: Range<usize>, _: &mut Ring) {}

    fn latent(&mut self, index: usize, rows: Range<usize>, ring: &mut Ring) {
        let (first, _) = place(self.strip, self.shrink[index]);
        let plane = self.latent.planes.get(index);
        ring.put(rows, |c, y, row| map::read(plane, c, y, first, row));
    }

    fn write(&mut self, rows: Range<usize>, pixels: &Ring) {
        write(self.target, self.strip, rows, pixels);
    }
}

impl<T: Number> model::Ports for Denoise<'_, '_, T> {
    fn read(&mut self, rows: Range<usize>, pixels: &mut Ring) {
        read(&self.source, self.strip, rows, pixels);
    }

    /// Clears the latent channels and rows that would not be stored, as if the latent were read again ([`map::read`]).
    fn latent(&mut self, index: usize, rows: Range<usize>, ring: &mut Ring) {
        let (first, core) = place(self.strip, self.shrink[index]);
        let (kept, height, width) = self.dims.get(index).map_or((0, 0, 0), |dims| map::extents(dims));
        let inside = ring.width().min(width.saturating_sub(first));
        for c in 0..ring.channels() {
            for y in rows.clone() {
                if c >= kept {
                    ring.row_mut(c, y).fill(0.0);
                } else if y >= height {
                    ring.repeat(c, height - 1, y);
                } else {
                    let (row, beyond) = ring.row_mut(c, y).split_at_mut(inside);
                    beyond.fill(row[inside - 1]);
                    let core = &row[core.start..core.end.min(inside)];
                    let energy = &mut self.energies[index][c];
                    *energy = core.iter().fold(*energy, |sum, v| sum + f64::from(v * v));
                }
            }
        }
    }

    fn write(&mut self, rows: Range<usize>, pixels: &Ring) {
        write(self.target, self.strip, rows, pixels);
    }
}

/// Returns the first column of a strip on a map that is `shrink` times narrower than the sample, and the core within
/// the strip.
fn place(Strip { core, outer }: &Strip, shrink: usize) -> (usize, Range<usize>) {
    (outer.start / shrink, (core.start - outer.start) / shrink..(core.end - outer.start) / shrink)
}

fn read(source: &Source, strip: &Strip, rows: Range<usize>, pixels: &mut Ring) {
    pixels.put(rows, |c, y, row| source.read(c, y, strip.outer.start, row));
}

fn write<T: Number>(target: &mut Target<T>, strip: &Strip, rows: Range<usize>, pixels: &Ring) {
    let (_, core) = place(strip, 1);
    for c in 0..pixels.channels() {
        target.put(c, rows.clone(), strip.core.start, |y| &pixels.row(c, y)[core.clone()]);
    }
}
