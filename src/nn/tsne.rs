//! Parametric t-SNE: what a batch of latent vectors loses of who lies near whom.

use candle_core::{Result, Tensor};

/// A sample in so many of a batch is a near one.
const NEAR: usize = 32;

/// Fewest near ones.
const LEAST: f64 = 2.0;

/// How often a reach is halved, or doubled; that finds it to a millionth.
const ROUNDS: usize = 50;

/// How little the latents tell of which samples are neighbours, in nats: the divergence from the likeness of
/// `samples` to that of `latents`, but for a constant. Likeness falls off with distance, among samples as a normal
/// density whose reach is fitted to how crowded it is there, among latents with the heavy tail of Student's.
///
/// # Shape
/// `samples: B` rows of equally many numbers, `latents: (B, Z)` -> a scalar.
///
/// # Source
/// L. van der Maaten, "Learning a parametric embedding by preserving local structure", AISTATS 2009
/// (parametric t-SNE).
///
/// # Errors
/// The shapes do not fit.
pub fn loss(samples: &[f32], latents: &Tensor) -> Result<Tensor> {
    let count = latents.dim(0)?;
    let alike = Tensor::from_vec(likeness(samples, count), (count, count), latents.device())?;
    let squares = latents.sqr()?.sum_keepdim(1)?;
    let products = latents.matmul(&latents.t()?.contiguous()?)?;
    // Rounding may leave a distance a little below 0.
    let apart = squares.broadcast_add(&squares.t()?)?.sub(&(products * 2.0)?)?.relu()?;
    let near = (apart + 1.0)?;
    // Each is as near to itself as can be, which tells nothing.
    let all = (near.recip()?.sum_all()? - count as f64)?;
    (near.log()? * alike)?.sum_all()? + (all + 1e-6)?.log()?
}

/// How alike each two of `count` samples are, row by row, 0 for a sample itself; all sum to 1.
fn likeness(samples: &[f32], count: usize) -> Vec<f32> {
    let rows: Vec<&[f32]> = samples.chunks_exact(samples.len() / count.max(1)).collect();
    let mut alike = vec![0.0; count * count];
    for (i, row) in rows.iter().enumerate() {
        let square = |other: &&[f32]| row.iter().zip(*other).map(|(a, b)| (a - b).powi(2)).sum::<f32>();
        let apart: Vec<f64> = rows.iter().map(|other| f64::from(square(other))).collect();
        for (j, share) in shares(&apart, i).into_iter().enumerate() {
            let half = (0.5 * share / count as f64) as f32;
            alike[i * count + j] += half;
            alike[j * count + i] += half;
        }
    }
    alike
}

/// How alike sample `own` and each other one are, given their squared distances; the reach is such that the entropy is
/// that of a few samples as near as each other.
fn shares(apart: &[f64], own: usize) -> Vec<f64> {
    let goal = (apart.len() as f64 / NEAR as f64).max(LEAST).ln();
    let others = apart.iter().enumerate().filter(|(j, _)| *j != own).map(|(_, d)| *d);
    let nearest = others.fold(f64::INFINITY, f64::min);
    let at = |sharpness: f64| {
        let one = |(j, d): (usize, &f64)| if j == own { 0.0 } else { (sharpness * (nearest - d)).exp() };
        let mut all: Vec<f64> = apart.iter().enumerate().map(one).collect();
        let sum = all.iter().sum::<f64>().max(f64::MIN_POSITIVE);
        all.iter_mut().for_each(|share| *share /= sum);
        all
    };
    let entropy = |all: &[f64]| -all.iter().filter(|p| **p > 0.0).map(|p| p * p.ln()).sum::<f64>();
    let typical = apart.iter().sum::<f64>() / apart.len() as f64;
    let (mut low, mut high) = (0.0, f64::INFINITY);
    let mut sharpness = 1.0 / typical.max(f64::MIN_POSITIVE);
    for _ in 0..ROUNDS {
        if entropy(&at(sharpness)) > goal {
            low = sharpness
        } else {
            high = sharpness
        }
        sharpness = if high.is_finite() { 0.5 * (low + high) } else { (2.0 * sharpness).min(1e30) };
    }
    at(sharpness)
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;

    /// Two groups of four samples of three numbers.
    fn samples() -> Vec<f32> {
        (0..8).flat_map(|i| [(i / 4) as f32 * 9.0, 0.1 * i as f32, 0.05 * (i % 3) as f32]).collect()
    }

    fn of(latents: &[f32]) -> f32 {
        let latents = Tensor::from_slice(latents, (8, 2), &Device::Cpu).unwrap();
        loss(&samples(), &latents).unwrap().to_scalar().unwrap()
    }

    #[test]
    fn likeness_sums_to_1_and_is_that_of_a_group() {
        let alike = likeness(&samples(), 8);
        assert!((alike.iter().sum::<f32>() - 1.0).abs() < 1e-5);
        assert!((0..8).all(|i| alike[i * 9] == 0.0 && (0..8).all(|j| alike[i * 8 + j] == alike[j * 8 + i])));
        let within: f32 = (0..64).filter(|k| k / 32 == k % 8 / 4).map(|k| alike[k]).sum();
        assert!(within > 0.99, "{within}");
        // Samples that are all the same have no neighbours that are nearer.
        assert!(likeness(&[1.0; 24], 8).iter().all(|p| p.is_finite()));
    }

    #[test]
    fn latents_in_the_groups_of_their_samples_lose_less_and_the_gradient_leads_there() {
        let grouped: Vec<f32> = (0..8).flat_map(|i| [(i / 4) as f32 * 20.0, 0.3 * i as f32]).collect();
        let mixed: Vec<f32> = (0..8).flat_map(|i| [(i % 2) as f32 * 20.0, 0.3 * i as f32]).collect();
        assert!(of(&grouped) + 0.5 < of(&mixed), "{} {}", of(&grouped), of(&mixed));
        let latents = Var::from_tensor(&Tensor::from_slice(&mixed, (8, 2), &Device::Cpu).unwrap()).unwrap();
        let before = loss(&samples(), latents.as_tensor()).unwrap();
        let grads = before.backward().unwrap();
        let slope = grads.get(latents.as_tensor()).unwrap();
        let moved = (latents.as_tensor() - (slope * 0.1).unwrap()).unwrap();
        let (before, after) = (before.to_scalar::<f32>().unwrap(), loss(&samples(), &moved).unwrap());
        assert!(after.to_scalar::<f32>().unwrap() < before);
    }
}
