//! Scenes: the repeats among held-out samples.

use std::collections::BTreeMap;

use super::pair::in_units;
use crate::dataset::Item;
use crate::quality;
use crate::sample::{Sample, Stats};

/// Repeats by scene and shape.
pub(super) struct Scenes<'a>(BTreeMap<(&'a str, Vec<usize>), Vec<&'a Item>>);

impl<'a> Scenes<'a> {
    pub(super) fn new(items: &[&'a Item]) -> Self {
        let mut scenes: BTreeMap<_, Vec<&Item>> = BTreeMap::new();
        for item in items {
            scenes.entry((item.scene(), item.clean.shape().dims())).or_default().push(item);
        }
        Self(scenes)
    }

    /// Returns the mean of the other repeats of an item's scene, and the variance of its remaining noise, estimated from the
    /// differences of the repeats.
    pub(super) fn rest(&self, item: &Item, units: &[Stats]) -> Option<(Sample, f64)> {
        let all = self.0.get(&(item.scene(), item.clean.shape().dims()))?;
        let others: Vec<&[f32]> =
            all.iter().filter(|other| other.name != item.name).map(|other| other.clean.data()).collect();
        let count = others.len();
        if count == 0 {
            return None;
        }
        let numbers = item.clean.data().len();
        let mean: Vec<f32> =
            (0..numbers).map(|i| others.iter().map(|other| other[i]).sum::<f32>() / count as f32).collect();
        // A number that is missing in any repeat is missing in the mean.
        let is_missing =
            |at: usize| all.iter().any(|one| one.clean.missing().is_some_and(|missing| missing[at]));
        let mean = Sample::new(item.clean.shape(), mean).ok()?.masked((0..numbers).map(is_missing).collect());
        // The difference of a repeat and the mean of n others has (1 + 1/n) times the variance of one repeat.
        let (own, rest) = (in_units(item.clean.data(), units), in_units(mean.data(), units));
        let known = |at: &usize| mean.missing().is_none_or(|missing| !missing[*at]);
        let (own, rest): (Vec<f32>, Vec<f32>) =
            (0..numbers).filter(known).map(|at| (own[at], rest[at])).unzip();
        let variance = quality::mse(&own, &rest) / (1.0 + 1.0 / count as f64);
        Some((mean, variance / count as f64))
    }
}
