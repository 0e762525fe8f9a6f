//! Public view of a job: the JSON of `GET /train/{id}`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Status;
use crate::code::Code;
use crate::name::Name;
use crate::train;

/// One training job.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Job {
    /// `job-` and a UUID version 7: ids sort by time of arrival.
    #[schema(example = "job-019a9f2e-7c1d-7d3a-b1f0-6f2a3c4d5e6f")]
    pub id: String,
    /// Model that the job trains a version of.
    #[schema(value_type = String, example = "my-scans")]
    pub name: Name,
    /// State of the job.
    pub status: Status,
    /// Time of submission.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// Time at which a worker first took the job.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub started_at: Option<Timestamp>,
    /// Time at which the job succeeded, failed or was cancelled.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub finished_at: Option<Timestamp>,
    /// Number of attempts, including those after a pause or a crash.
    pub attempt: u32,
    /// Training scheme: the source of the training targets.
    pub scheme: Option<Scheme>,
    /// Numbers of used and skipped samples.
    pub samples: Option<Samples>,
    /// Progress of the training; none before its first step.
    pub progress: Option<Progress>,
    /// Learning curve: a point for each validation so far, by step. Empty in lists of jobs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub curve: Vec<CurvePoint>,
    /// Result of the training.
    pub result: Option<Outcome>,
    /// Reason of a failure or of a pause by the service.
    pub error: Option<Failure>,
}

/// Training scheme: the source of the training targets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = JobScheme)]
pub struct Scheme {
    /// `clean`, `pairs`, `repeats` or `noisy`.
    pub name: String,
    /// Reason for this choice.
    pub reason: String,
}

/// Numbers of used and skipped samples.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Samples {
    /// Number of samples used.
    pub used: usize,
    /// Number of files that cannot be used.
    pub skipped: usize,
    /// The first 20 of these files, with the reason.
    pub first_skipped: Vec<Skipped>,
}

/// A file that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Skipped {
    /// Name of the file.
    pub name: String,
    /// Reason.
    pub reason: String,
}

/// Progress of a training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Progress {
    /// Number of steps done.
    pub step: u64,
    /// Number of steps planned; none until a run with a time budget has measured its speed.
    pub total_steps: Option<u64>,
    /// Training loss, averaged over the last steps.
    pub loss: f32,
    /// PSNR on the held-out samples at the last validation, dB.
    pub psnr_db: Option<f32>,
    /// Training speed over the last seconds, steps/s.
    pub steps_per_second: f32,
    /// Estimated seconds left at this speed; none until the number of steps is known.
    pub eta_seconds: Option<f32>,
    /// Seconds that the last checkpoint took to write; none until this attempt has written one.
    pub checkpoint_seconds: Option<f32>,
}

impl Progress {
    /// Returns the progress of an attempt that resumes at the earlier `step`.
    pub(super) fn back_at(mut self, step: u64) -> Self {
        self.step = step;
        self.eta_seconds =
            self.total_steps.map(|total| total.saturating_sub(step) as f32 / self.steps_per_second);
        self.checkpoint_seconds = None;
        self
    }
}

/// Point of a learning curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CurvePoint {
    /// Number of steps done.
    pub step: u64,
    /// Training loss, averaged over the last steps; none before the first one.
    pub loss: Option<f32>,
    /// Score on the held-out samples, dB: PSNR for images, SNR otherwise.
    pub psnr_db: f32,
}

/// Result of a finished training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Outcome {
    /// Name of the model.
    #[schema(value_type = String)]
    pub model: Name,
    /// Version it was published as.
    pub version: u32,
    /// `true` if the version became the default.
    pub promoted: bool,
    /// Reason why it did not become the default, with advice; none if it may.
    #[serde(default)]
    pub kept_back: Option<String>,
    /// Scores on the held-out samples, by name.
    #[schema(value_type = Object)]
    pub scores: serde_json::Value,
}

/// Reason of a failure or of a pause by the service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Failure {
    /// Error code, one of those of the API.
    #[schema(example = "invalid_input")]
    pub code: String,
    /// Description of the problem and advice.
    pub detail: String,
}

impl Failure {
    /// Creates the failure of a code.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code: code.name().to_owned(), detail: detail.into() }
    }
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
