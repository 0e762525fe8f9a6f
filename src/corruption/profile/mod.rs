//! Noise of a profile: noise like that of your own samples, as measured by `dataset::measure_profile`.

mod colour;
mod marginal;

use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use super::{Error, Span};
use crate::name::Name;
use crate::rng::Rng;
use crate::sample::{Kind, Shape};

use colour::Colour;
pub use marginal::Marginal;

/// Largest number of channels of a profile.
const MOST_CHANNELS: usize = 64;

/// Largest lag of a correlation, in pixels or steps.
const MOST_LAG: usize = 256;

/// Adds noise like that of a profile, on the scale of the samples.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Name of a stored profile; the service or the command line puts its content under `noise`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// The profile itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub noise: Option<NoiseProfile>,
    /// Factor on the noise; a range teaches a model noise of several strengths.
    #[serde(default = "once")]
    pub strength: Span,
}

fn once() -> Span {
    Span::at(1.0)
}

/// Noise of a kind of samples: its strength by brightness, its correlation and its distribution.
///
/// The noise of a number of value `x` has the variance `shot * x + read`; stripes are added to that. All numbers are on the
/// scale of the samples: 0 to 1 for images of whole numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoiseProfile {
    /// Format of the profile: 1.
    pub format: u32,
    /// Kind of the samples: images or signals.
    pub kind: Kind,
    /// Source of the measurement: `flat`, `repeats` or `noisy`, and the number of files.
    pub source: Source,
    /// Strength in each channel.
    pub channels: Vec<Strength>,
    /// Autocorrelation without stripes, the mean over channels.
    pub correlation: Autocorrelation,
    /// Correlation of the channels with each other, -1 to 1; 1 on the diagonal.
    pub between_channels: Vec<Vec<f32>>,
    /// Distribution without stripes, for noise of variance 1.
    pub marginal: Marginal,
    #[serde(skip)]
    prepared: Prepared,
}

/// Source of a profile.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Kind of the samples that it was measured on.
    pub method: Method,
    /// Number of samples.
    pub samples: usize,
    /// Notes on the measurement, one sentence each.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// Kinds of samples that a profile is measured on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// Frames of an even surface, or dark ones.
    Flat,
    /// Repeats of one scene.
    Repeats,
    /// Ordinary noisy samples.
    Noisy,
}

/// Strength of the noise in one channel.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Strength {
    /// Variance per unit of value: shot noise.
    pub shot: f32,
    /// Variance at value 0: read noise.
    pub read: f32,
    /// Lowest variance at any value.
    pub least: f32,
    /// Standard deviation of the offset of each row.
    pub rows: f32,
    /// Standard deviation of the offset of each column.
    pub columns: f32,
}

/// Autocorrelation at lags `-down..=down` by `-across..=across`, row by row; 1 in the middle.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Autocorrelation {
    /// Largest lag in rows; 0 for signals.
    pub down: usize,
    /// Largest lag in columns or steps.
    pub across: usize,
    /// `(2 * down + 1) * (2 * across + 1)` correlations, -1 to 1.
    pub values: Vec<f32>,
}

/// Filter and map that are computed from a profile once; equal for equal profiles.
#[derive(Debug, Clone, Default)]
struct Prepared(OnceLock<Colour>);

impl PartialEq for Prepared {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Strength {
    /// Returns the variance of the noise at `value`, without stripes.
    pub fn variance(&self, value: f32) -> f32 {
        (self.shot * value + self.read).max(self.least)
    }
}

impl Autocorrelation {
    /// White noise.
    pub fn white() -> Self {
        Self { down: 0, across: 0, values: vec![1.0] }
    }

    /// Returns the correlation at a lag; 0 beyond the largest.
    pub fn at(&self, down: isize, across: isize) -> f32 {
        let (rows, columns) = (self.down as isize, self.across as isize);
        if down.abs() > rows || across.abs() > columns {
            return 0.0;
        }
        self.values[((down + rows) * (2 * columns + 1) + across + columns) as usize]
    }
}

impl NoiseProfile {
    /// Creates a profile.
    pub fn new(
        (kind, source): (Kind, Source),
        channels: Vec<Strength>,
        correlation: Autocorrelation,
        between_channels: Vec<Vec<f32>>,
        marginal: Marginal,
    ) -> Self {
        let prepared = Prepared::default();
        Self { format: 1, kind, source, channels, correlation, between_channels, marginal, prepared }
    }

    /// Checks that all members fit each other and are in their ranges.
    ///
    /// # Errors
    /// The first member that is not.
    pub fn check(&self) -> Result<(), Error> {
        let fault = |member: &str, reason: String| {
            Err(Error::Profile { member: format!("profile.{member}"), reason })
        };
        let count = self.channels.len();
        if self.format != 1 {
            return fault("format", format!("is {}, this program knows 1", self.format));
        }
        if !(1..=MOST_CHANNELS).contains(&count) {
            return fault("channels", format!("has {count} entries, must have 1 to {MOST_CHANNELS}"));
        }
        let is_strength = |s: &Strength| {
            [s.read, s.shot].iter().all(|v| v.is_finite())
                && [s.least, s.rows, s.columns].iter().all(|v| v.is_finite() && *v >= 0.0)
        };
        if let Some(at) = self.channels.iter().position(|strength| !is_strength(strength)) {
            return fault(
                "channels",
                format!("entry {at} has a number that is not finite, or a negative deviation"),
            );
        }
        let Autocorrelation { down, across, values } = &self.correlation;
        let is_small = *down <= MOST_LAG && *across <= MOST_LAG;
        if !is_small || values.len() != (2 * down + 1) * (2 * across + 1) {
            return fault(
                "correlation",
                format!("has {} values for lags {down} and {across}, at most {MOST_LAG}", values.len()),
            );
        }
        if values.iter().any(|v| !(-1.0..=1.0).contains(v)) || self.correlation.at(0, 0) != 1.0 {
            return fault("correlation", "must lie within -1 to 1, with 1 in the middle".to_owned());
        }
        let rows = &self.between_channels;
        let is_square = rows.len() == count && rows.iter().all(|row| row.len() == count);
        if !is_square || rows.iter().flatten().any(|v| !(-1.0..=1.0).contains(v)) {
            return fault(
                "between_channels",
                format!("must be {count} rows of {count} numbers within -1 to 1"),
            );
        }
        self.marginal.check().or_else(|reason| fault("marginal", reason))
    }

    /// Returns noise for numbers of `values`, which form a sample of `shape` or a crop of one.
    ///
    /// Channels beyond those of the profile begin with its first one again; they are independent of each other where the
    /// numbers of channels differ.
    pub fn noise(&self, values: &[f32], shape: Shape, rng: &mut Rng) -> Vec<f32> {
        let (channels, height, width) = shape.extents();
        let colour = self.prepared.0.get_or_init(|| Colour::of(self));
        let mut noise = colour.draw((channels, height, width), rng);
        let planes = noise.chunks_exact_mut(height * width).zip(values.chunks_exact(height * width));
        for (c, (noise, values)) in planes.enumerate() {
            let strength = &self.channels[c % self.channels.len()];
            let [rows, columns] =
                [(height, strength.rows), (width, strength.columns)].map(|(count, deviation)| {
                    let mut offsets = vec![0.0; count];
                    rng.fill_normal(&mut offsets);
                    offsets.iter_mut().for_each(|offset| *offset *= deviation);
                    offsets
                });
            for (i, (n, value)) in noise.iter_mut().zip(values).enumerate() {
                *n = *n * strength.variance(*value).sqrt() + rows[i / width] + columns[i % width];
            }
        }
        noise
    }

    /// Returns the mean variance of the noise of `values`, with stripes.
    pub fn variance(&self, values: &[f32], shape: Shape) -> f64 {
        let numbers = shape.numbers() / shape.channels();
        let planes = values.chunks_exact(numbers).enumerate();
        let sum = planes.map(|(c, values)| {
            let strength = &self.channels[c % self.channels.len()];
            let stripes = f64::from(strength.rows).powi(2) + f64::from(strength.columns).powi(2);
            values.iter().map(|v| f64::from(strength.variance(*v)) + stripes).sum::<f64>()
        });
        sum.sum::<f64>() / shape.numbers() as f64
    }
}

impl Profile {
    pub(super) fn check(&self, kind: Kind) -> Result<(), Error> {
        self.strength.check("profile.strength", 0.0, 1000.0)?;
        let Some(noise) = &self.noise else {
            let reason = match &self.name {
                Some(name) => format!("there is no noise profile {name} here"),
                None => "is missing: say the name of a stored profile, or put one under noise".to_owned(),
            };
            return Err(Error::Profile { member: "profile.name".to_owned(), reason });
        };
        if noise.kind != kind {
            return Err(Error::Profile {
                member: "profile.noise".to_owned(),
                reason: format!("was measured on {}s, the samples are {kind}s", noise.kind),
            });
        }
        noise.check()
    }

    pub(super) fn apply(&self, data: &mut [f32], shape: Shape, rng: &mut Rng) {
        let strength = self.strength.draw(rng);
        let Some(profile) = &self.noise else { return };
        let noise = profile.noise(data, shape, rng);
        data.iter_mut().zip(noise).for_each(|(v, n)| *v += strength * n);
    }
}
