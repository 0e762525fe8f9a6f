//! Setup of a run: model, data and settings, fixed before the first step.

use std::collections::HashMap;

use sha2::{Digest as _, Sha256};

use super::checkpoint::{Base, Checkpoint};
use super::config::{self, Config, Length};
use super::noise::Noise;
use super::scheme::Scheme;
use super::validate::{HeldOut, Scoring};
use super::{Error, Run};
use crate::dataset::{Dataset, Item, Learn, Loader, Plan, Split};
use crate::hex::hex;
use crate::map::Map;
use crate::name::ModelRef;
use crate::nn::loss::Loss;
use crate::nn::model::{self, Normalize};
use crate::nn::{Device, Tensor, Weights};
use crate::sample::{Kind, Sample, Shape};

/// Share of the samples that is held out.
const HELD_OUT: f32 = 0.05;

/// Default number of steps to adapt a base to one noisy sample: with many, the model memorises its noise.
const STEPS_FOR_ONE: u64 = 300;

/// Weight of the t-SNE loss of a model that is trained for a map and has a latent of two numbers.
const KEEP_NEIGHBORS: f64 = 4.0;

/// Default batch of such a model: each sample needs some near ones in it.
const MAP_BATCH: usize = 512;

/// Model, data and settings of a run.
pub(super) struct Setup<'a> {
    pub(super) model: model::Config,
    /// Base model; none if the run starts from random weights.
    pub(super) base: Option<Base>,
    /// Number of training samples.
    pub(super) samples: usize,
    pub(super) held_out: HeldOut,
    /// Held-out samples of the map; empty if none is kept.
    pub(super) held_out_items: Vec<&'a Item>,
    pub(super) loader: Loader<'a>,
    pub(super) scheme: (Scheme, String),
    pub(super) length: Length,
    /// Peak learning rate.
    pub(super) rate: f32,
    pub(super) loss: Loss,
    /// Weight of the t-SNE loss; none if latents need not form a map.
    pub(super) keep_neighbors: Option<f64>,
    /// Factor on squared errors that make an image lighter; none for 1.
    pub(super) ink_weight: Option<f64>,
    /// Scale of the errors, in the samples' units: 1 for images, else the standard deviation of the samples, so that the unit
    /// of a signal does not matter. One for all numbers, or one per channel or column; 0 if constant.
    pub(super) units: Vec<f32>,
    pub(super) seed: u64,
    pub(super) device: Device,
    /// Digest that identifies the samples.
    pub(super) fingerprint: String,
    /// Notes on the data for the user.
    pub(super) notes: Vec<String>,
}

impl<'a> Setup<'a> {
    /// Returns the loss of an error of one unit, on the samples' scale; 1 if channels have units of their own.
    pub(super) fn loss_unit(&self) -> f32 {
        if let [unit] = self.units.as_slice() { unit * unit } else { 1.0 }
    }

    /// Returns the initial weights of the base; empty if there is none.
    pub(super) fn initial(&self) -> HashMap<String, Tensor> {
        self.base.as_ref().map(|base| base.weights.clone()).unwrap_or_default()
    }

    /// Prepares a run from config, samples and base. `dataset` is that of the run without outliers. `parts` are those of a
    /// single sample, see [`super::window::part`].
    ///
    /// # Errors
    /// Config, samples and base do not fit; the error names the member or the sample.
    pub(super) fn new(
        run: &'a Run<'_>,
        dataset: &'a Dataset,
        parts: Option<&'a [Item; 2]>,
    ) -> Result<Self, Error> {
        let config = run.config;
        config.validate()?;
        let base = config.base.as_deref().map(|base| read_base(run, base)).transpose()?;

        if dataset.items.is_empty() {
            let first =
                dataset.skipped.first().map(|s| format!("; {}: {}", s.name, s.reason)).unwrap_or_default();
            return Err(config::invalid("samples", format!("there is none that can be used{first}")));
        }
        let is_constant = |sample: &Sample| sample.data().iter().all(|v| *v == sample.data()[0]);
        if dataset.items.iter().all(|item| is_constant(&item.clean)) {
            let reason = format!(
                "all {} are constant (the first is {} everywhere): there is nothing to learn from them",
                dataset.items.len(),
                dataset.items[0].clean.data()[0]
            );
            return Err(config::invalid("samples", reason));
        }
        let (scheme, reason) = config.choose_scheme(dataset)?;
        let clean: Vec<&Sample> = dataset.items.iter().map(|item| &item.clean).collect();
        let model = match &base {
            Some(base) => base.model.clone(),
            None => config.choose_model(&clean)?,
        };
        check_samples(&model, dataset)?;
        let is_plane = model.scales().is_none() && model.latent_channels() == 2;
        let keep_neighbors = config.keep_neighbors.or((config.map && is_plane).then_some(KEEP_NEIGHBORS));
        if config.keep_neighbors.is_some() && model.scales().is_some() {
            let reason = "only a latent that is a vector can be a map: families compact and dense";
            return Err(config::invalid("keep_neighbors", reason.into()));
        }

        let has_ink = dataset.kind() == Some(Kind::Image) && matches!(scheme, Scheme::Clean | Scheme::Pairs);
        if config.ink_weight.is_some() && !has_ink {
            let reason = "only a clean image tells what is lighter than it: schemes clean and pairs";
            return Err(config::invalid("ink_weight", reason.into()));
        }

        let learn = learn(config, scheme, &model, dataset)?;
        let crop = config.choose_crop(&model)?.map(|(rows, columns)| match learn {
            // Doubled, so that each half has the usual size.
            Learn::Neighbors => (if rows == 1 { 1 } else { 2 * rows }, 2 * columns),
            _ => (rows, columns),
        });
        let split = match (parts, scheme) {
            (Some([first, last]), _) => {
                let note = format!(
                    "there is only one sample, {}: its last quarter is held out",
                    dataset.items[0].name
                );
                Split { train: vec![first], held_out: vec![last], note: Some(note) }
            }
            (None, Scheme::Repeats) => dataset.split_by_scene(HELD_OUT),
            (None, _) => dataset.split(HELD_OUT),
        };
        // On the samples as they were sent: prepared ones have one rate and no outliers.
        let mut notes = run.dataset.notes();
        notes.extend(split.note.clone());
        let scores = Scoring { learn: &learn, normalize: &model.normalize, ink_weight: config.ink_weight };
        let mut held_out = HeldOut::new(&split.held_out, &scores, config.seed);
        if held_out.len() == 0 {
            let reason =
                "the held-out samples are too small, or are no repeats, and nothing can be judged by";
            return Err(config::invalid("samples", reason.into()));
        }
        let held_out_items = if config.map { split.held_out } else { Vec::new() };
        if config.map && held_out_items.len() < Map::FEWEST {
            let reason = format!(
                "a map shows {} held-out samples or more, there are {} (one in twenty is held out): send more, or leave it out",
                Map::FEWEST,
                held_out_items.len()
            );
            return Err(config::invalid("map", reason));
        }
        if !matches!(scheme, Scheme::Noisy) {
            held_out.fit_pca(&split.train, model.latent_channels());
        }
        let alone = scheme == Scheme::Noisy && dataset.items.len() == 1;
        // Good initial weights need a lower rate, and the lowest if there is only one sample.
        let peak = if base.is_none() { 1e-3 } else { 3e-4 };
        let rate = config.learning_rate.unwrap_or(if alone { peak / 3.0 } else { peak });
        let is_mapped = config.keep_neighbors.is_none() && keep_neighbors.is_some();
        let length = match config.length() {
            Some(length) => length,
            None if alone => Length::Steps(STEPS_FOR_ONE),
            None => Length::Steps(config::DEFAULT_STEPS),
        };
        let plan = Plan {
            crop,
            batch: config.batch.unwrap_or(match crop {
                Some(_) => 16,
                None if is_mapped => MAP_BATCH.min(split.train.len()),
                None => 64,
            }),
            learn,
            normalize: model.normalize.clone(),
            // Only models of crops: small whole images of one kind (digits, parts) have an upright orientation.
            augment: crop.is_some(),
            seed: config.seed,
        };
        Ok(Self {
            units: units(&clean, &model.normalize),
            samples: split.train.len(),
            loader: Loader::new(split.train, plan)?,
            fingerprint: fingerprint(&dataset.items),
            device: config.device.open().map_err(|e| config::invalid("device", e))?,
            scheme: (scheme, reason),
            loss: config.loss,
            keep_neighbors,
            ink_weight: config.ink_weight,
            seed: config.seed,
            model,
            base,
            held_out,
            held_out_items,
            length,
            rate,
            notes,
        })
    }
}

/// Returns the base, or its copy in the checkpoint to resume from: its version may no longer exist.
fn read_base(run: &Run<'_>, base: &str) -> Result<Base, Error> {
    if let Some(kept) = run.checkpoint.as_ref().map(Checkpoint::base).transpose()?.flatten() {
        return Ok(kept);
    }
    let reference: ModelRef = base.parse().map_err(|e| config::invalid("base", format!("{e}")))?;
    let artifact = run.registry.read(&reference)?;
    let weights = Weights::read(&artifact.weights, &Device::Cpu)?;
    Ok(Base { id: artifact.id.to_string(), model: artifact.manifest.model, weights })
}

/// Returns inputs and targets of the training for a scheme.
fn learn(config: &Config, scheme: Scheme, model: &model::Config, dataset: &Dataset) -> Result<Learn, Error> {
    Ok(match scheme {
        Scheme::Pairs => Learn::Pairs,
        Scheme::Repeats => Learn::Repeats,
        Scheme::Noisy => match Noise::of(&dataset.items) {
            _ if config.is_profiled() => Learn::Profiled(Box::new(config.noise_profile(dataset)?)),
            Noise::Even => Learn::Recorrupted,
            // A model of one fixed shape cannot take half-sized samples.
            Noise::White if model.scales().is_some() => Learn::Neighbors,
            Noise::White => Learn::Hidden(0, 0),
            Noise::Correlated(down, right) => Learn::Hidden(down, right),
        },
        Scheme::Clean | Scheme::Auto => {
            let kind = dataset.kind().unwrap_or(Kind::Image);
            Learn::Clean(config.choose_corruption(model, kind)?)
        }
    })
}

fn check_samples(model: &model::Config, dataset: &Dataset) -> Result<(), Error> {
    let (kind, channels, fixed) = model.input();
    let fits = |shape: Shape| match fixed {
        Some(fixed) => shape == fixed,
        None => shape.kind() == kind && shape.channels() == channels,
    };
    match dataset.items.iter().find(|item| !fits(item.clean.shape())) {
        None => Ok(()),
        Some(Item { name, clean, .. }) => {
            let takes = fixed.map_or(format!("{kind}s with {channels} channel(s)"), |f| f.to_string());
            let reason = format!("the model takes {takes}, {name} is {}", clean.shape());
            Err(config::invalid("samples", reason))
        }
    }
}

/// Returns the typical standard deviation of the samples, or of each channel or column if these have units of their own; 1
/// for images, which have a fixed scale.
fn units(samples: &[&Sample], normalize: &Normalize) -> Vec<f32> {
    let kind = samples[0].shape().kind();
    let deviations = |sample: &Sample| match normalize {
        Normalize::Channel => sample.channel_stats(),
        _ => vec![sample.stats()],
    };
    match normalize {
        _ if kind == Kind::Image => return vec![1.0],
        Normalize::Columns(columns) => return columns.iter().map(|stats| stats.std).collect(),
        _ => {}
    }
    let mut variances = vec![0.0; deviations(samples[0]).len()];
    for sample in samples {
        let squares = deviations(sample).into_iter().map(|stats| f64::from(stats.std).powi(2));
        variances.iter_mut().zip(squares).for_each(|(sum, square)| *sum += square);
    }
    let unit = |variance: &f64| (variance / samples.len() as f64).sqrt() as f32;
    let units: Vec<f32> = variances.iter().map(unit).collect();
    match units.as_slice() {
        [only] if !only.is_normal() => vec![1.0],
        _ => units,
    }
}

/// Returns a digest of names, shapes and some numbers of every sample.
fn fingerprint(items: &[Item]) -> String {
    let mut hasher = Sha256::new();
    for item in items {
        for sample in [Some(&item.clean), item.noisy.as_ref()].into_iter().flatten() {
            hasher.update(format!("{} {}\n", item.name, sample.shape()));
            let data = sample.data();
            data.iter().step_by((data.len() / 64).max(1)).for_each(|v| hasher.update(v.to_le_bytes()));
        }
    }
    hex(&hasher.finalize()[..16])
}
