//! The eight flips and quarter turns of an image, for averaging over them.

use crate::sample::{Sample, Shape};

/// How many there are.
pub const COUNT: usize = 8;

/// Whether turn `k` swaps height and width.
pub fn transposes(k: usize) -> bool {
    k & 4 != 0
}

/// Turn `k` of an image: bit 0 flips left and right, bit 1 up and down, bit 2 then swaps the axes.
/// Samples of other kinds come back as they are.
pub fn apply(sample: &Sample, k: usize) -> Sample {
    let Shape::Image { channels, height, width } = sample.shape() else { return sample.clone() };
    let flip = |y: usize, x: usize| {
        let y = if k & 2 != 0 { height - 1 - y } else { y };
        let x = if k & 1 != 0 { width - 1 - x } else { x };
        y * width + x
    };
    if transposes(k) {
        rebuild(sample, Shape::image(channels, width, height), |y, x| flip(x, y))
    } else {
        rebuild(sample, sample.shape(), flip)
    }
}

/// Undoes [`apply`].
pub fn undo(sample: &Sample, k: usize) -> Sample {
    // Swapping first turns a left-right flip into an up-down one.
    let swapped = if transposes(k) { apply(sample, 4) } else { sample.clone() };
    apply(&swapped, k & 3)
}

fn rebuild(sample: &Sample, shape: Shape, from: impl Fn(usize, usize) -> usize) -> Sample {
    let Shape::Image { channels, height, width } = shape else { return sample.clone() };
    let mut data = Vec::with_capacity(sample.data().len());
    for c in 0..channels {
        let plane = &sample.data()[c * height * width..][..height * width];
        data.extend(
            (0..height).flat_map(|y| (0..width).map(move |x| (y, x))).map(|(y, x)| plane[from(y, x)]),
        );
    }
    Sample::new(shape, data).expect("a turn moves finite numbers and drops none")
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
            assert_eq!(undo(turned, k), sample, "turn {k}");
            assert!(turns[..k].iter().all(|other| other != turned), "turn {k} is another one again");
        }
    }
}
