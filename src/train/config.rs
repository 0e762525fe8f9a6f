//! What to train: the `config` of `POST /train` and of `limpid train`, with a default for everything
//! but the name.

use serde::{Deserialize, Serialize};

use super::scheme::{self, Scheme};
use super::{Checkpoint, Error};
use crate::corruption::{Corruption, Gaussian, Span};
use crate::dataset::{Dataset, Wanted};
use crate::name::{ModelRef, Name};
use crate::nn::DeviceName;
use crate::nn::loss::Loss;
use crate::nn::model::{self, CompactConfig, DenseConfig, Family, Normalize, PyramidConfig, SignalConfig};
use crate::registry::Registry;
use crate::sample::{Kind, Moments, Sample, Shape, Stats};

/// Steps where neither `steps` nor `minutes` is given.
pub(super) const DEFAULT_STEPS: u64 = 2_000;

/// A training config.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The model the result becomes a version of.
    pub name: Name,
    /// Weights to start from, as `name` or `name@version`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// What the samples are; `auto` looks.
    #[serde(default)]
    pub scheme: Scheme,
    /// How clean samples are made noisy; without it, Gaussian noise of every strength up to what the
    /// family is meant for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub corruption: Option<Corruption>,
    /// Optimiser steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<u64>,
    /// Wall-clock budget, instead of steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minutes: Option<f64>,
    /// Where all chance comes from.
    #[serde(default)]
    pub seed: u64,
    /// The family, by name or with its sizes; without it, the base's or the one that suits the samples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family: Option<FamilyChoice>,
    /// The size of the latent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latent: Option<LatentChoice>,
    /// Whether the result serves when no version is named.
    #[serde(default)]
    pub promote: Promote,
    /// Samples or crops a step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<usize>,
    /// Side of the square crops a pyramid learns from, a multiple of 8 pixels; length of the windows a signal
    /// model learns from, a multiple of 16 steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crop: Option<usize>,
    /// Peak of the learning rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learning_rate: Option<f32>,
    /// What a step drives down: `mse`, or `psnr`, under which weak noise counts as much as strong.
    #[serde(default)]
    pub loss: Loss,
    /// Weight of a second loss, for a latent vector of few numbers that is to be a map: samples that are neighbours
    /// are to stay so (parametric t-SNE). Takes batches of a few hundred.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_neighbors: Option<f64>,
    /// How many times an error counts that makes an image lighter than it is, as against darker: a stroke of ink is
    /// narrow, and losing it is worse than leaving a shadow. What is not sure then comes out darker than its mean
    /// (W. K. Newey and J. L. Powell, "Asymmetric least squares estimation and testing", Econometrica, 1987).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ink_weight: Option<f64>,
    /// Where steps are computed; validation runs on the CPU, as serving does.
    #[serde(default)]
    pub device: DeviceName,
}

/// Whether the result serves when no version is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Promote {
    /// If it beats the noisy input, the version that serves now and the base on the held-out samples. The first
    /// version of a name does not serve by default either unless it does.
    #[default]
    IfBetter,
    /// Not unless it is the only one of its name.
    Never,
    /// In any case.
    Always,
}

/// A family by name, or with all its sizes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum FamilyChoice {
    /// With the default sizes.
    Name(FamilyName),
    /// With stated sizes.
    Sizes(Family),
}

/// The names of the families.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FamilyName {
    /// Images of any size.
    Pyramid,
    /// Images of one small size.
    Compact,
    /// Signals of any length.
    Signal,
    /// Vectors.
    Dense,
}

/// The size of a latent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LatentChoice {
    /// Numbers of a latent vector (compact, dense).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub numbers: Option<usize>,
    /// Channels of the latent maps, finest first: at 1/2, 1/4 and 1/8 (pyramid), or at 1/4, 1/8 and 1/16
    /// (signal).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channels: Option<[usize; 3]>,
}

/// How long to train.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Length {
    /// So many steps.
    Steps(u64),
    /// So many seconds; turned into steps once the speed is known.
    Seconds(f64),
}

impl Config {
    /// A config with nothing but a name.
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
            ink_weight: None,
            device: DeviceName::default(),
        }
    }

    /// What the samples are to be read as: what its base in `registry` takes, or what its family is for.
    ///
    /// # Errors
    /// The base cannot be had.
    pub fn wanted(&self, registry: &Registry) -> Result<Wanted, Error> {
        if let Some(base) = &self.base {
            let base: ModelRef = base.parse().map_err(|e| invalid("base", format!("{e}")))?;
            return Ok(wanted_by(&registry.card(&base)?.0.model));
        }
        let (kind, channels) = match &self.family {
            None => return Ok(Wanted::default()),
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
        Ok(Wanted { kind: Some(kind), channels })
    }

    /// [`Config::wanted`] of a run that resumes from `checkpoint`, where it is there: its base may be gone by now.
    ///
    /// # Errors
    /// As [`Config::wanted`]; the checkpoint cannot be read.
    pub fn wanted_to_resume(&self, registry: &Registry, checkpoint: &Checkpoint) -> Result<Wanted, Error> {
        match checkpoint.base()? {
            Some(base) => Ok(wanted_by(&base.model)),
            None => self.wanted(registry),
        }
    }

    /// Checks what can be checked without samples.
    ///
    /// # Errors
    /// The member, its range and the value seen.
    pub fn validate(&self) -> Result<(), Error> {
        let range = |field: &str, holds: bool, range: &str, seen: String| {
            if holds { Ok(()) } else { Err(invalid(field, format!("expected {range}, got {seen}"))) }
        };
        range(
            "steps",
            self.steps.is_none_or(|n| (1..=10_000_000).contains(&n)),
            "1..=10000000",
            show(self.steps),
        )?;
        let minutes_fit = self.minutes.is_none_or(|m| m > 0.0 && m <= 10_080.0);
        range("minutes", minutes_fit, "more than 0 and at most 10080 (a week)", show(self.minutes))?;
        let one = self.steps.is_none() || self.minutes.is_none();
        range("minutes", one, "either steps or minutes", "both".into())?;
        range("batch", self.batch.is_none_or(|b| (1..=1024).contains(&b)), "1..=1024", show(self.batch))?;
        let crop_fits = self.crop.is_none_or(|c| (16..=1 << 16).contains(&c) && c % 8 == 0);
        range("crop", crop_fits, "a multiple of 8 from 16 up", show(self.crop))?;
        let rate_fits = self.learning_rate.is_none_or(|r| r > 0.0 && r <= 1.0);
        range("learning_rate", rate_fits, "more than 0 and at most 1", show(self.learning_rate))?;
        let weight_fits = self.keep_neighbors.is_none_or(|w| w > 0.0 && w <= 1000.0);
        range("keep_neighbors", weight_fits, "more than 0 and at most 1000", show(self.keep_neighbors))?;
        let weight_fits = self.ink_weight.is_none_or(|w| (1.0..=100.0).contains(&w));
        range("ink_weight", weight_fits, "1 to 100", show(self.ink_weight))?;
        Ok(())
    }

    /// How long to train, where it is said.
    pub fn length(&self) -> Option<Length> {
        match (self.steps, self.minutes) {
            (Some(steps), _) => Some(Length::Steps(steps)),
            (None, Some(minutes)) => Some(Length::Seconds(minutes * 60.0)),
            (None, None) => None,
        }
    }

    /// The scheme for these samples, and why.
    ///
    /// # Errors
    /// The stated scheme does not fit the samples.
    pub fn choose_scheme(&self, dataset: &Dataset) -> Result<(Scheme, String), Error> {
        scheme::choose(self.scheme, dataset)
    }

    /// The model for these samples where there is no base.
    ///
    /// # Errors
    /// The family or the latent does not fit the samples.
    pub fn choose_model(&self, items: &[&Sample]) -> Result<model::Config, Error> {
        let shape = items[0].shape();
        let same = items.iter().all(|s| s.shape() == shape);
        let name = match &self.family {
            Some(FamilyChoice::Sizes(family)) => return self.finish(family.clone(), items),
            Some(FamilyChoice::Name(name)) => *name,
            None => match shape.kind() {
                Kind::Image => FamilyName::Pyramid,
                Kind::Signal => FamilyName::Signal,
                Kind::Vector => FamilyName::Dense,
            },
        };
        let numbers = self.latent.as_ref().and_then(|l| l.numbers);
        let family = match (name, shape) {
            (FamilyName::Pyramid, Shape::Image { channels, .. }) => {
                let sizes = PyramidConfig::for_channels(channels);
                let latent = self.latent.as_ref().and_then(|l| l.channels).unwrap_or(sizes.latent);
                Family::Pyramid(PyramidConfig { latent, ..sizes })
            }
            (FamilyName::Signal, Shape::Signal { channels, .. }) => {
                let sizes = SignalConfig::for_channels(channels);
                let latent = self.latent.as_ref().and_then(|l| l.channels).unwrap_or(sizes.latent);
                Family::Signal(SignalConfig { latent, ..sizes })
            }
            (FamilyName::Compact, Shape::Image { channels, height, width }) if same => {
                let latent = numbers.unwrap_or((shape.numbers() / 8).clamp(1, 32));
                Family::Compact(CompactConfig::new(channels, height, width, latent))
            }
            (FamilyName::Dense, Shape::Vector { features }) if same => {
                Family::Dense(DenseConfig::new(features, numbers.unwrap_or((features / 4).clamp(1, 64))))
            }
            (FamilyName::Compact | FamilyName::Dense, _) if !same => {
                let other = items.iter().find(|s| s.shape() != shape).map_or(shape, |s| s.shape());
                let reason = format!("this family takes samples of one shape, got {shape} and {other}");
                return Err(invalid("family", reason));
            }
            (name, _) => return Err(invalid("family", format!("{name:?} does not take a {}", shape.kind()))),
        };
        self.finish(family, items)
    }

    fn finish(&self, family: Family, items: &[&Sample]) -> Result<model::Config, Error> {
        let normalize = match &family {
            Family::Signal(sizes) if sizes.channels > 1 => Normalize::Channel,
            Family::Pyramid(_) | Family::Signal(_) => Normalize::Sample,
            // Small samples of one kind share one scale; the latent then holds the network's numbers alone.
            Family::Compact(_) => Normalize::Fixed(pooled(items)),
            Family::Dense(_) => {
                let columns = columns(items);
                if have_units(&columns) {
                    Normalize::Columns(columns)
                } else {
                    Normalize::Fixed(pooled(items))
                }
            }
        };
        let rate = items.first().and_then(|sample| sample.rate());
        let config = model::Config { family, normalize, rate };
        config.validate().map_err(|e| invalid("family", e))?;
        Ok(config)
    }

    /// Rows and columns of the crops this model learns from; none where it takes whole samples.
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

    /// How clean samples are made noisy for this model.
    ///
    /// # Errors
    /// The stated corruption does not fit the samples.
    pub fn choose_corruption(&self, model: &model::Config, kind: Kind) -> Result<Corruption, Error> {
        let corruption = match (&self.corruption, &model.family) {
            (Some(corruption), _) => corruption.clone(),
            // Small images are seen whole, so far more noise can be taken out of them.
            (None, Family::Compact(_)) => {
                Corruption::Gaussian(Gaussian { sigma: Span::new(0.0, 128.0), ..Gaussian::default() })
            }
            (None, _) => Corruption::default_for(kind),
        };
        corruption.check(kind).map_err(|e| invalid("corruption", e.to_string()))?;
        Ok(corruption)
    }
}

/// What samples for this model are read as.
fn wanted_by(model: &model::Config) -> Wanted {
    let (kind, channels, _) = model.input();
    Wanted { kind: Some(kind), channels: Some(channels) }
}

/// The statistics of all samples together.
fn pooled(items: &[&Sample]) -> Stats {
    let all: Vec<f32> = items.iter().flat_map(|s| s.data().iter().copied()).collect();
    Stats::of(&all)
}

/// The statistics of each column of vectors of one length.
fn columns(items: &[&Sample]) -> Vec<Stats> {
    let column = |d: usize| items.iter().filter_map(|s| s.data().get(d).copied()).collect::<Vec<f32>>();
    (0..items[0].shape().numbers()).map(|d| Moments::of(&column(d)).of_one()).collect()
}

/// Whether columns have units of their own: their means lie several deviations apart, or one varies ten times as much as
/// another. The numbers of a spectrum or of a small image have one unit together.
fn have_units(columns: &[Stats]) -> bool {
    let mut deviations: Vec<f32> = columns.iter().map(|stats| stats.std).filter(|std| *std > 0.0).collect();
    deviations.sort_by(f32::total_cmp);
    let (Some(least), Some(most)) =
        (deviations.get(deviations.len() / 10), deviations.iter().nth_back(deviations.len() / 10))
    else {
        return false;
    };
    let means: Vec<f32> = columns.iter().map(|stats| stats.mean).collect();
    let within = (deviations.iter().map(|std| std * std).sum::<f32>() / deviations.len() as f32).sqrt();
    Stats::of(&means).std > 3.0 * within || *most > 10.0 * least
}

pub(super) fn invalid(field: &str, reason: String) -> Error {
    Error::Invalid { field: field.to_owned(), reason }
}

fn show<T: std::fmt::Display>(value: Option<T>) -> String {
    value.map_or_else(|| "none".into(), |v| v.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted_for(change: impl Fn(&mut Config)) -> Result<Wanted, Error> {
        let mut config = Config::new("a".parse().unwrap());
        change(&mut config);
        config.wanted(&Registry::open(None, None).unwrap())
    }

    #[test]
    fn the_family_says_what_files_are_read_as() {
        let of = |family: &FamilyChoice| wanted_for(|c| c.family = Some(family.clone())).unwrap();
        let wanted = |kind, channels| Wanted { kind: Some(kind), channels };
        assert_eq!(of(&FamilyChoice::Name(FamilyName::Dense)), wanted(Kind::Vector, None));
        assert_eq!(of(&FamilyChoice::Name(FamilyName::Compact)), wanted(Kind::Image, None));
        let sizes = DenseConfig { features: 4, hidden: vec![], latent: 2 };
        assert_eq!(of(&FamilyChoice::Sizes(Family::Dense(sizes))), wanted(Kind::Vector, None));
        let (widths, blocks) = ([8, 8], [1, 1]);
        let sizes = CompactConfig { channels: 3, height: 8, width: 8, latent: 2, widths, blocks };
        assert_eq!(of(&FamilyChoice::Sizes(Family::Compact(sizes))), wanted(Kind::Image, Some(3)));
        assert_eq!(wanted_for(|_| ()).unwrap(), Wanted::default());
    }

    #[test]
    fn a_base_that_is_not_there_is_an_error() {
        assert!(matches!(wanted_for(|c| c.base = Some("no-such".into())), Err(Error::Registry(_))));
    }
}
