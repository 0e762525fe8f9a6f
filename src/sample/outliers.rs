//! Outliers of an image: hot pixels, stars, scale bars and values that mark missing data.

use super::stats::Running;
use super::{Depth, Kind, Sample, Stats};

/// Number of pixel values that are sampled from a large image to estimate its range.
const ENOUGH: usize = 1 << 16;

/// One in this many numbers is excluded on each side when the spread is measured, since it may be an outlier.
const TAIL: usize = 20;

/// Distance from the 90 % range, in spreads, above which a number makes the image have outliers.
const FAR: f32 = 256.0;

/// Smaller limit, used only if nearly all numbers beyond it are isolated, as hot pixels are and strokes of ink are not.
const NEAR: f32 = 16.0;

/// At most one in this many numbers of an image may be isolated.
const ALONE: usize = 100;

/// Distance, in spreads, above which all numbers of an image with outliers are excluded. About 26 deviations of normal noise.
const BEYOND: f32 = 8.0;

/// A value marks missing data if it fills at least one in this many pixels.
const FILLED: usize = 200;

/// Range of the numbers that are content.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounds {
    /// Lower bound.
    pub low: f32,
    /// Upper bound.
    pub high: f32,
}

impl Bounds {
    /// Returns `true` if a number is outside the bounds.
    pub fn exclude(&self, value: f32) -> bool {
        value < self.low || value > self.high
    }
}

impl Sample {
    /// Computes the statistics of an image without its outliers, and the bounds that exclude them. Without outliers, the
    /// statistics are those of all numbers, and the bounds `None`: always with 8 bits, for signals and for vectors.
    ///
    /// An image has outliers if a number is more than 256 spreads away from the range of 90 % of all numbers (the
    /// spread is the width of that range), or more than 16 if nearly all of these are isolated; or if one extreme
    /// value fills more than a two-hundredth of the image and is 256 spreads away from the rest. Images with only
    /// multiples of 1/255 have none: black specks on a white page are noise to be removed.
    pub fn robust_stats(&self) -> (Stats, Option<Bounds>) {
        let Some(bounds) = self.bounds() else { return (self.stats(), None) };
        let count = self.shape().numbers();
        let (mut all, mut inside, mut part) = (Running::default(), Vec::with_capacity(4096), [0.0; 4096]);
        for start in (0..count).step_by(part.len()) {
            let part = &mut part[..4096.min(count - start)];
            self.read(start, part);
            inside.clear();
            let is_known = |at: usize| self.missing().is_none_or(|missing| !missing[start + at]);
            let known = part.iter().enumerate().filter(|(at, _)| is_known(*at)).map(|(_, v)| *v);
            inside.extend(known.filter(|v| !bounds.exclude(*v)));
            all.add(&inside);
        }
        (all.moments().into(), Some(bounds))
    }

    /// Width of the range of all numbers except a thousandth on each side.
    pub fn span(&self) -> f32 {
        let mut some = self.some();
        let tail = some.len() / 1000;
        let last = some.len() - 1 - tail;
        let mut nth = |n: usize| *some.select_nth_unstable_by(n, f32::total_cmp).1;
        let (low, high) = (nth(tail), nth(last));
        high - low
    }

    fn bounds(&self) -> Option<Bounds> {
        if self.shape().kind() != Kind::Image || self.depth() == Depth::U8 {
            return None;
        }
        let mut some = self.some();
        if some.iter().all(|v| (0.0..=1.0).contains(v) && is_whole(255.0 * v)) {
            return None;
        }
        let (low, high) = self.extremes();
        if let Some(bounds) = bounds_of(&mut some, low, high, FAR) {
            return Some(bounds);
        }
        if let Some(bounds) = bounds_of(&mut some, low, high, NEAR).filter(|bounds| self.stand_alone(bounds))
        {
            return Some(bounds);
        }
        let filled = |extreme: f32| some.iter().filter(|v| **v == extreme).count() * FILLED > some.len();
        let (low_is_filled, high_is_filled) = (filled(low), filled(high));
        if !low_is_filled && !high_is_filled {
            return None;
        }
        some.retain(|v| !(low_is_filled && *v == low || high_is_filled && *v == high));
        bounds_of(&mut some, low, high, FAR)
    }

    /// Returns `true` if at least four of five numbers beyond `bounds` have at most two neighbours beyond them, and
    /// these numbers are few.
    fn stand_alone(&self, bounds: &Bounds) -> bool {
        let (channels, height, width) = self.shape().extents();
        let most = (self.shape().numbers() / ALONE).max(1);
        let (mut all, mut alone) = (0, 0);
        let mut row = vec![0.0; width];
        for y in 0..channels * height {
            self.read(y * width, &mut row);
            for x in (0..width).filter(|x| bounds.exclude(row[*x])) {
                all += 1;
                alone += usize::from(self.neighbors_beyond(bounds, y, x) <= 2);
                if all > most {
                    return false;
                }
            }
        }
        5 * alone >= 4 * all
    }

    /// Number of the up to eight neighbours of a position that are beyond `bounds`; `row` counts through all channels.
    fn neighbors_beyond(&self, bounds: &Bounds, row: usize, x: usize) -> usize {
        let (_, height, width) = self.shape().extents();
        let (y, first) = (row % height, row / height * height);
        let (left, right) = (x.saturating_sub(1), (x + 1).min(width - 1));
        let mut near = [0.0; 3];
        let rows = y.saturating_sub(1)..=(y + 1).min(height - 1);
        let beyond = rows.map(|y| {
            let near = &mut near[..=right - left];
            self.read((first + y) * width + left, near);
            near.iter().filter(|v| bounds.exclude(**v)).count()
        });
        beyond.sum::<usize>() - 1
    }

    fn extremes(&self) -> (f32, f32) {
        let (count, mut part) = (self.shape().numbers(), [0.0; 4096]);
        let (mut low, mut high) = (f32::INFINITY, f32::NEG_INFINITY);
        for start in (0..count).step_by(part.len()) {
            let part = &mut part[..4096.min(count - start)];
            self.read(start, part);
            part.iter().for_each(|&v| (low, high) = (low.min(v), high.max(v)));
        }
        (low, high)
    }

    /// Returns all numbers of a small image, or numbers from all over a large one.
    fn some(&self) -> Vec<f32> {
        let count = self.shape().numbers();
        if count <= ENOUGH {
            return self.data().to_vec();
        }
        // Multiples of the golden ratio, to avoid aliasing with any period of the image.
        let place = |k: usize| ((k as f64 * 0.618_033_988_749_894_9).fract() * count as f64) as usize;
        let one = |k: usize| {
            let mut value = 0.0;
            self.read(place(k).min(count - 1), std::slice::from_mut(&mut value));
            value
        };
        (0..ENOUGH).map(one).collect()
    }
}

/// Returns `true` for whole numbers, up to the rounding of a 255th.
fn is_whole(v: f32) -> bool {
    (v - v.round()).abs() < 1e-4
}

/// Bounds of the bulk of `some`, if an extreme is far beyond it.
fn bounds_of(some: &mut [f32], low: f32, high: f32, far: f32) -> Option<Bounds> {
    if some.len() < 2 * TAIL {
        return None;
    }
    let (tail, last) = (some.len() / TAIL, some.len() - 1 - some.len() / TAIL);
    let mut nth = |n: usize| *some.select_nth_unstable_by(n, f32::total_cmp).1;
    let (from, to) = (nth(tail), nth(last));
    let spread = to - from;
    let is_far = spread > 0.0 && (from - low > far * spread || high - to > far * spread);
    is_far.then_some(Bounds { low: from - BEYOND * spread, high: to + BEYOND * spread })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, Rng};
    use crate::sample::Shape;

    fn noisy(change: impl Fn(usize, f32) -> f32) -> Sample {
        let shape = Shape::image(1, 64, 80);
        let mut noise = vec![0.0; shape.numbers()];
        Rng::new(1, Purpose::Evaluate, 0).fill_normal(&mut noise);
        let data = noise.iter().enumerate().map(|(i, n)| change(i, 100.0 + 5.0 * n));
        Sample::new(shape, data.collect()).unwrap()
    }

    #[test]
    fn outliers_do_not_move_the_statistics() {
        let (plain, none) = noisy(|_, v| v).robust_stats();
        assert_eq!((plain, none), (noisy(|_, v| v).stats(), None));
        // One hot pixel; stars on a fiftieth of the pixels; rows without data.
        let one = noisy(|i, v| if i == 2000 { 65_535.0 } else { v });
        let stars = noisy(|i, v| if i % 50 == 7 { 20_000.0 + i as f32 } else { v });
        let empty = noisy(|i, v| if i < 1600 { -9999.0 } else { v });
        for sample in [one, stars, empty] {
            let (stats, bounds) = sample.robust_stats();
            assert!((stats.mean - 100.0).abs() < 0.4 && (stats.std - 5.0).abs() < 0.2, "{stats:?}");
            let bounds = bounds.unwrap();
            assert!(bounds.exclude(65_535.0) && bounds.exclude(-9999.0) && !bounds.exclude(130.0));
        }
    }

    #[test]
    fn images_of_8_bits_pages_and_photographs_have_none() {
        let shape = Shape::image(1, 64, 80);
        // A white page with one level of noise and a black dot.
        let page =
            (0..shape.numbers()).map(|i| if i == 99 { 0 } else { 254 + (i * 7 % 3 % 2) as u8 }).collect();
        assert_eq!(Sample::from_bytes(shape, page).unwrap().robust_stats().1, None);
        let flat = (0..shape.numbers()).map(|i| u8::from(i == 99) * 255).collect();
        assert_eq!(Sample::from_bytes(shape, flat).unwrap().robust_stats().1, None);
        assert_eq!(noisy(|i, v| if i % 3 == 0 { 0.0 } else { v }).robust_stats().1, None);
        // A page of 16 bits with one short line of ink, and the same ink as specks.
        let line = noisy(|i, v| if (i / 80) % 30 < 4 && i % 80 < 20 { v - 900.0 } else { v });
        assert_eq!(line.robust_stats().1, None);
        assert!(noisy(|i, v| if i % 640 == 3 { v - 900.0 } else { v }).robust_stats().1.is_some());
    }

    #[test]
    fn bounds_follow_scale_and_offset() {
        let one = |scale: f32, offset: f32| {
            noisy(|i, v| scale * if i == 2000 { 65_536.0 } else { v } + offset).robust_stats()
        };
        let ((plain, bounds), (scaled, moved)) = (one(1.0, 0.0), one(4.0, 1024.0));
        assert!((scaled.std / plain.std - 4.0).abs() < 1e-4);
        let (bounds, moved) = (bounds.unwrap(), moved.unwrap());
        assert!((moved.high - (4.0 * bounds.high + 1024.0)).abs() < 0.1, "{bounds:?} {moved:?}");
    }
}
