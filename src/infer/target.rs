//! Target: where results go, row by row, back on the sample's own scale and at the depth that was asked for.

use super::extents;
use crate::nn;
use crate::sample::{Number, Sample, Shape, Stats};

/// The result in the making.
#[derive(Debug)]
pub struct Target<'a, T> {
    shape: Shape,
    stats: Stats,
    /// The input, where it takes part: it is blended in with weight `1 - strength`.
    input: Option<&'a Sample>,
    strength: f32,
    data: Vec<T>,
    /// Sum of squares of input less result, on the normalised scale.
    pub residual: f64,
    /// A row of the result and of the input.
    rows: [Vec<f32>; 2],
}

impl<'a, T: Number> Target<'a, T> {
    /// An empty result of `shape`.
    pub fn new(shape: Shape, stats: Stats, input: Option<&'a Sample>, strength: f32) -> Self {
        let data = vec![T::from_f32(0.0); shape.numbers()];
        Self { shape, stats, input, strength, data, residual: 0.0, rows: Default::default() }
    }

    /// That of the result.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Takes what a network gave for the columns from `first` on of row `y` of a channel, as far as the sample goes.
    ///
    /// # Errors
    /// A number is not finite.
    pub fn put(&mut self, channel: usize, y: usize, first: usize, row: &[f32]) -> nn::Result<()> {
        let (_, height, width) = extents(self.shape);
        if y >= height || first >= width {
            return Ok(());
        }
        let at = (channel * height + y) * width + first;
        let [result, input] = &mut self.rows;
        result.clear();
        result.extend_from_slice(&row[..row.len().min(width - first)]);
        self.stats.restore(result);
        // A sum is not finite where one of its terms is not, and costs no branch per number.
        if !result.iter().sum::<f32>().is_finite() && result.iter().any(|v| !v.is_finite()) {
            return Err(nn::Error::Msg(format!("the network gave a number that is not finite in row {y}")));
        }
        if let Some(sample) = self.input {
            input.resize(result.len(), 0.0);
            sample.read(at, input);
            self.residual += residual(input, result, self.stats.std);
            if self.strength != 1.0 {
                let (new, old) = (self.strength, 1.0 - self.strength);
                result.iter_mut().zip(&*input).for_each(|(r, x)| *r = *r * new + x * old);
            }
        }
        let to = &mut self.data[at..at + result.len()];
        to.iter_mut().zip(&*result).for_each(|(to, v)| *to = T::from_f32(*v));
        Ok(())
    }

    /// The numbers.
    pub fn into_data(self) -> Vec<T> {
        self.data
    }
}

/// Sum of squares of the differences of two rows, in units of `std`.
fn residual(input: &[f32], result: &[f32], std: f32) -> f64 {
    let square = |(x, r): (&f32, &f32)| f64::from(((x - r) / std).powi(2));
    input.iter().zip(result).map(square).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put<T: Number>(strength: f32, values: &[f32]) -> nn::Result<(Vec<T>, f64)> {
        let shape = Shape::image(1, 1, 2);
        let input = Sample::new(shape, vec![1.0, 0.0]).unwrap();
        let stats = Stats { mean: 0.5, std: 0.25 };
        let mut target = Target::<T>::new(shape, stats, Some(&input), strength);
        target.put(0, 0, 0, values)?;
        target.put(0, 1, 0, values)?;
        let residual = target.residual;
        Ok((target.into_data(), residual))
    }

    #[test]
    fn results_are_restored_blended_cut_and_rounded() {
        assert_eq!(put::<f32>(1.0, &[0.0, 1.0, 9.0, 9.0]).unwrap(), (vec![0.5, 0.75], 13.0));
        assert_eq!(put::<f32>(0.5, &[0.0, 1.0, 9.0, 9.0]).unwrap(), (vec![0.75, 0.375], 13.0));
        assert_eq!(put::<u8>(1.0, &[2.0, 99.0, 0.0, 0.0]).unwrap().0, [255, 255]);
    }

    #[test]
    fn what_is_not_finite_is_an_error() {
        assert!(put::<u8>(1.0, &[f32::NAN, 0.0, 0.0, 0.0]).is_err());
        assert!(put::<f32>(1.0, &[f32::INFINITY, f32::NEG_INFINITY, 0.0, 0.0]).is_err());
    }
}
