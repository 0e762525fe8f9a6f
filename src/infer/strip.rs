//! Strips: division of a wide sample so that its parts give the same result as the whole.
//!
//! Pure geometry, independent of models and tensors. A strip has all rows of the sample, which are streamed through the
//! network band by band; its core is its part of the result, and the halo on either side covers its receptive field.
//! The division depends only on the size of the sample, so results do not depend on threads or load.

use std::ops::Range;

/// Maximum number of pixels of an image computed in one piece: 2 to 4 % faster at 256x256, and 2 % slower at 500x500,
/// but in less memory.
const WHOLE: usize = 1 << 18;

/// Maximum number of columns of a core: streaming keeps about two hundred rows at half the size of the image in memory.
const WIDE: usize = 4 << 10;

/// Maximum number of columns of a core of a large image.
const WIDE_OF_LARGE: usize = 5 << 9;

/// Number of pixels above which an image is large: its own numbers take as much memory as the network otherwise would.
const LARGE: usize = 1 << 25;

/// Approximate number of positions in a band of rows at the finest scale of the network: enough that the coarsest scale
/// has work for all threads. Half of it took 3 % longer (12 megapixels), twice as much took half as much memory again.
const BAND: usize = 64 << 10;

/// Approximate number of positions in a band of a large image.
const BAND_OF_LARGE: usize = 32 << 10;

/// Approximate number of pixels of a core of an image with few rows.
const CORE: usize = 1 << 20;

/// Approximate number of steps of a core of a signal.
const CORE_OF_LINE: usize = 1 << 16;

/// Alignment of strips, in positions of the coarsest scale: 4x4 Winograd tiles stay at their positions in the whole.
const ALIGN: usize = 4;

/// Columns of one strip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Strip {
    /// Columns of the result.
    pub core: Range<usize>,
    /// Columns of the input: core and halo.
    pub outer: Range<usize>,
}

/// Returns `true` if a sample of `height` x `width` is computed in one piece. A sample of one row is a signal.
pub fn is_whole(height: usize, width: usize) -> bool {
    if height == 1 { width <= CORE_OF_LINE } else { height.saturating_mul(width) <= WHOLE }
}

/// Returns `true` if an image is so large that the network must use little additional memory.
pub fn is_large(height: usize, width: usize) -> bool {
    height > 1 && height.saturating_mul(width) > LARGE
}

/// Returns the number of positions at the finest scale of the network that enter it at a time.
pub fn band(height: usize, width: usize) -> usize {
    if is_large(height, width) { BAND_OF_LARGE } else { BAND }
}

/// Divides `height` x `width` into strips with a halo of `reach` columns on either side of the core, except at the
/// borders of the sample; core and halo begin at multiples of [`ALIGN`] times the network's `stride`.
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
