//! Tests of held-out samples and scores.

use super::*;

fn scoring(learn: &Learn, ink_weight: Option<f64>) -> Scoring<'_> {
    Scoring { learn, normalize: &Normalize::Sample, ink_weight }
}

/// Returns items of one clean image with noise of sigma 25 (of 255).
fn noisy(count: usize) -> (Sample, Vec<Item>) {
    let pixel = |i: usize| 0.5 + 0.3 * (0.05 * (i % 96) as f32).sin() * (0.03 * (i / 96) as f32).cos();
    let clean = Sample::new(Shape::image(1, 96, 96), (0..96 * 96).map(pixel).collect()).unwrap();
    let item = Item { name: String::new(), clean: clean.clone(), noisy: None };
    let one = |i: usize| {
        let clean = item.corrupted(&crate::corruption::Corruption::white(25.0), 7, i as u64).0;
        Item { name: format!("a/{i}"), clean, noisy: None }
    };
    (clean, (0..count).map(one).collect())
}

/// Compares the estimate from noisy samples only with the truth, for a result with a known error.
#[test]
fn scores_without_clean_samples_are_near_the_true_ones() {
    let (clean, items) = noisy(5);
    let all: Vec<&Item> = items.iter().collect();
    let truth = -10.0 * (0.02f32 * 0.02).log10();
    for learn in [Learn::Repeats, Learn::Hidden(0, 0)] {
        let held_out = HeldOut::new(&all, &scoring(&learn, None), 1);
        assert!(held_out.is_estimate());
        let mut tally = Tally::default();
        for pair in &held_out.pairs {
            let off: Vec<f32> = clean
                .data()
                .iter()
                .enumerate()
                .map(|(i, v)| v + if i % 2 == 0 { 0.02 } else { -0.02 })
                .collect();
            tally.add(pair, &off, pair.probe.as_ref().map(|_| &off[..]));
        }
        let seen = tally.decibels();
        assert!((seen - truth).abs() < 1.5, "{learn:?}: {seen} for {truth}");
    }
}

#[test]
fn the_share_of_the_noise_that_passes_is_estimated_without_clean_samples() {
    let (clean, items) = noisy(4);
    let all: Vec<&Item> = items.iter().collect();
    let held_out = HeldOut::new(&all, &scoring(&Learn::Neighbors, None), 1);
    // Blends the noisy input and a blurred one, in several proportions.
    for share in [0.0, 0.3, 1.0] {
        let method = |sample: &Sample| {
            let data = sample.data();
            let blurred =
                |i: usize| (data[i.saturating_sub(1)] + data[i] + data[(i + 1).min(data.len() - 1)]) / 3.0;
            (0..data.len()).map(|i| share * data[i] + (1.0 - share) * blurred(i)).collect::<Vec<f32>>()
        };
        let (mut tally, mut truth) = (Tally::default(), 0f64);
        for pair in &held_out.pairs {
            tally.add(pair, &method(&pair.noisy), pair.probe.as_ref().map(method).as_deref());
            truth += quality::mse(clean.data(), &method(&pair.noisy)) / 4.0;
        }
        let (seen, truth) = (f64::from(tally.decibels()), -10.0 * truth.log10());
        assert!((seen - truth).abs() < 0.3, "{seen} for {truth} at {share}");
    }
}

#[test]
fn clean_truth_is_exact() {
    let (clean, items) = noisy(1);
    let pair = Item { name: "a".into(), noisy: Some(items[0].clean.clone()), clean };
    let held_out = HeldOut::new(&[&pair], &scoring(&Learn::Pairs, Some(4.0)), 1);
    assert!(!held_out.is_estimate());
    let mut tally = held_out.tally();
    tally.add(&held_out.pairs[0], held_out.pairs[0].noisy.data(), None);
    let db = tally.decibels();
    // White noise is lighter as often as darker: its mean squared error is weighted by (4 + 1) / 2.
    assert!((db - tally.judged() - 10.0 * 2.5f32.log10()).abs() < 0.1, "{tally:?}");
    assert!((db - quality::psnr(pair.clean.data(), items[0].clean.data())).abs() < 1e-3);
}
