//! Test of whether latents of one label form clusters: k-nearest-neighbour accuracy, compared with that of PCA.

use serde::Serialize;

use super::super::Error;
use super::super::workers::each;
use super::score::Noise;
use crate::dataset::Dataset;
use crate::infer::Session;
use crate::quality::{Pca, knn_agrees};
use crate::sample::{Latent, Sample};

/// Number of neighbours that vote, as in published comparisons of maps.
const NEIGHBORS: usize = 10;

/// Number of points that one worker classifies at a time.
const SHARE: usize = 128;

/// Leave-one-out accuracies, 0 to 1.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Map {
    /// Count of numbers in a latent.
    pub numbers: usize,
    /// Number of neighbours that vote.
    pub neighbors: usize,
    /// Accuracy of the latents.
    pub latent: f32,
    /// Accuracy of as many principal components; none if the samples are so large that it would take too long.
    pub pca: Option<f32>,
}

/// Computes the accuracies on noisy samples.
///
/// # Errors
/// The latents are not vectors of one length, or a sample does not fit the model.
pub(super) fn map(
    session: &Session,
    dataset: &Dataset,
    noise: &Noise,
    seed: u64,
    labels: &[u32],
) -> Result<Map, Error> {
    let Some(shape) = session.input().fixed else {
        let what = "--labels needs a model whose samples all have one shape: compact or dense";
        return Err(Error::Usage(what.into()));
    };
    let noisy: Vec<Sample> = dataset.items.iter().map(|item| noise.noisy(item, seed)).collect();
    let latents = each(&noisy, |_, sample| session.encode(sample, None), |_, _| ());
    let latents = latents.into_iter().collect::<Result<Vec<Latent>, _>>()?;
    let points: Vec<f32> =
        latents.iter().flat_map(|l| l.planes.iter().flat_map(|p| p.data.clone())).collect();
    let numbers = points.len() / latents.len();

    let pca = Pca::fit(noisy.iter().map(|sample| sample.data()), shape.numbers(), numbers);
    let components =
        |pca: Pca| noisy.iter().flat_map(|s| pca.project(s.data(), numbers)).collect::<Vec<f32>>();
    Ok(Map {
        numbers,
        neighbors: NEIGHBORS,
        latent: accuracy(&points, labels),
        pca: pca.map(|pca| accuracy(&components(pca), labels)),
    })
}

/// Returns the share of points with the majority label of their neighbours.
fn accuracy(points: &[f32], labels: &[u32]) -> f32 {
    let n = points.len() / labels.len();
    let shares: Vec<usize> = (0..labels.len()).step_by(SHARE).collect();
    let agree = |_: usize, &start: &usize| {
        knn_agrees(points, n, labels, NEIGHBORS, start..labels.len().min(start + SHARE))
    };
    each(&shares, agree, |_, _| ()).into_iter().sum::<usize>() as f32 / labels.len() as f32
}
