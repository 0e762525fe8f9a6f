//! Source: a sample as input of the network, normalised and mirrored beyond its borders, row by row.

use super::probe::Probe;
use super::scale::{Scale, filled};
use crate::sample::Sample;

/// A sample and its normalisation.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    pub sample: &'a Sample,
    pub scale: &'a Scale,
    /// Small random change of each number, if any.
    pub probe: Option<Probe>,
}

impl Source<'_> {
    /// Reads row `y` of a channel from column `first`; both may be beyond the lower and right border.
    pub fn read(&self, channel: usize, y: usize, first: usize, row: &mut [f32]) {
        let (_, height, width) = self.sample.shape().extents();
        let start = (channel * height + fold(y, height)) * width;
        let inside = first.min(width)..width.min(first + row.len());
        let (within, beyond) = row.split_at_mut(inside.len());
        self.sample.read(start + inside.start, within);
        for (x, v) in (inside.end..).zip(beyond) {
            self.sample.read(start + fold(x, width), std::slice::from_mut(v));
        }
        if let Some(bounds) = &self.scale.bounds {
            for (x, v) in (first..).zip(row.iter_mut()).filter(|(_, v)| bounds.exclude(**v)) {
                *v = filled(self.sample, self.scale, bounds, (channel, fold(y, height), fold(x, width)));
            }
        }
        if let Some(probe) = self.probe {
            let mut move_at = |(x, v): (usize, &mut f32)| *v += probe.at(start + fold(x, width));
            (first..).zip(row.iter_mut()).for_each(&mut move_at);
        }
        self.scale.normalize(channel, first, row);
    }
}

/// Returns the mirrored index of a position beyond the end of an axis of `n`, without repeating the border. Works for
/// any distance and `n`, by repeated mirroring.
fn fold(i: usize, n: usize) -> usize {
    let period = (2 * n - 2).max(1);
    let i = i % period;
    i.min(period - i).min(n - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{Bounds, Shape, Stats};

    #[test]
    fn mirroring_does_not_repeat_the_border_and_works_for_one_pixel() {
        assert_eq!((0..8).map(|i| fold(i, 3)).collect::<Vec<_>>(), [0, 1, 2, 1, 0, 1, 2, 1]);
        assert_eq!((0..4).map(|i| fold(i, 1)).collect::<Vec<_>>(), [0; 4]);
    }

    #[test]
    fn rows_are_read_normalised_and_mirrored() {
        let sample = Sample::from_bytes(Shape::image(1, 2, 3), vec![0, 51, 102, 153, 204, 255]).unwrap();
        let scale = Scale::all(Stats { mean: 0.2, std: 0.2 });
        let source = Source { sample: &sample, scale: &scale, probe: None };
        for (y, expected) in [(1, [3.0, 4.0, 3.0, 2.0]), (2, [0.0, 1.0, 0.0, -1.0])] {
            let mut row = [9.0; 4];
            source.read(0, y, 1, &mut row);
            assert!(row.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-5), "{row:?}");
        }
    }

    #[test]
    fn outliers_are_read_as_their_neighbours_or_as_the_mean() {
        let shape = Shape::image(1, 2, 5);
        let sample =
            Sample::new(shape, vec![1.0, 900.0, 3.0, 900.0, 900.0, 5.0, 2.0, 4.0, 900.0, 900.0]).unwrap();
        let bounds = Some(Bounds { low: 0.0, high: 10.0 });
        let scale = Scale::all(Stats { mean: 2.5, std: 1.0 }).within(bounds);
        let mut row = [0.0; 6];
        Source { sample: &sample, scale: &scale, probe: None }.read(0, 0, 0, &mut row);
        // (1 + 3 + 5 + 2 + 4) / 5, (3 + 4) / 2, the mean, and mirrored.
        assert_eq!(row, [-1.5, 0.5, 0.5, 1.0, 0.0, 1.0]);
    }
}
