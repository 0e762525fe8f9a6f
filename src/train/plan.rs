//! Plan: what a run would do with its samples, with the evidence, before anything is trained.

use std::time::Instant;

use serde::Serialize;

use super::config::{self, Length};
use super::scheme::{self, NoiseSeen, Scheme};
use super::setup::Setup;
use super::{Error, Run, step, window};
use crate::nn::Weights;
use crate::nn::model::{Family, Model, Normalize};
use crate::nn::optim::{self, AdamW};
use crate::sample::Kind;

/// Steps that are timed, after one that is not.
const TIMED: u64 = 3;

/// Fewer samples than this are few.
const FEW: usize = 20;

/// What a run would do.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
#[schema(as = TrainingPlan)]
pub struct Plan {
    /// The model that a version would be published of.
    pub model: String,
    /// What the run would start from.
    pub base: Option<String>,
    /// Samples that can be used.
    pub samples: usize,
    /// Files or samples that cannot, with the reason for each of the first 20.
    pub skipped: Vec<String>,
    /// Image, signal or vector.
    pub kind: Kind,
    /// Channels of each sample.
    pub channels: usize,
    /// Shape of the first sample.
    pub first: String,
    /// Samples to train on.
    pub trained_on: usize,
    /// Pairs of held-out samples, or of windows of large ones, to judge by.
    pub judged_by: usize,
    /// `clean`, `pairs`, `repeats` or `noisy`.
    pub scheme: String,
    /// The evidence for the scheme.
    pub reason: String,
    /// The noise of the samples as they are; none for vectors.
    pub noise: Option<NoiseSeen>,
    /// Network and what is taken out of each sample before it.
    pub network: String,
    /// Rows and columns of a crop; none where whole samples are trained on.
    pub crop: Option<[usize; 2]>,
    /// Crops, or whole samples, a step.
    pub batch: usize,
    /// Steps, as asked for, or as many as fit the time; none where that was not measured.
    pub steps: Option<u64>,
    /// Minutes of the clock; none where a step was not timed.
    pub minutes: Option<f64>,
    /// What a person should know of the data.
    pub notes: Vec<String>,
    /// What would make the result better.
    pub advice: Vec<String>,
}

impl Run<'_> {
    /// What the run would do. With `is_timed` it takes a few steps that are thrown away, to tell how long it would take.
    ///
    /// # Errors
    /// Those of [`Run::run`] that show before the first step.
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
            noise: scheme::noise_seen(dataset),
            network: network(&setup),
            crop: self.config.choose_crop(&setup.model)?.map(|(rows, columns)| [rows, columns]),
            batch: setup.loader.batch_size(),
            steps,
            minutes,
            notes: setup.notes.clone(),
            advice: advice(self, &setup),
        })
    }

    /// Seconds that one step takes.
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

/// What would make the result better, a sentence each.
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
