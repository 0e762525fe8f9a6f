//! Projections: places of the points of a map in a plane, with scores.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::quality::{Pca, Points, knn_agrees, trustworthiness};

/// Plane that shows the points of a map.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = MapProjection)]
pub struct Projection {
    /// Kind of plane.
    pub kind: ProjectionKind,
    /// Scores of the plane.
    pub scores: Scores,
    /// Coordinates of each point.
    pub(super) places: Vec<[f32; 2]>,
}

/// Kind of a plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProjectionKind {
    /// The latent itself, of models whose latent has two numbers.
    Latent,
    /// Two principal components of the latents.
    LatentPca,
    /// Two principal components of the samples: the best linear map, for comparison.
    SamplePca,
}

/// Scores of a plane; null where they are not defined.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = MapScores)]
pub struct Scores {
    /// Share of points whose nearest neighbours in the plane mostly have their label, 0 to 1.
    #[schema(example = 0.87)]
    pub accuracy: Option<f64>,
    /// 1 if neighbours in the plane are neighbours in the reference (Venna and Kaski, 2001), 0 at worst.
    #[schema(example = 0.95)]
    pub trustworthiness: Option<f64>,
    /// 1 if neighbours in the reference are neighbours in the plane, 0 at worst.
    #[schema(example = 0.97)]
    pub continuity: Option<f64>,
}

impl ProjectionKind {
    /// Name in drawings and tables.
    pub fn label(self) -> &'static str {
        match self {
            ProjectionKind::Latent => "latent plane",
            ProjectionKind::LatentPca => "2 principal components of the latents",
            ProjectionKind::SamplePca => "2 principal components of the samples",
        }
    }
}

impl Scores {
    /// Returns the scores in one line.
    pub fn line(&self, neighbors: usize) -> String {
        let one = |name: &str, score: Option<f64>| score.map(|score| format!("{name} {score:.3}"));
        let accuracy = one(&format!("{neighbors}-NN accuracy"), self.accuracy);
        let rest = [one("trustworthiness", self.trustworthiness), one("continuity", self.continuity)];
        accuracy.into_iter().chain(rest.into_iter().flatten()).collect::<Vec<_>>().join(", ")
    }
}

impl Projection {
    /// Returns `true` if it has a finite place for each of `count` points.
    pub(super) fn fits(&self, count: usize) -> bool {
        self.places.len() == count && self.places.iter().flatten().all(|v| v.is_finite())
    }
}

/// Returns the planes of a map: the latent if it has two numbers, else its principal components; and those of the samples.
/// Distances are compared with those of the samples if these are given, else with those of the latents.
pub(super) fn all(
    (latents, numbers): (&[f32], usize),
    samples: Option<&[f32]>,
    labels: Option<&[u32]>,
    neighbors: usize,
) -> Vec<Projection> {
    let count = latents.len() / numbers;
    let sample_numbers = samples.map_or(1, |samples| samples.len() / count);
    let space = match samples {
        Some(samples) => Points::new(samples, sample_numbers),
        None => Points::new(latents, numbers),
    };
    let plane = |kind, places: Vec<[f32; 2]>| {
        let flat = places.as_flattened();
        let map = Points::new(flat, 2);
        let is_flat = map.is_one_point() || space.is_one_point();
        let kept = |a, b| trustworthiness(a, b, neighbors).filter(|_| !is_flat).map(rounded);
        let scores = Scores {
            accuracy: labels.map(|labels| {
                rounded(knn_agrees(flat, 2, labels, neighbors, 0..count) as f64 / count as f64)
            }),
            trustworthiness: kept(space, map),
            continuity: kept(map, space),
        };
        Projection { kind, scores, places }
    };
    let own = match numbers {
        2 => Some((ProjectionKind::Latent, latents.as_chunks::<2>().0.to_vec())),
        _ => components(latents, numbers).map(|places| (ProjectionKind::LatentPca, places)),
    };
    let linear = samples.and_then(|samples| components(samples, sample_numbers));
    let linear = linear.map(|places| (ProjectionKind::SamplePca, places));
    own.into_iter().chain(linear).map(|(kind, places)| plane(kind, places)).collect()
}

/// Rounds to six digits, which every reader of JSON gives back exactly.
fn rounded(score: f64) -> f64 {
    (score * 1e6).round() / 1e6
}

/// Returns two principal components of points of `n` numbers; `None` if they would take too long. Components without variance
/// are 0.
fn components(points: &[f32], n: usize) -> Option<Vec<[f32; 2]>> {
    let pca = Pca::fit(points.chunks_exact(n), n, 2)?;
    let place = |point: &[f32]| {
        let along = pca.project(point, 2);
        [along.first().copied().unwrap_or(0.0), along.get(1).copied().unwrap_or(0.0)]
    };
    Some(points.chunks_exact(n).map(place).collect())
}
