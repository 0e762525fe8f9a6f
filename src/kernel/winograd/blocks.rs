//! Blocks of tiles: the unit that one task transforms and multiplies.

use std::ops::Range;

use super::super::Conv;
use super::super::channels_last::{gather, zero};
use super::super::simd::Simd;

/// Split of tiles into blocks: rectangles of one image, or all columns of several small images.
pub(super) struct Blocks {
    batch: usize,
    /// Tile rows and columns to split.
    down: Range<usize>,
    across: Range<usize>,
    /// Maximum extents of a block.
    images: usize,
    rows: usize,
    cols: usize,
    /// Number of blocks along each axis.
    count: [usize; 3],
}

/// One block: a rectangle of tiles in each of several images.
pub(super) struct Block {
    pub images: Range<usize>,
    pub rows: Range<usize>,
    pub cols: Range<usize>,
}

impl Blocks {
    /// Splits these tile rows and columns into blocks of at most `most` tiles, at least `wanted` blocks if there are
    /// enough tiles.
    pub(super) fn new(
        batch: usize,
        down: Range<usize>,
        across: Range<usize>,
        most: usize,
        wanted: usize,
    ) -> Self {
        let (high, wide) = (down.len(), across.len());
        let most = most.min((batch * high * wide).div_ceil(wanted)).max(8);
        // At least two tile rows, since neighbours share pixels; as wide as that allows.
        let cols = even(wide, (most / high.min(2)).max(1));
        let rows = even(high, (most / cols).max(1));
        let images =
            if cols >= wide && rows >= high { even(batch, (most / (rows * cols)).max(1)) } else { 1 };
        let count = [batch.div_ceil(images), high.div_ceil(rows), wide.div_ceil(cols)];
        Self { batch, down, across, images, rows, cols, count }
    }

    pub(super) fn len(&self) -> usize {
        self.count.iter().product()
    }

    /// Number of tiles of the largest block.
    pub(super) fn tiles(&self) -> usize {
        self.images * self.rows * self.cols
    }

    /// Floats of the pixels of the largest rectangle, with a halo of `halo` pixels in total along each axis, for
    /// `lanes` channels.
    pub(super) fn pixels(&self, halo: usize, lanes: usize) -> usize {
        (4 * self.rows + halo) * (4 * self.cols + halo) * lanes
    }

    pub(super) fn get(&self, i: usize) -> Block {
        let [_, down, across] = self.count;
        let cut = |i: usize, step: usize, all: Range<usize>| {
            all.start + i * step..(all.start + (i + 1) * step).min(all.end)
        };
        Block {
            images: cut(i / (down * across), self.images, 0..self.batch),
            rows: cut(i / across % down, self.rows, self.down.clone()),
            cols: cut(i % across, self.cols, self.across.clone()),
        }
    }
}

/// Returns the size of parts, each at most `most`, that split `n` most evenly.
fn even(n: usize, most: usize) -> usize {
    n.div_ceil(n.div_ceil(most).max(1)).max(1)
}

impl Block {
    /// Number of tiles of one image's rectangle.
    pub(super) fn area(&self) -> usize {
        self.rows.len() * self.cols.len()
    }
}

/// Converts a rectangle of one image's planes to channels-last, N channels a pixel: `high` x `wide` pixels from
/// `(y, x)`, zero outside of the planes. A plane has `held` rows in memory.
///
/// # Safety
/// `planes` is readable for `channels` planes, `to` writable for the rectangle.
#[inline(always)]
pub(super) unsafe fn stage<S: Simd>(
    conv: &Conv,
    held: usize,
    planes: *const f32,
    channels: usize,
    (y, x): (isize, isize),
    (high, wide): (usize, usize),
    to: *mut f32,
) {
    let (h, w) = (conv.h as isize, conv.w as isize);
    let left = (-x).max(0) as usize;
    let inside = ((w - x).min(wide as isize) as usize).saturating_sub(left);
    for r in 0..high {
        // SAFETY: only pixels inside the planes are read; rows are within the rectangle.
        unsafe {
            let row = to.add(r * wide * S::N);
            let from_y = y + r as isize;
            if from_y < 0 || from_y >= h {
                zero::<S>(wide, row, S::N);
                continue;
            }
            zero::<S>(left, row, S::N);
            let from = planes.offset((from_y % held as isize) * w + x + left as isize);
            gather::<S>(from, held * conv.w, channels, inside, row.add(left * S::N), S::N);
            zero::<S>(wide - left - inside, row.add((left + inside) * S::N), S::N);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_cover_every_tile_once_and_keep_to_their_size() {
        for (batch, h, w) in
            [(1, 16, 16), (3, 17, 23), (16, 32, 32), (2, 256, 256), (1, 15, 500), (40, 16, 16)]
        {
            for (most, wanted) in [(48, 1), (64, 8), (24, 4)] {
                let (high, wide, top, left) = (usize::div_ceil(h, 4), usize::div_ceil(w, 4), 1, 2);
                let blocks = Blocks::new(batch, top..high, left..wide, most, wanted);
                let mut seen = vec![0; batch * high * wide];
                assert!(blocks.tiles() <= most);
                for i in 0..blocks.len() {
                    let block = blocks.get(i);
                    assert!(block.images.len() * block.area() <= blocks.tiles());
                    for image in block.images {
                        for row in block.rows.clone() {
                            for col in block.cols.clone() {
                                seen[(image * high + row) * wide + col] += 1;
                            }
                        }
                    }
                }
                let expected = |i: usize| i32::from(i / wide % high >= top && i % wide >= left);
                let right = seen.iter().enumerate().all(|(i, n)| *n == expected(i));
                assert!(right, "{batch} x {h} x {w}, {most}, {wanted}");
            }
        }
    }
}
