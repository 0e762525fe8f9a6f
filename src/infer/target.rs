//! Target: receives results row by row, on the scale of the sample and at the requested depth.

use std::ops::Range;

use super::probe::Probe;
use super::scale::Scale;
use crate::kernel::parallel;
use crate::sample::{Number, Sample, Shape, sum};

/// Number of values of a row processed at a time.
const PIECE: usize = 512;

/// The result under construction.
#[derive(Debug)]
pub struct Target<'a, T> {
    shape: Shape,
    scale: &'a Scale,
    /// Input to blend in with weight `1 - strength`, if any.
    input: Option<&'a Sample>,
    strength: f32,
    /// `true` to copy outliers and constant channels from the input; `false` to decode the latent alone.
    passes: bool,
    data: Vec<T>,
    /// Sum of squares of input minus result where the input is known, on the normalised scale; `None` after a number that is
    /// not finite.
    residual: Option<f64>,
    /// Change of the input and the result without it, if results are compared with that one and not stored.
    probe: Option<(Probe, &'a Sample)>,
    /// Sum of the products of the change and of its effect.
    product: f64,
}

impl<'a> Target<'a, f32> {
    /// Creates a target that compares results for the input moved by `probe` with `result`, that of `input` itself.
    pub fn probing(
        scale: &'a Scale,
        input: &'a Sample,
        result: &'a Sample,
        strength: f32,
        probe: Probe,
    ) -> Self {
        let (shape, probe) = (input.shape(), Some((probe, result)));
        let (data, residual, product) = (Vec::new(), Some(0.0), 0.0);
        Self { shape, scale, input: Some(input), strength, passes: false, data, residual, probe, product }
    }

    /// Returns the sum of the products of each change and of its effect; `None` if a number is not finite.
    pub fn product(self) -> Option<f64> {
        self.residual.map(|_| self.product)
    }
}

impl<'a, T: Number> Target<'a, T> {
    /// Creates an empty result of `shape`.
    pub fn new(shape: Shape, scale: &'a Scale, input: Option<&'a Sample>, strength: f32) -> Self {
        let data = vec![T::from_f32(0.0); shape.numbers()];
        let (residual, probe, product) = (Some(0.0), None, 0.0);
        Self { shape, scale, input, strength, passes: false, data, residual, probe, product }
    }

    /// Enables copying of everything hidden from the network (outliers, constant channels) from the input.
    #[must_use]
    pub fn passing(self) -> Self {
        Self { passes: true, ..self }
    }

    /// Returns the shape of the result.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Stores, or compares, the output of the network for these rows of a channel, `row(y)` from column `first`, up to the border of
    /// the sample.
    pub fn put<'r>(
        &mut self,
        channel: usize,
        rows: Range<usize>,
        first: usize,
        row: impl Fn(usize) -> &'r [f32] + Sync,
    ) {
        if self.probe.is_some() {
            return self.compare(channel, rows, first, row);
        }
        let (_, height, width) = self.shape.extents();
        let rows = rows.start.min(height)..rows.end.min(height);
        let begin = channel * height + rows.start;
        let Self { scale, input, strength, passes, data, residual, .. } = self;
        let work = Row { scale, channel, input: *input, strength: *strength, passes: *passes, probe: None };
        let done = parallel::map_rows(&mut data[begin * width..][..rows.len() * width], width, |i, to| {
            let to = &mut to[first.min(width)..];
            work.put(row(rows.start + i), (begin + i) * width + first, first, to)
        });
        let sum: Option<f64> = done.into_iter().sum();
        *residual = residual.zip(sum).map(|(before, sum)| before + sum);
    }

    /// Compares rows of a channel, see [`Target::put`].
    fn compare<'r>(
        &mut self,
        channel: usize,
        rows: Range<usize>,
        first: usize,
        row: impl Fn(usize) -> &'r [f32],
    ) {
        let Some((probe, result)) = self.probe else { return };
        let (_, height, width) = self.shape.extents();
        let work = Row {
            scale: self.scale,
            channel,
            input: self.input,
            strength: self.strength,
            passes: self.passes,
            probe: Some(probe),
        };
        let missing = self.input.and_then(Sample::missing);
        let mut to = vec![0.0; width - first.min(width)];
        for y in rows.start.min(height)..rows.end.min(height) {
            let (at, row) = ((channel * height + y) * width + first, row(y));
            let to = &mut to[..row.len().min(width - first.min(width))];
            self.residual = self.residual.zip(work.put(row, at, first, to)).map(|(before, sum)| before + sum);
            self.product += probe.product(at, result, to, missing);
        }
    }

    /// Returns the numbers, and the residual: the sum of squares of input minus result, on the normalised scale. `None`
    /// if a number is not finite.
    pub fn finish(self) -> Option<(Vec<T>, f64)> {
        Some((self.data, self.residual?))
    }
}

/// Parameters of the work on each row.
#[derive(Clone, Copy)]
struct Row<'a> {
    scale: &'a Scale,
    channel: usize,
    input: Option<&'a Sample>,
    strength: f32,
    passes: bool,
    /// Change of the input.
    probe: Option<Probe>,
}

impl Row<'_> {
    /// Inverts the normalisation of `row`, blends it with the numbers of the input from index `at`, which begin at
    /// column `first`, and stores it up to the length of `to`. Returns the sum of squares of input minus result, in
    /// units of the standard deviation; `None` if a number is not finite.
    fn put<T: Number>(&self, row: &[f32], at: usize, first: usize, to: &mut [T]) -> Option<f64> {
        let Self { scale, channel, input, strength, .. } = self;
        let [mut numbers, mut before, mut apart] = [[0.0; PIECE]; 3];
        let mut residual = 0.0;
        let pieces = row.chunks(PIECE).zip(to.chunks_mut(PIECE));
        for ((row, to), (at, first)) in pieces.zip((at..).step_by(PIECE).zip((first..).step_by(PIECE))) {
            let numbers = &mut numbers[..to.len().min(row.len())];
            numbers.copy_from_slice(&row[..numbers.len()]);
            scale.restore(*channel, first, numbers);
            if !all_finite(numbers) {
                return None;
            }
            if let Some(sample) = input {
                let before = &mut before[..numbers.len()];
                sample.read(at, before);
                if let Some(probe) = self.probe {
                    (at..).zip(before.iter_mut()).for_each(|(at, v)| *v += probe.at(at));
                }
                let apart = &mut apart[..numbers.len()];
                apart.iter_mut().zip(&*before).zip(&*numbers).for_each(|((apart, x), r)| *apart = x - r);
                self.pass_by(first, before, numbers, apart);
                if let Some(missing) = sample.missing() {
                    apart
                        .iter_mut()
                        .zip(&missing[at..])
                        .filter(|(_, m)| **m)
                        .for_each(|(apart, _)| *apart = 0.0);
                }
                if scale.deviation().is_none() {
                    scale.divide(*channel, first, apart);
                }
                residual += sum(apart, |v| v * v);
                if *strength != 1.0 {
                    let (new, old) = (*strength, 1.0 - *strength);
                    numbers.iter_mut().zip(before).for_each(|(r, x)| *r = *r * new + *x * old);
                }
            }
            to.iter_mut().zip(&*numbers).for_each(|(to, v)| *to = T::from_f32(*v));
        }
        Some(residual / f64::from(scale.deviation().unwrap_or(1.0)).powi(2))
    }

    /// Excludes numbers hidden from the network from the residual, and copies them from the input if enabled.
    fn pass_by(&self, first: usize, before: &[f32], numbers: &mut [f32], apart: &mut [f32]) {
        let Self { scale, channel, passes, .. } = self;
        let mut skip = |i: usize| {
            apart[i] = 0.0;
            if *passes {
                numbers[i] = before[i];
            }
        };
        if let Some(bounds) = &scale.bounds {
            (0..before.len()).filter(|i| bounds.exclude(before[*i])).for_each(&mut skip);
        }
        if !scale.varies() {
            (0..before.len()).filter(|i| scale.is_constant(*channel, first + i)).for_each(&mut skip);
        }
    }
}

/// Returns `true` if all numbers are finite. Compares bits without a branch per number: non-finite numbers have the
/// largest exponent.
pub fn all_finite(numbers: &[f32]) -> bool {
    let largest = numbers.iter().fold(0, |largest, v| v.abs().to_bits().cast_signed().max(largest));
    largest < f32::INFINITY.to_bits().cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{Bounds, Stats};

    fn put<T: Number>(strength: f32, values: &[f32]) -> Option<(Vec<T>, f64)> {
        let shape = Shape::image(1, 1, 2);
        let input = Sample::new(shape, vec![1.0, 0.0]).unwrap();
        let scale = Scale::all(Stats { mean: 0.5, std: 0.25 });
        let mut target = Target::<T>::new(shape, &scale, Some(&input), strength);
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
    fn outliers_and_constant_channels_pass_in_full_mode_alone() {
        let shape = Shape::image(1, 1, 3);
        let input = Sample::new(shape, vec![1.0, 900.0, 3.0]).unwrap();
        let bounds = Some(Bounds { low: 0.0, high: 10.0 });
        let scale = Scale::all(Stats { mean: 2.0, std: 1.0 }).within(bounds);
        let run = |target: Target<'_, f32>| {
            let mut target = target;
            target.put(0, 0..1, 0, |_| &[0.0, 0.0, 0.0]);
            target.finish().unwrap()
        };
        let new = || Target::new(shape, &scale, Some(&input), 1.0);
        assert_eq!(run(new()), (vec![2.0; 3], 2.0));
        assert_eq!(run(new().passing()), (vec![2.0, 900.0, 2.0], 2.0));

        let shape = Shape::Signal { channels: 2, length: 2 };
        let input = Sample::new(shape, vec![7.0, 7.0, 1.0, 3.0]).unwrap();
        let scale = Scale::channels(input.channel_stats());
        let mut target = Target::<f32>::new(shape, &scale, Some(&input), 1.0).passing();
        target.put(0, 0..1, 0, |_| &[0.5, -0.5]);
        target.put(1, 0..1, 0, |_| &[0.5, 1.0]);
        assert_eq!(target.finish().unwrap(), (vec![7.0, 7.0, 2.5, 3.0], 2.25));
    }

    #[test]
    fn what_is_not_finite_is_no_result() {
        assert!(put::<u8>(1.0, &[f32::NAN, 0.0, 0.0, 0.0]).is_none());
        assert!(put::<f32>(1.0, &[f32::INFINITY, f32::NEG_INFINITY, 0.0, 0.0]).is_none());
    }
}
