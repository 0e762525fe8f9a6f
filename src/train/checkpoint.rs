//! A checkpoint: everything a run needs to go on as if it had never stopped.
//!
//! Chance is a function of the seed and the step (`crate::rng`), so weights, moments, averages and two
//! counters are all there is. One safetensors file, written beside its place, made durable, renamed.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use safetensors::SafeTensors;

use super::Error;
use super::config::Config;
use crate::nn::optim::AdamW;
use crate::nn::{Device, Tensor};

/// No head of a checkpoint is longer.
const MOST_HEAD: u64 = 16 << 20;

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counters {
    /// Steps done.
    pub(super) step: u64,
    /// Steps planned.
    pub(super) total: u64,
}

/// Where a run keeps its checkpoint.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    /// The file.
    pub path: PathBuf,
    /// Whether to go on from it where it is there; otherwise it is overwritten.
    pub resume: bool,
    /// It is written at most this often.
    pub every: Duration,
}

impl Checkpoint {
    /// A checkpoint at `path`, written once a minute.
    pub fn new(path: PathBuf, resume: bool) -> Self {
        Self { path, resume, every: Duration::from_secs(60) }
    }

    /// The step that the file was written at; none where there is no file, or no whole one. Reads its head
    /// alone.
    pub fn step(&self) -> Option<u64> {
        let mut file = File::open(&self.path).ok()?;
        let mut head = vec![0; 8];
        file.read_exact(&mut head).ok()?;
        let length = u64::from_le_bytes(head[..8].try_into().ok()?);
        (&file).take(length.min(MOST_HEAD)).read_to_end(&mut head).ok()?;
        let (_, header) = SafeTensors::read_metadata(&head).ok()?;
        header.metadata().as_ref()?.get("step")?.parse().ok()
    }

    pub(super) fn save(&self, config: &Config, counters: Counters, optimizer: &AdamW) -> Result<(), Error> {
        let metadata = HashMap::from([
            ("config".to_owned(), describe(config)),
            ("step".to_owned(), counters.step.to_string()),
            ("total".to_owned(), counters.total.to_string()),
        ]);
        let bytes = safetensors::serialize(optimizer.save()?, Some(metadata))
            .map_err(|e| self.fault(&e.to_string()))?;
        let beside = self.path.with_extension("part");
        let write = || {
            if let Some(folder) = self.path.parent().filter(|f| !f.as_os_str().is_empty()) {
                fs::create_dir_all(folder)?;
            }
            let mut file = File::create(&beside)?;
            file.write_all(&bytes)?;
            file.sync_all()?;
            fs::rename(&beside, &self.path)
        };
        write().map_err(|e: std::io::Error| self.fault(&e.to_string()))
    }

    /// Puts `optimizer` where the saved run stood. `None` where there is nothing to go on from.
    pub(super) fn load(&self, config: &Config, optimizer: &mut AdamW) -> Result<Option<Counters>, Error> {
        if !self.resume || !self.path.exists() {
            return Ok(None);
        }
        let bytes = fs::read(&self.path).map_err(|e| self.fault(&e.to_string()))?;
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|e| self.fault(&e.to_string()))?;
        let texts = header.metadata().clone().unwrap_or_default();
        let text = |key: &str| texts.get(key).map(String::as_str).unwrap_or_default();
        if text("config") != describe(config) {
            return Err(
                self.fault("it belongs to a run with another config; remove it or train without --resume")
            );
        }
        let number = |key: &str| text(key).parse().map_err(|_| self.fault(&format!("{key} is missing")));
        let counters = Counters { step: number("step")?, total: number("total")? };

        let tensors = candle_core::safetensors::load_buffer(&bytes, &Device::Cpu)?;
        let saved: BTreeMap<String, Tensor> = tensors.into_iter().collect();
        optimizer.restore(&saved, counters.step)?;
        Ok(Some(counters))
    }

    /// Removes the file once the run has published its result.
    pub(super) fn discard(&self) {
        // A file that stays behind is overwritten or refused by the next run: no reason to fail this one.
        let _ = fs::remove_file(&self.path);
    }

    fn fault(&self, reason: &str) -> Error {
        Error::Checkpoint { path: self.path.display().to_string(), reason: reason.to_owned() }
    }
}

/// The part of a config that must not change between a run and its continuation.
fn describe(config: &Config) -> String {
    serde_json::to_string(config).unwrap_or_default()
}
