//! Blind-spot masking: values of a noisy sample are replaced, and the model learns to predict them.
//!
//! If the noise is correlated, the neighbours along the correlation reveal it and are replaced too.
//!
//! # Source
//! A. Krull et al., "Noise2Void: learning denoising from single noisy images", CVPR 2019; along lines,
//! C. Broaddus et al., "Removing structured noise with self-supervised blind-spot networks", ISBI 2020.

use crate::rng::Rng;
use crate::sample::Shape;

/// Margin around a masked zone from which replacement values are drawn, in pixels or steps.
const AROUND: usize = 2;

/// Smallest gap between two masked zones, in pixels or steps.
const APART: usize = 3;

/// Replaces values of `data` and returns the loss weight of each number: 0 except at the centres of the masked zones, with
/// mean 1.
///
/// `down` and `right` are the correlation lengths of the noise; with (0, 0) each zone is a single position.
///
/// # Panics
/// The number of values differs from the shape.
pub fn hide(data: &mut [f32], shape: Shape, (down, right): (usize, usize), rng: &mut Rng) -> Vec<f32> {
    assert!(data.len() == shape.numbers(), "{} numbers do not fit {shape}", data.len());
    let (channels, height, width) = shape.extents();
    let (down, right) = (if height == 1 { 0 } else { down }, right);
    let (cell_rows, cell_columns) = (2 * down + 1 + APART, 2 * right + 1 + APART);
    let original = data.to_vec();
    let mut weights = vec![0.0; data.len()];
    let mut hidden = 0;
    for top in (0..height).step_by(cell_rows) {
        for left in (0..width).step_by(cell_columns) {
            let y = top + rng.below(cell_rows.min(height - top));
            let x = left + rng.below(cell_columns.min(width - left));
            hidden += 1;
            for (row, column) in zone((y, x), (down, right), (height, width)) {
                let from = outside((y, x), (down, right), (height, width), rng);
                for c in 0..channels {
                    let plane = c * height * width;
                    data[plane + row * width + column] = original[plane + from.0 * width + from.1];
                }
            }
            (0..channels).for_each(|c| weights[(c * height + y) * width + x] = 1.0);
        }
    }
    let scale = (height * width) as f32 / hidden as f32;
    weights.iter_mut().for_each(|w| *w *= scale);
    weights
}

type Place = (usize, usize);

/// Returns the positions within `down` rows and `right` columns of the centre, clipped to the sample.
fn zone((y, x): Place, (down, right): Place, (height, width): Place) -> Vec<Place> {
    let rows = y.saturating_sub(down)..(y + down + 1).min(height);
    rows.flat_map(|row| (x.saturating_sub(right)..(x + right + 1).min(width)).map(move |c| (row, c)))
        .collect()
}

/// Draws a position near the zone but outside it; returns the centre if there is none.
fn outside((y, x): Place, (down, right): Place, (height, width): Place, rng: &mut Rng) -> Place {
    let near = |at: usize, reach: usize, axis: usize, rng: &mut Rng| {
        let reach = if axis == 1 { 0 } else { reach + AROUND };
        let low = at.saturating_sub(reach);
        low + rng.below((at + reach + 1).min(axis) - low)
    };
    // Few draws hit the zone; the bound keeps tiny samples from looping forever.
    for _ in 0..64 {
        let (row, column) = (near(y, down, height, rng), near(x, right, width, rng));
        if row.abs_diff(y) > down || column.abs_diff(x) > right {
            return (row, column);
        }
    }
    (y, x)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Purpose;

    fn hidden(shape: Shape, reach: (usize, usize)) -> (Vec<f32>, Vec<f32>) {
        let mut data: Vec<f32> = (0..shape.numbers()).map(|i| i as f32).collect();
        let weights = hide(&mut data, shape, reach, &mut Rng::new(3, Purpose::Crop, 0));
        (data, weights)
    }

    #[test]
    fn every_centre_is_overwritten_and_weights_average_1() {
        let shape = Shape::image(1, 33, 41);
        let (data, weights) = hidden(shape, (0, 0));
        let centres = weights.iter().filter(|w| **w > 0.0).count();
        assert!(centres >= 8 * 10, "{centres}");
        for (i, weight) in weights.iter().enumerate() {
            assert_eq!(*weight > 0.0, data[i] != i as f32, "{i}");
        }
        assert!((weights.iter().sum::<f32>() / weights.len() as f32 - 1.0).abs() < 1e-3);
    }

    #[test]
    fn along_a_correlation_the_neighbours_are_overwritten_too() {
        let shape = Shape::image(1, 32, 32);
        let (data, weights) = hidden(shape, (0, 2));
        for (i, _) in weights.iter().enumerate().filter(|(_, w)| **w > 0.0) {
            let (y, x) = (i / 32, i % 32);
            for column in x.saturating_sub(2)..(x + 3).min(32) {
                let value = data[y * 32 + column] as usize;
                let (row, from) = (value / 32, value % 32);
                assert!(row != y || from.abs_diff(x) > 2, "({y}, {column}) still tells of ({row}, {from})");
            }
        }
    }

    #[test]
    fn tiny_samples_and_signals_can_be_hidden() {
        for shape in
            [Shape::image(3, 1, 1), Shape::Signal { channels: 2, length: 5 }, Shape::Vector { features: 2 }]
        {
            assert_eq!(hidden(shape, (4, 4)).1.len(), shape.numbers());
        }
    }
}
