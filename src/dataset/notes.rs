//! Notes on a dataset: problems to know before trusting a model trained on it.

use std::collections::HashMap;

use rayon::prelude::*;

use super::{Dataset, shift, split};
use crate::sample::{Kind, Shape};

/// Number of pairs examined for a shift.
const PAIRS_LOOKED_AT: usize = 16;

/// Largest number of values of labels, smallest number of labels examined, and their largest correlation from one to the next.
const CLASSES: usize = 32;
const FEWEST_LABELS: usize = 64;
const IN_NO_ORDER: f64 = 0.25;

/// Number of samples below which a model memorises them.
const FEW: usize = 6;

/// Returns one sentence for each problem; none if there are no problems.
pub(super) fn about(dataset: &Dataset) -> Vec<String> {
    let all = [
        left_out(dataset),
        few(dataset),
        gaps(dataset),
        constant(dataset),
        doubles(dataset),
        shifted(dataset),
        labels(dataset),
        rates(dataset),
    ];
    all.into_iter().flatten().collect()
}

fn left_out(dataset: &Dataset) -> Option<String> {
    let first = dataset.skipped.first()?;
    let (out, all) = (dataset.skipped.len(), dataset.skipped.len() + dataset.items.len());
    Some(format!(
        "{out} of {all} files or samples are left out; the first is {}: {}",
        first.name, first.reason
    ))
}

fn few(dataset: &Dataset) -> Option<String> {
    let count = dataset.items.len();
    (count < FEW).then(|| format!("only {count} sample(s): expect a model that knows these and little else"))
}

/// Counts missing numbers.
fn gaps(dataset: &Dataset) -> Option<String> {
    let halves = |item: &super::Item| {
        item.clean.missing_count() + item.noisy.as_ref().map_or(0, |n| n.missing_count())
    };
    let counts: Vec<usize> = dataset.items.iter().map(halves).collect();
    let (samples, count) = (counts.iter().filter(|count| **count > 0).count(), counts.iter().sum::<usize>());
    (count > 0).then(|| {
        format!(
            "{count} numbers are missing, in {samples} sample(s): they are filled in for the network, and count neither in \
             the loss nor in statistics and scores"
        )
    })
}

fn constant(dataset: &Dataset) -> Option<String> {
    let is_constant = |data: &[f32]| data.iter().all(|v| *v == data[0]);
    let mut constant = dataset.items.iter().filter(|item| is_constant(item.clean.data()));
    let first = constant.next()?;
    Some(format!("{} sample(s) are constant and teach little, {} for one", 1 + constant.count(), first.name))
}

/// Detects pairs with misaligned halves: a model trained on them learns to blur.
fn shifted(dataset: &Dataset) -> Option<String> {
    let pairs: Vec<_> = dataset.items.iter().filter(|item| item.noisy.is_some()).collect();
    let some: Vec<_> = pairs.iter().step_by(pairs.len().div_ceil(PAIRS_LOOKED_AT).max(1)).collect();
    let found =
        |item: &&&super::Item| Some((item.name.clone(), shift::between(item.noisy.as_ref()?, &item.clean)?));
    let found: Vec<_> = some.par_iter().filter_map(found).collect();
    let (name, (down, right)) = found.first()?;
    Some(format!(
        "the halves of {} of {} pairs looked at lie apart: that of {name} by {down} down and {right} to the right; align \
         them, or the model learns to blur",
        found.len(),
        some.len(),
    ))
}

/// Detects labels sent as samples: few whole numbers, in no order.
fn labels(dataset: &Dataset) -> Option<String> {
    let lists: Vec<(&str, Vec<f32>)> = match dataset.items.first()?.clean.shape() {
        Shape::Vector { features: 1 } => {
            let all = dataset.items.iter().map(|item| item.clean.data()[0]).collect();
            vec![(dataset.items[0].scene(), all)]
        }
        Shape::Image { .. } => return None,
        _ if dataset.channels() > 1 && dataset.kind() == Some(Kind::Signal) => return None,
        _ => dataset.items.iter().map(|item| (item.name.as_str(), item.clean.data().to_vec())).collect(),
    };
    let mut found = lists.iter().filter_map(|(name, list)| Some((name, classes(list)?)));
    let (name, count) = found.next()?;
    Some(format!(
        "{} of {} samples look like labels, as {name}: whole numbers of {count} values in no order; labels are no samples, and \
         only a map takes them (--labels)",
        1 + found.count(),
        lists.len()
    ))
}

/// Returns the number of values of a list that looks like labels.
fn classes(list: &[f32]) -> Option<usize> {
    let mut values = list.to_vec();
    values.sort_by(f32::total_cmp);
    values.dedup();
    let is_whole = values.iter().all(|v| v.fract() == 0.0);
    if list.len() < FEWEST_LABELS || !is_whole || !(2..=CLASSES).contains(&values.len()) {
        return None;
    }
    let mean = list.iter().map(|v| f64::from(*v)).sum::<f64>() / list.len() as f64;
    let from_mean = |v: f32| f64::from(v) - mean;
    let power: f64 = list.iter().map(|v| from_mean(*v).powi(2)).sum();
    let next: f64 = list.windows(2).map(|two| from_mean(two[0]) * from_mean(two[1])).sum();
    (next.abs() < IN_NO_ORDER * power).then_some(values.len())
}

/// Lists the sampling rates of signals if there are several.
fn rates(dataset: &Dataset) -> Option<String> {
    let mut rates: Vec<f32> = dataset.items.iter().filter_map(|item| item.clean.rate()).collect();
    rates.sort_by(f32::total_cmp);
    rates.dedup();
    let list: Vec<String> = rates.iter().take(5).map(f32::to_string).collect();
    (rates.len() > 1).then(|| {
        format!(
            "the samples have {} sampling rates ({} Hz): all are resampled to that of the base, or to the most common one",
            rates.len(),
            list.join(", ")
        )
    })
}

fn doubles(dataset: &Dataset) -> Option<String> {
    let digests: Vec<[u8; 32]> =
        dataset.items.par_iter().map(|item| split::digest(&[], &[&item.clean])).collect();
    let mut first: HashMap<[u8; 32], usize> = HashMap::new();
    let mut seen = None;
    let mut count = 0;
    for (i, digest) in digests.into_iter().enumerate() {
        if let Some(&twin) = first.get(&digest) {
            count += 1;
            seen.get_or_insert((i, twin));
        } else {
            first.insert(digest, i);
        }
    }
    let (i, twin) = seen?;
    let name = |i: usize| &dataset.items[i].name;
    Some(format!(
        "{count} clean sample(s) occur more than once, {} is {} for one; doubles are never split between \
         training and held-out samples",
        name(i),
        name(twin)
    ))
}

#[cfg(test)]
mod tests {
    use super::super::Item;
    use super::*;
    use crate::sample::Sample;

    fn dataset(numbers: &[[f32; 2]]) -> Dataset {
        let sample = |v: &[f32; 2]| Sample::new(Shape::Vector { features: 2 }, v.to_vec()).unwrap();
        let item = |(i, v): (usize, _)| Item { name: i.to_string(), clean: sample(v), noisy: None };
        Dataset { items: numbers.iter().enumerate().map(item).collect(), skipped: vec![] }
    }

    #[test]
    fn good_data_have_no_notes() {
        let all: Vec<_> = (0..10).map(|i| [i as f32, 0.5]).collect();
        assert_eq!(about(&dataset(&all)), Vec::<String>::new());
    }

    #[test]
    fn few_constant_and_double_samples_are_said() {
        let notes = about(&dataset(&[[1.0, 2.0], [3.0, 3.0], [1.0, 2.0]])).join("\n");
        assert!(notes.contains("only 3 sample(s)"), "{notes}");
        assert!(notes.contains("1 sample(s) are constant and teach little, 1 for one"), "{notes}");
        assert!(notes.contains("1 clean sample(s) occur more than once, 2 is 0 for one"), "{notes}");
    }
    fn signals(numbers: impl Fn(usize) -> f32, rates: &[f32]) -> Dataset {
        let shape = Shape::Signal { channels: 1, length: 300 };
        let item = |(i, rate): (usize, &f32)| {
            let data = (0..300).map(|t| numbers(300 * i + t)).collect();
            Item {
                name: i.to_string(),
                clean: Sample::new(shape, data).unwrap().with_rate(Some(*rate)),
                noisy: None,
            }
        };
        Dataset { items: rates.iter().enumerate().map(item).collect(), skipped: vec![] }
    }

    #[test]
    fn labels_sent_as_samples_are_said() {
        // Squares times a large odd number, in no order.
        let label =
            |t: usize| ((t as u32).wrapping_mul(t as u32).wrapping_mul(2_654_435_761) >> 16) as f32 % 10.0;
        let notes = about(&signals(label, &[8.0; 6]));
        assert!(
            notes.len() == 1 && notes[0].starts_with("6 of 6 samples look like labels, as 0: whole"),
            "{notes:?}"
        );
        // A switch, a counter and a course are samples.
        let switch = |t: usize| if t % 100 < 50 { 0.0f32 } else { 7.0 };
        let counter = |t: usize| (t * 7919 % 1009) as f32;
        let course = |t: usize| label(t) + 0.5;
        for signal in [&switch as &dyn Fn(usize) -> f32, &counter, &course] {
            let notes = about(&signals(signal, &[8.0; 6])).join(" ");
            assert!(!notes.contains("labels"), "{notes}");
        }
        let vectors: Vec<[f32; 2]> = (0..100).map(|t| [label(t), 0.5]).collect();
        assert_eq!(labels(&dataset(&vectors)), None);
    }

    #[test]
    fn several_sampling_rates_are_said() {
        let course = |t: usize| (t as f32).sqrt();
        let notes = about(&signals(course, &[8.0, 16.0, 8.0, 8.0, 8.0, 8.0])).join(" ");
        assert!(notes.contains("2 sampling rates (8, 16 Hz)"), "{notes}");
        assert_eq!(rates(&signals(course, &[8.0; 6])), None);
    }
}
