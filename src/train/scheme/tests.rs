//! Tests of the choice of a scheme from samples.

use super::*;
use crate::corruption::Corruption;

/// Returns an image of waves with noise of `sigma`.
fn picture(name: &str, scene: usize, sigma: f32, draw: u64) -> Item {
    let pixel = |i: usize| {
        0.5 + 0.3
            * (0.04 * (1 + scene % 3) as f32 * (i % 64) as f32 + (i / 64) as f32 * 0.07 + scene as f32).sin()
    };
    let clean = Sample::new(Shape::image(1, 64, 64), (0..4096).map(pixel).collect()).unwrap();
    let clean = Item { name: name.into(), clean, noisy: None };
    Item { clean: clean.corrupted(&Corruption::white(sigma), 1, draw).0, ..clean }
}

fn chosen(items: Vec<Item>) -> (Scheme, String) {
    choose(Scheme::Auto, &Dataset { items, skipped: vec![] }).unwrap()
}

#[test]
fn samples_are_clean_noisy_or_repeats_by_what_they_show() {
    let (scheme, reason) = chosen((0..6).map(|i| picture(&format!("{i}"), i, 0.5, 0)).collect());
    assert_eq!(scheme, Scheme::Clean, "{reason}");
    assert!(reason.contains("scheme noisy overrides"), "{reason}");
    let (scheme, reason) = chosen((0..6).map(|i| picture(&format!("{i}"), i, 25.0, i as u64)).collect());
    assert_eq!(scheme, Scheme::Noisy, "{reason}");
    assert!(reason.contains("white and even"), "{reason}");
    let repeats = (0..6).map(|i| picture(&format!("scene{}/{i}", i / 3), i / 3, 25.0, i as u64)).collect();
    let (scheme, reason) = chosen(repeats);
    assert_eq!(scheme, Scheme::Repeats, "{reason}");
    assert!(reason.contains("6 repeats of 2 scene(s)"), "{reason}");
}

#[test]
fn days_of_sensors_are_no_repeats_and_recordings_of_one_beat_are() {
    let signal = |i: usize, phase: f32| {
        let clean = |c: usize, t: f32| {
            if c == 0 { 20.0 + (0.01 * t + phase).sin() } else { 1013.0 + 4.0 * (0.02 * t).cos() }
        };
        let data = (0..2880).map(|j| clean(j / 1440, (j % 1440) as f32)).collect();
        let shape = Shape::Signal { channels: 2, length: 1440 };
        let clean = Sample::new(shape, data).unwrap();
        let units = clean.channel_stats();
        let item = Item { name: format!("set/{i}"), clean, noisy: None };
        Item { clean: item.corrupted_in(&Corruption::white(0.5), &units, 1, i as u64).0, ..item }
    };
    let (scheme, reason) = chosen((0..5).map(|i| signal(i, 0.3 * i as f32)).collect());
    assert_eq!(scheme, Scheme::Noisy, "{reason}");
    let (scheme, reason) = chosen((0..5).map(|i| signal(i, 0.0)).collect());
    assert_eq!(scheme, Scheme::Repeats, "{reason}");
}

#[test]
fn weak_white_noise_makes_a_signal_noisy_and_fine_structure_does_not() {
    let shape = Shape::Signal { channels: 2, length: 2000 };
    // A slow course in two units; with pulses of a few steps, as of a heart, when `sharp`.
    let clean = |sharp: bool, item: u64| {
        let value = |i: usize| {
            let t = (i % 2000) as f32 + 170.0 * item as f32;
            let pulse = if sharp { 3.0 * (-((t % 90.0) - 40.0).powi(2) / 8.0).exp() } else { 0.0 };
            (if i < 2000 { 20.0 } else { 1013.0 }) + (t / 80.0).sin() + 0.5 * (t / 23.0).sin() + pulse
        };
        Sample::new(shape, (0..4000).map(value).collect()).unwrap()
    };
    let item = |sharp: bool, sigma: f32, i: u64| {
        let clean = clean(sharp, i);
        let units = clean.channel_stats();
        let item = Item { name: format!("{i}"), clean, noisy: None };
        Item { clean: item.corrupted_in(&Corruption::white(sigma), &units, 1, i).0, ..item }
    };
    let scheme = |sharp, sigma| chosen((0..3).map(|i| item(sharp, sigma, i)).collect());
    let (seen, reason) = scheme(false, 0.2);
    assert_eq!(seen, Scheme::Noisy, "{reason}");
    for (sharp, sigma) in [(false, 0.0), (true, 0.0), (false, 0.03)] {
        let (seen, reason) = scheme(sharp, sigma);
        assert_eq!(seen, Scheme::Clean, "{sharp} {sigma}: {reason}");
    }
}

#[test]
fn doubles_are_no_repeats() {
    let items = (0..4).map(|i| picture(&format!("a/{i}"), 1, 0.5, 0)).collect();
    assert_eq!(chosen(items).0, Scheme::Clean);
}

#[test]
fn what_does_not_fit_the_scheme_is_refused_by_name() {
    let refused =
        |scheme, items| choose(scheme, &Dataset { items, skipped: vec![] }).unwrap_err().to_string();
    let lonely = vec![picture("a/1", 0, 9.0, 0), picture("b/1", 1, 9.0, 1)];
    assert!(refused(Scheme::Repeats, lonely).contains("a/1 has no repeat"));
    let mut pair = picture("a", 0, 9.0, 0);
    pair.noisy = Some(pair.clean.clone());
    assert!(refused(Scheme::Noisy, vec![pair]).starts_with("scheme: "));
    let halves = vec![picture("gt/7", 0, 0.5, 0), picture("input/frame-7", 1, 9.0, 1)];
    let asks = refused(Scheme::Auto, halves);
    assert!(asks.contains("input/frame-7 and gt/7 look like halves of pairs"), "{asks}");
    let vector = Sample::new(Shape::Vector { features: 2 }, vec![1.0, 2.0]).unwrap();
    let vector = Item { name: "v".into(), clean: vector, noisy: None };
    assert!(refused(Scheme::Noisy, vec![vector]).contains("no neighbours"));
}
