//! Strips: how a wide sample is cut so that its parts give what the whole would.
//!
//! Pure geometry: knows no model and no tensor. A strip has all rows of the sample, which pass through the network one band
//! after another; its core is what it contributes, and beyond that lies what the network sees on either side. The cut is a
//! function of the sample's size alone, so results do not depend on threads or load.

use std::ops::Range;

/// Images of no more pixels go through the network in one piece: 2 to 4 % faster at 256x256, and 2 % slower at 500x500, but in
/// less memory.
const WHOLE: usize = 1 << 18;

/// Cores of images have at most so many columns: the rows that pass by, about two hundred at half the image's size, take memory.
const WIDE: usize = 4 << 10;

/// Those of large images are narrower.
const WIDE_OF_LARGE: usize = 5 << 9;

/// An image of more pixels is large: its own numbers take the memory that the network would.
const LARGE: usize = 1 << 25;

/// Places of a band of rows at the finest scale of the network, about: enough that the coarsest scale has work for all threads.
/// Half of it took 3 % longer (12 megapixels), twice as much took half as much memory again.
const BAND: usize = 64 << 10;

/// That of large images.
const BAND_OF_LARGE: usize = 32 << 10;

/// Cores of images with few rows have about so many pixels.
const CORE: usize = 1 << 20;

/// Cores of signals are about so many steps in time.
const CORE_OF_LINE: usize = 1 << 16;

/// Strips begin at multiples of so many places of the coarsest scale: 4x4 Winograd tiles stay where they would be in the whole.
const ALIGN: usize = 4;

/// Columns of one strip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Strip {
    /// What it contributes.
    pub core: Range<usize>,
    /// What the network sees.
    pub outer: Range<usize>,
}

/// Whether a sample of `height` x `width` goes through in one piece. What has one row is a line.
pub fn is_whole(height: usize, width: usize) -> bool {
    if height == 1 { width <= CORE_OF_LINE } else { height.saturating_mul(width) <= WHOLE }
}

/// Whether an image is so large that the network must not take much memory beside it.
pub fn is_large(height: usize, width: usize) -> bool {
    height > 1 && height.saturating_mul(width) > LARGE
}

/// How many places at the finest scale of the network enter it at a time.
pub fn band(height: usize, width: usize) -> usize {
    if is_large(height, width) { BAND_OF_LARGE } else { BAND }
}

/// Cuts `height` x `width` into strips that see `reach` columns beyond their cores, except at the sample's own borders; both
/// begin at multiples of [`ALIGN`] times the network's `stride`.
pub fn cut(height: usize, width: usize, stride: usize, reach: usize) -> impl Iterator<Item = Strip> {
    let most = match height {
        1 => CORE_OF_LINE,
        _ if is_large(height, width) => WIDE_OF_LARGE.max(CORE / height),
        _ => WIDE.max(CORE / height),
    };
    let align = ALIGN * stride;
    let step = width.div_ceil(width.div_ceil(most)).next_multiple_of(align);
    let strip = move |start: usize| {
        let core = start..width.min(start + step);
        let first = start.saturating_sub(reach) / align * align;
        Strip { outer: first..width.min((core.end + reach).next_multiple_of(align)), core }
    };
    (0..width).step_by(step).map(strip)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_cover_every_column_once_and_strips_see_as_far_as_the_network() {
        for (height, width) in
            [(3000, 4032), (10_000, 10_000), (8, 1 << 20), (1, 1 << 20), (20_000, 4104), (1, 64)]
        {
            let strips: Vec<Strip> = cut(height, width, 8, 110).collect();
            let ends: Vec<usize> = strips.iter().map(|strip| strip.core.end).collect();
            let starts: Vec<usize> = strips.iter().map(|strip| strip.core.start).collect();
            assert_eq!((starts[0], *ends.last().unwrap()), (0, width));
            assert_eq!(starts[1..], ends[..ends.len() - 1]);
            for Strip { core, outer } in strips {
                assert!(
                    outer.start <= core.start.saturating_sub(110) && outer.end >= width.min(core.end + 110)
                );
                assert!(
                    outer.end <= width && core.start.is_multiple_of(32) && outer.start.is_multiple_of(32)
                );
            }
        }
    }

    #[test]
    fn few_strips_have_little_border() {
        let count = |height, width| cut(height, width, 8, 110).count();
        assert_eq!([count(3000, 4032), count(4000, 6000), count(10_000, 10_000)], [1, 2, 4]);
        assert_eq!([count(8, 1 << 20), count(1, 1 << 17)], [8, 2]);
    }
}
