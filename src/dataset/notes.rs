//! Notes on a dataset: problems to know before trusting a model trained on it.

use std::collections::HashMap;

use rayon::prelude::*;

use super::{Dataset, shift, split};

/// Number of pairs examined for a shift.
const PAIRS_LOOKED_AT: usize = 16;

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
    use crate::sample::{Sample, Shape};

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
}
