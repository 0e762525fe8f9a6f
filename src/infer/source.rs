//! Source: a sample as the network takes it, normalised and mirrored beyond its borders, area by area.

use super::tile::Area;
use crate::sample::{Sample, Stats};

/// A sample with what is taken out of it.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    pub sample: &'a Sample,
    pub stats: Stats,
}

impl Source<'_> {
    /// Appends the numbers of an area, which may reach beyond the lower and right border, to `out`.
    pub fn read(&self, area: &Area, out: &mut Vec<f32>) {
        let (channels, height, width) = super::extents(self.sample.shape());
        let cols = area.cols.start.min(width)..area.cols.end.min(width);
        for c in 0..channels {
            for y in area.rows.clone() {
                let row = (c * height + fold(y, height)) * width;
                let start = out.len();
                out.resize(start + area.cols.len(), 0.0);
                let (inside, beyond) = out[start..].split_at_mut(cols.len());
                self.sample.read(row + cols.start, inside);
                for (x, v) in (cols.end..area.cols.end).zip(beyond) {
                    self.sample.read(row + fold(x, width), std::slice::from_mut(v));
                }
                self.stats.normalize(&mut out[start..]);
            }
        }
    }
}

/// Where a place beyond the end of an axis of `n` mirrors to; the border itself is not repeated. Works for any `n`,
/// by mirroring again and again.
fn fold(i: usize, n: usize) -> usize {
    let period = (2 * n - 2).max(1);
    let i = i % period;
    i.min(period - i).min(n - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::Shape;

    #[test]
    fn mirroring_does_not_repeat_the_border_and_works_for_one_pixel() {
        assert_eq!((0..8).map(|i| fold(i, 3)).collect::<Vec<_>>(), [0, 1, 2, 1, 0, 1, 2, 1]);
        assert_eq!((0..4).map(|i| fold(i, 1)).collect::<Vec<_>>(), [0; 4]);
    }

    #[test]
    fn an_area_is_read_normalised_and_mirrored() {
        let sample = Sample::from_bytes(Shape::image(1, 2, 3), vec![0, 51, 102, 153, 204, 255]).unwrap();
        let source = Source { sample: &sample, stats: Stats { mean: 0.2, std: 0.2 } };
        let mut out = Vec::new();
        source.read(&Area { rows: 1..3, cols: 1..5 }, &mut out);
        let expected = [3.0, 4.0, 3.0, 2.0, 0.0, 1.0, 0.0, -1.0];
        assert!(out.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-5), "{out:?}");
    }
}
