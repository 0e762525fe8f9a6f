//! Comparison with PCA and JPEG on the same noisy samples, with as many numbers or bytes as the latent has.

use serde::Serialize;

use super::score::{Noise, Score};
use crate::dataset::Dataset;
use crate::infer::Session;
use crate::quality::{self, Nearness, Pca, Reference};
use crate::sample::{Sample, Shape};

/// Largest count of numbers that PCA is fitted to.
const ENOUGH: usize = 32 << 20;

/// Scores of the other methods of compression, one per sample.
#[derive(Debug, Clone)]
pub(super) struct Beside {
    /// PCA fitted to these samples themselves: its best case. None if that would take too long.
    pub pca: Option<PcaScores>,
    /// Best JPEG file not larger than the latent; images without one are omitted.
    pub jpeg: Vec<JpegScore>,
}

/// Scores of PCA.
#[derive(Debug, Clone)]
pub(super) struct PcaScores {
    pub nearness: Vec<Nearness>,
    /// Count of numbers kept of the first sample.
    pub numbers: usize,
}

/// Score of one JPEG file.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct JpegScore {
    pub quality: u8,
    pub bytes: usize,
    pub psnr_db: f32,
}

/// Computes both, at the latent sizes in `scores`.
pub(super) fn compare(
    session: &Session,
    dataset: &Dataset,
    noise: &Noise,
    seed: u64,
    ink: bool,
    scores: &[Score],
) -> Beside {
    let noisy: Vec<Sample> = dataset.items.iter().map(|item| noise.noisy(item, seed)).collect();
    let truths: Vec<Reference> = dataset
        .items
        .iter()
        .zip(&noisy)
        .map(|(item, noisy)| Reference::new(&item.clean, noisy, ink))
        .collect();
    let whole = session.input().fixed.is_some();
    let pca = pca(&truths, &noisy, scores, whole);
    let jpeg = dataset.items.iter().zip(&noisy).zip(scores).filter_map(|((item, noisy), score)| {
        let bytes = score.latent * size_of::<f32>();
        let point = quality::jpeg_at_bytes(noisy.data(), item.clean.data(), noisy.shape(), bytes)?;
        Some(JpegScore { quality: point.quality, bytes: point.bytes, psnr_db: point.psnr_db })
    });
    Beside { pca, jpeg: jpeg.collect() }
}

/// Applies PCA to whole samples for models of one fixed shape, otherwise to patches.
fn pca(truths: &[Reference], noisy: &[Sample], scores: &[Score], whole: bool) -> Option<PcaScores> {
    let mut numbers = 0;
    let some: Vec<&Sample> = noisy
        .iter()
        .take_while(|sample| {
            numbers += sample.shape().numbers();
            numbers <= ENOUGH.max(sample.shape().numbers())
        })
        .collect();
    if whole {
        let n = noisy[0].shape().numbers();
        let k = scores[0].latent.min(n);
        let pca = Pca::fit(some.iter().map(|sample| sample.data()), n, k)?;
        let near = |(truth, noisy): (&Reference, &Sample)| {
            truth.nearness(&pca.rebuild(&pca.project(noisy.data(), k)))
        };
        return Some(PcaScores { nearness: truths.iter().zip(noisy).map(near).collect(), numbers: k });
    }
    let keep = |score: &Score, sample: &Sample| (score.latent / patches(sample.shape())).max(1);
    let most = scores.iter().zip(noisy).map(|(score, sample)| keep(score, sample)).max().unwrap_or(1);
    let pca = Pca::fit_patches(&some, most)?;
    let coded = |sample: &Sample, score: &Score| pca.code(sample.data(), sample.shape(), keep(score, sample));
    let near =
        |((truth, noisy), score): ((&Reference, &Sample), &Score)| truth.nearness(&coded(noisy, score).0);
    let numbers = coded(&noisy[0], &scores[0]).1;
    Some(PcaScores { nearness: truths.iter().zip(noisy).zip(scores).map(near).collect(), numbers })
}

/// Returns the number of patches that PCA divides a sample into.
fn patches(shape: Shape) -> usize {
    match shape {
        Shape::Image { height, width, .. } => height.div_ceil(8) * width.div_ceil(8),
        Shape::Signal { length, .. } => length.div_ceil(64),
        Shape::Vector { .. } => 1,
    }
}
