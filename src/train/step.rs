//! Training step: forward pass of a batch, loss of its scheme, optimiser update.

use super::Error;
use super::setup::Setup;
use crate::dataset::{Batch, Beside, Neighbors};
use crate::nn::model::{self, Model, Normalize};
use crate::nn::optim::AdamW;
use crate::nn::{Device, Tensor, tsne};
use crate::rng::{Purpose, Rng};
use crate::sample::Stats;

/// Final weight of the second term of the neighbour loss; it rises linearly from 0, as in the authors' program, and this is
/// their default.
const SECOND_TERM: f32 = 2.0;

/// Ratio of the error to the power of the input above which a result counts as diverged.
const APART: f32 = 100.0;

/// Batch on the network's scale.
struct Scaled {
    noisy: Tensor,
    clean: Tensor,
    /// Factor on each number's error: back to the sample's own scale, times its loss weight.
    weight: Tensor,
    /// Mean power of the input, on the scale of the loss.
    power: f32,
}

/// Terms of the loss.
struct Terms {
    batch: Scaled,
    /// Expected difference of the two halves for each path, and the weight of that term.
    second: Option<(Differences, f32)>,
}

/// Differences for the full and the strict path.
type Differences = [Tensor; 2];

/// Takes step number `at` of `total` and returns the loss; `None` if it or the gradient is not finite, or the loss is far
/// out of range.
///
/// # Errors
/// A tensor operation fails.
pub(super) fn take(
    setup: &Setup<'_>,
    model: &Model,
    optimizer: &mut AdamW,
    at: u64,
    total: u64,
    rate: f32,
) -> Result<Option<f32>, Error> {
    let batch = setup.loader.batch(at);
    let second = match &batch.beside {
        Beside::Whole(whole, dims, choices) => {
            let weight = SECOND_TERM * at as f32 / total as f32;
            Some((halves_differ(setup, model, &batch, whole, dims, choices)?, weight))
        }
        _ => None,
    };
    let samples = setup.keep_neighbors.map(|weight| (weight, batch.clean.clone()));
    let terms = Terms { batch: scaled(batch, setup)?, second };
    let code = model.encode(&terms.batch.noisy)?;
    let planes = model::mask(&code.planes, draw_prefix(&setup.model, setup.seed, at))?;
    let rebuilt = model.decode(&planes)?;

    let (strict, strict_mean) = terms.loss(setup, &rebuilt.strict, 1)?;
    let (loss, mean) = if model.has_refiner() {
        let full = model.refine(rebuilt, code.detail)?;
        let (full, full_mean) = terms.loss(setup, &full, 0)?;
        // The refined sample counts twice: it is the result of /denoise.
        let both = |full: Tensor, strict: Tensor| (full + strict * 0.5)? / 1.5;
        (both(full, strict)?, both(full_mean, strict_mean)?)
    } else {
        (strict, strict_mean)
    };
    let loss = match samples {
        Some((weight, samples)) => (loss + (tsne::loss(&samples, &code.planes[0])? * weight)?)?,
        None => loss,
    };
    let value = mean.to_scalar::<f32>()?;
    let norm = optimizer.step(&loss.backward()?, rate)?;
    let is_good = norm.is_finite() && value <= APART * terms.batch.power;
    Ok(is_good.then_some(value * setup.loss_unit()))
}

impl Terms {
    /// Returns the loss of a result and its plain mean square.
    fn loss(&self, setup: &Setup<'_>, out: &Tensor, path: usize) -> Result<(Tensor, Tensor), Error> {
        let Scaled { clean, weight, .. } = &self.batch;
        let mut error = (out - clean)?;
        if let Some(times) = setup.ink_weight {
            // The loss squares this factor.
            error = (&error + (error.relu()? * (times.sqrt() - 1.0))?)?;
        }
        let (loss, mean) = setup.loss.of(&error.broadcast_mul(weight)?)?;
        let Some((differences, share)) = &self.second else { return Ok((loss, mean)) };
        let apart = (error - &differences[path])?.broadcast_mul(weight)?;
        let (second, _) = setup.loss.of(&apart)?;
        let share = f64::from(*share);
        Ok((((loss + second * share)? / (1.0 + share))?, mean))
    }
}

/// Returns the differences between the two halves of the model's own result, on its scale: these are differences in content,
/// which the comparison of the halves must not count as errors. No gradient flows through them.
fn halves_differ(
    setup: &Setup<'_>,
    model: &Model,
    halves: &Batch,
    whole: &[f32],
    dims: &[usize],
    choices: &[Neighbors],
) -> Result<Differences, Error> {
    let numbers = dims[1..].iter().product::<usize>();
    let mut scaled = whole.to_vec();
    for (crop, stats) in scaled.chunks_mut(numbers).zip(statistics(halves, &setup.model.normalize)) {
        normalize(crop, stats);
    }
    let code = model.encode(&Tensor::from_vec(scaled, dims, &setup.device)?)?;
    let rebuilt = model.decode(&code.planes)?;
    let strict = rebuilt.strict.clone();
    let full = model.refine(rebuilt, code.detail)?;

    let differences = |result: &Tensor| -> Result<Tensor, Error> {
        let result = result.flatten_all()?.to_vec1::<f32>()?;
        let mut all = Vec::with_capacity(halves.noisy.len());
        for (crop, choice) in result.chunks(numbers).zip(choices) {
            let [a, b] = choice.pick(crop);
            all.extend(a.iter().zip(&b).map(|(a, b)| a - b));
        }
        Ok(Tensor::from_vec(all, halves.dims.as_slice(), &setup.device)?)
    };
    Ok([differences(&full)?, differences(&strict)?])
}

/// Returns the statistics to normalise each crop by: one set for all of its numbers, or one per channel or column.
fn statistics<'a>(batch: &'a Batch, normalize: &'a Normalize) -> Vec<&'a [Stats]> {
    let crops = batch.dims[0];
    match normalize {
        Normalize::Sample | Normalize::Channel => batch.stats.chunks(batch.stats.len() / crops).collect(),
        Normalize::Fixed(stats) => vec![std::slice::from_ref(stats); crops],
        Normalize::Columns(columns) => vec![columns; crops],
    }
}

fn normalize(crop: &mut [f32], stats: &[Stats]) {
    let numbers = crop.len() / stats.len();
    crop.chunks_mut(numbers).zip(stats).for_each(|(part, stats)| stats.normalize(part));
}

/// Converts a batch to tensors on the network's scale.
fn scaled(batch: Batch, setup: &Setup<'_>) -> Result<Scaled, Error> {
    let numbers = batch.dims[1..].iter().product::<usize>();
    let (mut noisy, mut clean) = (batch.noisy.clone(), batch.clean.clone());
    let mut weights = Vec::with_capacity(batch.dims[0]);
    let crops = noisy.chunks_mut(numbers).zip(clean.chunks_mut(numbers));
    for ((noisy, clean), stats) in crops.zip(statistics(&batch, &setup.model.normalize)) {
        normalize(noisy, stats);
        normalize(clean, stats);
        let weight = |(stats, unit): (&Stats, &f32)| if *unit > 0.0 { stats.std / unit } else { 0.0 };
        weights.extend(stats.iter().zip(&setup.units).map(weight));
    }
    let Batch { dims, weights: places, .. } = batch;
    // Count of numbers that share a weight.
    let each = dims.iter().product::<usize>() / weights.len();
    let power = weights.iter().map(|w| w * w).sum::<f32>() / weights.len().max(1) as f32;
    let tensor = |values: Vec<f32>, dims: &[usize], device: &Device| Tensor::from_vec(values, dims, device);
    let weight = match places {
        Some(places) => {
            // The loss squares the weighted error.
            let each = places.chunks(each).zip(&weights);
            let all =
                each.flat_map(|(places, weight)| places.iter().map(move |p| p.sqrt() * weight)).collect();
            tensor(all, &dims, &setup.device)?
        }
        None => {
            let mut weight_dims = vec![1; dims.len()];
            (weight_dims[0], weight_dims[1]) = (dims[0], weights.len() / dims[0]);
            tensor(weights, &weight_dims, &setup.device)?
        }
    };
    Ok(Scaled {
        noisy: tensor(noisy, &dims, &setup.device)?,
        clean: tensor(clean, &dims, &setup.device)?,
        weight,
        power,
    })
}

/// Draws the number of latent channels that a step may use: usually all, in every third step a random prefix, so that each
/// prefix is a valid latent (O. Rippel et al., "Learning ordered representations with nested dropout", ICML 2014).
fn draw_prefix(model: &model::Config, seed: u64, at: u64) -> usize {
    let prefixes = model.prefixes();
    let mut rng = Rng::new(seed, Purpose::Prefix, at);
    if at % 3 == 2 { prefixes[rng.below(prefixes.len())] } else { model.latent_channels() }
}
