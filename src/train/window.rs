//! Windows: parts of large samples for scoring and previews.

use std::ops::Range;

use crate::dataset::Item;
use crate::sample::{Kind, Sample, Shape};

/// Side of the windows on which larger held-out images are scored: enough to rank models, and fast.
const SIDE: usize = 256;

/// Length in time steps of the windows on which longer held-out signals are scored.
const LENGTH: usize = 1 << 14;

/// Smallest side of the quarter held out from a single image.
const SMALLEST_SIDE: usize = 16;

/// Smallest length of the quarter held out from a single signal.
const SMALLEST_LENGTH: usize = 64;

/// Largest side of a preview image, in pixels.
const PREVIEW_SIDE: usize = 128;

/// Largest length of a preview signal, in time steps.
const PREVIEW_LENGTH: usize = 1024;

/// Window of a sample: ranges of rows and columns.
pub(super) type Window = (Range<usize>, Range<usize>);

/// Returns up to `most` windows, the first in the middle, the others spread evenly (M. Roberts' R2 sequence). A sample not
/// larger than a window, and a vector, is one window.
pub(super) fn windows(shape: Shape, most: usize) -> Vec<Window> {
    let (_, height, width) = extents(shape);
    let (h, w) = match shape {
        Shape::Image { .. } => (height.min(SIDE), width.min(SIDE)),
        Shape::Signal { .. } => (1, width.min(LENGTH)),
        Shape::Vector { .. } => (1, width),
    };
    let count = if (h, w) == (height, width) { 1 } else { most };
    let place = |k: usize, step: f64, room: usize| ((0.5 + k as f64 * step).fract() * room as f64) as usize;
    let window = |k| {
        let top = place(k, 0.754_877_666_246_692_7, height - h);
        let left = place(k, 0.569_840_290_998_053_2, width - w);
        (top..top + h, left..left + w)
    };
    (0..count).map(window).collect()
}

/// Returns the window of a sample for a preview.
pub(super) fn middle(shape: Shape) -> Window {
    let (_, height, width) = extents(shape);
    let most = if shape.kind() == Kind::Image { PREVIEW_SIDE } else { PREVIEW_LENGTH };
    let within = |axis: usize| {
        let length = axis.min(most);
        (axis - length) / 2..(axis - length) / 2 + length
    };
    // A vector is shown whole: part of it has no meaning.
    if shape.kind() == Kind::Vector { (0..1, 0..width) } else { (within(height), within(width)) }
}

/// Cuts a window out of a sample.
pub(super) fn cut(sample: &Sample, (rows, columns): &Window) -> Sample {
    let (channels, height, width) = extents(sample.shape());
    let starts = || (0..channels).flat_map(|c| rows.clone().map(move |y| (c * height + y) * width));
    let data = starts().flat_map(|at| sample.data()[at + columns.start..at + columns.end].iter().copied());
    let shape = match sample.shape() {
        Shape::Image { .. } => Shape::image(channels, rows.len(), columns.len()),
        Shape::Signal { .. } => Shape::Signal { channels, length: columns.len() },
        Shape::Vector { .. } => Shape::Vector { features: columns.len() },
    };
    let part =
        Sample::new(shape, data.collect()).expect("a part of a sample is one").with_rate(sample.rate());
    match sample.missing() {
        Some(missing) => {
            let places =
                starts().flat_map(|at| missing[at + columns.start..at + columns.end].iter().copied());
            part.masked(places.collect())
        }
        None => part,
    }
}

/// Returns channels, height and width; signals and vectors have one row.
fn extents(shape: Shape) -> (usize, usize, usize) {
    match shape {
        Shape::Image { channels, height, width } => (channels, height, width),
        Shape::Signal { channels, length } => (channels, 1, length),
        Shape::Vector { features } => (1, 1, features),
    }
}

/// Splits a sample along its longest axis into the first three quarters and the last one, to be held out; `None` if it is
/// too short, or has no neighbours.
pub(super) fn part(item: &Item) -> Option<[Item; 2]> {
    let (_, height, width) = extents(item.clean.shape());
    let (length, least) = match item.clean.shape().kind() {
        Kind::Image => (height.max(width), 4 * SMALLEST_SIDE),
        Kind::Signal => (width, 4 * SMALLEST_LENGTH),
        Kind::Vector => return None,
    };
    if length < least {
        return None;
    }
    let part = |range: Range<usize>, name: &str| {
        let window = if height > width { (range, 0..width) } else { (0..height, range) };
        let noisy = item.noisy.as_ref().map(|noisy| cut(noisy, &window));
        Item { name: format!("{}#{name}", item.name), clean: cut(&item.clean, &window), noisy }
    };
    let edge = length - length / 4;
    Some([part(0..edge, "first"), part(edge..length, "last")])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_begin_in_the_middle_and_differ() {
        let shape = Shape::image(1, 512, 300);
        let windows = windows(shape, 5);
        assert_eq!(windows[0], (128..384, 22..278));
        assert!(windows.iter().all(|(rows, columns)| rows.end <= 512 && columns.end <= 300));
        assert!((1..5).all(|k| !windows[..k].contains(&windows[k])));
        assert_eq!(super::windows(Shape::image(3, 100, 256), 5), [(0..100, 0..256)]);
    }

    #[test]
    fn a_cut_keeps_the_channels_apart() {
        let sample = Sample::new(Shape::image(2, 2, 3), (0..12).map(|v| v as f32).collect()).unwrap();
        assert_eq!(cut(&sample, &(1..2, 1..3)).data(), [4.0, 5.0, 10.0, 11.0]);
    }

    #[test]
    fn long_signals_are_cut_in_time() {
        let shape = Shape::Signal { channels: 2, length: 3 * LENGTH };
        let sample = Sample::new(shape, (0..6 * LENGTH).map(|v| v as f32).collect()).unwrap();
        let windows = windows(shape, 3);
        assert_eq!(windows[0], (0..1, LENGTH..2 * LENGTH));
        let part = cut(&sample, &windows[0]);
        assert_eq!(part.shape(), Shape::Signal { channels: 2, length: LENGTH });
        assert_eq!(part.data()[LENGTH], (4 * LENGTH) as f32);
    }

    #[test]
    fn an_only_sample_is_parted_along_its_longest_axis() {
        let sample = Sample::new(Shape::image(1, 80, 8), (0..640).map(|v| v as f32).collect()).unwrap();
        let item = Item { name: "a".into(), noisy: Some(sample.clone()), clean: sample };
        let [first, last] = part(&item).unwrap();
        assert_eq!(
            (first.clean.shape(), last.clean.shape()),
            (Shape::image(1, 60, 8), Shape::image(1, 20, 8))
        );
        assert_eq!((last.clean.data()[0], last.noisy.unwrap().data()[0]), (480.0, 480.0));
        let short = Sample::new(Shape::Signal { channels: 1, length: 255 }, vec![0.0; 255]).unwrap();
        assert!(part(&Item { name: "b".into(), clean: short, noisy: None }).is_none());
    }
}
