//! Datasets: files read as samples for training, with a list of the skipped ones.
//!
//! # Layout
//! A folder (or archive) is read recursively, in order of names. A file in a folder named `noisy` and the file of the same
//! path in `clean` form a pair. So do those in `input` and `gt`, `low` and `high`, `lq` and `hq`, `raw` and `avg` and the
//! like, or named `a_noisy` and `a_clean`, if at least half of these files have a counterpart. Any other file is a single
//! sample; repeats of one scene share a folder. Supported are images, npy arrays and stacks, CSV (one vector per row), WAV
//! and MNIST's idx files, each also gzipped outside an archive; archives are zip and tar files. Unusable files are listed
//! with the reason and never stop the reading: the caller decides if enough are left.

mod archive;
mod augment;
mod gather;
mod hide;
mod idx;
mod labels;
mod loader;
mod neighbor;
mod notes;
mod profile;
mod read;
mod recorrupt;
mod shift;
mod split;
mod twins;
mod unify;
mod units;

pub use augment::turn;
pub use hide::hide;
pub use labels::read_labels;
pub use loader::{Batch, Beside, Learn, Loader, Plan};
pub use neighbor::Neighbors;
pub use profile::{Error as ProfileError, FEWEST_NOISY, measure_profile};
pub use split::Split;
pub use units::pair;

use std::path::Path;

use crate::codec::Order;
use crate::corruption::Corruption;
use crate::limits::Limits;
use crate::rng::{Purpose, Rng};
use crate::sample::{GapRule, Kind, Sample, Shape, Stats};

/// Item of training data.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// Path of its file within the data, without its extension and without the `clean` or `noisy` folder; samples of a stack
    /// have `#` and their number appended.
    pub name: String,
    /// Clean sample, or the only one.
    pub clean: Sample,
    /// Noisy counterpart, if the data are pairs.
    pub noisy: Option<Sample>,
}

/// File that could not be used.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Skipped {
    /// Name of the file.
    pub name: String,
    /// Reason.
    pub reason: String,
}

/// Training samples, sorted by name. All have the same kind and number of channels (length, for vectors), and either all or
/// none are pairs.
#[derive(Debug, Default)]
pub struct Dataset {
    /// Usable samples.
    pub items: Vec<Item>,
    /// Files and samples that cannot be used.
    pub skipped: Vec<Skipped>,
}

/// Required kind and number of channels of the samples; by default those of the majority.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Wanted {
    /// Interpretation of arrays and tables: images, signals or vectors. By default an array is read as images if its axes allow
    /// it, and a table as vectors.
    pub kind: Option<Kind>,
    /// Number of channels of images (1 converts colour to gray; 3 skips gray images) and signals.
    pub channels: Option<usize>,
    /// Rule for missing numbers: with `refuse`, files that have some are skipped.
    pub gaps: GapRule,
    /// Order of the axes of arrays; by default it is found by their extents.
    pub order: Option<Order>,
}

/// Error of a whole dataset.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The folder or file cannot be opened.
    #[error("{path}: {reason}")]
    Open {
        /// Path as given by the caller.
        path: String,
        /// Error of the operating system.
        reason: String,
    },
    /// The samples do not fit the crop or the batch.
    #[error("{field}: {reason}")]
    Plan {
        /// Name of the setting.
        field: &'static str,
        /// Description of the problem and advice.
        reason: String,
    },
    /// The corruption does not fit the samples.
    #[error(transparent)]
    Corruption(#[from] crate::corruption::Error),
}

impl Dataset {
    /// Reads the samples in `path`: a folder, an archive, or a single file of many samples.
    ///
    /// # Errors
    /// `path` cannot be opened. Unusable files in it are listed in `skipped` instead.
    pub fn from_folder(path: &Path, limits: &Limits) -> Result<Self, Error> {
        Self::from_folder_as(path, limits, Wanted::default())
    }

    /// [`Dataset::from_folder`] for a model with a required kind or number of channels.
    ///
    /// # Errors
    /// As [`Dataset::from_folder`].
    pub fn from_folder_as(path: &Path, limits: &Limits, wanted: Wanted) -> Result<Self, Error> {
        gather::folder(path, limits, wanted)
    }

    /// Reads the samples of uploaded files `(name, bytes)`; each may be an archive.
    pub fn from_uploads(files: Vec<(String, Vec<u8>)>, limits: &Limits) -> Self {
        Self::from_uploads_as(files, limits, Wanted::default())
    }

    /// [`Dataset::from_uploads`] for a model with a required kind or number of channels.
    pub fn from_uploads_as(files: Vec<(String, Vec<u8>)>, limits: &Limits, wanted: Wanted) -> Self {
        gather::uploads(files, limits, wanted)
    }

    /// Checks an uploaded file before it is read: an archive must be within its limits and contain only plain files with safe
    /// names. Other files pass.
    ///
    /// # Errors
    /// One line with the name of the entry.
    pub fn check_upload(path: &Path, limits: &Limits) -> Result<(), String> {
        let file = std::fs::File::open(path).map_err(|e| e.to_string())?;
        let packed = file.metadata().map_err(|e| e.to_string())?.len();
        archive::check(file, packed, limits)
    }

    /// Returns the kind of the samples; `None` if there are none.
    pub fn kind(&self) -> Option<Kind> {
        self.items.first().map(|item| item.clean.shape().kind())
    }

    /// Returns the number of channels of the samples; 0 if there are none.
    pub fn channels(&self) -> usize {
        self.items.first().map_or(0, |item| item.clean.shape().channels())
    }

    /// Returns the shape of the samples if all have the same, as fixed-size models require.
    pub fn shape(&self) -> Option<Shape> {
        let first = self.items.first()?.clean.shape();
        self.items.iter().all(|item| item.clean.shape() == first).then_some(first)
    }

    /// Returns `true` if the samples are (noisy, clean) pairs.
    pub fn is_pairs(&self) -> bool {
        self.items.first().is_some_and(|item| item.noisy.is_some())
    }

    /// Returns the names of a noisy and a clean sample according to their folders, if no pairs were found: the user must then
    /// declare what the samples are.
    pub fn unmatched_halves(&self) -> Option<(&str, &str)> {
        let of = |role| {
            let is_half = |name: &&str| twins::folder_role(name) == Some(role);
            self.items.iter().map(|item| item.name.as_str()).find(is_half)
        };
        of(twins::Role::Noisy).zip(of(twins::Role::Clean)).filter(|_| !self.is_pairs())
    }

    /// Returns notes on the data for the user: constant samples, duplicates, very few samples, skipped files. One sentence each;
    /// empty if there are no problems.
    pub fn notes(&self) -> Vec<String> {
        notes::about(self)
    }

    /// Splits the items into a training set and a held-out set of about `fraction` of them.
    ///
    /// The side of an item depends only on its clean numbers, so that a model is never evaluated on samples its base was trained
    /// on: adding files moves no other file, the seed of a run does not matter, and duplicates (also noisy versions of one clean
    /// sample) are on the same side. Each side has at least one item if there are two different ones; a single item is on both
    /// sides, and the note reports it.
    pub fn split(&self, fraction: f32) -> Split<'_> {
        split::by_content(&self.items, fraction)
    }

    /// [`Dataset::split`] for repeats: all samples of one scene ([`Item::scene`]) are on the same side, which depends only on the
    /// scene's name.
    pub fn split_by_scene(&self, fraction: f32) -> Split<'_> {
        split::by_scene(&self.items, fraction)
    }
}

impl Item {
    /// Returns the folder of the item, which repeats of one scene share; empty at the top level.
    pub fn scene(&self) -> &str {
        self.name.rsplit_once('/').map_or("", |(folder, _)| folder)
    }

    /// Returns the clean sample corrupted by draw `index` under `seed`, and its target; the same in every run.
    pub fn corrupted(&self, corruption: &Corruption, seed: u64, index: u64) -> (Sample, Sample) {
        self.corrupted_in(corruption, &[], seed, index)
    }

    /// [`Item::corrupted`] with noise strengths in units of the standard deviations of `units`, see [`pair`].
    pub fn corrupted_in(
        &self,
        corruption: &Corruption,
        units: &[Stats],
        seed: u64,
        index: u64,
    ) -> (Sample, Sample) {
        pair(corruption, &self.clean, units, &mut Rng::new(seed, Purpose::Evaluate, index))
    }
}
