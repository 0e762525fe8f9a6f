//! Target: where results go, row by row, back on the sample's own scale and at the depth that was asked for.

use std::ops::Range;

use crate::kernel::parallel;
use crate::sample::{Number, Sample, Shape, Stats, sum};

/// Numbers of a row that are at work at a time.
const PIECE: usize = 512;

/// The result in the making.
#[derive(Debug)]
pub struct Target<'a, T> {
    shape: Shape,
    stats: Stats,
    /// The input, where it takes part: it is blended in with weight `1 - strength`.
    input: Option<&'a Sample>,
    strength: f32,
    data: Vec<T>,
    /// Sum of squares of input less result, on the normalised scale; none once a number was not finite.
    residual: Option<f64>,
}

impl<'a, T: Number> Target<'a, T> {
    /// An empty result of `shape`.
    pub fn new(shape: Shape, stats: Stats, input: Option<&'a Sample>, strength: f32) -> Self {
        let data = vec![T::from_f32(0.0); shape.numbers()];
        Self { shape, stats, input, strength, data, residual: Some(0.0) }
    }

    /// That of the result.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Takes what a network gave for these rows of a channel, `row(y)` from column `first` on, as far as the sample goes.
    pub fn put<'r>(
        &mut self,
        channel: usize,
        rows: Range<usize>,
        first: usize,
        row: impl Fn(usize) -> &'r [f32] + Sync,
    ) {
        let (_, height, width) = self.shape.extents();
        let rows = rows.start.min(height)..rows.end.min(height);
        let begin = channel * height + rows.start;
        let Self { stats, input, strength, data, residual, .. } = self;
        let work = Row { stats: *stats, input: *input, strength: *strength };
        let done = parallel::map_rows(&mut data[begin * width..][..rows.len() * width], width, |i, to| {
            let to = &mut to[first.min(width)..];
            work.put(row(rows.start + i), (begin + i) * width + first, to)
        });
        let sum: Option<f64> = done.into_iter().sum();
        *residual = residual.zip(sum).map(|(before, sum)| before + sum);
    }

    /// The numbers, and the residual: the sum of squares of input less result, on the normalised scale. None where a number is
    /// not finite.
    pub fn finish(self) -> Option<(Vec<T>, f64)> {
        Some((self.data, self.residual?))
    }
}

/// What happens to each row.
#[derive(Clone, Copy)]
struct Row<'a> {
    stats: Stats,
    input: Option<&'a Sample>,
    strength: f32,
}

impl Row<'_> {
    /// Restores `row`, blends it with the input's numbers from `at` on and stores it as far as `to` goes. Gives the sum of
    /// squares of input less result, in units of the deviation; none if a number is not finite.
    fn put<T: Number>(&self, row: &[f32], at: usize, to: &mut [T]) -> Option<f64> {
        let Self { stats, input, strength } = self;
        let [mut numbers, mut before, mut apart] = [[0.0; PIECE]; 3];
        let mut residual = 0.0;
        for ((row, to), at) in row.chunks(PIECE).zip(to.chunks_mut(PIECE)).zip((at..).step_by(PIECE)) {
            let numbers = &mut numbers[..to.len().min(row.len())];
            numbers.copy_from_slice(&row[..numbers.len()]);
            stats.restore(numbers);
            if !all_finite(numbers) {
                return None;
            }
            if let Some(sample) = input {
                let before = &mut before[..numbers.len()];
                sample.read(at, before);
                let apart = &mut apart[..numbers.len()];
                apart.iter_mut().zip(&*before).zip(&*numbers).for_each(|((apart, x), r)| *apart = x - r);
                residual += sum(apart, |v| v * v);
                if *strength != 1.0 {
                    let (new, old) = (*strength, 1.0 - *strength);
                    numbers.iter_mut().zip(before).for_each(|(r, x)| *r = *r * new + *x * old);
                }
            }
            to.iter_mut().zip(&*numbers).for_each(|(to, v)| *to = T::from_f32(*v));
        }
        Some(residual / f64::from(stats.std).powi(2))
    }
}

/// Without a branch for each number: what is not finite has the largest exponent.
pub fn all_finite(numbers: &[f32]) -> bool {
    let largest = numbers.iter().fold(0, |largest, v| v.abs().to_bits().cast_signed().max(largest));
    largest < f32::INFINITY.to_bits().cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put<T: Number>(strength: f32, values: &[f32]) -> Option<(Vec<T>, f64)> {
        let shape = Shape::image(1, 1, 2);
        let input = Sample::new(shape, vec![1.0, 0.0]).unwrap();
        let stats = Stats { mean: 0.5, std: 0.25 };
        let mut target = Target::<T>::new(shape, stats, Some(&input), strength);
        target.put(0, 0..1, 0, |_| &values[..2]);
        target.put(0, 1..2, 0, |_| &values[2..]);
        target.finish()
    }

    #[test]
    fn results_are_restored_blended_cut_and_rounded() {
        assert_eq!(put::<f32>(1.0, &[0.0, 1.0, 9.0, 9.0]).unwrap(), (vec![0.5, 0.75], 13.0));
        assert_eq!(put::<f32>(0.5, &[0.0, 1.0, 9.0, 9.0]).unwrap(), (vec![0.75, 0.375], 13.0));
        assert_eq!(put::<u8>(1.0, &[2.0, 99.0, 0.0, 0.0]).unwrap().0, [255, 255]);
    }

    #[test]
    fn what_is_not_finite_is_no_result() {
        assert!(put::<u8>(1.0, &[f32::NAN, 0.0, 0.0, 0.0]).is_none());
        assert!(put::<f32>(1.0, &[f32::INFINITY, f32::NEG_INFINITY, 0.0, 0.0]).is_none());
    }
}
