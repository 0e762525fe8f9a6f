//! Preparation of samples for the network: removal of outliers and resampling to one rate.

use rayon::prelude::*;

use super::config::invalid;
use super::{Error, Run};
use crate::dataset::{Dataset, Item};
use crate::infer::{self, Resampling};
use crate::name::ModelRef;
use crate::sample::Sample;

impl Run<'_> {
    /// Returns the samples without outliers and at the rate of the base, or at their most common rate; `None` if nothing changes.
    ///
    /// # Errors
    /// A signal cannot be resampled.
    pub(super) fn prepared(&self) -> Result<Option<Dataset>, Error> {
        let rate = match self.base_rate()? {
            Some(rate) => Some(rate),
            None => common_rate(&self.dataset.items),
        };
        let change = |sample: &Sample| match (rate, sample.rate()) {
            (Some(to), Some(from)) if from != to => {
                let there = Resampling { from, to }.forth(sample);
                there.map(Some).map_err(|error| invalid("samples", error.to_string()))
            }
            _ => Ok(infer::without_outliers(sample)),
        };
        let twins = |item: &Item| {
            let noisy = item.noisy.as_ref().map(change).transpose()?.flatten();
            Ok::<_, Error>((change(&item.clean)?, noisy))
        };
        let found = self.dataset.items.par_iter().map(twins).collect::<Result<Vec<_>, Error>>()?;
        if found.iter().all(|twins| matches!(twins, (None, None))) {
            return Ok(None);
        }
        let item = |(item, (clean, noisy)): (&Item, (Option<Sample>, Option<Sample>))| Item {
            name: item.name.clone(),
            clean: clean.unwrap_or_else(|| item.clean.clone()),
            noisy: noisy.or_else(|| item.noisy.clone()),
        };
        let items = self.dataset.items.iter().zip(found).map(item).collect();
        Ok(Some(Dataset { items, skipped: self.dataset.skipped.clone() }))
    }

    /// Returns the sampling rate of the base; `None` if there is no base or its version no longer exists.
    fn base_rate(&self) -> Result<Option<f32>, Error> {
        if let Some(base) = self.checkpoint.as_ref().map(super::Checkpoint::base).transpose()?.flatten() {
            return Ok(base.model.rate);
        }
        let base: Option<ModelRef> = self.config.base.as_deref().and_then(|base| base.parse().ok());
        Ok(base.and_then(|base| self.registry.card(&base).ok()).and_then(|(manifest, _)| manifest.model.rate))
    }
}

/// Returns the most common sampling rate; the lower of two equally common ones.
fn common_rate(items: &[Item]) -> Option<f32> {
    let mut rates: Vec<f32> = items.iter().filter_map(|item| item.clean.rate()).collect();
    rates.sort_by(f32::total_cmp);
    rates.chunk_by(|a, b| a == b).rev().max_by_key(|same| same.len()).map(|same| same[0])
}
