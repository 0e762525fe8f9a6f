//! Ring: rows of planes that pass by, of which only the last few are in memory.

use std::ops::Range;

use super::kept;

/// `(C, H, W)` of which some rows of each plane are in memory: row `y` lies where row `y - held` was.
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
    /// Planes of `height` x `width`, at least `rows` of them in memory.
    pub fn new(channels: usize, (height, width): (usize, usize), rows: usize) -> Self {
        // Tiles of four rows stay in one piece.
        let held = rows.next_multiple_of(4).min(height);
        Self { channels, height, width, held, data: Vec::new() }
    }

    /// Bytes that it takes once it is in use.
    pub fn bytes(&self) -> usize {
        self.len().saturating_mul(size_of::<f32>())
    }

    fn len(&self) -> usize {
        self.channels.saturating_mul(self.held).saturating_mul(self.width)
    }

    /// Planes.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Rows of a whole plane.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Floats of a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Row `y` of a channel, as far as it is in memory.
    ///
    /// # Panics
    /// There is no such channel.
    pub fn row(&self, channel: usize, y: usize) -> &[f32] {
        &self.data[(channel * self.held + y % self.held) * self.width..][..self.width]
    }

    /// Row `y` of a channel, which takes the place of the row `held` before.
    ///
    /// # Panics
    /// There is no such channel.
    pub fn row_mut(&mut self, channel: usize, y: usize) -> &mut [f32] {
        let (held, width) = (self.held, self.width);
        &mut self.data_mut()[(channel * held + y % held) * width..][..width]
    }

    /// Makes row `y` of a channel the same as row `from`, which is in memory.
    ///
    /// # Panics
    /// There is no such channel.
    pub fn repeat(&mut self, channel: usize, from: usize, y: usize) {
        let start = |y: usize| (channel * self.held + y % self.held) * self.width;
        let (from, to) = (start(from), start(y));
        self.data.copy_within(from..from + self.width, to);
    }

    /// Rows of each plane in memory.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    pub(super) fn data(&self) -> &[f32] {
        &self.data
    }

    pub(super) fn data_mut(&mut self) -> &mut [f32] {
        if self.data.is_empty() {
            self.data = kept::take(self.len());
        }
        &mut self.data
    }

    /// How many rows from `y` on lie one after another.
    pub(super) fn run(&self, y: usize) -> usize {
        self.held - y % self.held
    }

    /// # Panics
    /// These rows are not in memory together.
    pub(super) fn check(&self, rows: &Range<usize>) {
        let Self { height, held, .. } = self;
        assert!(rows.end <= *height && rows.len() <= *held, "rows {rows:?} of {height}, {held} in memory");
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        kept::give(std::mem::take(&mut self.data));
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{noise, on_every_isa};
    use super::super::{Activation, Conv, Packed, conv2d, conv2d_rows, fold_rows, unfold_rows};
    use super::*;

    /// A ring with the rows `rows` of `whole`, `(C, H, W)`, in their places.
    fn put(ring: &mut Ring, whole: &[f32], rows: Range<usize>) {
        for c in 0..ring.channels() {
            for y in rows.clone() {
                let row = &whole[(c * ring.height + y) * ring.width..][..ring.width];
                ring.row_mut(c, y).copy_from_slice(row);
            }
        }
    }

    #[track_caller]
    fn assert_holds(ring: &Ring, whole: &[f32], rows: Range<usize>, case: &str) {
        for c in 0..ring.channels() {
            for y in rows.clone() {
                assert_eq!(ring.row(c, y), &whole[(c * ring.height + y) * ring.width..][..ring.width], "{case}, row {y}");
            }
        }
    }

    #[test]
    fn rows_of_a_convolution_are_those_of_the_whole() {
        for (c_in, c_out, kernel) in
            [(40, 40, (3, 3)), (4, 24, (3, 3)), (24, 4, (3, 3)), (17, 9, (1, 1)), (16, 40, (1, 1)), (3, 5, (1, 5))]
        {
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
                        // Rows of the result follow four rows behind those of the input.
                        let mut from = Ring::new(c_in, (h, w), step + 4 + 1);
                        let mut to = Ring::new(c_out, (h, w), step);
                        for end in (step..h + 4 + step).step_by(step) {
                            put(&mut from, &x, h.min(end - step)..h.min(end));
                            let rows = h.min((end - step).saturating_sub(4))..h.min(end - 4);
                            put(&mut to, &before, rows.clone());
                            let act = Activation::Relu;
                            conv2d_rows(kernel, rows.clone(), &from, &packed, Some(&bias), act, adds, &mut to);
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
                    for (c, i, j) in (0..channels * by.0 * by.1).map(|z| (z / (by.0 * by.1), z / by.1 % by.0, z % by.1)) {
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
    #[should_panic(expected = "in memory")]
    fn rows_that_have_passed_are_not_read() {
        let (x, mut to) = (Ring::new(2, (40, 8), 8), Ring::new(2, (40, 8), 16));
        let packed = Packed::new(vec![0.0; 36]);
        conv2d_rows((3, 3), 0..12, &x, &packed, None, Activation::None, false, &mut to);
    }
}
