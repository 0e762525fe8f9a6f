//! Neighbour subsampling: two half-sized samples from one noisy sample, with similar content and independent noise.
//!
//! # Source
//! T. Huang et al., "Neighbor2Neighbor: self-supervised denoising from single noisy images", CVPR 2021.

use crate::rng::Rng;
use crate::sample::Shape;

/// Ordered pairs of adjacent pixels in a 2x2 cell; pixels are numbered row by row.
const PAIRS: [[usize; 2]; 8] = [[0, 1], [1, 0], [0, 2], [2, 0], [1, 3], [3, 1], [2, 3], [3, 2]];

/// Choice of two neighbours in each 2x2 cell of an image, or in each two steps of a signal.
#[derive(Debug, Clone, PartialEq)]
pub struct Neighbors {
    shape: Shape,
    /// Index into [`PAIRS`] for each cell; the first two pairs are those of a row.
    choices: Vec<u8>,
}

impl Neighbors {
    /// Returns the shape of each half; `None` if the sample is too small or has no neighbours.
    pub fn half(shape: Shape) -> Option<Shape> {
        match shape {
            Shape::Image { channels, height, width } if height >= 2 && width >= 2 => {
                Some(Shape::image(channels, height / 2, width / 2))
            }
            Shape::Signal { channels, length } if length >= 2 => {
                Some(Shape::Signal { channels, length: length / 2 })
            }
            _ => None,
        }
    }

    /// Draws the choices for a sample of `shape`; `None` if [`Neighbors::half`] is.
    pub fn draw(shape: Shape, rng: &mut Rng) -> Option<Self> {
        let half = Self::half(shape)?;
        let (cells, pairs) =
            (half.numbers() / half.channels(), if rows(half) == 1 { 2 } else { PAIRS.len() });
        Some(Self { shape, choices: (0..cells).map(|_| rng.below(pairs) as u8).collect() })
    }

    /// Returns the two halves of a sample of the shape drawn for; the choices are the same for all channels.
    ///
    /// # Panics
    /// The number of values differs from the shape.
    pub fn pick(&self, data: &[f32]) -> [Vec<f32>; 2] {
        let (channels, width) = (self.shape.channels(), columns(self.shape));
        assert!(data.len() == self.shape.numbers(), "{} numbers do not fit {}", data.len(), self.shape);
        let half_width = width / 2;
        let mut halves = [const { Vec::new() }; 2];
        for plane in data.chunks_exact(data.len() / channels) {
            for (cell, choice) in self.choices.iter().enumerate() {
                let (top, left) = (cell / half_width * 2, cell % half_width * 2);
                for (half, k) in halves.iter_mut().zip(PAIRS[usize::from(*choice)]) {
                    half.push(plane[(top + k / 2) * width + left + k % 2]);
                }
            }
        }
        halves
    }
}

fn rows(shape: Shape) -> usize {
    if let Shape::Image { height, .. } = shape { height } else { 1 }
}

fn columns(shape: Shape) -> usize {
    *shape.dims().last().expect("every shape has an axis")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Purpose;

    fn rng() -> Rng {
        Rng::new(1, Purpose::Crop, 0)
    }

    #[test]
    fn the_halves_are_adjacent_pixels_and_channels_agree() {
        let shape = Shape::image(2, 10, 7);
        let data: Vec<f32> = (0..140).map(|i| i as f32).collect();
        let neighbors = Neighbors::draw(shape, &mut rng()).unwrap();
        let [a, b] = neighbors.pick(&data);
        assert_eq!((a.len(), Neighbors::half(shape).unwrap().numbers()), (30, 30));
        for (i, (a, b)) in a.iter().zip(&b).enumerate() {
            assert!([1.0, 7.0].contains(&(a - b).abs()), "{a} {b}");
            let (y, x) = (i % 15 / 3 * 2, i % 3 * 2);
            let corner = (i / 15 * 70 + y * 7 + x) as f32;
            assert!([0.0, 1.0, 7.0, 8.0].contains(&(a - corner)), "{a} is not in the square at {corner}");
        }
        assert!(a[..15].iter().zip(&a[15..]).all(|(first, second)| second - first == 70.0));
    }

    #[test]
    fn steps_of_a_signal_fall_on_both_sides() {
        let shape = Shape::Signal { channels: 1, length: 9 };
        let [a, b] = Neighbors::draw(shape, &mut rng()).unwrap().pick(&[0., 1., 2., 3., 4., 5., 6., 7., 8.]);
        let mut both = [a, b].concat();
        both.sort_by(f32::total_cmp);
        assert_eq!(both, [0., 1., 2., 3., 4., 5., 6., 7.]);
    }

    #[test]
    fn what_has_no_neighbours_has_no_halves() {
        for shape in [Shape::image(1, 1, 9), Shape::Vector { features: 8 }] {
            assert_eq!(Neighbors::draw(shape, &mut rng()), None);
        }
    }
}
