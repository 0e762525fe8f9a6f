//! Training: optimises a model on a dataset and publishes the result as a new version.
//!
//! [`Run::run`] is the training loop. The same data, config and seed give bit-identical weights, whether a run is resumed
//! or not, for any number of threads.

mod card;
mod checkpoint;
mod clock;
mod config;
mod error;
mod family;
mod map;
mod noise;
mod plan;
mod prepare;
mod publish;
mod scheme;
mod setup;
mod step;
#[cfg(test)]
mod tests;
mod validate;
mod verdict;
mod watch;
mod window;

use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;

pub use checkpoint::Checkpoint;
use checkpoint::{Standing, State};
use clock::Clock;
pub use config::{Config, Length, Promote, describe};
pub use error::Error;
pub use family::{FamilyChoice, FamilyName, LatentChoice};
pub use noise::NoiseSeen;
pub use plan::Plan;
pub use scheme::Scheme;
use setup::Setup;
use validate::Glance;
pub use validate::{Preview, Scores};
use watch::{Verdict, Watch};

use crate::dataset::Dataset;
use crate::infer;
use crate::name::Name;
use crate::nn::Weights;
use crate::nn::model::Model;
use crate::nn::optim::{self, AdamW};
use crate::nn::schedule::warmup_cosine;
use crate::registry::Registry;

/// Largest number of times a run returns to its last good weights and halves its learning rate.
const SETBACKS: u32 = 3;

/// Interval in steps at which a run with a time budget recalculates its number of steps.
const PLAN_EVERY: u64 = 10;

/// Largest share of a time budget reserved for the final comparison.
const LAST_SHARE: f64 = 0.25;

/// Training run.
#[derive(Debug)]
pub struct Run<'a> {
    /// Training config.
    pub config: &'a Config,
    /// Training samples.
    pub dataset: &'a Dataset,
    /// Registry of the base and of the result.
    pub registry: &'a Registry,
    /// Checkpoint to stop and resume the run at.
    pub checkpoint: Option<Checkpoint>,
    /// Description of the data, for the model card.
    pub data: String,
    /// Command or request that started this run, for the model card.
    pub recipe: String,
    /// Label of each sample of the dataset, for the map; empty to take the folders of the samples.
    pub labels: Vec<String>,
}

/// Progress of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Progress {
    /// Number of steps done.
    pub step: u64,
    /// Number of steps planned; `u64::MAX` until a run with a time budget knows its speed.
    pub total_steps: u64,
    /// Training loss, averaged over the recent steps: mean squared error on the samples' scale.
    pub loss: f32,
    /// Score on the held-out samples at the last validation, dB: PSNR for images, SNR otherwise.
    pub psnr_db: Option<f32>,
    /// Training speed over the recent steps, steps/s.
    pub steps_per_second: f32,
    /// Crops, or whole samples, per second at this speed.
    pub crops_per_second: f32,
    /// Estimated seconds left at this speed.
    pub eta_seconds: f32,
    /// Seconds that the last checkpoint took to write; none until this run has written one.
    pub checkpoint_seconds: Option<f32>,
    /// Held-out sample at the last validation.
    #[serde(skip)]
    pub preview: Option<Arc<Preview>>,
}

/// Reply of the progress callback.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// Continue.
    Continue,
    /// Write a checkpoint, if one is configured, and stop.
    Cancel,
    /// Stop without a checkpoint: another process runs the job now.
    Abandon,
}

/// Result of a run.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// Name of the model.
    pub model: Name,
    /// Version it was published as.
    pub version: u32,
    /// `true` if the version became the default.
    pub promoted: bool,
    /// Reason why it did not become the default, with advice; none if it may.
    pub kept_back: Option<String>,
    /// Scores on the held-out samples: `held_out` of the model, `before` of the model it had to beat, `base` of the base.
    pub scores: serde_json::Value,
    /// Notes on data and run, one sentence each.
    pub notes: Vec<String>,
}

/// State of a run in progress.
struct Going<'a> {
    run: &'a Run<'a>,
    setup: &'a Setup<'a>,
    optimizer: AdamW,
    state: State,
    clock: Clock,
    /// Seconds that the run had taken before it was resumed.
    resumed_at: f64,
    /// Seconds that the last validation took.
    validation: f64,
    psnr_db: Option<f32>,
    preview: Option<Arc<Preview>>,
    checkpoint_seconds: Option<f32>,
}

impl Run<'_> {
    /// Trains and publishes the result. Blocks until the end of the run; calls `listen` after every step.
    ///
    /// # Errors
    /// See [`Error`]; nothing is published on an error.
    pub fn run(&self, listen: &mut dyn FnMut(&Progress) -> Control) -> Result<Outcome, Error> {
        let prepared = self.prepared()?;
        let dataset = prepared.as_ref().unwrap_or(self.dataset);
        let parts = match dataset.items.as_slice() {
            [only] => window::part(only),
            _ => None,
        };
        let setup = Setup::new(self, dataset, parts.as_ref())?;
        let weights = Weights::to_train(setup.initial(), self.config.seed);
        let model = Model::new(&setup.model, weights.builder(&setup.device))?;
        let mut going = Going::start(self, &setup, AdamW::new(weights.vars(), optim::Config::default())?)?;

        while going.state.at.step < going.state.at.total {
            let Standing { step, total, setbacks, .. } = going.state.at;
            let rate = warmup_cosine(step, total, setup.rate, warmup(total), 0.01) / (1 << setbacks) as f32;
            let Some(loss) = step::take(&setup, &model, &mut going.optimizer, step, total, rate)? else {
                going.set_back("the loss was far out of range, or the gradient not finite")?;
                continue;
            };
            going.state.at.step += 1;
            going.clock.tick(loss);
            going.budget()?;
            going.validate()?;

            let control = listen(&going.progress());
            if control != Control::Abandon {
                going.keep(control)?;
            }
            if control != Control::Continue {
                return Err(Error::Cancelled);
            }
        }
        going.finish()
    }
}

impl<'a> Going<'a> {
    /// Starts a new run, or resumes from the checkpoint.
    fn start(run: &'a Run<'a>, setup: &'a Setup<'a>, mut optimizer: AdamW) -> Result<Self, Error> {
        let load = |checkpoint: &Checkpoint| checkpoint.load(run.config, &setup.fingerprint, &mut optimizer);
        let resumed = run.checkpoint.as_ref().map(load).transpose()?.flatten();
        let is_new = resumed.is_none();
        let state = match resumed {
            Some(state) => state,
            None => {
                let total = match setup.length {
                    Length::Steps(steps) => steps,
                    // Replaced once the speed is known.
                    Length::Seconds(_) => u64::MAX,
                };
                let notes = setup.notes.clone();
                let (watch, good_step) = (Watch::default(), 0);
                let at = Standing { step: 0, total, spent: 0.0, setbacks: 0, good_step, watch, notes };
                State { at, good: optimizer.save()?, best: optimizer.averaged()? }
            }
        };
        let (psnr_db, preview, checkpoint_seconds) = (None, None, None);
        let (clock, resumed_at, validation) = (Clock::start(), state.at.spent, 0.0);
        let mut going = Self {
            run,
            setup,
            optimizer,
            state,
            clock,
            resumed_at,
            validation,
            psnr_db,
            preview,
            checkpoint_seconds,
        };
        // Score the base first: the result must beat it, and its weights are published if no step does.
        if is_new && setup.base.is_some() {
            going.look()?;
        }
        Ok(going)
    }

    /// Returns the seconds that the run has taken, including the time before it was resumed.
    fn spent(&self) -> f64 {
        self.resumed_at + self.clock.seconds()
    }

    /// Converts the rest of a time budget into steps, and repeats this every few steps because other load changes the speed.
    /// Some time is reserved for the final comparison.
    fn budget(&mut self) -> Result<(), Error> {
        let Length::Seconds(budget) = self.setup.length else { return Ok(()) };
        let step = self.state.at.step;
        let is_due = self.state.at.total == u64::MAX || step.is_multiple_of(PLAN_EVERY);
        if !is_due || self.clock.steps_within(budget).is_none() {
            return Ok(());
        }
        if self.validation == 0.0 {
            let begun = Instant::now();
            let session = self.run.session(&self.setup.model, self.optimizer.averaged()?)?;
            self.psnr_db = Some(self.setup.held_out.glance(&session)?.shown);
            self.validation = begun.elapsed().as_secs_f64();
        }
        let comparison = (self.setup.held_out.rounds() * self.validation).min(LAST_SHARE * budget);
        let left = budget - self.spent() - comparison;
        self.state.at.total = step + self.clock.steps_within(left).unwrap_or(0);
        Ok(())
    }

    /// Validates if due, and acts on the verdict.
    fn validate(&mut self) -> Result<(), Error> {
        let Standing { step, total, .. } = self.state.at;
        if step != total && !step.is_multiple_of(validate_every(total)) {
            return Ok(());
        }
        match self.look()? {
            Verdict::Collapsed => self.set_back("the held-out score fell apart")?,
            Verdict::Stop(reason) => {
                self.state.at.notes.push(reason);
                self.state.at.total = step;
            }
            Verdict::Best | Verdict::GoOn => {}
        }
        Ok(())
    }

    /// Scores the averaged weights, and stores them as the last good weights and, if they are, as the best ones.
    fn look(&mut self) -> Result<Verdict, Error> {
        let begun = Instant::now();
        let averaged = self.optimizer.averaged()?;
        let session = self.run.session(&self.setup.model, averaged.clone())?;
        let score = match self.setup.held_out.glance(&session) {
            Err(Error::Infer(infer::Error::Range { .. })) => Glance { shown: f32::NAN, judged: f32::NAN },
            other => other?,
        };
        self.validation = begun.elapsed().as_secs_f64();
        let Standing { step, total, .. } = self.state.at;
        let planned = (total / validate_every(total)) as usize;
        let verdict = self.state.at.watch.see(step, total, planned, score.judged);
        if verdict == Verdict::Collapsed {
            return Ok(verdict);
        }
        self.psnr_db = Some(score.shown);
        self.preview = self.setup.held_out.preview(&session)?.map(Arc::new);
        self.state.good = self.optimizer.save()?;
        self.state.at.good_step = step;
        if verdict == Verdict::Best {
            self.state.best = averaged;
        }
        Ok(verdict)
    }

    /// Returns to the last good weights and halves the learning rate.
    fn set_back(&mut self, reason: &str) -> Result<(), Error> {
        let at = &mut self.state.at;
        if at.setbacks == SETBACKS {
            return Err(Error::Diverged { step: at.step, reason: reason.to_owned(), setbacks: SETBACKS });
        }
        at.setbacks += 1;
        at.notes.push(format!(
            "step {}: {reason}; went back to step {} and halved the rate, for the {}. time",
            at.step, at.good_step, at.setbacks
        ));
        at.step = at.good_step;
        self.optimizer.restore(&self.state.good, at.step)?;
        Ok(())
    }

    /// Writes a checkpoint if due, or if the run is to stop.
    fn keep(&mut self, control: Control) -> Result<(), Error> {
        let Some(checkpoint) = &self.run.checkpoint else { return Ok(()) };
        let stops = control == Control::Cancel;
        if !stops && !self.clock.checkpoint_is_due(checkpoint.every) {
            return Ok(());
        }
        let begun = Instant::now();
        self.state.at.spent = self.spent();
        let Setup { fingerprint, base, .. } = self.setup;
        let saved =
            checkpoint.save(self.run.config, fingerprint, base.as_ref(), &self.state, &self.optimizer);
        if saved.is_ok() {
            self.checkpoint_seconds = Some(begun.elapsed().as_secs_f32());
        }
        match saved {
            // The previous checkpoint is intact, and the disk may have space at the next attempt.
            Err(error) if !stops => {
                tracing::warn!(%error, "the checkpoint could not be written; the one before is kept");
                Ok(())
            }
            other => other,
        }
    }

    fn progress(&self) -> Progress {
        let Standing { step, total, .. } = self.state.at;
        let speed = self.clock.speed();
        Progress {
            step,
            total_steps: total,
            loss: self.clock.loss(),
            psnr_db: self.psnr_db,
            steps_per_second: speed,
            crops_per_second: speed * self.setup.loader.batch_size() as f32,
            eta_seconds: total.saturating_sub(step) as f32 / speed,
            checkpoint_seconds: self.checkpoint_seconds,
            preview: self.preview.clone(),
        }
    }

    /// Publishes the best weights.
    fn finish(self) -> Result<Outcome, Error> {
        let Standing { step, watch, notes, .. } = &self.state.at;
        let best_step = watch.best().map_or(*step, |(step, _)| step);
        let mut notes = notes.clone();
        if best_step == 0 && *step > 0 {
            notes.push("no step was better than the base, so the weights are the base's".to_owned());
        }
        let result = publish::Result { weights: self.state.best, steps: *step, best_step, notes: &notes };
        let outcome = self.run.publish(self.setup, result)?;
        if let Some(checkpoint) = &self.run.checkpoint {
            checkpoint.discard();
        }
        Ok(outcome)
    }
}

fn warmup(total: u64) -> u64 {
    (total / 20).clamp(1, 500)
}

fn validate_every(total: u64) -> u64 {
    (total / 20).clamp(50, 1000)
}
