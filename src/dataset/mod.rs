//! Datasets: files turned into samples for training, with what was skipped and why.

use crate::sample::Sample;

/// One item of training data.
#[derive(Debug, Clone)]
pub struct Item {
    /// The file it came from, without its folder or ending; items split by it.
    pub name: String,
    /// The clean sample, or the only one there is.
    pub clean: Sample,
    /// The noisy twin, where the data are pairs.
    pub noisy: Option<Sample>,
}

/// A file that could not be used.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Skipped {
    /// Its name.
    pub name: String,
    /// Why.
    pub reason: String,
}

/// The samples to train on, sorted by name.
#[derive(Debug, Default)]
pub struct Dataset {
    /// What can be used.
    pub items: Vec<Item>,
    /// What cannot.
    pub skipped: Vec<Skipped>,
}
