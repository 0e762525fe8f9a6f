//! Recorruption: two full-size samples with uncorrelated noise from one noisy sample.
//!
//! If a sample has noise `n`, and `z` is synthetic noise of the same strength, `n + a z` and `n - z / a` are uncorrelated;
//! if both are normal, they are independent, for any covariance of the noise. A model trained to predict the second sample from the first therefore learns
//! the clean one, as from two repeats, but with noise that is √(1 + a²) times as strong.
//!
//! # Source
//! T. Pang et al., "Recorrupted-to-Recorrupted: unsupervised deep learning for image denoising", CVPR 2021.

use super::Item;
use crate::corruption::NoiseProfile;
use crate::quality;
use crate::rng::Rng;
use crate::sample::Shape;

/// Range of `a`, drawn for each crop: the model sees noise of several strengths, close to the sample's own, which it never
/// sees.
const SHARES: (f32, f32) = (0.3, 0.7);

/// Relative deviation from the median below which an estimate is replaced by the median: it is within the estimation error.
const CHANCE: f32 = 0.1;

/// Adds noise to `noisy` and subtracts scaled noise from `target`, which hold the same noisy crop, one plane per channel.
/// `sigmas` are the standard deviations of the noise per channel.
pub(super) fn recorrupt(noisy: &mut [f32], target: &mut [f32], sigmas: &[f32], rng: &mut Rng) {
    let share = rng.range(SHARES.0, SHARES.1);
    let mut own = vec![0.0; noisy.len()];
    rng.fill_normal(&mut own);
    let plane = noisy.len() / sigmas.len();
    let planes = noisy.chunks_mut(plane).zip(target.chunks_mut(plane)).zip(own.chunks(plane));
    for (((noisy, target), own), sigma) in planes.zip(sigmas) {
        for ((noisy, target), z) in noisy.iter_mut().zip(target).zip(own) {
            *noisy += share * sigma * z;
            *target -= sigma / share * z;
        }
    }
}

/// [`recorrupt`] with noise of a profile: as strong at each number, and as correlated, as that of the sample.
pub(super) fn recorrupt_like(
    profile: &NoiseProfile,
    noisy: &mut [f32],
    target: &mut [f32],
    shape: Shape,
    rng: &mut Rng,
) {
    let share = rng.range(SHARES.0, SHARES.1);
    let own = profile.noise(noisy, shape, rng);
    for ((noisy, target), z) in noisy.iter_mut().zip(target).zip(own) {
        *noisy += share * z;
        *target -= z / share;
    }
}

/// Returns the standard deviation of the noise in each channel of each item.
pub(super) fn strengths(items: &[&Item]) -> Vec<Vec<f32>> {
    let mut all: Vec<Vec<f32>> = items.iter().map(|item| quality::estimate_noise(&item.clean)).collect();
    for channel in 0..all.first().map_or(0, Vec::len) {
        let mut sorted: Vec<f32> = all.iter().map(|sigmas| sigmas[channel]).collect();
        let middle = sorted.len() / 2;
        let median = *sorted.select_nth_unstable_by(middle, f32::total_cmp).1;
        let of_channel = all.iter_mut().map(|sigmas| &mut sigmas[channel]);
        of_channel.filter(|s| (**s - median).abs() < CHANCE * median).for_each(|sigma| *sigma = median);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Purpose;
    use crate::sample::Sample;

    fn normals(count: usize, sigma: f32, draw: u64) -> Vec<f32> {
        let mut noise = vec![0.0; count];
        Rng::new(1, Purpose::Evaluate, draw).fill_normal(&mut noise);
        noise.iter().map(|z| sigma * z).collect()
    }

    #[test]
    fn what_is_added_and_what_is_taken_do_not_correlate() {
        let count = 100_000;
        // Two channels, the second without noise.
        let noise = [normals(count, 0.1, 0), vec![0.0; count]].concat();
        let (mut noisy, mut target) = (noise.clone(), noise);
        recorrupt(&mut noisy, &mut target, &[0.1, 0.0], &mut Rng::new(1, Purpose::Conceal, 0));
        let mean =
            |of: &dyn Fn(usize) -> f32| (0..count).map(|i| f64::from(of(i))).sum::<f64>() / count as f64;
        let product = mean(&|i| noisy[i] * target[i]);
        let (input, goal) = (mean(&|i| noisy[i].powi(2)).sqrt(), mean(&|i| target[i].powi(2)).sqrt());
        assert!((product / (input * goal)).abs() < 0.02, "{product}");
        assert!((0.104..0.123).contains(&input), "{input}");
        assert!(noisy[count..].iter().chain(&target[count..]).all(|v| *v == 0.0));
    }

    #[test]
    fn strengths_that_differ_by_chance_are_one_and_others_stay() {
        let item = |sigma: f32, draw| {
            let clean = Sample::new(Shape::image(1, 64, 64), normals(4096, sigma, draw)).unwrap();
            Item { name: String::new(), clean, noisy: None }
        };
        let items = [item(0.1, 0), item(0.1, 1), item(0.1, 2), item(0.3, 3)];
        let seen = strengths(&items.iter().collect::<Vec<_>>());
        assert!(seen[0] == seen[1] && seen[1] == seen[2], "{seen:?}");
        assert!((seen[3][0] / 0.3 - 1.0).abs() < 0.1, "{seen:?}");
    }
}
