//! Network: the model that a config gives samples if there is no base, its sizes and its normalisation.

use super::{Config, invalid};
use crate::nn::model::{self, CompactConfig, DenseConfig, Family, Normalize, PyramidConfig, SignalConfig};
use crate::sample::{Kind, Moments, Sample, Shape, Stats};
use crate::train::Error;
use crate::train::family::{FamilyChoice, FamilyName};

impl Config {
    /// Chooses the model for these samples if there is no base.
    ///
    /// # Errors
    /// The family or the latent does not fit the samples.
    pub fn choose_model(&self, items: &[&Sample]) -> Result<model::Config, Error> {
        let shape = items[0].shape();
        let same = items.iter().all(|s| s.shape() == shape);
        let numbers = self.latent.as_ref().and_then(|l| l.numbers);
        let name = match &self.family {
            Some(FamilyChoice::Sizes(family)) => return self.finish(family.clone(), items),
            Some(FamilyChoice::Name(name)) => *name,
            None => match shape.kind() {
                // A latent of some numbers is a vector.
                Kind::Image if numbers.is_some() && same => FamilyName::Compact,
                Kind::Image => FamilyName::Pyramid,
                Kind::Signal => FamilyName::Signal,
                Kind::Vector => FamilyName::Dense,
            },
        };
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
            // Small samples of one kind share one scale, so that the latent holds only the numbers of the network.
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
}

/// Returns the statistics of all samples together.
fn pooled(items: &[&Sample]) -> Stats {
    let all: Vec<f32> = items.iter().flat_map(|s| s.known().into_owned()).filter(|v| v.is_finite()).collect();
    Stats::of(&all)
}

/// Returns the statistics of each column of vectors of equal length.
fn columns(items: &[&Sample]) -> Vec<Stats> {
    let is_known = |s: &Sample, d: usize| s.missing().is_none_or(|missing| !missing[d]);
    let column = |d: usize| {
        items.iter().filter(|s| is_known(s, d)).filter_map(|s| s.data().get(d).copied()).collect::<Vec<f32>>()
    };
    (0..items[0].shape().numbers()).map(|d| Moments::of(&column(d)).of_one()).collect()
}

/// Returns `true` if columns have units of their own: their means are several standard deviations apart, or one varies ten
/// times as much as another. The numbers of a spectrum or of a small image share one unit.
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
