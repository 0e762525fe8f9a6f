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

/// Ports of all parts that keep the result of each: sample to latent, decoded sample and denoised sample.
pub struct Stages<'a, 't> {
    pub source: Source<'a>,
    pub strip: &'a Strip,
    pub shrink: [usize; 3],
    /// Extents of the maps of the latent.
    pub dims: &'a [Vec<usize>],
    pub latent: &'a mut Latent,
    pub strict: &'a mut Target<'t, f32>,
    pub full: &'a mut Target<'t, f32>,
}

impl model::Ports for Encode<'_> {
    fn read(&mut self, rows: Range<usize>, pixels: &mut Ring) {
        read(&self.source, self.strip, rows, pixels);
    }

    fn latent(&mut self, index: usize, rows: Range<usize>, ring: &mut Ring) {
        store(self.latent, index, place(self.strip, self.shrink[index]), rows, ring);
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

    fn latent(&mut self, index: usize, rows: Range<usize>, ring: &mut Ring) {
        let (first, core) = place(self.strip, self.shrink[index]);
        let stored = cut(self.dims.get(index), first, rows, ring);
        let core = core.start..core.end.min(stored.width);
        for c in 0..stored.channels {
            for y in stored.rows.clone() {
                let energy = &mut self.energies[index][c];
                *energy = ring.row(c, y)[core.clone()].iter().fold(*energy, |sum, v| sum + f64::from(v * v));
            }
        }
    }

    fn write(&mut self, rows: Range<usize>, pixels: &Ring) {
        write(self.target, self.strip, rows, pixels);
    }
}

impl model::Ports for Stages<'_, '_> {
    fn read(&mut self, rows: Range<usize>, pixels: &mut Ring) {
        read(&self.source, self.strip, rows, pixels);
    }

    fn latent(&mut self, index: usize, rows: Range<usize>, ring: &mut Ring) {
        let (first, core) = place(self.strip, self.shrink[index]);
        store(self.latent, index, (first, core), rows.clone(), ring);
        cut(self.dims.get(index), first, rows, ring);
    }

    fn write(&mut self, rows: Range<usize>, pixels: &Ring) {
        write(self.full, self.strip, rows, pixels);
    }

    fn takes_strict(&self) -> bool {
        true
    }

    fn strict(&mut self, rows: Range<usize>, pixels: &Ring) {
        write(self.strict, self.strip, rows, pixels);
    }
}

/// Part of a strip's map that a latent has.
struct Stored {
    channels: usize,
    rows: Range<usize>,
    width: usize,
}

/// Clears the latent channels and rows that would not be stored, as if the latent were read again ([`map::read`]).
fn cut(dims: Option<&Vec<usize>>, first: usize, rows: Range<usize>, ring: &mut Ring) -> Stored {
    let (channels, height, width) = dims.map_or((0, 0, 0), |dims| map::extents(dims));
    let inside = ring.width().min(width.saturating_sub(first));
    for c in 0..ring.channels() {
        for y in rows.clone() {
            if c >= channels {
                ring.row_mut(c, y).fill(0.0);
            } else if y >= height {
                ring.repeat(c, height - 1, y);
            } else {
                let (row, beyond) = ring.row_mut(c, y).split_at_mut(inside);
                beyond.fill(row[inside - 1]);
            }
        }
    }
    let rows = rows.start.min(height)..rows.end.min(height);
    Stored { channels: channels.min(ring.channels()), rows, width: inside }
}

/// Stores the core of these rows of a strip's map in a latent.
fn store(
    latent: &mut Latent,
    index: usize,
    (first, core): (usize, Range<usize>),
    rows: Range<usize>,
    ring: &Ring,
) {
    let Some(plane) = latent.planes.get_mut(index) else { return };
    for c in 0..plane.dims[0] {
        for y in rows.clone() {
            map::write(plane, c, y, first + core.start, &ring.row(c, y)[core.clone()]);
        }
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
