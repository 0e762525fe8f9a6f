//! Parametric t-SNE: loss of neighbourhood structure in a batch of latent vectors.

use candle_core::{Result, Tensor};
use rayon::prelude::*;

/// One in this many samples of a batch counts as a neighbour.
const NEAR: usize = 32;

/// Minimum number of neighbours.
const LEAST: f64 = 2.0;

/// Maximum number of bisection steps when the bandwidth is fitted.
const ROUNDS: usize = 50;

/// Tolerance of the entropy at which the fit stops, in nats.
const EXACT: f64 = 1e-5;

/// Loss of neighbourhood structure in the latents, in nats: the divergence from the similarities of `samples` to
/// those of `latents`, up to a constant. Similarity decreases with distance: among samples as a normal density with a
/// bandwidth fitted to the local density, among latents with the heavy tail of Student's t.
///
/// # Shape
/// `samples: B` rows of equal length, `latents: (B, Z)` -> a scalar.
///
/// # Source
/// L. van der Maaten, "Learning a parametric embedding by preserving local structure", AISTATS 2009
/// (parametric t-SNE).
///
/// # Errors
/// The shapes do not fit.
pub fn loss(samples: &[f32], latents: &Tensor) -> Result<Tensor> {
    let count = latents.dim(0)?;
    let samples = Tensor::from_slice(samples, (count, samples.len() / count.max(1)), latents.device())?;
    let alike = Tensor::from_vec(likeness(&distances(&samples)?)?, (count, count), latents.device())?;
    let near = (distances(latents)? + 1.0)?;
    // The similarity of a sample to itself is always 1, and is left out.
    let all = (near.recip()?.sum_all()? - count as f64)?;
    (near.log()? * alike)?.sum_all()? + (all + 1e-6)?.log()?
}

/// Squared distances of all pairs of rows, `(B, D) -> (B, B)`.
fn distances(rows: &Tensor) -> Result<Tensor> {
    let squares = rows.sqr()?.sum_keepdim(1)?;
    let products = rows.matmul(&rows.t()?.contiguous()?)?;
    // Rounding may leave a distance slightly below 0.
    squares.broadcast_add(&squares.t()?)?.sub(&(products * 2.0)?)?.relu()
}

/// Similarities of all pairs of samples, row by row, 0 on the diagonal; all sum to 1. `apart: (B, B)` are the squared
/// distances.
fn likeness(apart: &Tensor) -> Result<Vec<f32>> {
    let apart = apart.to_vec2::<f32>()?;
    let count = apart.len();
    let rows: Vec<Vec<f64>> = apart.par_iter().enumerate().map(|(i, apart)| shares(apart, i)).collect();
    let both = |k: usize| 0.5 * (rows[k / count][k % count] + rows[k % count][k / count]) / count as f64;
    Ok((0..count * count).map(|k| both(k) as f32).collect())
}

/// Similarities of sample `own` to each sample, from their squared distances; the bandwidth is fitted so that the
/// entropy equals that of a few equally near neighbours.
fn shares(apart: &[f32], own: usize) -> Vec<f64> {
    let goal = (apart.len() as f64 / NEAR as f64).max(LEAST).ln();
    let others = apart.iter().enumerate().filter(|(j, _)| *j != own).map(|(_, d)| f64::from(*d));
    let nearest = others.clone().fold(f64::INFINITY, f64::min);
    let beyond: Vec<f64> = others.map(|d| d - nearest).collect();
    // Sum of the similarities exp(-sharpness * d), and the entropy of their shares.
    let at = |sharpness: f64| {
        let (mut sum, mut mean) = (0.0, 0.0);
        for d in &beyond {
            let like = (-sharpness * d).exp();
            (sum, mean) = (sum + like, mean + like * d);
        }
        let sum: f64 = sum.max(f64::MIN_POSITIVE);
        (sum, sum.ln() + sharpness * mean / sum)
    };
    let typical = beyond.iter().sum::<f64>() / beyond.len().max(1) as f64;
    let (mut low, mut high) = (0.0, f64::INFINITY);
    let mut sharpness = 1.0 / typical.max(f64::MIN_POSITIVE);
    for _ in 0..ROUNDS {
        let (_, entropy) = at(sharpness);
        if (entropy - goal).abs() < EXACT {
            break;
        }
        if entropy > goal {
            low = sharpness
        } else {
            high = sharpness
        }
        sharpness = if high.is_finite() { 0.5 * (low + high) } else { (2.0 * sharpness).min(1e30) };
    }
    let (sum, _) = at(sharpness);
    let mut shares: Vec<f64> = beyond.iter().map(|d| (-sharpness * d).exp() / sum).collect();
    shares.insert(own, 0.0);
    shares
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;

    /// Two groups of four samples of three numbers each.
    fn samples() -> Vec<f32> {
        (0..8).flat_map(|i| [(i / 4) as f32 * 9.0, 0.1 * i as f32, 0.05 * (i % 3) as f32]).collect()
    }

    fn of(latents: &[f32]) -> f32 {
        let latents = Tensor::from_slice(latents, (8, 2), &Device::Cpu).unwrap();
        loss(&samples(), &latents).unwrap().to_scalar().unwrap()
    }

    #[test]
    fn likeness_sums_to_1_and_is_that_of_a_group() {
        let alike = |samples: &[f32]| {
            let rows = Tensor::from_slice(samples, (8, 3), &Device::Cpu).unwrap();
            likeness(&distances(&rows).unwrap()).unwrap()
        };
        let all = alike(&samples());
        assert!((all.iter().sum::<f32>() - 1.0).abs() < 1e-5);
        assert!((0..8).all(|i| all[i * 9] == 0.0 && (0..8).all(|j| all[i * 8 + j] == all[j * 8 + i])));
        let within: f32 = (0..64).filter(|k| k / 32 == k % 8 / 4).map(|k| all[k]).sum();
        assert!(within > 0.99, "{within}");
        // Among identical samples none is nearer than another.
        assert!(alike(&[1.0; 24]).iter().all(|p| p.is_finite()));
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
