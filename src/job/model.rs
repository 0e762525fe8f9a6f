//! A job as callers see it: the JSON of `GET /train/{id}`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Status;
use crate::name::Name;
use crate::train;

/// One training job.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Job {
    /// `job-` and a UUID version 7: ids sort by time of arrival.
    #[schema(example = "job-019a9f2e-7c1d-7d3a-b1f0-6f2a3c4d5e6f")]
    pub id: String,
    /// The model it trains a version of.
    #[schema(value_type = String, example = "my-scans")]
    pub name: Name,
    /// Where it stands.
    pub status: Status,
    /// When it was accepted.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When its samples began to be read.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub started_at: Option<Timestamp>,
    /// When it came to its end.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub finished_at: Option<Timestamp>,
    /// How often it was begun, after a pause or a crash too.
    pub attempt: u32,
    /// How clean targets are had from the samples.
    pub scheme: Option<Scheme>,
    /// What became of the uploaded files.
    pub samples: Option<Samples>,
    /// Where the training stands; none before its first step.
    pub progress: Option<Progress>,
    /// What came of it.
    pub result: Option<Outcome>,
    /// Why it failed, or rests.
    pub error: Option<Failure>,
}

/// How clean targets are had from the samples.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = JobScheme)]
pub struct Scheme {
    /// `clean`, `pairs`, `repeats` or `noisy`.
    pub name: String,
    /// Why this one.
    pub reason: String,
}

/// What became of the uploaded files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Samples {
    /// Samples that are used.
    pub used: usize,
    /// Files that cannot be used.
    pub skipped: usize,
    /// The first of them, with the reason.
    pub first_skipped: Vec<Skipped>,
}

/// A file that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Skipped {
    /// Its name.
    pub name: String,
    /// Why.
    pub reason: String,
}

/// Where a training stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Progress {
    /// Steps done.
    pub step: u64,
    /// Steps planned; none until a run with a time budget knows its speed.
    pub total_steps: Option<u64>,
    /// Training loss, averaged over the last steps.
    pub loss: f32,
    /// PSNR on the held-out samples at the last validation, dB.
    pub psnr_db: Option<f32>,
    /// Speed over the last seconds.
    pub steps_per_second: f32,
    /// Seconds left at this speed; none until the steps are known.
    pub eta_seconds: Option<f32>,
    /// Seconds that it took to write the last checkpoint; none where this attempt has written none yet.
    pub checkpoint_seconds: Option<f32>,
}

impl Progress {
    /// Where an attempt that begins at `step` finds the training, which was further.
    pub(super) fn back_at(mut self, step: u64) -> Self {
        self.step = step;
        self.eta_seconds =
            self.total_steps.map(|total| total.saturating_sub(step) as f32 / self.steps_per_second);
        self.checkpoint_seconds = None;
        self
    }
}

/// What a finished training gave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Outcome {
    /// The model.
    #[schema(value_type = String)]
    pub model: Name,
    /// The version it was published as.
    pub version: u32,
    /// Whether it serves when no version is named.
    pub promoted: bool,
    /// The reason why it does not, with advice; none where it may.
    #[serde(default)]
    pub kept_back: Option<String>,
    /// Scores on the held-out samples, by name.
    #[schema(value_type = Object)]
    pub scores: serde_json::Value,
}

/// Why a job failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Failure {
    /// One of the contract's error codes.
    #[schema(example = "invalid_input")]
    pub code: String,
    /// What happened and what to do.
    pub detail: String,
}

impl From<&train::Progress> for Progress {
    fn from(from: &train::Progress) -> Self {
        Self {
            step: from.step,
            total_steps: (from.total_steps < u64::MAX).then_some(from.total_steps),
            loss: from.loss,
            psnr_db: from.psnr_db,
            steps_per_second: from.steps_per_second,
            eta_seconds: (from.total_steps < u64::MAX).then_some(from.eta_seconds),
            checkpoint_seconds: from.checkpoint_seconds,
        }
    }
}

impl From<&crate::dataset::Dataset> for Samples {
    fn from(from: &crate::dataset::Dataset) -> Self {
        let skipped =
            |s: &crate::dataset::Skipped| Skipped { name: s.name.clone(), reason: s.reason.clone() };
        Self {
            used: from.items.len(),
            skipped: from.skipped.len(),
            first_skipped: from.skipped.iter().take(20).map(skipped).collect(),
        }
    }
}
