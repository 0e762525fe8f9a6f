//! Dihedral transforms: the eight flips and quarter turns of an image, for averaging over them.

use crate::sample::{Depth, Number, Sample, Shape};

/// Number of dihedral transforms.
pub const COUNT: usize = 8;

/// Applies dihedral transform `k` to an image: bit 0 flips left and right, bit 1 up and down, bit 2 then swaps the
/// axes. Samples of other kinds are returned unchanged.
pub fn apply(sample: &Sample, k: usize) -> Sample {
    match sample.depth() {
        Depth::U8 => turn::<u8>(sample, k),
        Depth::U16 => turn::<u16>(sample, k),
        Depth::F32 => turn::<f32>(sample, k),
    }
}

fn turn<T: Number>(sample: &Sample, k: usize) -> Sample {
    let numbers = T::of(sample).expect("the depth is the sample's");
    let mut turned = Vec::with_capacity(numbers.len());
    let shape = walk(sample.shape(), k, |from| turned.push(numbers[from]));
    let turned = T::sample(shape, turned).expect("a turn moves finite numbers and drops none");
    let Some(missing) = sample.missing() else { return turned };
    let mut places = Vec::with_capacity(missing.len());
    walk(sample.shape(), k, |from| places.push(missing[from]));
    turned.masked(places)
}

/// Returns the shape of an image after a quarter turn.
pub fn quarter(shape: Shape) -> Shape {
    match shape {
        Shape::Image { channels, height, width } => Shape::image(channels, width, height),
        other => other,
    }
}

/// Adds the numbers of transform `k` of an image of `shape` to `sum`, each at its position before the transform.
pub fn add_back(sum: &mut [f32], turned: &[f32], shape: Shape, k: usize) {
    let mut turned = turned.iter();
    walk(shape, k, |from| sum[from] += turned.next().copied().unwrap_or_default());
}

/// Calls `each` with the index in an image of `shape` of every number of transform `k`, in the order of the transformed
/// image, and returns the transformed shape.
fn walk(shape: Shape, k: usize, mut each: impl FnMut(usize)) -> Shape {
    let Shape::Image { channels, height, width } = shape else {
        (0..shape.numbers()).for_each(each);
        return shape;
    };
    let swaps = k & 4 != 0;
    let (rows, cols) = if swaps { (width, height) } else { (height, width) };
    for c in 0..channels {
        for (row, col) in (0..rows).flat_map(|row| (0..cols).map(move |col| (row, col))) {
            let (y, x) = if swaps { (col, row) } else { (row, col) };
            let y = if k & 2 != 0 { height - 1 - y } else { y };
            let x = if k & 1 != 0 { width - 1 - x } else { x };
            each((c * height + y) * width + x);
        }
    }
    Shape::image(channels, rows, cols)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_turn_is_undone_and_all_eight_differ() {
        let data: Vec<f32> = (0..12).map(|v| v as f32).collect();
        let sample = Sample::new(Shape::image(2, 2, 3), data).unwrap();
        let turns: Vec<Sample> = (0..COUNT).map(|k| apply(&sample, k)).collect();
        for (k, turned) in turns.iter().enumerate() {
            let mut back = vec![0.0; 12];
            add_back(&mut back, turned.data(), sample.shape(), k);
            assert_eq!(back, sample.data(), "turn {k}");
            assert!(turns[..k].iter().all(|other| other != turned), "turn {k} is another one again");
        }
    }
}
