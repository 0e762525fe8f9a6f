//! Selection of uniform samples: one kind, one number of channels, all pairs or none.

use std::collections::BTreeMap;

use super::{Dataset, Skipped};
use crate::sample::{LUMA, Sample, Shape};

/// Retains the items of the most common make, and lists the others as skipped with the reason.
pub(super) fn keep_most_common(mut dataset: Dataset) -> Dataset {
    let keep_pairs = dataset.items.iter().any(|item| item.noisy.is_some());
    let mut votes: BTreeMap<Make, usize> = BTreeMap::new();
    for item in &dataset.items {
        *votes.entry(Make::of(item.clean.shape())).or_default() += 1;
    }
    // A tie is resolved by the order of `Make`, so that the choice does not depend on file order.
    let Some((&winner, &count)) =
        votes.iter().max_by_key(|&(make, &count)| (count, std::cmp::Reverse(*make)))
    else {
        return dataset;
    };
    for item in std::mem::take(&mut dataset.items) {
        let make = Make::of(item.clean.shape());
        let reason = if make != winner {
            format!("is {make}, while most samples ({count}) are {winner}; train on them apart")
        } else if keep_pairs && item.noisy.is_none() {
            "has no noisy twin, while other samples are pairs; put one under noisy/".to_owned()
        } else {
            dataset.items.push(item);
            continue;
        };
        dataset.skipped.push(Skipped { name: item.name, reason });
    }
    dataset
}

/// Properties that samples of one training must share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Make {
    Image { channels: usize },
    Signal { channels: usize },
    Vector { features: usize },
}

impl Make {
    fn of(shape: Shape) -> Self {
        match shape {
            Shape::Image { channels, .. } => Make::Image { channels },
            Shape::Signal { channels, .. } => Make::Signal { channels },
            Shape::Vector { features } => Make::Vector { features },
        }
    }
}

impl std::fmt::Display for Make {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Make::Image { channels: 1 } => f.write_str("a gray image"),
            Make::Image { channels: 3 } => f.write_str("a colour image"),
            Make::Image { channels } => write!(f, "an image of {channels} channels"),
            Make::Signal { channels } => write!(f, "a signal of {channels} channel(s)"),
            Make::Vector { features } => write!(f, "a vector of {features} numbers"),
        }
    }
}

/// Converts a sample to `channels` channels, or returns an error message. Only images are converted.
pub(super) fn with_channels(sample: Sample, channels: usize) -> Result<Sample, String> {
    match sample.shape() {
        Shape::Image { channels: had, .. } if had == channels => Ok(sample),
        Shape::Image { channels: 3, height, width } if channels == 1 => Ok(luma(&sample, height, width)),
        Shape::Image { channels: 1, .. } => {
            Err(format!("is gray, {channels} channels are asked for; train a gray model, or leave it out"))
        }
        Shape::Image { channels: had, .. } => Err(format!("has {had} channels, {channels} are asked for")),
        Shape::Signal { .. } | Shape::Vector { .. } => Ok(sample),
    }
}

/// Converts to gray with the weights of Rec. 601, as the gray test sets of the literature were made. Nothing is rounded.
fn luma(sample: &Sample, height: usize, width: usize) -> Sample {
    let area = height * width;
    let (red, rest) = sample.data().split_at(area);
    let (green, blue) = rest.split_at(area);
    let gray = red.iter().zip(green).zip(blue).map(|((r, g), b)| LUMA[0] * r + LUMA[1] * g + LUMA[2] * b);
    let luma = Sample::new(Shape::image(1, height, width), gray.collect());
    let luma = luma.expect("a mean of finite numbers is finite");
    match sample.missing() {
        Some(missing) => luma.masked((0..area).map(|at| (0..3).any(|c| missing[c * area + at])).collect()),
        None => luma,
    }
}

#[cfg(test)]
mod tests {
    use super::super::Item;
    use super::*;

    fn item(name: &str, channels: usize, paired: bool) -> Item {
        let clean = Sample::new(Shape::image(channels, 1, 2), vec![0.5; channels * 2]).unwrap();
        Item { name: name.to_owned(), noisy: paired.then(|| clean.clone()), clean }
    }

    fn names(dataset: &Dataset) -> Vec<&str> {
        dataset.items.iter().map(|item| item.name.as_str()).collect()
    }

    #[test]
    fn the_most_common_channels_win_and_the_rest_is_listed() {
        let items = vec![item("a", 1, false), item("b", 3, false), item("c", 3, false)];
        let dataset = keep_most_common(Dataset { items, skipped: vec![] });
        assert_eq!(names(&dataset), ["b", "c"]);
        assert_eq!(dataset.skipped[0].name, "a");
        assert!(
            dataset.skipped[0].reason.contains("is a gray image, while most samples (2) are a colour image")
        );
    }

    #[test]
    fn between_equals_gray_wins() {
        let items = vec![item("a", 3, false), item("b", 1, false)];
        assert_eq!(names(&keep_most_common(Dataset { items, skipped: vec![] })), ["b"]);
    }

    #[test]
    fn single_samples_beside_pairs_are_left_out() {
        let items = vec![item("a", 1, false), item("b", 1, true)];
        let dataset = keep_most_common(Dataset { items, skipped: vec![] });
        assert_eq!(names(&dataset), ["b"]);
        assert!(dataset.skipped[0].reason.contains("no noisy twin"));
    }

    #[test]
    fn colour_becomes_gray_by_rec_601_and_gray_never_colour() {
        let rgb = Sample::new(Shape::image(3, 1, 2), vec![1.0, 0.0, 0.0, 1.0, 0.0, 0.0]).unwrap();
        let gray = with_channels(rgb.clone(), 1).unwrap();
        assert_eq!(gray.data(), [0.299, 0.587]);
        assert_eq!(with_channels(rgb.clone(), 3), Ok(rgb));
        assert!(with_channels(gray, 3).unwrap_err().contains("is gray"));
    }
}
