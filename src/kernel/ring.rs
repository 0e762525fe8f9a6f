//! Ring: planes of a streamed image, of which only the last few rows are in memory.

use std::ops::Range;

use super::GRAIN;
use super::parallel::{self, Shared};
use crate::memory::buffers;

/// `(C, H, W)` with `held` rows of each plane in memory: row `y` replaces row `y - held`.
#[derive(Debug, Clone)]
pub struct Ring {
    channels: usize,
    height: usize,
    width: usize,
    held: usize,
    /// Empty until the first row is written.
    data: Vec<f32>,
}

impl Ring {
    /// Creates planes of `height` x `width`, at least `rows` rows of them in memory.
    pub fn new(channels: usize, (height, width): (usize, usize), rows: usize) -> Self {
        // A multiple of four, so that the rows of a tile are contiguous.
        let held = rows.next_multiple_of(4).min(height);
        Self { channels, height, width, held, data: Vec::new() }
    }

    /// Size in bytes once it is in use.
    pub fn bytes(&self) -> usize {
        self.len().saturating_mul(size_of::<f32>())
    }

    fn len(&self) -> usize {
        self.channels.saturating_mul(self.held).saturating_mul(self.width)
    }

    /// Number of planes.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Height of a whole plane.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Width of a row, in floats.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Returns row `y` of a channel, which must be in memory.
    ///
    /// # Panics
    /// The channel does not exist.
    pub fn row(&self, channel: usize, y: usize) -> &[f32] {
        &self.data()[(channel * self.held + y % self.held) * self.width..][..self.width]
    }

    /// Returns row `y` of a channel, which replaces row `y - held`.
    ///
    /// # Panics
    /// The channel does not exist.
    pub fn row_mut(&mut self, channel: usize, y: usize) -> &mut [f32] {
        let (held, width) = (self.held, self.width);
        &mut self.data_mut()[(channel * held + y % held) * width..][..width]
    }

    /// Writes these rows of all channels by `put(channel, y, row)`, on all threads.
    ///
    /// # Panics
    /// There are more rows than fit in memory.
    pub fn put(&mut self, rows: Range<usize>, put: impl Fn(usize, usize, &mut [f32]) + Sync) {
        self.check(&rows);
        let Self { channels, held, width, .. } = *self;
        let step = (GRAIN / width).max(1);
        let tasks = rows.len().div_ceil(step);
        let data = Shared::new(self.data_mut());
        parallel::for_each(channels * tasks, |task| {
            let (channel, first) = (task / tasks, rows.start + task % tasks * step);
            for y in first..rows.end.min(first + step) {
                // SAFETY: each task has its own rows, which are disjoint in memory, by the check.
                put(channel, y, unsafe { data.part((channel * held + y % held) * width, width) });
            }
        });
    }

    /// Copies row `from` of a channel, which must be in memory, to row `y`.
    ///
    /// # Panics
    /// The channel does not exist.
    pub fn repeat(&mut self, channel: usize, from: usize, y: usize) {
        let start = |y: usize| (channel * self.held + y % self.held) * self.width;
        let (from, to, width) = (start(from), start(y), self.width);
        self.data_mut().copy_within(from..from + width, to);
    }

    /// Number of rows of each plane in memory.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// Returns the rows of all planes.
    ///
    /// # Panics
    /// No row was ever written.
    pub(super) fn data(&self) -> &[f32] {
        &self.data[..self.len()]
    }

    pub(super) fn data_mut(&mut self) -> &mut [f32] {
        let len = self.len();
        if self.data.is_empty() {
            self.data = buffers::take(len);
        }
        &mut self.data[..len]
    }

    /// Number of rows from `y` on that are contiguous in memory.
    pub(super) fn run(&self, y: usize) -> usize {
        self.held - y % self.held
    }

    /// # Panics
    /// These rows do not fit in memory together.
    pub(super) fn check(&self, rows: &Range<usize>) {
        let Self { height, held, .. } = self;
        assert!(rows.end <= *height && rows.len() <= *held, "rows {rows:?} of {height}, {held} in memory");
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        buffers::give(std::mem::take(&mut self.data));
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{noise, on_every_isa};
    use super::super::{
        Activation, Around, Conv, Layer, Packed, conv2d, conv2d_rows, fold_rows, unfold_rows,
    };
    use super::*;

    /// Writes rows `rows` of `whole`, `(C, H, W)`, to a ring.
    fn put(ring: &mut Ring, whole: &[f32], rows: Range<usize>) {
        let (height, width) = (ring.height, ring.width);
        ring.put(rows, |c, y, row| row.copy_from_slice(&whole[(c * height + y) * width..][..width]));
    }

    #[track_caller]
    fn assert_holds(ring: &Ring, whole: &[f32], rows: Range<usize>, case: &str) {
        for c in 0..ring.channels() {
            for y in rows.clone() {
                assert_eq!(
                    ring.row(c, y),
                    &whole[(c * ring.height + y) * ring.width..][..ring.width],
                    "{case}, row {y}"
                );
            }
        }
    }

    #[test]
    fn rows_of_a_convolution_are_those_of_the_whole() {
        for (c_in, c_out, kernel) in [
            (40, 40, (3, 3)),
            (4, 24, (3, 3)),
            (24, 4, (3, 3)),
            (17, 9, (1, 1)),
            (16, 40, (1, 1)),
            (3, 5, (1, 5)),
        ] {
            for (h, w) in [(54, 133), (29, 64), (31, 7), (5, 2), (1, 90)] {
                let conv = Conv { batch: 1, c_in, c_out, h, w, kh: kernel.0, kw: kernel.1 };
                let (x, before) = (noise(conv.input_len(), 1), noise(conv.output_len(), 2));
                let (weight, bias) = (noise(conv.weight_len(), 3), noise(c_out, 4));
                on_every_isa(|isa| {
                    let packed = Packed::new(weight.clone());
                    let whole = |adds| {
                        let residual = if adds { Some(&before[..]) } else { None };
                        conv2d(&conv, &x, &packed, Some(&bias), Activation::Relu, residual)
                    };
                    for (adds, step) in [(false, 8), (true, 12)] {
                        let (whole, case) = (whole(adds), format!("{isa:?} {conv:?} by {step}"));
                        // Rows of the result lag four rows behind those of the input.
                        let mut from = Ring::new(c_in, (h, w), step + 4 + 1);
                        let mut to = Ring::new(c_out, (h, w), step);
                        for end in (step..h + 4 + step).step_by(step) {
                            put(&mut from, &x, h.min(end - step)..h.min(end));
                            let rows = h.min((end - step).saturating_sub(4))..h.min(end - 4);
                            put(&mut to, &before, rows.clone());
                            let (weight, bias, act) = (&packed, &bias[..], Activation::Relu);
                            let layer = Layer { kernel, around: Around::None, weight, bias, act, adds };
                            conv2d_rows(&layer, rows.clone(), &from, &mut to);
                            assert_holds(&to, &whole, rows, &case);
                        }
                    }
                });
            }
        }
    }

    #[test]
    fn rows_are_folded_and_unfolded_as_the_whole_is() {
        for by in [(2, 2), (1, 4), (1, 2), (3, 1)] {
            let (channels, h, w) = (3, 22, 37);
            let x = noise(channels * by.0 * h * by.1 * w, 1);
            on_every_isa(|_| {
                let mut pixels = Ring::new(channels, (by.0 * h, by.1 * w), 8 * by.0);
                let mut folded = Ring::new(channels * by.0 * by.1, (h, w), 12);
                let mut back = Ring::new(channels, (by.0 * h, by.1 * w), 12 * by.0);
                for start in (0..h).step_by(8) {
                    let rows = start..h.min(start + 8);
                    let fine = by.0 * rows.start..by.0 * rows.end;
                    put(&mut pixels, &x, fine.clone());
                    fold_rows(by, rows.clone(), &pixels, &mut folded);
                    for (c, i, j) in
                        (0..channels * by.0 * by.1).map(|z| (z / (by.0 * by.1), z / by.1 % by.0, z % by.1))
                    {
                        for y in rows.clone() {
                            let row = &x[((c * h + y) * by.0 + i) * by.1 * w..][..by.1 * w];
                            let every: Vec<f32> = row.iter().skip(j).step_by(by.1).copied().collect();
                            assert_eq!(folded.row((c * by.0 + i) * by.1 + j, y), every, "{by:?}");
                        }
                    }
                    unfold_rows(by, rows, &folded, &mut back);
                    assert_holds(&back, &x, fine, &format!("{by:?}"));
                }
            });
        }
    }

    #[test]
    fn a_fold_within_a_convolution_is_one_before_it_and_an_unfold_one_after_it() {
        for (high, c_fine, c_coarse) in [(2, 40, 64), (2, 3, 5), (1, 9, 16), (1, 6, 1)] {
            for (h, w) in [(23, 67), (16, 32), (9, 5), (1, 200)] {
                let (fine, coarse) = ((high * h, 2 * w), (h, w));
                let channels = 2 * high * c_fine;
                let (x, z) = (noise(c_fine * fine.0 * fine.1, 1), noise(c_coarse * h * w, 2));
                let weight = noise(c_coarse * channels, 3);
                let (bias, wide_bias) = (noise(c_coarse, 4), noise(channels, 5));
                on_every_isa(|isa| {
                    // One for each shape.
                    let [packed, wide_packed] = [(); 2].map(|()| Packed::new(weight.clone()));
                    let new = |channels, plane, rows| Ring::new(channels, plane, rows);
                    let layer = |around| {
                        let (weight, bias) = match around {
                            Around::Unfold(_) => (&wide_packed, &wide_bias),
                            _ => (&packed, &bias),
                        };
                        Layer { kernel: (1, 1), around, weight, bias, act: Activation::Relu, adds: false }
                    };
                    let wide = Layer { around: Around::None, ..layer(Around::Unfold(high)) };
                    let mut pixels = new(c_fine, fine, 8 * high);
                    let mut folded = new(channels, coarse, 8);
                    let (mut expected, mut got) = (new(c_coarse, coarse, 12), new(c_coarse, coarse, 12));
                    let mut from = new(c_coarse, coarse, 8);
                    let (mut back, mut got_back) =
                        (new(c_fine, fine, 12 * high), new(c_fine, fine, 12 * high));
                    for start in (0..h).step_by(8) {
                        let rows = start..h.min(start + 8);
                        let fine_rows = high * rows.start..high * rows.end;
                        put(&mut pixels, &x, fine_rows.clone());
                        fold_rows((high, 2), rows.clone(), &pixels, &mut folded);
                        conv2d_rows(&layer(Around::None), rows.clone(), &folded, &mut expected);
                        conv2d_rows(&layer(Around::Fold(high)), rows.clone(), &pixels, &mut got);

                        put(&mut from, &z, rows.clone());
                        conv2d_rows(&wide, rows.clone(), &from, &mut folded);
                        unfold_rows((high, 2), rows.clone(), &folded, &mut back);
                        conv2d_rows(&layer(Around::Unfold(high)), rows.clone(), &from, &mut got_back);
                        let case = format!("{isa:?} {high} {c_fine} {c_coarse} {h}x{w}");
                        for y in rows {
                            (0..c_coarse)
                                .for_each(|c| assert_eq!(got.row(c, y), expected.row(c, y), "{case}"));
                        }
                        for y in fine_rows {
                            (0..c_fine)
                                .for_each(|c| assert_eq!(got_back.row(c, y), back.row(c, y), "{case}"));
                        }
                    }
                });
            }
        }
    }

    #[test]
    #[should_panic(expected = "in memory")]
    fn rows_that_have_passed_are_not_read() {
        let (x, mut to) = (Ring::new(2, (40, 8), 8), Ring::new(2, (40, 8), 16));
        let (weight, bias, around) = (&Packed::new(vec![0.0; 36]), &[0.0; 2], Around::None);
        let layer = Layer { kernel: (3, 3), around, weight, bias, act: Activation::None, adds: false };
        conv2d_rows(&layer, 0..12, &x, &mut to);
    }
}
