//! Training config: the `config` of `POST /train` and of `limpid train`, with defaults for everything except the name.

mod network;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa::openapi::{RefOr, Schema};

use super::family::{FamilyChoice, FamilyName, LatentChoice};
use super::scheme::{self, Scheme};
use super::{Checkpoint, Error};
use crate::bounds::{Bounds, Schemas, describe_choices};
use crate::codec::LayoutChoice;
use crate::corruption::{self, Corruption, Gaussian, NoiseProfile, Span};
use crate::dataset::{Dataset, Wanted};
use crate::name::{ModelRef, Name};
use crate::nn::DeviceName;
use crate::nn::loss::Loss;
use crate::nn::model::{self, Family};
use crate::registry::Registry;
use crate::sample::{GapRule, Kind, Missing};

/// Number of steps if neither `steps` nor `minutes` is given.
pub(super) const DEFAULT_STEPS: u64 = 2_000;

/// Training config. Every member but `name` has a default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TrainingConfig, example = json!({"name": "my-scans", "base": "photo-gray", "steps": 2000}))]
pub struct Config {
    /// Model that the result becomes a version of.
    pub name: Name,
    /// Weights to start from, as `name` or `name@version`; without it training starts from random weights.
    #[schema(example = "photo-gray")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// Kind of samples, and so the method of training; `auto` chooses by looking at them.
    #[serde(default)]
    #[schema(default = Scheme::default)]
    pub scheme: Scheme,
    /// Noise that is added to clean samples; without it, white Gaussian noise of every strength up to what the family is
    /// meant for: sigma 0 to 55 for images (0 to 128 with the family `compact`), 0 to 1 standard deviations of the sample for
    /// signals and vectors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub corruption: Option<Corruption>,
    /// Optimiser steps; 2000 where neither `steps` nor `minutes` is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<u64>,
    /// Time to train, in minutes, instead of `steps`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minutes: Option<f64>,
    /// Seed of all random numbers; equal seeds give equal weights.
    #[serde(default)]
    #[schema(default = u64::default)]
    pub seed: u64,
    /// Network family, by name or with its sizes; without it, that of `base` or the one that suits the samples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family: Option<FamilyChoice>,
    /// Size of the latent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latent: Option<LatentChoice>,
    /// Condition under which the result becomes the version that serves.
    #[serde(default)]
    #[schema(default = Promote::default)]
    pub promote: Promote,
    /// Samples or crops per step; 16 crops, or 64 small samples, when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<usize>,
    /// Side of the square crops of a pyramid, a multiple of 8 pixels up to 512, 64 when absent; length of the windows of a
    /// signal model, a multiple of 16 steps, 1024 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crop: Option<usize>,
    /// Peak of the learning rate; 0.001 when absent, 0.0003 with a `base`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learning_rate: Option<f32>,
    /// Loss that a step reduces.
    #[serde(default)]
    #[schema(default = Loss::default)]
    pub loss: Loss,
    /// Weight of a second loss, for a latent vector of few numbers that serves as a map: it keeps neighbouring samples
    /// neighbours (parametric t-SNE). Needs batches of a few hundred samples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_neighbors: Option<f64>,
    /// `true` to keep a map of held-out samples beside the version: their latents, small pictures and labels (folders), for
    /// `GET /models/{name}/{version}/map`. A latent of two numbers is also trained to keep neighbours: `keep_neighbors` is 4 and
    /// `batch` 512 when absent.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[schema(default = bool::default)]
    pub map: bool,
    /// Weight of errors that make an image lighter than it is, relative to errors that make it darker; 1 when absent. A
    /// stroke of ink is narrow, and losing it is worse than leaving a shadow. Uncertain pixels come out darker than their mean
    /// (W. K. Newey and J. L. Powell, "Asymmetric least squares estimation and testing", Econometrica, 1987).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ink_weight: Option<f64>,
    /// Device that computes the steps; validation runs on the CPU, as serving does.
    #[serde(default)]
    #[schema(default = DeviceName::default)]
    pub device: DeviceName,
    /// Order of the axes of arrays, such as `LC` or `TYX`; `auto` finds it by the extents.
    #[serde(default, skip_serializing_if = "LayoutChoice::is_auto")]
    #[schema(default = LayoutChoice::default)]
    pub layout: LayoutChoice,
    /// Handling of missing numbers of the samples: `keep` and `fill` leave them out of loss, statistics and scores, `refuse`
    /// skips files that have some.
    #[serde(default)]
    #[schema(default = Missing::default)]
    pub missing: Missing,
    /// Number that stands for a missing one, such as -9999.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = json!(-9999))]
    pub missing_value: Option<f32>,
    /// Address that is sent the job when it is over (`POST /train` only); its host is one of the setting
    /// `jobs.webhook_hosts`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "https://ci.example.org/hooks/limpid")]
    pub webhook: Option<String>,
}

/// Condition under which the result becomes the version that serves where a request names none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ValueEnum, ToSchema)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake")]
pub enum Promote {
    /// It beats the noisy input, the version that serves now and the base on the held-out samples, the first version of a
    /// name too.
    #[default]
    IfBetter,
    /// Only where it is the first version of its name.
    Never,
    /// Always.
    Always,
}

/// Length of a training.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Length {
    /// Number of steps.
    Steps(u64),
    /// Number of seconds; converted into steps once the speed is known.
    Seconds(f64),
}

/// Numeric member of a config by name.
type Member = fn(&Config) -> Option<f64>;

/// Interval of each numeric member; the check, the contract and the documentation read it.
const RANGES: [(&str, Member, Bounds); 8] = [
    ("steps", |c| c.steps.map(|n| n as f64), Bounds::closed(1.0, 1e7)),
    // A week.
    ("minutes", |c| c.minutes, Bounds::above(0.0, 10_080.0)),
    ("batch", |c| c.batch.map(|n| n as f64), Bounds::closed(1.0, 1024.0)),
    ("crop", |c| c.crop.map(|n| n as f64), Bounds::closed(16.0, 65_536.0).multiples_of(8)),
    // By its shortest text, so that an error shows the number that was written.
    ("learning_rate", |c| c.learning_rate?.to_string().parse().ok(), Bounds::above(0.0, 1.0)),
    ("keep_neighbors", |c| c.keep_neighbors, Bounds::above(0.0, 1000.0)),
    ("ink_weight", |c| c.ink_weight, Bounds::closed(1.0, 100.0)),
    ("missing_value", |c| c.missing_value.map(f64::from), Bounds::ANY),
];

/// Completes the schemas of training among `schemas`: the interval of each number, the meaning of each choice, the
/// corruptions.
pub fn describe(schemas: &mut Schemas) {
    if let Some(RefOr::T(Schema::Object(config))) = schemas.get_mut(Config::name().as_ref()) {
        for (field, _, bounds) in RANGES {
            if let Some(RefOr::T(Schema::Object(member))) = config.properties.get_mut(field) {
                bounds.describe(member);
            }
        }
    }
    describe_choices::<Scheme>(schemas);
    describe_choices::<FamilyName>(schemas);
    describe_choices::<Promote>(schemas);
    describe_choices::<Loss>(schemas);
    describe_choices::<DeviceName>(schemas);
    describe_choices::<Missing>(schemas);
    corruption::describe(schemas);
}

impl Config {
    /// Creates a config with the defaults.
    pub fn new(name: Name) -> Self {
        Self {
            name,
            base: None,
            scheme: Scheme::default(),
            corruption: None,
            steps: None,
            minutes: None,
            seed: 0,
            family: None,
            latent: None,
            promote: Promote::default(),
            batch: None,
            crop: None,
            learning_rate: None,
            loss: Loss::default(),
            keep_neighbors: None,
            map: false,
            ink_weight: None,
            device: DeviceName::default(),
            layout: LayoutChoice::default(),
            missing: Missing::default(),
            missing_value: None,
            webhook: None,
        }
    }

    /// Returns the kind and channels to read the samples as: those of the base in `registry`, or of the family.
    ///
    /// # Errors
    /// The base cannot be read.
    pub fn wanted(&self, registry: &Registry) -> Result<Wanted, Error> {
        if let Some(base) = &self.base {
            let base: ModelRef = base.parse().map_err(|e| invalid("base", format!("{e}")))?;
            return Ok(self.reading(wanted_by(&registry.card(&base)?.0.model)));
        }
        let (kind, channels) = match &self.family {
            None => return Ok(self.reading(Wanted::default())),
            Some(FamilyChoice::Name(FamilyName::Pyramid | FamilyName::Compact)) => (Kind::Image, None),
            Some(FamilyChoice::Name(FamilyName::Signal)) => (Kind::Signal, None),
            Some(FamilyChoice::Name(FamilyName::Dense)) => (Kind::Vector, None),
            Some(FamilyChoice::Sizes(family)) => match family {
                Family::Pyramid(sizes) => (Kind::Image, Some(sizes.channels)),
                Family::Compact(sizes) => (Kind::Image, Some(sizes.channels)),
                Family::Signal(sizes) => (Kind::Signal, Some(sizes.channels)),
                Family::Dense(_) => (Kind::Vector, None),
            },
        };
        Ok(self.reading(Wanted { kind: Some(kind), channels, ..Wanted::default() }))
    }

    /// Adds what the config says of the form of the samples.
    fn reading(&self, wanted: Wanted) -> Wanted {
        let gaps = GapRule { missing: self.missing, sentinel: self.missing_value };
        Wanted { gaps, order: self.layout.0, ..wanted }
    }

    /// [`Config::wanted`] of a run that may resume from `checkpoint`: its base may no longer exist.
    ///
    /// # Errors
    /// As [`Config::wanted`]; the checkpoint cannot be read.
    pub fn wanted_to_resume(&self, registry: &Registry, checkpoint: &Checkpoint) -> Result<Wanted, Error> {
        match checkpoint.base()? {
            Some(base) => Ok(self.reading(wanted_by(&base.model))),
            None => self.wanted(registry),
        }
    }

    /// Runs the checks that do not need the samples.
    ///
    /// # Errors
    /// The member, its range and the value given.
    pub fn validate(&self) -> Result<(), Error> {
        for (field, of, bounds) in RANGES {
            if let Some(seen) = of(self).filter(|seen| !bounds.hold(*seen)) {
                return Err(invalid(field, format!("expected {bounds}, got {seen}")));
            }
        }
        if self.latent.as_ref().is_some_and(|latent| latent.numbers == Some(0)) {
            return Err(invalid("latent", "expected 1 or more numbers, got 0".into()));
        }
        if self.steps.is_some() && self.minutes.is_some() {
            return Err(invalid("minutes", "expected either steps or minutes, got both".into()));
        }
        Ok(())
    }

    /// Returns the length of the training, if given.
    pub fn length(&self) -> Option<Length> {
        match (self.steps, self.minutes) {
            (Some(steps), _) => Some(Length::Steps(steps)),
            (None, Some(minutes)) => Some(Length::Seconds(minutes * 60.0)),
            (None, None) => None,
        }
    }

    /// Returns the scheme for these samples, and the reason.
    ///
    /// # Errors
    /// The stated scheme does not fit the samples.
    pub fn choose_scheme(&self, dataset: &Dataset) -> Result<(Scheme, String), Error> {
        let (scheme, reason) = scheme::choose(self.scheme, dataset)?;
        if scheme == Scheme::Noisy && self.is_profiled() {
            let how =
                "noise of the profile is added to one copy and taken off another (Recorrupted2Recorrupted)";
            return Ok((scheme, format!("{}; {how}", reason.split(';').next().unwrap_or_default())));
        }
        Ok((scheme, reason))
    }

    /// Returns rows and columns of the training crops; `None` if the model takes whole samples.
    ///
    /// # Errors
    /// The stated crop does not fit the family.
    pub fn choose_crop(&self, model: &model::Config) -> Result<Option<(usize, usize)>, Error> {
        let refused = |range| Err(invalid("crop", format!("expected {range}, got {}", show(self.crop))));
        match (&model.family, self.crop) {
            (Family::Pyramid(_), Some(side)) if side > 512 => refused("a multiple of 8 in 16..=512"),
            (Family::Signal(_), Some(length)) if length % 16 != 0 => {
                refused("a multiple of 16 in 16..=65536")
            }
            (Family::Pyramid(_), side) => Ok(Some(side.map_or((64, 64), |side| (side, side)))),
            (Family::Signal(_), length) => Ok(Some((1, length.unwrap_or(1024)))),
            (Family::Compact(_) | Family::Dense(_), _) => Ok(None),
        }
    }

    /// Returns the corruption to add to clean samples for this model.
    ///
    /// # Errors
    /// The stated corruption does not fit the samples.
    pub fn choose_corruption(&self, model: &model::Config, kind: Kind) -> Result<Corruption, Error> {
        let corruption = match (&self.corruption, &model.family) {
            (Some(corruption), _) => corruption.clone(),
            // Small images are seen whole, so much stronger noise can be removed from them.
            (None, Family::Compact(_)) => {
                Corruption::Gaussian(Gaussian { sigma: Span::new(0.0, 128.0), ..Gaussian::default() })
            }
            (None, _) => Corruption::default_for(kind),
        };
        corruption.check(kind).map_err(|e| invalid("corruption", e.to_string()))?;
        Ok(corruption)
    }
}

impl Config {
    /// Returns `true` if noise of a profile is to be added.
    pub(super) fn is_profiled(&self) -> bool {
        matches!(self.corruption, Some(Corruption::Profile(_)))
    }

    /// Returns the noise profile with which noisy samples are recorrupted.
    ///
    /// # Errors
    /// There is none, or it does not fit the samples.
    pub(super) fn noise_profile(&self, dataset: &Dataset) -> Result<NoiseProfile, Error> {
        let Some(Corruption::Profile(profile)) = &self.corruption else {
            return Err(invalid("corruption", "expected a noise profile".into()));
        };
        let kind = dataset.kind().unwrap_or(Kind::Image);
        let checked = Corruption::Profile(profile.clone()).check(kind);
        checked.map_err(|e| invalid("corruption", e.to_string()))?;
        profile.noise.clone().ok_or_else(|| invalid("corruption", "expected a noise profile".into()))
    }
}

/// Returns the kind and channels to read samples as for this model.
fn wanted_by(model: &model::Config) -> Wanted {
    let (kind, channels, _) = model.input();
    Wanted { kind: Some(kind), channels: Some(channels), ..Wanted::default() }
}

pub(super) fn invalid(field: &str, reason: String) -> Error {
    Error::Invalid { field: field.to_owned(), reason }
}

fn show<T: std::fmt::Display>(value: Option<T>) -> String {
    value.map_or_else(|| "none".into(), |v| v.to_string())
}

#[cfg(test)]
mod tests;
