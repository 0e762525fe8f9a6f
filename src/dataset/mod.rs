//! Datasets: files turned into samples for training, with what was skipped and why.
//!
//! # Layout
//! A folder (or archive) is read through, subfolders included, in order of names. A file under a folder
//! named `noisy` and the file of the same path under `clean` are a pair, as are those under `input` and `gt`,
//! `low` and `high`, `lq` and `hq`, `raw` and `avg` and the like, or named `a_noisy` and `a_clean`, where most
//! files have such twins; any other file is a sample by itself; repeats of one scene share a folder. Images, npy arrays and stacks, CSV (a vector a row), WAV
//! and MNIST's idx files are read, each also gzipped where it lies in no archive; archives are zip and tar files. What
//! cannot be used is listed with its reason and never ends the reading: whether enough is left is for the caller to
//! say.

mod archive;
mod augment;
mod gather;
mod hide;
mod idx;
mod labels;
mod loader;
mod neighbor;
mod notes;
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
pub use split::Split;
pub use units::pair;

use std::path::Path;

use crate::corruption::Corruption;
use crate::limits::Limits;
use crate::rng::{Purpose, Rng};
use crate::sample::{Kind, Sample, Shape, Stats};

/// One item of training data.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// The file it came from: its path within the data, without its ending and without the `clean` or
    /// `noisy` folder; samples of a stack have `#` and their number behind it.
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

/// The samples to train on, sorted by name. All are of one kind and one count of channels (one length,
/// for vectors), and either all or none are pairs.
#[derive(Debug, Default)]
pub struct Dataset {
    /// What can be used.
    pub items: Vec<Item>,
    /// What cannot.
    pub skipped: Vec<Skipped>,
}

/// What the caller wants the samples to be; by default what most of them are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Wanted {
    /// How arrays and tables are read: as images, signals or vectors. Without it an array is taken for
    /// images where its axes allow it, and a table for vectors.
    pub kind: Option<Kind>,
    /// Channels of images (1 makes colour gray; 3 leaves gray images out) and signals.
    pub channels: Option<usize>,
}

/// Why a whole dataset cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The folder or file cannot be opened at all.
    #[error("{path}: {reason}")]
    Open {
        /// As the caller named it.
        path: String,
        /// What the system says.
        reason: String,
    },
    /// Samples and crop, or samples and batch, do not go together.
    #[error("{field}: {reason}")]
    Plan {
        /// The setting.
        field: &'static str,
        /// What is wrong and what to do.
        reason: String,
    },
    /// The corruption does not fit the samples.
    #[error(transparent)]
    Corruption(#[from] crate::corruption::Error),
}

impl Dataset {
    /// The samples below `path`: a folder, an archive, or a single file of many samples.
    ///
    /// # Errors
    /// `path` cannot be opened. Files in it that cannot be used are listed in `skipped` instead.
    pub fn from_folder(path: &Path, limits: &Limits) -> Result<Self, Error> {
        Self::from_folder_as(path, limits, Wanted::default())
    }

    /// [`Dataset::from_folder`], for a model that takes a certain kind or count of channels.
    ///
    /// # Errors
    /// As [`Dataset::from_folder`].
    pub fn from_folder_as(path: &Path, limits: &Limits, wanted: Wanted) -> Result<Self, Error> {
        gather::folder(path, limits, wanted)
    }

    /// The samples of uploaded files `(name, bytes)`; each may be an archive.
    pub fn from_uploads(files: Vec<(String, Vec<u8>)>, limits: &Limits) -> Self {
        Self::from_uploads_as(files, limits, Wanted::default())
    }

    /// [`Dataset::from_uploads`], for a model that takes a certain kind or count of channels.
    pub fn from_uploads_as(files: Vec<(String, Vec<u8>)>, limits: &Limits, wanted: Wanted) -> Self {
        gather::uploads(files, limits, wanted)
    }

    /// Checks an uploaded file before it is read: an archive within its limits, with nothing but files of
    /// plain names in it. Other files pass.
    ///
    /// # Errors
    /// One line, with the name of the entry.
    pub fn check_upload(path: &Path, limits: &Limits) -> Result<(), String> {
        let file = std::fs::File::open(path).map_err(|e| e.to_string())?;
        let packed = file.metadata().map_err(|e| e.to_string())?.len();
        archive::check(file, packed, limits)
    }

    /// The kind of the samples; none where there are none.
    pub fn kind(&self) -> Option<Kind> {
        self.items.first().map(|item| item.clean.shape().kind())
    }

    /// The channels of the samples; 0 where there are none.
    pub fn channels(&self) -> usize {
        self.items.first().map_or(0, |item| item.clean.shape().channels())
    }

    /// The shape of the samples where all have the same, as fixed-size models need it.
    pub fn shape(&self) -> Option<Shape> {
        let first = self.items.first()?.clean.shape();
        self.items.iter().all(|item| item.clean.shape() == first).then_some(first)
    }

    /// Whether the samples are (noisy, clean) pairs.
    pub fn is_pairs(&self) -> bool {
        self.items.first().is_some_and(|item| item.noisy.is_some())
    }

    /// Two samples, the noisy and the clean one, whose folders say that they are halves of pairs, where no twins were
    /// found: whoever trains on them must say what they are.
    pub fn unmatched_halves(&self) -> Option<(&str, &str)> {
        let of = |role| {
            let is_half = |name: &&str| twins::folder_role(name) == Some(role);
            self.items.iter().map(|item| item.name.as_str()).find(is_half)
        };
        of(twins::Role::Noisy).zip(of(twins::Role::Clean)).filter(|_| !self.is_pairs())
    }

    /// What a person should know about the data: constant samples, doubles, very few samples, files
    /// left out. One sentence each; empty where all is well.
    pub fn notes(&self) -> Vec<String> {
        notes::about(self)
    }

    /// Divides the items into those to train on and those to judge by, `fraction` of them held out.
    ///
    /// Which side an item falls on depends on its own clean numbers alone, so that a base is never judged by what it was
    /// trained on: adding files moves no other file, no seed of a run moves any, and doubles (noisy versions of one clean sample, too) fall on the same side. Each
    /// side has at least one item when there are two different ones; a single item stands on both, and
    /// the note says so.
    pub fn split(&self, fraction: f32) -> Split<'_> {
        split::by_content(&self.items, fraction)
    }

    /// [`Dataset::split`] for repeats: all samples of one scene ([`Item::scene`]) fall on the same side,
    /// which depends on the scene's name alone.
    pub fn split_by_scene(&self, fraction: f32) -> Split<'_> {
        split::by_scene(&self.items, fraction)
    }
}

impl Item {
    /// The folder it lies in, which repeats of one scene share; empty at the top.
    pub fn scene(&self) -> &str {
        self.name.rsplit_once('/').map_or("", |(folder, _)| folder)
    }

    /// The clean sample corrupted by draw `index` under `seed`, and the target that belongs to it, the same in every run.
    pub fn corrupted(&self, corruption: &Corruption, seed: u64, index: u64) -> (Sample, Sample) {
        self.corrupted_in(corruption, &[], seed, index)
    }

    /// [`Item::corrupted`] with strengths told in the deviations of `units`, see [`pair`].
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
