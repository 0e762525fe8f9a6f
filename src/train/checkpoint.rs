//! Checkpoints: the complete state of a run, to resume it as if it had never stopped.
//!
//! Random draws are functions of the seed and the step (`crate::rng`), so the state consists of weights, moments, averages,
//! the last good and the best weights and a few counters. It is one safetensors file, written under a temporary name,
//! synced and renamed.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use safetensors::SafeTensors;
use safetensors::tensor::Metadata;
use serde::{Deserialize, Serialize};

use super::Error;
use super::config::Config;
use super::watch::Watch;
use crate::file::{self, Flush};
use crate::nn::model;
use crate::nn::optim::AdamW;
use crate::nn::{Device, Tensor};

/// Largest size in bytes of the header of a checkpoint.
const MOST_HEAD: u64 = 16 << 20;

/// Location and schedule of a checkpoint.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    /// Path of the file.
    pub path: PathBuf,
    /// `true` to resume from the file if it exists; otherwise it is overwritten.
    pub resume: bool,
    /// Shortest interval between two checkpoints.
    pub every: Duration,
}

/// Counters of a run; part of a checkpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Standing {
    /// Number of steps done.
    pub(super) step: u64,
    /// Number of steps planned; `u64::MAX` until the speed of a run with a time budget is known, then recalculated as the speed
    /// changes.
    pub(super) total: u64,
    /// Seconds that the run has taken.
    #[serde(default)]
    pub(super) spent: f64,
    /// Number of times the run returned to earlier weights and halved its learning rate.
    pub(super) setbacks: u32,
    /// Step of the last good weights.
    pub(super) good_step: u64,
    /// Results of the validations.
    pub(super) watch: Watch,
    /// Notes on the run.
    pub(super) notes: Vec<String>,
}

/// State of a run except its optimiser.
#[derive(Debug)]
pub(super) struct State {
    pub(super) at: Standing,
    /// Optimiser state at the last good validation.
    pub(super) good: BTreeMap<String, Tensor>,
    /// Averaged weights of the best validation.
    pub(super) best: BTreeMap<String, Tensor>,
}

/// Model that a run starts from, with which the result is compared at the end.
#[derive(Debug, Clone)]
pub(super) struct Base {
    /// Name and version.
    pub(super) id: String,
    /// Network architecture.
    pub(super) model: model::Config,
    /// Weights.
    pub(super) weights: HashMap<String, Tensor>,
}

/// Prefixes of the tensor names in the parts of a checkpoint.
const GOOD: &str = "good/";
const BEST: &str = "best/";
const BASE: &str = "base/";

impl Checkpoint {
    /// Creates a checkpoint at `path`, written once a minute.
    pub fn new(path: PathBuf, resume: bool) -> Self {
        Self { path, resume, every: Duration::from_secs(60) }
    }

    /// Returns the step of the saved checkpoint; `None` if the file is missing or incomplete. Reads only its header.
    pub fn step(&self) -> Option<u64> {
        let mut file = File::open(&self.path).ok()?;
        let mut length = [0; 8];
        file.read_exact(&mut length).ok()?;
        let length = u64::from_le_bytes(length);
        let mut head = Vec::new();
        (&file).take(length.min(MOST_HEAD)).read_to_end(&mut head).ok()?;
        let head: Metadata = serde_json::from_slice(&head).ok()?;
        let is_whole = file.metadata().ok()?.len() == 8 + length + head.data_len() as u64;
        head.metadata().as_ref()?.get("step").filter(|_| is_whole)?.parse().ok()
    }

    /// Returns the base model of the saved run; `None` if there is nothing to resume or no base.
    ///
    /// # Errors
    /// The file cannot be read or is damaged.
    pub(super) fn base(&self) -> Result<Option<Base>, Error> {
        let Some(bytes) = self.read()? else { return Ok(None) };
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|e| self.fault(&e.to_string()))?;
        let texts = header.metadata().clone().unwrap_or_default();
        let Some(about) = texts.get("base") else { return Ok(None) };
        let (id, model) = serde_json::from_str(about).map_err(|e| self.fault(&format!("base: {e}")))?;
        let tensors = candle_core::safetensors::load_buffer(&bytes, &Device::Cpu)
            .map_err(|e| self.fault(&e.to_string()))?;
        let own = tensors.into_iter().filter_map(|(name, t)| Some((name.strip_prefix(BASE)?.to_owned(), t)));
        Ok(Some(Base { id, model, weights: own.collect() }))
    }

    /// Reads the whole file; `None` if it does not exist or is not to be resumed.
    fn read(&self) -> Result<Option<Vec<u8>>, Error> {
        if !self.resume {
            return Ok(None);
        }
        match fs::read(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            result => result.map(Some).map_err(|source| self.io(source)),
        }
    }

    /// Writes the state of a run. `samples` is the fingerprint of its samples, `base` the model it started from.
    ///
    /// # Errors
    /// The file cannot be written; the previous checkpoint is unchanged.
    pub(super) fn save(
        &self,
        config: &Config,
        samples: &str,
        base: Option<&Base>,
        state: &State,
        optimizer: &AdamW,
    ) -> Result<(), Error> {
        let mut metadata = HashMap::from([
            ("config".to_owned(), text(config)),
            ("samples".to_owned(), samples.to_owned()),
            ("standing".to_owned(), text(&state.at)),
            // Also stored separately, for `step`, which reads only the header.
            ("step".to_owned(), state.at.step.to_string()),
        ]);
        let mut tensors = optimizer.save()?;
        if let Some(Base { id, model, weights }) = base {
            metadata.insert("base".to_owned(), text(&(id, model)));
            tensors.extend(weights.iter().map(|(name, tensor)| (format!("{BASE}{name}"), tensor.clone())));
        }
        for (part, kept) in [(GOOD, &state.good), (BEST, &state.best)] {
            tensors.extend(kept.iter().map(|(name, tensor)| (format!("{part}{name}"), tensor.clone())));
        }
        let bytes =
            safetensors::serialize(tensors, Some(metadata)).map_err(|e| self.fault(&e.to_string()))?;
        let write = || {
            if let Some(folder) = self.path.parent().filter(|f| !f.as_os_str().is_empty()) {
                fs::create_dir_all(folder)?;
            }
            file::replace(&self.path, Flush::Now, |file| file.write_all(&bytes))
        };
        write().map_err(|source| self.io(source))
    }

    /// Restores `optimizer` and returns the state of the saved run; `None` if there is nothing to resume.
    ///
    /// # Errors
    /// The file cannot be read, is damaged, or belongs to a run with another config or on other samples.
    pub(super) fn load(
        &self,
        config: &Config,
        samples: &str,
        optimizer: &mut AdamW,
    ) -> Result<Option<State>, Error> {
        let Some(bytes) = self.read()? else { return Ok(None) };
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|e| self.fault(&e.to_string()))?;
        let texts = header.metadata().clone().unwrap_or_default();
        let stored = |key: &str| texts.get(key).map(String::as_str).unwrap_or_default();
        let other = |what: &str| {
            self.fault(&format!("it belongs to a run with {what}; remove it or train without --resume"))
        };
        // The meaning counts, not the text: a setting that a later program added has its default in an older file.
        let of_file = serde_json::from_str::<Config>(stored("config"));
        if !of_file.is_ok_and(|stored| stored == *config) {
            return Err(other("another config"));
        }
        if stored("samples") != samples {
            return Err(other("other samples"));
        }
        let at: Standing =
            serde_json::from_str(stored("standing")).map_err(|e| self.fault(&format!("standing: {e}")))?;

        let tensors = candle_core::safetensors::load_buffer(&bytes, &Device::Cpu)
            .map_err(|e| self.fault(&e.to_string()))?;
        let all: BTreeMap<String, Tensor> = tensors.into_iter().collect();
        let part = |prefix: &str| -> BTreeMap<String, Tensor> {
            let own =
                all.iter().filter_map(|(name, t)| Some((name.strip_prefix(prefix)?.to_owned(), t.clone())));
            own.collect()
        };
        optimizer.restore(&all, at.step)?;
        Ok(Some(State { at, good: part(GOOD), best: part(BEST) }))
    }

    /// Deletes the file after the result is published.
    pub(super) fn discard(&self) {
        // A remaining file is overwritten or rejected by the next run, so a failure here is no reason to fail this one.
        let _ = fs::remove_file(&self.path);
    }

    fn io(&self, source: io::Error) -> Error {
        Error::Io { path: self.path.display().to_string(), source }
    }

    fn fault(&self, reason: &str) -> Error {
        Error::Checkpoint { path: self.path.display().to_string(), reason: reason.to_owned() }
    }
}

/// Serializes a value, to store it or to compare it with a stored one.
fn text(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
