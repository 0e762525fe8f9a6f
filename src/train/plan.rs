//! Plan of a run: settings chosen for the samples, with the evidence, before any training.

use std::time::Instant;

use serde::Serialize;

use super::config::{self, Length};
use super::noise::{self, NoiseSeen};
use super::scheme::Scheme;
use super::setup::Setup;
use super::{Error, Run, step, window};
use crate::nn::Weights;
use crate::nn::model::{Family, Model, Normalize};
use crate::nn::optim::{self, AdamW};
use crate::sample::Kind;

/// Number of timed steps, after one that is not timed.
const TIMED: u64 = 3;

/// Number of samples below which more are recommended.
const FEW: usize = 20;

/// Plan of a run.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
#[schema(as = TrainingPlan)]
pub struct Plan {
    /// Model that a version would be published of.
    pub model: String,
    /// Base that the run would start from.
    pub base: Option<String>,
    /// Number of usable samples.
    pub samples: usize,
    /// First 20 files or samples that cannot be used, with the reason.
    pub skipped: Vec<String>,
    /// Kind of the samples.
    pub kind: Kind,
    /// Number of channels of each sample.
    pub channels: usize,
    /// Shape of the first sample.
    pub first: String,
    /// Number of training samples.
    pub trained_on: usize,
    /// Number of held-out pairs, or windows of large samples, for evaluation.
    pub judged_by: usize,
    /// `clean`, `pairs`, `repeats` or `noisy`.
    pub scheme: String,
    /// Evidence for the scheme.
    pub reason: String,
    /// Noise of the samples; none for vectors.
    pub noise: Option<NoiseSeen>,
    /// Network and normalisation of the samples.
    pub network: String,
    /// Rows and columns of a crop; none if whole samples are used.
    pub crop: Option<[usize; 2]>,
    /// Crops, or whole samples, per step.
    pub batch: usize,
    /// Number of steps, as requested or as fits the time budget; none if that was not measured.
    pub steps: Option<u64>,
    /// Expected duration in minutes; none if no step was timed.
    pub minutes: Option<f64>,
    /// Notes on the data for the user.
    pub notes: Vec<String>,
    /// Ways to improve the result.
    pub advice: Vec<String>,
}

impl Run<'_> {
    /// Returns the plan of the run. With `is_timed` a few steps are run and discarded to measure the speed.
    ///
    /// # Errors
    /// Errors of [`Run::run`] before the first step.
    pub fn plan(&self, is_timed: bool) -> Result<Plan, Error> {
        let prepared = self.prepared()?;
        let dataset = prepared.as_ref().unwrap_or(self.dataset);
        let parts = match dataset.items.as_slice() {
            [only] => window::part(only),
            _ => None,
        };
        let setup = Setup::new(self, dataset, parts.as_ref())?;
        let step_seconds = if is_timed { Some(self.time_a_step(&setup)?) } else { None };
        let (steps, minutes) = match (setup.length, step_seconds) {
            (Length::Steps(steps), seconds) => (Some(steps), seconds.map(|one| steps as f64 * one / 60.0)),
            (Length::Seconds(all), Some(one)) => (Some((all / one) as u64), Some(all / 60.0)),
            (Length::Seconds(all), None) => (None, Some(all / 60.0)),
        };
        let first = dataset.items.first().map(|item| item.clean.shape());
        let skipped =
            dataset.skipped.iter().take(20).map(|skipped| format!("{}: {}", skipped.name, skipped.reason));
        Ok(Plan {
            model: self.config.name.to_string(),
            base: setup.base.as_ref().map(|base| base.id.clone()),
            samples: dataset.items.len(),
            skipped: skipped.collect(),
            kind: dataset.kind().unwrap_or(Kind::Image),
            channels: dataset.channels(),
            first: first.map(|shape| shape.to_string()).unwrap_or_default(),
            trained_on: setup.samples,
            judged_by: setup.held_out.len(),
            scheme: setup.scheme.0.name().to_owned(),
            reason: setup.scheme.1.clone(),
            noise: noise::noise_seen(dataset),
            network: network(&setup),
            crop: self.config.choose_crop(&setup.model)?.map(|(rows, columns)| [rows, columns]),
            batch: setup.loader.batch_size(),
            steps,
            minutes,
            notes: setup.notes.clone(),
            advice: advice(self, &setup),
        })
    }

    /// Measures the seconds of one step.
    fn time_a_step(&self, setup: &Setup<'_>) -> Result<f64, Error> {
        let weights = Weights::to_train(setup.initial(), self.config.seed);
        let model = Model::new(&setup.model, weights.builder(&setup.device))?;
        let mut optimizer = AdamW::new(weights.vars(), optim::Config::default())?;
        step::take(setup, &model, &mut optimizer, 0, config::DEFAULT_STEPS, setup.rate * 1e-3)?;
        let begun = Instant::now();
        for at in 1..=TIMED {
            step::take(setup, &model, &mut optimizer, at, config::DEFAULT_STEPS, setup.rate * 1e-3)?;
        }
        Ok(begun.elapsed().as_secs_f64() / TIMED as f64)
    }
}

fn network(setup: &Setup<'_>) -> String {
    let family = match &setup.model.family {
        Family::Pyramid(_) => "pyramid",
        Family::Compact(_) => "compact",
        Family::Signal(_) => "signal",
        Family::Dense(_) => "dense",
    };
    let scaled = match &setup.model.normalize {
        Normalize::Sample => "each sample scaled by its own mean and deviation",
        Normalize::Channel => "each channel of each sample scaled by its own mean and deviation",
        Normalize::Fixed(_) => "all samples scaled by the mean and deviation of those trained on",
        Normalize::Columns(_) => "each column scaled by its mean and deviation in the samples trained on",
    };
    format!("{family}; {scaled}")
}

/// Returns ways to improve the result, one sentence each.
fn advice(run: &Run<'_>, setup: &Setup<'_>) -> Vec<String> {
    let mut advice = Vec::new();
    let (scheme, _) = &setup.scheme;
    if setup.samples < FEW {
        advice.push(format!(
            "more samples: {} are few, and a model knows those that it saw best",
            setup.samples
        ));
    }
    let is_pyramid = matches!(setup.model.family, Family::Pyramid(_));
    if setup.base.is_none() && is_pyramid {
        let channels = setup.model.input().1;
        advice.push(format!(
            "a base: a bundled model of {channels} channel(s) knows what images look like, and minutes are enough then"
        ));
    }
    match scheme {
        Scheme::Noisy => advice.push(
            "repeats of each scene in a folder of its own, or clean samples with their noisy twins: both teach more than \
             noisy samples alone, and pairs are judged by the truth instead of an estimate"
                .to_owned(),
        ),
        Scheme::Clean if run.config.corruption.is_none() => advice.push(
            "a corruption like the noise that is to be removed: white noise is added, and noise of another kind is not \
             learnt"
                .to_owned(),
        ),
        _ => {}
    }
    advice
}
