//! Maps: latents of held-out samples as points in a plane, with labels, thumbnails and scores of how well neighbours are kept.

mod draw;
mod picture;
mod projection;
mod svg;
#[cfg(test)]
mod tests;
mod thumbnails;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use projection::{Projection, ProjectionKind, Scores};
pub use thumbnails::Thumbnails;

use crate::sample::Sample;

/// Format of the file that this program writes.
const FORMAT: u32 = 1;
/// Number of neighbours whose labels vote, and whose places are compared, in a map of 21 points or more.
const NEIGHBORS: usize = 10;
/// Largest number of samples' numbers that are compared as the space of a map; the latents are compared in their place beyond it.
const MOST_NUMBERS: usize = 1 << 22;
/// Largest number of latents' numbers in a map.
const MOST_LATENT_NUMBERS: usize = 1 << 20;
/// Largest number of planes of a map.
const MOST_PROJECTIONS: usize = 4;
/// Longest name and label, in characters.
const LONGEST: usize = 80;

/// Map of the latents of one version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = LatentMap)]
pub struct Map {
    /// Format of the map.
    #[schema(example = 1)]
    format: u32,
    /// SHA-256 of the weights that made the latents.
    digest: String,
    /// Description of the samples.
    #[schema(example = "500 held-out samples of scans/")]
    data: String,
    /// Space that distances in the map are compared with.
    reference: Reference,
    /// Number of neighbours that vote and are compared.
    #[schema(example = 10)]
    neighbors: usize,
    /// Planes that show the points.
    projections: Vec<Projection>,
    /// Points, in the order of their samples' names.
    points: Vec<Point>,
    /// Small pictures of the samples; null for vectors.
    thumbnails: Option<Thumbnails>,
}

/// Space that distances in a map are compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = MapReference)]
pub enum Reference {
    /// Samples of one shape.
    Samples,
    /// Latents, for samples of several sizes or of many numbers.
    Latents,
}

/// Sample on a map.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = MapPoint)]
pub struct Point {
    /// Name of the sample.
    #[schema(example = "digits/3/0007")]
    name: String,
    /// Its label, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "3")]
    label: Option<String>,
    /// Its latent: a vector, or mean and deviation of each channel of a latent of maps.
    latent: Vec<f32>,
}

/// Sample to be placed on a map.
#[derive(Debug, Clone)]
pub struct Entry<'a> {
    /// Name of the sample.
    pub name: &'a str,
    /// Its label, if known.
    pub label: Option<String>,
    /// The sample.
    pub sample: &'a Sample,
    /// Its latent, as long as those of the other samples.
    pub latent: Vec<f32>,
}

impl Map {
    /// Smallest number of points.
    pub const FEWEST: usize = 3;
    /// Largest number of points.
    pub const MOST: usize = 1000;

    /// Advice where a version has no map, to follow its name.
    pub const NONE_KEPT: &str = "has no map: train with \"map\": true (limpid train --map), or make one of other samples (limpid \
        map NAME --samples PATH --keep)";

    /// Returns up to [`Map::MOST`] of `items`, evenly spread, as far as their `numbers` add up to at most `budget`; at least three if
    /// there are.
    pub fn choose<T>(items: &[T], budget: usize, numbers: impl Fn(&T) -> usize) -> Vec<&T> {
        let sum: usize = items.iter().map(&numbers).fold(0, usize::saturating_add);
        let affordable = (items.len() as f64 * budget as f64 / sum.max(1) as f64) as usize;
        let count = affordable.clamp(Self::FEWEST, Self::MOST).min(items.len());
        (0..count).map(|i| &items[i * items.len() / count]).collect()
    }

    /// Places samples on a map of the model with weights of this SHA-256.
    ///
    /// # Errors
    /// One line: there are fewer than three samples, or the latents are all the same, of different lengths, or too long.
    pub fn build(entries: &[Entry<'_>], digest: String, data: String) -> Result<Self, String> {
        let count = entries.len();
        if count < Self::FEWEST {
            return Err(format!("a map needs {} samples or more, got {count}", Self::FEWEST));
        }
        let numbers = entries[0].latent.len();
        if let Some(other) = entries.iter().find(|entry| entry.latent.len() != numbers || numbers == 0) {
            let seen = other.latent.len();
            return Err(format!("{}: a latent of {seen} numbers beside others of {numbers}", other.name));
        }
        if count > Self::MOST || numbers.saturating_mul(count) > MOST_LATENT_NUMBERS {
            let most = Self::MOST.min(MOST_LATENT_NUMBERS / numbers);
            return Err(format!("a map of latents of {numbers} numbers takes {most} samples, got {count}"));
        }
        if entries.iter().all(|entry| entry.latent == entries[0].latent) {
            return Err(format!("the latents of all {count} samples are the same: there is nothing to map"));
        }
        let points: Vec<Point> = entries.iter().map(Point::new).collect();
        let labels = numbered_labels(&points);
        let latents: Vec<f32> = points.iter().flat_map(|point| point.latent.iter().copied()).collect();
        let samples = of_one_shape(entries);
        let neighbors = NEIGHBORS.min((count - 1) / 2);
        let projections =
            projection::all((&latents, numbers), samples.as_deref(), labels.as_deref(), neighbors);
        let reference = if samples.is_some() { Reference::Samples } else { Reference::Latents };
        let thumbnails = Thumbnails::draw(entries.iter().map(|entry| entry.sample))?;
        Ok(Self { format: FORMAT, digest, data, reference, neighbors, projections, points, thumbnails })
    }

    /// Reads the file of a map.
    ///
    /// # Errors
    /// One line: the file is damaged, or is of other weights than those of SHA-256 `digest`.
    pub fn parse(bytes: &[u8], digest: &str) -> Result<Self, String> {
        let map: Self = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
        if map.format != FORMAT {
            return Err(format!("has format {}, this program knows {FORMAT}", map.format));
        }
        if map.digest != digest {
            return Err(format!("is of weights with SHA-256 {}, these have {digest}", map.digest));
        }
        let count = map.points.len();
        if !(Self::FEWEST..=Self::MOST).contains(&count) {
            return Err(format!("has {count} points, expected {} to {}", Self::FEWEST, Self::MOST));
        }
        if map.projections.len() > MOST_PROJECTIONS {
            return Err(format!(
                "has {} planes, at most {MOST_PROJECTIONS} are drawn",
                map.projections.len()
            ));
        }
        if map.projections.is_empty() || map.projections.iter().any(|plane| !plane.fits(count)) {
            return Err(format!("does not place its {count} points by finite numbers"));
        }
        if map.points.iter().flat_map(|point| &point.latent).any(|v| !v.is_finite()) {
            return Err("has latents that are not finite".into());
        }
        match map.thumbnails.as_ref().map(|thumbnails| thumbnails.check(count)) {
            Some(Err(reason)) => Err(reason),
            _ => Ok(map),
        }
    }

    /// Returns the file of the map: JSON.
    pub fn write(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a map holds text and finite numbers only")
    }

    /// Returns the planes that show the points.
    pub fn projections(&self) -> &[Projection] {
        &self.projections
    }

    /// Returns the scores of all planes, one line each.
    pub fn table(&self) -> String {
        let head = format!("{} points: {}\n", self.points.len(), self.data);
        let line = |plane: &Projection| {
            format!("{:<40} {}\n", plane.kind.label(), plane.scores.line(self.neighbors))
        };
        head + &self.projections.iter().map(line).collect::<String>()
    }

    /// Returns a drawing of all planes as SVG, without scripts; samples' names and labels are escaped.
    pub fn svg(&self, title: &str) -> String {
        svg::write(self, title)
    }

    /// Returns a drawing of all planes as PNG.
    ///
    /// # Errors
    /// One line: the thumbnails cannot be read.
    pub fn png(&self) -> Result<Vec<u8>, String> {
        picture::write(self)
    }

    /// Returns the distinct labels in order, numbers by their value.
    fn labels(&self) -> Vec<&str> {
        labels_of(&self.points)
    }
}

impl Point {
    fn new(entry: &Entry<'_>) -> Self {
        let bounded = |text: &str| text.chars().take(LONGEST).collect::<String>();
        Self {
            name: bounded(entry.name),
            label: entry.label.as_deref().map(bounded),
            latent: entry.latent.clone(),
        }
    }
}

fn labels_of(points: &[Point]) -> Vec<&str> {
    let labels: BTreeSet<&str> = points.iter().filter_map(|point| point.label.as_deref()).collect();
    let mut labels: Vec<&str> = labels.into_iter().collect();
    labels.sort_by_key(|label| (label.parse::<u64>().unwrap_or(u64::MAX), *label));
    labels
}

/// Returns the number of each point's label; `None` unless all points have one and there are at least two.
fn numbered_labels(points: &[Point]) -> Option<Vec<u32>> {
    let labels = labels_of(points);
    let number = |point: &Point| {
        labels.iter().position(|label| Some(*label) == point.label.as_deref()).map(|at| at as u32)
    };
    let numbers: Vec<u32> = points.iter().map(number).collect::<Option<_>>()?;
    (labels.len() > 1).then_some(numbers)
}

/// Returns the numbers of all samples, if they have one shape, are not too many, and differ.
fn of_one_shape(entries: &[Entry<'_>]) -> Option<Vec<f32>> {
    let first = entries[0].sample;
    let numbers = first.shape().numbers().checked_mul(entries.len()).filter(|all| *all <= MOST_NUMBERS)?;
    if entries.iter().any(|entry| entry.sample.shape() != first.shape())
        || entries.iter().all(|entry| entry.sample.data() == first.data())
    {
        return None;
    }
    let mut all = Vec::with_capacity(numbers);
    entries.iter().for_each(|entry| all.extend_from_slice(entry.sample.data()));
    Some(all)
}
