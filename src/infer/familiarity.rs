//! Familiarity: similarity of a sample to the training data, computed from its latent and its residual.
//!
//! The features of a sample are the logarithms of the energy of each latent channel and of the residual of the decoder.
//! Their distance to the typical features of the training data is compared with the distances of held-out samples: a
//! familiarity of 0.5 is an ordinary sample, one near 0 is unlike all of them.
//!
//! The typical features were computed with the residual of strict decoding, and strict denoising uses the same. In full
//! mode the last feature is the residual of the refined result, because the strict result is overwritten during
//! streaming inference. That residual is smaller if the refiner restores detail, so the familiarity of a sample differs
//! a little between the modes.
//!
//! The reconstruction error alone misses unusual samples that are still reconstructed well, so the latent is included
//! (T. Denouden et al., "Improving reconstruction autoencoder out-of-distribution detection with Mahalanobis distance",
//! arXiv 1812.02765; here with a diagonal covariance).

use crate::registry::Familiarity;
use crate::sample::{Latent, Plane, Stats};

/// Returns the features of one sample, from the mean squares of each latent channel and, last, of the residual of the
/// strict or refined reconstruction, on the normalised scale.
pub fn features(mean_squares: &[f64]) -> Vec<f32> {
    mean_squares.iter().map(|mean_square| ((mean_square + 1e-8).ln() * 0.5) as f32).collect()
}

/// Returns the mean square of each channel of a latent.
pub fn energies(latent: &Latent) -> Vec<f64> {
    let mean_square =
        |values: &[f32]| values.iter().map(|v| f64::from(v * v)).sum::<f64>() / values.len() as f64;
    let of_plane = |plane: &Plane| {
        let positions = plane.dims[1..].iter().product::<usize>().max(1);
        plane.data.chunks(positions).map(mean_square).collect::<Vec<_>>()
    };
    latent.planes.iter().flat_map(of_plane).collect()
}

/// Computes the typical features from the features of samples like the training data. One half of them sets the scale,
/// the other half the distances, so that the distances are not biased low. `None` for fewer than 8 samples.
pub fn calibrate(features: &[Vec<f32>]) -> Option<Familiarity> {
    if features.len() < 8 {
        return None;
    }
    let (scale, held_out): (Vec<_>, Vec<_>) = features.iter().enumerate().partition(|(i, _)| i % 2 == 0);
    let column = |j: usize| Stats::of(&scale.iter().map(|(_, f)| f[j]).collect::<Vec<_>>());
    let columns: Vec<Stats> = (0..features[0].len()).map(column).collect();
    let mut typical = Familiarity {
        mean: columns.iter().map(|s| s.mean).collect(),
        std: columns.iter().map(|s| s.std.max(1e-3)).collect(),
        distances: Vec::new(),
    };
    typical.distances = held_out.iter().map(|(_, f)| distance(&typical, f)).collect();
    typical.distances.sort_by(f32::total_cmp);
    Some(typical)
}

/// Returns the fraction of held-out samples at least as far from the typical features as this one, 0..1; beyond the
/// farthest it falls with the square of the distance.
pub fn score(typical: &Familiarity, features: &[f32]) -> Option<f32> {
    let farthest = *typical.distances.last()?;
    if features.len() != typical.mean.len() {
        return None;
    }
    let distance = distance(typical, features);
    let beyond = typical.distances.iter().filter(|d| **d >= distance).count();
    let step = 1.0 / (typical.distances.len() + 1) as f32;
    if beyond > 0 {
        Some((beyond as f32 + 0.5) * step)
    } else {
        Some(0.5 * step * (farthest / distance).powi(2))
    }
}

fn distance(typical: &Familiarity, features: &[f32]) -> f32 {
    let terms = features.iter().zip(&typical.mean).zip(&typical.std).map(|((f, m), s)| ((f - m) / s).powi(2));
    (terms.sum::<f32>() / features.len().max(1) as f32).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Purpose, Rng};

    #[test]
    fn ordinary_samples_score_in_the_middle_and_strange_ones_near_zero() {
        let mut rng = Rng::new(1, Purpose::Evaluate, 0);
        let usual: Vec<Vec<f32>> = (0..200).map(|_| (0..5).map(|_| 3.0 + rng.normal()).collect()).collect();
        let typical = calibrate(&usual).unwrap();
        let mean = usual.iter().map(|f| score(&typical, f).unwrap()).sum::<f32>() / 200.0;
        assert!((0.4..0.65).contains(&mean), "{mean}");
        assert!(score(&typical, &[3.0, 3.0, 9.0, 3.0, 3.0]).unwrap() < 0.02);
        assert!(score(&typical, &[1000.0; 5]).unwrap() < 1e-4);
    }

    #[test]
    fn too_few_samples_calibrate_nothing() {
        assert!(calibrate(&vec![vec![0.0]; 7]).is_none());
    }
}
