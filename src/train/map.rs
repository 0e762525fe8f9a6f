//! Maps of held-out samples, kept beside the version.

use std::collections::HashMap;

use super::Run;
use super::scheme::Scheme;
use super::setup::Setup;
use crate::dataset::Item;
use crate::infer::{Session, pooled};
use crate::map::{Entry, Map};

/// Largest count of numbers of the samples on a map: encoding them takes seconds.
const BUDGET: usize = 1 << 22;

impl Run<'_> {
    /// Places held-out samples on a map of the trained model, whose weights have this SHA-256.
    ///
    /// # Errors
    /// One line: the samples cannot be encoded, or their latents make no map.
    pub(super) fn map(&self, setup: &Setup<'_>, session: &Session, sha256: String) -> Result<Map, String> {
        let chosen = Map::choose(&setup.held_out_items, BUDGET, |item| item.clean.shape().numbers());
        let names = self.dataset.items.iter().map(|item| item.name.as_str());
        let labels: HashMap<&str, &String> = names.zip(&self.labels).collect();
        let label = |item: &Item| match self.labels.is_empty() {
            true => folder(item, setup.scheme.0),
            false => labels.get(item.name.as_str()).map(|label| (*label).clone()),
        };
        let mut entries = Vec::with_capacity(chosen.len());
        for item in chosen {
            let latent = session.encode(&item.clean, None).map_err(|e| format!("{}: {e}", item.name))?;
            let (label, latent) = (label(item), pooled(&latent));
            entries.push(Entry { name: &item.name, label, sample: &item.clean, latent });
        }
        let data = format!("{} held-out samples of: {}", entries.len(), self.data);
        Map::build(&entries, sha256, data)
    }
}

/// Returns the folder of a sample as its label; repeats of a scene share one for another reason.
fn folder(item: &Item, scheme: Scheme) -> Option<String> {
    let folder = item.scene();
    (scheme != Scheme::Repeats && !folder.is_empty()).then(|| folder.to_owned())
}
