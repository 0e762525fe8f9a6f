//! Training: learns a model from a dataset, step by step, and publishes the result as a new version.
//!
//! [`run`] is the loop, top to bottom. The same data, config and seed give the same weights, bit for
//! bit, whether a run is stopped and resumed or not, for any number of threads.

mod card;
mod checkpoint;
mod config;
mod error;
#[cfg(test)]
mod tests;
mod validate;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;

pub use checkpoint::Checkpoint;
use checkpoint::Counters;
pub use config::{Config, FamilyChoice, FamilyName, LatentChoice, Length, Promote, Scheme};
pub use error::Error;
use validate::HeldOut;
pub use validate::{Preview, Scores};

use crate::dataset::{Batch, Dataset, Loader, Plan};
use crate::infer::Session;
use crate::name::{ModelId, ModelRef, Name};
use crate::nn::loss::Loss;
use crate::nn::model::{self, Model, Normalize};
use crate::nn::optim::{self, AdamW};
use crate::nn::schedule::warmup_cosine;
use crate::nn::{Device, Tensor, Weights};
use crate::registry::{Draft, Manifest, Registry};
use crate::rng::{Purpose, Rng};
use crate::sample::{Sample, Shape, Stats};

/// Share of the samples that is held out.
const HELD_OUT: f32 = 0.05;

/// Loss and speed are told as means over so many steps.
const RECENT: usize = 100;

/// Steps that a run with a time budget takes before it knows its speed.
const TIMED_STEPS: u64 = 20;

/// One training run.
#[derive(Debug)]
pub struct Run<'a> {
    /// What to train.
    pub config: &'a Config,
    /// What to learn from.
    pub dataset: &'a Dataset,
    /// Where the base comes from and the result goes to.
    pub registry: &'a Registry,
    /// Where the run can be stopped and resumed.
    pub checkpoint: Option<Checkpoint>,
    /// What the data are, for the model card.
    pub data: String,
    /// The command or request that asked for this run, for the model card.
    pub recipe: String,
}

/// Where a run stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Progress {
    /// Steps done.
    pub step: u64,
    /// Steps planned.
    pub total_steps: u64,
    /// Training loss, averaged over the last steps: the mean squared error on the samples' scale.
    pub loss: f32,
    /// Score on the held-out samples at the last validation, dB: PSNR for images, SNR otherwise.
    pub psnr_db: Option<f32>,
    /// Speed over the last steps.
    pub steps_per_second: f32,
    /// Seconds left at this speed.
    pub eta_seconds: f32,
    /// A held-out sample as of the last validation.
    #[serde(skip)]
    pub preview: Option<Arc<Preview>>,
}

/// What the listener wants next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// Go on.
    Continue,
    /// Write a checkpoint, if there is a place for one, and stop.
    Cancel,
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
    /// Scores on the held-out samples.
    pub scores: serde_json::Value,
}

/// What the model card tells.
pub(crate) struct Facts<'a> {
    config: &'a Config,
    model: &'a model::Config,
    data: &'a str,
    recipe: &'a str,
    scheme: (&'static str, String),
    steps: u64,
    scores: Scores,
    /// The version that served before, by name, on the same held-out samples.
    reference: Option<(String, Scores)>,
}

/// What a run learns with, fixed before the first step.
struct Setup<'a> {
    model: model::Config,
    initial: HashMap<String, Tensor>,
    /// How many samples are trained on.
    samples: usize,
    held_out: HeldOut,
    loader: Loader<'a>,
    scheme: (Scheme, String),
    rate: f32,
    loss: Loss,
}

impl Run<'_> {
    /// Trains and publishes the result. Blocks for the whole run; calls `listen` after every step.
    ///
    /// # Errors
    /// See [`Error`]; nothing is published then.
    pub fn run(&self, listen: &mut dyn FnMut(&Progress) -> Control) -> Result<Outcome, Error> {
        let setup = self.set_up()?;
        let weights = Weights::to_train(setup.initial.clone(), self.config.seed);
        let model = Model::new(&setup.model, weights.builder(&Device::Cpu))?;
        let mut optimizer = AdamW::new(weights.vars(), optim::Config::default())?;

        let resumed = self.checkpoint.as_ref().map(|c| c.load(self.config, &mut optimizer)).transpose()?;
        let planned = match self.config.length() {
            Length::Steps(steps) => steps,
            // Replaced as soon as the speed is known.
            Length::Seconds(_) => u64::MAX,
        };
        let mut at = resumed.flatten().unwrap_or(Counters { step: 0, total: planned });
        let mut clock = Clock::start(at.step);
        let mut losses = VecDeque::new();
        let mut seen = Seen::default();

        while at.step < at.total {
            let rate = warmup_cosine(at.step, at.total, setup.rate, warmup(at.total), 0.01);
            let loss = step(&setup, &model, &mut optimizer, at.step, rate, self.config.seed)?;
            at.step += 1;

            if let (Length::Seconds(budget), true) = (self.config.length(), at.step == TIMED_STEPS) {
                at.total = clock.steps_within(budget).max(TIMED_STEPS);
            }
            if at.step.is_multiple_of(validate_every(at.total)) || at.step == at.total {
                let session = self.session(&setup.model, optimizer.averaged()?)?;
                seen.psnr_db = Some(setup.held_out.score(&session)?.full_db);
                seen.preview = setup.held_out.preview(&session)?.map(Arc::new);
            }
            if losses.len() == RECENT {
                losses.pop_front();
            }
            losses.push_back(loss);
            let progress = clock.progress(at, &losses, &seen);
            let control = listen(&progress);
            if let Some(checkpoint) = &self.checkpoint
                && (control == Control::Cancel || clock.checkpoint_is_due(checkpoint.every))
            {
                checkpoint.save(self.config, at, &optimizer)?;
            }
            if control == Control::Cancel {
                return Err(Error::Cancelled);
            }
        }
        let outcome = self.publish(&setup, at.step, optimizer.averaged()?)?;
        if let Some(checkpoint) = &self.checkpoint {
            checkpoint.discard();
        }
        Ok(outcome)
    }

    fn set_up(&self) -> Result<Setup<'_>, Error> {
        let (config, dataset) = (self.config, self.dataset);
        config.validate()?;
        let base = config.base.as_deref().map(|base| self.read_base(base)).transpose()?;
        if dataset.items.is_empty() {
            let first =
                dataset.skipped.first().map(|s| format!("; {}: {}", s.name, s.reason)).unwrap_or_default();
            return Err(config::invalid("samples", format!("there is none that can be used{first}")));
        }
        let scheme = config.choose_scheme(dataset)?;
        let split = dataset.split(HELD_OUT, config.seed);
        let clean: Vec<&Sample> = dataset.items.iter().map(|item| &item.clean).collect();
        let (model, initial) = match base {
            Some((manifest, initial)) => (manifest.model, initial),
            None => (config.choose_model(&clean)?, HashMap::new()),
        };
        check_samples(&model, &clean)?;

        let corruption = config.choose_corruption(&model, clean[0].shape().kind())?;
        let crop = config.choose_crop(&model)?;
        let held_out = HeldOut::new(&split.held_out, &corruption, config.seed);
        let plan = Plan {
            crop,
            batch: config.batch.unwrap_or(if crop.is_some() { 16 } else { 64 }),
            corruption: Some(corruption),
            // Small images of one kind (digits, parts) have an upside.
            augment: crop.is_some(),
            seed: config.seed,
        };
        let samples = split.train.len();
        let loader = Loader::new(split.train, plan)?;
        // Weights that are already good are moved less.
        let peak = if initial.is_empty() { 1e-3 } else { 3e-4 };
        let rate = config.learning_rate.unwrap_or(peak);
        Ok(Setup { model, initial, samples, held_out, loader, scheme, rate, loss: config.loss })
    }

    fn read_base(&self, base: &str) -> Result<(Manifest, HashMap<String, Tensor>), Error> {
        let reference: ModelRef = base.parse().map_err(|e| config::invalid("base", format!("{e}")))?;
        let artifact = self.registry.read(&reference)?;
        Ok((artifact.manifest, Weights::read(&artifact.weights, &Device::Cpu)?))
    }

    /// A session over weights that have no version yet.
    fn session(&self, model: &model::Config, weights: BTreeMap<String, Tensor>) -> Result<Session, Error> {
        let weights = Weights::to_serve(weights.into_iter().collect());
        let network = Model::new(model, weights.builder(&Device::Cpu))?;
        let id = ModelId { name: self.config.name.clone(), version: 0, digest: [0; 32] };
        Ok(Session::new(id, Manifest::unpublished(self.config.name.clone(), model.clone()), network))
    }

    fn publish(
        &self,
        setup: &Setup<'_>,
        steps: u64,
        weights: BTreeMap<String, Tensor>,
    ) -> Result<Outcome, Error> {
        let session = self.session(&setup.model, weights.clone())?;
        let scores = setup.held_out.score(&session)?;
        let familiarity = setup.held_out.calibrate(&session)?;
        let reference = self.reference(setup)?;
        let promote = match self.config.promote {
            Promote::Always => true,
            Promote::Never => false,
            Promote::IfBetter => {
                let beats_before =
                    reference.as_ref().is_none_or(|(_, before)| scores.full_db > before.full_db);
                beats_before && scores.full_db > scores.noisy_db
            }
        };

        let (scheme, reason) = &setup.scheme;
        let scheme = (if *scheme == Scheme::Pairs { "pairs" } else { "clean" }, reason.clone());
        let training = serde_json::json!({
            "config": self.config, "data": self.data, "samples": setup.samples, "steps": steps,
            "scheme": {"name": scheme.0, "reason": scheme.1}, "recipe": self.recipe,
        });
        let facts = Facts {
            config: self.config,
            model: &setup.model,
            data: &self.data,
            recipe: &self.recipe,
            scheme,
            steps,
            scores,
            reference,
        };
        let card = card::write(&facts);
        let mut scores = serde_json::json!({ "held_out": scores });
        if let Some((name, before)) = &facts.reference {
            scores["before"] = serde_json::json!({ "model": name, "held_out": before });
        }
        let draft = Draft {
            name: self.config.name.clone(),
            model: setup.model.clone(),
            weights: Weights::write(&weights)?,
            training,
            scores: scores.clone(),
            familiarity,
            card,
        };
        let id = self.registry.publish(draft, promote)?;
        let serving = self.registry.get(&id.name)?.default;
        Ok(Outcome { model: id.name, version: id.version, promoted: serving == id.version, scores })
    }

    /// What the result has to beat: the version of this name that serves now, else the base.
    fn reference(&self, setup: &Setup<'_>) -> Result<Option<(String, Scores)>, Error> {
        let current = ModelRef { name: self.config.name.clone(), version: None };
        let base = self.config.base.as_deref().and_then(|b| b.parse().ok());
        let Some(reference) = self.registry.get(&current.name).is_ok().then_some(current).or(base) else {
            return Ok(None);
        };
        let session = Session::load(self.registry.read(&reference)?)?;
        // A version of another family or shape cannot be compared: it is not in the way.
        match setup.held_out.score(&session) {
            Ok(scores) => Ok(Some((session.id().to_string(), scores))),
            Err(Error::Infer(_)) => Ok(None),
            Err(other) => Err(other),
        }
    }
}

/// One optimiser step on batch number `at`; returns the loss.
fn step(
    setup: &Setup<'_>,
    model: &Model,
    optimizer: &mut AdamW,
    at: u64,
    rate: f32,
    seed: u64,
) -> Result<f32, Error> {
    let (noisy, clean, weight) = normalized(setup.loader.batch(at), setup.model.normalize)?;
    let code = model.encode(&noisy)?;
    let planes = model::mask(&code.planes, draw_prefix(&setup.model, seed, at))?;
    let rebuilt = model.decode(&planes)?;

    let error = |out: &Tensor| setup.loss.of(&(out - &clean)?.broadcast_mul(&weight)?);
    let (strict, strict_mean) = error(&rebuilt.strict)?;
    let (loss, mean) = if model.has_refiner() {
        let (full, full_mean) = error(&model.refine(rebuilt.clone(), code.detail.clone())?)?;
        // The refined image counts twice: it is what /denoise gives.
        let both = |full: Tensor, strict: Tensor| (full + strict * 0.5)? / 1.5;
        (both(full, strict)?, both(full_mean, strict_mean)?)
    } else {
        (strict, strict_mean)
    };
    let value = mean.to_scalar::<f32>()?;
    let norm = optimizer.step(&loss.backward()?, rate)?;
    if value.is_finite() && norm.is_finite() {
        Ok(value)
    } else {
        Err(Error::Diverged { step: at, loss: value })
    }
}

/// A batch as tensors on the network's scale, and the weight that brings each sample's error back to
/// its own scale.
fn normalized(batch: Batch, normalize: Normalize) -> Result<(Tensor, Tensor, Tensor), Error> {
    let Batch { mut noisy, mut clean, dims } = batch;
    let numbers = dims[1..].iter().product::<usize>();
    let mut weights = Vec::with_capacity(dims[0]);
    for (noisy, clean) in noisy.chunks_mut(numbers).zip(clean.chunks_mut(numbers)) {
        let stats = match normalize {
            Normalize::Sample => Stats::of(noisy),
            Normalize::Fixed(stats) => stats,
        };
        stats.normalize(noisy);
        stats.normalize(clean);
        weights.push(stats.std);
    }
    let mut weight_dims = vec![1; dims.len()];
    weight_dims[0] = dims[0];
    let device = &Device::Cpu;
    Ok((
        Tensor::from_vec(noisy, dims.clone(), device)?,
        Tensor::from_vec(clean, dims, device)?,
        Tensor::from_vec(weights, weight_dims, device)?,
    ))
}

/// How much of the latent a step may use: mostly all, every third time a random prefix, so that each
/// prefix is a latent of its own (O. Rippel et al., "Learning ordered representations with nested
/// dropout", ICML 2014).
fn draw_prefix(model: &model::Config, seed: u64, at: u64) -> usize {
    let prefixes = model.prefixes();
    let mut rng = Rng::new(seed, Purpose::Prefix, at);
    if at % 3 == 2 { prefixes[rng.below(prefixes.len())] } else { model.latent_channels() }
}

fn check_samples(model: &model::Config, samples: &[&Sample]) -> Result<(), Error> {
    let (kind, channels, fixed) = model.input();
    let fits = |shape: Shape| match fixed {
        Some(fixed) => shape == fixed,
        None => shape.kind() == kind && shape.channels() == channels,
    };
    match samples.iter().find(|s| !fits(s.shape())) {
        None => Ok(()),
        Some(other) => {
            let takes = fixed.map_or(format!("{kind}s with {channels} channel(s)"), |f| f.to_string());
            Err(config::invalid("samples", format!("the model takes {takes}, got {}", other.shape())))
        }
    }
}

fn warmup(total: u64) -> u64 {
    (total / 20).clamp(1, 500)
}

fn validate_every(total: u64) -> u64 {
    (total / 20).clamp(50, 1000)
}

/// What the last validation saw.
#[derive(Debug, Default)]
struct Seen {
    psnr_db: Option<f32>,
    preview: Option<Arc<Preview>>,
}

/// The wall clock of a run: speed, time left, when a checkpoint is due.
struct Clock {
    start: Instant,
    first_step: u64,
    saved: Instant,
    recent: VecDeque<(Instant, u64)>,
}

impl Clock {
    fn start(first_step: u64) -> Self {
        let now = Instant::now();
        Self { start: now, first_step, saved: now, recent: VecDeque::from([(now, first_step)]) }
    }

    /// How many steps fit into `seconds` at the speed so far.
    fn steps_within(&self, seconds: f64) -> u64 {
        let done = self.recent.back().map_or(0, |(_, step)| step + 1 - self.first_step);
        (seconds * done as f64 / self.start.elapsed().as_secs_f64().max(1e-3)) as u64
    }

    fn checkpoint_is_due(&mut self, every: Duration) -> bool {
        let is_due = self.saved.elapsed() >= every;
        if is_due {
            self.saved = Instant::now();
        }
        is_due
    }

    fn progress(&mut self, at: Counters, losses: &VecDeque<f32>, seen: &Seen) -> Progress {
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back((Instant::now(), at.step));
        let (then, step) = self.recent[0];
        let speed = (at.step - step) as f32 / then.elapsed().as_secs_f32().max(1e-6);
        Progress {
            step: at.step,
            total_steps: at.total,
            loss: losses.iter().sum::<f32>() / losses.len().max(1) as f32,
            psnr_db: seen.psnr_db,
            steps_per_second: speed,
            eta_seconds: at.total.saturating_sub(at.step) as f32 / speed,
            preview: seen.preview.clone(),
        }
    }
}
