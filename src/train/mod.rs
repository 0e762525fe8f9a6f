//! Training: learns a model from a dataset, step by step, and hands back an artifact to publish.

use serde::{Deserialize, Serialize};

use crate::name::{ModelRef, Name};

/// What to train; everything but the name has a default. This is the `config` part of `POST /train`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The model the result becomes a version of.
    pub name: Name,
    /// Weights to start from, as `name` or `name@version`.
    #[serde(default)]
    pub base: Option<String>,
    /// Optimiser steps; `minutes` or the default where absent.
    #[serde(default)]
    pub steps: Option<u64>,
    /// Wall-clock budget, instead of steps.
    #[serde(default)]
    pub minutes: Option<f64>,
    /// Where all chance comes from.
    #[serde(default)]
    pub seed: u64,
    // (the rest is being built)
}

/// Where a run stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Progress {
    /// Steps done.
    pub step: u64,
    /// Steps planned.
    pub total_steps: u64,
    /// Training loss, averaged over the last steps.
    pub loss: f32,
    /// PSNR on the held-out samples at the last validation, dB.
    pub psnr_db: Option<f32>,
    /// Speed over the last seconds.
    pub steps_per_second: f32,
    /// Seconds left at this speed.
    pub eta_seconds: f32,
}

/// What the listener wants next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// Go on.
    Continue,
    /// Stop at once and give nothing back.
    Cancel,
}

/// Why training cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The config or the data cannot be trained on.
    #[error("{field}: {reason}")]
    Invalid {
        /// The config's member, or `samples`.
        field: String,
        /// What is wrong and what to do.
        reason: String,
    },
    /// The listener said so.
    #[error("cancelled")]
    Cancelled,
    /// The loss is not finite any more.
    #[error("the loss became {loss} at step {step}; lower the learning rate or check the samples")]
    Diverged {
        /// The step.
        step: u64,
        /// The value.
        loss: f32,
    },
    /// The base model.
    #[error(transparent)]
    Registry(#[from] crate::registry::Error),
    /// A model.
    #[error(transparent)]
    Infer(#[from] crate::infer::Error),
    /// The tensor code failed.
    #[error("tensor code failed: {0}")]
    Tensor(#[from] crate::nn::Error),
}

/// What a run gave.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// The model.
    pub model: Name,
    /// The version it was published as.
    pub version: u32,
    /// Whether it serves from now on when no version is named.
    pub promoted: bool,
    /// Scores on the held-out samples, by name.
    pub scores: serde_json::Value,
}

/// Trains as `config` says and publishes the result.
///
/// Blocks for the whole run; calls `listen` after every step.
///
/// # Errors
/// See [`Error`]; nothing is published then.
pub fn run(
    config: &Config,
    dataset: &crate::dataset::Dataset,
    registry: &crate::registry::Registry,
    listen: &mut dyn FnMut(&Progress) -> Control,
) -> Result<Outcome, Error> {
    let _ = (config, dataset, registry, listen, ModelRef { name: config.name.clone(), version: None });
    todo!("being built")
}
